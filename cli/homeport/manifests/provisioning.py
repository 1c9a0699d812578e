"""Objects that let a cluster make its own GPU nodes: Karpenter's NodePool with its class, and GKE's ComputeClass.

The schemas of Karpenter's kinds are those of its CRDs. GKE publishes no CRD of ComputeClass: its schema is written down
from Google's reference ("ComputeClass" in the GKE documentation), the fields that are rendered here only.
"""

import hashlib
import re
from collections.abc import Iterator

from homeport.errors import Problem, SpecError
from homeport.manifests import disks, naming, pods, weights
from homeport.manifests.targets import COMPUTE_CLASS, Platform, platform
from homeport.manifests.values import Meta, Toleration, Value
from homeport.planning import pools
from homeport.planning.hardware import region_of
from homeport.planning.types import Plan, Pool

NODES = "nodes"
"""The component that these objects belong to."""

LONGEST_LABEL = 63
"""Characters of a label's value, at most."""

IDLE_S = 600
"""Seconds that a node stays without pods: long enough for a replica that is moved or restarted."""

# What Google's API calls the accelerators of its machine types; a machine type's own name counts first.
GKE_ACCELERATORS = {
    "a3-megagpu-8g": "nvidia-h100-mega-80gb",
    "H100-SXM-80GB": "nvidia-h100-80gb",
    "H200-SXM-141GB": "nvidia-h200-141gb",
    "B200-SXM-180GB": "nvidia-b200",
    "A100-SXM4-80GB": "nvidia-a100-80gb",
    "A100-SXM4-40GB": "nvidia-tesla-a100",
    "L4": "nvidia-l4",
    "T4": "nvidia-tesla-t4",
    "V100-SXM2-16GB": "nvidia-tesla-v100",
    "RTX-PRO-6000-BSE-96GB": "nvidia-rtx-pro-6000",
}


# GPUs that share a board with NVIDIA's Grace, an ARM processor: their machines run no image for x86.
ON_ARM = ("GH200-96GB", "GB200-192GB")


AMI = "al2023@v20260903"
"""EKS' image of Amazon Linux 2023: for Kubernetes 1.31 to 1.36 (github.com/awslabs/amazon-eks-ami, release v20260903), with
NVIDIA's driver 580 (Amazon EKS User Guide, "Use EKS-optimized accelerated AMIs", 2026-09).

Pinned, as Karpenter asks for ("Managing AMIs": it heavily recommends against `latest` in production).
"""


class Requirement(Value, frozen=True, kw_only=True):
    """One requirement of a Karpenter NodePool: a label of nodes, and the values that it may have."""

    key: str
    values: tuple[str, ...]
    why: str | None = None


class NodePool(Value, frozen=True, kw_only=True):
    """A Karpenter NodePool; its class has its name."""

    meta: Meta
    node_labels: dict[str, str]
    class_group: str
    class_kind: str
    resource: str
    most_gpus: int
    limits_why: str
    idle_s: int
    idle_why: str
    requirements: tuple[Requirement, ...]


class Ec2NodeClass(Value, frozen=True, kw_only=True):
    """What Karpenter's nodes are on AWS."""

    meta: Meta
    cluster: str
    image: str
    image_why: str
    role: str
    role_why: str
    reservation: str | None
    disk_gib: int
    disk_why: str


class AksNodeClass(Value, frozen=True, kw_only=True):
    """What the nodes of AKS node auto-provisioning are."""

    meta: Meta
    disk_gb: int
    disk_why: str


class Priority(Value, frozen=True, kw_only=True):
    """One kind of node of a ComputeClass."""

    machine_type: str
    accelerator: str
    gpus: int
    disk_gb: int
    reservation: str | None
    why: str


class ComputeClass(Value, frozen=True, kw_only=True):
    """A GKE ComputeClass: kinds of nodes in the order in which they are tried."""

    meta: Meta
    node_labels: dict[str, str]
    spot: bool
    zones: tuple[str, ...]
    priorities: tuple[Priority, ...]


Made = NodePool | Ec2NodeClass | AksNodeClass | ComputeClass


def objects(plan: Plan) -> Iterator[tuple[str, Made]]:
    """Kind and values of every object that makes nodes; none where the spec leaves that to others.

    Raises SpecError for a GPU that the platform has no name for.
    """
    by = plan.spec.target.nodes.by
    if by not in ("karpenter", "auto_provisioning", "compute_class"):
        return
    for pool in pools.made(plan):
        if by == "compute_class":
            yield "ComputeClass", _compute_class(plan, pool)
            continue
        yield ("EC2NodeClass", _ec2(plan, pool)) if by == "karpenter" else ("AKSNodeClass", _aks(plan, pool))
        yield "NodePool", _node_pool(plan, pool)


