"""Whether the nodes can take the pods: selection, taints, GPUs, room, drivers."""

import re
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation

import msgspec

from homeport.catalog.types import Instance
from homeport.cluster.doctor_pools import newer_driver
from homeport.cluster.doctor_types import Case, Check, Finding, Object, model_of, pod_specs
from homeport.manifests.prerequisites import prerequisites
from homeport.manifests.provisioning import GKE_ACCELERATORS
from homeport.planning.types import ModelPlan

_SUFFIX = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
}

DRIVER_LABELS = ("nvidia.com/cuda.driver-version.major", "nvidia.com/cuda.driver.major")
"""Labels of GPU feature discovery, the newer first."""


def quantity(text: object) -> Decimal:
    """A Kubernetes quantity (`500m`, `44Gi`, `1e3`) as a number. Raises ValueError for anything else."""
    found = re.fullmatch(r"([+-]?[0-9.]+(?:[eE][+-]?\d+)?)([a-zA-Z]{0,2})", str(text))
    if found is None or found[2] not in _SUFFIX:
        raise ValueError(f"no quantity: {text}")
    try:
        return Decimal(found[1]) * _SUFFIX[found[2]]
    except InvalidOperation:
        raise ValueError(f"no quantity: {text}") from None


def requests(spec: Object) -> dict[str, Decimal]:
    """What the scheduler counts for a pod: its containers together, or the largest init container (sidecars add up)."""
    total: dict[str, Decimal] = {}
    for container in spec.get("containers", ()):
        for name, amount in _asked(container).items():
            total[name] = total.get(name, Decimal(0)) + amount
    largest: dict[str, Decimal] = {}
    for container in spec.get("initContainers", ()):
        asked = _asked(container)
        for name, amount in asked.items():
            if container.get("restartPolicy") == "Always":
                total[name] = total.get(name, Decimal(0)) + amount
            else:
                largest[name] = max(largest.get(name, Decimal(0)), amount)
    for name, amount in largest.items():
        total[name] = max(total.get(name, Decimal(0)), amount)
    return total


def _asked(container: Object) -> dict[str, Decimal]:
    resources = container.get("resources", {})
    named = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return {name: quantity(amount) for name, amount in named.items()}


class Room(msgspec.Struct, kw_only=True):
    """One node: what it has left. Changed while pods are placed on it."""

    node: Object
    free: dict[str, Decimal]

    def fits(self, asked: dict[str, Decimal]) -> bool:
        """Say whether a pod still fits."""
        return all(self.free.get(name, Decimal(0)) >= amount for name, amount in asked.items())

    def place(self, asked: dict[str, Decimal]) -> None:
        """Take what a pod asks for."""
        for name, amount in asked.items():
            self.free[name] = self.free.get(name, Decimal(0)) - amount


def rooms(case: Case, ours: set[str]) -> list[Room]:
    """The nodes with what pods of others leave of them (`ours`: models whose pods do not count)."""
    made = {
        node["metadata"]["name"]: Room(
            node=node,
            free={k: quantity(v) for k, v in (node.get("status", {}).get("allocatable") or {}).items()},
        )
        for node in case.facts.of("Node")
    }
    for pod in case.facts.of("pods_anywhere"):
        room = made.get(pod["spec"].get("nodeName", ""))
        if room is None or pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            continue
        own = pod["metadata"].get("namespace") == case.facts.namespace and model_of(pod) in ours
        if not own:
            room.place({**requests(pod["spec"]), "pods": Decimal(1)})
    return list(made.values())


