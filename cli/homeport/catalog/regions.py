"""Regions of the clouds, and which region's prices stand in for a region that has none."""

from functools import cache
from math import asin, cos, radians, sin, sqrt
from types import MappingProxyType

from homeport.catalog.names import rows
from homeport.catalog.prices import instances, remembers_prices
from homeport.catalog.types import Region
from homeport.catalog.zones import NOWHERE_BOUND, Bounds
from homeport.errors import NotFoundError
from homeport.text import nearest

EARTH_RADIUS_KM = 6371.0


@cache
def regions(cloud: str) -> MappingProxyType[str, Region]:
    """The regions of a cloud by name, those without prices too."""
    return MappingProxyType({r.region: r for r in rows("regions.json", Region) if r.cloud == cloud})


def region(cloud: str, name: str) -> Region:
    """Return one region of a cloud. Raises `NotFoundError` with the nearest names."""
    known = regions(cloud)
    if name not in known:
        raise NotFoundError(f"region of {cloud}", name, nearest(name, known))
    return known[name]


@remembers_prices
def nearest_region(
    cloud: str, name: str, gpu: str | None = None, within: Bounds = NOWHERE_BOUND
) -> str | None:
    """Return the region of `cloud` whose prices stand for region `name` where that has none for `gpu`.

    `gpu` is an id or a family (None: any GPU). The region itself where it has a price; else the nearest region that has
    one in the same geography (the Americas, Europe, …), else the nearest anywhere: by great circle between the
    metropolitan areas, and by name between equals. Only regions `within` the bounds count. None: no such region has
    the GPU. Raises `NotFoundError` for an unknown cloud, region or GPU.
    """
    asked = region(cloud, name)
    known = regions(cloud)
    priced = {
        row.region for row in instances(cloud, gpu=gpu) if row.region and within.prices(known[row.region])
    }
    return min(
        priced,
        key=lambda r: (known[r].geography != asked.geography, distance_km(known[r], asked), r),
        default=None,
    )


def distance_km(one: Region, other: Region) -> float:
    """Great-circle distance by the haversine formula, in km."""
    lat, lat_other = radians(one.latitude_deg), radians(other.latitude_deg)
    half_lat = sin((lat - lat_other) / 2) ** 2
    half_lon = sin(radians(one.longitude_deg - other.longitude_deg) / 2) ** 2
    return 2 * EARTH_RADIUS_KM * asin(sqrt(half_lat + cos(lat) * cos(lat_other) * half_lon))
