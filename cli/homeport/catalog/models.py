"""The catalog's open-weight models, their configs and their benchmark scores; files are read when first asked for."""

from functools import cache
from types import MappingProxyType
from typing import Any

import msgspec

from homeport.catalog.names import DATA, one_name, rows
from homeport.catalog.types import Benchmark, Model
from homeport.errors import NotFoundError
from homeport.text import nearest


@cache
def models() -> MappingProxyType[str, Model]:
    """All open-weight models of the catalog by id, in the catalog's order."""
    return MappingProxyType({m.id: m for m in rows("models.json", Model)})


def model(name: str) -> Model:
    """Return the model called `name`: an id in any case, or an id without its organisation where that is unambiguous.

    Raises `NotFoundError` with the nearest ids (`AmbiguousNameError` with the candidates).
    """
    known = models()
    return known.get(name) or known[one_name("model", name, known, lambda id_: (id_, id_.split("/")[-1]))]


@cache
def _config_files() -> MappingProxyType[str, str]:
    names = sorted(path.stem for path in (DATA / "configs").glob("*.json"))
    return MappingProxyType({name.replace("__", "/", 1): name for name in names})


def config_ids() -> tuple[str, ...]:
    """Ids that have a `config.json` here: the catalog's models, and other checkpoints that were measured."""
    return tuple(_config_files())


@cache
def _config_file(id_: str) -> dict[str, Any]:
    files = _config_files()
    if id_ not in files:
        raise NotFoundError("config", id_, nearest(id_, files))
    decoded: dict[str, Any] = msgspec.json.decode((DATA / "configs" / f"{files[id_]}.json").read_bytes())
    return decoded


@cache
def config(id_: str) -> dict[str, Any]:
    """Return the Hugging Face `config.json` of a model or checkpoint, with `total_params` and (where known) `weight_bytes`.

    The dict is the same one each time: copy it before changing it. Raises `NotFoundError` with the nearest ids.
    """
    return {key: value for key, value in _config_file(id_).items() if key != "_meta"}


class ConfigSource(msgspec.Struct, frozen=True, kw_only=True):
    """Where a config of the catalog comes from, and which of its keys nobody has checked."""

    repo: str
    source: str
    as_of: str
    unverified: tuple[str, ...] = ()


@cache
def config_source(id_: str) -> ConfigSource:
    """Where the config of `id_` comes from. Raises `NotFoundError` with the nearest ids."""
    return msgspec.convert(_config_file(id_)["_meta"], ConfigSource)


@cache
def benchmarks() -> MappingProxyType[str, Benchmark]:
    """Benchmark scores by model id (API models and open-weight ones)."""
    return MappingProxyType({b.id: b for b in rows("benchmarks.json", Benchmark)})
