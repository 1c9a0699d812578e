"""The catalog's GPUs, by id and by family."""

from functools import cache
from types import MappingProxyType

from homeport.catalog.names import one_name, rows
from homeport.catalog.types import Gpu
from homeport.errors import NotFoundError
from homeport.text import nearest


@cache
def gpus() -> MappingProxyType[str, Gpu]:
    """All GPUs by id, and the row `CPU` (whose figures are the node's, so unknown here), in the catalog's order."""
    return MappingProxyType({g.id: g for g in rows("gpus.json", Gpu)})


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
