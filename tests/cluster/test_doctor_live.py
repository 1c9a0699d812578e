"""Live: each state that pods, queries, targets and the autoscaler get into is told as it is, and by its cause."""

from typing import Any

import msgspec
import pytest

from homeport.cluster.doctor_queries import queries, series_of
from homeport.cluster.doctor_types import Case, Finding, Log, Missing
from homeport.cluster.prometheus import Element, Target
from tests.cluster.healthy import case, faults, report, with_facts, with_list, with_pod
from tests.cluster.ward import planned, spec

URL = "http://prometheus-operated.monitoring.svc:9090"


@pytest.fixture(scope="module")
def healthy() -> Case:
    return case(planned(spec("ward", URL)))


def only(found: list[Finding], check: str) -> Finding:
    chosen = [f for f in found if f.check == check]
    assert len(chosen) == 1, [f"{f.check}: {f.what}" for f in found]
    return chosen[0]


def event(reason: str, message: str, kind: str = "Pod", name: str = "chat-1") -> dict[str, Any]:
    return {
        "kind": "Event",
        "metadata": {"name": reason},
        "involvedObject": {"kind": kind, "name": name, "uid": name},
        "reason": reason,
        "message": message,
        "lastTimestamp": "2025-10-09T08:50:00Z",
    }


def server(**status: Any) -> dict[str, Any]:
    return {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "False"}],
        "containerStatuses": [{"name": "server", "ready": False, "restartCount": 0, **status}],
    }


def crashed(healthy: Case, log: str, **terminated: Any) -> Case:
    status = server(
        restartCount=3,
        state={"waiting": {"reason": "CrashLoopBackOff"}},
        lastState={"terminated": {"exitCode": 1, "reason": "Error", **terminated}},
    )
    logs = {("chat-1", "server"): Log(text=log, previous=True)} if log else {}
    return with_facts(with_pod(healthy, status=status), logs=logs)


def pod_fault(one: Case) -> Finding:
    return only(faults(one), "pods")


# -- pods


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ("0/5 nodes are available: 5 Insufficient nvidia.com/gpu.", "all GPUs of the right nodes are taken"),
        (
            "0/5 nodes are available: 5 node(s) didn't match Pod's node affinity/selector.",
            "no node has the label",
        ),
        ("0/2 nodes are available: 2 node(s) had untolerated taint(s) {team: other}.", "the taint team"),
        (
            "0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
            "the volume is not there yet",
        ),
        ("0/2 nodes are available: 2 Insufficient memory.", "not enough memory left"),
        ("0/2 nodes are available: 2 node(s) had volume node affinity conflict.", "zone"),
    ],
)
def test_the_scheduler_s_words(healthy: Case, words: str, advice: str) -> None:
    status = {
        "phase": "Pending",
        "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": words}
        ],
    }
    pending = with_pod(healthy, status=status, spec={**healthy.facts.lists["Pod"][0]["spec"], "nodeName": ""})
    fault = pod_fault(pending)
    assert (fault.severity, fault.evidence) == ("error", words)
    assert advice in fault.advice


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (
            'Failed to pull image "x": rpc error: code = NotFound desc = manifest unknown',
            "does not exist: check engine_version",
        ),
        (
            'Failed to pull image "x": failed to authorize: 401 Unauthorized',
            "image pull secret on the ServiceAccount chat",
        ),
        ('Failed to pull image "x": toomanyrequests: rate limit', "limits this address"),
        ('Failed to pull image "x": write /var/lib: no space left on device', "larger boot disk"),
        ('Failed to pull image "x": dial tcp: lookup docker.io: no such host', "cannot reach the registry"),
    ],
)
def test_the_registry_s_words(healthy: Case, words: str, advice: str) -> None:
    waiting = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "x"'}
    one = with_list(
        with_pod(healthy, status=server(state={"waiting": waiting})), "Event", event("Failed", words)
    )
    fault = pod_fault(one)
    assert fault.severity == "error"
    assert words in fault.evidence
    assert advice in fault.advice


def test_a_long_pull_is_no_error(healthy: Case) -> None:
    waiting = {"reason": "ContainerCreating"}
    one = with_list(
        with_pod(healthy, status=server(state={"waiting": waiting})),
        "Event",
        event("Pulling", "Pulling image"),
    )
    assert pod_fault(one).severity == "warning"


def test_a_secret_that_is_missing(healthy: Case) -> None:
    waiting = {"reason": "CreateContainerConfigError", "message": 'secret "hub-token" not found'}
    fault = pod_fault(with_pod(healthy, status=server(state={"waiting": waiting})))
    assert (fault.severity, fault.advice) == ("error", "see the check secrets")


