"""From the rendered PodMonitor to the trigger's number, with nothing in between that a test wrote.

The real Prometheus operator turns the rendered PodMonitors into a scrape configuration, the real Prometheus finds the
real pods with it, and the rendered queries are asked. Only the address of each pod leads to a stand-in on loopback that
serves the engine's metrics, because nothing runs in a pod of a fake node.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from homeport.manifests.parsing import load as parsed
from homeport.manifests.render import documents
from homeport.planning.types import Plan
from tests.cluster.engine_metrics import Endpoints, Load, endpoints, text
from tests.testbed import nodes, specs
from tests.testbed.cluster import Testbed
from tests.testbed.processes import until

pytestmark = pytest.mark.cluster

STACK = {"release": "kube-prometheus-stack"}
"""What the Prometheus of the documented chart selects PodMonitors by."""
ENGINES = ("vllm", "sglang", "tgi", "trtllm")
PATHS = {"trtllm": "/prometheus/metrics"}
"""Where an engine serves its metrics, if not at /metrics (docs/reference/targets-and-engines.md)."""
LOADS = (Load(running=4, waiting=3, kv_cache=0.5, served=10), Load(running=2, kv_cache=0.25, served=20))


@pytest.fixture(autouse=True)
def bare(testbed: Testbed, namespace: str) -> Iterator[None]:
    """Nodes are the cluster's: leave none to the next test."""
    yield
    testbed.kubectl("delete", "pods", "--all", "-n", namespace, "--force", "--grace-period=0", check=False)
    testbed.remove_nodes()
    testbed.kubectl("delete", "persistentvolume", "--all", "--wait=false")


def fleet(namespace: str) -> Plan:
    """One model on each engine, two replicas of each."""
    models = [
        {
            "name": engine,
            "model": "Qwen/Qwen2.5-7B-Instruct",
            "engine": engine,
            "gpu": "L4",
            "workload": {"requests_per_day": 20000, "input_tokens": 500, "output_tokens": 200},
            "replicas": {"min": 2, "max": 4},
        }
        for engine in ENGINES
    ]
    target = {"platform": "gke", "region": "us-central1"}
    spec = {"version": 1, "name": "fleet", "namespace": namespace, "target": target, "models": models}
    return specs.of_spec(spec).plan


def run(bed: Testbed, plan: Plan, *machines: nodes.Node) -> dict[str, dict[str, Any]]:
    """Apply all but the autoscalers; the triggers' queries by model and name."""
    queries: dict[str, dict[str, Any]] = {}
    rendered = []
    for document in documents(plan):
        content = parsed(document.text)
        if document.kind == "ScaledObject":
            triggers = content["spec"]["triggers"]
            queries[document.model or ""] = {t["name"]: t["metadata"]["query"] for t in triggers}
        else:
            rendered.append(content)
    bed.add_nodes(*machines, nodes.cpu())
    bed.apply(*rendered)
    return queries


def machines(plan: Plan) -> Iterator[nodes.Node]:
    """Two nodes for each model, of the largest machine type that its pods accept."""
    for model in plan.models:
        assert model.nodes is not None
        for number in range(2):
            name = f"{model.spec.name}-{number}"
            yield nodes.of_instance("gke", model.nodes.instance_types[-1], name=name)


def running(bed: Testbed, namespace: str, count: int) -> list[dict[str, Any]]:
    """The pods of servers, once so many run."""

    def found() -> list[dict[str, Any]]:
        pods = bed.pods(namespace, "app.kubernetes.io/component in (model-server,model-worker)")
        pods = [pod for pod in pods if pod["status"].get("podIP") and pod["status"]["phase"] == "Running"]
        return pods if len(pods) == count else []

    return until(found, 120, f"{count} pods of servers run", 0.5)


def test_every_engines_replicas_are_found_and_the_triggers_read_them(
    testbed: Testbed, namespace: str
) -> None:
    testbed.start_prometheus_operator()
    plan = fleet(namespace)
    queries = run(testbed, plan, *machines(plan))
    testbed.kubectl("scale", "deployment", "--all", "--replicas=2", "-n", namespace)
    pods = running(testbed, namespace, 2 * len(ENGINES))
    seen: dict[str, int] = dict.fromkeys(ENGINES, 0)
    served: dict[str, Endpoints] = {}
    with ExitStack() as stack:
        for pod in pods:
            engine = pod["metadata"]["labels"]["app.kubernetes.io/instance"]
            said = text(engine, engine, LOADS[seen[engine]])
            seen[engine] += 1
            at = stack.enter_context(endpoints({PATHS.get(engine, "/metrics"): said}))
            served[pod["metadata"]["name"]] = at
        addresses = {name: f"127.0.0.1:{at.port}" for name, at in served.items()}
        # A pod of somebody else's in the namespace is none of a PodMonitor's business.
        testbed.kubectl("run", "other", "--image=busybox", "--port=8000", "-n", namespace, check=False)
        config = testbed.scrape_config(namespace, addresses, match=STACK)
        prometheus = testbed.start_prometheus(config)
        try:
            until(lambda: len(prometheus.targets()) == len(pods), 90, "the pods are found", 0.5)
            # A target is called up a moment before what it said can be asked for; `up` is stored along with it.
            up = [({}, float(len(pods)))]
            until(lambda: prometheus.query("count(up == 1)") == up, 90, "all are scraped", 0.5)
            assert {t["labels"]["pod"] for t in prometheus.targets()} == set(served)
            for engine in ENGINES:
                numbers = {name: prometheus.query(query) for name, query in queries[engine].items()}
                expected = {"load": 0.0 if engine == "trtllm" else 9.0}  # a rate: the counters stand still
                if engine in ("vllm", "sglang"):
                    expected["kv-cache"] = 0.75
                assert numbers == {name: [({}, value)] for name, value in expected.items()}, engine
        finally:
            prometheus.stop()


def test_of_a_group_only_the_leader_is_scraped(testbed: Testbed, namespace: str) -> None:
    """Its engine speaks for all nodes of the replica; a worker has no server."""
    testbed.start_lws()
    testbed.start_prometheus_operator()
    testbed.volumes("shared-fast", 1)
    plan = specs.example("deepseek", namespace).plan
    run(testbed, plan, *nodes.of_plan(plan))
    pods = running(testbed, namespace, 2)
    [leader] = [p for p in pods if p["metadata"]["labels"]["app.kubernetes.io/component"] == "model-server"]
    name = leader["metadata"]["name"]
    with endpoints({"/metrics": text("vllm", "deepseek", LOADS[0])}) as served:
        addresses = {pod["metadata"]["name"]: f"127.0.0.1:{served.port}" for pod in pods}
        prometheus = testbed.start_prometheus(testbed.scrape_config(namespace, addresses, match=STACK))
        try:
            until(lambda: [t["health"] for t in prometheus.targets()] == ["up"], 90, "one is scraped", 0.5)
            assert [t["labels"]["pod"] for t in prometheus.targets()] == [name]
        finally:
            prometheus.stop()
