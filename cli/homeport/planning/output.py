"""A plan as plain values with fixed keys, for `plan -o json` and everything that reads it."""

from typing import Any

from homeport.catalog.types import Gpu
from homeport.planning.scaling import scaling
from homeport.planning.scaling_types import NAMES as FIGURES
from homeport.planning.types import ModelPlan, Plan
from homeport.sizing.types import Startup

SCHEMA_VERSION = 1


def plan_values(plan: Plan) -> dict[str, Any]:
    """The plan as dicts and lists; keys are fixed (docs/reference/json.md): add, never rename. None is unknown."""
    return {
        "schema_version": SCHEMA_VERSION,
        "name": plan.spec.name,
        "target": {"platform": plan.spec.target.platform, "region": plan.spec.target.region},
        "models": [model_values(model) for model in plan.models],
        "node_pools": [
            {
                "gpu": pool.gpu,
                "instance_type": pool.instance_type,
                "region": pool.region,
                "capacity": pool.capacity,
                "gpus_per_node": pool.gpus_per_node,
                "nodes": pool.node_count,
                "idle_gpus": pool.idle_gpus,
                "usd_per_hour_per_node": pool.price.usd_per_hour if pool.price else None,
                "price_source": pool.price.source if pool.price else None,
                "price_as_of": (pool.price.as_of or None) if pool.price else None,
                "price_assumption": pool.price.assumed if pool.price else None,
                "models": list(pool.models),
                "vcpus_per_node": pool.machine.vcpus if pool.machine else None,
                "memory_gib_per_node": pool.machine.memory_gib if pool.machine else None,
                "machine_source": pool.machine.source if pool.machine else None,
                "machine_as_of": pool.machine.as_of if pool.machine else None,
            }
            for pool in plan.pools
        ],
        "warnings": [
            *plan.warnings,
            *(f"{model.spec.name}: {text}" for model in plan.models for text in model.warnings),
        ],
    }


def model_values(model: ModelPlan) -> dict[str, Any]:
    """One model of the plan. Without a GPU (cpu, simulator) `gpu` is "CPU" and the sizes are null."""
    memory, performance = model.memory, model.performance
    values: dict[str, Any] = {
        "name": model.spec.name,
        "model": model.source.id,
        "checkpoint": model.source.checkpoint,
        "engine": {"name": model.engine.engine, "version": model.engine.version, "image": model.image},
        "precision": model.precision,
        "kv_cache_dtype": model.kv_cache_dtype,
        "gpu": model.gpu.id if model.gpu else "CPU",
        "gpus_per_replica": model.gpus_per_replica,
        "tensor_parallel_size": model.settings.tensor_parallel_size,
        "pipeline_parallel_size": model.settings.pipeline_parallel_size,
        "nodes_per_replica": model.nodes_per_replica,
        "instance_types": list(model.nodes.instance_types) if model.nodes else [],
        "refused_instance_types": [
            {"instance_type": one.instance_type, "reason": one.reason} for one in model.nodes.refused
        ]
        if model.nodes
        else [],
        "max_model_len": model.launch.max_model_len,
        "replicas": {"min": model.replicas_min, "max": model.replicas_max, "planned": model.replicas_planned},
        "memory_gib_per_gpu": {
            "total": card_gib(model.gpu, memory.usable_gib),
            "usable": memory.usable_gib,
            "weights": memory.weights_gib,
            "adapters": memory.adapters_gib,
            "activation": memory.activation_gib,
            "non_torch": memory.non_torch_gib,
            "cuda_graphs": memory.cuda_graph_gib,
            "kv_cache": memory.kv_cache_gib,
        }
        if memory
        else None,
        "kv_cache_tokens": memory.kv_cache_tokens if memory else None,
        "performance": {
            "ttft_ms": performance.ttft_ms if performance else None,
            "tpot_ms": performance.tpot_ms if performance else None,
            "output_tokens_per_s": performance.output_tokens_per_s if performance else None,
        },
        "capacity": {
            "concurrency": model.capacity.concurrency,
            "requests_per_s": model.capacity.requests_per_s,
            "limited_by": model.capacity.limited_by,
        }
        if model.capacity
        else None,
        "peak_requests_per_s": model.peak_requests_per_s,
        "startup_seconds": model.startup.ready_s if model.startup else None,
        "startup": startup_values(model.startup),
        "scaling": scaling_values(model),
        "measured": measured_values(model),
        "usd_per_month": model.usd_per_month,
        "considered": [
            {
                "gpu": option.gpu,
                "precision": option.precision,
                "tensor_parallel_size": option.tensor_parallel_size,
                "pipeline_parallel_size": option.pipeline_parallel_size,
                "replicas": option.replicas,
                "usd_per_month": option.usd_per_month,
                "chosen": option.chosen,
                "reason": option.reason,
                "checkpoint": option.checkpoint,
                "measured": option.measured,
            }
            for option in model.considered
        ],
        "fallbacks": [
            {
                "instance_type": one.instance_type,
                "gpu": one.gpu,
                "gpus_per_node": one.gpus_per_node,
                "nodes": one.node_count,
                "usd_per_month": one.usd_per_month,
                "price_assumption": one.price_assumption,
                "same_gpu": one.same_gpu,
            }
            for one in model.fallbacks
        ],
        "decisions": [
            {"field": d.field, "value": d.value, "because": d.because, "assumption": d.assumption}
            for d in model.decisions
        ],
        "licence": model.source.licence,
        "gated": model.source.gated,
        "unverified": list(model.source.unverified),
    }
    if model.stands_for is not None:
        values["stands_for"] = model_values(model.stands_for)
    return values


