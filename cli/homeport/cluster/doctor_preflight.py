"""What a cluster must have before the documents work: versions, kinds, metrics APIs, the namespace, Prometheus' selection."""

import re
from collections.abc import Iterator

from homeport.cluster.doctor_pools import upgrade_kubelets, upgrade_server
from homeport.cluster.doctor_types import (
    Case,
    Check,
    Finding,
    Missing,
    Object,
    Unanswered,
    model_of,
    pod_specs,
)
from homeport.manifests.prerequisites import prerequisites

PREREQUISITE_OF = {
    "PodMonitor": "kube-prometheus-stack",
    "ScaledObject": "KEDA",
    "LeaderWorkerSet": "LeaderWorkerSet",
    "HTTPRoute": "Gateway API",
}
"""Kinds that come with a CRD, and the prerequisite that brings it."""

ENFORCE = "pod-security.kubernetes.io/enforce"


def _least_version(case: Case) -> tuple[tuple[int, int], str]:
    """The oldest Kubernetes that runs what is rendered, and the field that asks for it.

    From the feature gates of Kubernetes 1.37 (pkg/features/kube_features.go) and the API's reference.
    """
    needs = [((1, 27), "server-side apply of a PodDisruptionBudget and a startup probe")]
    for _, spec in pod_specs(case.objects):
        if any("sleep" in c.get("lifecycle", {}).get("preStop", {}) for c in spec["containers"]):
            needs.append(((1, 30), "a preStop sleep, on by default since 1.30"))
        if any(c.get("restartPolicy") == "Always" for c in spec.get("initContainers", ())):
            needs.append(((1, 29), "sidecar containers, on by default since 1.29"))
        if any("image" in v for v in spec.get("volumes", ())):
            needs.append(
                ((1, 35), "image volumes, on by default since 1.35 (from 1.33 with the gate ImageVolume)")
            )
    return max(needs)


def parse_version(text: str | None) -> tuple[int, int] | None:
    """Major and minor of `v1.33.4-gke.100`."""
    found = re.match(r"v?(\d+)\.(\d+)", text or "")
    return (int(found[1]), int(found[2])) if found else None


def versions(case: Case) -> Iterator[Finding]:
    """The API server and the kubelets are new enough for the fields that are rendered."""
    least, because = _least_version(case)
    wanted = f"{least[0]}.{least[1]}"
    server = parse_version(case.facts.server_version)
    if server is None:
        raise Unanswered("the API server's version", Missing(why=f"it says '{case.facts.server_version}'"))
    if server < least:
        yield Finding(
            check="versions",
            severity="error",
            what=f"the API server is {case.facts.server_version}; the documents need {wanted}",
            why=f"{because}: an older server drops or refuses the field",
            advice=f"upgrade the cluster to {wanted} or newer, one minor version after the other",
            repair=upgrade_server(case.plan.spec.target, f"{server[0]}.{server[1] + 1}"),
        )
    else:
        yield Finding(
            check="versions",
            severity="ok",
            what=f"Kubernetes {case.facts.server_version} (the documents need {wanted})",
        )
    old: dict[str, list[Object]] = {}
    for node in case.facts.of("Node"):
        kubelet = node.get("status", {}).get("nodeInfo", {}).get("kubeletVersion", "")
        found = parse_version(kubelet)
        if found is not None and found < least:
            old.setdefault(kubelet, []).append(node)
    for kubelet, nodes in old.items():
        names = [n["metadata"]["name"] for n in nodes]
        yield Finding(
            check="versions",
            severity="warning",
            what=f"{len(names)} nodes run kubelet {kubelet}; the documents need {wanted}",
            where=_some("Node", names),
            why=f"{because}: a pod on such a node does not get it",
            advice=f"upgrade the node pool to {wanted} or newer; it cannot be newer than the API server",
            repair=upgrade_kubelets(case.plan.spec.target, nodes, wanted),
        )


