"""The lines of the bill of own hosting by the guide's method."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from homeport.costs import guide
from homeport.costs.lines import GIVEN, billed, names, unknown
from homeport.costs.own_nodes import GPU_UNIT
from homeport.costs.types import Kind, Line, Options

if TYPE_CHECKING:
    from homeport.planning.types import ModelPlan, Plan

GUIDE_FIGURE = "an assumption of the guide"


def guide_lines(plan: Plan, options: Options) -> list[Line]:
    """Return the guide's terms for the plan's GPUs, a compute line for each model, and engineering once."""
    lines: list[Line] = []
    gpus = 0
    for model in plan.models:
        real = billed(model)
        if real.gpu is None:
            lines.append(
                unknown(
                    "nodes",
                    "compute",
                    None,
                    GPU_UNIT,
                    (model.spec.name,),
                    "the guide prices GPUs; this model has none",
                )
            )
            continue
        count = real.gpus_per_replica * real.replicas_planned
        gpus += count
        rate, source, as_of, note = _guide_rate(model, plan, options)
        terms = guide.self_hosted_monthly_cost(count, rate)
        lines.append(
            Line(
                kind="nodes",
                item=f"compute, {count} × {real.gpu.id}",
                quantity=count * terms.active_hours,
                unit=GPU_UNIT,
                unit_price_usd=rate,
                usd_per_month=terms.compute,
                source=source,
                as_of=as_of,
                estimated=True,
                models=(model.spec.name,),
                note=note or GUIDE_FIGURE,
            )
        )
    terms = guide.self_hosted_monthly_cost(gpus, Decimal(0))
    rest: tuple[tuple[Kind, Decimal, str, Decimal, Decimal], ...] = (
        ("storage", Decimal(gpus), "GPU", guide.STORAGE_USD_PER_GPU_MONTH, terms.storage),
        (
            "network",
            gpus * terms.active_hours,
            "active GPU hour",
            guide.NETWORK_USD_PER_GPU_HOUR,
            terms.network,
        ),
        ("engineering", Decimal(1), "month", guide.ENGINEERING_USD_PER_MONTH, terms.engineering),
    )
    for item, quantity, unit, price, amount in rest:
        lines.append(
            Line(
                kind=item,
                item=item,
                quantity=quantity,
                unit=unit,
                unit_price_usd=price,
                usd_per_month=amount,
                source=guide.SOURCE,
                as_of=guide.AS_OF,
                estimated=True,
                models=names(plan),
                note=GUIDE_FIGURE,
            )
        )
    return lines


def _guide_rate(
    model: ModelPlan, plan: Plan, options: Options
) -> tuple[Decimal | None, str | None, str | None, str | None]:
    """Return rate, source, date and note of a GPU hour: the user's, the guide's for an H100, else the price table's."""
    if options.gpu_usd_per_hour is not None:
        return (
            options.gpu_usd_per_hour,
            GIVEN,
            None,
            f"{guide.UTILIZATION:.0%} utilisation is the guide's assumption",
        )
    gpu = billed(model).gpu
    if gpu is not None and gpu.id.startswith("H100"):
        return guide.H100_USD_PER_HOUR, guide.SOURCE, guide.AS_OF, None
    pool = next((pool for pool in plan.pools if model.spec.name in pool.models), None)
    if pool is None or pool.price is None:
        return None, None, None, "no price known; --gpu-usd-per-hour gives one"
    rate = pool.price.usd_per_hour / pool.gpus_per_node
    return rate, pool.price.source, pool.price.as_of, "the guide prices H100 only; this is the price table's"
