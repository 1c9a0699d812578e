"""Preflight: a healthy cluster has no fault, and each thing that is broken is found, alone, with its repair."""

from typing import Any

import msgspec
import pytest

from homeport.cluster.doctor_nodes import obstacles, quantity, requests
from homeport.cluster.doctor_pools import newer_driver, upgrade_kubelets, upgrade_server
from homeport.cluster.doctor_preflight import parse_version, selects
from homeport.cluster.doctor_types import Case, Facts, Finding, Missing
from homeport.spec.models import Target
from tests.cluster.healthy import case, faults, node, report, with_facts, with_list
from tests.cluster.ward import planned, spec


@pytest.fixture(scope="module")
def healthy() -> Case:
    return case(planned(spec("ward", "http://prometheus-operated.monitoring.svc:9090")))


def only(found: list[Finding]) -> Finding:
    assert len(found) == 1, [f"{f.check}: {f.what}" for f in found]
    return found[0]


def of_check(found: list[Finding], check: str) -> list[Finding]:
    return [f for f in found if f.check == check]


def test_a_healthy_cluster_has_no_fault_and_says_what_it_looked_at(healthy: Case) -> None:
    found = report(healthy)
    assert faults(healthy) == []
    assert not found.faulty
    assert {f.check for f in found.findings} == {
        "reading", "rights", "versions", "kinds", "metrics-api", "namespace", "monitor-selected", "secrets", "hub-token", "nodes",
        "pods", "prometheus", "targets", "trigger", "scaled-object", "hpa",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "found"),
    [("v1.37.2", (1, 37)), ("v1.33.4-gke.1134000", (1, 33)), ("1.30+", (1, 30)), ("x", None), (None, None)],
)
def test_versions_are_read(text: str | None, found: tuple[int, int] | None) -> None:
    assert parse_version(text) == found


def test_an_old_server_is_an_error_that_names_the_field(healthy: Case) -> None:
    fault = only(faults(with_facts(healthy, server_version="v1.29.1")))
    assert (fault.check, fault.severity) == ("versions", "error")
    assert "preStop sleep" in fault.why
    (command,) = fault.repair
    assert command.startswith("gcloud container clusters upgrade CLUSTER --location us-central1 --master")
    assert command.endswith("--cluster-version 1.30"), "one minor after the other"


def test_an_old_kubelet_is_a_warning_that_names_the_node(healthy: Case) -> None:
    nodes = [dict(n) for n in healthy.facts.lists["Node"]]
    nodes[1] = {**nodes[1], "status": {**nodes[1]["status"], "nodeInfo": {"kubeletVersion": "v1.28.9"}}}
    labels = {**nodes[1]["metadata"]["labels"], "cloud.google.com/gke-nodepool": "h100"}
    nodes[1]["metadata"] = {"name": "gpu-1", "labels": labels}
    fault = only(faults(with_list(healthy, "Node", *nodes)))
    assert (fault.check, fault.severity, fault.where) == ("versions", "warning", "Node gpu-1")
    assert fault.repair == (
        "gcloud container clusters upgrade CLUSTER --location us-central1 --node-pool h100",
    )


@pytest.mark.parametrize(
    ("platform", "server", "kubelets", "driver"),
    [
        ("eks", "eksctl upgrade cluster", "eksctl upgrade nodegroup", "eksctl upgrade nodegroup"),
        ("aks", "az aks upgrade", "az aks nodepool upgrade", "az aks nodepool upgrade"),
        ("minikube", "minikube start", "kubectl get nodes", "kubectl get nodes"),
        ("generic", "kubectl version", "kubectl get nodes", "kubectl get nodes"),
    ],
)
def test_each_platform_has_its_own_upgrades(platform: str, server: str, kubelets: str, driver: str) -> None:
    target = Target(platform=platform)  # type: ignore[arg-type]
    nodes = [node("gpu-0", "any", 8), node("gpu-1", "any", 8)]
    assert upgrade_server(target, "1.36")[0].startswith(server)
    (pools,) = upgrade_kubelets(target, nodes, "1.36")
    assert pools.startswith(kubelets)
    assert newer_driver(target, nodes, "driver")[0].startswith(driver)
    operated = [node("gpu-0", "any", 8, **{"nvidia.com/gpu.deploy.driver": "true"})]
    assert "clusterpolicies.nvidia.com/cluster-policy" in newer_driver(target, operated, "driver")[0]