def kinds(case: Case) -> Iterator[Finding]:
    """Every kind that is rendered is served; where it is not, the command that installs it."""
    commands = {p.name: p.commands for p in prerequisites(case.plan, list(case.documents))}
    good: list[str] = []
    seen: set[tuple[str, str]] = set()
    for item in case.objects:
        key = item["apiVersion"], item["kind"]
        if key in seen:
            continue
        seen.add(key)
        version, kind = key
        if f"served {version}" in case.facts.missing:
            lack = case.facts.missing[f"served {version}"]
            raise Unanswered(f"the kinds of {version}", lack)
        if kind in case.facts.served.get(version, {}):
            good.append(kind)
            continue
        name = PREREQUISITE_OF.get(kind)
        served = [
            v
            for v, there in case.facts.served.items()
            if kind in there and v.split("/")[0] == version.split("/")[0]
        ]
        yield Finding(
            check="kinds",
            severity="error",
            what=f"the cluster does not know {version} {kind}"
            + (f" (it serves {', '.join(served)})" if served else ""),
            where=f"CustomResourceDefinition of {kind}" if name else "API server",
            why=f"applying stops at the first {kind}" + (f"; {name} brings it" if name else ""),
            repair=commands.get(name or "", ()),
            advice="" if name else f"upgrade the cluster: it must serve {version}",
        )
    if good:
        yield Finding(
            check="kinds", severity="ok", what=f"all of these are served: {', '.join(sorted(set(good)))}"
        )


def adapters(case: Case) -> Iterator[Finding]:
    """The API that the HPA reads its metrics from is registered and answers."""
    needed: dict[str, str] = {}
    for _ in case.rendered("ScaledObject"):
        needed["external.metrics.k8s.io"] = "KEDA's metrics server"
    for hpa in case.rendered("HorizontalPodAutoscaler"):
        for metric in hpa["spec"].get("metrics", ()):
            group = {"External": "external", "Pods": "custom", "Object": "custom"}.get(metric["type"])
            if group:
                needed.setdefault(f"{group}.metrics.k8s.io", "a metrics adapter (prometheus-adapter)")
    if not needed:
        return
    services = case.facts.of("APIService")
    for group, who in needed.items():
        found = [s for s in services if s["spec"].get("group") == group]
        if not found:
            if who.startswith("KEDA") and "ScaledObject" not in {
                k for there in case.facts.served.values() for k in there
            }:
                continue  # `kinds` already says that KEDA is missing
            yield Finding(
                check="metrics-api",
                severity="error",
                what=f"no APIService serves {group}",
                where=f"APIService v1beta1.{group}",
                why=f"the HPA reads its metric there, from {who}; without it the number of replicas never changes",
                repair=_keda_commands(case) if who.startswith("KEDA") else (),
                advice=""
                if who.startswith("KEDA")
                else "install an adapter that serves the metric that the HPA names",
            )
        for service in found:
            condition = _condition(service, "Available")
            if condition is not None and condition.get("status") == "True":
                yield Finding(check="metrics-api", severity="ok", what=f"{group} answers ({who})")
                continue
            backend = service["spec"].get("service") or {}
            yield Finding(
                check="metrics-api",
                severity="error",
                what=f"the metrics API {group} is registered but not available",
                where=f"APIService {service['metadata']['name']}",
                why="the HPA reads its metric there; until it answers the number of replicas never changes",
                evidence=(condition or {}).get("message", ""),
                repair=(
                    (
                        f"kubectl --namespace {backend['namespace']} get service,endpointslices,pods",
                        f"kubectl --namespace {backend['namespace']} logs --selector app={backend['name']} --tail 50",
                    )
                    if backend
                    else ()
                ),
            )


def namespace(case: Case) -> Iterator[Finding]:
    """The namespace can take pods, and enforces the restricted profile that the documents ask for."""
    name = case.facts.namespace
    if "Namespace" in case.facts.missing:
        case.facts.of("Namespace")
    there = case.facts.one("Namespace", name)
    if there is None:
        yield Finding(
            check="namespace", severity="ok", what=f"namespace '{name}' does not exist yet: applying makes it"
        )
        return
    where = f"Namespace {name}"
    if there.get("status", {}).get("phase") == "Terminating":
        holding = [
            c["message"]
            for c in there["status"].get("conditions", ())
            if c.get("status") == "True" and c.get("message")
        ]
        yield Finding(
            check="namespace",
            severity="error",
            what=f"namespace '{name}' is being deleted",
            where=where,
            why="nothing can be created in it until it is gone",
            evidence=" ".join(holding),
            repair=(
                f"kubectl get namespace {name} --output jsonpath='{{.status.conditions}}'",
                f"kubectl wait --for=delete namespace/{name} --timeout=120s",
            ),
        )
        return
    wanted = next((o["metadata"].get("labels", {}).get(ENFORCE) for o in case.rendered("Namespace")), None)
    found = there["metadata"].get("labels", {}).get(ENFORCE)
    if wanted and found != wanted:
        yield Finding(
            check="namespace",
            severity="warning",
            what=f"namespace '{name}' enforces {'no PodSecurity profile' if found is None else f'PodSecurity {found}'}; "
            f"the documents ask for '{wanted}'",
            where=where,
            why="whatever else runs there may do more than the models' pods do",
            repair=(f"kubectl label --overwrite namespace {name} {ENFORCE}={wanted}",),
        )
    else:
        yield Finding(
            check="namespace",
            severity="ok",
            what=f"namespace '{name}' is active, PodSecurity {found}",
            where=where,
        )


