"""The layer `cluster`: the GPU nodes of a plan, as node pools of its cloud or as objects that make the cluster add them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import pulumi

from homeport.manifests import provisioning
from homeport.manifests.types import Document
from homeport.planning import pools
from homeport.planning.hardware import region_of
from homeport.planning.types import Plan, Pool
from homeport_infra.bill import StackBill, pool_usd
from homeport_infra.manifest import Manifest
from homeport_infra.node_pool import GpuNodePool, GpuNodePoolArgs
from homeport_infra.settings import Settings, SettingsError

if TYPE_CHECKING:
    from homeport_infra.aks_cluster import AksCluster
    from homeport_infra.eks_cluster import EksCluster
    from homeport_infra.gke_cluster import GkeCluster

    MadeCluster = GkeCluster | EksCluster | AksCluster


def node_pools(
    plan: Plan,
    settings: Settings,
    bill: StackBill,
    opts: pulumi.ResourceOptions | None = None,
    made: "MadeCluster | None" = None,
) -> list[GpuNodePool]:
    """Register the pools of a plan, each with its part of the stack's `bill`, in the cluster that was `made` or one that stands.

    Raises SettingsError where their cluster has no name.
    """
    cluster = settings.cluster or plan.spec.target.nodes.cluster
    if not cluster:
        raise SettingsError(
            "node pools need the name of their cluster",
            help="set target.nodes.cluster in the spec, or --cluster (plain pulumi: homeport:cluster)",
        )
    found: list[GpuNodePool] = []
    for pool in pools.made(plan):
        args = pool_args(plan, pool, settings, cluster)
        args.usd_per_month = pool_usd(pool.instance_type or "", bill)
        if made is not None and args.platform == "eks":
            eks = cast("EksCluster", made)
            args.subnets, args.node_role = eks.subnets, eks.node_role
        found.append(GpuNodePool(f"gpu-{pool.instance_type}", args, opts))
    return found


def pool_args(plan: Plan, pool: Pool, settings: Settings, cluster: str) -> GpuNodePoolArgs:
    """What a pool of a plan is made of: limits, disk, zones and labels. Raises SpecError for a GPU without a name."""
    platform, nodes = plan.spec.target.platform, plan.spec.target.nodes
    assert platform in ("gke", "eks", "aks"), "the spec lets no other platform make node pools"
    least, most = pools.limits(plan, pool)
    types = [kind.instance_type for kind in pools.node_types(plan, pool)]
    gke = platform == "gke"
    return GpuNodePoolArgs(
        platform=platform,
        cluster=cluster,
        instance_types=types,
        gpu=pool.gpu,
        gpus_per_node=pool.gpus_per_node,
        min_nodes=least,
        max_nodes=most,
        disk_gb=provisioning.disk_gb(plan, pool),
        spot=provisioning.is_spot(plan),
        zones=list(nodes.zones) if nodes.zones else None,
        reservation=nodes.reservation,
        labels=provisioning.node_labels(plan),
        location=settings.location or region_of(plan.spec.target) or "",
        resource_group=settings.resource_group,
        subnets=list(settings.subnets),
        node_role=settings.node_role,
        accelerator=provisioning.accelerator(plan, types[0], pool.gpu) if gke else "",
    )


def provisioners(
    rendered: Sequence[Document], opts: pulumi.ResourceOptions | None = None
) -> tuple[list[Manifest], list[Document]]:
    """Register the objects that make the cluster add nodes: classes first, since a NodePool refers to its class."""
    documents = [d for d in rendered if d.component == provisioning.NODES]
    documents.sort(key=lambda d: d.kind == "NodePool")
    made: list[Manifest] = []
    classes: list[pulumi.Resource] = []
    for document in documents:
        waits = pulumi.ResourceOptions(depends_on=list(classes) if document.kind == "NodePool" else None)
        resource = Manifest(
            f"{document.kind.lower()}-{document.name}",
            document.object(),
            pulumi.ResourceOptions.merge(opts, waits),
        )
        made.append(resource)
        if document.kind != "NodePool":
            classes.append(resource)
    return made, documents


def made_cluster(plan: Plan, settings: Settings) -> "MadeCluster":
    """Register the cluster itself.

    Raises SettingsError without a name, and on AKS without a resource group; MissingExtra without the cloud's package.
    """
    name = settings.cluster or plan.spec.target.nodes.cluster
    if not name:
        raise SettingsError(
            "a new cluster needs a name",
            help="set target.nodes.cluster in the spec, or --cluster (plain pulumi: homeport:cluster)",
        )
    location = settings.location or region_of(plan.spec.target) or ""
    if plan.spec.target.platform == "eks":
        from homeport_infra.eks_cluster import EksCluster, EksClusterArgs

        return EksCluster(
            "cluster",
            EksClusterArgs(
                name=name, location=location, subnets=settings.subnets, node_role=settings.node_role
            ),
        )
    if plan.spec.target.platform == "aks":
        from homeport_infra.aks_cluster import AksCluster, AksClusterArgs

        if not settings.resource_group:
            raise SettingsError(
                "a new cluster of AKS needs a resource group",
                help="name it with --resource-group (plain pulumi: homeport:resourceGroup)",
            )
        return AksCluster(
            "cluster",
            AksClusterArgs(
                name=name,
                resource_group=settings.resource_group,
                location=location,
                auto_provisioning=plan.spec.target.nodes.by == "auto_provisioning",
            ),
        )
    from homeport_infra.gke_cluster import GkeCluster, GkeClusterArgs

    return GkeCluster("cluster", GkeClusterArgs(name=name, location=location))