@pytest.mark.parametrize(
    ("kind", "version", "brings"),
    [
        ("ScaledObject", "keda.sh/v1alpha1", "--version 2.21.0"),
        ("PodMonitor", "monitoring.coreos.com/v1", "kube-prometheus-stack"),
    ],
)
def test_a_missing_crd_names_the_pinned_command(healthy: Case, kind: str, version: str, brings: str) -> None:
    served = {**healthy.facts.served, version: {}}
    fault = next(f for f in faults(with_facts(healthy, served=served)) if f.check == "kinds")
    assert kind in fault.what
    assert brings in fault.repair[0]
    assert fault.repair[0].startswith("helm upgrade --install")


def test_another_served_version_of_a_kind_is_named(healthy: Case) -> None:
    served = {**healthy.facts.served, "keda.sh/v1alpha1": {}, "keda.sh/v2": {"ScaledObject": "scaledobjects"}}
    fault = next(f for f in faults(with_facts(healthy, served=served)) if f.check == "kinds")
    assert "it serves keda.sh/v2" in fault.what


def test_a_metrics_api_that_does_not_answer(healthy: Case) -> None:
    service = healthy.facts.lists["APIService"][0]
    down = {"conditions": [{"type": "Available", "status": "False", "message": "connection refused"}]}
    fault = only(faults(with_list(healthy, "APIService", {**service, "status": down})))
    assert (fault.check, fault.evidence) == ("metrics-api", "connection refused")
    assert "--namespace keda" in fault.repair[0]


@pytest.mark.parametrize(
    ("changed", "severity", "word"),
    [
        ({"status": {"phase": "Terminating"}}, "error", "being deleted"),
        ({"metadata": {"name": "ward", "labels": {}}}, "warning", "no PodSecurity profile"),
    ],
)
def test_the_namespace(healthy: Case, changed: dict[str, Any], severity: str, word: str) -> None:
    there = {**healthy.facts.lists["Namespace"][0], **changed}
    fault = only(faults(with_list(healthy, "Namespace", there)))
    assert (fault.check, fault.severity) == ("namespace", severity)
    assert word in fault.what


def test_a_monitor_that_nobody_selects_says_what_is_selected(healthy: Case) -> None:
    watcher = healthy.facts.lists["Prometheus"][0]
    other = {**watcher, "spec": {**watcher["spec"], "podMonitorSelector": {"matchLabels": {"team": "a"}}}}
    fault = only(faults(with_list(healthy, "Prometheus", other)))
    assert fault.evidence == "monitoring/k8s selects team=a"
    elsewhere = {**watcher, "spec": {"podMonitorSelector": {}}}
    assert "its own namespace only" in only(faults(with_list(healthy, "Prometheus", elsewhere))).evidence


@pytest.mark.parametrize(
    ("selector", "yes"),
    [
        ({}, True),
        ({"matchLabels": {"a": "1"}}, True),
        ({"matchLabels": {"a": "2"}}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, False),
        ({"matchExpressions": [{"key": "b", "operator": "DoesNotExist"}]}, True),
        ({"matchExpressions": [{"key": "b", "operator": "Exists"}]}, False),
    ],
)
def test_selectors(selector: dict[str, Any], yes: bool) -> None:
    assert selects(selector, {"a": "1"}) is yes


def test_rights_that_lack_are_one_role_for_this_user(healthy: Case) -> None:
    allowed = {k: k[2] not in ("deployments", "services") for k in healthy.facts.allowed}
    fault = only(faults(with_facts(healthy, allowed=allowed, user="system:serviceaccount:ci:bot")))
    assert "deployments.apps" in fault.what
    assert "services" in fault.what
    assert "--resource=deployments.apps,services" in fault.repair[0].replace(
        "services,deployments.apps", "deployments.apps,services"
    )
    assert "--serviceaccount=ci:bot" in fault.repair[1]