def monitors(case: Case) -> Iterator[Finding]:
    """A `Prometheus` object, from which the operator makes a server, selects the PodMonitors that are rendered."""
    rendered = list(case.rendered("PodMonitor"))
    if not rendered or "PodMonitor" not in {k for kinds_ in case.facts.served.values() for k in kinds_}:
        return
    watchers = case.facts.of("Prometheus")
    if not watchers:
        yield Finding(
            check="monitor-selected",
            severity="warning",
            what="no object of the Prometheus operator's kind Prometheus exists",
            where="Prometheus",
            why="the operator runs no server that scrapes what a PodMonitor names; a server that was set up in another way "
            "must find the pods itself",
            repair=_commands(case, "kube-prometheus-stack"),
        )
        return
    labels_of_namespace: dict[str, str] = {"kubernetes.io/metadata.name": case.facts.namespace}
    if case.facts.known("Namespace"):
        there = case.facts.one("Namespace", case.facts.namespace)
        labels_of_namespace |= there["metadata"].get("labels", {}) if there else {}
    for monitor in rendered:
        where = f"PodMonitor {case.facts.namespace}/{monitor['metadata']['name']}"
        reasons: list[str] = []
        for watcher in watchers:
            own = watcher["metadata"]["namespace"]
            spec = watcher["spec"]
            which = f"{own}/{watcher['metadata']['name']}"
            chosen = spec.get("podMonitorSelector")
            spaces = spec.get("podMonitorNamespaceSelector")
            if chosen is None:
                reasons.append(f"{which} has no podMonitorSelector")
            elif not selects(chosen, monitor["metadata"].get("labels", {})):
                reasons.append(f"{which} selects {_selector_text(chosen)}")
            elif own != case.facts.namespace and (spaces is None or not selects(spaces, labels_of_namespace)):
                reasons.append(
                    f"{which} looks in {'its own namespace only' if spaces is None else _selector_text(spaces)}"
                )
            else:
                reasons = []
                yield Finding(
                    check="monitor-selected",
                    severity="ok",
                    what=f"the Prometheus object {which} selects {where}",
                    where=where,
                    model=model_of(monitor),
                )
                break
        if reasons:
            yield Finding(
                check="monitor-selected",
                severity="error",
                what="no Prometheus object selects the PodMonitor",
                where=where,
                model=model_of(monitor),
                why="the operator's servers never scrape the engine: the autoscaler reads 0 and status shows nothing",
                evidence="; ".join(reasons),
                advice="set observability.monitor_labels in the spec to the labels that your Prometheus object selects",
                repair=("kubectl get prometheus --all-namespaces --output yaml | grep -A4 onitorSelector",),
            )


def selects(selector: Object, labels: dict[str, str]) -> bool:
    """Say whether a label selector selects an object with `labels` (an empty selector selects everything)."""
    for key, value in (selector.get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return False
    for term in selector.get("matchExpressions") or ():
        key, operator, values = term["key"], term["operator"], term.get("values") or ()
        held = {
            "In": labels.get(key) in values,
            "NotIn": labels.get(key) not in values,
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
        }
        if not held.get(operator, False):
            return False
    return True


def _selector_text(selector: Object) -> str:
    parts = [f"{k}={v}" for k, v in (selector.get("matchLabels") or {}).items()]
    parts += [
        f"{t['key']} {t['operator']} {','.join(t.get('values') or ())}".strip()
        for t in selector.get("matchExpressions") or ()
    ]
    return " and ".join(parts) or "everything"


def _condition(item: Object, kind: str) -> Object | None:
    return next((c for c in item.get("status", {}).get("conditions", ()) if c.get("type") == kind), None)


def _commands(case: Case, name: str) -> tuple[str, ...]:
    return next((p.commands for p in prerequisites(case.plan, list(case.documents)) if p.name == name), ())


def _keda_commands(case: Case) -> tuple[str, ...]:
    return _commands(case, "KEDA")


def _some(kind: str, names: list[str], most: int = 3) -> str:
    shown = ", ".join(names[:most])
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{kind} {shown}{more}"


CHECKS: dict[str, Check] = {
    "versions": versions,
    "kinds": kinds,
    "metrics-api": adapters,
    "namespace": namespace,
    "monitor-selected": monitors,
}
