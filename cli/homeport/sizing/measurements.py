"""Measured runs, read from a file: what engines did on the user's own machines.

The format is told in docs/reference/measurements.md. Reading is strict: an unknown field, a name that no list has, a
figure that cannot be are errors with their line.
"""

import math
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from homeport.errors import NotFoundError, Problem, SpecError
from homeport.spec.part import Part, Text
from homeport.spec.source import Placed, Source, spec_error

Engine = Literal["vllm", "sglang", "trtllm", "tgi"]
Storage = Literal["hub", "nvme", "ssd", "pvc", "nfs", "object_store", "page_cache"]
Size = Annotated[int, Meta(ge=1, le=4096)]
Positive = Annotated[float, Meta(gt=0, le=1e12)]
TokenCount = Annotated[int, Meta(ge=1, le=10**12)]
MAX_BYTES = 64 * 2**20


class RunSettings(Part, frozen=True, kw_only=True):
    """Settings of the engine that change what it holds or how fast it is; null: the engine's default."""

    gpu_memory_utilization: Annotated[
        Annotated[float, Meta(gt=0, le=1)] | None,
        Meta(description="Share of memory, in the engine's meaning"),
    ] = None
    max_model_len: Annotated[TokenCount | None, Meta(description="Most tokens of a request")] = None
    max_num_seqs: Annotated[TokenCount | None, Meta(description="Most requests at once")] = None
    max_num_batched_tokens: Annotated[TokenCount | None, Meta(description="Most tokens of a step")] = None


class RunWorkload(Part, frozen=True, kw_only=True):
    """The load under which latencies and rates were measured."""

    input_tokens: Annotated[Positive, Meta(description="Prompt tokens of a request (mean)")]
    output_tokens: Annotated[
        Annotated[float, Meta(ge=1, le=1e9)], Meta(description="Generated tokens of a request (mean)")
    ]
    concurrency: Annotated[
        Annotated[int, Meta(ge=1, le=1_000_000)] | None,
        Meta(description="Requests kept in flight on the replica; null: all at once"),
    ] = None


class RunFigures(Part, frozen=True, kw_only=True):
    """What was measured; null: it was not."""

    ttft_ms: Annotated[Positive | None, Meta(description="Mean time to first token, ms")] = None
    tpot_ms: Annotated[
        Positive | None, Meta(description="Mean time per output token after the first, ms")
    ] = None
    output_tokens_per_s: Annotated[
        Positive | None, Meta(description="Generated tokens a second, all GPUs of the replica together")
    ] = None
    kv_cache_tokens: Annotated[
        TokenCount | None, Meta(description="Tokens of the replica's KV cache, as the engine logs them")
    ] = None
    weights_gib_per_gpu: Annotated[
        Positive | None, Meta(description="Weights on the fullest GPU, GiB (2^30 bytes)")
    ] = None
    ready_s: Annotated[
        Positive | None, Meta(description="Process start to readiness, s, a download included")
    ] = None


class Run(Part, frozen=True, kw_only=True):
    """One run of one replica."""

    model: Annotated[Text, Meta(description="Catalog id, Hub id, or path of a config.json")]
    engine: Annotated[Engine, Meta(description="The engine")]
    engine_version: Annotated[Text, Meta(description="Its version, such as 0.33.0")]
    gpu: Annotated[Text, Meta(description="Id of the GPU")]
    measured: Annotated[RunFigures, Meta(description="What was measured, at least one figure")]
    measured_on: Annotated[
        str,
        Meta(
            pattern=r"^\d{4}-\d{2}-\d{2}$(?!\n)",
            description="Day of the run, such as 2026-08-01",
            extra={"says": "a date, such as 2026-08-01"},
        ),
    ]
    checkpoint: Annotated[
        Text | None, Meta(description="What was loaded, where it is not the model's own")
    ] = None
    tensor_parallel_size: Annotated[Size, Meta(description="GPUs that share each layer")] = 1
    pipeline_parallel_size: Annotated[Size, Meta(description="Groups of layers in a row")] = 1
    nodes: Annotated[Size, Meta(description="Nodes that the replica spans")] = 1
    precision: Annotated[Text | None, Meta(description="bf16, fp8 …; null: the checkpoint's own")] = None
    kv_cache_dtype: Annotated[Text | None, Meta(description="Type of the KV cache; null: auto")] = None
    settings: Annotated[RunSettings, Meta(description="Settings that matter")] = RunSettings()
    workload: Annotated[RunWorkload | None, Meta(description="The load; needed for latencies and rates")] = (
        None
    )
    storage: Annotated[
        Storage | None,
        Meta(description="Where the weights were when the process started; needed for ready_s"),
    ] = None
    tool: Annotated[Text | None, Meta(description="What measured it")] = None


