"""The lines of own hosting beside its nodes: weights, exposure, platform, people, training."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING

from homeport.costs.lines import billed, given, names, unknown
from homeport.costs.money import HOURS_PER_MONTH, HOURS_PER_WEEK, decimal
from homeport.costs.own_nodes import GPU_UNIT
from homeport.costs.types import Line, Options
from homeport.planning.hardware import LOCAL

if TYPE_CHECKING:
    from homeport.planning.types import ModelPlan, Plan

PUBLIC = ("load_balancer", "ingress", "gateway")
GIB = 1024**3
VOLUMES = {"hub": "weights, a volume for each replica", "pvc": "weights, one shared volume"}
"""What the bill calls the volumes of weights, by the weights' source."""
WEIGHTS_VOLUME_FACTOR = 1.2
"""Size of a weights volume nobody wrote, over the checkpoint's bytes (the spec's `weights.size_gib`)."""
OWN_HOURS_PER_WEEK = Decimal(15)
"""Hours of maintenance a week: the middle of 10 to 20, by the operations table of the guide (April 2026)."""
API_HOURS_PER_WEEK = Decimal(2)
"""Hours of maintenance a week with an API, by the same table."""
GUIDE_HOURS = "15 hours a week, the middle of the guide's 10 to 20"


def is_local(plan: Plan) -> bool:
    """Say whether the plan runs on the user's own machine for real, not as a simulation of something larger."""
    return plan.spec.target.platform in LOCAL and all(model.stands_for is None for model in plan.models)


def rest_lines(plan: Plan, options: Options) -> list[Line]:
    """Return all lines but those of nodes. Unknown prices stay unknown; a local cluster has none of these."""
    local = is_local(plan)
    lines = []
    if not local:
        lines += [line for model in plan.models if (line := _weights(model, options)) is not None]
    lines += _exposure(plan, options)
    everyone = names(plan)
    if not local or options.platform_usd_per_month is not None:
        price = options.platform_usd_per_month
        lines.append(given("platform", "cluster and its system nodes", Decimal(1), "month", price, everyone))
    if not local or options.engineering_usd_per_hour is not None:
        lines.append(_engineering(options, everyone))
    return lines


def api_engineering(options: Options) -> Line | None:
    """Return the line of the people who look after an API; None where nobody said what an hour costs."""
    if options.engineering_usd_per_hour is None:
        return None
    hours = API_HOURS_PER_WEEK * HOURS_PER_MONTH / HOURS_PER_WEEK
    note = "2 hours a week by the guide's table"
    price = options.engineering_usd_per_hour
    return given("engineering", "engineering", hours, "hour", price, (), note)


def fine_tuning(plan: Plan, options: Options, nodes: list[Line]) -> list[Line]:
    """Return the line of training runs, at the given price of a GPU hour or that of the first of the `nodes`."""
    tuning = options.fine_tuning
    if tuning is None:
        return []
    hours = decimal(tuning.runs_per_month) * decimal(tuning.gpu_hours)
    item = f"fine-tuning, {tuning.runs_per_month:g} runs of {tuning.gpu_hours:g} GPU hours"
    if tuning.usd_per_gpu_hour is not None:
        price = decimal(tuning.usd_per_gpu_hour)
        return [given("fine_tuning", item, hours, GPU_UNIT, price, names(plan))]
    priced = next((line for line in nodes if line.kind == "nodes" and line.unit_price_usd is not None), None)
    if priced is None or not plan.pools:
        note = "no price of a GPU hour: costs.fine_tuning.usd_per_gpu_hour gives one"
        return [unknown("fine_tuning", item, hours, GPU_UNIT, names(plan), note)]
    per_node = plan.pools[0].gpus_per_node if priced.unit != GPU_UNIT else 1
    assert priced.unit_price_usd is not None, "looked for"
    line = given(
        "fine_tuning",
        item,
        hours,
        GPU_UNIT,
        priced.unit_price_usd / per_node,
        names(plan),
        "at the price of the planned GPUs",
    )
    return [_from(line, priced)]


def _from(line: Line, priced: Line) -> Line:
    import msgspec

    return msgspec.structs.replace(line, source=priced.source, as_of=priced.as_of)


def _engineering(options: Options, everyone: tuple[str, ...]) -> Line:
    weekly = options.engineering_hours_per_week
    hours = (OWN_HOURS_PER_WEEK if weekly is None else weekly) * HOURS_PER_MONTH / HOURS_PER_WEEK
    price = options.engineering_usd_per_hour
    assumed = GUIDE_HOURS if weekly is None else None
    return given("engineering", "engineering", hours, "hour", price, everyone, assumed)


def _weights(model: ModelPlan, options: Options) -> Line | None:
    real, weights = billed(model), model.spec.weights
    if weights.source in ("oci", "local"):
        return None
    size = weights.size_gib or math.ceil(real.source.weight_bytes * WEIGHTS_VOLUME_FACTOR / GIB)
    volumes = real.replicas_planned if weights.source == "hub" else 1
    item = VOLUMES.get(weights.source, "weights in the object store")
    price = options.storage_usd_per_gib_month
    return given("storage", item, Decimal(size * volumes), "GiB", price, (model.spec.name,))


def _exposure(plan: Plan, options: Options) -> list[Line]:
    public = tuple(m.spec.name for m in plan.models if m.spec.expose.kind in PUBLIC)
    balancers = sum(m.spec.expose.kind == "load_balancer" for m in plan.models)
    # All models behind an ingress or a gateway share its one load balancer.
    balancers += any(m.spec.expose.kind in ("ingress", "gateway") for m in plan.models)
    lines = []
    if balancers:
        price, hours = options.load_balancer_usd_per_hour, HOURS_PER_MONTH * balancers
        lines.append(given("load_balancer", "load balancer", hours, "hour", price, public))
    if public or options.egress_usd_per_month is not None:
        price = options.egress_usd_per_month
        lines.append(given("egress", "egress", Decimal(1), "month", price, public or names(plan)))
    return lines
