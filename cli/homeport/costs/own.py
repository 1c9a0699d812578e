"""The lines of the bill of own hosting, by the load-aware method and by the guide's."""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING

from homeport.costs import guide
from homeport.costs.money import HOURS_PER_MONTH, cents
from homeport.costs.types import Line, Options

if TYPE_CHECKING:
    from homeport.planning.types import ModelPlan, Plan, Pool

GIVEN = "given by you"
GUIDE_FIGURE = "an assumption of the guide"
LOCAL = ("kind", "minikube")
PUBLIC = ("load_balancer", "ingress", "gateway")
GIB = 1024**3
WEIGHTS_VOLUME_FACTOR = 1.2
"""Size of a weights volume nobody wrote, over the checkpoint's bytes (the spec's `weights.size_gib`)."""


def load_lines(plan: Plan, options: Options) -> list[Line]:
    """Return the lines of the load-aware method: nodes, weights, exposure, platform. Unknown prices stay unknown."""
    local = plan.spec.target.platform in LOCAL
    lines = [_nodes(pool, plan, options) for pool in plan.pools]
    pooled = {name for pool in plan.pools for name in pool.models}
    unpooled = tuple(model.spec.name for model in plan.models if model.spec.name not in pooled)
    if unpooled:
        lines.append(
            _unknown("nodes without GPUs", None, "node hour", unpooled, "the plan has no price for them")
        )
    lines += [line for model in plan.models if (line := _weights(model, options)) is not None]
    lines += _exposure(plan, options)
    if not local or options.platform_usd_per_month is not None:
        lines.append(
            _given(
                "cluster and its system nodes",
                Decimal(1),
                "month",
                options.platform_usd_per_month,
                _names(plan),
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
        return _unknown(item, hours, "node hour", pool.models, "no price known; --gpu-usd-per-hour gives one")
    if assumed:
        notes.append(assumed)
    return Line(
        item=item,
        quantity=hours,
        unit="node hour",
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
        at_least = min(model.replicas_min, model.replicas_planned)
        if model.nodes_per_replica > 1:
            needed += at_least * model.nodes_per_replica
        else:
            single += [model.gpus_per_replica] * at_least
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
    weights = model.spec.weights
    if model.engine.engine == "simulator" or weights.source in ("oci", "local"):
        return None
    size = weights.size_gib or math.ceil(model.source.weight_bytes * WEIGHTS_VOLUME_FACTOR / GIB)
    volumes = model.replicas_planned if weights.source == "hub" else 1
    item = {"hub": "weights, a volume for each replica", "pvc": "weights, one shared volume"}.get(
        weights.source, "weights in the object store"
    )
    return _given(item, Decimal(size * volumes), "GiB", options.storage_usd_per_gib_month, (model.spec.name,))


def _exposure(plan: Plan, options: Options) -> list[Line]:
    public = tuple(m.spec.name for m in plan.models if m.spec.expose.kind in PUBLIC)
    balancers = sum(m.spec.expose.kind == "load_balancer" for m in plan.models)
    # All models behind an ingress or a gateway share its one load balancer.
    balancers += any(m.spec.expose.kind in ("ingress", "gateway") for m in plan.models)
    lines = []
    if balancers:
        lines.append(
            _given(
                "load balancer",
                HOURS_PER_MONTH * balancers,
                "hour",
                options.load_balancer_usd_per_hour,
                public,
            )
        )
    if public or options.egress_usd_per_month is not None:
        lines.append(
            _given("egress", Decimal(1), "month", options.egress_usd_per_month, public or _names(plan))
        )
    return lines


def guide_lines(plan: Plan, options: Options) -> list[Line]:
    """Return the guide's terms for the plan's GPUs, a compute line for each model, and engineering once."""
    lines: list[Line] = []
    gpus = 0
    for model in plan.models:
        if model.gpu is None:
            lines.append(
                _unknown(
                    "compute",
                    None,
                    "GPU hour",
                    (model.spec.name,),
                    "the guide prices GPUs; this model has none",
                )
            )
            continue
        count = model.gpus_per_replica * model.replicas_planned
        gpus += count
        rate, source, as_of, note = _guide_rate(model, plan, options)
        terms = guide.self_hosted_monthly_cost(count, rate)
        lines.append(
            Line(
                item=f"compute, {count} × {model.gpu.id}",
                quantity=count * terms.active_hours,
                unit="GPU hour",
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
    for item, quantity, unit, price, amount in (
        ("storage", Decimal(gpus), "GPU", guide.STORAGE_USD_PER_GPU_MONTH, terms.storage),
        ("network", gpus * terms.active_hours, "GPU hour", guide.NETWORK_USD_PER_GPU_HOUR, terms.network),
        ("engineering", Decimal(1), "month", guide.ENGINEERING_USD_PER_MONTH, terms.engineering),
    ):
        lines.append(
            Line(
                item=item,
                quantity=quantity,
                unit=unit,
                unit_price_usd=price,
                usd_per_month=amount,
                source=guide.SOURCE,
                as_of=guide.AS_OF,
                estimated=True,
                models=_names(plan),
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
    if model.gpu is not None and model.gpu.id.startswith("H100"):
        return guide.H100_USD_PER_HOUR, guide.SOURCE, guide.AS_OF, None
    pool = next((pool for pool in plan.pools if model.spec.name in pool.models), None)
    if pool is None or pool.price is None:
        return None, None, None, "no price known; --gpu-usd-per-hour gives one"
    rate = pool.price.usd_per_hour / pool.gpus_per_node
    return rate, pool.price.source, pool.price.as_of, "the guide prices H100 only; this is the price table's"


def _given(
    item: str, quantity: Decimal, unit: str, unit_price: Decimal | None, models: tuple[str, ...]
) -> Line:
    if unit_price is None:
        return _unknown(item, quantity, unit, models, None)
    return Line(
        item=item,
        quantity=quantity,
        unit=unit,
        unit_price_usd=unit_price,
        usd_per_month=cents(quantity * unit_price),
        source=GIVEN,
        as_of=None,
        models=models,
    )


def _unknown(
    item: str, quantity: Decimal | None, unit: str, models: tuple[str, ...], note: str | None
) -> Line:
    return Line(
        item=item,
        quantity=quantity,
        unit=unit,
        unit_price_usd=None,
        usd_per_month=None,
        source=None,
        as_of=None,
        models=models,
        note=note,
    )


def _names(plan: Plan) -> tuple[str, ...]:
    return tuple(model.spec.name for model in plan.models)