def test_a_crash_is_told_by_its_log(healthy: Case) -> None:
    fault = pod_fault(crashed(healthy, "ValueError: No available memory for the cache blocks."))
    assert fault.what == "weights and activations leave no memory for the KV cache (3 restarts)"
    assert "the plan counts" in fault.advice


def test_a_crash_that_nobody_knows_shows_the_last_error(healthy: Case) -> None:
    fault = pod_fault(crashed(healthy, "INFO\nZeroDivisionError: division by zero\n"))
    assert fault.evidence == "ZeroDivisionError: division by zero"
    assert "--previous" in fault.repair[0]


def test_a_crash_whose_log_may_not_be_read_says_so(healthy: Case) -> None:
    one = crashed(healthy, "")
    lack = {"log chat-1/server": Missing(why="weak may not get pods/log", rule=("get", "pods/log"))}
    fault = pod_fault(with_facts(one, missing=lack))
    assert fault.why == "its log could not be read"
    assert fault.evidence == "weak may not get pods/log"


def test_host_memory_is_not_the_gpu_s(healthy: Case) -> None:
    fault = pod_fault(crashed(healthy, "", reason="OOMKilled", exitCode=137))
    assert "out of host memory, its limit is" in fault.what
    assert f"{healthy.plan.models[0].memory_request_gib} GiB" in fault.advice


def test_a_runtime_that_refuses_the_container(healthy: Case) -> None:
    said = "nvidia-container-cli: requirement error: unsatisfied condition: cuda>=13.0"
    status = server(
        restartCount=2,
        state={"waiting": {"reason": "RunContainerError", "message": said}},
        lastState={"terminated": {"exitCode": 128, "reason": "StartError", "message": said}},
    )
    fault = pod_fault(with_pod(healthy, status=status))
    assert "driver on the node is too old" in fault.what
    assert "-cu129" in fault.advice


def test_a_start_up_probe_that_gave_up_shows_both_budgets(healthy: Case) -> None:
    one = crashed(healthy, "INFO loading", exitCode=137)
    told = (
        event("Unhealthy", "Startup probe failed: connection refused"),
        event("Killing", "Container server failed startup probe, will be restarted"),
    )
    fault = pod_fault(with_list(one, "Event", *told))
    assert fault.what.startswith("the start-up probe gave up")
    assert "the start-up probe allows" in fault.advice
    assert "the plan expects" in fault.advice


def test_a_start_is_late_only_after_the_plan_s_worst_case(healthy: Case) -> None:
    def starting(at: str) -> Finding:
        status = server(started=False, state={"running": {"startedAt": at}})
        return pod_fault(with_pod(healthy, status=status))

    assert starting("2025-10-09T08:53:00Z").advice == "wait"  # NOW is 08:53:20
    assert "the plan expects" in starting("2025-10-09T06:00:00Z").advice


def test_many_pods_with_one_cause_are_one_finding(healthy: Case) -> None:
    one = crashed(healthy, "RuntimeError: No CUDA GPUs are available")
    first = one.facts.lists["Pod"][0]
    more = [
        {**first, "metadata": {**first["metadata"], "name": f"chat-{n}", "uid": f"chat-{n}"}}
        for n in range(1, 6)
    ]
    logs = {
        (f"chat-{n}", "server"): Log(text="RuntimeError: No CUDA GPUs are available", previous=True)
        for n in range(1, 6)
    }
    fault = pod_fault(with_facts(with_list(one, "Pod", *more), logs=logs))
    assert fault.where.startswith("5 pods: ")


