"""`status`: what runs of a plan, why the rest does not, how loaded it is and what it costs."""

import time
from typing import Any

from homeport.cluster.client import Cluster
from homeport.cluster.doctor_types import model_of
from homeport.cluster.errors import ClusterProblem, CredentialsRefused, KindMissing, Unreachable
from homeport.cluster.prometheus import Prometheus
from homeport.cluster.status_cost import spending
from homeport.cluster.status_load import read_load
from homeport.cluster.status_pods import event_time, events_of, pod_state
from homeport.cluster.status_time import seconds, stamp
from homeport.cluster.status_types import ModelStatus, Replicas, Scaled, Status, Waiting
from homeport.manifests import naming
from homeport.manifests.render import namespace_of
from homeport.planning.types import ModelPlan, Plan

Object = dict[str, Any]

SCALING_REASONS = (
    "SuccessfulRescale",
    "ScalingReplicaSet",
    "KEDAScaleTargetActivated",
    "KEDAScaleTargetDeactivated",
    "ScaledObjectFallbackActivated",
)
"""Reasons of events that tell of a change of replicas: the HPA's, the Deployment's and KEDA's."""


def read_status(plan: Plan, cluster: Cluster) -> Status:
    """The state of every model of a plan, now.

    Raises the environment's errors where the workloads or their pods cannot be read; what else is not there is unknown.
    """
    space = namespace_of(plan)
    now = time.time()
    pods = cluster.list("v1", "Pod", space, labels=f"{naming.COMPONENT} in ({naming.SERVER},{naming.WORKER})")
    events, _ = _maybe(cluster, "v1", "Event", space)
    scalers, _ = _maybe(cluster, "autoscaling/v2", "HorizontalPodAutoscaler", space)
    nodes, no_nodes = _maybe(cluster, "v1", "Node", None)
    by_model: dict[str, list[Object]] = {}
    for pod in pods:
        by_model.setdefault(model_of(pod) or "", []).append(pod)
    placed = {
        name: [
            p
            for p in own
            if p["spec"].get("nodeName") and p.get("status", {}).get("phase") not in ("Succeeded", "Failed")
        ]
        for name, own in by_model.items()
    }
    known = None if no_nodes else {n["metadata"]["name"]: n for n in nodes}
    costs = spending(plan, placed, known)
    server = Prometheus(plan.spec.observability.prometheus_url, cluster.raw)
    models = []
    for model in plan.models:
        load, unknown = read_load(model, space, server)
        cost, why = costs[model.spec.name]
        if why:
            unknown["usd_per_hour"] = why
        models.append(
            _model(
                model,
                _workload(cluster, model, space),
                by_model.get(model.spec.name, []),
                (events, scalers, now),
                load=load,
                spending=cost,
                unknown=unknown,
            )
        )
    rates = [m.spending.usd_per_hour for m in models]
    total = None if any(r is None for r in rates) else sum(r for r in rates if r is not None)
    return Status(
        at=stamp(now),
        namespace=space,
        context=cluster.context,
        models=tuple(models),
        usd_per_hour=total,
        usd_per_month=None if total is None else total * 730,
    )


def _maybe(cluster: Cluster, version: str, kind: str, namespace: str | None) -> tuple[list[Object], str]:
    """What is listed, and why where it is not."""
    try:
        return cluster.list(version, kind, namespace), ""
    except (Unreachable, CredentialsRefused):
        raise
    except ClusterProblem as problem:
        return [], str(problem)


def workload_of(model: ModelPlan) -> tuple[str, str, str]:
    """apiVersion, kind and name of what runs a model."""
    if model.nodes_per_replica > 1:
        return "leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet", model.spec.name + "-group"
    return "apps/v1", "Deployment", model.spec.name


def _workload(cluster: Cluster, model: ModelPlan, namespace: str) -> Object | None:
    version, kind, name = workload_of(model)
    try:
        return cluster.get(version, kind, name, namespace)
    except KindMissing:
        return None


def _model(
    model: ModelPlan,
    workload: Object | None,
    pods: list[Object],
    around: tuple[list[Object], list[Object], float],
    **rest: Any,
) -> ModelStatus:
    events, scalers, now = around
    _, kind, name = workload_of(model)
    wanted = None if workload is None else int(workload["spec"].get("replicas", 1))
    ready = 0 if workload is None else int(workload.get("status", {}).get("readyReplicas") or 0)
    states = [pod_state(p, events_of(events, p), now) for p in pods]
    waiting = tuple(
        Waiting(pod=s.pod, phase=s.phase, why=s.why, since_s=s.since_s, restarts=s.restarts)
        for s in states
        if s.phase != "ready"
    )
    refused = _refused(workload, events, pods)
    if refused and wanted and ready < wanted:
        waiting = (*waiting, Waiting(pod=name, phase="waiting", why=refused, since_s=None, restarts=0))
    return ModelStatus(
        name=model.spec.name,
        workload=f"{kind} {name}",
        ready=wanted is not None and ready >= wanted,
        replicas=Replicas(wanted=wanted, ready=ready, min=model.replicas_min, max=model.replicas_max),
        pods=waiting,
        last_scaled=last_scaled(model, events, scalers),
        **rest,
    )


def _refused(workload: Object | None, events: list[Object], pods: list[Object]) -> str:
    """What admission said when the controller wanted to make pods and could not."""
    for condition in (workload or {}).get("status", {}).get("conditions", ()):
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return str(condition.get("message", ""))
    if workload is None or pods:
        return ""
    name = workload["metadata"]["name"]
    found = [
        e
        for e in events
        if e.get("reason") == "FailedCreate"
        and str((e.get("involvedObject") or {}).get("name", "")).startswith(name)
    ]
    return str(found[-1].get("message", "")) if found else ""


def last_scaled(model: ModelPlan, events: list[Object], scalers: list[Object]) -> Scaled | None:
    """The last change of replicas that the cluster still tells of (events are kept for an hour by default)."""
    _, _, name = workload_of(model)
    own = [s for s in scalers if s["spec"].get("scaleTargetRef", {}).get("name") == name]
    about = {name, model.spec.name, *(s["metadata"]["name"] for s in own)}
    told = [
        e
        for e in events
        if e.get("reason") in SCALING_REASONS
        and (e.get("involvedObject") or {}).get("name") in about
        and not str(e.get("message", "")).endswith("from 0 to 0")
    ]
    if told:
        # The HPA says why, the Deployment only that: of the same moment, the HPA's word counts.
        newest = max(
            told, key=lambda e: (round((event_time(e) or 0.0) / 10), e["reason"] != "ScalingReplicaSet")
        )
        at = event_time(newest)
        return Scaled(
            at=None if at is None else stamp(at),
            by=str((newest.get("involvedObject") or {}).get("kind", "")),
            why=str(newest.get("message", "")),
        )
    times = [t for s in own if (t := s.get("status", {}).get("lastScaleTime"))]
    if times:
        at = max(seconds(t) or 0.0 for t in times)
        return Scaled(at=stamp(at), by="HorizontalPodAutoscaler", why="its event is no longer kept")
    return None
