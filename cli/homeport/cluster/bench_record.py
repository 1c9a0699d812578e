"""Measured runs in the format that plans read, and what the plan had said of the same loads."""

import datetime
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from homeport.cluster.bench_endpoint import SIMULATOR
from homeport.cluster.bench_types import Endpoint, Measured, Spread
from homeport.errors import HomeportError
from homeport.files import write_whole
from homeport.planning.types import ModelPlan
from homeport.sizing.measurements import Run, RunFigures, RunFile, RunSettings, RunWorkload, read_measurements
from homeport.sizing.types import Load, Performance

TOOL = "homeport bench"
RECORDED = ("vllm", "sglang", "trtllm", "tgi")


def real(plan: ModelPlan) -> ModelPlan:
    """The plan on real GPUs: a simulator stands for one."""
    return plan.stands_for or plan


def predicted(
    plan: ModelPlan, input_tokens: float, output_tokens: float, concurrency: float
) -> Performance | None:
    """What is predicted of one replica under a load; None without a GPU. Measurements do not correct it."""
    from homeport.sizing.throughput import predict

    of = real(plan)
    if of.gpu is None or of.memory is None:
        return None
    load = Load(
        input_tokens=input_tokens,
        output_tokens=max(output_tokens, 1.0),
        concurrency=max(round(concurrency), 1),
    )
    return predict(of.source.architecture, of.gpu, of.settings, load, of.memory.kv_cache_tokens)


def why_not(plan: ModelPlan, endpoint: Endpoint, engine_version: str | None) -> str | None:
    """Why runs of this endpoint can't be recorded as measurements; None: they can."""
    of = real(plan)
    if of.gpu is None or of.engine.engine not in RECORDED:
        return "a plan counts with runs on GPUs only, and this model runs on a CPU"
    if endpoint.engine_version == SIMULATOR and engine_version is None:
        return (
            "the endpoint is homeport's simulator: its figures are settings, not measurements "
            "(--engine-version VERSION records them as that version's nevertheless)"
        )
    return None


def runs(
    plan: ModelPlan,
    endpoint: Endpoint,
    found: Sequence[Measured],
    *,
    replicas: int,
    engine_version: str | None,
    generator: str,
) -> list[Run]:
    """The records of the stages with a fixed number of requests in flight, and one of the KV cache.

    A record is of one replica: what several did is divided by their number. Stages at a rate are left out, as the
    rate is theirs and not the replica's; so are stages in which requests failed.
    """
    of = real(plan)
    tool = f"{TOOL} ({generator})"
    if endpoint.engine_version == SIMULATOR:
        tool = f"{TOOL} ({generator}, of the simulator)"
    about: dict[str, Any] = {
        "model": of.source.local_path or of.source.id,
        "checkpoint": of.source.checkpoint if of.source.checkpoint != of.source.id else None,
        "engine": of.engine.engine,
        "engine_version": engine_version or endpoint.engine_version or of.engine.version,
        "gpu": of.gpu.id if of.gpu else "",
        "tensor_parallel_size": of.settings.tensor_parallel_size,
        "pipeline_parallel_size": of.settings.pipeline_parallel_size,
        "nodes": of.settings.nodes,
        "precision": of.precision,
        "kv_cache_dtype": of.kv_cache_dtype,
        "settings": RunSettings(
            gpu_memory_utilization=of.settings.gpu_memory_utilization,
            max_model_len=endpoint.max_model_len or of.settings.max_model_len,
            max_num_seqs=of.settings.max_num_seqs,
            max_num_batched_tokens=of.settings.max_num_batched_tokens,
        ),
        "measured_on": datetime.date.today().isoformat(),
        "tool": tool,
    }
    made = []
    for one in found:
        if not recordable(one, replicas):
            continue
        assert one.stage.concurrency is not None
        assert one.input_tokens is not None
        assert one.output_tokens is not None
        made.append(
            Run(
                **about,
                workload=RunWorkload(
                    input_tokens=round(one.input_tokens, 1),
                    output_tokens=round(one.output_tokens, 1),
                    concurrency=one.stage.concurrency // replicas,
                ),
                measured=RunFigures(
                    ttft_ms=_rounded(one.ttft_ms),
                    tpot_ms=_rounded(one.tpot_ms),
                    output_tokens_per_s=round(one.output_tokens_per_s / replicas, 1)
                    if one.output_tokens_per_s
                    else None,
                ),
            )
        )
    if endpoint.kv_cache_tokens is not None:
        made.append(Run(**about, measured=RunFigures(kv_cache_tokens=endpoint.kv_cache_tokens)))
    return made


def recordable(one: Measured, replicas: int) -> bool:
    """Whether a stage says what a replica does with a number of requests in flight."""
    return (
        one.stage.concurrency is not None
        and one.stage.concurrency % replicas == 0
        and one.failed == 0
        and not one.cut_short
        and one.requests >= one.stage.concurrency
        and one.input_tokens is not None
        and one.output_tokens is not None
        and one.ttft_ms is not None
    )


def _rounded(spread: Spread | None) -> float | None:
    return round(spread.mean, 2) if spread and spread.mean > 0 else None


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """The file to write, and the runs that it holds so far. `foreign` are those that a benchmark did not write."""

    path: Path
    kept: tuple[Run, ...]
    foreign: int


def target(path: Path) -> Target:
    """Look at the file before load is sent.

    Raises SpecError where it is there and holds no measurements, HomeportError where its folder takes no file: measured
    hours must not be lost at the end.
    """
    if path.is_dir() or not path.parent.is_dir():
        raise HomeportError(
            f"'{path}' cannot be written: {'it is a folder' if path.is_dir() else 'there is no such folder'}"
        )
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise HomeportError(f"'{path}' cannot be written: {error.strerror or error}") from None
    if not path.exists():
        return Target(path=path, kept=(), foreign=0)
    kept = read_measurements(path, str(path))
    return Target(
        path=path, kept=kept, foreign=sum(1 for run in kept if not (run.tool or "").startswith(TOOL))
    )


def save(into: Target, made: Sequence[Run]) -> int:
    """Add runs to the file, whole or not at all; return how many of an earlier benchmark they replace.

    A run of the same load on the same configuration replaces a benchmark's; what others wrote is kept.
    """
    fresh = {_load(run) for run in made}
    kept = [run for run in into.kept if not (run.tool or "").startswith(TOOL) or _load(run) not in fresh]
    whole = RunFile(schema_version=1, runs=(*kept, *made))
    text = msgspec.json.format(
        msgspec.json.encode(_without_nones(msgspec.to_builtins(whole))), indent=2
    ).decode()
    write_whole(into.path, text + "\n", replace=bool(into.kept))
    return len(into.kept) - len(kept)


def _load(run: Run) -> bytes:
    """What a run is of: all but its figures, its day, and the lengths' fractions, which differ each time."""
    load = run.workload
    about = msgspec.structs.replace(run, measured=RunFigures(), measured_on="", tool=None, workload=None)
    lengths = load and (round(load.input_tokens, -1), round(load.output_tokens, -1), load.concurrency)
    return msgspec.json.encode((about, lengths))


def _without_nones(value: Any) -> Any:
    if isinstance(value, dict):
        found = {key: _without_nones(item) for key, item in value.items() if item is not None}
        return {key: item for key, item in found.items() if item != {}}
    return [_without_nones(item) for item in value] if isinstance(value, list | tuple) else value
