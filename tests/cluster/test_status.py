"""Status: the state of a pod in one word, what is unknown and why, and what runs costs."""

import math
from typing import Any

import pytest

from homeport.cluster.errors import Forbidden, Refused
from homeport.cluster.prometheus import Prometheus, PrometheusError, number, service_proxy
from homeport.cluster.status import last_scaled
from homeport.cluster.status_cost import spending
from homeport.cluster.status_load import load_queries, read_load
from homeport.cluster.status_pods import pod_state
from homeport.cluster.status_time import seconds, span, stamp
from homeport.planning.types import Plan
from tests.cluster.healthy import NOW, node
from tests.cluster.ward import planned, spec


@pytest.fixture(scope="module")
def plan() -> Plan:
    return planned(spec("ward"))


def pod(status: dict[str, Any], node_name: str = "gpu-0", **meta: Any) -> dict[str, Any]:
    return {
        "kind": "Pod",
        "metadata": {"name": "chat-1", "uid": "1", "creationTimestamp": "2025-10-09T08:50:00Z", **meta},
        "spec": {"nodeName": node_name, "containers": [{"name": "server", "image": "x"}]},
        "status": status,
    }


def container(**state: Any) -> dict[str, Any]:
    return {"phase": "Running", "containerStatuses": [{"name": "server", "ready": False, **state}]}


@pytest.mark.parametrize(
    ("one", "phase", "why"),
    [
        (pod({"conditions": [{"type": "Ready", "status": "True"}]}), "ready", ""),
        (pod({}, ""), "waiting", "the scheduler has not looked at it yet"),
        (
            pod({"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes"}]}, ""),
            "unschedulable",
            "0/3 nodes",
        ),
        (
            pod(container(state={"waiting": {"reason": "ContainerCreating"}})),
            "pulling",
            "the kubelet prepares it",
        ),
        (
            pod(container(state={"waiting": {"reason": "ErrImagePull", "message": "no such image"}})),
            "pulling",
            "ErrImagePull: no such image",
        ),
        (pod(container(started=False, state={"running": {}})), "loading", "the engine starts"),
        (pod(container(started=True, state={"running": {}})), "loading", "its readiness probe fails"),
        (
            pod(
                container(
                    state={"waiting": {"reason": "CrashLoopBackOff"}},
                    lastState={"terminated": {"exitCode": 1}},
                )
            ),
            "crashing",
            "it ended with exit code 1",
        ),
        (
            pod(container(state={"terminated": {"exitCode": 137, "reason": "OOMKilled"}})),
            "crashing",
            "the kernel killed it: out of host memory (OOMKilled)",
        ),
        (
            pod(
                {
                    "phase": "Pending",
                    "initContainerStatuses": [{"name": "download", "state": {"running": {}}}],
                }
            ),
            "preparing",
            "it runs",
        ),
        (
            pod({"phase": "Failed", "reason": "Evicted", "message": "low on disk"}),
            "failed",
            "Evicted: low on disk",
        ),
        (pod({}, deletionTimestamp="2025-10-09T08:52:00Z"), "ending", "it is being deleted"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_a_pod_in_one_word(one: dict[str, Any], phase: str, why: str) -> None:
    state = pod_state(one, [], NOW)
    assert (state.phase, state.why) == (phase, why)


def test_the_autoscaler_s_word_stands_beside_the_scheduler_s() -> None:
    one = pod({"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes"}]}, "")
    event = {
        "metadata": {"name": "e"},
        "reason": "TriggeredScaleUp",
        "message": "pod triggered scale-up: [{pool 0->1}]",
        "lastTimestamp": "2025-10-09T08:51:00Z",
    }
    assert pod_state(one, [event], NOW).why == "0/3 nodes; pod triggered scale-up: [{pool 0->1}]"


def test_times() -> None:
    assert seconds("2025-10-09T08:53:20Z") == NOW
    assert seconds("2025-10-09T08:53:20.000001Z") == NOW + 1e-6
    assert (seconds(None), seconds(""), seconds("soon")) == (None, None, None)
    assert stamp(NOW) == "2025-10-09T08:53:20Z"
    assert [span(s) for s in (None, 5, 90, 120, 3900, 7200, 90000)] == [
        "unknown", "5 s", "1 min 30 s", "2 min", "1 h 5 min", "2 h", "1 d 1 h",
    ]  # fmt: skip


# -- Prometheus