def test_a_restart_of_a_pod_that_serves_again_is_a_warning(healthy: Case) -> None:
    ready = healthy.facts.lists["Pod"][0]["status"]
    status = {
        **ready,
        "containerStatuses": [
            {"name": "server", "ready": True, "started": True, "restartCount": 1, "state": {"running": {}},
             "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}}}
        ],
    }  # fmt: skip
    log = {("chat-1", "server"): Log(text="CUDA error: uncorrectable ECC error encountered", previous=True)}
    fault = pod_fault(with_facts(with_pod(healthy, status=status), logs=log))
    assert fault.severity == "warning"
    assert "a GPU of gpu-0 reported a fault" in fault.what


def test_admission_that_refuses_the_pods(healthy: Case) -> None:
    live = healthy.facts.lists["Deployment"][0]
    said = 'pods "chat-1" is forbidden: exceeded quota: q, requested: requests.nvidia.com/gpu=2'
    failed = {
        "conditions": [
            {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": said}
        ]
    }
    one = with_list(with_list(healthy, "Pod"), "Deployment", {**live, "status": failed})
    fault = only(faults(one), "workload")
    assert (fault.evidence, fault.advice) == (said, "see the check quota")


def test_nothing_is_deployed(healthy: Case) -> None:
    found = report(with_list(healthy, "Deployment"))
    assert not found.deployed
    assert not found.of("live")


# -- queries


def with_answers(one: Case, **elements: list[float | tuple[dict[str, str], float]]) -> Case:
    """The first trigger's query returns these elements."""
    query = queries(one)[0]
    made = tuple(
        Element(labels={}, value=e) if isinstance(e, float) else Element(labels=e[0], value=e[1])
        for e in elements["first"]
    )
    return with_facts(one, answers={**one.facts.answers, (query.url, query.text): made})


@pytest.mark.parametrize(
    ("elements", "what"),
    [
        ([], "the query returns nothing"),
        ([({"pod": "a"}, 1.0), ({"pod": "b"}, 2.0)], "the query returns 2 elements"),
        ([float("nan")], "the query returns nan"),
        ([float("inf")], "the query returns inf"),
        ([-1.0], "the query returns -1"),
    ],
)
def test_a_query_that_gives_no_true_number(healthy: Case, elements: list[Any], what: str) -> None:
    fault = only(faults(with_answers(healthy, first=elements)), "trigger")
    assert (fault.severity, fault.what) == ("error", what)
    assert fault.why


def test_a_wrong_label_that_or_vector_hides_is_found_with_what_there_is(healthy: Case) -> None:
    query = queries(healthy)[0]
    answers = dict(healthy.facts.answers)
    for series in series_of(query.text):
        answers[query.url, series.count] = ()
        there = {"namespace": "ward", "model_name": "meta-llama/Llama-3.1-8B-Instruct"}
        answers[query.url, series.there] = (Element(labels=there, value=1.0),)
    fault = only(faults(with_facts(healthy, answers=answers)), "trigger")
    assert "although" in fault.what
    assert 'model_name="chat" (there is: meta-llama/Llama-3.1-8B-Instruct)' in fault.evidence
    none_ready = with_facts(with_list(healthy, "Pod"), answers=answers)
    assert not [f for f in faults(none_ready) if f.check == "trigger"], "with no replica, none is right"


def test_more_than_the_most_replicas_is_a_warning(healthy: Case) -> None:
    query = queries(healthy)[0]
    assert query.threshold is not None
    fault = only(faults(with_answers(healthy, first=[query.threshold * 9])), "trigger")
    assert fault.severity == "warning"
    assert "at most 2 are allowed" in fault.what


def test_series_of_a_query() -> None:
    text = '(sum(a:x{n="1",m=~"b}"}) or vector(0)) + sum(rate(y_total{n="1"}[2m]))'
    found = series_of(text)
    assert [s.name for s in found] == ["a:x", "y_total"]
    assert found[0].count == 'count(a:x{n="1",m=~"b}"})'
    assert found[0].there == "count by (n) (a:x)"


def test_prometheus_that_is_gone_makes_queries_unknown_not_ok(healthy: Case) -> None:
    gone = {f"prometheus {URL}": Missing(why="connection refused")}
    found = faults(with_facts(healthy, missing=gone, answers={}))
    assert only(found, "prometheus").severity == "error"
    assert {f.severity for f in found if f.check in ("trigger", "targets")} == {"unknown"}
    assert only(found, "trigger").what == f"the autoscaler's {len(queries(healthy))} queries were not run"
    assert not [
        f
        for f in report(with_facts(healthy, missing=gone)).findings
        if f.check == "trigger" and f.severity == "ok"
    ]


def test_without_an_autoscaler_a_prometheus_that_is_gone_is_a_warning(healthy: Case) -> None:
    fixed = tuple(o for o in healthy.objects if o["kind"] != "ScaledObject")
    gone = {f"prometheus {URL}": Missing(why="connection refused")}
    found = only(
        faults(with_facts(msgspec.structs.replace(healthy, objects=fixed), missing=gone)), "prometheus"
    )
    assert found.severity == "warning"
    assert "autoscaler" not in found.why


# -- targets


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        ("context deadline exceeded", "must run in the namespace 'monitoring'"),
        ("server returned HTTP status 404 Not Found", "the engine serves no /metrics"),
        ("dial tcp 10.0.0.1:8000: connect: connection refused", "nothing listens on the port"),
    ],
)
def test_a_target_that_is_down(healthy: Case, error: str, advice: str) -> None:
    down = Target(
        pool="podMonitor/ward/chat/0",
        url="http://x/metrics",
        health="down",
        error=error,
        labels={"pod": "chat-1"},
    )
    fault = only(faults(with_facts(healthy, targets={URL: (down,)})), "targets")
    assert advice in fault.advice