def test_what_may_not_be_read_is_never_ok(healthy: Case) -> None:
    lack = Missing(why="weak may not list nodes in the cluster", rule=("list", "nodes"))
    blind = with_facts(healthy, missing={"Node": lack}, user="weak")
    found = faults(blind)
    assert {f.severity for f in found} == {"unknown"}
    assert {f.check for f in found} >= {"reading", "nodes", "versions"}
    assert not [f for f in report(blind).findings if f.check == "nodes" and f.severity == "ok"]
    fault = next(f for f in found if f.check == "reading")
    assert "--resource=nodes" in fault.repair[0]
    assert "--user=weak" in fault.repair[1]


@pytest.mark.parametrize(
    ("there", "word", "severity"),
    [
        (None, "there is no Secret 'hub-token'", "error"),
        ({"key": True}, "has no key 'token'; it has: key", "error"),
        ({"token": False}, "holds nothing under the key 'token'", "error"),
    ],
)
def test_secrets(healthy: Case, there: dict[str, bool] | None, word: str, severity: str) -> None:
    fault = only(faults(with_facts(healthy, secrets={"hub-token": there})))
    assert (fault.check, fault.severity) == ("secrets", severity)
    assert word in fault.what
    assert (
        fault.repair[-1] == "kubectl --namespace ward create secret generic hub-token --from-file=token=FILE"
    )


def test_a_gated_model_without_a_token_and_one_that_nobody_knows(healthy: Case) -> None:
    plan = healthy.plan
    model = plan.models[0]
    bare = msgspec.structs.replace(model, spec=msgspec.structs.replace(model.spec, hub_token=None))
    without = msgspec.structs.replace(healthy, plan=msgspec.structs.replace(plan, models=(bare,)))
    fault = only(of_check(faults(without), "hub-token"))
    assert (fault.severity, "is gated" in fault.what) == ("error", True)
    nobody = msgspec.structs.replace(bare, source=msgspec.structs.replace(bare.source, gated=None))
    unsure = msgspec.structs.replace(healthy, plan=msgspec.structs.replace(plan, models=(nobody,)))
    assert only(of_check(faults(unsure), "hub-token")).severity == "unknown"


def test_no_node_of_the_kind_says_what_is_in_the_way_and_how_to_get_one(healthy: Case) -> None:
    nodes = (node("a", "n2-standard-8", 0), node("b", "n2-standard-8", 0), node("c", "g2-standard-24", 0))
    fault = only(faults(with_list(healthy, "Node", *nodes)))
    assert (fault.check, fault.severity) == ("nodes", "error")
    assert "2 have node.kubernetes.io/instance-type=n2-standard-8" in fault.evidence
    assert "1 offers 0 nvidia.com/gpu of the 2 asked for" in fault.evidence
    assert "no node offers nvidia.com/gpu" in fault.advice


def test_a_node_selector_counts_as_the_scheduler_counts_it() -> None:
    spec = {"nodeSelector": {"cloud.google.com/compute-class": "support-g2"}}
    one = node("a", "g2-standard-24", 2)
    one["spec"] = {}
    assert obstacles(one, spec, {}) == ["have cloud.google.com/compute-class=(not set)"]
    one["metadata"]["labels"]["cloud.google.com/compute-class"] = "support-g2"
    assert obstacles(one, spec, {}) == []


def test_nodes_that_an_autoscaler_makes_are_a_warning(healthy: Case) -> None:
    served = {**healthy.facts.served, "karpenter.sh/v1": {"NodePool": "nodepools"}}
    fault = only(faults(with_list(with_facts(healthy, served=served), "Node")))
    assert fault.severity == "warning"
    assert "Karpenter" in fault.why


def test_a_taint_that_is_not_tolerated_names_the_command(healthy: Case) -> None:
    nodes = [dict(n) for n in healthy.facts.lists["Node"]]
    for one in nodes:
        one["spec"] = {"taints": [{"key": "team", "value": "other", "effect": "NoSchedule"}]}
    fault = only(faults(with_list(healthy, "Node", *nodes)))
    assert fault.evidence == "2 carry the taint team=other:NoSchedule"
    assert fault.repair == ("kubectl taint node gpu-0 team:NoSchedule-",)


