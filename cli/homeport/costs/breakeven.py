"""Where own hosting becomes cheaper than an API, when own hosting is planned anew for each load.

Own hosting costs the same until a replica is added, so its cost is a staircase over the load; an API's cost is a
straight line through zero. More load never makes the cheapest fleet cheaper, so the cost at one load bounds the cost
of every smaller load from above and of every larger load from below. With that, two plans settle whole ranges:

    from the top     own(y) < slope * r for every r above own(y) / slope: cheaper on that whole part, up to y
    from the bottom  own(x) >= slope * r for every r up to own(x) / slope: not cheaper on that whole part, from x

What is left between is halved. The result is exact to one request a day, in a handful of plans.
"""

from bisect import bisect
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

from homeport.costs.types import Breakeven, Crossing

RANGE = (100, 10_000_000)
"""Requests a day that a breakeven is looked for in (widened where the user's own load lies outside)."""
MAX_PLANS = 120
"""Plans that one breakeven may take. Few are needed unless own hosting and the API cost nearly the same."""
PLANS_FOR_CROSSINGS = 40
"""Plans that may be spent on the other crossings once the breakeven (or that there is none) is known."""

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
        self._loads: list[int] = []
        self.budget = MAX_PLANS

    def at(self, load: int) -> Decimal:
        """Return the cost at `load`: from memory, between two loads that cost the same, or by a new plan."""
        if load in self.known:
            return self.known[load]
        i = bisect(self._loads, load)
        if 0 < i < len(self._loads):
            below, above = self.known[self._loads[i - 1]], self.known[self._loads[i]]
            if below == above:
                return below
        if self.budget <= 0:
            raise OutOfPlans
        self.budget -= 1
        cost = self._cost_at(load)
        self.known[load] = INFINITE if cost is None else cost
        self._loads.insert(i, load)
        return self.known[load]


class Less:
    """Own hosting's cost less what an API costs without a request, so that its line starts at zero."""

    def __init__(self, own: OwnCost, fixed: Decimal) -> None:
        """`own` remembers; this only subtracts."""
        self._own = own
        self.fixed = fixed

    def at(self, load: int) -> Decimal:
        """Return the cost at `load`."""
        return self._own.at(load) - self.fixed


def runs(own: OwnCost | Less, slope: Decimal, low: int, high: int) -> Iterator[Run]:
    """Yield the runs of `low` to `high`, highest first; together they cover the range without a gap.

    `slope` is what the API costs more than `own.of_one`, USD a month, for each request a day.
    """
    below, above = own.at(low), own.at(high)
    settled_above = min(high, _last_dearer(above, slope, high))
    settled_below = max(low - 1, min(high, _last_dearer(below, slope, high)))
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
    model: str,
    own: OwnCost,
    slope: Decimal | None,
    low: int,
    high: int,
    *,
    at_least: bool = False,
    fixed: Decimal = Decimal(0),
    plans: int = MAX_PLANS,
) -> Breakeven:
    """Find the breakeven against one API model in the range `low` to `high` requests a day.

    The API costs `fixed` a month and `slope` for each request a day. At most `plans` plans are made.
    """
    if slope is None:
        return Breakeven(
            model=model, requests_per_day=None, reason="the API's price is unknown", crossings_complete=False
        )
    own.budget = plans
    net = slope - own.of_one
    found: list[Run] = []
    complete = True
    cheaper_at_end = own.at(high) - fixed < net * high
    if not cheaper_at_end:
        own.budget = min(plans, PLANS_FOR_CROSSINGS)
    try:
        for run in runs(Less(own, fixed), net, low, high):
            if found and found[-1].cheaper == run.cheaper:
                found[-1] = Run(run.low, found[-1].high, run.cheaper)
            else:
                found.append(run)
            if len(found) > 1:
                own.budget = min(own.budget, PLANS_FOR_CROSSINGS)
    except OutOfPlans:
        complete = False
    crossings = tuple(
        Crossing(requests_per_day=upper.low, becomes="cheaper" if upper.cheaper else "dearer")
        for upper, lower in reversed(list(pairwise(found)))
    )
    if cheaper_at_end:
        load, reason = _lowest(found, low, high, complete)
    else:
        load, reason = None, _why_none(found, own, slope, fixed, high, complete)
    return Breakeven(
        model=model,
        requests_per_day=load,
        reason=reason,
        at_least=at_least,
        crossings=crossings,
        crossings_complete=complete,
    )


def _lowest(found: list[Run], low: int, high: int, complete: bool) -> tuple[int | None, str | None]:
    if len(found) > 1:
        return found[0].low, None
    if complete:
        return low, "own hosting is cheaper in the whole range"
    from_load = found[0].low if found else high
    return None, f"cheaper from {from_load:,} on; below, the two cost too nearly the same to tell"


def _why_none(
    found: list[Run], own: OwnCost, slope: Decimal, fixed: Decimal, high: int, complete: bool
) -> str:
    cheaper = [run for run in found if run.cheaper]
    if cheaper:
        where = f"cheaper only from {cheaper[0].low:,} to {cheaper[0].high:,}"
    else:
        where = "never cheaper" if complete else "not cheaper at the range's end"
    cost = own.at(high)
    if cost == INFINITE:
        return f"{where}: no plan of a known price that the spec allows carries {high:,} requests a day"
    return (
        f"{where}: at {high:,} requests a day own hosting costs ${cost + own.of_one * high:,.0f} a month, "
        f"the API ${slope * high + fixed:,.0f}"
    )