def test_nothing_is_scraped(healthy: Case) -> None:
    fault = only(faults(with_facts(healthy, targets={URL: ()})), "targets")
    assert fault.what == "Prometheus scrapes no replica; 1 is ready"


# -- the autoscaler


@pytest.mark.parametrize(
    ("condition", "severity", "word"),
    [
        (("Ready", "False", "ScaledObjectCheckFailed"), "error", "KEDA refuses the ScaledObject"),
        (("Ready", "False", "TriggerError"), "error", "KEDA cannot read the trigger"),
        (("Ready", "Unknown", "PartialTriggerError"), "warning", "some of the triggers"),
        (("Ready", "False", "SomethingNew"), "error", "not ready"),
        (("Fallback", "True", "FallbackExists"), "error", "fallback number of replicas"),
        (("Paused", "True", "ScaledObjectPaused"), "warning", "paused"),
        (("HPAActive", "False", "HPAMetricsUnavailable"), "error", "gets no metric"),
    ],
)
def test_keda_s_conditions(healthy: Case, condition: tuple[str, str, str], severity: str, word: str) -> None:
    item = healthy.facts.lists["ScaledObject"][0]
    kind, status, reason = condition
    conditions = [{"type": kind, "status": status, "reason": reason, "message": "because"}]
    fault = only(
        faults(with_list(healthy, "ScaledObject", {**item, "status": {"conditions": conditions}})),
        "scaled-object",
    )
    assert fault.severity == severity
    assert word in fault.what
    assert fault.evidence == f"{reason}: because"
    paused = "annotate scaledobject chat autoscaling.keda.sh/paused- "
    assert (paused if kind == "Paused" else "describe scaledobject chat") in fault.repair[0]


def test_a_scaled_object_that_nobody_looked_at(healthy: Case) -> None:
    item = {**healthy.facts.lists["ScaledObject"][0], "status": {}}
    assert (
        "KEDA has not looked" in only(faults(with_list(healthy, "ScaledObject", item)), "scaled-object").what
    )


@pytest.mark.parametrize(
    ("condition", "severity", "word"),
    [
        (("ScalingActive", "False", "FailedGetExternalMetric"), "error", "external metric"),
        (("AbleToScale", "False", "FailedGetScale"), "error", "scale of its target"),
        (("ScalingActive", "False", "AmbiguousSelector"), "error", "several HPAs"),
        (("ScalingLimited", "True", "TooManyReplicas"), "warning", "more than the 2 replicas"),
    ],
)
def test_the_hpa_s_conditions(
    healthy: Case, condition: tuple[str, str, str], severity: str, word: str
) -> None:
    hpa = healthy.facts.lists["HorizontalPodAutoscaler"][0]
    kind, status, reason = condition
    conditions = [{"type": kind, "status": status, "reason": reason, "message": "because"}]
    one = with_list(healthy, "HorizontalPodAutoscaler", {**hpa, "status": {"conditions": conditions}})
    fault = only(faults(one), "hpa")
    assert fault.severity == severity
    assert word in fault.what


def test_two_scalers_of_one_workload(healthy: Case) -> None:
    hpa = healthy.facts.lists["HorizontalPodAutoscaler"][0]
    second = {**hpa, "metadata": {"name": "mine"}}
    assert (
        "two HPAs scale 'chat'"
        in only(faults(with_list(healthy, "HorizontalPodAutoscaler", hpa, second)), "hpa").what
    )


# -- volumes and Jobs


def test_a_claim_that_is_not_bound_tells_the_driver_s_words(healthy: Case) -> None:
    claim = {
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "w", "uid": "w", "labels": {"app.kubernetes.io/instance": "chat"}},
        "spec": {"resources": {"requests": {"storage": "1Gi"}}},
        "status": {"phase": "Pending"},
    }
    said = event("ProvisioningFailed", "volume type not supported", kind="PersistentVolumeClaim", name="w")
    fault = only(
        faults(with_list(with_list(healthy, "PersistentVolumeClaim", claim), "Event", said)), "volumes"
    )
    assert (fault.severity, fault.evidence) == ("error", "volume type not supported")
