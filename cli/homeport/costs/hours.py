"""How many nodes run in each hour of a day: replicas follow the load between their limits.

Each hour gets the replicas that its requests need, in the proportion in which the busiest hour needs the planned ones;
never fewer than the least, never more than planned. Every replica that is added is paid for from its start on.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING

from homeport.costs.lines import billed
from homeport.planning.workload import peak_to_mean

if TYPE_CHECKING:
    from homeport.planning.types import ModelPlan, Plan, Pool
    from homeport.spec.models import Workload

HOURS = 24
BUSIEST_HOUR = 15
"""Hour of the peak of a day that nobody described (only the shape counts in a bill of one model)."""
STEEPEST = 700.0
"""Steepest day that is tried: nearly all requests in one hour."""


def scales(model: ModelPlan) -> bool:
    """Say whether replicas of a model come and go: fewer than planned may run."""
    real = billed(model)
    return not real.fixed_replicas and real.replicas_min < real.replicas_planned


def profile(workload: Workload) -> tuple[float, ...]:
    """Return the requests of each hour over the busiest hour's: the day profile, else a smooth day (`smooth`)."""
    hours = workload.day_profile or smooth(peak_to_mean(workload))
    busiest = max(hours)
    return tuple(hour / busiest for hour in hours)


@cache
def smooth(ratio: float) -> tuple[float, ...]:
    """Return a day with one peak, `ratio` times its mean: exp(k cos(angle of the hour)), a von Mises curve.

    An assumption where only the peak is known. One hour can be at most 24 times the mean.
    """

    def day(steepness: float) -> tuple[float, ...]:
        angles = (2 * math.pi * (hour - BUSIEST_HOUR) / HOURS for hour in range(HOURS))
        return tuple(math.exp(steepness * (math.cos(angle) - 1)) for angle in angles)

    low, high = 0.0, STEEPEST
    for _ in range(60):
        middle = (low + high) / 2
        if HOURS / sum(day(middle)) < ratio:
            low = middle
        else:
            high = middle
    return day(low)


def replicas_by_hour(model: ModelPlan) -> tuple[int, ...]:
    """Return the replicas of a model that run in each hour of a day."""
    real = billed(model)
    most = real.replicas_planned
    if not scales(model):
        return (most,) * HOURS
    needed = float(most)
    if real.capacity is not None and real.capacity.requests_per_s > 0:
        needed = real.peak_requests_per_s / real.capacity.requests_per_s
    return tuple(
        min(most, max(real.replicas_min, math.ceil(needed * hour - 1e-9)))
        for hour in profile(model.spec.workload)
    )


def nodes_by_hour(pool: Pool, plan: Plan) -> tuple[int, ...]:
    """Return the nodes of a pool that run in each hour of a day."""
    members = _members(pool, plan)
    by_hour = [replicas_by_hour(model) for model in members]
    return tuple(
        nodes_for(zip(members, (hours[hour] for hours in by_hour), strict=True), pool.gpus_per_node)
        for hour in range(HOURS)
    )


def least_nodes(pool: Pool, plan: Plan) -> int:
    """Return the nodes of a pool that its models' least replicas need."""
    return nodes_for(
        (
            (model, min(billed(model).replicas_min, billed(model).replicas_planned))
            for model in _members(pool, plan)
        ),
        pool.gpus_per_node,
    )


def start_hours(pool: Pool, plan: Plan) -> Decimal:
    """Return the hours that a node is paid for before its replica answers: the slowest start, an hour at most."""
    seconds = [real.startup.ready_s for m in _members(pool, plan) if (real := billed(m)).startup is not None]
    return Decimal(min(3600, round(max(seconds, default=0.0)))) / 3600


def _members(pool: Pool, plan: Plan) -> list[ModelPlan]:
    return [model for model in plan.models if model.spec.name in pool.models]


def nodes_for(replicas: Iterable[tuple[ModelPlan, int]], gpus_per_node: int) -> int:
    """Return how many nodes of `gpus_per_node` GPUs hold so many replicas of each model."""
    whole = 0
    single: list[int] = []
    for model, count in replicas:
        real = billed(model)
        if real.nodes_per_replica > 1:
            whole += count * real.nodes_per_replica
        else:
            single += [real.gpus_per_replica] * count
    return whole + packed(single, gpus_per_node)


def packed(sizes: Sequence[int], node_size: int) -> int:
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