def card_gib(gpu: Gpu | None, usable_gib: float) -> float:
    """GiB of the whole card as its driver counts; what the engine sees where the data has no driver's figure."""
    if gpu is None or gpu.memory_mib_driver is None:
        return usable_gib
    return max(usable_gib, gpu.memory_mib_driver / 1024)


def measured_values(model: ModelPlan) -> dict[str, Any] | None:
    """The figures that measured runs changed, beside what was predicted; None where nothing was taken."""
    if not model.measured:
        return None
    return {
        "file": model.measurements,
        "figures": [
            {
                "figure": taken.figure,
                "unit": taken.unit,
                "used": taken.used,
                "used_interval": taken.used_interval and list(taken.used_interval),
                "predicted": taken.predicted,
                "predicted_interval": taken.predicted_interval and list(taken.predicted_interval),
                "basis": taken.basis,
                "runs": taken.runs,
                "measured_on": taken.on,
                "at_roofline": taken.capped,
            }
            for taken in model.measured
        ],
    }


def scaling_values(model: ModelPlan) -> dict[str, Any] | None:
    """What the autoscaler is told, each figure with its unit and why; None where the number of replicas is fixed."""
    made = scaling(model)
    if made is None:
        return None
    figures = {
        name: {
            "value": setting.value,
            "unit": setting.unit,
            "because": setting.why,
            "source": setting.source,
            "given": setting.given,
            "assumption": setting.assumption,
        }
        if (setting := getattr(made, name)) is not None
        else None
        for name in FIGURES
    }
    return {"by": made.by, "signal": made.signal, "wake": made.wake, **figures}


def startup_values(startup: Startup | None) -> dict[str, Any] | None:
    """The steps of a start, seconds; a step that the engine does not have or that is unknown is None."""
    if startup is None:
        return None
    return {
        "download_s": startup.download_s,
        "weights_load_s": startup.weights_load_s,
        "compile_s": startup.compile_s,
        "cuda_graph_capture_s": startup.cuda_graph_capture_s,
        "rest_s": startup.rest_s,
        "ready_s": startup.ready_s,
        "ready_s_interval": list(startup.ready_s_interval),
    }
