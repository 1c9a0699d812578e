"""An EKS cluster with what the rendered objects need, and no more: a start, not a landing zone.

Its API server has a private address and a public one, for whoever holds credentials. Its network is that of the given
subnets, else the account's default VPC, whose subnets give nodes public addresses. A network of one's own, Karpenter, the
Cluster Autoscaler, the driver of EBS volumes and logs are the cluster owner's.
"""

import json
from collections.abc import Sequence

import pulumi

from homeport.errors import MissingExtra

SYSTEM_MACHINE = "m6i.xlarge"
"""What runs beside the models: KEDA, Prometheus and the cluster's own pods (an assumption)."""

NODE_POLICIES = ("AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryPullOnly")
"""What AWS asks of a node's role: to join, to give pods addresses, to pull images."""


class EksClusterArgs:
    """What a cluster needs to know."""

    def __init__(
        self, *, name: str, subnets: Sequence[str] | None = None, node_role: pulumi.Input[str] = ""
    ) -> None:
        """`name` is the cluster's; `subnets` (ids, of one VPC, in two zones at least) and `node_role` (ARN) exist.

        Left out, the subnets are those of the account's default VPC, and the role is made. The region is the provider's.
        """
        self.name = name
        self.subnets = subnets
        self.node_role = node_role


class EksCluster(pulumi.ComponentResource):
    """A cluster that enforces NetworkPolicies, with an OIDC provider for its ServiceAccounts, and one group for the system.

    Outputs: `cluster_name`; `location`, its region; `kubeconfig`, a secret, which asks `aws eks get-token` for
    credentials; `subnets` (ids) and `node_role` (ARN), for further node groups.
    """

    cluster_name: pulumi.Output[str]
    location: pulumi.Output[str]
    kubeconfig: pulumi.Output[str]
    subnets: pulumi.Output[list[str]]
    node_role: pulumi.Output[str]

    def __init__(self, name: str, args: EksClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Register the cluster, its node role and its group. Raises MissingExtra without `homeport[aws]`."""
        super().__init__("homeport:index:EksCluster", name, None, opts)
        try:
            import pulumi_eks
            from pulumi_aws import ec2, eks, get_region_output
        except ImportError as error:
            raise MissingExtra("up --create-cluster", "aws") from error

        given = list(args.subnets or ())
        cluster = pulumi_eks.Cluster(
            name,
            name=args.name,
            vpc_id=ec2.get_subnet_output(id=given[0]).vpc_id if given else None,
            subnet_ids=given or None,
            endpoint_private_access=True,
            endpoint_public_access=True,
            # EKS lets the nodes of managed groups in by itself, and whoever makes the cluster.
            authentication_mode=pulumi_eks.AuthenticationMode.API,
            create_oidc_provider=True,
            skip_default_node_group=True,
            # Managed groups use the security group that EKS makes.
            skip_default_security_groups=True,
            vpc_cni_options=pulumi_eks.VpcCniOptionsArgs(enable_network_policy=True),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.subnets = pulumi.Output.from_input(given) if given else cluster.core.subnet_ids
        ready: list[pulumi.Resource] = [cluster]
        if args.node_role:
            self.node_role = pulumi.Output.from_input(args.node_role)
        else:
            self.node_role, attached = _role(name, self)
            ready += attached
        eks.NodeGroup(
            f"{name}-system",
            cluster_name=args.name,
            node_role_arn=self.node_role,
            subnet_ids=self.subnets,
            instance_types=[SYSTEM_MACHINE],
            scaling_config=eks.NodeGroupScalingConfigArgs(min_size=1, max_size=3, desired_size=2),
            node_repair_config=eks.NodeGroupNodeRepairConfigArgs(enabled=True),
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=ready, ignore_changes=["scalingConfig.desiredSize"]
            ),
        )
        self.cluster_name = pulumi.Output.from_input(args.name)
        self.location = get_region_output(opts=pulumi.InvokeOutputOptions(parent=self)).region
        self.kubeconfig = pulumi.Output.secret(cluster.kubeconfig_json)
        self.register_outputs(
            {
                "clusterName": self.cluster_name,
                "location": self.location,
                "kubeconfig": self.kubeconfig,
                "subnets": self.subnets,
                "nodeRole": self.node_role,
            }
        )


def _role(name: str, parent: pulumi.Resource) -> tuple[pulumi.Output[str], list[pulumi.Resource]]:
    """A role for nodes, and what a group must wait for: without its policies nodes do not join."""
    from pulumi_aws import iam

    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
    child = pulumi.ResourceOptions(parent=parent)
    role = iam.Role(f"{name}-nodes", assume_role_policy=json.dumps(trust), opts=child)
    attached = [
        iam.RolePolicyAttachment(
            f"{name}-nodes-{policy}",
            role=role.name,
            policy_arn=f"arn:aws:iam::aws:policy/{policy}",
            opts=child,
        )
        for policy in NODE_POLICIES
    ]
    return role.arn, attached
