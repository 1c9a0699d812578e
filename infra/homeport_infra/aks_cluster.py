"""An AKS cluster with what the rendered objects need, and no more: a start, not a landing zone.

Nodes have no addresses of their own; the API server has a public one, for whoever holds credentials. Its network is one
that AKS makes. A private API server, a network of one's own, sign-in with Entra ID and maintenance windows are the
cluster owner's.
"""

import base64

import pulumi

from homeport.errors import MissingExtra

SYSTEM_MACHINE = "Standard_D4s_v5"
"""What runs beside the models: KEDA, Prometheus and the cluster's own pods (an assumption)."""


SYSTEM_NODES = 2
"""Nodes of the system's pool where it does not scale (an assumption)."""


class AksClusterArgs:
    """What a cluster needs to know."""

    def __init__(
        self,
        *,
        name: str,
        resource_group: pulumi.Input[str],
        location: pulumi.Input[str] = "",
        auto_provisioning: bool = False,
    ) -> None:
        """`name` is the cluster's, `resource_group` exists; `location` is a region, empty is the resource group's.

        `auto_provisioning` lets the cluster make nodes from Karpenter's objects. AKS then takes no pool with an autoscaler.
        """
        self.name = name
        self.resource_group = resource_group
        self.location = location
        self.auto_provisioning = auto_provisioning


class AksCluster(pulumi.ComponentResource):
    """A cluster on Cilium (it enforces NetworkPolicies), with workload identity, and one agent pool for the system.

    Outputs: `cluster_name`; `location`, its region; `kubeconfig`, a secret, since it holds a client's certificate.
    """

    cluster_name: pulumi.Output[str]
    location: pulumi.Output[str]
    kubeconfig: pulumi.Output[str]

    def __init__(self, name: str, args: AksClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Register the cluster with its pool. Raises MissingExtra without `homeport[azure]`."""
        super().__init__("homeport:index:AksCluster", name, None, opts)
        try:
            from pulumi_azure_native import containerservice
        except ImportError as error:
            raise MissingExtra("up --create-cluster", "azure") from error

        # AKS refuses its autoscaler in a cluster that provisions nodes by itself; that adds nodes for the system too.
        size = (
            {"count": SYSTEM_NODES}
            if args.auto_provisioning
            else {"enable_auto_scaling": True, "count": 1, "min_count": 1, "max_count": 3}
        )
        cluster = containerservice.ManagedCluster(
            name,
            resource_name_=args.name,
            resource_group_name=args.resource_group,
            location=args.location or None,
            # A cluster's name may have underscores and 63 characters, the start of a domain name neither.
            dns_prefix=args.name.replace("_", "-")[:54].rstrip("-"),
            identity=containerservice.ManagedClusterIdentityArgs(type="SystemAssigned"),
            enable_rbac=True,
            api_server_access_profile=containerservice.ManagedClusterAPIServerAccessProfileArgs(
                enable_private_cluster=False
            ),
            oidc_issuer_profile=containerservice.ManagedClusterOIDCIssuerProfileArgs(enabled=True),
            security_profile=containerservice.ManagedClusterSecurityProfileArgs(
                workload_identity=containerservice.ManagedClusterSecurityProfileWorkloadIdentityArgs(
                    enabled=True
                )
            ),
            network_profile=containerservice.ContainerServiceNetworkProfileArgs(
                network_plugin="azure",
                network_plugin_mode="overlay",
                network_dataplane="cilium",
                network_policy="cilium",
            ),
            agent_pool_profiles=[
                containerservice.ManagedClusterAgentPoolProfileArgs(
                    name="system",
                    mode="System",
                    type="VirtualMachineScaleSets",
                    os_type="Linux",
                    vm_size=SYSTEM_MACHINE,
                    enable_node_public_ip=False,
                    **size,
                )
            ],
            node_provisioning_profile=containerservice.ManagedClusterNodeProvisioningProfileArgs(mode="Auto")
            if args.auto_provisioning
            else None,
            # The autoscaler owns the number of nodes, and pools made later are listed here too.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["agentPoolProfiles"]),
        )
        credentials = containerservice.list_managed_cluster_user_credentials_output(
            resource_group_name=args.resource_group,
            resource_name=cluster.name,
            opts=pulumi.InvokeOutputOptions(parent=self, depends_on=[cluster]),
        )
        self.cluster_name = cluster.name
        self.location = cluster.location
        self.kubeconfig = pulumi.Output.secret(
            credentials.kubeconfigs.apply(lambda found: base64.b64decode(found[0].value).decode())
        )
        self.register_outputs(
            {
                "clusterName": self.cluster_name,
                "location": self.location,
                "kubeconfig": self.kubeconfig,
            }
        )
