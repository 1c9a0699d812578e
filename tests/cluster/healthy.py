"""The facts of a cluster in which nothing is wrong with a plan, as plain objects: tests break one thing at a time."""

from typing import Any

import msgspec

from homeport.cluster.doctor import judge
from homeport.cluster.doctor_gather import ALWAYS, OPTIONAL
from homeport.cluster.doctor_queries import queries, series_of
from homeport.cluster.doctor_rights import VERBS, group_of
from homeport.cluster.doctor_types import Case, Facts, Finding, Report
from homeport.cluster.prometheus import Element, Target
from homeport.manifests.parsing import load as parsed
from homeport.manifests.render import documents
from homeport.planning.types import Plan

Object = dict[str, Any]
NOW = 1_760_000_000.0
LABELS = {"app.kubernetes.io/instance": "chat", "app.kubernetes.io/component": "model-server"}


def case(plan: Plan) -> Case:
    """A plan on a healthy cluster, one replica serving."""
    made = documents(plan)
    objects = tuple(parsed(d.text) for d in made)
    space = plan.spec.namespace or plan.spec.name
    served: dict[str, dict[str, str]] = {}
    for version, kind in [
        *((o["apiVersion"], o["kind"]) for o in objects),
        *((where[0], kind) for kind, where in (ALWAYS | OPTIONAL).items()),
    ]:
        served.setdefault(version, {})[kind] = kind.lower() + "s"
    live = {o["kind"]: o for o in objects}
    model = plan.models[0]
    assert model.nodes is not None
    selected = live["PodMonitor"]["metadata"]["labels"]
    lists: dict[str, list[Object]] = {
        "Namespace": [
            {
                "kind": "Namespace",
                "metadata": {"name": space, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
                "status": {"phase": "Active"},
            }
        ],
        "Node": [
            node(f"gpu-{n}", model.nodes.instance_types[0], model.nodes.gpus_per_node) for n in range(2)
        ],
        "APIService": [
            {
                "kind": "APIService",
                "metadata": {"name": "v1beta1.external.metrics.k8s.io"},
                "spec": {
                    "group": "external.metrics.k8s.io",
                    "service": {"name": "keda", "namespace": "keda"},
                },
                "status": {"conditions": [{"type": "Available", "status": "True"}]},
            }
        ],
        "Prometheus": [
            {
                "kind": "Prometheus",
                "metadata": {"name": "k8s", "namespace": "monitoring"},
                "spec": {
                    "podMonitorSelector": {"matchLabels": {"release": selected["release"]}},
                    "podMonitorNamespaceSelector": {},
                },
            }
        ],
        "StorageClass": [
            {
                "kind": "StorageClass",
                "metadata": {
                    "name": "standard-rwo",
                    "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
                },
                "provisioner": "pd.csi.storage.gke.io",
            }
        ],
        "Deployment": [{**live["Deployment"], "status": {"readyReplicas": 1, "conditions": []}}],
        "Pod": [pod(live["Deployment"], "chat-1", space)],
        "ScaledObject": [
            {
                **live["ScaledObject"],
                "status": {
                    "conditions": [
                        {"type": "Ready", "status": "True", "reason": "ScaledObjectReady"},
                        {"type": "Active", "status": "False", "reason": "ScalerNotActive"},
                        {"type": "Fallback", "status": "False", "reason": "NoFallbackFound"},
                    ]
                },
            }
        ],
        "HorizontalPodAutoscaler": [
            {
                "kind": "HorizontalPodAutoscaler",
                "metadata": {"name": "keda-hpa-chat"},
                "spec": {"scaleTargetRef": {"name": "chat"}, "maxReplicas": 2},
                "status": {
                    "currentReplicas": 1,
                    "desiredReplicas": 1,
                    "conditions": [{"type": "ScalingActive", "status": "True", "reason": "ValidMetricFound"}],
                },
            }
        ],
    }
    lists["pods_anywhere"] = lists["Pod"]
    url = plan.spec.observability.prometheus_url
    made_case = Case(
        plan=plan,
        documents=tuple(made),
        objects=objects,
        facts=Facts(
            namespace=space,
            user="admin",
            server_version="v1.37.2",
            served=served,
            lists=lists,
            secrets={"hub-token": {"token": True}},
            allowed={
                (verb, group_of(o["apiVersion"]), served[o["apiVersion"]][o["kind"]]): True
                for o in objects
                for verb in VERBS
            },
            targets={
                url: (
                    Target(
                        pool=f"podMonitor/{space}/chat/0",
                        url="http://10.0.0.1:8000/metrics",
                        health="up",
                        error="",
                        labels={"pod": "chat-1", "namespace": space},
                    ),
                )
            },
            now=NOW,
        ),
    )
    answers = {}
    for query in queries(made_case):
        answers[query.url, query.text] = (Element(labels={}, value=0.5),)
        for series in series_of(query.text):
            answers[query.url, series.count] = (Element(labels={}, value=1.0),)
    return with_facts(made_case, answers=answers)


def node(name: str, instance: str, gpus: int, **labels: str) -> Object:
    """A ready GPU node."""
    allocatable = {"cpu": "60", "memory": "300Gi", "ephemeral-storage": "2000Gi", "pods": "110"}
    if gpus:
        allocatable["nvidia.com/gpu"] = str(gpus)
    return {
        "kind": "Node",
        "metadata": {"name": name, "labels": {"node.kubernetes.io/instance-type": instance, **labels}},
        "spec": {"taints": [{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}]},
        "status": {
            "allocatable": allocatable,
            "nodeInfo": {"kubeletVersion": "v1.37.2"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def pod(deployment: Object, name: str, space: str) -> Object:
    """A ready pod of the Deployment, on the first node."""
    spec = {**deployment["spec"]["template"]["spec"], "nodeName": "gpu-0"}
    return {
        "kind": "Pod",
        "metadata": {"name": name, "namespace": space, "labels": dict(LABELS), "uid": name},
        "spec": spec,
        "status": {
            "phase": "Running",
            "conditions": [
                {"type": "PodScheduled", "status": "True"},
                {"type": "Ready", "status": "True", "lastTransitionTime": "2025-10-09T08:00:00Z"},
            ],
            "containerStatuses": [
                {
                    "name": "server",
                    "ready": True,
                    "started": True,
                    "restartCount": 0,
                    "state": {"running": {}},
                }
            ],
        },
    }


def with_facts(one: Case, **changed: Any) -> Case:
    """The same case with other facts."""
    return msgspec.structs.replace(one, facts=msgspec.structs.replace(one.facts, **changed))


def with_list(one: Case, kind: str, *objects: Object) -> Case:
    """The same case with other objects of a kind."""
    return with_facts(one, lists={**one.facts.lists, kind: list(objects)})


def with_pod(one: Case, **changed: Any) -> Case:
    """The same case, whose only pod has another status, no node, or other parts."""
    made = {**one.facts.lists["Pod"][0], **changed}
    return with_facts(one, lists={**one.facts.lists, "Pod": [made], "pods_anywhere": [made]})


def faults(one: Case) -> list[Finding]:
    """What is not ok."""
    return [f for f in judge(one).findings if f.severity != "ok"]


def report(one: Case) -> Report:
    """All findings."""
    return judge(one)
