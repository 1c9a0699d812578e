"""The real scheduler puts the pods of servers on the nodes that the plan counts with, and on no other."""

from typing import Any

import pytest
import yaml

from homeport.planning.types import ModelPlan
from tests.testbed import nodes, specs
from tests.testbed.cluster import Testbed
from tests.testbed.processes import until
from tests.testbed.specs import Made

pytestmark = pytest.mark.cluster

SERVER = "app.kubernetes.io/component in (model-server,model-worker)"
LOCAL_NODES = ("gpu-node-1", "gpu-node-2")
"""The nodes that examples/generic.yaml names for its local disk."""


@pytest.fixture(autouse=True)
def bare(testbed: Testbed, namespace: str):  # type: ignore[no-untyped-def]
    """Nodes, volumes and webhooks are the cluster's: leave none to the next test."""
    yield
    testbed.kubectl("delete", "pods", "--all", "-n", namespace, "--force", "--grace-period=0", check=False)
    testbed.remove_nodes()
    testbed.kubectl("delete", "persistentvolume", "--all", "--wait=false")


def apply(testbed: Testbed, made: Made) -> None:
    """Apply everything but the autoscaler: it is not what decides where pods go."""
    text = "\n---\n".join(
        d.text for d in made.documents if d.kind not in ("ScaledObject", "HorizontalPodAutoscaler")
    )
    testbed.kubectl("apply", "--server-side", "-f", "-", stdin=text)


def servers(testbed: Testbed, namespace: str) -> list[dict[str, Any]]:
    """The pods of servers that are not on their way out."""
    pods = testbed.pods(namespace, SERVER)
    return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]


def on(pods: list[dict[str, Any]]) -> set[str]:
    """The nodes of pods; "" for one that has none yet."""
    return {pod["spec"].get("nodeName", "") for pod in pods}


def pods_of(made: Made) -> int:
    """How many pods stand at first: one replica of each model (the autoscaler, which is not here, adds others)."""
    return sum(max(1, replicas(made, model)) * model.nodes_per_replica for model in made.plan.models)


def replicas(made: Made, model: ModelPlan) -> int:
    """What the rendered workload says; 1 is Kubernetes' default."""
    for document in made.of("Deployment", "LeaderWorkerSet"):
        if document.model == model.spec.name:
            return int(yaml.safe_load(document.text)["spec"].get("replicas", 1))
    raise LookupError(model.spec.name)


def of_example(made: Made) -> list[nodes.Node]:
    """The nodes of a plan; where the example names nodes of its own, they have these names."""
    found = nodes.of_plan(made.plan)
    if made.of("PersistentVolume"):
        names = iter(LOCAL_NODES)
        found = [
            nodes.named(node, next(names, node.name)) if node.gpus and "a10g" in node.name else node
            for node in found
        ]
    return found


@pytest.mark.parametrize("name", [name for name in specs.NAMES if name != "local"])
def test_servers_stand_on_the_nodes_of_the_plan_and_nowhere_else(
    name: str, testbed: Testbed, namespace: str
) -> None:
    made = specs.example(name, namespace)
    if made.of("LeaderWorkerSet"):
        testbed.start_lws()
    for storage in {"shared-fast", "efs"}:
        testbed.volumes(storage, 3)
    testbed.add_nodes(*nodes.decoys(made.plan.spec.target.platform))
    apply(testbed, made)
    started = sum(replicas(made, model) for model in made.plan.models)
    until(lambda: len(servers(testbed, namespace)) >= started, 90, "the pods are made", every=0.5)
    until(
        lambda: unschedulable(testbed, namespace) == len(servers(testbed, namespace)),
        90,
        "none has a place",
        0.5,
    )
    right = of_example(made)
    testbed.add_nodes(*right)

    def placed() -> bool:
        pods = servers(testbed, namespace)
        return len(pods) == pods_of(made) and "" not in on(pods)

    try:
        until(placed, 120, "all pods have a node", every=0.5)
    except TimeoutError as error:
        pytest.fail(f"{error}\n{why(testbed, namespace)}")
    assert on(servers(testbed, namespace)) <= {node.name for node in right}


