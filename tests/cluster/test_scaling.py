"""KEDA, the HPA and prometheus-adapter move a Deployment by what homeport rendered, against a real Prometheus.

The windows and intervals are the shortest that the spec's overrides allow; the testbed's HPA looks every 2 s.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from homeport.manifests.prerequisites import adapter_config
from homeport.planning.plan import Planner
from homeport.spec.load import load
from tests.cluster.engine_metrics import Load, text
from tests.cluster.scaled import GATEWAY, MODEL, Scaled, scaled
from tests.cluster.scraping import of_pods
from tests.testbed import nodes
from tests.testbed.cluster import Testbed
from tests.testbed.processes import until

pytestmark = pytest.mark.cluster

EXAMPLES = Path(__file__).parents[2] / "examples"

QUICK = "threshold: 10, scale_up_stabilization_s: 0, scale_up_step: 4, scale_down_step: 4"
QUICK_GROUP = QUICK.replace("threshold: 10", "threshold: 30")
TO_ZERO = f"{{{QUICK}, scale_down_stabilization_s: 1, wake: {GATEWAY}, polling_interval_s: 1, cooldown_s: 3}}"


@pytest.fixture
def model(testbed: Testbed, namespace: str) -> Iterator[Scaled]:
    """A model that KEDA moves."""
    testbed.start_keda()
    with scaled(testbed, namespace) as made:
        yield made


def test_it_follows_the_load_up_and_down_and_the_kv_cache_is_a_guard(model: Scaled) -> None:
    model.say(Load(running=2))
    model.watch()
    model.apply(
        model.plan("{min: 1, max: 4}", f"{{{QUICK}, kv_cache_usage: 0.8, scale_down_stabilization_s: 1}}")
    )
    assert model.stays(3) == {1}
    model.say(Load(running=20, waiting=3))
    model.becomes(3)
    # The caches fill up before the load falls: the two are not scraped at the same moment.
    model.say(Load(running=20, waiting=3, kv_cache=0.9), Load(kv_cache=0.95))
    model.heard()
    model.say(Load(running=2, kv_cache=0.9), Load(kv_cache=0.95))
    model.heard()
    assert model.stays(4) == {3}, "1.85 caches in use want ceil(1.85 / 0.8) = 3 replicas, whatever the load"
    model.say(Load(running=2, kv_cache=0.1))
    model.becomes(1)
    [autoscaler] = model.bed.json("get", "hpa", "-n", model.namespace)["items"]
    assert autoscaler["spec"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 1
    [owner] = autoscaler["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"]) == ("ScaledObject", MODEL)


def test_at_zero_the_gateway_wakes_it_and_the_load_takes_over(model: Scaled) -> None:
    model.say()
    model.watch()
    model.apply(model.plan("{min: 0, max: 4}", TO_ZERO))
    model.becomes(0)
    assert model.stays(4) == {0}
    model.say(gateway=3)
    model.becomes(1)
    assert model.stays(4) == {1}, "the signal wakes one replica and asks for no second one"
    model.say(Load(running=10, waiting=25), gateway=35)
    model.becomes(4)
    model.say(Load(), gateway=0)
    model.becomes(0)


def test_with_prometheus_gone_it_holds_then_falls_back_and_comes_back(model: Scaled) -> None:
    model.say(Load(running=2))
    model.watch()
    fallback = "fallback_replicas: 3, fallback_failures: 3"
    model.apply(model.plan("{min: 1, max: 4}", f"{{{QUICK}, scale_down_stabilization_s: 1, {fallback}}}"))
    assert model.stays(3) == {1}
    assert model.prometheus is not None
    model.prometheus.stop()
    model.becomes(3)

    def fallen_back() -> bool:
        status = model.bed.json("get", "scaledobject", MODEL, "-n", model.namespace)["status"]
        return any(c["type"] == "Fallback" and c["status"] == "True" for c in status["conditions"])

    until(fallen_back, 30, "KEDA says so", 0.5)
    assert model.stays(4) == {3}
    model.say(Load(running=31))
    model.watch()
    model.becomes(4)
    model.prometheus.stop()
    assert model.stays(12) == {4}, "more than the fallback run: none is taken away"
    model.say(Load(running=2))
    model.watch()
    model.becomes(1)


def test_with_prometheus_gone_at_zero_it_is_started(model: Scaled) -> None:
    model.say()
    model.watch()
    model.apply(
        model.plan("{min: 0, max: 4}", TO_ZERO[:-1] + ", fallback_replicas: 2, fallback_failures: 2}")
    )
    model.becomes(0)
    assert model.prometheus is not None
    model.prometheus.stop()
    model.becomes(2)


def test_a_replica_whose_series_go_stale_does_not_thrash(model: Scaled) -> None:
    """One of two replicas stops answering scrapes, again and again: its requests vanish from the sum, and come back."""
    model.say(Load(running=12), Load(running=14))
    model.watch()
    model.apply(model.plan("{min: 1, max: 4}", f"{{{QUICK}, scale_down_stabilization_s: 20}}"))
    model.becomes(3)
    seen = set()
    for _ in range(3):
        model.say(Load(running=12), None)
        seen |= model.stays(3)
        model.say(Load(running=12), Load(running=14))
        seen |= model.stays(2)
    model.say(None, None)
    seen |= model.stays(4)
    assert seen == {3}


def test_a_replica_of_two_nodes_is_scaled_as_one(model: Scaled) -> None:
    """KEDA and the HPA move a LeaderWorkerSet through its scale subresource.

    No LWS controller runs: what it would write into the status is written here.
    """
    written = (
        (EXAMPLES / "deepseek.yaml")
        .read_text("utf-8")
        .replace("name: reasoning", f"name: reasoning\nnamespace: {model.namespace}")
        .replace("name: deepseek\n", f"name: {MODEL}\n")
        .replace(
            "replicas: {min: 1, max: 1}", f"replicas: {{min: 1, max: 3}}\n    scaling: {{{QUICK_GROUP}}}"
        )
    )
    written += f"observability: {{prometheus_url: 'http://127.0.0.1:{model.port}'}}\n"
    model.apply(Planner(Path()).plan(load(written, "deepseek.yaml").spec))
    group = ("leaderworkerset", f"{MODEL}-group", "-n", model.namespace)
    selector = f"leaderworkerset.sigs.k8s.io/name={MODEL}-group"
    status = json.dumps({"status": {"replicas": 1, "hpaPodSelector": selector}})
    model.bed.kubectl("patch", *group, "--subresource=status", "--type=merge", "-p", status)

    def replicas() -> int:
        return int(model.bed.json("get", *group)["spec"]["replicas"])

    assert replicas() == 1
    model.say(Load(running=50, waiting=30))
    model.watch()
    until(lambda: replicas() == 3, 90, "three groups", 0.3)


def test_an_hpa_follows_what_prometheus_adapter_serves(testbed: Testbed, namespace: str) -> None:
    node = nodes.cpu(f"{namespace}-node")
    testbed.add_nodes(node)
    try:
        with scaled(testbed, namespace) as model:
            plan = model.plan("{min: 1, max: 4}", f"{{by: hpa, {QUICK}, scale_down_stabilization_s: 1}}")
            model.served.texts["/metrics"] = _of_each(Load(running=2))
            model.apply(plan)
            address = f"127.0.0.1:{model.served.port}"
            model.watch(of_pods(testbed, namespace, f"{namespace}/{MODEL}", address))
            assert model.prometheus is not None
            testbed.start_prometheus_adapter(model.prometheus.url, dict(adapter_config(plan)))
            assert model.stays(5) == {1}
            model.served.texts["/metrics"] = _of_each(Load(running=15, waiting=8))
            model.becomes(4)  # each of them says 23, so it goes to the most
            model.served.texts["/metrics"] = _of_each(Load(running=2))
            model.becomes(1)
    finally:
        testbed.remove_nodes(node.name)


def _of_each(load: Load) -> str:
    """What every pod serves: Prometheus finds the pods, and asks one endpoint for all of them."""
    return text("simulator", MODEL, load)
