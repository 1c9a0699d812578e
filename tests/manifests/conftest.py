"""Plans made by hand: what manifests are rendered from, without the planner."""

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from homeport.catalog.architecture import architecture
from homeport.catalog.gpus import gpu
from homeport.catalog.models import config, model
from homeport.engines import registry
from homeport.engines.types import AdapterMount, Launch
from homeport.planning.pools import pools
from homeport.planning.types import ModelPlan, ModelSource, NodeChoice, Plan
from homeport.sizing.types import Capacity, Performance, Settings, Startup
from homeport.spec.models import ModelSpec, Spec

WORKLOAD = {"requests_per_day": 100000, "input_tokens": 1000, "output_tokens": 500}
CPU_MODEL = "Qwen/Qwen2.5-0.5B-Instruct"
INSTANCES = {
    "gke": ("a3-highgpu-4g", "a3-highgpu-8g"),
    "eks": ("p5.48xlarge",),
    "aks": ("Standard_ND96isr_H100_v5",),
}


@pytest.fixture(scope="session")
def plans() -> SimpleNamespace:
    """`plans.spec(platform, {...}, ...)` and `plans.plan(spec, **changes)`."""
    return SimpleNamespace(spec=spec, plan=plan)


def spec(platform: str = "gke", *models: dict[str, Any], **top: Any) -> Spec:
    """A spec of the models given (fields beside name, model, workload), or of one plain model."""
    rows = [
        {"name": "assistant", "model": "meta-llama/Llama-3.1-70B-Instruct", "workload": WORKLOAD} | m
        for m in models or ({},)
    ]
    target = {"platform": platform} | top.pop("target", {})
    return msgspec.convert({"version": 1, "name": "support", "target": target, "models": rows} | top, Spec)


def plan(made: Spec, **changes: Any) -> Plan:
    """The plan of a spec; `changes` replace fields of every model's plan."""
    models = [model_plan(made, m, **changes) for m in made.models]
    return Plan(spec=made, models=tuple(models), pools=pools(made.target, models), warnings=())


def model_plan(made: Spec, one: ModelSpec, **changes: Any) -> ModelPlan:
    """The plan of one model: four H100 a replica, two replicas, unless the spec or `changes` say otherwise."""
    platform = made.target.platform
    engine = one.engine or "vllm"
    release = registry.release(engine, one.engine_version)
    on_cpu = release.engine in ("cpu", "simulator")
    pipeline = one.pipeline_parallel_size or 1
    gpus = 0 if on_cpu else changes.pop("gpus_per_replica", (one.tensor_parallel_size or 4) * pipeline)
    nodes = changes.pop("nodes_per_replica", pipeline)
    row = model(one.model)
    launch = Launch(
        model="/models" if one.weights.source != "hub" else row.id,
        served_name=one.name,
        revision=one.weights.revision if one.weights.source == "hub" else None,
        tensor_parallel_size=max(1, gpus // nodes),
        pipeline_parallel_size=nodes,
        nodes=nodes,
        max_model_len=8192,
        adapters=tuple(
            AdapterMount(
                name=a.name,
                path=f"/models{a.source}" if a.source.startswith("/") else f"/adapters/{a.name}",
                rank=a.rank,
            )
            for a in one.adapters
        ),
        api_key_env=one.api_key is not None,
        offline=one.weights.source != "hub",
        cpu_kv_cache_gib=4 if release.engine == "cpu" else None,
        extra_args=one.extra_args,
        **({"simulated_ttft_ms": 200.0, "simulated_tpot_ms": 20.0} if release.engine == "simulator" else {}),
    )
    least = one.replicas.min if one.replicas.min is not None else 1
    planned = max(2, least)
    most = one.replicas.max if one.replicas.max is not None else max(planned + 1, least)
    performance = Performance(ttft_ms=240.0, tpot_ms=21.0, output_tokens_per_s=1500.0)
    found = ModelPlan(
        spec=one,
        source=ModelSource(
            id=row.id,
            checkpoint=one.checkpoint or row.id,
            config=dict(config(row.id)),
            architecture=architecture(config(row.id)),
            weight_bytes=row.weight_bytes_bf16,
            context_tokens=row.context_tokens,
            licence=row.licence,
            gated=row.gated,
            origin="catalog",
            as_of=row.as_of,
        ),
        engine=release,
        image=one.image or release.image,
        launch=launch,
        settings=Settings(engine=release.engine),
        gpu=None if on_cpu else gpu("H100-SXM-80GB"),
        precision="bf16",
        kv_cache_dtype="bf16",
        gpus_per_replica=gpus,
        nodes_per_replica=nodes,
        replicas_min=least,
        replicas_max=most,
        replicas_planned=min(planned, most),
        fixed_replicas=one.scaling.by == "none" or least == most,
        nodes=None
        if on_cpu
        else NodeChoice(
            instance=None,
            gpus_per_node=8,
            instance_types=INSTANCES.get(platform, ()),
            region=None,
            price=None,
        ),
        node_count=0,
        idle_gpus=0,
        usd_per_month=None,
        memory=None,
        performance=performance,
        capacity=Capacity(concurrency=100, requests_per_s=3.5, limited_by="tpot", performance=performance),
        peak_requests_per_s=3.47,
        startup=Startup(
            download_s=60.0,
            weights_load_s=45.0,
            compile_s=40.0,
            cuda_graph_capture_s=5.0,
            init_engine_s=None,
            rest_s=20.0,
            ready_s=170.0,
            ready_s_interval=(90.0, 412.0),
        ),
        cpu_request="8" if not on_cpu else "2",
        memory_request_gib=32 if not on_cpu else 6,
        considered=(),
        decisions=(),
        warnings=(),
    )
    return msgspec.structs.replace(found, **changes)
