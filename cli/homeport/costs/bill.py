"""The bill of own hosting next to the APIs at one load, and where the two cross.

Load-aware method: whole nodes around the clock (730 hours a month), unless a day profile or the user says when the
replicas above the minimum run. What has no price is unknown and makes the total "at least".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from homeport.costs.api import api_bill, tokens_per_day
from homeport.costs.assumed import assumptions
from homeport.costs.breakeven import RANGE
from homeport.costs.curves import Market, Replan, calls_per_request
from homeport.costs.lines import billed
from homeport.costs.money import decimal
from homeport.costs.own import days_per_month
from homeport.costs.own_nodes import keeps_gpus
from homeport.costs.types import Bill, Deployment, Options

if TYPE_CHECKING:
    from homeport.catalog.types import ApiPrice
    from homeport.planning.types import ModelPlan, Plan
CURVE_STEPS = 60
"""Steps of a curve from its lowest load to its highest."""


def cost(
    replan: Replan,
    load: float,
    prices: Sequence[ApiPrice],
    options: Options | None = None,
    *,
    pinned: Callable[[Plan], Replan] | None = None,
    curves: bool = False,
) -> Bill:
    """Bill own hosting and every API model of `prices` (in their order), and find each breakeven.

    `load` is the spec's requests a day, all models together; growth and retries of `options` are added here. Loads of
    breakevens count requests before retries. `pinned` makes a `replan` that keeps a plan's GPUs: it is used where the
    bill's price of a GPU hour isn't the one that plans choose by, so that the cheapest fleet cannot be found by it.
    `curves` adds the cost at other loads. Raises what `replan` raises for the load itself.
    """
    options = options or Options()
    grown = decimal(load) * (1 + options.growth_percent / 100)
    plan = replan(float(grown * calls_per_request(options)))
    keep = pinned is not None and keeps_gpus(options, plan)
    at_other_loads = pinned(plan) if pinned is not None and keep else replan
    market = Market(at_other_loads, plan, prices, options, same_nodes=keep)
    days = days_per_month(options)
    loads = min(RANGE[0], max(1, math.floor(grown))), max(RANGE[1], math.ceil(grown))
    return Bill(
        name=plan.spec.name,
        method=options.method,
        requests_per_day=grown,
        tokens_per_month=tokens_per_day(plan.spec) * days,
        range_requests_per_day=loads,
        self_hosted=market.own_bill,
        api=tuple(api_bill(price, plan.spec, days, options) for price in prices),
        deployments=deployments(plan),
        breakeven=market.breakevens(*loads),
        curves=market.curves(curve_loads(grown)) if curves else None,
        assumptions=tuple(assumptions(plan, options)),
        warnings=plan.warnings + tuple(text for model in plan.models for text in model.warnings),
    )


def curve_loads(load: Decimal) -> list[int]:
    """Return loads around `load`, a hundredth to a hundredfold within reason, evenly spaced on a logarithmic axis."""
    middle = max(float(load), 100.0)
    low, high = middle / 100, min(middle * 100, max(RANGE[1], middle))
    steps = [low * (high / low) ** (step / CURVE_STEPS) for step in range(CURVE_STEPS + 1)]
    return sorted({max(1, round(at)) for at in steps})


def deployments(plan: Plan) -> tuple[Deployment, ...]:
    """Return what a plan deploys, of simulated models the real thing."""
    return tuple(_deployment(model) for model in plan.models)


def _deployment(model: ModelPlan) -> Deployment:
    real = billed(model)
    return Deployment(
        name=model.spec.name,
        model=model.spec.model,
        precision=real.precision,
        gpu=real.gpu.id if real.gpu else None,
        gpus_per_replica=real.gpus_per_replica,
        replicas=real.replicas_planned,
    )
