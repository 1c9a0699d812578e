"""The policies: each one fails on what it is there for, and passes what homeport itself renders."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pulumi")

from homeport.catalog.zones import Bounds
from homeport.manifests.parsing import load as parse
from homeport.manifests.render import documents
from homeport.planning.plan import Planner
from homeport.spec.load import load
from homeport_infra.manifest import token
from homeport_infra.policies import Limits, Resource, check
from homeport_infra.program import Settings, deploy
from tests.infra.recorder import run

EXAMPLES = Path(__file__).parents[2] / "examples"
EU = Bounds(zones=(("eu",),))


def resource(kind: str, name: str = "one", **inputs: Any) -> Resource:
    return Resource(token=kind, name=name, inputs=inputs)


def deployment(**spec: Any) -> Resource:
    return resource("kubernetes:apps/v1:Deployment", spec={"template": {"spec": spec}})


def failed(*resources: Resource, **limits: Any) -> dict[str, str]:
    return {v.policy: v.message for v in check(resources, Limits(**limits))}


@pytest.mark.parametrize("name", sorted(p.name for p in EXAMPLES.glob("*.yaml")))
def test_what_homeport_renders_holds_to_every_policy(name: str) -> None:
    file = EXAMPLES / name
    plan = Planner(file.parent).plan(load(file.read_bytes(), name).spec)
    found = [parse(d.text) for d in documents(plan)]
    made = [
        Resource(token=token(d["apiVersion"], d["kind"]), name=d["metadata"]["name"], inputs=d) for d in found
    ]
    assert check(made, Limits()) == []


def test_node_pools_that_homeport_registers_hold_too() -> None:
    text = b"""
version: 1
name: one
target: {platform: gke, region: us-central1, nodes: {by: node_pools, cluster: ml}}
models:
  - {name: chat, model: mistralai/Mistral-7B-Instruct-v0.3, workload: {requests_per_day: 9000, input_tokens: 500, output_tokens: 200}}
