"""The pools of GPU nodes that a stack's resources hold, with their taints and limits, as far as the inputs tell.

What they do not tell stays silent: nodes of Auto Scaling groups, whose taints are in a script; pools that a cluster makes by
itself (GKE's auto-created ones, which GKE taints); an EKS group whose launch template another stack holds.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

GPUS = ("nvidia.com/gpu", "amd.com/gpu")
"""What pods ask for, and the keys of the taints that keep other pods away."""

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""What Pulumi's engine writes for a value that is not known before something else is made."""

# The clouds' names of machines with GPUs, by series: AWS' G and P, Google's A and G, Azure's NC, ND and NV.
SERIES = {
    "aws": re.compile(r"(g|gr|p)\d+[a-z]*(-[a-z0-9]+)?\.", re.IGNORECASE),
    "gcp": re.compile(r"(a[2-9]x?|g[2-9])-", re.IGNORECASE),
    "azure": re.compile(r"standard_n[cdv]", re.IGNORECASE),
}
CATEGORIES = ("g", "gr", "p")
"""AWS' categories of instances with GPUs, as Karpenter labels them."""

LAUNCH_TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """One resource: its type token (`kubernetes:apps/v1:Deployment`), its name and its inputs; `id` "": not made yet."""

    token: str
    name: str
    inputs: Mapping[str, Any]
    id: str = ""


class GpuPool(msgspec.Struct, frozen=True, kw_only=True):
    """Nodes with GPUs. `name` is the pool's within its resource ("": the resource is the pool).

    `taints` are as the cloud writes them, `most` the largest number of nodes or GPUs (None: no limit). UNKNOWN stands for
    either where the engine does not know it yet.
    """

    name: str = ""
    taints: Any = ()
    most: Any = None


def gpu_pools(resource: Resource, every: Sequence[Resource]) -> Iterator[GpuPool]:
    """The pools of GPU nodes in one resource; `every` are all resources of its stack that are at hand."""
    # azure-native names an API version in the tokens of other versions: containerservice/v20250801:AgentPool
    token = re.sub(r"^(azure-native:\w+)/v\w+:", r"\1:", resource.token)
    if token == "aws:eks/nodeGroup:NodeGroup":
        yield from _eks(resource.inputs, every)
    elif found := POOLS.get(token):
        yield from found(resource.inputs)


def has_gpus(cloud: str, kind: Any) -> bool:
    """Whether a cloud's machine type has GPUs, by its series."""
    return isinstance(kind, str) and SERIES[cloud].match(kind) is not None


def number(amount: Any) -> float | None:
    """A count as a number: Kubernetes takes texts, CrossGuard hands over floats; None for anything else."""
    try:
        return float(amount)
    except (TypeError, ValueError):
        return None


def _gke(pool: Mapping[str, Any]) -> Iterator[GpuPool]:
    config, scaling = pool.get("nodeConfig") or {}, pool.get("autoscaling") or {}
    # A machine type may bring its GPUs with it, without a word of accelerators.
    if config.get("guestAccelerators") or has_gpus("gcp", config.get("machineType")):
        fixed = None if scaling else pool.get("nodeCount") or pool.get("initialNodeCount")
        most = scaling.get("totalMaxNodeCount") or scaling.get("maxNodeCount") or fixed
        yield GpuPool(taints=config.get("taints"), most=most)


def _gke_cluster(cluster: Mapping[str, Any]) -> Iterator[GpuPool]:
    if cluster.get("nodeConfig") and not cluster.get("removeDefaultNodePool"):
        count = cluster.get("initialNodeCount")
        for pool in _gke({"nodeConfig": cluster["nodeConfig"], "initialNodeCount": count}):
            yield msgspec.structs.replace(pool, name="default-pool")
    for one in cluster.get("nodePools") or ():
        for pool in _gke(one):
            yield msgspec.structs.replace(pool, name=str(one.get("name") or "without a name"))


def _eks(group: Mapping[str, Any], every: Sequence[Resource]) -> Iterator[GpuPool]:
    # An image with NVIDIA's driver tells as much as an instance type; the type may stand in the launch template.
    kinds = [*(group.get("instanceTypes") or ()), *_of_template(group.get("launchTemplate") or {}, every)]
    image = str(group.get("amiType") or "")
    if any(has_gpus("aws", kind) for kind in kinds) or image.endswith(("_NVIDIA", "_GPU")):
        most = (group.get("scalingConfig") or {}).get("maxSize")
        yield GpuPool(taints=group.get("taints"), most=most)


