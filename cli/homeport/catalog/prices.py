"""Prices: of cloud instances, and of API models by the names that people use."""

import re
from collections.abc import Callable
from functools import cache
from typing import Any, ParamSpec, TypeVar

from msgspec import structs

from homeport.catalog.gpus import gpus_matching
from homeport.catalog.names import AmbiguousNameError, rows
from homeport.catalog.types import ApiPrice, Instance, PriceBook
from homeport.errors import NotFoundError
from homeport.text import nearest

CLOUDS = ("aws", "azure", "gcp", "lambda", "runpod")
"""Clouds that have prices. The first three have a managed Kubernetes."""

# claude-…-20241022, …-2024-10-22, command-…-08-2024, mistral-…-2411; `latest` stands for a date that moves.
_DATE = re.compile(r"-(?:20\d{6}|20\d\d-[01]\d-[0-3]\d|[01]\d-20\d\d|2[3-9][01]\d|latest)$")

P = ParamSpec("P")
R = TypeVar("R")
_book: PriceBook | None = None
_caches: list[Any] = []


def remembers_prices(function: Callable[P, R]) -> Callable[P, R]:
    """Remember a function's answers until other prices are used (`use_prices`)."""
    cached = cache(function)
    _caches.append(cached)
    return cached  # type: ignore[return-value]  # the cache takes the same arguments


def use_prices(book: PriceBook | None) -> None:
    """Let the prices of a file count over the package's own from now on in this process; None: only the package's.

    An API model of the file becomes the newest of its id; an instance replaces its type's price in its region.
    """
    global _book
    if book is None and _book is None:
        return
    _book = book
    for cached in _caches:
        cached.cache_clear()


@remembers_prices
def _instances_of(cloud: str) -> tuple[Instance, ...]:
    known = rows(f"instances/{cloud}.json", Instance)
    if _book is None:
        return known
    newer = {(row.instance_type, row.region): row for row in _book.instances if row.cloud == cloud}
    kept = tuple(newer.pop((row.instance_type, row.region), row) for row in known)
    return (*kept, *newer.values())


@remembers_prices
def instances(
    cloud: str | None = None, region: str | None = None, gpu: str | None = None
) -> tuple[Instance, ...]:
    """Return the priced instances, of one cloud, region and GPU (an id or a family) where given, in the files' order.

    A region without prices gives an empty result (see `regions.nearest_region`). Raises `NotFoundError` for an unknown cloud or GPU.
    """
    if cloud is not None and cloud not in CLOUDS:
        raise NotFoundError("cloud", cloud, nearest(cloud, CLOUDS) or list(CLOUDS))
    found = tuple(row for c in ([cloud] if cloud else CLOUDS) for row in _instances_of(c))
    if region is not None:
        found = tuple(row for row in found if row.region == region)
    if gpu is not None:
        wanted = {g.id for g in gpus_matching(gpu)}
        found = tuple(row for row in found if row.gpu in wanted)
    return found


@remembers_prices
def api_prices() -> tuple[ApiPrice, ...]:
    """Every row of API prices: an id has one row for each date."""
    known = rows("api_prices.json", ApiPrice)
    if _book is None:
        return known
    newer = {row.id for row in _book.api_prices}
    older = (structs.replace(row, newest=False) if row.id in newer else row for row in known)
    return (*older, *(structs.replace(row, newest=True) for row in _book.api_prices))


def _undated(name: str) -> str:
    return _DATE.sub("", name)


def _plain(name: str) -> str:
    """Spelling set aside: `Claude Haiku 3.5`, `claude_haiku_3.5` and `claude-haiku-3-5` are the same."""
    return re.sub(r"[^a-z0-9/]+", "-", name.lower().replace("+", "-plus")).strip("-")


@remembers_prices
def _keys() -> tuple[dict[str, tuple[str, ...]], ...]:
    """What names mean which ids, the strictest reading first."""
    readings: list[dict[str, list[str]]] = [{}, {}, {}, {}, {}]
    for row in api_prices():
        bare = row.id.split("/", 1)[1]
        display = [] if row.display_name is None else [row.display_name.lower()]
        levels: tuple[list[str], ...] = (
            [row.id.lower()],
            [bare.lower()],
            display,
            [_undated(row.id.lower()), _undated(bare.lower())],
            [_plain(n) for n in (row.id, bare, _undated(row.id), _undated(bare), *display)],
        )
        for reading, names in zip(readings, levels, strict=True):
            for name in names:
                ids = reading.setdefault(name, [])
                if row.id not in ids:
                    ids.append(row.id)
    return tuple({name: tuple(ids) for name, ids in reading.items()} for reading in readings)


def api_id(name: str) -> str:
    """Return the id that `name` means.

    The provider's prefix and a trailing date may be left out, and a display name (`Claude Haiku 3.5`) does too. A name
    that equals an id without its prefix wins over one that also needs the date left out. Case is ignored. Raises
    `AmbiguousNameError` with all candidates, and `NotFoundError` with the nearest ids.
    """
    wanted = name.strip().lower()
    for reading in _keys():
        # The last reading sets spelling aside; a name spelt as an id has been found before it.
        found = reading.get(wanted) or (reading.get(_plain(wanted)) if reading is _keys()[-1] else None)
        if found is None:
            continue
        if len(found) > 1:
            raise AmbiguousNameError("API model", name, sorted(found))
        return found[0]
    ids = sorted({row.id for row in api_prices()})
    if (undated := _undated(wanted)) != wanted:
        # Another date of a model that is here: its price could differ.
        raise NotFoundError("API model", name, [api_id(undated)])
    plain = _plain(wanted)
    longer = [id_ for id_ in ids if plain and f"/{_plain(id_)}-".find(f"/{plain}-") >= 0]
    if len(longer) > 1:
        raise AmbiguousNameError("API model", name, longer)
    raise NotFoundError("API model", name, longer or nearest(wanted, ids))


def api_price(name: str, as_of: str | None = None) -> ApiPrice:
    """Return the price of the API model that `name` means (see `api_id`): the newest row, or the newest up to `as_of`.

    `as_of` is a year, month or day (`2025`, `2025-11`, `2025-11-24`). Raises `NotFoundError` for an unknown name
    (`AmbiguousNameError` with the candidates) and where no row is that old.
    """
    id_ = api_id(name)
    dated = [row for row in api_prices() if row.id == id_]
    if as_of is None:
        return next(row for row in dated if row.newest)
    old_enough = [row for row in dated if row.as_of[: len(as_of)] <= as_of]
    if not old_enough:
        dates = ", ".join(row.as_of for row in dated)
        raise NotFoundError("API price", f"{id_} of {as_of}", [], help=f"the catalog has it as of {dates}")
    return max(old_enough, key=lambda row: row.as_of)
