"""A planner with known steps: one replica on one node for each so many requests a day."""

from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from homeport.planning.types import Plan, Pool, Price
from homeport.spec.models import ModelSpec, Spec, Target, Workload

PEAK = 3.0


def make_plan(
    requests_per_day: float,
    *,
    per_replica: float = 100_000,
    usd_per_hour: str | None = "44.245",
    gpus_per_node: int = 4,
    gpus_per_replica: int = 4,
    gpu: str = "H100-SXM-80GB",
    replicas_min: int = 1,
    input_tokens: float = 1000,
    output_tokens: float = 500,
    platform: str = "gke",
    assumed: str | None = None,
    startup_s: float = 0.0,
    workload: dict[str, Any] | None = None,
    **of_model: Any,
) -> Plan:
    """Plan one model in whole replicas of `per_replica` requests a day."""
    replicas = max(1, -int(-requests_per_day // per_replica))
    model = ModelSpec(
        name="assistant",
        model="meta-llama/Llama-3.1-70B-Instruct",
        workload=Workload(
            requests_per_day=requests_per_day,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            **(workload or {}),
        ),
        **of_model,
    )
    per_node = gpus_per_node // gpus_per_replica
    nodes = -(-replicas // per_node)
    price = None
    if usd_per_hour is not None:
        price = Price(
            usd_per_hour=Decimal(usd_per_hour),
            source="a price page",
            as_of="2026-08-03",
            capacity="on_demand",
            assumed=assumed,
        )
    pool = Pool(
        gpu=gpu,
        instance_type="a3-highgpu-4g",
        region="us-central1",
        capacity="on_demand",
        gpus_per_node=gpus_per_node,
        node_count=nodes,
        used_gpus=replicas * gpus_per_replica,
        idle_gpus=nodes * gpus_per_node - replicas * gpus_per_replica,
        price=price,
        models=("assistant",),
    )
    planned = SimpleNamespace(
        spec=model,
        precision="bf16",
        gpu=SimpleNamespace(id=gpu),
        source=SimpleNamespace(weight_bytes=141_107_412_992),
        settings=SimpleNamespace(tensor_parallel_size=gpus_per_replica, pipeline_parallel_size=1),
        gpus_per_replica=gpus_per_replica,
        nodes_per_replica=1,
        replicas_min=min(replicas_min, replicas),
        replicas_planned=replicas,
        fixed_replicas=replicas_min >= replicas,
        capacity=SimpleNamespace(requests_per_s=per_replica / 86_400 * PEAK),
        peak_requests_per_s=requests_per_day / 86_400 * PEAK,
        startup=SimpleNamespace(ready_s=startup_s),
        warnings=(),
        stands_for=None,
    )
    return Plan(
        spec=Spec(version=1, name="support", target=Target(platform=platform), models=(model,)),
        models=(planned,),
        pools=(pool,),
        warnings=(),
    )


@pytest.fixture(scope="session")
def planner() -> Callable[..., Callable[[float], Plan]]:
    """Return a function that makes a `replan` with the given properties."""

    def with_properties(**properties: Any) -> Callable[[float], Plan]:
        return lambda requests_per_day: make_plan(requests_per_day, **properties)

    return with_properties
