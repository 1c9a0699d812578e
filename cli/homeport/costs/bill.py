"""The bill of own hosting next to the APIs at one load, and where the two cross.

Load-aware method: whole nodes around the clock (730 hours a month), unless the user says which share of the month the
replicas above the minimum run. What has no price is unknown and makes the total "at least".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from homeport.costs import guide
from homeport.costs.api import api_bill, requests_per_day, tokens_per_day, usd_per_daily_request
from homeport.costs.breakeven import RANGE, OwnCost, breakeven
from homeport.costs.money import DAYS_PER_MONTH, MILLION, decimal, total
from homeport.costs.own import guide_lines, load_lines
from homeport.costs.types import Bill, Breakeven, Deployment, Options, SelfHosted
from homeport.errors import HomeportError

if TYPE_CHECKING:
    from homeport.catalog.types import ApiPrice
    from homeport.planning.types import ModelPlan, Plan

Replan = Callable[[float], "Plan"]
"""Plans the whole spec for so many requests a day, shared among its models as the spec shares them."""


def cost(
    replan: Replan,
    load: float,
    prices: Sequence[ApiPrice],
    options: Options | None = None,
    *,
    pinned: Callable[[Plan], Replan] | None = None,
) -> Bill:
    """Bill own hosting and every API model of `prices` (in their order), and find each breakeven.

    `load` is the spec's requests a day, all models together; growth and retries of `options` are added here. Loads of
    breakevens count requests before retries. `pinned` makes a `replan` that keeps a plan's GPUs: it is used where the
    bill's price of a GPU hour isn't the one that plans choose by, so that the cheapest fleet cannot be found by it.
    Raises what `replan` raises for the load itself.
    """
    options = options or Options()
    grown = decimal(load) * (1 + options.growth_percent / 100)
    plan = replan(float(grown * _calls_per_request(options)))
    own = self_hosted(plan, options)
    days = days_per_month(options)
    loads = min(RANGE[0], max(1, math.floor(grown))), max(RANGE[1], math.ceil(grown))
    return Bill(
        name=plan.spec.name,
        method=options.method,
        requests_per_day=grown,
        tokens_per_month=tokens_per_day(plan.spec) * days,
        range_requests_per_day=loads,
        self_hosted=own,
        api=tuple(api_bill(price, plan.spec, days) for price in prices),
        deployments=tuple(_deployment(model) for model in plan.models),
        breakeven=_breakevens(
            pinned(plan) if pinned and keeps_gpus(options) else replan, plan, prices, options, loads
        ),
        assumptions=tuple(_assumptions(plan, options)),
        warnings=plan.warnings + tuple(text for model in plan.models for text in model.warnings),
    )


def self_hosted(plan: Plan, options: Options) -> SelfHosted:
    """Return the bill of own hosting for a plan, by the method of `options`."""
    lines = guide_lines(plan, options) if options.method == "guide" else load_lines(plan, options)
    amount = total([line.usd_per_month for line in lines])
    mtok = tokens_per_day(plan.spec) * days_per_month(options) / MILLION
    return SelfHosted(
        usd_per_month=amount,
        at_least=any(line.usd_per_month is None for line in lines),
        usd_per_million_tokens=None if amount is None else (amount / mtok).quantize(Decimal("0.0001")),
        lines=tuple(lines),
        idle_gpus=sum(pool.idle_gpus for pool in plan.pools),
    )


def keeps_gpus(options: Options) -> bool:
    """Say whether the price of a GPU hour is not the price table's, so that breakevens keep the plan's GPUs."""
    return options.method == "guide" or options.gpu_usd_per_hour is not None


def _deployment(model: ModelPlan) -> Deployment:
    return Deployment(
        name=model.spec.name,
        model=model.spec.model,
        precision=model.precision,
        gpu=model.gpu.id if model.gpu else None,
        gpus_per_replica=model.gpus_per_replica,
        replicas=model.replicas_planned,
    )


def days_per_month(options: Options) -> Decimal:
    """Return the days of the method's month: 30 in the guide, 730 hours otherwise."""
    return guide.DAYS_PER_MONTH if options.method == "guide" else DAYS_PER_MONTH


def _calls_per_request(options: Options) -> Decimal:
    return 1 + options.retries_percent / 100


def _breakevens(
    replan: Replan, plan: Plan, prices: Sequence[ApiPrice], options: Options, loads: tuple[int, int]
) -> tuple[Breakeven, ...]:
    own = self_hosted(plan, options)
    if any(line.usd_per_month is None for line in own.lines if line.unit in ("node hour", "GPU hour")):
        reason = "the price of own nodes is unknown"
        return tuple(
            Breakeven(model=price.id, requests_per_day=None, reason=reason, complete=False)
            for price in prices
        )
    calls = _calls_per_request(options)
    # Traffic grows with the load; the rest of the bill only moves when a replica is added.
    egress = options.egress_usd_per_month if options.method == "load" else None
    of_one = (egress or Decimal(0)) / requests_per_day(plan.spec) * calls
    stepping = msgspec.structs.replace(options, egress_usd_per_month=None)

    def cost_at(requests: int) -> Decimal | None:
        try:
            bill = self_hosted(replan(float(requests * calls)), stepping)
        except HomeportError:
            return None
        return bill.usd_per_month

    cost_of = OwnCost(cost_at, of_one)
    days = days_per_month(options)
    found = []
    for price in prices:
        slope = usd_per_daily_request(price, plan.spec, days)
        found.append(
            breakeven(
                price.id, cost_of, None if slope is None else slope * calls, *loads, at_least=own.at_least
            )
        )
    return tuple(found)


def _assumptions(plan: Plan, options: Options) -> list[str]:
    texts: list[str] = []
    if options.method == "guide":
        texts.append(
            f"the guide's formulas: {guide.UTILIZATION:.0%} utilisation of 730 hours, ${guide.STORAGE_USD_PER_GPU_MONTH} "
            f"a GPU for storage, ${guide.NETWORK_USD_PER_GPU_HOUR} a GPU and active hour for network, "
            f"${guide.ENGINEERING_USD_PER_MONTH:,} for engineering, a month of 30 days for APIs"
        )
        if options.gpu_usd_per_hour is None:
            texts.append(f"an H100 hour costs ${guide.H100_USD_PER_HOUR}, the guide's price")
    else:
        texts.append("a month is 730 hours, for nodes and for requests")
        scaling = [m for m in plan.models if m.replicas_min < m.replicas_planned]
        if scaling and options.scaled_share is None:
            names = ", ".join(m.spec.name for m in scaling)
            texts.append(
                f"all planned replicas run around the clock ({names} may scale down: --scaled-share gives the share of "
                "the month that replicas above the minimum run)"
            )
        texts.append("people's time is not in the bill")
        if options.egress_usd_per_month is not None:
            texts.append("egress grows with the load")
    if options.gpu_usd_per_hour is not None:
        texts.append("your price of a GPU hour is for the GPUs that were chosen by the price table")
    if keeps_gpus(options) and plan.pools:
        texts.append(
            "breakevens keep these GPUs and their number in a replica; replicas are added as the load needs"
        )
    if options.growth_percent:
        texts.append(f"the load has grown by {options.growth_percent}%")
    if options.retries_percent:
        texts.append(
            f"{options.retries_percent}% of requests are sent again; own servers and APIs answer both"
        )
    return texts
