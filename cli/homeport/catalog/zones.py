"""Zones of residency, and which cloud regions lie in them."""

from functools import cache
from types import MappingProxyType

import msgspec

from homeport.catalog.names import rows
from homeport.catalog.types import Region, Row
from homeport.errors import NotFoundError
from homeport.text import nearest


class Zone(Row, frozen=True, kw_only=True):
    """A zone that data may have to stay in: countries (ISO 3166), or only some `regions` of each cloud in them."""

    zone: str
    name: str
    countries: tuple[str, ...]
    regions: dict[str, tuple[str, ...]] | None


@cache
def zones() -> MappingProxyType[str, Zone]:
    """The zones that are more than one country or less, by name."""
    return MappingProxyType({row.zone: row for row in rows("zones.json", Zone)})


def countries(zone: str) -> frozenset[str]:
    """Return the ISO 3166 codes of a zone: its countries, or the one country that it names.

    Raises `NotFoundError` for a name that is neither a zone nor two letters.
    """
    known = zones().get(zone)
    if known is not None:
        return frozenset(known.countries)
    if len(zone) != 2:
        raise NotFoundError(
            "zone", zone, nearest(zone, zones()), help=f"{', '.join(zones())}, or two letters"
        )
    return frozenset({zone.upper()})


def lies_in(region: Region, zone: str) -> bool:
    """Say whether a cloud's region lies in a zone."""
    known = zones().get(zone)
    if known is not None and known.regions is not None:
        return region.region in known.regions.get(region.cloud, ())
    return region.country in countries(zone)


def is_part_of(zone: str, other: str) -> bool:
    """Say whether everything in `zone` also lies in `other`: de in eu, us-gov in us, but not us in us-gov."""
    if zone == other:
        return True
    known = zones().get(other)
    if known is not None and known.regions is not None:
        return False
    return countries(zone) <= countries(other)


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """Where a deployment may be. A region lies inside where each of `zones` has one zone that holds it.

    `regions` are the only ones that may be used (none: every one inside).
    """

    zones: tuple[tuple[str, ...], ...] = ()
    regions: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Say whether anything is bounded at all."""
        return bool(self.zones or self.regions)

    def holds(self, region: Region) -> bool:
        """Say whether a region lies inside the zones."""
        return all(any(lies_in(region, zone) for zone in any_of) for any_of in self.zones)

    def allows(self, region: Region) -> bool:
        """Say whether a deployment may use a region."""
        return self.holds(region) and (not self.regions or region.region in self.regions)

    def prices(self, region: Region) -> bool:
        """Say whether a region's prices may stand in: inside the zones; without zones, one of the allowed regions."""
        return self.holds(region) if self.zones else self.allows(region)

    def __str__(self) -> str:
        """Name what is allowed, for a sentence: `eu`, `eu and us-gov`, `europe-west4 or europe-west1`."""
        inside = " and ".join(" or ".join(any_of) for any_of in self.zones)
        return inside or " or ".join(self.regions)


NOWHERE_BOUND = Bounds()
