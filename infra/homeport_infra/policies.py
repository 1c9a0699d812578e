"""What a stack must hold to, as pure functions of its resources: run by `homeport preview|up` and by the policy pack.

A resource is its Pulumi type token, its name and its inputs as Pulumi sends them (camelCase): what a component registers, what
`kubectl` would apply and what CrossGuard hands to a policy look the same here.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

import msgspec

from homeport.catalog.zones import Bounds

Enforcement = Literal["mandatory", "advisory"]
GPU = "nvidia.com/gpu"
CLOUDS = ("aws", "azure", "gcp")


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """One resource: its type token (`kubernetes:apps/v1:Deployment`), its name and its inputs."""

    token: str
    name: str
    inputs: Mapping[str, Any]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What the policies compare with.

    `usd_per_month` and `at_least` are the stack's bill (None: unknown), `budget` the most that it may be (None: no limit).
    `bounds` are where the spec lets a deployment be, `region` is where this one is (None: a cluster of one's own, which no
    policy can place).
    """

    usd_per_month: Decimal | None = None
    at_least: bool = False
    budget: Decimal | None = None
    bounds: Bounds = Bounds(zones=(), regions=())
    region: str | None = None


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """A policy that does not hold: which, on which resource ("" for the whole stack), why, and what to do."""

    policy: str
    enforcement: Enforcement
    resource: str
    message: str
    help: str


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """One policy. `check` yields (resource, message, help) for what does not hold."""

    name: str
    description: str
    enforcement: Enforcement
    check: Callable[[Sequence[Resource], Limits], Iterator[tuple[str, str, str]]]


def check(resources: Sequence[Resource], limits: Limits) -> list[Violation]:
    """Hold all policies against the resources of a stack; the mandatory ones first."""
    found = [
        Violation(policy=p.name, enforcement=p.enforcement, resource=name, message=message, help=advice)
        for p in POLICIES
        for name, message, advice in p.check(resources, limits)
    ]
    return sorted(found, key=lambda v: v.enforcement != "mandatory")


def budget(_resources: Sequence[Resource], limits: Limits) -> Iterator[tuple[str, str, str]]:
    """A month costs no more than the budget; an unknown cost is no breach, "at least" more than the budget is one."""
    if limits.budget is None or limits.usd_per_month is None or limits.usd_per_month <= limits.budget:
        return
    least = "at least " if limits.at_least else ""
    yield (
        "",
        f"a month costs {least}${limits.usd_per_month:,.2f}, ${limits.usd_per_month - limits.budget:,.2f} more than the "
        f"budget of ${limits.budget:,.2f}",
        "raise budget.usd_per_month, or ask `homeport plan --explain` for what is cheaper",
    )


def gpu_needs_taint_and_limit(
    resources: Sequence[Resource], _limits: Limits
) -> Iterator[tuple[str, str, str]]:
    """A pool of GPU nodes is tainted and bounded; a pod that asks for GPUs tolerates the taint and limits what it asks for."""
    for resource in resources:
        for template in _pods(resource):
            yield from _gpu_pod(resource.name, template)
        if pool := POOLS.get(resource.token):
            yield from pool(resource)