def obstacles(node: Object, spec: Object, asked: dict[str, Decimal]) -> list[str]:
    """Why a node can never take a pod, whatever runs on it, in the order in which the scheduler looks."""
    found = []
    labels = node["metadata"].get("labels", {})
    terms = (
        spec.get("affinity", {})
        .get("nodeAffinity", {})
        .get("requiredDuringSchedulingIgnoredDuringExecution", {})
        .get("nodeSelectorTerms", [])
    )
    chosen = spec.get("nodeSelector") or {}
    if any(labels.get(key) != value for key, value in chosen.items()):
        found.append("have " + ", ".join(f"{key}={labels.get(key, '(not set)')}" for key in chosen))
    if terms and not any(_term(labels, term) for term in terms):
        keys = dict.fromkeys(e["key"] for term in terms for e in term.get("matchExpressions", ()))
        found.append("have " + ", ".join(f"{key}={labels.get(key, '(not set)')}" for key in keys))
    for taint in node["spec"].get("taints") or ():
        if taint["effect"] != "PreferNoSchedule" and not any(
            _tolerates(t, taint) for t in spec.get("tolerations", ())
        ):
            value = f"={taint['value']}" if taint.get("value") else ""
            found.append(f"carry the taint {taint['key']}{value}:{taint['effect']}")
    allocatable = node.get("status", {}).get("allocatable") or {}
    for name, amount in asked.items():
        if name == "pods":
            continue
        has = quantity(allocatable.get(name, 0))
        if has < amount:
            found.append(f"offer {_amount(name, has)} {name} of the {_amount(name, amount)} asked for")
    return found


def _term(labels: dict[str, str], term: Object) -> bool:
    return all(
        labels.get(e["key"]) in e["values"] if e["operator"] == "In" else False
        for e in term.get("matchExpressions", ())
    )


def _tolerates(toleration: Object, taint: Object) -> bool:
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if toleration.get("key") not in (None, "", taint["key"]):
        return False
    return toleration.get("operator") == "Exists" or toleration.get("value", "") == taint.get("value", "")


def _amount(name: str, amount: Decimal) -> str:
    if name in ("memory", "ephemeral-storage") or name.startswith("hugepages"):
        return f"{float(amount) / 2**30:.0f} GiB"
    return f"{float(amount):g}"


def room(case: Case) -> Iterator[Finding]:
    """The nodes take as many pods as are planned, and say what about the others is in the way."""
    models = {m.spec.name: m for m in case.plan.models}
    left = rooms(case, set(models))
    growing = autoscaled(case)
    workloads: dict[str, list[tuple[Object, Object]]] = {}
    for item, spec in pod_specs(case.objects):
        if item["kind"] != "Job":
            workloads.setdefault(model_of(item) or "", []).append((item, spec))
    for name, parts in workloads.items():
        if name in models:
            yield from _room_of(case, models[name], parts, left, growing)


def _room_of(
    case: Case, model: ModelPlan, parts: list[tuple[Object, Object]], left: list[Room], growing: str | None
) -> Iterator[Finding]:
    item, spec = parts[0]
    asked = {**requests(spec), "pods": Decimal(1)}
    usable = [r for r in left if not obstacles(r.node, spec, asked)]
    where = f"{item['kind']} {case.facts.namespace}/{item['metadata']['name']}"
    pod = ", ".join(f"{_amount(n, a)} {n}" for n, a in asked.items() if n != "pods")
    if not usable:
        yield Finding(
            check="nodes",
            severity="warning" if growing else "error",
            what=(
                f"none of the {len(left)} nodes can ever take" if left else "the cluster has no nodes to take"
            )
            + f" a pod of {model.spec.name} ({pod})",
            where=where,
            model=model.spec.name,
            why=f"the pods wait for a node that {growing} makes" if growing else "the pods stay Pending",
            evidence="; ".join(_in_the_way(left, spec, asked)),
            advice=_advice(case, model, left),
            repair=_more_nodes(case, model, left, spec, asked),
        )
        return
    able = [r for r in usable if _ready(r.node)]
    pods_each = max(1, model.nodes_per_replica)
    placed = _fill(able, asked, model.replicas_planned * pods_each)
    extra = _fill(able, asked, max(0, model.replicas_max - model.replicas_planned) * pods_each, keep=False)
    planned = model.replicas_planned * pods_each
    if placed < planned:
        faulty = [r.node["metadata"]["name"] for r in usable if not _ready(r.node)]
        yield Finding(
            check="nodes",
            severity="warning" if growing else "error",
            what=f"room for {placed} of the {planned} pods that {model.spec.name} plans ({pod} each)",
            where=where,
            model=model.spec.name,
            why=f"the others wait for a node that {growing} makes" if growing else "the others stay Pending",
            evidence=f"{len(usable)} nodes are of the right kind"
            + (f", of which not ready or cordoned: {', '.join(faulty)}" if faulty else "")
            + ", and other pods hold the rest of them",
            repair=(
                "kubectl get pods --all-namespaces --output wide",
                *_more_nodes(case, model, left, spec, asked),
            ),
        )
    elif placed + extra < model.replicas_max * pods_each:
        most = (placed + extra) // pods_each
        yield Finding(
            check="nodes",
            severity="ok" if growing else "warning",
            what=f"room for {most} replica{'' if most == 1 else 's'} of {model.spec.name}: enough for the {model.replicas_planned} planned, "
            f"not for the {model.replicas_max} that the autoscaler may ask for",
            where=where,
            model=model.spec.name,
            why=f"the others wait for a node that {growing} makes" if growing else "the others stay Pending",
            repair=() if growing else _more_nodes(case, model, left, spec, asked),
        )
    else:
        yield Finding(
            check="nodes",
            severity="ok",
            what=f"room for the {_pods(model.replicas_max * pods_each)} that {model.spec.name} may have ({pod} each)",
            where=where,
            model=model.spec.name,
        )