def test_room_counts_what_others_run_and_not_our_own_pods(healthy: Case) -> None:
    asked = requests(healthy.facts.lists["Pod"][0]["spec"])
    others = [
        {
            "kind": "Pod",
            "metadata": {"name": f"x{n}", "namespace": "other"},
            "spec": {
                "nodeName": f"gpu-{n}",
                "containers": [{"resources": {"limits": {"nvidia.com/gpu": "2"}}}],
            },
            "status": {"phase": "Running"},
        }
        for n in range(2)
    ]
    assert asked["nvidia.com/gpu"] == 2
    full = with_list(healthy, "pods_anywhere", *healthy.facts.lists["Pod"], *others)
    fault = only(faults(full))
    assert "room for 0 of the 1 pods" in fault.what
    half = with_list(healthy, "pods_anywhere", *healthy.facts.lists["Pod"], others[1])
    assert "room for 1 replica" in only(faults(half)).what


@pytest.mark.parametrize(("name", "makes"), [("registry", True), ("hub-token", False)])
def test_a_pull_secret_of_the_wrong_type(healthy: Case, name: str, makes: bool) -> None:
    account = next(o for o in healthy.objects if o["kind"] == "ServiceAccount")
    there = {**account, "imagePullSecrets": [{"name": name}]}
    changed = with_facts(
        with_list(healthy, "ServiceAccount", there),
        secrets={"hub-token": {"token": True}, "registry": {"password": True}},
    )
    fault = only(faults(changed))
    assert (fault.check, fault.what) == ("pull-secrets", f"the Secret '{name}' has no key .dockerconfigjson")
    show, *make = fault.repair
    assert show == "kubectl --namespace ward get secrets --field-selector type=kubernetes.io/dockerconfigjson"
    assert [c.split()[3] for c in make] == (["delete", "create"] if makes else []), (
        "pods read the other one's key"
    )


def test_an_old_driver_is_told_where_feature_discovery_tells_it(healthy: Case) -> None:
    nodes = [dict(n) for n in healthy.facts.lists["Node"]]
    labels = {**nodes[0]["metadata"]["labels"], "nvidia.com/cuda.driver.major": "550"}
    nodes[0] = {**nodes[0], "metadata": {"name": "gpu-0", "labels": labels}}
    fault = only(faults(with_list(healthy, "Node", *nodes)))
    assert (fault.check, fault.severity) == ("gpu-driver", "error")
    assert "-cu129" in fault.advice
    assert "--node-pool POOL" in fault.repair[0]
    assert fault.repair[1] == "kubectl get nodes --label-columns nvidia.com/cuda.driver-version.major"


@pytest.mark.parametrize(
    ("hard", "used", "severity", "word"),
    [
        ({"requests.nvidia.com/gpu": "1"}, {}, "error", "ask for 2, the quota has 1 left of 1"),
        ({"requests.nvidia.com/gpu": "2"}, {}, "warning", "not for all that the autoscaler may ask for"),
        ({"requests.nvidia.com/gpu": "8"}, {"requests.nvidia.com/gpu": "7"}, "error", "has 1 left of 8"),
        ({"limits.cpu": "100"}, {}, "error", "set no such limit"),
        ({"pods": "0"}, {}, "error", "pods"),
        ({"requests.memory": "1Gi"}, {}, "error", "GiB"),
    ],
)
def test_quotas(healthy: Case, hard: dict[str, str], used: dict[str, str], severity: str, word: str) -> None:
    quota = {
        "kind": "ResourceQuota",
        "metadata": {"name": "q"},
        "spec": {"hard": hard},
        "status": {"hard": hard, "used": used},
    }
    blank = with_list(with_list(healthy, "ResourceQuota", quota), "Pod")  # nothing of ours runs
    found = [f for f in of_check(faults(blank), "quota") if f.severity == severity]
    assert word in only(found).what


def test_our_own_pods_do_not_count_against_us_in_a_quota(healthy: Case) -> None:
    hard = {"requests.nvidia.com/gpu": "4"}
    quota = {
        "kind": "ResourceQuota",
        "metadata": {"name": "q"},
        "spec": {"hard": hard},
        "status": {"hard": hard, "used": {"requests.nvidia.com/gpu": "2"}},
    }
    assert not faults(with_list(healthy, "ResourceQuota", quota)), "two of ours, of at most four"


def test_a_quota_with_scopes_is_unknown(healthy: Case) -> None:
    quota = {
        "kind": "ResourceQuota",
        "metadata": {"name": "q"},
        "spec": {"hard": {"pods": "9"}, "scopes": ["BestEffort"]},
    }
    assert only(faults(with_list(healthy, "ResourceQuota", quota))).severity == "unknown"


