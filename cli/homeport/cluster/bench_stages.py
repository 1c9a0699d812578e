"""Which loads a benchmark puts on an endpoint: those that the plan speaks of."""

import math
from bisect import bisect_left
from pathlib import Path

from homeport.cluster.bench_record import predicted
from homeport.cluster.bench_types import Stage
from homeport.planning.types import ModelPlan
from homeport.planning.workload import SECONDS_A_DAY, peak_to_mean

LEAST_SECONDS, MOST_SECONDS = 30.0, 300.0
WAVES = 4
"""A stage lasts at least as long as so many requests in a row: the first wave starts all at once."""
LEAST_REQUESTS = 5
"""A rate that sends fewer in its time says nothing."""
UNKNOWN_STEPS = (1, 2, 4, 8)
WARM_UP = 8
"""Most requests that are sent before anything is measured."""
ROOM = 1.5
"""Prompts beyond those that the plan expects to be sent, for an endpoint that is faster."""


def stages(
    plan: ModelPlan,
    *,
    replicas: int,
    seconds: float | None,
    most_requests: int,
    rates: tuple[float, ...] = (),
    concurrencies: tuple[int, ...] = (),
    trace: bool = False,
) -> tuple[list[Stage], list[str]]:
    """Return the stages, and what is to be said of those that were left out.

    Without `rates` and `concurrencies`: the mean and the peak of the workload's requests a second, for the share of the
    planned replicas that answers, then a quarter, half and all of the requests that the plan says fit at once, and one.
    With `trace` the trace itself stands for the rates. `seconds` bounds each stage (None: four requests in a row, 30 to 300 s).
    """
    lasting = seconds if seconds is not None else _seconds(plan)
    notes = []
    made = []
    chosen = [(f"rate-{rate:g}", rate) for rate in rates]
    if trace:
        made.append(Stage(name="trace", kind="trace", seconds=lasting, requests=most_requests))
    if not rates and not concurrencies:
        share = replicas / max(plan.replicas_planned, 1)
        mean = plan.spec.workload.requests_per_day / SECONDS_A_DAY * share
        if not trace:
            chosen = [("mean", mean)]
        if not trace and peak_to_mean(plan.spec.workload) > 1:
            chosen.append(("peak", mean * peak_to_mean(plan.spec.workload)))
        concurrencies = _steps(plan, replicas)
    for name, rate in chosen:
        expected = rate * lasting
        if expected < LEAST_REQUESTS and not rates:
            notes.append(
                f"the {name} of {rate:.3g} requests/s is left out: it sends {expected:.1f} requests in {lasting:.0f} s"
            )
            continue
        # Poisson: in 1 of 1,000 stages more than three standard deviations above the mean are sent.
        requests = min(most_requests, math.ceil(expected + 3 * math.sqrt(expected) + 1))
        made.append(Stage(name=name, kind="rate", rate=rate, seconds=lasting, requests=requests))
    for count in concurrencies:
        requests = min(most_requests, _closed_loop(plan, count, replicas, lasting, most_requests))
        made.append(
            Stage(
                name=f"{count}-at-once",
                kind="concurrency",
                concurrency=count,
                seconds=lasting,
                requests=max(requests, count),
            )
        )
    return made, notes


def _steps(plan: ModelPlan, replicas: int) -> tuple[int, ...]:
    """One request at a time, then up to what the plan says a replica carries within the latency limits."""
    if plan.capacity is None:
        return tuple(step * replicas for step in UNKNOWN_STEPS)
    most = max(plan.capacity.concurrency, 1)
    return tuple(sorted({step * replicas for step in (1, math.ceil(most / 4), math.ceil(most / 2), most)}))


def _seconds(plan: ModelPlan) -> float:
    one = request_s(plan)
    return LEAST_SECONDS if one is None else min(max(WAVES * one, LEAST_SECONDS), MOST_SECONDS)


def request_s(plan: ModelPlan) -> float | None:
    """Seconds that a mean request takes at the planned capacity; None where nothing is predicted."""
    at = plan.capacity.performance if plan.capacity else plan.performance
    if at is None or at.ttft_ms is None or at.tpot_ms is None:
        return None
    return (at.ttft_ms + at.tpot_ms * max(plan.spec.workload.output_tokens - 1, 0)) / 1000


def _closed_loop(plan: ModelPlan, count: int, replicas: int, seconds: float, unknown: int) -> int:
    """Requests that `count` users who wait for their answers send in the time, by the plan."""
    found = predicted(
        plan, plan.spec.workload.input_tokens, plan.spec.workload.output_tokens, count / replicas
    )
    if found is None or not found.output_tokens_per_s:
        return unknown
    rate = found.output_tokens_per_s * replicas / plan.spec.workload.output_tokens
    return math.ceil(rate * seconds * ROOM) + count


def busiest(path: Path, stage: Stage, share: float) -> list[tuple[float, float, float]]:
    """The requests of a trace's busiest time: (s from its start, input tokens, output tokens), in order.

    `share` of them, evenly chosen, for an endpoint that has but some of the planned replicas (more than all is all).
    """
    from homeport.spec.trace import read_requests

    with path.open(encoding="utf-8-sig", newline="") as lines:
        rows = sorted(read_requests(lines, str(path)))
    times = [at for at, _, _ in rows]
    ends = [bisect_left(times, at + stage.seconds) for at in times]
    first = max(range(len(rows)), key=lambda i: ends[i] - i)
    window = rows[first : ends[first]]
    share = min(share, 1.0)
    kept = [row for i, row in enumerate(window) if math.floor((i + 1) * share) > math.floor(i * share)]
    return [(at - times[first], asked, answered) for at, asked, answered in kept[: stage.requests]]
