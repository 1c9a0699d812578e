"""A GPU agent pool on AKS, with AKS' own autoscaler."""

import hashlib

import pulumi
from pulumi_azure_native import containerservice

from homeport_infra.node_pool import TAINT, GpuNodePoolArgs
from homeport_infra.settings import SettingsError


def pool_name(vm_size: str) -> str:
    """The pool's name: AKS takes twelve lower-case letters and digits, so it is made of a checksum of the VM size."""
    return "gpu" + hashlib.sha256(vm_size.encode()).hexdigest()[:8]


def register(name: str, args: GpuNodePoolArgs, parent: pulumi.Resource) -> pulumi.Output[str]:
    """Register the pool; its name is the output. Raises SettingsError without a resource group."""
    if not args.resource_group:
        raise SettingsError(
            "an agent pool of AKS needs the cluster's resource group",
            help="name it with --resource-group (plain pulumi: homeport:resourceGroup)",
        )
    spot = {
        "scale_set_priority": "Spot",
        "scale_set_eviction_policy": "Delete",
        # AKS taints and labels spot nodes by itself, and wants to see both written down.
        "node_taints": [
            f"{TAINT}=present:NoSchedule",
            "kubernetes.azure.com/scalesetpriority=spot:NoSchedule",
        ],
        "node_labels": {**args.labels, "kubernetes.azure.com/scalesetpriority": "spot"},
        "spot_max_price": -1.0,
    }
    regular = {"node_taints": [f"{TAINT}=present:NoSchedule"], "node_labels": args.labels}
    pool = containerservice.AgentPool(
        name,
        agent_pool_name=pool_name(args.instance_types[0]),
        resource_group_name=args.resource_group,
        resource_name_=args.cluster,
        mode="User",
        os_type="Linux",
        os_sku="Ubuntu",
        vm_size=args.instance_types[0],
        gpu_profile=containerservice.GPUProfileArgs(driver="Install"),
        os_disk_size_gb=args.disk_gb,
        # The label of a node puts the region before the zone's number; Azure's API takes the number.
        availability_zones=[zone.rpartition("-")[2] for zone in args.zones] if args.zones else None,
        enable_auto_scaling=True,
        count=args.min_nodes,
        min_count=args.min_nodes,
        max_count=args.max_nodes,
        capacity_reservation_group_id=args.reservation,
        **(spot if args.spot else regular),
        # The autoscaler owns the number of nodes.
        opts=pulumi.ResourceOptions(parent=parent, ignore_changes=["count"]),
    )
    named: pulumi.Output[str] = pool.name
    return named
