"""What moves the decision most: each figure a fifth lower and a fifth higher, everything else as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from homeport.costs.api import api_bill, requests_per_day
from homeport.costs.bill import keeps_gpus
from homeport.costs.curves import calls_per_request
from homeport.costs.money import cents
from homeport.costs.own import days_per_month, nodes_usd_per_month, self_hosted
from homeport.costs.types import Bill, Options, Sensitivity, Swing
from homeport.errors import HomeportError

if TYPE_CHECKING:
    from homeport.catalog.types import ApiPrice
    from homeport.costs.replan import Replanner
    from homeport.planning.types import Plan
    from homeport.spec.models import Workload

STEP = Decimal("0.2")
"""How far each figure is moved, down and up."""
PEAK_AT_LEAST = 1.0

Change = Callable[["Workload", float], "Workload"]

WORKLOAD: dict[str, Change] = {
    "requests a day": lambda work, by: msgspec.structs.replace(
        work, requests_per_day=work.requests_per_day * by
    ),
    "input tokens": lambda work, by: msgspec.structs.replace(work, input_tokens=work.input_tokens * by),
    "output tokens": lambda work, by: msgspec.structs.replace(work, output_tokens=work.output_tokens * by),
    "peak to mean": lambda work, by: msgspec.structs.replace(
        work, peak_to_mean=max(PEAK_AT_LEAST, work.peak_to_mean * by)
    ),
}


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
    if keeps_gpus(options):
        replanner = replanner.pinned(plan)
    nodes = nodes_usd_per_month(self_hosted(plan, options))
    theirs = api_bill(price, plan.spec, days_per_month(options), options).usd_per_month
    now = _difference(plan, price, options)

    def swing(figure: str, lower: Decimal | None, higher: Decimal | None) -> Swing:
        known = [side for side in (lower, now, higher) if side is not None]
        width = max(known) - min(known) if known else Decimal(0)
        return Swing(figure=figure, lower=lower, higher=higher, width=width)

    found = []
    for figure, change in WORKLOAD.items():
        lower, higher = (
            _difference(_planned(replanner, change, by, load), price, options) for by in (1 - STEP, 1 + STEP)
        )
        found.append(swing(figure, lower, higher))
    if now is not None and nodes is not None and theirs is not None:
        gpus, tokens = cents(nodes * STEP), cents(theirs * STEP)
        found.append(swing("GPU price", now - gpus, now + gpus))
        found.append(swing("API price", now + tokens, now - tokens))
    return tuple(sorted(found, key=lambda one: one.width, reverse=True))


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
