"""What differs between the platforms: node labels, taints, storage and load balancers, as data."""

import msgspec

from homeport.manifests.values import Match, Toleration

INSTANCE_TYPE = "node.kubernetes.io/instance-type"
"""The well-known label with the cloud's name of the machine type."""

PRODUCT = "nvidia.com/gpu.product"
"""The label that the GPU operator's feature discovery puts on nodes."""


COMPUTE_CLASS = "cloud.google.com/compute-class"
"""The label of the nodes of a GKE ComputeClass, and the key of their taint."""

NODE_POOL = "karpenter.sh/nodepool"
"""The label that Karpenter puts on the nodes of a NodePool: its name."""


class Platform(msgspec.Struct, frozen=True, kw_only=True):
    """One platform.

    `cloud`: nodes are chosen by instance type. `shared_class` is a built-in StorageClass for volumes that many nodes
    mount (None: none comes with the platform), `one_node` says that one node mounts everything. `spot_labels` are
    the labels of spot nodes, alternatives; `taints` are what its GPU nodes carry besides the device plugin's.
    `service_annotations` go to a LoadBalancer Service, `outside` says that load balancers reach pods from outside
    the cluster's own network. `identity` are the addresses of the cloud's credentials, with ports. `classes` are GKE
    ComputeClasses by the machine type that they begin with: pods then choose nodes by class. `node_pools` are Karpenter's
    NodePools likewise: pods stay on their own, whichever others have machines that they accept. `drivers` are the branches of
    NVIDIA's driver that the platform installs by itself, by GPU, where they are older than what engines' images ask for.
    """

    name: str
    cloud: bool = False
    one_node: bool = False
    shared_class: str | None = None
    spot_labels: tuple[Match, ...] = ()
    spot_taints: tuple[Toleration, ...] = ()
    taints: tuple[Toleration, ...] = ()
    service_annotations: dict[str, str] = {}
    outside: bool = False
    identity: tuple[tuple[str, int], ...] = ()
    route_note: str | None = None
    classes: dict[str, str] = {}
    node_pools: dict[str, str] = {}
    drivers: dict[str, int] = {}


PLATFORMS = {
    "kind": Platform(name="kind", one_node=True),
    "minikube": Platform(name="minikube", one_node=True),
    "generic": Platform(name="generic"),
    "gke": Platform(
        name="gke",
        cloud=True,
        shared_class="standard-rwx",
        spot_labels=(Match(key="cloud.google.com/gke-spot", values=("true",)),),
        spot_taints=(Toleration(key="cloud.google.com/gke-spot", value="true"),),
        outside=True,
        identity=(("169.254.169.254/32", 80), ("169.254.169.252/32", 988)),
        route_note="Google's load balancer ends a request after 30 s unless a BackendConfig (Ingress) or a "
        "GCPBackendPolicy (Gateway) says otherwise",
    ),
    "eks": Platform(
        name="eks",
        cloud=True,
        # Managed node groups and Karpenter name spot capacity differently.
        spot_labels=(
            Match(key="eks.amazonaws.com/capacityType", values=("SPOT",)),
            Match(key="karpenter.sh/capacity-type", values=("spot",)),
        ),
        service_annotations={"service.beta.kubernetes.io/aws-load-balancer-type": "nlb"},
        outside=True,
        identity=(("169.254.170.23/32", 80),),
        route_note="an Application Load Balancer ends an idle connection after 60 s",
    ),
    "aks": Platform(
        name="aks",
        cloud=True,
        shared_class="azurefile-csi-premium",
        # Node pools and node auto-provisioning (Karpenter) name spot capacity differently.
        spot_labels=(
            Match(key="kubernetes.azure.com/scalesetpriority", values=("spot",)),
            Match(key="karpenter.sh/capacity-type", values=("spot",)),
        ),
        spot_taints=(Toleration(key="kubernetes.azure.com/scalesetpriority", value="spot"),),
        taints=(Toleration(key="sku", value="gpu"),),
        # A10 sizes take the vGPU driver (GRID) only, 570.211.01; others have 580.159.04 (Azure/karpenter-provider-azure
        # v1.14.0, pkg/utils/gpu.go, as in AKS' own pools: github.com/Azure/AKS issue 5875, Azure/AgentBaker pull request 8811).
        drivers={"A10-24GB": 570},
        outside=True,
        identity=(("169.254.169.254/32", 80),),
    ),
}


def platform(name: str) -> Platform:
    """The platform of a spec's target."""
    return PLATFORMS[name]


def node_terms(
    where: Platform, instance_types: tuple[str, ...], product: str | None, *, spot: bool
) -> tuple[tuple[Match, ...], ...]:
    """Node selector terms, alternatives of each other: machine types on clouds, the GPU's label elsewhere.

    None where a ComputeClass chooses: `node_selector` names it.
    """
    matches: tuple[Match, ...] = ()
    if COMPUTE_CLASS in node_selector(where, instance_types):
        return ()
    if where.cloud and instance_types:
        matches = (Match(key=INSTANCE_TYPE, values=instance_types),)
    elif not where.cloud and product:
        matches = (Match(key=PRODUCT, values=(product,)),)
    if spot and where.spot_labels:
        return tuple((*matches, label) for label in where.spot_labels)
    return (matches,) if matches else ()


def node_selector(where: Platform, instance_types: tuple[str, ...]) -> dict[str, str]:
    """The ComputeClass or Karpenter NodePool that makes a pod's nodes.

    The class by `nodeSelector`, as GKE's documentation asks for in every place ("About custom ComputeClasses": the label
    cloud.google.com/compute-class, one class a pod). It says nothing of what node affinity does there. The pool since
    Karpenter takes the first that fits: with stand-ins that is often another model's, whose limit does not count this one.
    """
    first = instance_types[0] if instance_types else ""
    found = {COMPUTE_CLASS: where.classes.get(first), NODE_POOL: where.node_pools.get(first)}
    return {label: name for label, name in found.items() if name}


def tolerations(where: Platform, resource: str | None, *, spot: bool) -> tuple[Toleration, ...]:
    """Taints that GPU nodes carry: the resource's own name, and what the platform adds."""
    gpu = (Toleration(key=resource), *where.taints) if resource else ()
    return (*gpu, *(where.spot_taints if spot else ()))