def _gpu_pod(name: str, spec: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    asks = False
    for container in _containers(spec):
        resources = container.get("resources") or {}
        wanted, most = ((resources.get(key) or {}).get(GPU) for key in ("requests", "limits"))
        asks = asks or wanted is not None or most is not None
        if wanted is not None and str(most) != str(wanted):
            yield (
                name,
                f"container {container.get('name')} requests {wanted} of {GPU} and is limited to {most or 'none'}",
                f"set resources.limits['{GPU}'] to the same number",
            )
    tolerated = any(
        t.get("key") in (GPU, None) and t.get("operator", "Equal") in ("Exists", "Equal")
        for t in spec.get("tolerations") or []
    )
    if asks and not tolerated:
        yield (
            name,
            f"asks for GPUs and does not tolerate the taint {GPU}, so it lands on no tainted node",
            f"add a toleration of {GPU}",
        )


def _taints(name: str, taints: Iterable[Any], most: Any) -> Iterator[tuple[str, str, str]]:
    # PreferNoSchedule (PREFER_NO_SCHEDULE on GKE) keeps nothing away
    if not any(GPU in str(taint) and "prefer" not in str(taint).lower() for taint in taints):
        yield (
            name,
            f"GPU nodes without the taint {GPU}: any pod may land on them and keep them running",
            f"taint the pool with {GPU}=present:NoSchedule",
        )
    if not isinstance(most, int | float) or most <= 0:
        yield (name, "GPU nodes without an upper limit", "give the pool a largest number of nodes")


def _gke(resource: Resource) -> Iterator[tuple[str, str, str]]:
    config, scaling = resource.inputs.get("nodeConfig") or {}, resource.inputs.get("autoscaling") or {}
    # A machine type may bring its GPUs with it, without a word of accelerators.
    if config.get("guestAccelerators") or _has_gpus("gcp", str(config.get("machineType"))):
        most = (
            scaling.get("totalMaxNodeCount")
            or scaling.get("maxNodeCount")
            or resource.inputs.get("nodeCount")
        )
        yield from _taints(resource.name, config.get("taints") or [], most)


def _eks(resource: Resource) -> Iterator[tuple[str, str, str]]:
    types = resource.inputs.get("instanceTypes") or []
    if any(_has_gpus("aws", str(kind)) for kind in types):
        most = (resource.inputs.get("scalingConfig") or {}).get("maxSize")
        yield from _taints(resource.name, resource.inputs.get("taints") or [], most)


def _aks(resource: Resource) -> Iterator[tuple[str, str, str]]:
    if _has_gpus("azure", str(resource.inputs.get("vmSize"))):
        most = resource.inputs.get("maxCount") or resource.inputs.get("count")
        yield from _taints(resource.name, resource.inputs.get("nodeTaints") or [], most)


def _karpenter(resource: Resource) -> Iterator[tuple[str, str, str]]:
    spec = resource.inputs.get("spec") or {}
    template = (spec.get("template") or {}).get("spec") or {}
    requirements = template.get("requirements") or []
    types = [kind for one in requirements for kind in one.get("values") or []]
    with_gpus = any(_has_gpus(cloud, str(kind)) for kind in types for cloud in ("aws", "azure"))
    if with_gpus or "gpu" in str(requirements) or GPU in str(template.get("taints") or []):
        limit = str((spec.get("limits") or {}).get(GPU))
        most = int(limit) if limit.isdigit() else None
        yield from _taints(resource.name, template.get("taints") or [], most)


def _has_gpus(cloud: str, kind: str) -> bool:
    from homeport.catalog.prices import instances

    return any(row.instance_type.lower() == kind.lower() and row.gpu != "CPU" for row in instances(cloud))


POOLS: dict[str, Callable[[Resource], Iterator[tuple[str, str, str]]]] = {
    "gcp:container/nodePool:NodePool": _gke,
    "aws:eks/nodeGroup:NodeGroup": _eks,
    "azure-native:containerservice:AgentPool": _aks,
    "kubernetes:karpenter.sh/v1:NodePool": _karpenter,
}


def no_latest_image(resources: Sequence[Resource], _limits: Limits) -> Iterator[tuple[str, str, str]]:
    """An image has a tag other than `latest`, or a digest: the same tomorrow as today."""
    for resource in resources:
        for template in _pods(resource):
            for what, image, field in _images(template):
                name, digest = image.partition("@")[::2]
                tag = name.rpartition("/")[2].partition(":")[2]
                if not digest and tag in ("", "latest"):
                    yield (
                        resource.name,
                        f"{what} '{image}', which may be another image tomorrow",
                        f"name a version or a digest ({field})",
                    )


def _images(spec: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """The images of a pod: who takes it, the image, and the spec's field that names it."""
    for container in _containers(spec):
        yield f"container {container.get('name')} runs", str(container.get("image", "")), "models[].image"
    for volume in spec.get("volumes") or []:
        if source := volume.get("image"):
            yield (
                f"volume {volume.get('name')} mounts",
                str(source.get("reference", "")),
                "models[].weights.image",
            )


def residency(resources: Sequence[Resource], limits: Limits) -> Iterator[tuple[str, str, str]]:
    """Nothing is placed where `compliance` does not let the data be: the spec's region, and each resource's own."""
    places = [("", limits.region)] if limits.region else []
    for resource in resources:
        place = resource.inputs.get("location") or resource.inputs.get("region")
        if isinstance(place, str) and place and not resource.token.startswith("kubernetes:"):
            places.append((resource.name, place))
    for name, place in places:
        reason = _outside(place, limits.bounds)
        if reason:
            yield (name, f"lies in {place}: {reason}", "choose a region inside compliance.residency")


def _outside(place: str, bounds: Bounds) -> str | None:
    """Why `bounds` forbid a region or a zone of one; None where they do not, or where nothing is bounded."""
    if not bounds:
        return None
    from homeport.catalog.regions import regions

    # us-central1-a and eu-west-1b are zones; the region is the name without the letter.
    names = (place, re.sub(r"-?[a-z]$", "", place))
    found = [regions(cloud)[name] for cloud in CLOUDS for name in names if name in regions(cloud)]
    if not found:
        return f"no cloud's region is known by that name, so nothing shows that it is inside {bounds}"
    if any(bounds.allows(region) for region in found):
        return None
    return (
        f"outside {bounds}" if not any(bounds.holds(r) for r in found) else "not one of the allowed regions"
    )


def _pods(resource: Resource) -> Iterator[Mapping[str, Any]]:
    """The pods' specs in a resource that makes pods (a LeaderWorkerSet has two)."""
    if not resource.token.startswith("kubernetes:"):
        return
    kind, spec = resource.token.rpartition(":")[2], resource.inputs.get("spec") or {}
    if kind == "LeaderWorkerSet":
        group = spec.get("leaderWorkerTemplate") or {}
        templates = [group.get(part) for part in ("leaderTemplate", "workerTemplate")]
    elif kind == "CronJob":
        templates = [((spec.get("jobTemplate") or {}).get("spec") or {}).get("template")]
    else:
        templates = [{"spec": spec} if kind == "Pod" else spec.get("template")]
    for template in templates:
        found = template.get("spec") if isinstance(template, Mapping) else None
        if isinstance(found, Mapping) and "containers" in found:
            yield found


def _containers(spec: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for key in ("initContainers", "containers"):
        yield from spec.get(key) or []


POLICIES: tuple[Policy, ...] = (
    Policy(
        name="budget",
        description="A month costs no more than the spec's budget.usd_per_month",
        enforcement="mandatory",
        check=budget,
    ),
    Policy(
        name="gpu-needs-taint-and-limit",
        description="GPU nodes are tainted and bounded; pods that ask for GPUs tolerate the taint and limit them",
        enforcement="mandatory",
        check=gpu_needs_taint_and_limit,
    ),
    Policy(
        name="no-latest-image",
        description="No image without a version",
        enforcement="mandatory",
        check=no_latest_image,
    ),
    Policy(
        name="residency",
        description="Nothing lies outside of the spec's compliance.residency and allowed_regions",
        enforcement="mandatory",
        check=residency,
    ),
)
