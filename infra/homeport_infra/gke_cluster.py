"""A GKE cluster with what the rendered objects need, and no more: a start, not a landing zone.

A ComputeClass needs no switch of the cluster: since GKE 1.33.3-gke.1136000 its own `nodePoolAutoCreation` is enough (GKE's
documentation, "Configure node pool auto-creation"), and the channel REGULAR is newer (default 1.35.8 in 2026-09).

Nodes have no addresses of their own, and reach images and weights through a Cloud NAT; the control plane has a public
address, for whoever holds credentials. Its network is the project's default one, without a NAT of its own in that region. A
private control plane, a network of one's own, backups and maintenance windows are the cluster owner's.
"""

import json
import re

import pulumi

from homeport.errors import MissingExtra

SYSTEM_MACHINE = "e2-standard-4"
"""What runs beside the models: KEDA, Prometheus and the cluster's own pods (an assumption)."""


NETWORK = "default"
"""The network that a project of Google Cloud comes with."""


class GkeClusterArgs:
    """What a cluster needs to know."""

    def __init__(self, *, name: str, location: pulumi.Input[str]) -> None:
        """`name` is the cluster's, `location` its region or zone."""
        self.name = name
        self.location = location


class GkeCluster(pulumi.ComponentResource):
    """A Standard cluster with Dataplane V2 (it enforces NetworkPolicies), Workload Identity, and one pool for the system.

    Outputs: `kubeconfig`, which asks gke-gcloud-auth-plugin for credentials and holds none.
    """

    kubeconfig: pulumi.Output[str]

    def __init__(self, name: str, args: GkeClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Register the cluster and its pool. Raises MissingExtra without `homeport[gcp]`."""
        super().__init__("homeport:index:GkeCluster", name, None, opts)
        try:
            from pulumi_gcp import compute, container, organizations
        except ImportError as error:
            raise MissingExtra("up --create-cluster", "gcp") from error

        project = organizations.get_project_output().project_id
        cluster = container.Cluster(
            name,
            name=args.name,
            location=args.location,
            network=NETWORK,
            # The pool that comes with a cluster cannot be changed later: it goes, and another one comes.
            remove_default_node_pool=True,
            initial_node_count=1,
            datapath_provider="ADVANCED_DATAPATH",
            networking_mode="VPC_NATIVE",
            private_cluster_config=container.ClusterPrivateClusterConfigArgs(enable_private_nodes=True),
            workload_identity_config=container.ClusterWorkloadIdentityConfigArgs(
                workload_pool=project.apply(lambda found: f"{found}.svc.id.goog")
            ),
            release_channel=container.ClusterReleaseChannelArgs(channel="REGULAR"),
            # `destroy` takes back what `up` made; the provider refuses by default.
            deletion_protection=False,
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["initialNodeCount"]),
        )
        # Without it no image comes to nodes that have no addresses (GKE's documentation, "Granting private nodes outbound
        # internet access").
        region = pulumi.Output.from_input(args.location).apply(region_of)
        child = pulumi.ResourceOptions(parent=self)
        router = compute.Router(f"{name}-router", network=NETWORK, region=region, opts=child)
        compute.RouterNat(
            f"{name}-nat",
            router=router.name,
            region=region,
            nat_ip_allocate_option="AUTO_ONLY",
            source_subnetwork_ip_ranges_to_nat="ALL_SUBNETWORKS_ALL_IP_RANGES",
            opts=child,
        )
        container.NodePool(
            f"{name}-system",
            cluster=cluster.name,
            location=args.location,
            initial_node_count=1,
            autoscaling=container.NodePoolAutoscalingArgs(
                total_min_node_count=1, total_max_node_count=3, location_policy="BALANCED"
            ),
            management=container.NodePoolManagementArgs(auto_repair=True, auto_upgrade=True),
            node_config=container.NodePoolNodeConfigArgs(
                machine_type=SYSTEM_MACHINE,
                workload_metadata_config=container.NodePoolNodeConfigWorkloadMetadataConfigArgs(
                    mode="GKE_METADATA"
                ),
            ),
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["initialNodeCount", "nodeCount"]),
        )
        self.kubeconfig = pulumi.Output.all(
            args.name, cluster.endpoint, cluster.master_auth.cluster_ca_certificate
        ).apply(lambda found: kubeconfig(*found))
        self.register_outputs({"kubeconfig": self.kubeconfig})


def region_of(location: str) -> str:
    """The region of a location, which is one or a zone of one: us-central1 of us-central1-a."""
    return re.sub(r"-[a-z]$", "", location)


def kubeconfig(name: str, endpoint: str, certificate: str) -> str:
    """A kubeconfig as JSON (which is YAML) that asks Google's plugin for credentials."""
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "gke-gcloud-auth-plugin",
        "interactiveMode": "IfAvailable",
        "provideClusterInfo": True,
    }
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": name,
                    "cluster": {
                        "server": f"https://{endpoint}",
                        "certificate-authority-data": certificate,
                    },
                }
            ],
            "users": [{"name": name, "user": {"exec": plugin}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        }
    )
