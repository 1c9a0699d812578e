"""What rendered pods ask of their node is what the plan looked for room for."""

from pathlib import Path
from typing import Any

import pytest

from homeport.engines.requests import SHM_GIB, on_gpus
from homeport.manifests import render
from homeport.manifests.parsing import load
from homeport.planning.plan import Planner
from homeport.spec.load import load as read

WEIGHTS = ("{source: hub}", "{source: object_store, uri: 's3://bucket/llama'}", "{source: pvc}")


def pods(engine: str, gpus: int, weights: str) -> list[dict[str, Any]]:
    """The pods that serve a model on `gpus` GPUs of one node."""
    text = f"""version: 1
name: support
target: {{platform: gke}}
models:
  - name: assistant
    model: meta-llama/Llama-3.1-8B-Instruct
    engine: {engine}
    gpu: A100-SXM4-80GB
    max_model_len: 2048
    tensor_parallel_size: {gpus}
    weights: {weights}
    latency: {{ttft_ms: 60000, tpot_ms: 1000}}
    workload: {{requests_per_day: 1000, input_tokens: 500, output_tokens: 100}}
"""
    plan = Planner(Path()).plan(read(text, "test.yaml").spec)
    found = [load(document.text) for document in render.documents(plan)]
    return [d["spec"]["template"]["spec"] for d in found if d["kind"] == "Deployment"]


def gib(quantity: str) -> float:
    return (
        float(quantity.removesuffix("Gi"))
        if quantity.endswith("Gi")
        else float(quantity.removesuffix("Mi")) / 1024
    )


def cpus(quantity: str | int) -> float:
    text = str(quantity)
    return float(text.removesuffix("m")) / 1000 if text.endswith("m") else float(text)


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("gpus", [1, 2, 4, 8])
@pytest.mark.parametrize("engine", sorted(SHM_GIB))
def test_a_pod_asks_for_what_the_plan_counted_with(engine: str, gpus: int, weights: str) -> None:
    (pod,) = pods(engine, gpus, weights)
    (server,) = pod["containers"]
    wanted = on_gpus(engine, gpus)
    asked = server["resources"]["requests"]
    assert cpus(asked["cpu"]) == wanted.cpus
    assert gib(asked["memory"]) == wanted.memory_gib == gib(server["resources"]["limits"]["memory"])
    shm = next(v for v in pod["volumes"] if v["name"] == "shm")["emptyDir"]
    assert gib(shm["sizeLimit"]) == wanted.shm_gib
    # A pod's request is the greater of its containers' and of each of those that run before them.
    for before in pod.get("initContainers", ()):
        first = before["resources"]["requests"]
        assert cpus(first["cpu"]) <= wanted.cpus
        assert gib(first["memory"]) <= wanted.memory_gib