def where(plan: Plan) -> Platform:
    """The platform of the plan, with what makes its nodes: a ComputeClass also says what is spot."""
    from msgspec import structs

    found, by = platform(plan.spec.target.platform), plan.spec.target.nodes.by
    if by not in ("karpenter", "auto_provisioning", "compute_class"):
        return found
    names = {pool.instance_type or "": pool_name(plan, pool) for pool in pools.made(plan)}
    if by != "compute_class":
        return structs.replace(found, node_pools=names)
    return structs.replace(
        found,
        classes=names,
        spot_labels=(),
        # GKE taints the nodes of a class with its name
        taints=(*found.taints, Toleration(key=COMPUTE_CLASS)),
    )


def pool_name(plan: Plan, pool: Pool) -> str:
    """The name of a pool's objects: they are the cluster's, so the name begins with the namespace's.

    GKE refuses a ComputeClass whose name begins with gke or autopilot. Nodes have the name as the value of a label, which
    ends at 63 characters: a longer namespace is cut, and a digest of the whole name keeps it apart from others.
    """
    kind = re.sub(r"[^a-z0-9.-]", "-", (pool.instance_type or "").lower())
    space = plan.spec.namespace or plan.spec.name
    if space.startswith(("gke", "autopilot")):
        space = f"homeport-{space}"
    if len(name := f"{space}-{kind}") <= LONGEST_LABEL:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:6]
    kept = space[: LONGEST_LABEL - len(kind) - len(digest) - 2].rstrip("-")
    return f"{kept}-{digest}-{kind}"


