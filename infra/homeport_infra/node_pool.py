"""A pool of GPU nodes as a cloud resource, on GKE, EKS or AKS.

The clouds' packages are large and come with extras (`homeport[gcp]`, `[aws]`, `[azure]`): each is imported by the
module of its cloud, and only where a pool of that cloud is registered.
"""

from decimal import Decimal
from typing import Literal

import pulumi

from homeport.errors import MissingExtra

TAINT = "nvidia.com/gpu"
"""Key of the taint that keeps everything but GPU pods away; the pods of every model tolerate it."""

EXTRAS = {"gke": "gcp", "eks": "aws", "aks": "azure"}


class GpuNodePoolArgs:
    """What a pool of GPU nodes needs to know, on any cloud."""

    def __init__(
        self,
        *,
        platform: Literal["gke", "eks", "aks"],
        cluster: pulumi.Input[str],
        instance_types: list[str],
        gpu: str,
        gpus_per_node: int,
        min_nodes: int,
        max_nodes: int,
        disk_gb: int,
        spot: bool = False,
        zones: list[str] | None = None,
        reservation: str | None = None,
        labels: dict[str, str] | None = None,
        location: pulumi.Input[str] = "",
        resource_group: pulumi.Input[str] = "",
        subnets: pulumi.Input[list[str]] | None = None,
        node_role: pulumi.Input[str] = "",
        accelerator: str = "",
        usd_per_month: Decimal | float | None = None,
    ) -> None:
        """`gpu` is an id of homeport's catalog, `cluster` the cluster's name; node counts are of the whole pool.

        `instance_types`: EKS takes several, GKE and AKS the first. `disk_gb` is as the cloud counts. `reservation`: a name
        (GKE), the id of a capacity reservation (EKS) or of a capacity reservation group (AKS).
        GKE needs `location` (the cluster's region or zone) and `accelerator`, what Google's API calls the GPU; EKS
        `subnets` (ids; they decide the zones) and `node_role` (ARN), and takes a region as `location` (empty: the
        provider's); AKS `resource_group`. `usd_per_month` is what the nodes that are expected to run cost, USD a month
        (None: unknown); the output hands it on.
        """
        self.platform = platform
        self.cluster = cluster
        self.instance_types = instance_types
        self.gpu = gpu
        self.gpus_per_node = gpus_per_node
        self.min_nodes = min_nodes
        self.max_nodes = max_nodes
        self.disk_gb = disk_gb
        self.spot = spot
        self.zones = zones
        self.reservation = reservation
        self.labels = labels or {}
        self.location = location
        self.resource_group = resource_group
        self.subnets = subnets
        self.node_role = node_role
        self.accelerator = accelerator
        self.usd_per_month = usd_per_month


class GpuNodePool(pulumi.ComponentResource):
    """A pool of GPU nodes, scaled within its limits, tainted so that only GPU pods land there.

    Outputs: `pool_name`; `usd_per_month`, of the nodes that are expected to run (None: unknown); `gpus`, of all its nodes
    at most.
    """

    pool_name: pulumi.Output[str]
    usd_per_month: pulumi.Output[float | None]
    gpus: pulumi.Output[int]

    def __init__(self, name: str, args: GpuNodePoolArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Register the pool. Raises MissingExtra where the cloud's package is not installed."""
        super().__init__("homeport:index:GpuNodePool", name, None, opts)
        try:
            if args.platform == "gke":
                from homeport_infra.node_pool_gke import register
            elif args.platform == "eks":
                from homeport_infra.node_pool_eks import register
            else:
                from homeport_infra.node_pool_aks import register
        except ImportError as error:
            raise MissingExtra("up", EXTRAS[args.platform]) from error

        self.pool_name = register(name, args, self)
        dollars = None if args.usd_per_month is None else float(args.usd_per_month)
        self.usd_per_month = pulumi.Output.from_input(dollars)
        self.gpus = pulumi.Output.from_input(args.max_nodes * args.gpus_per_node)
        self.register_outputs(
            {"poolName": self.pool_name, "usdPerMonth": self.usd_per_month, "gpus": self.gpus}
        )
