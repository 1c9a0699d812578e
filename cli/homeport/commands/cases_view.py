"""One case of memory, throughput or start-up, answered as a table, JSON or YAML."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from homeport.catalog.architecture import Architecture, architecture
from homeport.catalog.gpus import gpus_matching
from homeport.catalog.resolve import resolve
from homeport.catalog.types import Gpu
from homeport.commands.output import SCHEMA_VERSION, Format, Output
from homeport.errors import NotFoundError
from homeport.sizing.types import Load, Performance, Settings, Start, Startup, Term

BAR_WIDTH = 40


class One(msgspec.Struct, frozen=True, kw_only=True):
    """The model, the GPU and the settings that the flags named."""

    model: str
    arch: Architecture
    gpu: Gpu
    settings: Settings

    @property
    def head(self) -> str:
        """What was asked, in a line."""
        s = self.settings
        gpus = s.tensor_parallel_size * s.pipeline_parallel_size
        count = f"{gpus} x " if gpus > 1 else ""
        parts = [f"{self.model} on {count}{self.gpu.id}", f"{s.engine} {s.engine_version or ''}".strip()]
        if s.tensor_parallel_size > 1:
            parts.append(f"tensor parallel {s.tensor_parallel_size}")
        if s.pipeline_parallel_size > 1:
            parts.append(f"pipeline parallel {s.pipeline_parallel_size}")
        if s.quantization:
            parts.append(s.quantization)
        return " · ".join(parts)

    @property
    def keys(self) -> dict[str, Any]:
        """The same as data."""
        return {
            "schema_version": SCHEMA_VERSION,
            "model": self.model,
            "gpu": self.gpu.id,
            **{k: v for k, v in msgspec.to_builtins(self.settings).items() if v is not None},
        }


def one(model: str, gpu: str, settings: dict[str, Any]) -> One:
    """Find the model and the GPU; the engine's version is the newest where none was given."""
    from homeport.engines.registry import release

    found = resolve(model, base_dir=Path())
    config = found.config
    if found.weight_bytes and "weight_bytes" not in config:
        config = {**config, "weight_bytes": found.weight_bytes}
    version = settings["engine_version"] or release(settings["engine"]).version
    return One(
        model=found.id,
        arch=architecture(config, found.id),
        gpu=_one_gpu(gpu),
        settings=Settings(**{**settings, "engine_version": version}),
    )


def _one_gpu(name: str) -> Gpu:
    """The GPU of a name, or of a family that has one member; a family of several is answered with their ids."""
    found = gpus_matching(name)
    if len(found) > 1:
        ids = [g.id for g in found]
        raise NotFoundError(
            "single GPU", name, ids, help=f"'{name}' is a family: name one of {', '.join(ids)}"
        )
    return found[0]


def size_view(out: Output, case: One, fmt: Format, *, explain: bool) -> bool:
    """Print what one GPU holds; return whether it fits."""
    from homeport.sizing.memory import size as answer
    from homeport.sizing.memory_explain import explain_memory

    memory = answer(case.arch, case.gpu, case.settings)
    if fmt != "table":
        terms = (
            {"explanation": msgspec.to_builtins(explain_memory(case.arch, case.gpu, case.settings))}
            if explain
            else {}
        )
        answered = {
            "fits": memory.fits,
            "weights_gib_per_gpu": memory.weights_gib,
            "activation_gib_per_gpu": memory.activation_gib,
            "non_torch_gib_per_gpu": memory.non_torch_gib,
            "cuda_graph_gib_per_gpu": memory.cuda_graph_gib,
            "kv_cache_gib_per_gpu": memory.kv_cache_gib,
            "usable_gib_per_gpu": memory.usable_gib,
            "kv_cache_tokens": memory.kv_cache_tokens,
            "max_concurrency": memory.max_concurrency,
            "max_model_len": memory.max_model_len,
            "short_gib_per_gpu": memory.short_gib,
            "reason": memory.reason,
            "notes": memory.notes,
        }
        out.structured(_rounded({**case.keys, **answered, **terms}), fmt)
        return memory.fits
    out.data(case.head + "\n\n")
    parts = (
        ("weights", memory.weights_gib),
        ("activation", memory.activation_gib),
        ("CUDA graphs", memory.cuda_graph_gib),
        ("other", memory.non_torch_gib),
        ("KV cache", memory.kv_cache_gib),
    )
    left = memory.usable_gib - sum(gib for _, gib in parts)
    rows = [[name, f"{gib:.2f}", _bar(gib, memory.usable_gib)] for name, gib in (*parts, ("left", left))]
    of_what = "the pod" if case.gpu.kind == "cpu" else "one GPU"
    out.table([of_what, "GiB", f"of {memory.usable_gib:.2f} GiB usable"], rows, right=[1])
    out.data(
        f"\n{memory.kv_cache_tokens:,} KV tokens in the replica: "
        f"{memory.max_concurrency:.1f} requests of {memory.max_model_len:,} tokens"
    )
    out.data(out.style(f"{'fits' if memory.fits else 'does not fit'}: ", bold=True) + memory.reason)
    if explain:
        _terms(out, explain_memory(case.arch, case.gpu, case.settings))
    _notes(out, memory.notes)
    return memory.fits


