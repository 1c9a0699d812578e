"""The layer `cluster`: the GPU nodes of a plan, as node pools of its cloud."""

from collections.abc import Sequence

import pulumi

from homeport.manifests.types import Document
from homeport.planning.hardware import region_of
from homeport.planning.types import Plan
from homeport_infra.node_pool import GpuNodePool, GpuNodePoolArgs, disk_gib, pool_limits
from homeport_infra.settings import Settings, SettingsError


def node_pools(
    plan: Plan, settings: Settings, rendered: Sequence[Document], opts: pulumi.ResourceOptions | None = None
) -> list[GpuNodePool]:
    """Register the pools of a plan. Raises SettingsError where their cluster has no name."""
    cluster = settings.cluster or plan.spec.target.nodes.cluster or ""
    if not cluster:
        raise SettingsError(
            "node pools need the name of their cluster",
            help="set target.nodes.cluster in the spec, or homeport:cluster in the stack",
        )
    made = []
    for pool in plan.pools:
        assert pool.instance_type is not None, "a pool on a cloud has an instance type"
        least, most = pool_limits(plan, pool)
        made.append(
            GpuNodePool(
                f"gpu-{pool.instance_type}",
                GpuNodePoolArgs(
                    cluster=cluster,
                    location=settings.location or region_of(plan.spec.target) or "",
                    machine_type=pool.instance_type,
                    gpu=pool.gpu,
                    gpus_per_node=pool.gpus_per_node,
                    min_nodes=least,
                    max_nodes=most,
                    disk_gib=disk_gib(plan, pool, rendered),
                    spot=pool.capacity == "spot",
                ),
                opts,
            )
        )
    return made
