"""The policies: each one fails on what it is there for, and passes what homeport itself renders."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pulumi")

from homeport.catalog.prices import instances
from homeport.catalog.zones import Bounds
from homeport.manifests.parsing import load as parse
from homeport.manifests.render import documents
from homeport.planning.plan import Planner
from homeport.spec.load import load
from homeport_infra.gpu_pools import UNKNOWN, Resource, has_gpus
from homeport_infra.manifest import token
from homeport_infra.policies import Limits, check
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


GPUS = {"containers": [{"name": "a", "image": "a:1", "resources": {"limits": {"nvidia.com/gpu": "1"}}}]}
CPUS = {"containers": [{"name": "a", "image": "a:1", "resources": {"limits": {"cpu": "1"}}}]}


@pytest.mark.parametrize(
    ("kind", "around"),
    [
        ("core/v1:Pod", lambda pod: {"spec": pod}),
        ("core/v1:PodTemplate", lambda pod: {"template": {"spec": pod}}),
        ("core/v1:ReplicationController", lambda pod: {"spec": {"template": {"spec": pod}}}),
        ("apps/v1:StatefulSet", lambda pod: {"spec": {"template": {"spec": pod}}}),
        ("apps/v1:DaemonSet", lambda pod: {"spec": {"template": {"spec": pod}}}),
        ("argoproj.io/v1alpha1:Rollout", lambda pod: {"spec": {"template": {"spec": pod}}}),
        ("serving.knative.dev/v1:Service", lambda pod: {"spec": {"template": {"spec": pod}}}),
        ("batch/v1:CronJob", lambda pod: {"spec": {"jobTemplate": {"spec": {"template": {"spec": pod}}}}}),
        ("keda.sh/v1alpha1:ScaledJob", lambda pod: {"spec": {"jobTargetRef": {"template": {"spec": pod}}}}),
        ("jobset.x-k8s.io/v1alpha2:JobSet", lambda pod: {"spec": {"replicatedJobs": [{"template": {"spec": {"template": {"spec": pod}}}}]}}),
        ("ray.io/v1:RayService", lambda pod: {"spec": {"rayClusterConfig": {"workerGroupSpecs": [{"template": {"spec": pod}}]}}}),
        ("ray.io/v1:RayCluster", lambda pod: {"spec": {"headGroupSpec": {"template": {"spec": pod}}}}),
        ("serving.kserve.io/v1beta1:InferenceService", lambda pod: {"spec": {"predictor": pod}}),
        ("kubeflow.org/v1:PyTorchJob", lambda pod: {"spec": {"pytorchReplicaSpecs": {"Worker": {"template": {"spec": pod}}}}}),
    ],
)  # fmt: skip
def test_pods_of_every_kind_are_seen(kind: str, around: Callable[[Any], dict[str, Any]]) -> None:
    made = resource(f"kubernetes:{kind}", **around(GPUS))
    assert "does not tolerate the taint nvidia.com/gpu" in failed(made)["gpu-needs-taint-and-limit"]
    tolerated = {**GPUS, "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}]}
    assert failed(resource(f"kubernetes:{kind}", **around(tolerated))) == {}
    assert failed(resource(f"kubernetes:{kind}", **around(CPUS))) == {}
    latest = {"containers": [{"name": "a", "image": "a:latest"}]}
    assert set(failed(resource(f"kubernetes:{kind}", **around(latest)))) == {"no-latest-image"}


@pytest.mark.parametrize(
    ("toleration", "tolerated"),
    [
        ({"key": "nvidia.com/gpu"}, True),
        ({"operator": "Exists"}, True),
        ({"key": "nvidia.com/gpu", "effect": "NoExecute"}, False),
        ({"key": "amd.com/gpu", "operator": "Exists"}, False),
        ({"key": "sku", "value": "gpu"}, False),
    ],
)
def test_a_toleration_is_of_the_taint(toleration: dict[str, str], tolerated: bool) -> None:
    assert (failed(deployment(**GPUS, tolerations=[toleration])) == {}) == tolerated


def test_a_patch_and_a_document_that_holds_no_pod_are_no_finding() -> None:
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "a"}]}}}}
    assert failed(resource("kubernetes:apps/v1:DeploymentPatch", **patch)) == {}
    rule = {"validate": {"pattern": {"spec": {"containers": [{"image": "!*:latest"}]}}}}
    assert failed(resource("kubernetes:kyverno.io/v1:ClusterPolicy", spec={"rules": [rule]})) == {}


AZURE_TAINT = "nvidia.com/gpu=present:NoSchedule"
NVIDIA = {"amiType": "AL2023_x86_64_NVIDIA"}
BOUNDED = {"autoscaling": {"totalMaxNodeCount": 3}}


@pytest.mark.parametrize(
    ("kind", "inputs", "wrong"),
    [
        # Pools in their cluster.
        ("gcp:container/cluster:Cluster", {"nodePools": [{"name": "gpu", **GKE, **BOUNDED}]}, "pool gpu: GPU nodes without the taint"),
        ("gcp:container/cluster:Cluster", {"nodePools": [{"name": "gpu", "nodeConfig": {**GKE["nodeConfig"], "taints": [TAINT]}, **BOUNDED}]}, None),
        ("gcp:container/cluster:Cluster", {"nodePools": [{"name": "cpu", "nodeConfig": {"machineType": "e2-standard-4"}}]}, None),
        ("gcp:container/cluster:Cluster", {"nodeConfig": {"machineType": "g2-standard-24"}, "initialNodeCount": 1}, "pool default-pool: GPU nodes without the taint"),
        ("gcp:container/cluster:Cluster", {"nodeConfig": {"machineType": "g2-standard-24"}, "removeDefaultNodePool": True}, None),
        ("azure-native:containerservice:ManagedCluster", {"agentPoolProfiles": [{"name": "gpu", "vmSize": "Standard_NC24ads_A100_v4", "maxCount": 2}]}, "pool gpu: GPU nodes without the taint"),
        ("azure-native:containerservice:ManagedCluster", {"agentPoolProfiles": [{"name": "gpu", "vmSize": "Standard_NC24ads_A100_v4", "nodeTaints": [AZURE_TAINT]}]}, "pool gpu: GPU nodes without an upper limit"),
        ("azure-native:containerservice:ManagedCluster", {"agentPoolProfiles": [{"name": "system", "vmSize": "Standard_D4s_v5"}]}, None),
        # Other ways to say what a node is.
        ("azure-native:containerservice/v20250801:AgentPool", {"vmSize": "Standard_ND96isr_H100_v5", "maxCount": 2}, "without the taint"),
        ("azure-native:containerservice:AgentPool", {"virtualMachinesProfile": {"scale": {"manual": [{"size": "Standard_NV36ads_A10_v5", "count": 2}]}}}, "without the taint"),
        ("azure-native:containerservice:AgentPool", {"vmSize": "Standard_ND96isr_MI300X_v5", "nodeTaints": ["amd.com/gpu=present:NoSchedule"], "maxCount": 1}, None),
        ("azure-native:containerservice:AgentPool", {"vmSize": "Standard_NP10s"}, None),
        ("aws:eks/nodeGroup:NodeGroup", {**NVIDIA, "scalingConfig": {"maxSize": 3}}, "without the taint"),
        ("aws:eks/nodeGroup:NodeGroup", {"amiType": "AL2023_x86_64_STANDARD", "scalingConfig": {"maxSize": 3}}, None),
        ("aws:eks/nodeGroup:NodeGroup", {**NVIDIA, "taints": [TAINT]}, "upper limit"),
        ("gcp:container/nodePool:NodePool", {"nodeConfig": {**GKE["nodeConfig"], "taints": [TAINT]}, "initialNodeCount": 2}, None),
        # What Karpenter is told of GPUs without a name of a machine.
        ("kubernetes:karpenter.sh/v1:NodePool", {"spec": {"limits": {"nodes": 2}, "template": {"spec": {"requirements": [{"key": "karpenter.k8s.aws/instance-category", "operator": "In", "values": ["g", "p"]}]}}}}, "without the taint"),
        ("kubernetes:karpenter.sh/v1:NodePool", {"spec": {"limits": {"nodes": 2}, "template": {"spec": {"taints": [TAINT], "requirements": [{"key": "karpenter.k8s.aws/instance-family", "operator": "In", "values": ["g6"]}]}}}}, None),
        ("kubernetes:karpenter.sh/v1:NodePool", {"spec": {"template": {"spec": {"requirements": [{"key": "karpenter.k8s.aws/instance-category", "operator": "In", "values": ["c", "g"]}]}}}}, None),
        ("kubernetes:karpenter.sh/v1:NodePool", {"spec": {"template": {"spec": {"requirements": [{"key": "karpenter.k8s.aws/instance-gpu-count", "operator": "DoesNotExist"}]}}}}, None),
        ("kubernetes:karpenter.sh/v1:NodePool", {"spec": {"template": {"spec": {"requirements": [{"key": "node.kubernetes.io/instance-type", "operator": "NotIn", "values": ["g6.xlarge"]}]}}}}, None),
        # What the engine does not know before something else is made is no finding.
        ("aws:eks/nodeGroup:NodeGroup", {**NVIDIA, "taints": UNKNOWN, "scalingConfig": {"maxSize": UNKNOWN}}, None),
        ("aws:eks/nodeGroup:NodeGroup", {"launchTemplate": {"id": UNKNOWN}}, None),
    ],
)  # fmt: skip
def test_gpu_pools_are_seen_wherever_they_stand(kind: str, inputs: dict[str, Any], wrong: str | None) -> None:
    found = [v.message for v in check([resource(kind, **inputs)], Limits())]
    if wrong is None:
        assert found == []
    else:
        assert len([message for message in found if wrong in message]) == 1, found


def template(name: str, kind: str, id_: str = "") -> Resource:
    inputs = {"instanceType": kind, "name": f"lt-{name}"}
    return Resource(token="aws:ec2/launchTemplate:LaunchTemplate", name=name, inputs=inputs, id=id_)


@pytest.mark.parametrize(
    ("named", "templates", "seen"),
    [
        ({"name": "lt-gpu"}, [template("gpu", "g6.xlarge"), template("cpu", "m6i.large")], True),
        ({"name": "lt-cpu"}, [template("gpu", "g6.xlarge"), template("cpu", "m6i.large")], False),
        ({"id": "lt-1"}, [template("gpu", "g6.xlarge", "lt-1"), template("cpu", "m6i.large", "lt-2")], True),
        ({"id": "lt-9"}, [template("gpu", "g6.xlarge", "lt-1")], False),
        ({"id": UNKNOWN}, [template("gpu", "g6.xlarge"), template("cpu", "m6i.large", "lt-2")], True),
        ({"version": UNKNOWN}, [template("gpu", "g6.xlarge")], True),
        ({"id": UNKNOWN}, [template("gpu", "g6.xlarge"), template("cpu", "m6i.large")], False),
        ({}, [template("gpu", "g6.xlarge")], False),
    ],
)
def test_the_instance_type_of_a_launch_template_counts_where_it_is_certain_which_one_it_is(
    named: dict[str, str], templates: list[Resource], seen: bool
) -> None:
    group = resource("aws:eks/nodeGroup:NodeGroup", launchTemplate=named, scalingConfig={"maxSize": 2})
    assert ("gpu-needs-taint-and-limit" in failed(group, *templates)) == seen


def test_what_is_unknown_is_what_the_engine_writes() -> None:
    from pulumi.runtime import rpc

    assert UNKNOWN == rpc.UNKNOWN


@pytest.mark.parametrize("cloud", ["aws", "azure", "gcp"])
def test_series_tell_machines_with_gpus_from_others(cloud: str) -> None:
    for row in instances(cloud):
        assert has_gpus(cloud, row.instance_type) == (row.gpu != "CPU"), row.instance_type
    others = {"aws": ["m6i.xlarge", "c7g.large", "r8g.large", "trn2.48xlarge"], "gcp": ["e2-standard-4", "c4a-standard-8", "n2-standard-4"], "azure": ["Standard_D4s_v5", "Standard_NP10s"]}  # fmt: skip
    assert not any(has_gpus(cloud, kind) for kind in others[cloud])
    more = {"aws": ["p6-b300.48xlarge", "gr6.4xlarge", "g5g.xlarge"], "gcp": ["a4x-highgpu-4g"], "azure": ["standard_nc6s_v3"]}  # fmt: skip
    assert all(has_gpus(cloud, kind) for kind in more[cloud])


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
        ("EUROPE-WEST4", EU, None),
        ("West Europe", EU, None),
        ("East US", EU, "outside eu"),
        ("atlantis", EU, "no cloud's region"),
        ("europe-west4", Bounds(regions=("europe-west1",)), "not one of the allowed"),
        ("us-central1", Bounds(), None),
    ],
)
def test_residency(place: str, bounds: Bounds, said: str | None) -> None:
    pool = resource("gcp:container/nodePool:NodePool", location=place)
    group = resource("aws:eks/nodeGroup:NodeGroup", region=place)
    for found in (
        failed(pool, bounds=bounds),
        failed(group, bounds=bounds),
        failed(region=place, bounds=bounds),
    ):
        assert ("residency" in found) == (said is not None)
        assert (said or "") in found.get("residency", "")


@pytest.mark.parametrize(
    ("kind", "inputs", "outside"),
    [
        ("gcp:compute/disk:Disk", {"zone": "us-central1-a"}, True),
        ("gcp:compute/disk:Disk", {"zone": "europe-west4-a"}, False),
        ("aws:ebs/volume:Volume", {"availabilityZone": "us-east-1a"}, True),
        ("aws:ebs/volume:Volume", {"availabilityZone": "eu-west-1a"}, False),
        # a zone of names
        ("cloudflare:index/record:Record", {"zone": "example.com"}, False),
    ],
)
def test_what_only_has_a_zone_lies_in_its_region(kind: str, inputs: dict[str, Any], outside: bool) -> None:
    assert ("residency" in failed(resource(kind, **inputs), bounds=EU)) == outside
