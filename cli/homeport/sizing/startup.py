"""How long a replica takes from the start of its process to readiness, by step, with an interval.

The formulas are in `startup_load` and `startup_model`; the figures in them were fitted on measured starts and are in
`data/startup_constants.json`.
"""

import msgspec

from homeport.catalog.architecture_types import Architecture
from homeport.catalog.types import Gpu
from homeport.sizing.startup_model import (
    FIRST_COMPILING_RELEASE,
    Compilation,
    compilation,
    interval,
    release_of,
    steps,
    traits_of,
)
from homeport.sizing.startup_types import Situation, Steps, Traits, fit
from homeport.sizing.types import Settings, Start, Startup, Term

COMPILING_ENGINES = ("vllm", "cpu")


def _question(
    arch: Architecture, gpu: Gpu | None, settings: Settings, start: Start
) -> tuple[Traits, Situation]:
    traits = traits_of(arch, settings.quantization)
    if start.weights_gib_total and start.weights_gib_total != traits.checkpoint_gib:
        traits = msgspec.structs.replace(traits, checkpoint_gib=start.weights_gib_total)
    return traits, Situation(
        engine=settings.engine,
        release=release_of(settings.engine_version) if settings.engine in COMPILING_ENGINES else None,
        gpu_architecture=gpu.architecture.lower() if gpu else None,
        bandwidth_gb_s=gpu.memory_bandwidth_gb_s if gpu else None,
        tensor_parallel_size=settings.tensor_parallel_size,
        pipeline_parallel_size=settings.pipeline_parallel_size,
        storage=start.storage,
        storage_gib_s=start.storage_gib_s,
        network_gib_s=start.network_gib_s,
        loader=start.loader,
        compile_cached=start.compile_cached,
        eager=bool(start.eager),
        download_s=start.download_s,
    )


def predict_startup(arch: Architecture, gpu: Gpu | None, settings: Settings, start: Start) -> Startup:
    """Predict the seconds from process start to readiness, by step.

    `gpu` None: not known. `compile_s` is None for engines that compile nothing at start (0 with `eager`);
    `init_engine_s` contains compilation and graph capture. `ready_s_interval` holds nine starts in ten (of measured
    starts of models that the constants did not know); its high end is what probes and time-outs need.
    """
    traits, situation = _question(arch, gpu, settings, start)
    fitted = fit()
    found = steps(traits, situation, fitted.constants)
    return Startup(
        download_s=found.download_s,
        weights_load_s=found.load_s,
        compile_s=found.compile_s if settings.engine in COMPILING_ENGINES else None,
        cuda_graph_capture_s=found.graph_s,
        init_engine_s=found.init_s,
        rest_s=found.rest_s,
        ready_s=found.ready_s,
        ready_s_interval=interval(found, situation, fitted.spreads),
        notes=_notes(situation, found),
    )


def _notes(s: Situation, found: Steps) -> tuple[str, ...]:
    """What was assumed, and how wide the measurements scatter there."""
    if s.engine == "simulator":
        return ()
    notes = []
    if s.engine == "cpu":
        notes.append("cpu: the process's share is of one measured start on two cores")
    elif s.engine != "vllm":
        notes.append(f"{s.engine}: estimated from vLLM's starts, few of its own were measured")
    elif s.release is None:
        notes.append("engine version unknown: taken as one of 2025, which compiles slowly")
    if s.storage == "unknown":
        notes.append("storage unknown: its read rate is an assumption")
    elif s.storage == "pvc" and not s.storage_gib_s:
        notes.append("network volumes were measured between 0.3 and 7 GiB/s")
    if s.download_s is None and found.download_s and not s.network_gib_s:
        notes.append("network unknown: downloads were measured between 0.04 and 0.7 GiB/s")
    if s.compile_cached is None and found.compile_s:
        notes.append("compile cache not stated: taken as empty")
    return tuple(notes)


def explain_startup(arch: Architecture, gpu: Gpu | None, settings: Settings, start: Start) -> list[Term]:
    """Explain the steps of `predict_startup`: each formula with its numbers, and where they come from."""
    traits, situation = _question(arch, gpu, settings, start)
    fitted = fit()
    found = steps(traits, situation, fitted.constants)
    source = f"{fitted.records} measured starts of {fitted.base_models} models, {fitted.as_of}"
    rows = (
        ("download", _download_formula(traits, situation, found), found.download_s),
        ("load weights", found.load_formula, found.load_s),
        (
            "compile",
            _compile_formula(compilation(traits, situation, fitted.constants), situation),
            found.compile_s,
        ),
        (
            "capture CUDA graphs",
            "by layers, experts and the time of one pass through the weights",
            found.graph_s,
        ),
        ("profile, allocate, warm up", "by layers, more after a compilation", found.init_other_s),
        ("process", "imports, workers, tokeniser, API server", found.rest_s),
        ("ready", "sum of the steps", found.ready_s),
    )
    return [
        Term(name=name, formula=formula, value=value, unit="s", source=source)
        for name, formula, value in rows
    ]


def _download_formula(t: Traits, s: Situation, found: Steps) -> str:
    if s.download_s is not None:
        return "as given"
    if not found.download_s:
        return "the weights lie where the process starts"
    return f"{t.checkpoint_gib:.2f} GiB / {t.checkpoint_gib / found.download_s:.2f} GiB/s"


def _compile_formula(c: Compilation | None, s: Situation) -> str:
    if c is None:
        old = s.release is not None and s.release < FIRST_COMPILING_RELEASE
        return "nothing is compiled" + (
            ": eager" if s.eager else ": releases before 0.8 do not" if old else ""
        )
    host = f" x {c.host:.2f} (slower host CPU)" if c.host != 1.0 else ""
    state = "from the cache" if s.compile_cached else "cold"
    return f"{state}: ({c.base_s:.1f} s + {c.layers:g} layers x {c.layer_s:.3f} s x {c.cost:.2f}){host}"
