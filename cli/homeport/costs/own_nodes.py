"""The lines of the nodes that replicas run on: rented by the hour, reserved, or bought."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from homeport.costs.hours import least_nodes, nodes_by_hour, start_hours
from homeport.costs.lines import GIVEN, billed, given, unknown
from homeport.costs.money import DAYS_PER_MONTH, HOURS_PER_MONTH, cents, decimal, plain
from homeport.costs.types import Line, Options

if TYPE_CHECKING:
    from homeport.planning.types import Plan, Pool
    from homeport.spec.money import Hardware

NODE_UNIT = "node hour"
GPU_UNIT = "GPU hour"
OWNED_UNIT = "GPU month"
MONTHS_PER_YEAR = 12


def node_lines(plan: Plan, options: Options) -> list[Line]:
    """Return the lines of all pools of a plan, and of reserved GPUs that none of them uses."""
    lines: list[Line] = []
    if options.hardware is not None:
        for pool in plan.pools:
            lines += _bought(pool, options.hardware, options.headroom_nodes)
        return lines
    reserved = options.reserved
    left = None if reserved is None else reserved.gpus
    for pool in plan.pools:
        count = 0
        if reserved is not None:
            count = pool.node_count if left is None else min(pool.node_count, left // pool.gpus_per_node)
            left = None if left is None else left - count * pool.gpus_per_node
        if count:
            assert reserved is not None, "only a reservation reserves nodes"
            price = decimal(reserved.usd_per_gpu_hour) * pool.gpus_per_node
            hours = HOURS_PER_MONTH * count
            item = f"{name(pool, count)}, reserved"
            lines.append(given("nodes", item, hours, NODE_UNIT, price, pool.models))
        if count < pool.node_count:
            lines.append(_rented(pool, plan, options, count))
        if options.headroom_nodes:
            lines.append(
                _headroom(pool, options, reserved_all=reserved is not None and reserved.gpus is None)
            )
    if reserved is not None and left:
        models = tuple(name for pool in plan.pools for name in pool.models)
        item = f"{left} reserved GPUs that no node of the plan uses"
        price = decimal(reserved.usd_per_gpu_hour)
        lines.append(given("nodes", item, HOURS_PER_MONTH * left, GPU_UNIT, price, models))
    return lines


def name(pool: Pool, count: int) -> str:
    """Name `count` nodes of a pool: type, GPUs, region."""
    holds = f"{pool.gpus_per_node} × {pool.gpu}"
    what = f"{pool.instance_type} ({holds})" if pool.instance_type else f"node with {holds}"
    return f"{count} × {what}" + (f", {pool.region}" if pool.region else "")


def simulated(options: Options, plan: Plan) -> bool:
    """Say whether the hours of replicas follow the load of a day."""
    if options.method == "guide" or options.scaled_share is not None or options.hardware is not None:
        return False
    if options.replica_hours is None:
        return any(model.spec.workload.day_profile is not None for model in plan.models)
    return options.replica_hours == "simulated"


def keeps_gpus(options: Options, plan: Plan) -> bool:
    """Say whether nodes cost something else than the price that plans choose by, so that breakevens keep them."""
    if options.method == "guide" or options.gpu_usd_per_hour is not None:
        return True
    if options.reserved is not None or options.hardware is not None:
        return True
    follows = simulated(options, plan) or options.scaled_share is not None
    return follows and any(not billed(model).fixed_replicas for model in plan.models)


def _rented(pool: Pool, plan: Plan, options: Options, reserved: int) -> Line:
    """The nodes of a pool above the first `reserved` ones."""
    count = pool.node_count - reserved
    item = name(pool, count) + (", spot" if pool.capacity == "spot" else "")
    hours, notes = _hours(pool, plan, options, reserved)
    scaled = bool(notes)
    if pool.idle_gpus:
        notes.append(f"{pool.idle_gpus} of {pool.node_count * pool.gpus_per_node} GPUs are idle, and billed")
    assumed: str | None = None
    as_of: str | None = None
    if options.gpu_usd_per_hour is not None:
        price, source = options.gpu_usd_per_hour * pool.gpus_per_node, GIVEN
    elif pool.price is not None:
        price, source, assumed = pool.price.usd_per_hour, pool.price.source, pool.price.assumed
        as_of = pool.price.as_of or None
    else:
        note = "no price known; --gpu-usd-per-hour gives one"
        return unknown("nodes", item, hours, NODE_UNIT, pool.models, note)
    if assumed:
        notes.append(assumed)
    return Line(
        kind="nodes",
        item=item,
        quantity=hours,
        unit=NODE_UNIT,
        unit_price_usd=price,
        usd_per_month=cents(hours * price),
        source=source,
        as_of=as_of,
        estimated=assumed is not None or scaled,
        models=pool.models,
        note="; ".join(notes) or None,
    )


def _hours(pool: Pool, plan: Plan, options: Options, reserved: int) -> tuple[Decimal, list[str]]:
    """Return the hours a month of the nodes above the first `reserved`, and what is to be said about them."""
    count = pool.node_count - reserved
    if simulated(options, plan):
        running = [max(0, nodes - reserved) for nodes in nodes_by_hour(pool, plan)]
        started = sum(max(0, now - running[hour - 1]) for hour, now in enumerate(running))
        hours = (sum(running) + started * start_hours(pool, plan)) * DAYS_PER_MONTH
        if min(running) == count:
            return HOURS_PER_MONTH * count, []
        note = f"{min(running)} to {max(running)} nodes in each hour of a day, as its load needs"
        return hours.quantize(Decimal("0.01")), [note]
    stay = max(least_nodes(pool, plan), reserved)
    if options.scaled_share is None or stay >= pool.node_count:
        return HOURS_PER_MONTH * count, []
    scaled = pool.node_count - stay
    hours = HOURS_PER_MONTH * (count - scaled + scaled * options.scaled_share)
    verb = "node runs" if scaled == 1 else "nodes run"
    return hours, [f"{scaled} {verb} {plain(options.scaled_share * 100):f}% of the month, as given"]


def _headroom(pool: Pool, options: Options, *, reserved_all: bool) -> Line:
    count = options.headroom_nodes
    item = f"{name(pool, count)}, free for failures and rollouts"
    price, source, as_of = None, GIVEN, None
    if reserved_all and options.reserved is not None:
        price = decimal(options.reserved.usd_per_gpu_hour) * pool.gpus_per_node
    elif options.gpu_usd_per_hour is not None:
        price = options.gpu_usd_per_hour * pool.gpus_per_node
    elif pool.price is not None:
        price, source, as_of = pool.price.usd_per_hour, pool.price.source, pool.price.as_of or None
    if price is None:
        return unknown("headroom", item, HOURS_PER_MONTH * count, NODE_UNIT, pool.models)
    return Line(
        kind="headroom",
        item=item,
        quantity=HOURS_PER_MONTH * count,
        unit=NODE_UNIT,
        unit_price_usd=price,
        usd_per_month=cents(HOURS_PER_MONTH * count * price),
        source=source,
        as_of=as_of,
        models=pool.models,
    )


def _bought(pool: Pool, hardware: Hardware, headroom: int) -> list[Line]:
    """Hardware written off evenly, its power at full draw around the clock, and the room that it stands in."""
    nodes = pool.node_count + headroom
    gpus = Decimal(nodes * pool.gpus_per_node)
    years = decimal(hardware.lifetime_years)
    monthly = decimal(hardware.usd_per_gpu) / (years * MONTHS_PER_YEAR)
    spare = f", {headroom} of them free for failures and rollouts" if headroom else ""
    item = f"{nodes} × node with {pool.gpus_per_node} × {pool.gpu}, bought{spare}"
    note = f"written off evenly over {years.normalize():f} years, no interest, nothing left at the end"
    lines = [given("hardware", item, gpus, OWNED_UNIT, monthly, pool.models, note)]
    known = (hardware.kw_per_gpu, hardware.pue, hardware.usd_per_kwh)
    if hardware.kw_per_gpu is None or hardware.pue is None:
        missing = "power of a GPU" if hardware.kw_per_gpu is None else "PUE"
        lines.append(unknown("power", "power", None, "kWh", pool.models, f"the {missing} is not given"))
    else:
        kwh = gpus * decimal(hardware.kw_per_gpu) * decimal(hardware.pue) * HOURS_PER_MONTH
        price = None if known[2] is None else decimal(known[2])
        note = f"full draw around the clock, PUE {hardware.pue:g}"
        lines.append(given("power", "power", kwh, "kWh", price, pool.models, note))
    room = hardware.colocation_usd_per_gpu_month
    lines.append(
        given(
            "colocation", "colocation", gpus, OWNED_UNIT, None if room is None else decimal(room), pool.models
        )
    )
    return lines