def _of_template(named: Mapping[str, Any], every: Sequence[Resource]) -> list[Any]:
    """The instance type of the launch template that a group names by name or id, where it is certain which one that is."""
    templates = [one for one in every if one.token == LAUNCH_TEMPLATE]
    name, known = named.get("name"), named.get("id")
    if name and name != UNKNOWN:
        found = [one for one in templates if one.inputs.get("name") == name]
    elif known and known != UNKNOWN:
        found = [one for one in templates if one.id == known]
    else:  # one that is still to be made: certain where there is only one of those
        found = [one for one in templates if not one.id] if named else []
    return [found[0].inputs.get("instanceType")] if len(found) == 1 else []


def _aks(pool: Mapping[str, Any]) -> Iterator[GpuPool]:
    machines = ((pool.get("virtualMachinesProfile") or {}).get("scale") or {}).get("manual") or ()
    if any(has_gpus("azure", kind) for kind in (pool.get("vmSize"), *(one.get("size") for one in machines))):
        most = pool.get("maxCount") or pool.get("count") or sum(one.get("count") or 0 for one in machines)
        yield GpuPool(taints=pool.get("nodeTaints"), most=most)


def _aks_cluster(cluster: Mapping[str, Any]) -> Iterator[GpuPool]:
    for one in cluster.get("agentPoolProfiles") or ():
        for pool in _aks(one):
            yield msgspec.structs.replace(pool, name=str(one.get("name") or "without a name"))


def _karpenter(pool: Mapping[str, Any]) -> Iterator[GpuPool]:
    spec = pool.get("spec") or {}
    template = (spec.get("template") or {}).get("spec") or {}
    taints = template.get("taints")
    if any(map(_asks_for_gpus, template.get("requirements") or ())) or _keeps_away(taints or ()):
        limits = spec.get("limits") or {}
        found = [limits[key] for key in (*GPUS, "nodes") if key in limits]
        yield GpuPool(taints=taints, most=number(found[0]) if found else None)


def _asks_for_gpus(requirement: Mapping[str, Any]) -> bool:
    """Whether a requirement of a Karpenter NodePool is met by nodes with GPUs only (instance types: by some of them)."""
    key, values = str(requirement.get("key")), [str(v) for v in requirement.get("values") or ()]
    if "gpu" in key:
        return requirement.get("operator", "In") in ("In", "Exists", "Gt", "Gte")
    if requirement.get("operator", "In") != "In" or not values:
        return False
    if key == "node.kubernetes.io/instance-type":
        return any(has_gpus(cloud, value) for value in values for cloud in ("aws", "azure"))
    if key == "karpenter.k8s.aws/instance-family":
        return all(has_gpus("aws", f"{value}.") for value in values)
    if key == "karpenter.k8s.aws/instance-category":
        return all(value in CATEGORIES for value in values)
    return key == "karpenter.azure.com/sku-family" and values == ["N"]


def _keeps_away(taints: Iterable[Any]) -> bool:
    """Whether one of the taints is a GPU's; PreferNoSchedule (PREFER_NO_SCHEDULE on GKE) keeps nothing away."""
    for taint in taints:
        if isinstance(taint, Mapping):
            key, effect = taint.get("key"), str(taint.get("effect"))
        else:  # Azure's way to write it: key=value:effect
            key, _, effect = str(taint).partition("=")
        if key in GPUS and "prefer" not in effect.lower():
            return True
    return False


def tainted(pool: GpuPool) -> bool:
    """Whether a taint keeps pods without GPUs away, or nobody knows yet."""
    if pool.taints == UNKNOWN:
        return True
    return _keeps_away(pool.taints or ())


def bounded(pool: GpuPool) -> bool:
    """Whether the pool ends somewhere, or nobody knows yet."""
    return pool.most == UNKNOWN or (isinstance(pool.most, int | float) and pool.most > 0)


POOLS: dict[str, Callable[[Mapping[str, Any]], Iterator[GpuPool]]] = {
    "gcp:container/nodePool:NodePool": _gke,
    "gcp:container/cluster:Cluster": _gke_cluster,
    "azure-native:containerservice:AgentPool": _aks,
    "azure-native:containerservice:ManagedCluster": _aks_cluster,
    "kubernetes:karpenter.sh/v1:NodePool": _karpenter,
}
