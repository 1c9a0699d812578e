"""What moves the replicas, as it is rendered: signals that exist, one element each, and no field that nothing reads."""

import json
import re
import shlex
from typing import Any

import pytest
import yaml

from homeport.errors import SpecError
from homeport.manifests import render
from homeport.manifests.cautions import cautions
from homeport.manifests.parsing import load
from homeport.manifests.prerequisites import adapter_config, prerequisites

WAKE = 'envoy_http_downstream_rq_active{envoy_http_conn_manager_prefix="models"}'


def objects(plan: Any) -> dict[str, dict[str, Any]]:
    return {f"{d.kind}/{d.name}": load(d.text) for d in render.documents(plan)}


def scaled_object(plans: Any, *models: dict[str, Any], **changes: Any) -> dict[str, Any]:
    found = objects(plans.plan(plans.spec("gke", *models), **changes))
    return found["ScaledObject/assistant"]["spec"]


def triggers(spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {t["name"]: t for t in spec["triggers"]}


@pytest.mark.parametrize(
    ("engine", "series"),
    [
        ("vllm", ["vllm:num_requests_running", "vllm:num_requests_waiting"]),
        ("sglang", ["sglang:num_running_reqs", "sglang:num_queue_reqs"]),
        ("tgi", ["tgi_batch_current_size", "tgi_queue_size"]),
    ],
)
def test_the_autoscaler_follows_what_runs_and_what_waits(plans, engine, series) -> None:
    trigger = triggers(scaled_object(plans, {"engine": engine}))["load"]
    query = trigger["metadata"]["query"]
    assert [s for s in series if s in query] == series
    assert re.fullmatch(r"\(sum\(.*\) or vector\(0\)\) \+ \(sum\(.*\) or vector\(0\)\)", query)
    assert 'namespace="support"' in query
    assert 'model="' not in query
    assert trigger["metricType"] == "AverageValue"
    # 100 in flight within the limits, 2 % of them kept free while another starts
    assert trigger["metadata"]["threshold"] == "89"


def test_trtllm_scales_on_its_request_rate_and_has_no_guard(plans) -> None:
    found = triggers(scaled_object(plans, {"engine": "trtllm"}))
    assert list(found) == ["load"]
    query = found["load"]["metadata"]["query"]
    assert re.fullmatch(r"sum\(rate\(.*\[120s\]\)\) or vector\(0\)", query)
    assert 'job="support/assistant"' in query
    assert float(found["load"]["metadata"]["threshold"]) == pytest.approx(3.5 / 1.1 * 0.98, abs=0.01)


@pytest.mark.parametrize(
    ("engine", "series"), [("vllm", "vllm:kv_cache_usage_perc"), ("sglang", "sglang:token_usage")]
)
def test_the_kv_cache_is_a_guard_where_the_engine_shows_it(plans, engine, series) -> None:
    guard = triggers(scaled_object(plans, {"engine": engine}))["kv-cache"]
    assert guard["metadata"]["query"].startswith(f"sum(max by (pod) ({series}{{")
    assert guard["metadata"]["threshold"] == "0.89"


def test_nothing_is_rendered_that_keda_reads_only_at_zero(plans) -> None:
    spec = scaled_object(plans, {"replicas": {"min": 1, "max": 3}})
    assert spec["minReplicaCount"] == 1
    assert not {"pollingInterval", "cooldownPeriod"} & spec.keys()
    assert "wake" not in triggers(spec)


def test_to_zero_it_wakes_on_the_given_signal_and_on_no_other(plans) -> None:
    spec = scaled_object(plans, {"replicas": {"min": 0, "max": 3}, "scaling": {"wake": WAKE}})
    found = triggers(spec)
    assert (spec["minReplicaCount"], spec["pollingInterval"], spec["cooldownPeriod"]) == (0, 17, 412)
    assert found["wake"]["metadata"]["query"] == f"(max({WAKE}) or vector(0)) > bool 0"
    assert found["wake"]["metadata"]["threshold"] == "1"
    assert float(found["kv-cache"]["metadata"]["activationThreshold"]) == spec["maxReplicaCount"]
    assert spec["fallback"]["replicas"] >= 1, "KEDA goes to zero where the fallback is 0"


def test_it_is_said_that_the_signal_is_not_rendered(plans) -> None:
    zero = {"replicas": {"min": 0, "max": 3}, "scaling": {"wake": WAKE}}
    (said,) = [text for text in cautions(plans.plan(plans.spec("gke", zero))) if "scaling.wake" in text]
    assert said.startswith("assistant: at zero it wakes on scaling.wake")
    assert not any("scaling.wake" in text for text in cautions(plans.plan(plans.spec("gke"))))


def test_a_signal_of_the_replicas_themselves_wakes_nothing_and_is_refused(plans) -> None:
    made = plans.spec(
        "gke",
        {"name": "a"},
        {"name": "b", "replicas": {"min": 0}, "scaling": {"wake": "sum(vllm:num_requests_waiting)"}},
    )
    with pytest.raises(SpecError) as refused:
        render.documents(plans.plan(made))
    (problem,) = refused.value.problems
    assert problem.path == ("models", 1, "scaling", "wake")


def test_what_the_spec_writes_is_what_is_rendered(plans) -> None:
    scaling = {
        "threshold": 40,
        "kv_cache_usage": 0.7,
        "scale_up_stabilization_s": 5,
        "scale_up_step": 4,
        "scale_down_stabilization_s": 33,
        "scale_down_step": 2,
        "fallback_replicas": 3,
        "fallback_failures": 1,
        "wake": WAKE,
        "polling_interval_s": 7,
        "cooldown_s": 77,
    }
    spec = scaled_object(plans, {"replicas": {"min": 0, "max": 6}, "scaling": scaling})
    behavior = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert behavior["scaleUp"] == {
        "stabilizationWindowSeconds": 5,
        "policies": [{"type": "Pods", "value": 4, "periodSeconds": 170}],
    }
    assert behavior["scaleDown"] == {
        "stabilizationWindowSeconds": 33,
        "policies": [{"type": "Pods", "value": 2, "periodSeconds": 33}],
    }
    found = triggers(spec)
    assert found["load"]["metadata"]["threshold"] == "40"
    assert found["kv-cache"]["metadata"]["threshold"] == "0.7"
    assert spec["fallback"] == {
        "failureThreshold": 1,
        "replicas": 3,
        "behavior": "currentReplicasIfHigher",
    }
    assert (spec["pollingInterval"], spec["cooldownPeriod"]) == (7, 77)


def test_a_replica_of_several_nodes_is_scaled_as_a_group(plans) -> None:
    for by, kind in (("keda", "ScaledObject"), ("hpa", "HorizontalPodAutoscaler")):
        found = objects(
            plans.plan(plans.spec("eks", {"scaling": {"by": by}}), nodes_per_replica=2, gpus_per_replica=16)
        )
        target = found[f"{kind}/assistant"]["spec"]["scaleTargetRef"]
        assert target == {
            "apiVersion": "leaderworkerset.x-k8s.io/v1",
            "kind": "LeaderWorkerSet",
            "name": "assistant-group",
        }
        assert "replicas" not in found["LeaderWorkerSet/assistant-group"]["spec"]


@pytest.mark.parametrize("engine", ["vllm", "sglang", "tgi", "trtllm", "cpu", "simulator"])
def test_an_hpa_asks_for_what_the_adapters_rules_serve(plans, engine) -> None:
    plan = plans.plan(plans.spec("gke", {"engine": engine, "scaling": {"by": "hpa"}}))
    found = objects(plan)
    assert "replicas" not in found["Deployment/assistant"]["spec"]
    assert "ScaledObject/assistant" not in found
    metrics = found["HorizontalPodAutoscaler/assistant"]["spec"]["metrics"]
    asked = [m["pods"]["metric"]["name"] for m in metrics]
    rules = adapter_config(plan)["rules"]
    assert [r["name"]["as"] for r in rules] == asked
    assert all("<<.LabelMatchers>>" in r["metricsQuery"] for r in rules)


def test_the_adapter_is_a_prerequisite_with_its_rules_in_the_command(plans) -> None:
    plan = plans.plan(
        plans.spec(
            "gke",
            {"scaling": {"by": "hpa"}},
            {"name": "other", "scaling": {"by": "hpa"}},
            observability={"prometheus_url": "https://metrics.example.com/prom"},
        )
    )
    (found,) = [p for p in prerequisites(plan, render.documents(plan)) if p.name == "prometheus-adapter"]
    words = shlex.split(found.commands[0])
    values = dict(word.split("=", 1) for word in words if "=" in word)
    assert json.loads(values["rules.custom"]) == adapter_config(plan)["rules"]
    assert len(adapter_config(plan)["rules"]) == 2, "two models of one engine share the rules"
    assert (values["prometheus.url"], values["prometheus.port"], values["prometheus.path"]) == (
        "https://metrics.example.com",
        "443",
        "/prom",
    )
    assert not any(p.name == "KEDA" for p in prerequisites(plan, render.documents(plan)))


def test_every_figure_of_the_autoscaler_says_why(plans) -> None:
    figure = re.compile(
        r"(threshold|averageValue|stabilizationWindowSeconds|value|failureThreshold|replicas|pollingInterval|cooldownPeriod): "
    )
    models = (
        {"name": "a", "scaling": {"by": "hpa"}},
        {"name": "b", "replicas": {"min": 0, "max": 4}, "scaling": {"wake": WAKE}},
    )
    seen = set()
    for document in render.documents(plans.plan(plans.spec("gke", *models))):
        if document.component != "autoscaling":
            continue
        assert yaml.safe_load(document.text)
        lines = [line.strip() for line in document.text.split("\n")]
        for number, line in enumerate(lines):
            if found := figure.match(line):
                assert lines[number - 1].startswith("# "), line
                seen.add(found[1])
    assert len(seen) == 8
