"""Own hosting and the APIs as functions of the load: breakevens, and the curves between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from homeport.costs.api import fixed_usd_per_month, requests_per_day, tokens_per_day, usd_per_daily_request
from homeport.costs.breakeven import INFINITE, MAX_PLANS, OutOfPlans, OwnCost, breakeven
from homeport.costs.money import MILLION
from homeport.costs.own import days_per_month, in_pools_of, nodes_usd_per_month, self_hosted
from homeport.costs.types import Breakeven, Curve, Curves, Options
from homeport.errors import HomeportError

if TYPE_CHECKING:
    from homeport.catalog.types import ApiPrice
    from homeport.planning.types import Plan

Replan = Callable[[float], "Plan"]
"""Plans the whole spec for so many requests a day, shared among its models as the spec shares them."""


MODELS_PLANNED = 3_000
"""Models that one breakeven may plan, all its plans together: a fleet of 100 different ones gets 30 plans."""
LEAST_PLANS = 12


def calls_per_request(options: Options) -> Decimal:
    """Return how often a request is sent on average, retries included."""
    return 1 + options.retries_percent / 100


class Market:
    """What own hosting and each API cost a month at any load, for the mix of requests of one plan.

    Loads count requests a day before retries.
    """

    def __init__(
        self,
        replan: Replan,
        plan: Plan,
        prices: Sequence[ApiPrice],
        options: Options,
        *,
        same_nodes: bool = False,
    ) -> None:
        """`plan` is the plan at the spec's own load; `replan` is asked for others, on the same nodes where asked."""
        self.own_bill = self_hosted(plan, options)
        self.priced = nodes_usd_per_month(self.own_bill) is not None
        calls = calls_per_request(options)
        # Traffic grows with the load; the rest of the bill only moves when a replica is added.
        egress = options.egress_usd_per_month if options.method == "load" else None
        of_one = (egress or Decimal(0)) / requests_per_day(plan.spec) * calls
        stepping = msgspec.structs.replace(options, egress_usd_per_month=None)

        def cost_at(requests: int) -> Decimal | None:
            try:
                made = replan(float(requests * calls))
            except HomeportError:
                return None
            bill = self_hosted(in_pools_of(made, plan) if same_nodes else made, stepping)
            return None if nodes_usd_per_month(bill) is None else bill.usd_per_month

        self.own = OwnCost(cost_at, of_one)
        days = days_per_month(options)
        self.slopes: dict[str, Decimal | None] = {}
        for price in prices:
            usd = usd_per_daily_request(price, plan.spec, days, options)
            self.slopes[price.id] = None if usd is None else usd * calls
        self.fixed = fixed_usd_per_month(options)
        self.mtok_of_one = tokens_per_day(plan.spec) * days / requests_per_day(plan.spec) * calls / MILLION
        self.plans = plans_allowed(plan)

    def breakevens(self, low: int, high: int) -> tuple[Breakeven, ...]:
        """Find the breakeven against each API from `low` to `high` requests a day."""
        if not self.priced:
            reason = "the price of own nodes is unknown"
            return tuple(
                Breakeven(model=model, requests_per_day=None, reason=reason, crossings_complete=False)
                for model in self.slopes
            )
        at_least = self.own_bill.at_least
        return tuple(
            breakeven(
                model, self.own, slope, low, high, at_least=at_least, fixed=self.fixed, plans=self.plans
            )
            for model, slope in self.slopes.items()
        )

    def curves(self, loads: Sequence[int]) -> Curves:
        """Return USD a month of own hosting and of each priced API at `loads` (ascending)."""
        self.own.budget = min(len(loads), self.plans)
        own: list[Decimal | None] = [None] * len(loads)
        if self.priced:
            for i in _coarse_first(len(loads)):
                try:
                    cost = self.own.at(loads[i])
                except OutOfPlans:
                    break
                own[i] = None if cost == INFINITE else cost + self.own.of_one * loads[i]
        return Curves(
            loads=tuple(loads),
            own=tuple(own),
            api=tuple(
                Curve(model=model, usd_per_month=tuple(slope * load + self.fixed for load in loads))
                for model, slope in self.slopes.items()
                if slope is not None
            ),
            mtok_of_one=self.mtok_of_one,
        )


def plans_allowed(plan: Plan) -> int:
    """Return how many plans a breakeven may take: fewer for a fleet of many different models, so that it ends in time."""
    different = len({msgspec.structs.replace(model.spec, name="model") for model in plan.models})
    return max(LEAST_PLANS, min(MAX_PLANS, MODELS_PLANNED // different))


def _coarse_first(count: int) -> list[int]:
    """Return the indices of `count` points, the ends first, then halves: points between equal ones need no plan."""
    order = sorted({0, count - 1})
    gaps = [(0, count - 1)]
    while gaps:
        low, high = gaps.pop(0)
        if high - low > 1:
            middle = (low + high) // 2
            order.append(middle)
            gaps += [(low, middle), (middle, high)]
    return order