@pytest.mark.parametrize(
    ("url", "path"),
    [
        (
            "http://prometheus-operated.monitoring.svc:9090",
            "/api/v1/namespaces/monitoring/services/http:prometheus-operated:9090/proxy",
        ),
        ("http://p.m.svc.cluster.local:9090/prom/", "/api/v1/namespaces/m/services/http:p:9090/proxy/prom"),
        ("https://p.m.svc", "/api/v1/namespaces/m/services/https:p:443/proxy"),
        ("http://prometheus.example.com", None),
        ("http://127.0.0.1:9090", None),
        ("http://p.svc", None),
    ],
)
def test_the_way_to_prometheus(url: str, path: str | None) -> None:
    assert service_proxy(url) == path


def answering(answer: Any) -> Prometheus:
    """A Prometheus behind the API server's proxy; the API server is stood in for by a function."""

    def ask(path: str) -> Any:
        assert path.startswith("/api/v1/namespaces/m/services/http:p:9090/proxy/api/v1/query?query=")
        if isinstance(answer, Exception):
            raise answer
        return answer

    return Prometheus("http://p.m.svc:9090", ask)


def vector(*values: str) -> dict[str, Any]:
    result = [{"metric": {}, "value": [0, v]} for v in values]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


def test_a_query_s_elements() -> None:
    found = answering(vector("1.5", "NaN", "+Inf")).query("x")
    assert found[0].value == 1.5
    assert math.isnan(found[1].value)
    assert found[2].value == math.inf == -number("-Inf")
    scalar = {"status": "success", "data": {"resultType": "scalar", "result": [0, "2"]}}
    assert answering(scalar).query("scalar(x)")[0].value == 2


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        ({"status": "error", "error": "parse error"}, "refuses the query: parse error"),
        ({"kind": "Pod"}, "is no Prometheus"),
        (Refused("services not found"), "does not answer: services not found"),
        (
            Refused('the API server refuses the GET /x: services "p" not found'),
            "no Prometheus: the Service m/p does not exist$",
        ),
    ],
)
def test_a_prometheus_that_does_not_answer_the_question(answer: Any, word: str) -> None:
    with pytest.raises(PrometheusError, match=word):
        answering(answer).query("x")


def test_rbac_is_not_mistaken_for_a_prometheus_that_is_gone() -> None:
    problem = Forbidden("may not", "ask", verb="get", group="", resource="services/proxy")
    with pytest.raises(Forbidden):
        answering(problem).query("x")


def test_nobody_answers_directly() -> None:
    with pytest.raises(PrometheusError, match="does not answer at http"):
        Prometheus("http://127.0.0.1:9").query("x")


def test_what_is_unknown_says_why(plan: Plan) -> None:
    model = plan.models[0]
    load, unknown = read_load(model, "ward", answering(vector("NaN")))
    assert load.ttft_p95_ms is None
    assert unknown["ttft_p95_ms"] == "no requests in the last 5 minutes"
    load, unknown = read_load(model, "ward", answering(vector()))
    assert unknown["running"] == "Prometheus has no such series of this model"
    load, unknown = read_load(model, "ward", answering(vector("0.25")))
    assert (load.ttft_p95_ms, load.running, unknown) == (250.0, 0.25, {})


def test_an_engine_without_a_series_is_named(plan: Plan) -> None:
    tgi = planned(spec("ward").replace("    model: meta", "    engine: tgi\n    model: meta")).models[0]
    assert load_queries(tgi, "ward")["kv_cache_use"] is None
    _, unknown = read_load(tgi, "ward", answering(vector("1")))
    assert unknown["kv_cache_use"] == f"tgi {tgi.engine.version} has no such series"
    assert unknown["ttft_p95_ms"].startswith("tgi")


# -- what it costs

TWO = spec("ward").replace(
    "observability:",
    "  - name: second\n    model: Qwen/Qwen3-8B\n    workload: {requests_per_day: 1000, input_tokens: 500, output_tokens: 200}\nobservability:",
)


def placed(name: str, gpus: int) -> dict[str, Any]:
    return {
        "spec": {"nodeName": name, "containers": [{"resources": {"limits": {"nvidia.com/gpu": str(gpus)}}}]}
    }


