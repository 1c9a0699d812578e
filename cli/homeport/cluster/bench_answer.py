"""Planned against measured: what `homeport bench` answers."""

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta, Struct, structs

from homeport.cluster.bench_record import predicted, real
from homeport.cluster.bench_stages import LEAST_REQUESTS
from homeport.cluster.bench_types import Endpoint, Kind, Measured, Spread
from homeport.planning.types import ModelPlan

SCHEMA_VERSION = 1
Ms = Annotated[float, Meta(ge=0, description="Milliseconds")]
Rate = Annotated[float, Meta(ge=0, description="Generated tokens a second, all replicas together")]


class BenchSpread(Struct):
    """One figure over the requests of a stage."""

    mean: Ms
    p50: Ms
    p90: Ms
    p95: Ms
    p99: Ms


class BenchPlanned(Struct):
    """What the plan predicts at the load that was measured; means. Null without a GPU, whose speed is known."""

    ttft_ms: Annotated[float | None, Meta(description="Time to first token, ms")]
    tpot_ms: Annotated[float | None, Meta(description="Time per output token after the first, ms")]
    output_tokens_per_s: Rate | None


class BenchMeasured(Struct):
    """What was measured. Null: nothing was."""

    ttft_ms: Annotated[BenchSpread | None, Meta(description="Time to first token, ms")]
    tpot_ms: Annotated[BenchSpread | None, Meta(description="Time per output token after the first, ms")]
    output_tokens_per_s: Rate | None


class BenchStage(Struct):
    """One load and what came of it."""

    name: Annotated[str, Meta(description="What the load is called")]
    kind: Annotated[
        Kind, Meta(description="What was kept: a rate, a number of requests in flight, or a trace's times")
    ]
    rate: Annotated[float | None, Meta(description="Requests a second that were sent")]
    concurrency: Annotated[int | None, Meta(description="Requests that were kept in flight")]
    requests: Annotated[int, Meta(description="Requests that were answered")]
    failed: Annotated[int, Meta(description="Requests that were not")]
    first_error: Annotated[
        str | None, Meta(description="What the first failed request was answered; null: none failed")
    ]
    seconds: Annotated[float, Meta(description="From the first request to the last answer, s")]
    input_tokens: Annotated[
        float | None, Meta(description="Prompt tokens of a request, mean, as the endpoint counts")
    ]
    output_tokens: Annotated[float | None, Meta(description="Generated tokens of a request, mean")]
    requests_per_s: Annotated[float | None, Meta(description="Requests a second, all replicas together")]
    in_flight: Annotated[float | None, Meta(description="Requests in flight, mean, all replicas together")]
    planned: Annotated[BenchPlanned, Meta(description="What the plan predicts")]
    measured: Annotated[BenchMeasured, Meta(description="What came of it")]
    within_limits: Annotated[
        bool | None, Meta(description="Whether the spec's latency limits held, at the spec's percentile")
    ]
    plan_holds: Annotated[
        bool | None,
        Meta(
            description="False: the plan says that this load keeps the limits, and it did not; null: it says nothing, or fewer than 5 requests were answered"
        ),
    ]
    cut_short: Annotated[bool, Meta(description="Whether an interrupt ended it")]


class BenchLimits(Struct):
    """The spec's latency limits."""

    ttft_ms: Ms
    tpot_ms: Ms
    percentile: Annotated[str, Meta(description="Of which requests: mean, p90, p95 or p99")]


class BenchCount(Struct):
    """A count, planned and measured. Null: unknown."""

    planned: Annotated[int | None, Meta(description="As planned")]
    measured: Annotated[int | None, Meta(description="As measured")]


class Bench(Struct):
    """`homeport bench -o json`."""

    schema_version: Annotated[
        int, Meta(description="Of this answer's format; a change that breaks readers raises it")
    ]
    name: Annotated[str, Meta(description="Name of the model in the spec")]
    model: str
    url: Annotated[str, Meta(description="The endpoint")]
    engine: Annotated[str, Meta(description="The planned engine")]
    engine_version: Annotated[str | None, Meta(description="As the endpoint says; null: it does not")]
    planned_engine_version: Annotated[str, Meta(description="Version of the engine in the plan")]
    gpu: Annotated[str | None, Meta(description="The plan's; null: none")]
    gpus: Annotated[int, Meta(description="GPUs of one replica")]
    replicas: Annotated[int, Meta(description="Replicas that answer, as the command line says")]
    generator: Annotated[str, Meta(description="The load generator and its version")]
    limits: Annotated[BenchLimits, Meta(description="The spec's latency limits")]
    requests_at_once: Annotated[
        BenchCount,
        Meta(
            description="Requests in flight on all replicas within the limits; measured: the most of those tried, where all fewer kept them too"
        ),
    ]
    kv_cache_tokens: Annotated[BenchCount, Meta(description="Tokens of one replica's KV cache")]
    stages: Annotated[list[BenchStage], Meta(description="The loads, in the order in which they were sent")]
    saved: Annotated[str | None, Meta(description="File that the runs were added to")]
    saved_runs: Annotated[int, Meta(description="Runs that were added to it")]
    interrupted: Annotated[bool, Meta(description="Whether an interrupt ended the benchmark")]