@pytest.mark.parametrize(
    ("limit", "word"),
    [
        ({"max": {"memory": "1Gi"}}, "at most 1Gi is allowed"),
        ({"min": {"cpu": "64"}}, "at least 64 is asked for"),
        ({"default": {"cpu": "500m"}}, "below its request"),
        ({"default": {"cpu": "60"}}, "default CPU limit of 60"),
    ],
)
def test_limit_ranges(healthy: Case, limit: dict[str, Any], word: str) -> None:
    item = {
        "kind": "LimitRange",
        "metadata": {"name": "l"},
        "spec": {"limits": [{"type": "Container", **limit}]},
    }
    assert word in only(faults(with_list(healthy, "LimitRange", item))).what


@pytest.mark.parametrize(
    ("text", "number"), [("500m", 0.5), ("44Gi", 44 * 2**30), ("1e3", 1000), ("2", 2), ("1.5k", 1500), (8, 8)]
)
def test_quantities(text: object, number: float) -> None:
    assert float(quantity(text)) == number


def test_no_quantity() -> None:
    with pytest.raises(ValueError, match="no quantity"):
        quantity("lots")


def test_facts_of_what_was_not_asked_are_missing_not_empty() -> None:
    facts = Facts(namespace="x", missing={"Node": Missing(why="forbidden")})
    assert not facts.known("Node")
    assert facts.known("Pod")


PVC = """version: 1
name: ward
target: {platform: eks, region: us-east-1}
models:
  - name: chat
    model: Qwen/Qwen3-8B
    workload: {requests_per_day: 1000, input_tokens: 500, output_tokens: 200}
    weights: {source: pvc STORAGE}
    scaling: {by: none}
"""


@pytest.mark.parametrize(
    ("named", "classes", "word", "repair"),
    [
        (
            ", storage_class: efs",
            [("gp3", "ebs.csi.aws.com", False)],
            "there is no StorageClass 'efs'",
            "get storageclass",
        ),
        (
            "",
            [("gp3", "ebs.csi.aws.com", False)],
            "no StorageClass is the default",
            "patch storageclass gp3 --patch "
            '\'{"metadata":{"annotations":{"storageclass.kubernetes.io/is-default-class":"true"}}}\'',
        ),
        (
            "",
            [("a", "efs.csi.aws.com", False), ("b", "efs.csi.aws.com", False)],
            "no StorageClass is the default",
            "patch storageclass NAME",
        ),
        ("", [], "no StorageClass is the default", "get storageclass"),
        (
            ", storage_class: gp3}\n    replicas: {min: 2, max: 2",
            [("gp3", "ebs.csi.aws.com", True)],
            "makes volumes for one node",
            "get storageclass --output custom-columns",
        ),
        (
            "",
            [("a", "efs.csi.aws.com", True), ("b", "efs.csi.aws.com", True)],
            "2 StorageClasses call themselves the default",
            "patch storageclass a --patch "
            '\'{"metadata":{"annotations":{"storageclass.kubernetes.io/is-default-class":"false"}}}\'',
        ),
        (", storage_class: efs", [("efs", "efs.csi.aws.com", False)], "", ""),
    ],
)
def test_storage(named: str, classes: list[tuple[str, str, bool]], word: str, repair: str) -> None:
    from homeport.cluster.doctor import judge
    from homeport.manifests.parsing import load as parsed
    from homeport.manifests.render import documents

    plan = planned(PVC.replace(" STORAGE", named))
    made = documents(plan)
    items = [
        {
            "kind": "StorageClass",
            "metadata": {
                "name": n,
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"} if d else {},
                "creationTimestamp": f"2026-01-0{day}T00:00:00Z",
            },
            "provisioner": p,
        }
        for day, (n, p, d) in enumerate(classes, 1)
    ]
    made_case = Case(
        plan=plan,
        documents=tuple(made),
        objects=tuple(parsed(d.text) for d in made),
        facts=Facts(namespace="ward", lists={"StorageClass": items}),
    )
    found = [
        f
        for f in judge(made_case, preflight_only=True).findings
        if f.check == "storage" and f.severity != "ok"
    ]
    if not word:
        assert not found
        return
    fault = next(f for f in found if word in f.what)
    assert fault.repair[0].startswith(f"kubectl {repair}")