def throughput_view(out: Output, case: One, load: Load, fmt: Format, *, explain: bool) -> bool:
    """Print how fast one replica serves a load; return whether it comes up at all.

    The KV cache is what `size` and `plan` say, so that all three agree on how many requests run at once.
    """
    from homeport.sizing.memory import size as memory_of
    from homeport.sizing.throughput import explain_performance, predict_run

    settings = case.settings
    if settings.max_model_len is None:
        needed = math.ceil(load.input_tokens + load.output_tokens)
        settings = msgspec.structs.replace(settings, max_model_len=min(needed, case.arch.context_tokens))
    memory = memory_of(case.arch, case.gpu, settings)
    if not memory.fits:
        out.warn(f"the engine does not come up with these settings: {memory.reason}")
    tokens = memory.kv_cache_tokens or None
    found: Performance = predict_run(case.arch, case.gpu, case.settings, load, tokens)
    if fmt != "table":
        terms = (
            {
                "explanation": msgspec.to_builtins(
                    explain_performance(case.arch, case.gpu, case.settings, load, tokens)
                )
            }
            if explain
            else {}
        )
        asked = {
            "input_tokens": load.input_tokens,
            "output_tokens": load.output_tokens,
            "concurrency": load.concurrency,
        }
        out.structured(_rounded({**case.keys, **asked, **msgspec.to_builtins(found), **terms}), fmt)
        return memory.fits
    flight = (
        "all requests at once"
        if load.concurrency is None
        else f"{load.concurrency} request{'s' if load.concurrency > 1 else ''} in flight"
    )
    out.data(f"{case.head}\n{load.input_tokens:,.0f} + {load.output_tokens:,.0f} tokens, {flight}\n\n")
    rows = [
        _figure("time to first token", found.ttft_ms, found.ttft_ms_interval, "ms"),
        _figure("time per output token", found.tpot_ms, found.tpot_ms_interval, "ms"),
        _figure(
            "output of the replica", found.output_tokens_per_s, found.output_tokens_per_s_interval, "tokens/s"
        ),
    ]
    out.table(["", "mean", "interval", "unit"], rows, right=[1, 2])
    if explain:
        _terms(out, explain_performance(case.arch, case.gpu, case.settings, load, tokens))
    _notes(out, found.notes)
    return memory.fits


def startup_view(out: Output, case: One, start: Start, fmt: Format, *, explain: bool) -> None:
    """Print how long a replica takes to start."""
    from homeport.sizing.startup import explain_startup, predict_startup

    found: Startup = predict_startup(case.arch, case.gpu, case.settings, start)
    if fmt != "table":
        terms = (
            {"explanation": msgspec.to_builtins(explain_startup(case.arch, case.gpu, case.settings, start))}
            if explain
            else {}
        )
        asked = {k: v for k, v in msgspec.to_builtins(start).items() if v is not None and k != "download_s"}
        out.structured(_rounded({**case.keys, **asked, **msgspec.to_builtins(found), **terms}), fmt)
        return
    out.data(f"{case.head}\nweights: {start.storage}\n\n")
    other = (found.init_engine_s or 0) - (found.compile_s or 0) - (found.cuda_graph_capture_s or 0)
    rows = [
        [name, f"{seconds:.1f}", _bar(seconds, found.ready_s)]
        for name, seconds in (
            ("download", found.download_s or 0.0),
            ("load weights", found.weights_load_s or 0.0),
            ("compile", found.compile_s or 0.0),
            ("capture CUDA graphs", found.cuda_graph_capture_s or 0.0),
            ("profile, allocate, warm up", other),
            ("process, imports, server", found.rest_s or 0.0),
        )
    ]
    low, high = found.ready_s_interval
    out.table(["step", "seconds", ""], [*rows, ["ready", f"{found.ready_s:.1f}", ""]], right=[1])
    out.data(f"\nnine starts in ten take {low:.0f} to {high:.0f} s")
    if explain:
        _terms(out, explain_startup(case.arch, case.gpu, case.settings, start))
    _notes(out, found.notes)


def _rounded(value: Any) -> Any:
    """Round every float to what it can claim."""
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    return [_rounded(v) for v in value] if isinstance(value, list | tuple) else value


def _bar(part: float, whole: float) -> str:
    if whole <= 0:
        return ""
    return "█" * round(BAR_WIDTH * min(max(part / whole, 0.0), 1.0)) + ("▶" if part > whole else "")


def _figure(name: str, value: float | None, interval: tuple[float, float] | None, unit: str) -> list[str]:
    if value is None:
        return [name, "unknown", "", unit]
    between = f"{interval[0]:,.1f} to {interval[1]:,.1f}" if interval else ""
    return [name, f"{value:,.1f}", between, unit]


def _terms(out: Output, terms: Sequence[Term]) -> None:
    out.data("")
    rows = [[t.name, _number(t.value), t.unit, t.formula, t.source] for t in terms]
    out.table(["term", "value", "unit", "formula", "source"], rows, right=[1])


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _notes(out: Output, notes: Sequence[str]) -> None:
    if notes:
        out.data("\n" + "\n".join(f"* {note}" for note in notes))
