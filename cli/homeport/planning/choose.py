"""The cheapest candidate that fits and holds the latency limits, and why the others lost."""

import math
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from homeport.planning.candidates import Candidate, Question
from homeport.planning.hardware import HOURS_A_MONTH, Placement, place
from homeport.planning.types import Considered
from homeport.sizing.types import Capacity, Load, Memory

if TYPE_CHECKING:
    from homeport.planning.feedback import Correction
    from homeport.sizing.measured import Taken

SURE = {"mean": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
"""How sure the limits have to hold, by `latency.percentile`: the quantile of what was measured against predicted."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What came of one candidate. `lost` is None for one that works, else why it does not.

    `miss` orders the failures: how far it was from working (0: it works; 1: latency, 2: a GPU's memory, 3: its node's CPUs
    or memory). `correction` is what
    measured runs say of it, `taken` what its memory has from them.
    """

    candidate: Candidate
    memory: Memory
    capacity: Capacity | None
    replicas: int | None
    placement: Placement | None
    lost: str | None
    miss: tuple[int, float] = (0, 0.0)
    would_hold: tuple[str, float] | None = None
    correction: "Correction | None" = None
    taken: "tuple[Taken, ...]" = ()

    @property
    def usd_per_month(self) -> Decimal | None:
        """All nodes of the planned replicas, all month."""
        return self.placement.usd_per_month if self.placement else None

    @property
    def key(self) -> tuple[bool, bool, Decimal, int, int, float, str]:
        """Sort key of those that work: within a node, known cost, cheapest, fewest GPUs, fewest replicas, fastest.

        A replica that spans nodes depends on a network that nobody described, so it is taken only where none fits
        into a node.
        """
        cost = self.usd_per_month
        replicas = self.replicas or 0
        tpot = self.capacity.performance.tpot_ms if self.capacity else None
        return (
            self.candidate.settings.nodes > 1,
            cost is None,
            cost or Decimal(0),
            replicas * self.candidate.gpus_per_replica,
            replicas,
            tpot or 0.0,
            self.candidate.gpu.id,
        )


class Choice(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The best candidate (None: nothing works) and all that were looked at."""

    best: Verdict | None
    verdicts: tuple[Verdict, ...]


def judge(question: Question, candidate: Candidate) -> Verdict:
    """Size one candidate: memory, load within the latency limits, replicas for the peak, nodes and their cost."""
    spec = question.spec
    correction = question.correct(candidate) if question.correct else None
    memory, taken = _memory(question, candidate, correction)
    if not memory.fits:
        return Verdict(
            candidate=candidate, memory=memory, capacity=None, replicas=None, placement=None,
            lost=memory.reason, miss=(2, memory.short_gib if memory.short_gib is not None else math.inf),
            correction=correction, taken=taken,
        )  # fmt: skip
    if candidate.homeless:
        return Verdict(
            candidate=candidate, memory=memory, capacity=None, replicas=None, placement=None,
            lost="; ".join(one.reason for one in candidate.refused), miss=(3, 0.0), correction=correction, taken=taken,
        )  # fmt: skip
    held = _capacity(question, candidate, memory, correction)
    if held.requests_per_s <= 0:
        why, ratio, would_hold = _too_slow(question, held)
        return Verdict(
            candidate=candidate, memory=memory, capacity=held, replicas=None, placement=None, lost=why,
            miss=(1, ratio), would_hold=would_hold, correction=correction, taken=taken,
        )  # fmt: skip
    needed = max(1, math.ceil(question.peak_requests_per_s / held.requests_per_s - 1e-9))
    replicas = max(needed, spec.replicas.min or 1)
    most = spec.replicas.max
    placed = place(candidate.offers, candidate.gpus_per_replica, candidate.settings.nodes, replicas)
    lost: str | None = None
    miss = (0, 0.0)
    if most is not None and needed > most:
        lost, miss = f"the peak needs {needed} replicas, replicas.max is {most}", (1, needed / most)
    return Verdict(
        candidate=candidate,
        memory=memory,
        capacity=held,
        replicas=replicas,
        placement=placed,
        lost=lost,
        miss=miss,
        correction=correction,
        taken=taken,
    )


def _memory(
    question: Question, candidate: Candidate, correction: "Correction | None"
) -> "tuple[Memory, tuple[Taken, ...]]":
    from homeport.sizing.memory import size

    memory = size(question.architecture, candidate.gpu, candidate.settings)
    if correction is None or correction.memory is None:
        return memory, ()
    from homeport.sizing import measured

    return measured.memory(memory, correction.memory)


def _capacity(
    question: Question, candidate: Candidate, memory: Memory, correction: "Correction | None"
) -> Capacity:
    spec, arch = question.spec, question.architecture
    load = Load(input_tokens=spec.workload.input_tokens, output_tokens=spec.workload.output_tokens)
    sure = SURE[spec.latency.percentile]
    if correction is not None and correction.trends:
        from homeport.sizing import measured

        return measured.capacity(
            arch,
            candidate.gpu,
            candidate.settings,
            load,
            ttft_ms=spec.latency.ttft_ms,
            tpot_ms=spec.latency.tpot_ms,
            kv_cache_tokens=memory.kv_cache_tokens,
            percentile=sure,
            trends=correction.trends,
        )
    from homeport.sizing.throughput import capacity

    return capacity(
        arch,
        candidate.gpu,
        candidate.settings,
        load,
        ttft_ms=spec.latency.ttft_ms,
        tpot_ms=spec.latency.tpot_ms,
        kv_cache_tokens=memory.kv_cache_tokens,
        percentile=sure,
    )


def _too_slow(question: Question, held: Capacity) -> tuple[str, float, tuple[str, float]]:
    """Say how far one request at a time is over the limits, and which limit would hold: its field and its ms."""
    from homeport.sizing.throughput import latency_margins

    limits = question.spec.latency
    got = held.performance
    # Above the mean, what counts is what measured runs stay under with that certainty.
    margins = latency_margins(got.measured_gpu, SURE[limits.percentile])
    at = "" if limits.percentile == "mean" else f" at {limits.percentile}"
    worst, text, would_hold = 1.0, "over the latency limits", ("tpot_ms", limits.tpot_ms)
    for field, name, value, limit in (
        ("ttft_ms", "to the first token", got.ttft_ms, limits.ttft_ms),
        ("tpot_ms", "a token", got.tpot_ms, limits.tpot_ms),
    ):
        if value is None:
            continue
        reached = value * margins[field.removesuffix("_ms")]
        if reached / limit > worst:
            worst, would_hold = reached / limit, (field, reached)
            text = f"{reached:,.0f} ms {name}{at} with one request, over the limit of {limit:,.0f}"
    return text, worst, would_hold


def choose(question: Question, found: list[Candidate]) -> Choice:
    """Judge candidates in the order of `candidates()` and keep the best.

    A candidate that spans nodes, or whose floor (the cost of one replica) lies above the best total, cannot win once
    there is a best: without `explore` the search stops there. tests/planning proves by brute force that nothing cheaper is missed.
    """
    best: Verdict | None = None
    verdicts: list[Verdict] = []
    for candidate in found:
        if not question.explore and best is not None and not _may_win(candidate, best):
            break
        verdict = judge(question, candidate)
        verdicts.append(verdict)
        if verdict.lost is None and not candidate.alternative and (best is None or verdict.key < best.key):
            best = verdict
    return Choice(best=best, verdicts=tuple(verdicts))


def _may_win(candidate: Candidate, best: Verdict) -> bool:
    if candidate.settings.nodes > best.candidate.settings.nodes:
        return False
    cost = best.usd_per_month
    if cost is None:
        return True
    return candidate.floor is not None and candidate.floor <= cost


def considered(choice: Choice) -> tuple[Considered, ...]:
    """Every option with the reason that it lost: those that work by cost, then those that don't, nearest first."""
    best = choice.best
    working = sorted((v for v in choice.verdicts if v.lost is None), key=lambda v: v.key)
    failing = sorted((v for v in choice.verdicts if v.lost is not None), key=lambda v: v.miss)
    rows = [*([best] if best else []), *(v for v in working if v is not best), *failing]
    return tuple(
        Considered(
            gpu=v.candidate.gpu.id,
            precision=v.candidate.precision.label,
            tensor_parallel_size=v.candidate.settings.tensor_parallel_size,
            pipeline_parallel_size=v.candidate.settings.pipeline_parallel_size,
            replicas=v.replicas if v.lost is None else None,
            usd_per_month=v.usd_per_month if v.lost is None else None,
            chosen=v is best,
            reason=_reason(v, best),
            checkpoint=v.candidate.precision.checkpoint,
            measured=v.correction is not None and v.correction.own,
        )
        for v in rows
    )


def _reason(verdict: Verdict, best: Verdict | None) -> str:
    if verdict.lost is not None:
        return verdict.lost
    if verdict is best:
        return (
            "the cheapest that holds the limits" if verdict.usd_per_month is not None else "holds the limits"
        )
    if (checkpoint := verdict.candidate.precision.checkpoint) is not None:
        return (
            f"{_against(verdict, best)}; a quantised checkpoint, its effect on answers is unknown here: ask with "
            f"checkpoint: {checkpoint}"
        )
    settings = verdict.candidate.settings
    if verdict.candidate.alternative and not verdict.candidate.precision.on_load:
        return (
            f"{_against(verdict, best)}; few measurements speak of pipeline stages within a node: ask with "
            f"tensor_parallel_size: {settings.tensor_parallel_size}, pipeline_parallel_size: "
            f"{settings.pipeline_parallel_size}"
        )
    if verdict.candidate.alternative:
        return (
            f"{_against(verdict, best)}; {verdict.candidate.precision.label} is made on load, its effect on answers is "
            f"unknown here: ask with precision: {verdict.candidate.precision.label}"
        )
    if best is not None and verdict.candidate.settings.nodes > best.candidate.settings.nodes:
        return f"{_against(verdict, best)}; spans {verdict.candidate.settings.nodes} nodes, which is taken only where none fits into one"
    return _against(verdict, best)


def _against(verdict: Verdict, best: Verdict | None) -> str:
    cost = verdict.usd_per_month
    if cost is None:
        return "price unknown"
    if best is None or best.usd_per_month is None:
        return "holds the limits"
    difference = cost - best.usd_per_month
    if difference > 0:
        return f"${difference:,.0f} a month dearer"
    if difference < 0:
        return f"${-difference:,.0f} a month cheaper"
    return _same_cost(verdict, best)


def _same_cost(verdict: Verdict, best: Verdict) -> str:
    """Say what decided between two that cost the same."""
    mine = (verdict.replicas or 0) * verdict.candidate.gpus_per_replica
    its = (best.replicas or 0) * best.candidate.gpus_per_replica
    if mine != its:
        return f"costs the same, with {mine} GPUs instead of {its}"
    if verdict.replicas != best.replicas:
        return f"costs the same, in {verdict.replicas} replicas instead of {best.replicas}"
    return "costs the same, and is no faster"


def idle_share(placed: Placement) -> str:
    """Name the GPUs that are paid for and idle."""
    hourly = placed.offer.usd_per_hour
    if not placed.idle_gpus or hourly is None:
        return ""
    wasted = hourly / placed.offer.gpus * placed.idle_gpus * HOURS_A_MONTH
    return f"{placed.idle_gpus} GPUs of the nodes stay idle (${wasted:,.0f} of the month's cost)"
