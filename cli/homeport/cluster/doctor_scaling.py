"""The autoscaler's own words: conditions of ScaledObjects and HorizontalPodAutoscalers, translated."""

from collections.abc import Callable, Iterator
from functools import partial

import msgspec

from homeport.cluster.doctor_types import Case, Check, Finding, Object, Severity, model_of
from homeport.text import counted


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """What a condition's reason means. `repair` has places for the namespace and the name (empty: look at the object)."""

    severity: Severity
    what: str
    why: str
    advice: str = ""
    repair: str = ""


# Type, status and reason -> meaning. From KEDA 2.21 (controllers/keda, pkg/scaling/executor, pkg/fallback).
SCALED_OBJECT: dict[tuple[str, str, str], Word] = {
    ("Ready", "False", "ScaledObjectCheckFailed"): Word(
        severity="error",
        what="KEDA refuses the ScaledObject",
        why="no HPA is made, and nothing changes the number of replicas",
        advice="the message says which field: often the target does not exist, another HPA scales it, or a trigger's address is wrong",
    ),
    ("Ready", "False", "TriggerError"): Word(
        severity="error",
        what="KEDA cannot read the trigger",
        why="the number of replicas stays as it is",
        advice="Prometheus does not answer at the trigger's serverAddress, or refuses the query: see the checks prometheus and trigger",
    ),
    ("Ready", "Unknown", "PartialTriggerError"): Word(
        severity="warning",
        what="KEDA cannot read some of the triggers",
        why="replicas follow the others only",
    ),
    ("Ready", "False", "ErrorGettingCurrentReplicas"): Word(
        severity="error",
        what="KEDA cannot read the scale of the target",
        why="nothing scales it",
        advice="does the Deployment or LeaderWorkerSet that scaleTargetRef names exist?",
    ),
    ("Ready", "False", "ErrorScalingTarget"): Word(
        severity="error",
        what="KEDA cannot set the number of replicas",
        why="nothing scales it",
        advice="KEDA's service account needs the scale subresource of the target's kind",
    ),
    ("Fallback", "True", "FallbackExists"): Word(
        severity="error",
        what="KEDA runs on its fallback number of replicas",
        why="it has not reached Prometheus several times in a row: the load is not looked at",
        advice="see the checks prometheus and trigger",
    ),
    ("HPAActive", "False", "HPAMetricsUnavailable"): Word(
        severity="error",
        what="the HPA that KEDA made gets no metric",
        why="the number of replicas stays as it is",
        advice="see the checks metrics-api and hpa",
    ),
    ("Paused", "True", "ScaledObjectPaused"): Word(
        severity="warning",
        what="autoscaling is paused",
        why="somebody set the annotation autoscaling.keda.sh/paused (or paused-replicas)",
        repair="kubectl --namespace {space} annotate scaledobject {name} autoscaling.keda.sh/paused- "
        "autoscaling.keda.sh/paused-replicas-",
    ),
}

# From Kubernetes 1.37 (pkg/controller/podautoscaler/horizontal.go).
AUTOSCALER: dict[tuple[str, str], Word] = {
    ("ScalingActive", "FailedGetExternalMetric"): Word(
        severity="error",
        what="the HPA cannot read its external metric",
        why="the number of replicas stays as it is",
        advice="KEDA's metrics server does not answer, or Prometheus does not answer it: see metrics-api, prometheus and trigger",
    ),
    ("ScalingActive", "FailedGetPodsMetric"): Word(
        severity="error",
        what="the HPA cannot read its pods metric",
        why="the number of replicas stays as it is",
        advice="the adapter (prometheus-adapter) serves no such metric for these pods: its rules must name the engine's series",
    ),
    ("ScalingActive", "FailedGetObjectMetric"): Word(
        severity="error",
        what="the HPA cannot read its object metric",
        why="the number of replicas stays as it is",
    ),
    ("ScalingActive", "FailedGetResourceMetric"): Word(
        severity="error",
        what="the HPA cannot read CPU or memory",
        why="the number of replicas stays as it is",
        advice="metrics-server is missing",
    ),
    ("ScalingActive", "InvalidMetricSourceType"): Word(
        severity="error",
        what="the HPA has a metric of a kind that this cluster does not know",
        why="it does nothing",
    ),
    ("ScalingActive", "AmbiguousSelector"): Word(
        severity="error",
        what="several HPAs scale the same pods",
        why="both stop",
        advice="delete the one that is not KEDA's",
    ),
    ("ScalingActive", "InvalidSelector"): Word(
        severity="error",
        what="the scale subresource of the target gives no selector",
        why="the HPA does nothing",
    ),
    ("AbleToScale", "FailedGetScale"): Word(
        severity="error",
        what="the HPA cannot read the scale of its target",
        why="it does nothing",
        advice="does the target that scaleTargetRef names exist, and does its kind have a scale subresource?",
    ),
    ("AbleToScale", "FailedUpdateScale"): Word(
        severity="error",
        what="the HPA cannot set the number of replicas",
        why="it does nothing",
    ),
}


