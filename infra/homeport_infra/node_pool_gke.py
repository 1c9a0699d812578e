"""A GPU node pool on GKE."""

import pulumi
from pulumi_gcp import container

from homeport_infra.node_pool import TAINT, GpuNodePoolArgs

RESERVATION_KEY = "compute.googleapis.com/reservation-name"


def register(name: str, args: GpuNodePoolArgs, parent: pulumi.Resource) -> pulumi.Output[str]:
    """Register the pool; its name is the output. Total limits and the policy ANY let it stand where there is capacity."""
    affinity = None
    if args.reservation:
        affinity = container.NodePoolNodeConfigReservationAffinityArgs(
            consume_reservation_type="SPECIFIC_RESERVATION", key=RESERVATION_KEY, values=[args.reservation]
        )
    driver = container.NodePoolNodeConfigGuestAcceleratorGpuDriverInstallationConfigArgs(
        gpu_driver_version="LATEST"
    )
    pool = container.NodePool(
        name,
        cluster=args.cluster,
        location=args.location,
        node_locations=args.zones,
        # It counts in each zone: with the least of the pool, a region of three zones would begin with three times as many
        # nodes. The autoscaler adds the first one when a pod waits.
        initial_node_count=0,
        autoscaling=container.NodePoolAutoscalingArgs(
            total_min_node_count=args.min_nodes,
            total_max_node_count=args.max_nodes,
            location_policy="ANY",
        ),
        management=container.NodePoolManagementArgs(auto_repair=True, auto_upgrade=True),
        node_config=container.NodePoolNodeConfigArgs(
            machine_type=args.instance_types[0],
            spot=args.spot,
            disk_size_gb=args.disk_gb,
            image_type="COS_CONTAINERD",
            labels=args.labels,
            # The metadata server of Workload Identity: pods get their own credentials, never the node's.
            workload_metadata_config=container.NodePoolNodeConfigWorkloadMetadataConfigArgs(
                mode="GKE_METADATA"
            ),
            shielded_instance_config=container.NodePoolNodeConfigShieldedInstanceConfigArgs(
                enable_integrity_monitoring=True
            ),
            reservation_affinity=affinity,
            # GKE taints GPU nodes by itself only when they join a cluster that has other nodes.
            taints=[container.NodePoolNodeConfigTaintArgs(key=TAINT, value="present", effect="NO_SCHEDULE")],
            guest_accelerators=[
                container.NodePoolNodeConfigGuestAcceleratorArgs(
                    type=args.accelerator,
                    count=args.gpus_per_node,
                    gpu_driver_installation_config=driver,
                )
            ],
        ),
        # The autoscaler owns the number of nodes.
        opts=pulumi.ResourceOptions(parent=parent, ignore_changes=["initialNodeCount", "nodeCount"]),
    )
    named: pulumi.Output[str] = pool.name
    return named
