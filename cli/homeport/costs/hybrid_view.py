"""The splits between own GPUs and APIs, as a block of the bill's table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from homeport.costs.hybrid import UNPRICED, percent
from homeport.costs.table import Style, columns, money, number

if TYPE_CHECKING:
    from homeport.costs.types import Hybrid, Split


def as_block(hybrid: Hybrid, bold: Style) -> str:
    """Return the splits, the cheapest allowed one marked, and who answers what."""
    rows = []
    for split in hybrid.splits:
        least = "at least " if split.at_least else ""
        mark = "✔" if split.cheapest else " "
        rows.append(
            (
                f"{mark} {split.name}",
                percent(split.own_share),
                number(split.own_requests_per_day.quantize(1)),
                money(split.own_usd_per_month),
                money(split.api_usd_per_month),
                least + money(split.usd_per_month),
                _remark(split),
            )
        )
    head = ("Split of the requests", "own", "requests a day", "own, $", "API, $", "$ a month", "")
    lines = [columns(head, rows, (1, 2, 3, 4, 5), bold)]
    who = f"  by API: {hybrid.primary}"
    if hybrid.fallback is None:
        lines.append(f"{who}, and no second API as fallback")
    elif hybrid.fallback_share:
        lines.append(f"{who}, {percent(hybrid.fallback_share)} of it by the fallback {hybrid.fallback}")
    else:
        lines.append(f"{who}; {hybrid.fallback} is the fallback, and billed by costs.fallback_percent")
    rest = 1 - max(split.own_share for split in hybrid.splits if split.own_share < 1)
    if hybrid.simple_share and rest:
        lines.append(f"  all on own GPUs: the own model also answers the {percent(rest)} that are not simple")
    if any(split.reason == UNPRICED for split in hybrid.splits):
        lines.append("  ✔ is the cheapest of those whose price is known")
    elif not hybrid.complete:
        lines.append("  a cheaper split may lie between: finding it takes more plans than one run makes")
    return "\n".join(lines)


def _remark(split: Split) -> str:
    if split.reason is not None:
        return split.reason if not split.allowed else f"({split.reason})"
    return "; ".join(
        f"{made.replicas} replica{'' if made.replicas == 1 else 's'} of {made.gpus_per_replica} × {made.gpu}"
        for made in split.deployments
        if made.gpu
    )
