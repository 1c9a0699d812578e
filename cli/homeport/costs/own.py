"""The bill of own hosting for one plan: the load-aware method's lines, or the guide's."""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING

from homeport.costs import guide
from homeport.costs.api import tokens_per_day
from homeport.costs.lines import GIVEN, billed, given, names, unknown
from homeport.costs.money import DAYS_PER_MONTH, HOURS_PER_MONTH, MILLION, cents, total
from homeport.costs.own_guide import GPU_UNIT, guide_lines
from homeport.costs.types import Line, Options, SelfHosted

if TYPE_CHECKING:
    from homeport.planning.types import ModelPlan, Plan, Pool

NODE_UNIT = "node hour"
LOCAL = ("kind", "minikube")
PUBLIC = ("load_balancer", "ingress", "gateway")
GIB = 1024**3
WEIGHTS_VOLUME_FACTOR = 1.2
"""Size of a weights volume nobody wrote, over the checkpoint's bytes (the spec's `weights.size_gib`)."""


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


def nodes_usd_per_month(bill: SelfHosted) -> Decimal | None:
    """Return what the nodes (with the guide's method: GPUs) of a bill cost; None where a price is unknown."""
    amounts = [line.usd_per_month for line in bill.lines if line.unit in (NODE_UNIT, GPU_UNIT)]
    return None if None in amounts else total(amounts)


def days_per_month(options: Options) -> Decimal:
    """Return the days of the method's month: 30 in the guide, 730 hours otherwise."""
    return guide.DAYS_PER_MONTH if options.method == "guide" else DAYS_PER_MONTH


def load_lines(plan: Plan, options: Options) -> list[Line]:
    """Return the lines of the load-aware method: nodes, weights, exposure, platform. Unknown prices stay unknown."""
    local = plan.spec.target.platform in LOCAL and all(model.stands_for is None for model in plan.models)
    lines = [_nodes(pool, plan, options) for pool in plan.pools]
    pooled = {name for pool in plan.pools for name in pool.models}
    unpooled = tuple(model.spec.name for model in plan.models if model.spec.name not in pooled)
    if unpooled:
        item = "your own machine" if local else "nodes without GPUs"
        lines.append(unknown(item, None, NODE_UNIT, unpooled, "no price known"))
    if not local:
        lines += [line for model in plan.models if (line := _weights(model, options)) is not None]
    lines += _exposure(plan, options)
    if not local or options.platform_usd_per_month is not None:
        lines.append(
            given(
                "cluster and its system nodes",
                Decimal(1),
                "month",
                options.platform_usd_per_month,
                names(plan),
            )
        )
    return lines


def _nodes(pool: Pool, plan: Plan, options: Options) -> Line:
    holds = f"{pool.gpus_per_node} × {pool.gpu}"
    what = f"{pool.instance_type} ({holds})" if pool.instance_type else f"node with {holds}"
    item = f"{pool.node_count} × {what}" + (f", {pool.region}" if pool.region else "")
    if pool.capacity == "spot":
        item += ", spot"
    hours = HOURS_PER_MONTH * pool.node_count
    notes: list[str] = []
    scaled = _scaled_nodes(pool, plan)
    if options.scaled_share is not None and scaled:
        hours -= HOURS_PER_MONTH * scaled * (1 - options.scaled_share)
        notes.append(f"{scaled} of the nodes run {options.scaled_share * 100:f}% of the month, as given")
    if pool.idle_gpus:
        notes.append(f"{pool.idle_gpus} of {pool.node_count * pool.gpus_per_node} GPUs are idle, and billed")
    assumed: str | None = None
    as_of: str | None = None
    if options.gpu_usd_per_hour is not None:
        price = options.gpu_usd_per_hour * pool.gpus_per_node
        source = GIVEN
    elif pool.price is not None:
        price, source, as_of, assumed = (
            pool.price.usd_per_hour,
            pool.price.source,
            pool.price.as_of,
            pool.price.assumed,
        )
    else:
        return unknown(item, hours, NODE_UNIT, pool.models, "no price known; --gpu-usd-per-hour gives one")
    if assumed:
        notes.append(assumed)
    return Line(
        item=item,
        quantity=hours,
        unit=NODE_UNIT,
        unit_price_usd=price,
        usd_per_month=cents(hours * price),
        source=source,
        as_of=as_of,
        estimated=assumed is not None or (options.scaled_share is not None and scaled > 0),
        models=pool.models,
        note="; ".join(notes) or None,
    )


def _scaled_nodes(pool: Pool, plan: Plan) -> int:
    """Return how many of the pool's nodes only the replicas above the minimum need."""
    needed = 0
    single: list[int] = []
    for model in plan.models:
        if model.spec.name not in pool.models:
            continue
        real = billed(model)
        at_least = min(real.replicas_min, real.replicas_planned)
        if real.nodes_per_replica > 1:
            needed += at_least * real.nodes_per_replica
        else:
            single += [real.gpus_per_replica] * at_least
    return max(0, pool.node_count - needed - _packed(single, pool.gpus_per_node))


def _packed(sizes: Iterable[int], node_size: int) -> int:
    """Return how many nodes hold replicas of these sizes: largest first, each on the first node with room."""
    free: list[int] = []
    for size in sorted(sizes, reverse=True):
        for i, room in enumerate(free):
            if room >= size:
                free[i] = room - size
                break
        else:
            free.append(node_size - size)
    return len(free)


def _weights(model: ModelPlan, options: Options) -> Line | None:
    real, weights = billed(model), model.spec.weights
    if weights.source in ("oci", "local"):
        return None
    size = weights.size_gib or math.ceil(real.source.weight_bytes * WEIGHTS_VOLUME_FACTOR / GIB)
    volumes = real.replicas_planned if weights.source == "hub" else 1
    item = {"hub": "weights, a volume for each replica", "pvc": "weights, one shared volume"}.get(
        weights.source, "weights in the object store"
    )
    return given(item, Decimal(size * volumes), "GiB", options.storage_usd_per_gib_month, (model.spec.name,))


def _exposure(plan: Plan, options: Options) -> list[Line]:
    public = tuple(m.spec.name for m in plan.models if m.spec.expose.kind in PUBLIC)
    balancers = sum(m.spec.expose.kind == "load_balancer" for m in plan.models)
    # All models behind an ingress or a gateway share its one load balancer.
    balancers += any(m.spec.expose.kind in ("ingress", "gateway") for m in plan.models)
    lines = []
    if balancers:
        lines.append(
            given(
                "load balancer",
                HOURS_PER_MONTH * balancers,
                "hour",
                options.load_balancer_usd_per_hour,
                public,
            )
        )
    if public or options.egress_usd_per_month is not None:
        lines.append(
            given("egress", Decimal(1), "month", options.egress_usd_per_month, public or names(plan))
        )
    return lines