def _pods(count: int) -> str:
    return "1 pod" if count == 1 else f"{count} pods"


def _fill(able: list[Room], asked: dict[str, Decimal], wanted: int, *, keep: bool = True) -> int:
    """How many of `wanted` pods the nodes still take; `keep` leaves them there."""
    rooms_ = able if keep else [Room(node=r.node, free=dict(r.free)) for r in able]
    placed = 0
    for one in rooms_:
        while placed < wanted and one.fits(asked):
            one.place(asked)
            placed += 1
    return placed


def _ready(node: Object) -> bool:
    if node["spec"].get("unschedulable"):
        return False
    conditions = node.get("status", {}).get("conditions", ())
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _in_the_way(left: list[Room], spec: Object, asked: dict[str, Decimal]) -> list[str]:
    """The first obstacle of each node, counted."""
    reasons = Counter(found[0] for r in left if (found := obstacles(r.node, spec, asked)))
    return [
        f"{count} {reason if count > 1 else _singular(reason)}" for reason, count in reasons.most_common(5)
    ]


def _singular(reason: str) -> str:
    verb, rest = reason.split(" ", 1)
    return f"{ {'have': 'has', 'carry': 'carries', 'offer': 'offers'}[verb] } {rest}"


def _nearly(left: list[Room], spec: Object, asked: dict[str, Decimal], verb: str) -> list[Object]:
    """Nodes whose only obstacles begin with `verb`."""
    return [
        r.node
        for r in left
        if (found := obstacles(r.node, spec, asked)) and all(f.startswith(verb) for f in found)
    ]


def _advice(case: Case, model: ModelPlan, left: list[Room]) -> str:
    if model.gpu is None:
        return ""
    resource = model.gpu.kubernetes_resource
    if not any(resource in (r.node.get("status", {}).get("allocatable") or {}) for r in left):
        return f"no node offers {resource}: a GPU node pool, or its device plugin, is missing"
    if case.plan.spec.target.platform in ("generic", "kind", "minikube"):
        label = "nvidia.com/gpu.product"
        there = sorted({r.node["metadata"].get("labels", {}).get(label, "") for r in left} - {""})
        if there:
            return f"the GPUs here are: {', '.join(there)}; plan for one of them (field gpu), or add nodes"
    return ""


def _accelerator(instance: Instance) -> str:
    """What gcloud has to be told of a machine type's GPUs, so that GKE installs their driver."""
    name = GKE_ACCELERATORS.get(instance.instance_type) or GKE_ACCELERATORS.get(instance.gpu)
    if name is None:
        return ""
    return f"--accelerator type={name},count={instance.gpu_count:g},gpu-driver-version=latest "


