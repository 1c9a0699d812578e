"""The table of `homeport bench`."""

from homeport.cluster.bench_answer import Bench, BenchCount, BenchStage
from homeport.cluster.bench_stages import LEAST_REQUESTS
from homeport.commands.output import Output
from homeport.text import printable

HEADERS = (
    "load", "requests", "in flight", "TTFT ms", "planned", "p95", "ms a token", "planned", "p95", "tokens/s", "planned", "limits",
)  # fmt: skip


def view(answer: Bench, out: Output) -> None:
    """Print planned against measured."""
    on = f"{answer.gpus} × {answer.gpu}, " if answer.gpu else "a CPU, "
    on += f"{answer.replicas} replica{'' if answer.replicas == 1 else 's'}"
    version = answer.engine_version or f"version unknown, planned {answer.planned_engine_version}"
    out.data(
        f"{out.style(answer.name, bold=True)}  {answer.model} at {answer.url}: {answer.engine} {printable(version)}, planned on {on}\n\n"
    )
    out.table(HEADERS, [_row(stage) for stage in answer.stages], right=range(1, 11))
    limits = answer.limits
    out.data(
        f"\nlimits      TTFT {limits.ttft_ms:,.0f} ms, {limits.tpot_ms:g} ms a token ({limits.percentile})\n"
        f"at once     {_count(answer.requests_at_once, _not_tried(answer), _least(answer))} (requests within the limits)\n"
        f"KV cache    {_count(answer.kv_cache_tokens, 'the endpoint does not say it')} (tokens a replica)"
    )
    if answer.saved:
        out.data(f"saved       {answer.saved_runs} runs in {answer.saved}")


def _row(stage: BenchStage) -> tuple[str, ...]:
    ttft, tpot, planned = stage.measured.ttft_ms, stage.measured.tpot_ms, stage.planned
    verdict = {True: "kept", False: "broken", None: "unknown"}[stage.within_limits]
    failed = f" ({stage.failed} failed)" if stage.failed else ""
    return (
        stage.name + (" (cut short)" if stage.cut_short else ""),
        f"{stage.requests}{failed}",
        _number(stage.in_flight, 1),
        _number(ttft.mean if ttft else None, 0),
        _number(planned.ttft_ms, 0),
        _number(ttft.p95 if ttft else None, 0),
        _number(tpot.mean if tpot else None, 1),
        _number(planned.tpot_ms, 1),
        _number(tpot.p95 if tpot else None, 1),
        _number(stage.measured.output_tokens_per_s, 0),
        _number(planned.output_tokens_per_s, 0),
        verdict,
    )


def _number(value: float | None, digits: int) -> str:
    return "unknown" if value is None else f"{value:,.{digits}f}"


def _least(answer: Bench) -> str:
    """Whether more than the most that was tried might do as well."""
    tried = max((stage.concurrency or 0 for stage in answer.stages), default=0)
    return "at least " if answer.requests_at_once.measured == tried else ""


def _not_tried(answer: Bench) -> str:
    """Why it is unknown how many requests at once keep the limits."""
    if any(stage.concurrency is not None for stage in answer.stages):
        return f"fewer than {LEAST_REQUESTS} requests were answered: give --seconds more"
    return "no load kept requests in flight: --concurrency N does"


def _count(count: BenchCount, unknown: str, least: str = "") -> str:
    planned = "unknown" if count.planned is None else f"{count.planned:,}"
    found = f"not measured ({unknown})" if count.measured is None else f"{least}{count.measured:,} measured"
    return f"{found}, {planned} planned"