def unschedulable(testbed: Testbed, namespace: str) -> int:
    """How many pods of servers the scheduler has looked at and found no node for."""
    return sum(
        condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable"
        for pod in servers(testbed, namespace)
        for condition in pod["status"].get("conditions", [])
    )


def why(testbed: Testbed, namespace: str) -> str:
    """What the scheduler says of pods without a node."""
    return "\n".join(
        f"{pod['metadata']['name']}: {condition.get('message')}"
        for pod in servers(testbed, namespace)
        for condition in pod["status"].get("conditions", [])
        if condition["type"] == "PodScheduled" and condition["status"] == "False"
    )


SPEC: dict[str, Any] = {
    "version": 1,
    "name": "placed",
    "target": {"platform": "gke", "region": "us-central1"},
    "models": [
        {
            "name": "chat",
            "model": "Qwen/Qwen3-14B",
            "gpu": "L4",
            "workload": {"requests_per_day": 20000, "input_tokens": 500, "output_tokens": 100},
            "latency": {"ttft_ms": 10000, "tpot_ms": 500},
            "replicas": {"min": 2, "max": 2},
            "scaling": {"by": "none"},
        }
    ],
}


def served(testbed: Testbed, namespace: str, spare: int = 0) -> Made:
    """Two replicas that run on two full nodes, and some spare ones."""
    made = specs.of_spec({**SPEC, "namespace": namespace})
    model = made.plan.models[0]
    assert model.nodes is not None
    assert model.nodes.gpus_per_node < 2 * model.gpus_per_replica, "a node holds one replica"
    instance = model.nodes.instance_types[0]
    testbed.add_nodes(
        *(nodes.of_instance("gke", instance, name=f"full-{number}") for number in range(1, 3 + spare))
    )
    apply(testbed, made)
    testbed.wait("deployment/chat", "Available", namespace)
    until(lambda: len(ready(testbed, namespace)) == 2, 90, "both replicas are ready", every=0.5)
    return made


def ready(testbed: Testbed, namespace: str) -> list[dict[str, Any]]:
    """The pods of servers that are ready."""
    return [
        pod
        for pod in servers(testbed, namespace)
        if any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))
    ]


def test_a_rollout_on_a_full_pool_does_not_deadlock(testbed: Testbed, namespace: str) -> None:
    served(testbed, namespace)
    before = {pod["metadata"]["name"] for pod in servers(testbed, namespace)}
    testbed.kubectl("rollout", "restart", "deployment/chat", "-n", namespace)
    testbed.kubectl("rollout", "status", "deployment/chat", "-n", namespace, "--timeout=60s")
    after = {pod["metadata"]["name"] for pod in ready(testbed, namespace)}
    assert len(after) == 2
    assert not before & after


def test_the_same_rollout_with_a_surge_deadlocks(testbed: Testbed, namespace: str) -> None:
    """The pool is full: Kubernetes' default strategy, a surge of one with 25% unavailable, never ends on it."""
    served(testbed, namespace)
    patch = '{"spec":{"strategy":{"rollingUpdate":{"maxSurge":"25%","maxUnavailable":"25%"}}}}'
    testbed.kubectl("patch", "deployment", "chat", "-n", namespace, "-p", patch)
    testbed.kubectl("rollout", "restart", "deployment/chat", "-n", namespace)
    until(lambda: unschedulable(testbed, namespace) == 1, 90, "the new pod finds no room", every=0.5)
    assert len(ready(testbed, namespace)) == 2


