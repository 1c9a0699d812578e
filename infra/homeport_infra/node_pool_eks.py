"""A GPU node group on EKS: a managed group with a launch template for its disk and its reservation.

Something has to move `desired_size` between the limits: the Cluster Autoscaler, which homeport does not install.
"""

import pulumi
from pulumi_aws import ec2, eks

from homeport_infra.node_pool import TAINT, GpuNodePoolArgs
from homeport_infra.settings import SettingsError

AMI = "AL2023_x86_64_NVIDIA"
"""EKS' image with NVIDIA's driver and container toolkit, for x86."""


def register(name: str, args: GpuNodePoolArgs, parent: pulumi.Resource) -> pulumi.Output[str]:
    """Register the launch template and the group; the group's name is the output. Raises SettingsError."""
    if not args.subnets or not args.node_role:
        raise SettingsError(
            "a node group of EKS needs subnets and the role of its nodes",
            help="give --subnet (an id; repeat it) and --node-role (an ARN); plain pulumi: "
            "homeport:subnets (with commas) and homeport:nodeRole",
        )
    reserved = None
    if args.reservation:
        reserved = ec2.LaunchTemplateCapacityReservationSpecificationArgs(
            capacity_reservation_target=ec2.LaunchTemplateCapacityReservationSpecificationCapacityReservationTargetArgs(
                capacity_reservation_id=args.reservation
            )
        )
    region = args.location or None
    template = ec2.LaunchTemplate(
        name,
        region=region,
        block_device_mappings=[
            ec2.LaunchTemplateBlockDeviceMappingArgs(
                device_name="/dev/xvda",
                ebs=ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
                    volume_size=args.disk_gb,
                    volume_type="gp3",
                    encrypted="true",
                    delete_on_termination="true",
                ),
            )
        ],
        # Pods have no business with the node's own credentials.
        metadata_options=ec2.LaunchTemplateMetadataOptionsArgs(
            http_tokens="required", http_put_response_hop_limit=1
        ),
        capacity_reservation_specification=reserved,
        opts=pulumi.ResourceOptions(parent=parent),
    )
    group = eks.NodeGroup(
        # The group's own name is made of this one, and EKS takes letters, digits, hyphens and underscores only.
        name.replace(".", "-"),
        region=region,
        cluster_name=args.cluster,
        node_role_arn=args.node_role,
        subnet_ids=args.subnets,
        # A capacity reservation is of one instance type: EC2 refuses to start others against it.
        instance_types=args.instance_types[:1] if args.reservation else list(args.instance_types),
        ami_type=AMI,
        capacity_type="SPOT" if args.spot else "ON_DEMAND",
        labels=args.labels,
        taints=[eks.NodeGroupTaintArgs(key=TAINT, value="present", effect="NO_SCHEDULE")],
        scaling_config=eks.NodeGroupScalingConfigArgs(
            min_size=args.min_nodes, max_size=args.max_nodes, desired_size=args.min_nodes
        ),
        node_repair_config=eks.NodeGroupNodeRepairConfigArgs(enabled=True),
        launch_template=eks.NodeGroupLaunchTemplateArgs(
            id=template.id, version=template.latest_version.apply(str)
        ),
        # The autoscaler owns the number of nodes.
        opts=pulumi.ResourceOptions(parent=parent, ignore_changes=["scalingConfig.desiredSize"]),
    )
    named: pulumi.Output[str] = group.node_group_name
    return named
