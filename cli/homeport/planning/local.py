"""Plans without a GPU: a small model on the CPU engine, anything else on the simulator."""

import math

import msgspec

from homeport.catalog.gpus import gpu
from homeport.engines.types import Launch, Release
from homeport.planning.decide import launch as launch_of
from homeport.planning.hardware import LOCAL
from homeport.planning.precision import own_label
from homeport.planning.types import Decision, ModelPlan, ModelSource
from homeport.planning.workload import peak_requests_per_s
from homeport.sizing import memory_cpu
from homeport.sizing.types import Settings, Startup
from homeport.spec.models import ModelSpec, Target

SMALL_GIB = 4.0
"""Weights that a laptop's memory holds beside everything else (an assumption)."""
CPU_START_S = (60.0, 360.0)
"""Seconds to readiness without a download: 51 to 76 on two idle cores, 96 and once more than 180 on two that compilers
kept busy (vLLM 0.32.0, measured); the high end, twice the last, is assumed: a probe that gives up starts it all anew."""
NETWORK_GIB_S = (0.3, 0.04)
"""A usual and a slow download from the Hub: measured ones range from 0.04 to 0.7 GiB/s."""


def engine_name(target: Target, model: ModelSpec, source: ModelSource) -> tuple[str, Decision | None]:
    """The engine of a model: as written; vllm; or, where there is no GPU, cpu for a small model, else simulator."""
    if model.engine is not None:
        return model.engine, None
    if target.platform not in LOCAL:
        return "vllm", Decision(field="engine", value="vllm", because="the default")
    gib = source.weight_bytes / 2**30
    if gib <= SMALL_GIB and source.architecture.quantization is None:
        because = (
            f"{target.platform} has no GPU, and {gib:.1f} GiB of weights are small (at most {SMALL_GIB:g})"
        )
        return "cpu", Decision(field="engine", value="cpu", because=because)
    because = (
        f"{target.platform} has no GPU, and {gib:.1f} GiB of weights are too many for a CPU (at most {SMALL_GIB:g}): "
        "it answers like the model's server, with made-up text"
    )
    return "simulator", Decision(field="engine", value="simulator", because=because)


def on_cpu(
    model: ModelSpec,
    source: ModelSource,
    release: Release,
    max_model_len: int,
    decisions: list[Decision],
) -> ModelPlan:
    """Plan a model on vLLM's CPU build. Its speed is the node's, so it is unknown here."""
    weights_gib = source.weight_bytes / 2**30
    settings = _settings(model, release, max_model_len)
    cache = memory_cpu.cache(source.architecture, gpu("CPU"), settings)
    least, most = memory_cpu.KV_GIB
    made = launch_of(model, source, settings)
    download = weights_gib if model.weights.source == "hub" else 0.0
    decided = [
        *decisions,
        Decision(
            field="KV cache",
            value=f"{cache.gib} GiB",
            because=f"{cache.tokens:,} tokens hold two requests of {max_model_len:,}; between {least} and {most} GiB"
            if cache.tokens >= 2 * max_model_len
            else f"{cache.tokens:,} tokens hold one request of {max_model_len:,}; two would take more than {most} GiB",
            assumption=True,
        ),
    ]
    return _without_gpu(
        model, source, release, settings,
        launch=msgspec.structs.replace(made, cpu_kv_cache_gib=cache.gib, memory_fraction=None),
        startup=Startup(
            download_s=download / NETWORK_GIB_S[0],
            weights_load_s=None, compile_s=None, cuda_graph_capture_s=None, init_engine_s=None, rest_s=None,
            ready_s=CPU_START_S[0] + download / NETWORK_GIB_S[0],
            ready_s_interval=(CPU_START_S[0], CPU_START_S[1] + download / NETWORK_GIB_S[1]),
        ),
        cpu_request="2",
        memory_gib=math.ceil(weights_gib + cache.gib + memory_cpu.ENGINE_GIB),
        decisions=decided,
        warnings=("the CPU engine's speed is the node's own, so it is not known here: it is for trying, not for load",),
    )  # fmt: skip


def simulated(
    model: ModelSpec,
    source: ModelSource,
    release: Release,
    max_model_len: int,
    decisions: list[Decision],
    real: ModelPlan | None,
) -> ModelPlan:
    """Plan a model on the simulator, which imitates the speed of `real` (None: of nothing in particular)."""
    settings = _settings(model, release, max_model_len)
    made = launch_of(model, source, settings)
    warnings = ["the simulator answers with made-up text: it shows the deployment, not the model"]
    if real is not None and real.performance is not None and real.capacity is not None:
        made = msgspec.structs.replace(
            made,
            simulated_ttft_ms=real.performance.ttft_ms,
            simulated_tpot_ms=real.performance.tpot_ms,
            max_num_seqs=model.max_num_seqs or real.capacity.concurrency,
        )
    else:
        warnings.append("nothing real could be planned for this model here, so its speed is not imitated")
    plan = _without_gpu(
        model, source, release, settings,
        launch=made,
        startup=Startup(
            download_s=0.0, weights_load_s=None, compile_s=None, cuda_graph_capture_s=None, init_engine_s=None,
            rest_s=None, ready_s=2.0, ready_s_interval=(1.0, 30.0),
        ),
        cpu_request="100m",
        memory_gib=1,
        decisions=decisions,
        warnings=tuple(warnings),
    )  # fmt: skip
    if real is None:
        return plan
    return msgspec.structs.replace(
        plan,
        stands_for=real,
        performance=real.performance,
        capacity=real.capacity,
        considered=real.considered,
        usd_per_month=real.usd_per_month,
    )


def _settings(model: ModelSpec, release: Release, max_model_len: int) -> Settings:
    return Settings(
        engine=release.engine,
        engine_version=release.version,
        max_model_len=max_model_len,
        max_num_batched_tokens=model.max_num_batched_tokens,
        max_num_seqs=model.max_num_seqs,
        kv_cache_dtype=model.kv_cache_dtype or "auto",
        adapters=len(model.adapters),
        adapter_rank=max((a.rank for a in model.adapters), default=0),
    )


def _without_gpu(
    model: ModelSpec,
    source: ModelSource,
    release: Release,
    settings: Settings,
    *,
    launch: Launch,
    startup: Startup,
    cpu_request: str,
    memory_gib: int,
    decisions: list[Decision],
    warnings: tuple[str, ...],
) -> ModelPlan:
    planned = max(1, model.replicas.min or 1)
    lowest = 1 if model.replicas.min is None else model.replicas.min
    most = model.replicas.max or planned + 1
    fixed = model.scaling.by == "none" or lowest == most
    return ModelPlan(
        spec=model,
        source=source,
        engine=release,
        image=model.image or release.image,
        launch=launch,
        settings=settings,
        gpu=None,
        precision=own_label(source.architecture),
        kv_cache_dtype=settings.kv_cache_dtype,
        gpus_per_replica=0,
        nodes_per_replica=1,
        replicas_min=lowest,
        replicas_max=planned if model.scaling.by == "none" else most,
        replicas_planned=planned,
        fixed_replicas=fixed,
        nodes=None,
        node_count=0,
        idle_gpus=0,
        usd_per_month=None,
        memory=None,
        performance=None,
        capacity=None,
        peak_requests_per_s=peak_requests_per_s(model),
        startup=startup,
        cpu_request=cpu_request,
        memory_request_gib=memory_gib,
        considered=(),
        decisions=tuple(decisions),
        warnings=warnings,
    )
