"""What moves the decision most: each figure a fifth lower and a fifth higher, everything else as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from homeport.costs.api import api_bill, requests_per_day
from homeport.costs.curves import calls_per_request
from homeport.costs.money import cents
from homeport.costs.own import days_per_month, in_pools_of, nodes_usd_per_month, self_hosted
from homeport.costs.own_nodes import keeps_gpus
from homeport.costs.types import Bill, Line, Options, Sensitivity, Swing
from homeport.errors import HomeportError
from homeport.planning.workload import peak_to_mean

if TYPE_CHECKING:
    from homeport.catalog.types import ApiPrice
    from homeport.costs.replan import Replanner
    from homeport.planning.types import Plan
    from homeport.spec.models import Workload

STEP = Decimal("0.2")
"""How far each figure is moved, down and up."""

Change = Callable[["Workload", float], "Workload"]

WORKLOAD: dict[str, Change] = {
    "requests a day": lambda work, by: msgspec.structs.replace(
        work, requests_per_day=work.requests_per_day * by
    ),
    "input tokens": lambda work, by: msgspec.structs.replace(work, input_tokens=work.input_tokens * by),
    "output tokens": lambda work, by: msgspec.structs.replace(work, output_tokens=work.output_tokens * by),
}

UTILISATION = "utilisation"
"""The load-aware method: what a replica carries at the peak over what it is planned to carry. The guide's: its 0.7."""


def with_sensitivity(bill: Bill, replanner: Replanner, prices: Sequence[ApiPrice], options: Options) -> Bill:
    """Return the bill with what moves its difference to each API of `prices`."""
    found = tuple(Sensitivity(model=price.id, swings=swings(replanner, price, options)) for price in prices)
    return msgspec.structs.replace(bill, sensitivity=found)


def swings(replanner: Replanner, price: ApiPrice, options: Options) -> tuple[Swing, ...]:
    """Return how own hosting's month less the API's changes with each figure, the widest swing first.

    Workloads are planned anew. A side is None where own hosting or the API has no known price there. Raises what
    planning raises for the spec itself.
    """
    load = requests_per_day(replanner.spec) * (1 + options.growth_percent / 100) * calls_per_request(options)
    plan = replanner(float(load))
    if keep := keeps_gpus(options, plan):
        replanner = replanner.pinned(plan)
    own = self_hosted(plan, options)
    theirs = api_bill(price, plan.spec, days_per_month(options), options)
    now = _difference(plan, price, options)

    def swing(figure: str, lower: Decimal | None, higher: Decimal | None) -> Swing:
        known = [side for side in (lower, now, higher) if side is not None]
        width = max(known) - min(known) if known else Decimal(0)
        return Swing(figure=figure, lower=lower, higher=higher, width=width)

    def planned(change: Change, by: Decimal) -> Decimal | None:
        made = _planned(replanner, change, by, load)
        return _difference(in_pools_of(made, plan) if made and keep else made, price, options)

    found = []
    for figure, change in WORKLOAD.items():
        found.append(swing(figure, planned(change, 1 - STEP), planned(change, 1 + STEP)))
    if options.method == "load":
        # A fifth less of what replicas carry is what a peak of 1 / 0.8 asks of them.
        found.append(swing(UTILISATION, planned(_peak, 1 / (1 - STEP)), planned(_peak, 1 / (1 + STEP))))
    if now is None:
        return tuple(sorted(found, key=lambda one: one.width, reverse=True))
    nodes, tokens = nodes_usd_per_month(own), _sum(theirs.lines, "tokens")
    if options.method == "guide":
        active = cents(((nodes or Decimal(0)) + _sum(own.lines, "network")) * STEP)
        found.append(swing(UTILISATION, now - active, now + active))
    moved = {
        "GPU price": cents((nodes or Decimal(0)) * STEP),
        "API price": -cents(tokens * STEP),
        "engineering": cents((_sum(own.lines, "engineering") - _sum(theirs.lines, "engineering")) * STEP),
    }
    for figure, by in moved.items():
        known = all(line.usd_per_month is not None for line in own.lines if line.kind == figure)
        found.append(swing(figure, now - by, now + by) if known else swing(figure, None, None))
    return tuple(sorted(found, key=lambda one: one.width, reverse=True))


def _peak(work: Workload, by: float) -> Workload:
    return msgspec.structs.replace(work, peak_to_mean=peak_to_mean(work) * by)


def _sum(lines: tuple[Line, ...], kind: str) -> Decimal:
    return sum(
        (line.usd_per_month for line in lines if line.kind == kind and line.usd_per_month is not None),
        Decimal(0),
    )


def _planned(replanner: Replanner, change: Change, by: Decimal, load: Decimal) -> Plan | None:
    changed = replanner.changed(lambda work: change(work, float(by)))
    scale = requests_per_day(changed.spec) / requests_per_day(replanner.spec)
    try:
        return changed(float(load * scale))
    except HomeportError:
        return None


def _difference(plan: Plan | None, price: ApiPrice, options: Options) -> Decimal | None:
    """Return own hosting's month less the API's; None where a side is unknown."""
    if plan is None:
        return None
    own = self_hosted(plan, options)
    theirs = api_bill(price, plan.spec, days_per_month(options), options).usd_per_month
    if theirs is None or own.usd_per_month is None or nodes_usd_per_month(own) is None:
        return None
    return own.usd_per_month - theirs