def scaled_objects(case: Case) -> Iterator[Finding]:
    """KEDA has taken the ScaledObjects and reads their triggers."""
    wanted = {o["metadata"]["name"]: o for o in case.rendered("ScaledObject")}
    if not wanted or not any("ScaledObject" in k for k in case.facts.served.values()):
        return
    for item in case.facts.of("ScaledObject"):
        name = item["metadata"]["name"]
        if name not in wanted:
            continue
        where = f"ScaledObject {case.facts.namespace}/{name}"
        finding = partial(Finding, check="scaled-object", where=where, model=model_of(item))
        conditions = item.get("status", {}).get("conditions", ())
        faults = 0
        for condition in conditions:
            key = condition.get("type", ""), condition.get("status", ""), condition.get("reason", "")
            word = SCALED_OBJECT.get(key)
            if word is None and key[:2] == ("Ready", "False"):
                word = Word(
                    severity="error",
                    what="KEDA says that the ScaledObject is not ready",
                    why="nothing scales it",
                )
            if word is not None:
                faults += 1
                yield _translated(case, finding, word, condition, ("scaledobject", name))
        if not conditions:
            yield finding(
                severity="error",
                what="KEDA has not looked at the ScaledObject",
                why="its operator does not run, or watches other namespaces: nothing scales the model",
                repair=("kubectl --namespace keda get pods",),
            )
        elif not faults:
            yield finding(severity="ok", what="KEDA reads the triggers")


def autoscalers(case: Case) -> Iterator[Finding]:
    """The HPAs on our workloads can read their metric and set the replicas."""
    ours = {o["metadata"]["name"]: o for o in case.objects if o["kind"] in ("Deployment", "LeaderWorkerSet")}
    seen: dict[str, str] = {}
    for hpa in case.facts.of("HorizontalPodAutoscaler"):
        target = hpa["spec"].get("scaleTargetRef", {}).get("name", "")
        if target not in ours:
            continue
        name = hpa["metadata"]["name"]
        where = f"HorizontalPodAutoscaler {case.facts.namespace}/{name}"
        finding = partial(Finding, check="hpa", where=where, model=model_of(ours[target]))
        if target in seen:
            yield finding(
                severity="error",
                what=f"two HPAs scale '{target}': {seen[target]} and {name}",
                why="each undoes what the other does",
                repair=(f"kubectl --namespace {case.facts.namespace} delete hpa NAME",),
                advice="delete the one that is not KEDA's (keda-hpa-...)",
            )
        seen[target] = name
        yield from _autoscaler(case, hpa, finding)


def _autoscaler(case: Case, hpa: Object, finding: Callable[..., Finding]) -> Iterator[Finding]:
    status = hpa.get("status", {})
    faults = 0
    for condition in status.get("conditions", ()):
        word = AUTOSCALER.get((condition["type"], condition.get("reason", "")))
        if condition["status"] == "False" and word is not None:
            faults += 1
            yield _translated(case, finding, word, condition, ("hpa", hpa["metadata"]["name"]))
        if (
            condition["type"] == "ScalingLimited"
            and condition["status"] == "True"
            and condition.get("reason") == "TooManyReplicas"
        ):
            faults += 1
            yield finding(
                severity="warning",
                what=f"the HPA wants more than the {hpa['spec'].get('maxReplicas')} replicas that are allowed",
                why="requests wait longer than the latency limits allow",
                evidence=condition.get("message", ""),
                advice="raise replicas.max in the spec",
                repair=(f"homeport plan -f {case.file} --explain",),
            )
    current, desired = status.get("currentReplicas", 0), status.get("desiredReplicas", 0)
    if not faults:
        yield finding(severity="ok", what=f"the HPA works: {counted(current, 'replica')}, {desired} wanted")


def _translated(
    case: Case, finding: Callable[..., Finding], word: Word, condition: Object, item: tuple[str, str]
) -> Finding:
    kind, name = item
    look = f"kubectl --namespace {case.facts.namespace} describe {kind} {name}"
    return finding(
        severity=word.severity,
        what=word.what,
        why=word.why,
        advice=word.advice,
        evidence=f"{condition.get('reason', '')}: {condition.get('message', '')}".strip(": "),
        repair=(word.repair.format(space=case.facts.namespace, name=name) or look,),
    )


CHECKS: dict[str, Check] = {"scaled-object": scaled_objects, "hpa": autoscalers}