def test_the_nodes_that_hold_the_pods_are_what_is_paid(plan: Plan) -> None:
    model = plan.models[0]
    assert model.nodes is not None
    assert model.nodes.price is not None
    kind, hour = model.nodes.instance_types[0], float(model.nodes.price.usd_per_hour)
    nodes = {n: node(n, kind, 2) for n in ("a", "b", "c")}
    cost, why = spending(plan, {"chat": [placed("a", 1), placed("a", 1), placed("b", 1)]}, nodes)["chat"]
    assert (cost.usd_per_hour, cost.nodes, cost.basis, why) == (2 * hour, 2, "nodes", "")
    assert cost.usd_per_month == 2 * hour * 730
    none, _ = spending(plan, {}, nodes)["chat"]
    assert none.usd_per_hour == 0, "nothing runs"


def test_models_that_share_a_node_share_its_price() -> None:
    plan = planned(TWO)
    first, second = plan.models
    assert first.nodes is not None
    assert second.nodes is not None
    assert first.nodes.price is not None
    kind = first.nodes.instance_types[0]
    assert second.nodes.instance_types[0] == kind, "the test needs models of one instance type"
    costs = spending(plan, {"chat": [placed("a", 1)], "second": [placed("a", 3)]}, {"a": node("a", kind, 4)})
    shares = [costs[m][0].usd_per_hour for m in ("chat", "second")]
    assert shares == pytest.approx(
        [0.25 * float(first.nodes.price.usd_per_hour), 0.75 * float(first.nodes.price.usd_per_hour)]
    )


def test_a_node_of_another_type_has_no_price_here(plan: Plan) -> None:
    cost, why = spending(plan, {"chat": [placed("a", 1)]}, {"a": node("a", "p5.48xlarge", 8)})["chat"]
    assert cost.usd_per_hour is None
    assert "node a is a p5.48xlarge" in why


def test_without_nodes_the_replicas_are_counted_and_it_says_so(plan: Plan) -> None:
    model = plan.models[0]
    assert model.nodes is not None
    assert model.nodes.price is not None
    cost, _ = spending(plan, {"chat": [placed("a", 2), placed("b", 2)]}, None)["chat"]
    each = float(model.nodes.price.usd_per_hour) * model.gpus_per_replica / model.nodes.gpus_per_node
    assert (cost.basis, cost.nodes) == ("replicas", None)
    assert cost.usd_per_hour == pytest.approx(2 * each)


# -- the last change of replicas


def event(reason: str, message: str, kind: str, name: str, at: str) -> dict[str, Any]:
    return {
        "metadata": {"name": reason},
        "involvedObject": {"kind": kind, "name": name},
        "reason": reason,
        "message": message,
        "lastTimestamp": at,
    }


def test_the_hpa_says_why_and_counts_more_than_the_deployment(plan: Plan) -> None:
    model = plan.models[0]
    hpa = {"metadata": {"name": "keda-hpa-chat"}, "spec": {"scaleTargetRef": {"name": "chat"}}}
    events = [
        event(
            "ScalingReplicaSet",
            "Scaled up replica set chat from 1 to 2",
            "Deployment",
            "chat",
            "2025-10-09T08:52:01Z",
        ),
        event(
            "SuccessfulRescale",
            "New size: 2; reason: external metric above target",
            "HorizontalPodAutoscaler",
            "keda-hpa-chat",
            "2025-10-09T08:52:00Z",
        ),
        event(
            "SuccessfulRescale", "New size: 9", "HorizontalPodAutoscaler", "another", "2025-10-09T08:53:00Z"
        ),
        event(
            "ScalingReplicaSet",
            "Scaled up replica set chat from 0 to 1",
            "Deployment",
            "chat",
            "2025-10-09T08:00:00Z",
        ),
    ]
    found = last_scaled(model, events, [hpa])
    assert found is not None
    assert (found.by, found.why) == (
        "HorizontalPodAutoscaler",
        "New size: 2; reason: external metric above target",
    )
    assert found.at == "2025-10-09T08:52:00Z"


def test_an_event_that_is_gone_leaves_the_hpa_s_time(plan: Plan) -> None:
    hpa = {
        "metadata": {"name": "keda-hpa-chat"},
        "spec": {"scaleTargetRef": {"name": "chat"}},
        "status": {"lastScaleTime": "2025-10-09T01:00:00Z"},
    }
    found = last_scaled(plan.models[0], [], [hpa])
    assert found is not None
    assert (found.at, found.why) == ("2025-10-09T01:00:00Z", "its event is no longer kept")
    assert last_scaled(plan.models[0], [], []) is None
