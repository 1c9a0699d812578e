"""Which region's prices stand in for a region that has none."""

from functools import cache
from itertools import takewhile

from homeport.catalog.prices import instances


@cache
def nearest_region(cloud: str, region: str, gpu: str | None = None) -> str | None:
    """Return the region of `cloud` nearest to `region` that has a price for `gpu` (an id or family; None: any)."""
    known = sorted({row.region for row in instances(cloud, gpu=gpu) if row.region})
    if region in known or not known:
        return region if known else None
    return min(
        known,
        key=lambda r: (
            -sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(r, region, strict=False))),
            r,
        ),
    )