"""
    plan = Planner(EXAMPLES).plan(load(text, "one.yaml").spec)
    found, _ = run(lambda: deploy(plan, Settings()))
    made = [Resource(token=r.token, name=r.name, inputs=r.inputs) for r in found]
    assert any(r.token.startswith("gcp:container") for r in made)
    assert check(made, Limits(bounds=Bounds(zones=(("us",),)), region="us-central1")) == []
    outside = check(made, Limits(bounds=EU))
    assert {v.policy for v in outside} == {"residency"}


@pytest.mark.parametrize(
    ("cost", "at_least", "budget", "over"),
    [
        (100, False, 99, True),
        (100, True, 99, True),
        (99, True, 99, False),
        (None, True, 0, False),
        (5, False, None, False),
    ],
)
def test_budget(cost: int | None, at_least: bool, budget: int | None, over: bool) -> None:
    found = failed(
        usd_per_month=None if cost is None else Decimal(cost),
        at_least=at_least,
        budget=None if budget is None else Decimal(budget),
    )
    assert ("budget" in found) == over
    if over:
        assert ("at least" in found["budget"]) == at_least
        assert "$1.00 more" in found["budget"]


def test_gpu_pods_need_toleration_and_limit() -> None:
    container = {
        "name": "vllm",
        "image": "vllm/vllm-openai:v0.11.0",
        "resources": {"requests": {"nvidia.com/gpu": "2"}},
    }
    message = failed(deployment(containers=[container]))["gpu-needs-taint-and-limit"]
    assert "does not tolerate" in message or "limited to none" in message
    tolerations = [{"key": "nvidia.com/gpu", "operator": "Exists"}]
    container["resources"]["limits"] = {"nvidia.com/gpu": "1"}  # type: ignore[index]
    assert (
        "limited to 1"
        in failed(deployment(containers=[container], tolerations=tolerations))["gpu-needs-taint-and-limit"]
    )
    container["resources"]["limits"] = {"nvidia.com/gpu": "2"}  # type: ignore[index]
    assert failed(deployment(containers=[container], tolerations=tolerations)) == {}


GKE = {"nodeConfig": {"guestAccelerators": [{"type": "nvidia-l4", "count": 1}]}}
TAINT = {"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}


@pytest.mark.parametrize(
    ("kind", "inputs", "wrong"),
    [
        ("gcp:container/nodePool:NodePool", {**GKE, "autoscaling": {"totalMaxNodeCount": 3}}, "without the taint"),
        ("gcp:container/nodePool:NodePool", {"nodeConfig": {**GKE["nodeConfig"], "taints": [TAINT]}}, "upper limit"),
        ("gcp:container/nodePool:NodePool", {"nodeConfig": {**GKE["nodeConfig"], "taints": [TAINT]}, "autoscaling": {"totalMaxNodeCount": 3}}, None),
        ("gcp:container/nodePool:NodePool", {"nodeConfig": {"machineType": "e2-standard-4"}}, None),
        ("aws:eks/nodeGroup:NodeGroup", {"instanceTypes": ["g6.xlarge"], "scalingConfig": {"maxSize": 3}}, "without the taint"),
        ("aws:eks/nodeGroup:NodeGroup", {"instanceTypes": ["m5.large"]}, None),
        ("azure-native:containerservice:AgentPool", {"vmSize": "Standard_NC24ads_A100_v4", "nodeTaints": ["nvidia.com/gpu=present:NoSchedule"]}, "upper limit"),
        ("kubernetes:karpenter.sh/v1:NodePool", {"spec": {"limits": {}, "template": {"spec": {"taints": [TAINT], "requirements": []}}}}, "upper limit"),
        ("kubernetes:karpenter.sh/v1:NodePool", {"spec": {"limits": {"nvidia.com/gpu": "8"}, "template": {"spec": {"taints": [TAINT]}}}}, None),
        ("kubernetes:karpenter.sh/v1:NodePool", {"spec": {"limits": {"nvidia.com/gpu": "8"}, "template": {"spec": {"requirements": [{"key": "node.kubernetes.io/instance-type", "values": ["g6.xlarge"]}]}}}}, "without the taint"),
        ("gcp:container/nodePool:NodePool", {"nodeConfig": {"machineType": "a3-highgpu-8g"}, "autoscaling": {"totalMaxNodeCount": 3}}, "without the taint"),
        ("gcp:container/nodePool:NodePool", {"nodeConfig": {**GKE["nodeConfig"], "taints": [{**TAINT, "effect": "PREFER_NO_SCHEDULE"}]}, "autoscaling": {"totalMaxNodeCount": 3}}, "without the taint"),
    ],
)  # fmt: skip
def test_gpu_pools_need_taint_and_limit(kind: str, inputs: dict[str, Any], wrong: str | None) -> None:
    found = failed(resource(kind, **inputs))
    if wrong is None:
        assert found == {}
    else:
        assert wrong in found["gpu-needs-taint-and-limit"]


@pytest.mark.parametrize(
    ("image", "moving"),
    [
        ("vllm/vllm-openai", True),
        ("vllm/vllm-openai:latest", True),
        ("registry.example.com:5000/vllm", True),
        ("registry.example.com:5000/vllm:0.11", False),
        ("vllm/vllm-openai@sha256:0123", False),
        ("vllm/vllm-openai:latest@sha256:0123", False),
    ],
)
def test_no_latest_image(image: str, moving: bool) -> None:
    job = resource(
        "kubernetes:batch/v1:Job",
        spec={"template": {"spec": {"containers": [{"name": "a", "image": image}]}}},
    )
    assert ("no-latest-image" in failed(job)) == moving
    init = deployment(containers=[], initContainers=[{"name": "a", "image": image}])
    assert ("no-latest-image" in failed(init)) == moving
    pod = {"spec": {"containers": [{"name": "a", "image": image}]}}
    pinned = {"spec": {"containers": [{"name": "a", "image": "vllm/vllm-openai:v0.11.0"}]}}
    for leader, worker in ((pod, pinned), (pinned, pod)):
        group = {"leaderTemplate": leader, "workerTemplate": worker}
        made = resource(
            "kubernetes:leaderworkerset.x-k8s.io/v1:LeaderWorkerSet", spec={"leaderWorkerTemplate": group}
        )
        assert ("no-latest-image" in failed(made)) == moving
    weights = deployment(containers=[], volumes=[{"name": "weights", "image": {"reference": image}}])
    assert ("no-latest-image" in failed(weights)) == moving


@pytest.mark.parametrize(
    ("place", "bounds", "said"),
    [
        ("us-central1", EU, "outside eu"),
        ("us-central1-a", EU, "outside eu"),
        ("europe-west4-b", EU, None),
        ("eu-central-1", EU, None),
        ("atlantis", EU, "no cloud's region"),
        ("europe-west4", Bounds(regions=("europe-west1",)), "not one of the allowed"),
        ("us-central1", Bounds(), None),
    ],
)
def test_residency(place: str, bounds: Bounds, said: str | None) -> None:
    pool = resource("gcp:container/nodePool:NodePool", location=place)
    for found in (failed(pool, bounds=bounds), failed(region=place, bounds=bounds)):
        assert ("residency" in found) == (said is not None)
        assert (said or "") in found.get("residency", "")