def disk_gb(plan: Plan, pool: Pool, gpus_per_node: int | None = None) -> int:
    """Disk of a pool's nodes, GB as the platform counts: the system, images, and what the pods of a full node request.

    A node may hold pods of several models, so it is sized for the mixture that requests most, for the image of each
    engine, and for the weights that come as images: those no request counts.
    """
    from homeport.engines import registry

    on = platform(plan.spec.target.platform)
    size = gpus_per_node or pool.gpus_per_node
    asked = [0] * (size + 1)
    """Most GiB that pods on at most so many GPUs request."""
    images: set[str] = set()
    weights_gib: dict[str, int] = {}
    for model in pools.members(plan, pool):
        server = registry.server(model.engine, model.launch)
        delivery = weights.delivery(model, server, on, "", "", model.image)
        delivery = weights.together(delivery, weights.adapters(model, model.image))
        a_pod = model.gpus_per_replica // model.nodes_per_replica
        wanted = pods.disk_gib(server, delivery)
        for _ in range(min(size // a_pod, model.replicas_max * model.nodes_per_replica)):
            for gpus in range(size, a_pod - 1, -1):
                asked[gpus] = max(asked[gpus], asked[gpus - a_pod] + wanted)
        images.add(model.image)
        weights_gib |= weights.on_image(model)
    more = (len(images) - 1) * disks.IMAGE_GIB + sum(weights_gib.values())
    return max(disks.DEFAULTS[on.name].size_gb, disks.enough_gb(on.name, asked[size], more))


def node_labels(plan: Plan) -> dict[str, str]:
    """The labels of nodes that homeport makes.

    None of kubernetes.io: kubelets refuse to start with such a label of their own, and GKE and EKS to make the pool.
    """
    return {"homeport/part-of": plan.spec.name}


def zones(plan: Plan) -> tuple[str, ...]:
    """The zones that the spec names, as nodes' labels have them: AKS puts the region before the number."""
    named = plan.spec.target.nodes.zones or ()
    if plan.spec.target.platform != "aks":
        return named
    return tuple(f"{region_of(plan.spec.target)}-{zone}" if zone.isdecimal() else zone for zone in named)


def accelerator(plan: Plan, instance_type: str, gpu: str) -> str:
    """What Google's API calls the GPU of a machine type. Raises SpecError for one that it has no name for."""
    name = GKE_ACCELERATORS.get(instance_type) or GKE_ACCELERATORS.get(gpu)
    if name is None:
        by = plan.spec.target.nodes.by
        raise SpecError(
            [
                Problem(
                    message=f"{by} makes no nodes with {gpu}: it makes them with {', '.join(GKE_ACCELERATORS)}",
                    path=("target", "nodes", "by"),
                    value=by,
                    help="make the pool by hand, and leave target.nodes out",
                )
            ]
        )
    return name


def _meta(plan: Plan, pool: Pool) -> Meta:
    return Meta(name=pool_name(plan, pool), namespace=None, labels=naming.common(plan.spec.name))


def is_spot(plan: Plan) -> bool:
    """Whether nodes are bought on the spot market, as the pods ask for them."""
    return plan.spec.target.capacity == "spot"


def _disk_why(size: int, unit: str) -> str:
    return (
        f"{size} {unit}: the system, the engine's image, and what the pods of a full node request of its disk"
    )


def _largest(plan: Plan, pool: Pool) -> int:
    return max(kind.gpus_per_node for kind in pools.node_types(plan, pool))


def _ec2(plan: Plan, pool: Pool) -> Ec2NodeClass:
    nodes = plan.spec.target.nodes
    size = disk_gb(plan, pool, _largest(plan, pool))
    return Ec2NodeClass(
        meta=_meta(plan, pool),
        cluster=nodes.cluster or "",
        image=nodes.image or AMI,
        image_why="as the spec says" if nodes.image else "target.nodes.image names another one",
        role=nodes.role or f"KarpenterNodeRole-{nodes.cluster}",
        role_why="as the spec says"
        if nodes.role
        else "the name that Karpenter's own guide gives the nodes' role",
        reservation=nodes.reservation,
        disk_gib=size,
        disk_why=_disk_why(size, "GiB"),
    )


def _aks(plan: Plan, pool: Pool) -> AksNodeClass:
    size = disk_gb(plan, pool, _largest(plan, pool))
    return AksNodeClass(meta=_meta(plan, pool), disk_gb=size, disk_why=_disk_why(size, "GB"))


def _capacity(plan: Plan) -> Requirement:
    if is_spot(plan):
        return Requirement(key="karpenter.sh/capacity-type", values=("spot",))
    if plan.spec.target.nodes.reservation:
        return Requirement(
            key="karpenter.sh/capacity-type",
            values=("reserved", "on-demand"),
            why="what is reserved first",
        )
    return Requirement(key="karpenter.sh/capacity-type", values=("on-demand",))


def _processors(plan: Plan, pool: Pool) -> Requirement:
    on_arm = [kind for kind in pools.node_types(plan, pool) if kind.gpu in ON_ARM]
    others = len(on_arm) < len(pools.node_types(plan, pool))
    names = ", ".join(dict.fromkeys(kind.gpu for kind in on_arm))
    return Requirement(
        key="kubernetes.io/arch",
        values=(*(("amd64",) if others else ()), *(("arm64",) if on_arm else ())),
        why=f"{names} comes with an ARM processor: the engine's image must have a build for it"
        if on_arm
        else None,
    )


def _node_pool(plan: Plan, pool: Pool) -> NodePool:
    aws = plan.spec.target.platform == "eks"
    most = pools.most_gpus(plan, pool)
    card = pools.members(plan, pool)[0].gpu
    assert card is not None, "a pool that is made has models with GPUs"
    places = zones(plan)
    return NodePool(
        meta=_meta(plan, pool),
        node_labels=node_labels(plan),
        class_group="karpenter.k8s.aws" if aws else "karpenter.azure.com",
        class_kind="EC2NodeClass" if aws else "AKSNodeClass",
        resource=card.kubernetes_resource,
        most_gpus=most,
        limits_why=f"what the most replicas of {', '.join(pool.models)} take",
        idle_s=IDLE_S,
        idle_why=f"{IDLE_S} s without a pod: a replica that restarts elsewhere finds it still there",
        requirements=(
            Requirement(
                key="node.kubernetes.io/instance-type",
                values=tuple(kind.instance_type for kind in pools.node_types(plan, pool)),
                why="what the plan counts with first; Karpenter takes the cheapest that is to be had",
            ),
            _capacity(plan),
            _processors(plan, pool),
            Requirement(key="kubernetes.io/os", values=("linux",)),
            *((Requirement(key="topology.kubernetes.io/zone", values=places),) if places else ()),
        ),
    )


def _compute_class(plan: Plan, pool: Pool) -> ComputeClass:
    nodes = plan.spec.target.nodes
    kinds = pools.node_types(plan, pool)
    return ComputeClass(
        meta=_meta(plan, pool),
        node_labels=node_labels(plan),
        spot=is_spot(plan),
        zones=nodes.zones or (),
        priorities=tuple(
            Priority(
                machine_type=kind.instance_type,
                accelerator=accelerator(plan, kind.instance_type, kind.gpu),
                gpus=kind.gpus_per_node,
                disk_gb=disk_gb(plan, pool, kind.gpus_per_node),
                # A reservation is of one machine type.
                reservation=nodes.reservation if kind.instance_type == pool.instance_type else None,
                why=f"{kind.gpus_per_node} x {kind.gpu}"
                + (", what the plan counts with" if kind.instance_type == pool.instance_type else ""),
            )
            for kind in kinds
        ),
    )
