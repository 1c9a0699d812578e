"""Where own hosting becomes cheaper than an API, when own hosting is planned anew for each load.

Own hosting costs the same until a replica is added, so its cost is a staircase over the load; an API's cost is a
straight line through zero. More load never makes the cheapest fleet cheaper, so the cost at one load bounds the cost
of every smaller load from above and of every larger load from below. With that, two plans settle whole ranges:

    from the top     own(y) < slope * r for every r above own(y) / slope: cheaper on that whole part, up to y
    from the bottom  own(x) >= slope * r for every r up to own(x) / slope: not cheaper on that whole part, from x

What is left between is halved. The result is exact to one request a day, in a handful of plans.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

from homeport.costs.money import cents
from homeport.costs.types import Breakeven, Crossing

RANGE = (100, 10_000_000)
"""Requests a day that a breakeven is looked for in (widened where the user's own load lies outside)."""
MAX_PLANS = 60
"""Plans that one look for a breakeven may take."""

INFINITE = Decimal("Infinity")


class Run(NamedTuple):
    """Loads from `low` to `high`, both included, in all of which own hosting is cheaper, or in none."""

    low: int
    high: int
    cheaper: bool


class OutOfPlans(Exception):  # noqa: N818 - a signal inside this module, not an error
    """The budget of plans is used up."""


class OwnCost:
    """USD a month of own hosting at a load; each load is planned once. Infinite where no plan carries the load."""

    def __init__(self, cost_at: Callable[[int], Decimal | None], of_one: Decimal = Decimal(0)) -> None:
        """`cost_at` plans for a load in requests a day and bills it; None: it cannot be carried.

        `of_one` is what each request a day adds a month on top, such as egress.
        """
        self._cost_at = cost_at
        self.of_one = of_one
        self.known: dict[int, Decimal] = {}
        self.budget = MAX_PLANS

    def at(self, load: int) -> Decimal:
        """Return the cost at `load`, from memory or by a new plan."""
        if load not in self.known:
            if self.budget <= 0:
                raise OutOfPlans
            self.budget -= 1
            cost = self._cost_at(load)
            self.known[load] = INFINITE if cost is None else cost
        return self.known[load]


def runs(own: OwnCost, slope: Decimal, low: int, high: int) -> Iterator[Run]:
    """Yield the runs of `low` to `high`, highest first; together they cover the range without a gap.

    `slope` is what the API costs more than `own.of_one`, USD a month, for each request a day.
    """
    below, above = own.at(low), own.at(high)
    settled_above = min(high, _last_dearer(above, slope, high))
    settled_below = min(high, _last_dearer(below, slope, high))
    if settled_above < low:
        yield Run(low, high, cheaper=True)
        return
    if settled_above < high:
        yield Run(settled_above + 1, high, cheaper=True)
    rest = (max(low, settled_below + 1), settled_above)
    if rest[0] <= rest[1]:
        if rest != (low, high):
            yield from runs(own, slope, *rest)
        else:
            # Cheaper at `low` and not at `high`: a replica was added in between.
            middle = (low + high) // 2
            yield from runs(own, slope, middle + 1, high)
            yield from runs(own, slope, low, middle)
    if rest[0] > low:
        yield Run(low, min(rest[0] - 1, settled_above), cheaper=False)


def _last_dearer(cost: Decimal, slope: Decimal, high: int) -> int:
    """Return the largest load at which an API of `slope` costs no more than `cost`."""
    if slope <= 0 or cost == INFINITE:
        return high
    return int(cost // slope)


def breakeven(
    model: str, own: OwnCost, slope: Decimal | None, low: int, high: int, *, at_least: bool = False
) -> Breakeven:
    """Find the breakeven against one API model in the range `low` to `high` requests a day."""
    if slope is None:
        return Breakeven(
            model=model, requests_per_day=None, reason="the API's price is unknown", complete=False
        )
    own.budget = MAX_PLANS
    found: list[Run] = []
    complete = True
    try:
        for run in runs(own, slope - own.of_one, low, high):
            if found and found[-1].cheaper == run.cheaper:
                found[-1] = Run(run.low, found[-1].high, run.cheaper)
            else:
                found.append(run)
    except OutOfPlans:
        complete = False
    crossings = tuple(
        Crossing(requests_per_day=upper.low, becomes="cheaper" if upper.cheaper else "dearer")
        for upper, lower in reversed(list(pairwise(found)))
    )
    load, reason = _verdict(found, own, slope, low, high, complete)
    return Breakeven(
        model=model,
        requests_per_day=load,
        reason=reason,
        at_least=at_least,
        crossings=crossings,
        complete=complete,
    )


def _verdict(
    found: list[Run], own: OwnCost, slope: Decimal, low: int, high: int, complete: bool
) -> tuple[int | None, str | None]:
    if not found:
        return None, "own hosting and the API cost too nearly the same to tell them apart"
    top = found[0]
    if top.cheaper:
        if len(found) > 1:
            return top.low, None
        if not complete:
            return None, (
                f"own hosting is cheaper from {top.low:,} requests a day on; below that the two cost too nearly "
                "the same to tell them apart"
            )
        return low, f"own hosting is cheaper in the whole range, from {low:,} requests a day on"
    cheaper = [run for run in found if run.cheaper]
    where = (
        f"own hosting is cheaper only from {cheaper[0].low:,} to {cheaper[0].high:,} requests a day"
        if cheaper
        else "own hosting is cheaper nowhere in the range"
        if complete
        else "own hosting is not cheaper at the range's end"
    )
    cost = own.at(high)
    if cost == INFINITE:
        return None, f"{where}: no plan that the spec allows carries {high:,} requests a day"
    return None, (
        f"{where}: at {high:,} requests a day it costs ${cents(cost + own.of_one * high):,} a month, "
        f"the API ${cents(slope * high):,}"
    )