def compare(
    plan: ModelPlan,
    endpoint: Endpoint,
    found: Sequence[Measured],
    *,
    replicas: int,
    generator: str,
    interrupted: bool,
) -> Bench:
    """Put what was measured next to what the plan says. Nothing is saved yet."""
    of = real(plan)
    latency = plan.spec.latency
    stages = [_stage(plan, one, replicas) for one in found]
    return Bench(
        schema_version=SCHEMA_VERSION,
        name=plan.spec.name,
        model=of.source.id,
        url=endpoint.url,
        engine=plan.engine.engine,
        engine_version=endpoint.engine_version,
        planned_engine_version=of.engine.version,
        gpu=of.gpu.id if of.gpu else None,
        gpus=of.gpus_per_replica,
        replicas=replicas,
        generator=generator,
        limits=BenchLimits(
            ttft_ms=latency.ttft_ms, tpot_ms=latency.tpot_ms, percentile=latency.percentile
        ),
        requests_at_once=BenchCount(
            planned=of.capacity.concurrency * replicas if of.capacity else None,
            measured=_most_at_once(stages),
        ),
        kv_cache_tokens=BenchCount(
            planned=of.memory.kv_cache_tokens if of.memory else None, measured=endpoint.kv_cache_tokens
        ),
        stages=stages,
        saved=None,
        saved_runs=0,
        interrupted=interrupted,
    )  # fmt: skip


def findings(answer: Bench) -> list[str]:
    """What speaks against the plan or the endpoint: failed requests, and loads that do not keep what was planned."""
    found = []
    for stage in answer.stages:
        if stage.failed:
            found.append(
                f"{stage.name}: {stage.failed} of {stage.failed + stage.requests} requests failed: {stage.first_error}"
            )
        elif stage.plan_holds is False:
            found.append(
                f"{stage.name}: the plan says that this load keeps the latency limits, and it does not"
            )
    return found


def _stage(plan: ModelPlan, one: Measured, replicas: int) -> BenchStage:
    within = _within(plan, one)
    return BenchStage(
        name=one.stage.name,
        kind=one.stage.kind,
        rate=one.stage.rate,
        concurrency=one.stage.concurrency,
        requests=one.requests,
        failed=one.failed,
        first_error=one.first_error,
        seconds=one.seconds,
        input_tokens=one.input_tokens,
        output_tokens=one.output_tokens,
        requests_per_s=one.requests_per_s,
        in_flight=one.in_flight,
        planned=_planned(plan, one, replicas),
        measured=BenchMeasured(
            ttft_ms=_spread(one.ttft_ms),
            tpot_ms=_spread(one.tpot_ms),
            output_tokens_per_s=one.output_tokens_per_s,
        ),
        within_limits=within,
        plan_holds=within if _enough(one.requests) and _promised(plan, one, replicas) else None,
        cut_short=one.cut_short,
    )


def _enough(requests: int) -> bool:
    """Whether a stage has the requests that a verdict takes: one slow answer breaks no plan."""
    return requests >= LEAST_REQUESTS


def _most_at_once(stages: Sequence[BenchStage]) -> int | None:
    """The most requests in flight that kept the limits, with all fewer ones that were tried; None: nothing was tried."""
    tried = sorted(
        (stage.concurrency, stage.within_limits)
        for stage in stages
        if stage.concurrency is not None and stage.within_limits is not None and _enough(stage.requests)
    )
    if not tried:
        return None
    broken = next((count for count, kept in tried if not kept), None)
    return max((count for count, _ in tried if broken is None or count < broken), default=0)


def _planned(plan: ModelPlan, one: Measured, replicas: int) -> BenchPlanned:
    at = None
    if one.input_tokens and one.output_tokens and one.in_flight:
        in_flight = one.stage.concurrency or one.in_flight
        at = predicted(plan, one.input_tokens, one.output_tokens, in_flight / replicas)
    if at is None:
        return BenchPlanned(ttft_ms=None, tpot_ms=None, output_tokens_per_s=None)
    rate = at.output_tokens_per_s
    if one.stage.concurrency is None and rate is not None and one.requests_per_s and one.output_tokens:
        # The load's own rate: it asks for no more, whatever the replica could do.
        rate = min(rate * replicas, one.requests_per_s * one.output_tokens) / replicas
    return BenchPlanned(
        ttft_ms=at.ttft_ms, tpot_ms=at.tpot_ms, output_tokens_per_s=None if rate is None else rate * replicas
    )


def _within(plan: ModelPlan, one: Measured) -> bool | None:
    """Whether the latency limits held; None: nothing was measured."""
    limits = plan.spec.latency
    if one.ttft_ms is None:
        return None
    ttft: float = getattr(one.ttft_ms, limits.percentile)
    tpot: float = getattr(one.tpot_ms, limits.percentile) if one.tpot_ms else 0.0
    return one.failed == 0 and ttft <= limits.ttft_ms and tpot <= limits.tpot_ms


def _promised(plan: ModelPlan, one: Measured, replicas: int) -> bool:
    """Whether the plan says that the load of a stage keeps the limits."""
    of = real(plan)
    if of.capacity is None or of.capacity.requests_per_s <= 0:
        return False
    if one.stage.concurrency is not None:
        return one.stage.concurrency <= of.capacity.concurrency * replicas
    return one.stage.rate is not None and one.stage.rate <= of.capacity.requests_per_s * replicas


def _spread(spread: Spread | None) -> BenchSpread | None:
    return None if spread is None else BenchSpread(**structs.asdict(spread))
