"""How long a replica takes from the start of its process to readiness, by step, with an interval.

The formulas are in `startup_model`; the figures they use were fitted on measured starts and are in
`data/startup_constants.json`.
"""

from homeport.catalog.architecture_types import Architecture
from homeport.catalog.types import Gpu
from homeport.sizing import startup_model
from homeport.sizing.startup_model import Situation, Steps, Traits
from homeport.sizing.types import Settings, Start, Startup, Term

_SOURCE = "fitted on measured starts (sizing/data/startup_constants.json)"


def _question(arch: Architecture, gpu: Gpu | None, settings: Settings, start: Start) -> tuple[Traits, Situation]:
    traits = startup_model.traits_of(arch, settings.quantization)
    if start.weights_gib_total:
        traits = startup_model.with_checkpoint(traits, start.weights_gib_total)
    return traits, Situation(
        engine=settings.engine,
        release=startup_model.release_of(settings.engine_version) if settings.engine == "vllm" else None,
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
    """Seconds from process start to readiness, by step.

    `gpu` None: not known. `compile_s` is None for engines that compile nothing at start; `init_engine_s` contains
    compilation and graph capture. `ready_s_interval` holds nine starts in ten; its high end is what probes need.
    """
    traits, situation = _question(arch, gpu, settings, start)
    fit = startup_model.fit()
    steps = startup_model.steps(traits, situation, fit.constants)
    vllm = settings.engine == "vllm"
    return Startup(
        download_s=steps.download_s,
        weights_load_s=steps.load_s,
        compile_s=steps.compile_s if vllm else None,
        cuda_graph_capture_s=steps.graph_s,
        init_engine_s=steps.init_s,
        rest_s=steps.rest_s,
        ready_s=steps.ready_s,
        ready_s_interval=startup_model.interval(steps, situation, fit.spreads),
        notes=_notes(situation, steps),
    )


def _notes(s: Situation, steps: Steps) -> tuple[str, ...]:
    notes = []
    if s.engine != "vllm":
        notes.append(f"{s.engine}: initialisation is estimated from vLLM's, few of its starts were measured")
    elif s.release is None:
        notes.append("engine version unknown: taken as an early, slower compiler")
    if s.storage == "unknown":
        notes.append("storage unknown: its read rate is a guess")
    if s.storage == "pvc" and not s.storage_gib_s:
        notes.append("network volumes were measured between 0.3 and 7 GiB/s")
    if s.download_s is None and steps.download_s and not s.network_gib_s:
        notes.append("network unknown: downloads were measured between 0.04 and 0.7 GiB/s")
    if s.compile_cached is None and not s.eager and s.engine == "vllm":
        notes.append("compile cache unknown: taken as empty")
    return tuple(notes)


def explain_startup(arch: Architecture, gpu: Gpu | None, settings: Settings, start: Start) -> list[Term]:
    """The steps of `predict_startup` as formulas with their numbers, and where each comes from."""
    traits, situation = _question(arch, gpu, settings, start)
    c = startup_model.fit().constants
    steps = startup_model.steps(traits, situation, c)
    layers = (traits.layers or 0) / situation.pipeline_parallel_size
    cost = startup_model.layer_cost(traits, situation, c)
    if start.download_s is not None:
        download = "as given"
    elif steps.download_s:
        download = f"{traits.checkpoint_gib:.2f} GiB / {traits.checkpoint_gib / steps.download_s:.2f} GiB/s"
    else:
        download = "the weights lie on the storage already"
    if steps.compile_s:
        state = "from the cache" if situation.compile_cached else "cold"
        compiled = f"{state}: base + {layers:.0f} layers x {cost:.2f} plain layers each"
    else:
        compiled = "nothing is compiled"
    rows = (
        ("download", download, steps.download_s),
        ("load weights", steps.load_formula, steps.load_s),
        ("compile", compiled, steps.compile_s),
        ("capture CUDA graphs", f"{layers:.0f} layers, batch sizes of the engine's default list", steps.graph_s),
        ("profile, allocate, warm up", f"base + {layers:.0f} layers", steps.init_other_s),
        ("process, imports, workers, API server", "by engine release, ranks and vision tower", steps.rest_s),
        ("ready", "sum of the steps", steps.ready_s),
    )
    return [Term(name=name, formula=formula, value=value, unit="s", source=_SOURCE) for name, formula, value in rows]
