"""What a stack must hold to, as pure functions of its resources: run by `homeport preview|up` and by the policy pack.

A resource is its Pulumi type token, its name and its inputs as Pulumi sends them (camelCase): what a component registers, what
`kubectl` would apply and what CrossGuard hands to a policy look the same here.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

import msgspec

from homeport.catalog.zones import Bounds
from homeport_infra.gpu_pools import GPUS, Resource, bounded, gpu_pools, number, tainted

Enforcement = Literal["mandatory", "advisory"]
CLOUDS = ("aws", "azure", "gcp")
ZONE_OF = {"aws": ("availabilityZone",), "gcp": ("zone",)}
"""Where resources of a cloud say their zone; elsewhere a `zone` may be one of names."""


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
        yield from _gpu_nodes(resource, resources)


def _gpu_pod(name: str, spec: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for gpu in GPUS:
        asks = False
        for container in _containers(spec):
            resources = container.get("resources") or {}
            wanted, most = ((resources.get(key) or {}).get(gpu) for key in ("requests", "limits"))
            asks = asks or any(amount is not None and number(amount) != 0 for amount in (wanted, most))
            if wanted is not None and (most is None or number(most) != number(wanted)):
                yield (
                    name,
                    f"container {container.get('name')} requests {wanted} of {gpu} and is limited to {most or 'none'}",
                    f"set resources.limits['{gpu}'] to the same number",
                )
        if asks and not any(_tolerates(t, gpu) for t in spec.get("tolerations") or ()):
            yield (
                name,
                f"asks for GPUs and does not tolerate the taint {gpu}, so it lands on no tainted node",
                f"add a toleration of {gpu}",
            )


def _tolerates(toleration: Mapping[str, Any], key: str) -> bool:
    """Whether a toleration is for the taint `key` with NoSchedule; the taint's value is anybody's choice."""
    everything = toleration.get("key") in (None, "") and toleration.get("operator") == "Exists"
    return (toleration.get("key") == key or everything) and toleration.get("effect") in (
        None,
        "",
        "NoSchedule",
    )


def _gpu_nodes(resource: Resource, every: Sequence[Resource]) -> Iterator[tuple[str, str, str]]:
    for pool in gpu_pools(resource, every):
        where = f"pool {pool.name}: " if pool.name else ""
        if not tainted(pool):
            yield (
                resource.name,
                f"{where}GPU nodes without the taint {GPUS[0]}: any pod may land on them and keep them running",
                f"taint the pool with {GPUS[0]}=present:NoSchedule",
            )
        if not bounded(pool):
            yield (
                resource.name,
                f"{where}GPU nodes without an upper limit",
                "give the pool a largest number of nodes",
            )


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
        fields = ("location", "region", *ZONE_OF.get(resource.token.partition(":")[0], ()))
        place = next((found for field in fields if (found := resource.inputs.get(field))), None)
        if isinstance(place, str) and not resource.token.startswith("kubernetes:"):
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

    # Azure takes "West Europe" too, and Google's buckets EUROPE-WEST4.
    said = place.lower().replace(" ", "")
    # us-central1-a and eu-west-1b are zones; the region is the name without the letter.
    names = (said, re.sub(r"-?[a-z]$", "", said))
    found = [regions(cloud)[name] for cloud in CLOUDS for name in names if name in regions(cloud)]
    if not found:
        return f"no cloud's region is known by that name, so nothing shows that it is inside {bounds}"
    if any(bounds.allows(region) for region in found):
        return None
    return (
        f"outside {bounds}" if not any(bounds.holds(r) for r in found) else "not one of the allowed regions"
    )


def _pods(resource: Resource) -> Iterator[Mapping[str, Any]]:
    """The pods' specs in a resource that makes pods, of the kinds whose shape is known.

    A `…Patch` is a part of an object that nobody sees whole here, so nothing is said of it.
    """
    kind = resource.token.rpartition(":")[2]
    if not resource.token.startswith("kubernetes:") or kind.endswith("Patch"):
        return
    for path in PODS.get(kind, ("spec.template.spec",)):
        for found in _at(resource.inputs, path.split(".")):
            if isinstance(found, Mapping) and _is_list(found.get("containers")):
                yield found


def _at(value: Any, path: Sequence[str]) -> Iterator[Any]:
    """Everything that a path leads to; `*` is each item of a list, or each value of a mapping."""
    if not path:
        yield value
    elif path[0] == "*":
        for one in value.values() if isinstance(value, Mapping) else value if _is_list(value) else ():
            yield from _at(one, path[1:])
    elif isinstance(value, Mapping) and path[0] in value:
        yield from _at(value[path[0]], path[1:])


def _is_list(value: Any) -> bool:
    """CrossGuard hands lists over in a class of its own, which raises where a value is not known yet."""
    return isinstance(value, Sequence) and not isinstance(value, str)


_RAY = ("headGroupSpec.template.spec", "workerGroupSpecs.*.template.spec")

# Kind -> where its pods' specs are. Not named here: in spec.template.spec, as in a Deployment, a Job, an Argo Rollout or a
# Knative Service, or nowhere.
PODS: dict[str, tuple[str, ...]] = {
    "Pod": ("spec",),
    "PodTemplate": ("template.spec",),
    "CronJob": ("spec.jobTemplate.spec.template.spec",),
    "ScaledJob": ("spec.jobTargetRef.template.spec",),
    "LeaderWorkerSet": (
        "spec.leaderWorkerTemplate.leaderTemplate.spec",
        "spec.leaderWorkerTemplate.workerTemplate.spec",
    ),
    "JobSet": ("spec.replicatedJobs.*.template.spec.template.spec",),
    "RayCluster": tuple(f"spec.{path}" for path in _RAY),
    "RayJob": tuple(f"spec.rayClusterSpec.{path}" for path in _RAY),
    "RayService": tuple(f"spec.rayClusterConfig.{path}" for path in _RAY),
    "InferenceService": ("spec.*",),
    "PyTorchJob": ("spec.pytorchReplicaSpecs.*.template.spec",),
}


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