class RunFile(Part, frozen=True, kw_only=True):
    """A whole file of measurements."""

    schema_version: Annotated[Literal[1], Meta(description="Version of this format")]
    runs: Annotated[tuple[Run, ...], Meta(min_length=1, description="The runs, in any order")]


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a file of measurements."""
    from homeport.spec.schema import DIALECT

    made = msgspec.json.schema(RunFile)
    definitions = made["$defs"]
    whole = definitions.pop("RunFile")
    return {"$schema": DIALECT, **whole, "title": "homeport measurements", "$defs": definitions}


def read_measurements(path: Path, name: str) -> tuple[Run, ...]:
    """Read a file of measurements; `name` is how errors call it.

    Raises SpecError with every problem and its line; with the path `("measurements",)` where the file cannot be read.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise _unreadable(name, f"larger than {MAX_BYTES // 2**20} MiB")
        data = path.read_bytes()
    except FileNotFoundError:
        raise _unreadable(name, "there is no such file") from None
    except OSError as error:
        raise _unreadable(name, f"it cannot be read: {error.strerror}") from None
    try:
        value = _decoded(data)
        found = msgspec.convert(value, RunFile)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors too
        raise _all_problems(data, name) from None
    problems = [problem for index, run in enumerate(found.runs) for problem in _meaning(run, ("runs", index))]
    if problems:
        raise _placed(problems, data, name)
    return found.runs


def _unreadable(name: str, why: str) -> SpecError:
    return SpecError(
        [
            Problem(
                message=f"no measurements from {name}: {why}",
                path=("measurements",),
                value=name,
            )
        ]
    )


def _decoded(data: bytes) -> Any:
    """The JSON of a file; keys that stand twice and numbers that are none are errors (ValueError)."""
    import json

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            raise ValueError("a key stands twice")
        return made

    def no_number(text: str) -> None:
        raise ValueError(f"{text} is no number")

    return json.loads(data.decode("utf-8-sig"), object_pairs_hook=once, parse_constant=no_number)


def _meaning(run: Run, path: tuple[str | int, ...]) -> list[Problem]:
    """What the values of one run must hold together, and the names that must stand in a list."""
    import datetime

    from homeport.catalog.gpus import gpu

    found: list[Problem] = []
    figures = run.measured
    try:
        known = gpu(run.gpu)
    except NotFoundError as error:
        found.append(Problem(message=str(error), path=(*path, "gpu"), value=run.gpu, help=error.help))
    else:
        if known.kind == "cpu":
            found.append(
                Problem(
                    message="measurements are of GPUs", path=(*path, "gpu"), value=run.gpu, help="remove it"
                )
            )
    if all(getattr(figures, name) is None for name in RunFigures.__struct_fields__):
        found.append(
            Problem(
                message="nothing was measured",
                path=(*path, "measured"),
                help=f"give one of {', '.join(RunFigures.__struct_fields__)}",
            )
        )
    rates = [n for n in ("ttft_ms", "tpot_ms", "output_tokens_per_s") if getattr(figures, n) is not None]
    if rates and run.workload is None:
        found.append(
            Problem(
                message="missing: the load of a latency or a rate",
                path=(*path, "workload"),
                help="workload: {input_tokens: 1000, output_tokens: 500, concurrency: 8}",
            )
        )
    if figures.ready_s is not None and run.storage is None:
        found.append(
            Problem(
                message="missing: ready_s needs to know where the weights were",
                path=(*path, "storage"),
                help="hub, nvme, ssd, pvc, nfs, object_store or page_cache",
            )
        )
    try:
        datetime.date.fromisoformat(run.measured_on)
    except ValueError:
        found.append(
            Problem(
                message=f"{run.measured_on} is no day of the calendar",
                path=(*path, "measured_on"),
                value=run.measured_on,
            )
        )
    if not found and (impossible := _impossible(run)):
        found.append(
            Problem(message=impossible, path=(*path, "measured"), help="is it of one replica, in ms?")
        )
    return found


def _impossible(run: Run) -> str | None:
    """Little's law: requests in flight are not fewer than the rate times what a request takes (a quarter for lengths that vary)."""
    figures, load = run.measured, run.workload
    if (
        load is None
        or load.concurrency is None
        or figures.tpot_ms is None
        or figures.output_tokens_per_s is None
    ):
        return None
    seconds = ((figures.ttft_ms or 0.0) + figures.tpot_ms * max(load.output_tokens - 1, 0)) / 1000
    needed = figures.output_tokens_per_s / load.output_tokens * seconds
    if math.isfinite(needed) and needed > load.concurrency * 1.25 + 0.5:
        return (
            f"{figures.output_tokens_per_s:,.0f} tokens/s at {figures.tpot_ms:g} ms a token are {needed:,.0f} requests "
            f"in flight, not {load.concurrency}"
        )
    return None


def _all_problems(data: bytes, name: str) -> SpecError:
    """Everything that is wrong with a file that could not be read, each with its line: JSON is YAML, whose reader knows."""
    from homeport.spec.compose import compose, decode
    from homeport.spec.walk import check_against

    text, undecodable = decode(data)
    if undecodable:
        return spec_error([undecodable], Source(name=name, text=text))
    composed = compose(text)
    source = Source(name=name, text=text, places=composed.places)
    if composed.problems or not composed.complete:
        return spec_error([_of_json(problem) for problem in composed.problems], source)
    problems = check_against(_without_nulls(composed.value), RunFile, source)
    return spec_error(problems or [Problem(message="this is no JSON", help="YAML is not read here")], source)


def _of_json(problem: Placed) -> Placed:
    """A problem of YAML's reader, in a file that is JSON."""
    return msgspec.structs.replace(problem, message=problem.message.replace("valid YAML", "valid JSON"))


def _placed(problems: list[Problem], data: bytes, name: str) -> SpecError:
    """The problems with their lines."""
    from homeport.spec.compose import compose

    text = data.decode("utf-8-sig")
    return spec_error(problems, Source(name=name, text=text, places=compose(text).places))


def _without_nulls(value: Any) -> Any:
    """A null says that nothing is known, as if the key were not there."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value
