"""The catalog's tables, read from the package's data files when they are first asked for, once."""

from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec

from homeport.catalog.names import one_name
from homeport.catalog.types import ApiPrice, Benchmark, Gpu, Instance, Model
from homeport.errors import NotFoundError
from homeport.text import nearest

DATA = Path(__file__).parent / "data"
CLOUDS = ("aws", "azure", "gcp", "lambda", "runpod")
"""Clouds that have prices. The first three have a managed Kubernetes."""

RowT = TypeVar("RowT")


def _rows(file: str, row: type[RowT]) -> tuple[RowT, ...]:
    return msgspec.json.decode((DATA / file).read_bytes(), type=tuple[row, ...])  # type: ignore[valid-type]


@cache
def models() -> MappingProxyType[str, Model]:
    """All open-weight models of the catalog by id, in the catalog's order."""
    return MappingProxyType({m.id: m for m in _rows("models.json", Model)})


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
def gpus() -> MappingProxyType[str, Gpu]:
    """All GPUs by id, and the row `CPU` (whose figures are the node's, so unknown here), in the catalog's order."""
    return MappingProxyType({g.id: g for g in _rows("gpus.json", Gpu)})


def gpu(name: str) -> Gpu:
    """Return the GPU called `name`: an id or its Kubernetes product label, in any case.

    Raises `NotFoundError` with the nearest ids.
    """
    known = gpus()
    return (
        known.get(name)
        or known[one_name("GPU", name, known, lambda id_: (id_, known[id_].kubernetes_product_label or id_))]
    )


@cache
def gpus_matching(name: str) -> tuple[Gpu, ...]:
    """Return the GPUs that `name` means: one id, or a family such as `H100`, `A100`, `A100-80GB` or `MI300X`.

    A family is the beginning of an id up to a dash; failing that, some of an id's dash-separated parts in their order,
    the first one included (`A100-80GB`: `A100-SXM4-80GB` and `A100-PCIe-80GB`). Case is ignored. Raises
    `NotFoundError` with the nearest ids.
    """
    known = gpus()
    wanted = name.strip().lower() or "?"
    if same := [
        g for g in known.values() if wanted in (g.id.lower(), (g.kubernetes_product_label or "").lower())
    ]:
        return tuple(same[:1])
    if family := tuple(g for g in known.values() if g.id.lower().startswith(f"{wanted}-")):
        return family
    parts = wanted.split("-")
    if family := tuple(g for g in known.values() if _in_order(parts, g.id.lower().split("-"))):
        return family
    raise NotFoundError("GPU", name, nearest(name, [*known, *gpu_families()]))


def _in_order(parts: list[str], of: list[str]) -> bool:
    """Whether all `parts` stand in `of` in their order, beginning with its first."""
    rest = iter(of)
    return parts[0] == of[0] and all(part in rest for part in parts)


@cache
def gpu_families() -> tuple[str, ...]:
    """First parts of ids that stand for more than one GPU (`H100`, `A100`, …)."""
    firsts = [id_.split("-")[0] for id_ in gpus()]
    return tuple(dict.fromkeys(first for first in firsts if firsts.count(first) > 1))


@cache
def _instances_of(cloud: str) -> tuple[Instance, ...]:
    return _rows(f"instances/{cloud}.json", Instance)


@cache
def instances(
    cloud: str | None = None, region: str | None = None, gpu: str | None = None
) -> tuple[Instance, ...]:
    """Return the priced instances, of one cloud, region and GPU (an id or a family) where given, in the files' order.

    A region without prices gives an empty result (see `nearest_region`). Raises `NotFoundError` for an unknown cloud or GPU.
    """
    if cloud is not None and cloud not in CLOUDS:
        raise NotFoundError("cloud", cloud, nearest(cloud, CLOUDS) or list(CLOUDS))
    rows = tuple(row for c in ([cloud] if cloud else CLOUDS) for row in _instances_of(c))
    if region is not None:
        rows = tuple(row for row in rows if row.region == region)
    if gpu is not None:
        wanted = {g.id for g in gpus_matching(gpu)}
        rows = tuple(row for row in rows if row.gpu in wanted)
    return rows


@cache
def api_prices() -> tuple[ApiPrice, ...]:
    """Every row of API prices: an id has one row for each date."""
    return _rows("api_prices.json", ApiPrice)


@cache
def benchmarks() -> MappingProxyType[str, Benchmark]:
    """Benchmark scores by model id (API models and open-weight ones)."""
    return MappingProxyType({b.id: b for b in _rows("benchmarks.json", Benchmark)})
