"""A model by any name: the catalog's, a path's, or the Hub's."""

from pathlib import Path
from typing import Any

import msgspec

from homeport.catalog import hub
from homeport.catalog.architecture_config import LIMITS, number
from homeport.catalog.models import config, config_ids, config_source, model, models
from homeport.catalog.names import AmbiguousNameError
from homeport.errors import NotFoundError
from homeport.text import nearest

CONFIG_LIMIT_BYTES = hub.CONFIG_LIMIT_BYTES
INDEX = "model.safetensors.index.json"


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A model that was found: `origin` is "catalog", "hub" or "file".

    `config` is its `config.json` (not to be changed). `weight_bytes` are the checkpoint's bytes as stored, `dtype` what
    the config says of what is not quantised, `context_tokens` the config's limit; None is unknown. `unverified` names
    the fields that nobody has checked against the publisher. `revision` is the Hub's commit.
    """

    id: str
    config: dict[str, Any]
    weight_bytes: int | None
    dtype: str | None
    context_tokens: int | None
    licence: str | None
    gated: bool | None
    origin: str
    source: str
    as_of: str | None
    unverified: tuple[str, ...] = ()
    local_path: str | None = None
    revision: str | None = None


class ModelNotFoundError(NotFoundError):
    """A model that is neither in the catalog nor anywhere else: `reason` says in a sentence why, `kind` in a word.

    `kind` is "name" (not a path and not a Hub id), "file" (a path that can't be used), or a kind of `HubFailure`.
    """

    def __init__(self, name: str, kind: str, reason: str, help: str | None) -> None:  # noqa: A002
        """`reason` completes "model '…' is not in the catalog, and"."""
        close = nearest(name, models())
        super().__init__("model", name, close, help)
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        self.args = (f"model '{name}' is not in the catalog, and {reason}{hint}",)
        self.kind = kind
        self.reason = reason


def resolve(name: str, *, base_dir: Path, offline: bool | None = None) -> Found:
    """Return the model that `name` means.

    In this order: an id of the catalog (any case; the organisation may be left out where that is unambiguous), a path
    from `base_dir` (a `config.json`, or a folder that holds one), a Hub id, for which the Hub is asked once, for at most
    5 s. `offline` forbids that (None: as HF_HUB_OFFLINE says). Raises `ModelNotFoundError` with the reason and the
    nearest ids of the catalog.
    """
    if found := _in_catalog(name):
        return found
    if (path := _path(name, base_dir)) and (found := _in_file(name, path)):
        return found
    if not hub.is_hub_id(name):
        reason = "it is neither a file nor a Hub id (organisation/name)"
        raise ModelNotFoundError(name, "name", reason, "`homeport models list` lists the catalog")
    try:
        if offline or (offline is None and hub.offline_asked()):
            raise hub.offline("--offline was given" if offline else "HF_HUB_OFFLINE is set")
        on_hub = hub.look_up(name)
    except hub.HubFailure as failure:
        raise ModelNotFoundError(name, failure.kind, failure.reason, failure.help) from None
    return Found(
        id=on_hub.id,
        config=on_hub.config,
        weight_bytes=on_hub.weight_bytes,
        dtype=config_dtype(on_hub.config),
        context_tokens=config_context(on_hub.config),
        licence=on_hub.licence,
        gated=on_hub.gated,
        origin="hub",
        source=f"{on_hub.endpoint}/{on_hub.id}" + (f"@{on_hub.revision}" if on_hub.revision else ""),
        as_of=None,
        revision=on_hub.revision,
    )


def _in_catalog(name: str) -> Found | None:
    try:
        row = model(name)
    except AmbiguousNameError:
        raise
    except NotFoundError:
        row = None
    if row is not None:
        own = config(row.id)
        return Found(
            id=row.id,
            config=own,
            weight_bytes=row.weight_bytes_native,
            dtype=config_dtype(own),
            context_tokens=row.context_tokens,
            licence=row.licence,
            gated=row.gated,
            origin="catalog",
            source=row.source,
            as_of=row.as_of,
            unverified=row.unverified,
        )
    id_ = next((known for known in config_ids() if known.lower() == name.lower()), None)
    if id_ is None:
        return None
    own, about = config(id_), config_source(id_)
    return Found(
        id=id_,
        config=own,
        weight_bytes=own.get("weight_bytes"),
        dtype=config_dtype(own),
        context_tokens=config_context(own),
        licence=None,
        gated=None,
        origin="catalog",
        source=about.source,
        as_of=about.as_of,
        unverified=about.unverified,
    )


def _path(name: str, base_dir: Path) -> Path | None:
    """The path that `name` is or could be; None where it is none: it neither looks like one nor exists."""
    try:
        path = base_dir / (Path(name).expanduser() if name.startswith("~") else name)
        return path if name.strip() and (_is_path(name) or path.exists()) else None
    except (OSError, RuntimeError):  # longer than a path can be; the home of an unknown user
        return None


def _is_path(name: str) -> bool:
    return name.startswith(("/", "./", "../", "~")) or name in (".", "..") or name.endswith(".json")


def _in_file(name: str, path: Path) -> Found | None:
    """Read a config file or a folder. None: the folder holds no config and `name` could be a Hub id."""
    import json

    file = path / "config.json" if path.is_dir() else path
    if not file.is_file():
        if not _is_path(name) and hub.is_hub_id(name):
            return None
        what = "the folder has no config.json" if path.is_dir() else "there is no such file"
        raise ModelNotFoundError(
            name, "file", what, "give the path of a config.json or of a folder that holds one"
        )
    try:
        if file.stat().st_size > CONFIG_LIMIT_BYTES:
            raise ModelNotFoundError(name, "file", f"{file.name} is too large for a config", None)
        own = json.loads(file.read_bytes())
    except OSError as error:
        raise ModelNotFoundError(
            name, "file", f"{file.name} cannot be read ({error.strerror})", None
        ) from None
    except (ValueError, RecursionError):
        own = None
    if not isinstance(own, dict):
        raise ModelNotFoundError(name, "file", f"{file.name} is not a JSON object", None)
    size, size_source = local_weight_bytes(file.parent)
    if size is None and (stated := hub.believed_bytes(own.get("weight_bytes"))):
        size, size_source = stated, file.name
    return Found(
        id=_given_name(own) or file.parent.resolve().name,
        config=own,
        weight_bytes=size,
        dtype=config_dtype(own),
        context_tokens=config_context(own),
        licence=None,
        gated=None,
        origin="file",
        source=name if size_source is None else f"{name} (weights: {size_source})",
        as_of=None,
        local_path=str(path.resolve()),
    )


def _given_name(own: dict[str, Any]) -> str | None:
    given = own.get("_name_or_path")
    return given if isinstance(given, str) and hub.is_hub_id(given) else None


def local_weight_bytes(folder: Path) -> tuple[int | None, str | None]:
    """Bytes of the tensors of a local checkpoint and the file that says so: its index, else its safetensors headers.

    (None, None) where there is neither, or where a file is not whole (a pointer of a large-file store).
    """
    import json

    try:
        index = json.loads((folder / INDEX).read_bytes())
        if total := hub.believed_bytes(index["metadata"]["total_size"]):
            return total, INDEX
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    files = sorted(folder.glob("model*.safetensors")) or sorted(folder.glob("*.safetensors"))
    sizes = [_tensor_bytes(file) for file in files]
    known = [size for size in sizes if size is not None]
    if not files or len(known) < len(files):
        return None, None
    size = hub.believed_bytes(sum(known))
    return size, "safetensors headers" if size else None


def _tensor_bytes(file: Path) -> int | None:
    """Bytes of a safetensors file's tensors: 8 bytes give the header's length, the header each tensor's offsets."""
    import json
    import struct

    try:
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > 100 * 2**20:
                return None
            header = json.loads(stream.read(length))
        ends = [tensor["data_offsets"] for key, tensor in header.items() if key != "__metadata__"]
        return sum(int(end) - int(start) for start, end in ends)
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        OverflowError,
        RecursionError,
        struct.error,
    ):
        return None


def config_dtype(own: dict[str, Any]) -> str | None:
    """The dtype of what is not quantised, as the config (or its text part) says it: "bfloat16", …"""
    for part in (own, own.get("text_config")):
        if isinstance(part, dict):
            for key in ("dtype", "torch_dtype"):
                if isinstance(part.get(key), str):
                    return str(part[key]).removeprefix("torch.")
    return None


def config_context(own: dict[str, Any]) -> int | None:
    """The config's own limit of a sequence, in tokens."""
    for part in (own, own.get("text_config")):
        if isinstance(part, dict):
            for key in (
                "max_position_embeddings",
                "n_positions",
                "max_sequence_length",
                "seq_length",
                "n_ctx",
            ):
                if limit := number(part.get(key), 0, LIMITS["max_position_embeddings"]):
                    return limit
    return None