def _more_nodes(
    case: Case, model: ModelPlan, left: list[Room], spec: Object, asked: dict[str, Decimal]
) -> tuple[str, ...]:
    """The command that adds what is missing: the device plugin, a toleration's taint, or a node pool."""
    tainted = _nearly(left, spec, asked, "carry")
    if tainted:
        node = tainted[0]
        taint = next(
            t
            for t in node["spec"]["taints"]
            if t["effect"] != "PreferNoSchedule"
            and not any(_tolerates(o, t) for o in spec.get("tolerations", ()))
        )
        return (f"kubectl taint node {node['metadata']['name']} {taint['key']}:{taint['effect']}-",)
    if model.gpu is not None:
        bare = [
            node
            for node in _nearly(left, spec, asked, "offer")
            if model.gpu.kubernetes_resource not in node.get("status", {}).get("allocatable", {})
        ]
        operator = next(
            (p for p in prerequisites(case.plan, list(case.documents)) if p.name == "NVIDIA GPU operator"),
            None,
        )
        if bare and operator is not None:
            return operator.commands
    instance = model.nodes.instance if model.nodes else None
    region = (model.nodes.region if model.nodes else None) or "REGION"
    count = max(1, model.node_count)
    platform = case.plan.spec.target.platform
    if instance is None or platform not in ("gke", "eks", "aks"):
        return ()
    kind = instance.instance_type
    pool = re.sub(r"[^a-z0-9]", "", model.spec.name.lower())[:10] or "gpu"
    return {
        "gke": (
            f"gcloud container node-pools create {pool} --cluster CLUSTER --region {region} --machine-type {kind} "
            f"{_accelerator(instance)}--num-nodes {count}",
        ),
        "eks": (
            f"eksctl create nodegroup --cluster CLUSTER --region {region} --name {pool} --node-type {kind} "
            f"--nodes {count}",
        ),
        "aks": (
            f"az aks nodepool add --resource-group GROUP --cluster-name CLUSTER --name {pool} --node-vm-size {kind} "
            f"--node-count {count} --node-taints sku=gpu:NoSchedule",
        ),
    }[platform]


def autoscaled(case: Case) -> str | None:
    """What makes nodes for pods that wait (None: nothing that shows)."""
    for version in ("karpenter.sh/v1", "karpenter.sh/v1beta1"):
        if "NodePool" in case.facts.served.get(version, {}):
            return "Karpenter"
    if case.facts.known("autoscaler_status") and case.facts.of("autoscaler_status"):
        return "the cluster autoscaler"
    return None


def drivers(case: Case) -> Iterator[Finding]:
    """The driver on GPU nodes is new enough for the engine's image, where feature discovery tells it."""
    for model in case.plan.models:
        least = re.search(r"\d+", model.engine.needs_driver or "")
        if model.gpu is None or least is None:
            continue
        resource = model.gpu.kubernetes_resource
        old: dict[int, list[Object]] = {}
        for node in case.facts.of("Node"):
            labels = node["metadata"].get("labels", {})
            major = next((labels[k] for k in DRIVER_LABELS if k in labels), "")
            offers = resource in (node.get("status", {}).get("allocatable") or {})
            if offers and major.isdigit() and int(major) < int(least[0]):
                old.setdefault(int(major), []).append(node)
        for major, nodes in old.items():
            names = [n["metadata"]["name"] for n in nodes]
            yield Finding(
                check="gpu-driver",
                severity="error",
                what=f"{len(names)} nodes have the NVIDIA driver {major}; {model.image} needs {model.engine.needs_driver}",
                where=f"Node {', '.join(names[:3])}",
                model=model.spec.name,
                why="the engine ends at once with 'driver too old'",
                advice="upgrade the driver, or set image to the build for older drivers"
                + (f": {model.engine.other_images['cu129']}" if "cu129" in model.engine.other_images else ""),
                repair=newer_driver(case.plan.spec.target, nodes, DRIVER_LABELS[0]),
            )


CHECKS: dict[str, Check] = {"nodes": room, "gpu-driver": drivers}