def test_a_drain_takes_one_replica_at_a_time(testbed: Testbed, namespace: str) -> None:
    """With one replica gone and no room for it, the budget holds the other one where it is."""
    made = served(testbed, namespace)
    assert made.of("PodDisruptionBudget")
    until(
        lambda: testbed.json("get", "pdb", "chat", "-n", namespace)["status"].get("disruptionsAllowed") == 1,
        90, "the budget counts two healthy pods", 0.5,
    )  # fmt: skip
    drain = ("drain", "--ignore-daemonsets", "--delete-emptydir-data", "--force")
    testbed.kubectl(*drain, "full-1", "--timeout=60s")
    assert on(ready(testbed, namespace)) == {"full-2"}
    said = testbed.kubectl(*drain, "full-2", "--timeout=8s", check=False)
    assert "violate the pod's disruption budget" in said
    assert on(ready(testbed, namespace)) == {"full-2"}
    # The first node comes back: its replica becomes ready, and now the second may go.
    testbed.kubectl("uncordon", "full-1")
    until(lambda: on(ready(testbed, namespace)) == {"full-1", "full-2"}, 120, "two replicas again", 0.5)
    testbed.kubectl(*drain, "full-2", "--timeout=60s")
    assert on(ready(testbed, namespace)) == {"full-1"}


def test_a_replica_of_two_nodes_is_placed_whole(testbed: Testbed, namespace: str) -> None:
    made = specs.example("deepseek", namespace)
    testbed.start_lws()
    testbed.volumes("shared-fast", 1)
    testbed.add_nodes(*nodes.of_plan(made.plan), nodes.cpu())
    apply(testbed, made)
    until(lambda: len(ready(testbed, namespace)) == 2, 120, "leader and worker are ready", every=0.5)
    pods = servers(testbed, namespace)
    assert len(on(pods)) == 2
    by_part = {pod["metadata"]["labels"]["app.kubernetes.io/component"]: pod for pod in pods}
    leader, worker = by_part["model-server"], by_part["model-worker"]
    seen = {v["name"]: v.get("value") for v in worker["spec"]["containers"][0]["env"]}
    # What the controller fills in for the engine's arguments of both.
    assert seen["LWS_GROUP_SIZE"] == "2"
    assert seen["LWS_LEADER_ADDRESS"].startswith(leader["metadata"]["name"])
    # One pod lost is the replica lost: both are made anew.
    testbed.kubectl("delete", "pod", worker["metadata"]["name"], "-n", namespace, "--wait=false")
    old = {pod["metadata"]["uid"] for pod in pods}
    until(
        lambda: len(found := ready(testbed, namespace)) == 2 and not old & {p["metadata"]["uid"] for p in found},
        120, "the whole group is made anew", 0.5,
    )  # fmt: skip


def test_a_download_stands_beside_the_server_that_waits_for_it(testbed: Testbed, namespace: str) -> None:
    """One node at a time mounts their volume; with no server yet, the download goes to any node of the plan's."""
    model = SPEC["models"][0] | {
        "weights": {"source": "pvc", "storage_class": "one"},
        "replicas": {"min": 1, "max": 1},
    }
    made = specs.of_spec({**SPEC, "namespace": namespace, "models": [model]})
    testbed.volumes("one", 1)
    (planned,) = made.plan.models
    assert planned.nodes is not None
    instance = planned.nodes.instance_types[0]
    testbed.add_nodes(*(nodes.of_instance("gke", instance, name=f"place-{n}") for n in range(1, 5)))
    (job,) = made.of("Job")

    def download() -> set[str]:
        return on(testbed.pods(namespace, "app.kubernetes.io/component=model-download"))

    testbed.kubectl(
        "apply",
        "--server-side",
        "-f",
        "-",
        stdin="\n---\n".join(d.text for d in made.documents if d.model is None),
    )
    for document in made.of("PersistentVolumeClaim", "ServiceAccount", "Job"):
        testbed.kubectl("apply", "--server-side", "-f", "-", stdin=document.text)
    until(lambda: len(download()) == 1 and "" not in download(), 90, "the download has a node", every=0.5)
    testbed.kubectl("delete", "job", job.name, "-n", namespace, "--cascade=foreground")
    for document in made.of("Deployment"):
        testbed.kubectl("apply", "--server-side", "-f", "-", stdin=document.text)
    until(
        lambda: len(servers(testbed, namespace)) == 1 and "" not in on(servers(testbed, namespace)),
        90,
        "the server has a node",
        0.5,
    )
    testbed.kubectl("apply", "--server-side", "-f", "-", stdin=job.text)
    until(lambda: len(download()) == 1 and "" not in download(), 90, "the download has a node", every=0.5)
    assert download() == on(servers(testbed, namespace))
