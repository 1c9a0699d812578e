"""The bill of own hosting next to the APIs at one load, and where the two cross.

Load-aware method: whole nodes around the clock (730 hours a month), unless the user says which share of the month the
replicas above the minimum run. What has no price is unknown and makes the total "at least".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from homeport.costs import guide
from homeport.costs.api import api_bill, tokens_per_day
from homeport.costs.breakeven import RANGE
from homeport.costs.curves import Market, Replan, calls_per_request
from homeport.costs.lines import billed
from homeport.costs.money import decimal
from homeport.costs.own import days_per_month
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
    market = Market(pinned(plan) if pinned and keeps_gpus(options) else replan, plan, prices, options)
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
        deployments=tuple(_deployment(model) for model in plan.models),
        breakeven=market.breakevens(*loads),
        curves=market.curves(curve_loads(grown)) if curves else None,
        assumptions=tuple(_assumptions(plan, options)),
        warnings=plan.warnings + tuple(text for model in plan.models for text in model.warnings),
    )


def curve_loads(load: Decimal) -> list[int]:
    """Return loads around `load`, a hundredth to a hundredfold within reason, evenly spaced on a logarithmic axis."""
    middle = max(float(load), 100.0)
    low, high = middle / 100, min(middle * 100, max(RANGE[1], middle))
    steps = [low * (high / low) ** (step / CURVE_STEPS) for step in range(CURVE_STEPS + 1)]
    return sorted({max(1, round(at)) for at in steps})


def keeps_gpus(options: Options) -> bool:
    """Say whether the price of a GPU hour is not the price table's, so that breakevens keep the plan's GPUs."""
    return options.method == "guide" or options.gpu_usd_per_hour is not None


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


def _assumptions(plan: Plan, options: Options) -> list[str]:
    texts: list[str] = []
    real = [billed(model) for model in plan.models]
    simulated = [model.spec.name for model in plan.models if model.stands_for is not None]
    if simulated:
        texts.append(
            f"simulated here: {', '.join(simulated)}; the bill is of the real servers that stand behind it"
        )
    if options.method == "guide":
        texts.append(
            f"the guide's formulas: {guide.UTILIZATION:.0%} utilisation of 730 hours, ${guide.STORAGE_USD_PER_GPU_MONTH} "
            f"a GPU for storage, ${guide.NETWORK_USD_PER_GPU_HOUR} a GPU and active hour for network, "
            f"${guide.ENGINEERING_USD_PER_MONTH:,} for engineering, a month of 30 days for APIs"
        )
        if options.gpu_usd_per_hour is None and any(
            m.gpu and m.gpu.id.startswith("H100") for m in plan.models
        ):
            texts.append(f"an H100 hour costs ${guide.H100_USD_PER_HOUR}, the guide's price")
    else:
        texts.append("a month is 730 hours, for nodes and for requests")
        scaling = [m for m in real if m.replicas_min < m.replicas_planned]
        if scaling and options.scaled_share is None:
            names = ", ".join(m.spec.name for m in scaling)
            texts.append(
                f"all planned replicas run around the clock ({names} may scale down: --scaled-share gives the share of "
                "the month that replicas above the minimum run)"
            )
        if options.scaled_share is not None and not scaling:
            texts.append("the scaled share changes nothing: no replica above the minimum is planned")
        texts.append("people's time is not in the bill")
        if options.egress_usd_per_month is not None:
            texts.append("egress grows with the load")
    if options.gpu_usd_per_hour is not None:
        texts.append("your price of a GPU hour is for the GPUs that were chosen by the price table")
    if keeps_gpus(options) and plan.pools:
        texts.append(
            "breakevens keep these GPUs and their number in a replica; replicas are added as the load needs"
        )
    if options.cached_input_percent:
        texts.append(
            f"the APIs' caches serve {options.cached_input_percent}% of input tokens; writing to a cache is not billed, "
            "and own servers are planned without such hits"
        )
    if options.batch_percent:
        texts.append(
            f"{options.batch_percent}% of requests can wait for the APIs' batches; own servers answer them at once"
        )
    if options.growth_percent:
        texts.append(f"the load has grown by {options.growth_percent}%")
    if options.retries_percent:
        texts.append(
            f"{options.retries_percent}% of requests are sent again; own servers and APIs answer both"
        )
    return texts
