"""An EKS cluster with what the rendered objects need, and no more: a start, not a landing zone.

Its API server has a private address and a public one, for whoever holds credentials. Its network is that of the given
subnets, else the account's default VPC, whose subnets give nodes public addresses. A network of one's own, Karpenter, the
Cluster Autoscaler, the driver of EBS volumes and logs are the cluster owner's.
"""

import json
from collections.abc import Sequence

import pulumi

from homeport.errors import MissingExtra
from homeport_infra.settings import SettingsError

SYSTEM_MACHINE = "m6i.xlarge"
"""What runs beside the models: KEDA, Prometheus and the cluster's own pods (an assumption)."""

NODE_POLICIES = ("AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryPullOnly")
"""What AWS asks of a node's role: to join, to give pods addresses, to pull images."""


class EksClusterArgs:
    """What a cluster needs to know."""

    def __init__(
        self,
        *,
        name: str,
        location: str = "",
        subnets: Sequence[str] | None = None,
        node_role: pulumi.Input[str] = "",
    ) -> None:
        """`name` is the cluster's; `subnets` (ids, of one VPC, in two zones at least) and `node_role` (ARN) exist.

        Left out, the subnets are those of the account's default VPC, and the role is made. `location` is the region that
        the AWS provider has to be set to; empty is whatever it is set to.
        """
        self.name = name
        self.location = location
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
        """Register the cluster, its node role and its group. Raises MissingExtra without `homeport[aws]`.

        Raises SettingsError where the provider's region is not the location.
        """
        super().__init__("homeport:index:EksCluster", name, None, opts)
        try:
            import pulumi_eks
            from pulumi_aws import ec2, eks, get_region
        except ImportError as error:
            raise MissingExtra("up --create-cluster", "aws") from error

        given = list(args.subnets or ())
        # pulumi-eks makes its parts with the provider, whose region nothing else can change. A provider of our own would
        # lose the profile and the role of the stack's configuration, which an explicit provider does not inherit.
        region = _same(get_region(opts=pulumi.InvokeOptions(parent=self)).region, args.location)
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
            region=region,
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
        self.location = pulumi.Output.from_input(region)
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


def _same(found: str, wanted: str) -> str:
    """The provider's region, which has to be the one that is wanted, if one is."""
    if wanted and found != wanted:
        raise SettingsError(
            f"the cluster is wanted in {wanted}, and the AWS provider is set to {found}",
            help=f"set aws:region or AWS_REGION to {wanted}, or write {found} as homeport:location or target.region",
        )
    return found


def _trust(principal: str) -> str:
    """The policy of a role that machines of EC2 may take."""
    statement = {"Effect": "Allow", "Principal": {"Service": principal}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _role(name: str, parent: pulumi.Resource) -> tuple[pulumi.Output[str], list[pulumi.Resource]]:
    """A role for nodes, and what a group must wait for: without its policies nodes do not join."""
    from pulumi_aws import get_partition_output, get_service_principal_output, iam

    # China and GovCloud are partitions of their own, with names of their own.
    asked = pulumi.InvokeOutputOptions(parent=parent)
    partition = get_partition_output(opts=asked).partition
    trust = get_service_principal_output(service_name="ec2", opts=asked).name.apply(_trust)
    child = pulumi.ResourceOptions(parent=parent)
    role = iam.Role(f"{name}-nodes", assume_role_policy=trust, opts=child)
    attached = [
        iam.RolePolicyAttachment(
            f"{name}-nodes-{policy}",
            role=role.name,
            policy_arn=pulumi.Output.concat("arn:", partition, f":iam::aws:policy/{policy}"),
            opts=child,
        )
        for policy in NODE_POLICIES
    ]
    return role.arn, attached
