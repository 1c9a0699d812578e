"""GPU node pools of a plan as cloud resources. GKE first; `homeport[gcp]` brings its provider."""

import math
from collections.abc import Sequence

import pulumi

from homeport.errors import MissingExtra
from homeport.manifests.types import Document
from homeport.planning.types import ModelPlan, Plan, Pool
from homeport_infra.manifest import parse

# What Google's API calls the accelerators of its machine types.
GKE_ACCELERATORS = {
    "H100-SXM-80GB": "nvidia-h100-80gb",
    "H200-SXM-141GB": "nvidia-h200-141gb",
    "B200-SXM-180GB": "nvidia-b200",
    "A100-SXM4-80GB": "nvidia-a100-80gb",
    "A100-SXM4-40GB": "nvidia-tesla-a100",
    "L4": "nvidia-l4",
    "T4": "nvidia-tesla-t4",
    "V100-SXM2-16GB": "nvidia-tesla-v100",
    "RTX-PRO-6000-BSE-96GB": "nvidia-rtx-pro-6000",
}
SYSTEM_GIB = 60
"""What the system, the engine's image (10 to 20 GB) and an older one beside it take of a boot disk (an assumption)."""
GKE_RESERVED_GIB = 100
GKE_EVICTION_SHARE = 0.1
GPU_TAINT = "nvidia.com/gpu"


class GpuNodePoolArgs:
    """What a pool of GPU nodes needs to know."""

    def __init__(
        self,
        *,
        cluster: pulumi.Input[str],
        location: pulumi.Input[str],
        machine_type: str,
        gpu: str,
        gpus_per_node: int,
        min_nodes: int,
        max_nodes: int,
        disk_gib: int,
        spot: bool = False,
        node_locations: list[str] | None = None,
    ) -> None:
        """`gpu` is an id of the catalog; node counts are of the whole pool; `location` is the cluster's."""
        self.cluster = cluster
        self.location = location
        self.machine_type = machine_type
        self.gpu = gpu
        self.gpus_per_node = gpus_per_node
        self.min_nodes = min_nodes
        self.max_nodes = max_nodes
        self.disk_gib = disk_gib
        self.spot = spot
        self.node_locations = node_locations


class GpuNodePool(pulumi.ComponentResource):
    """A pool of GPU nodes on GKE: autoscaled within its limits, tainted so that only GPU pods land there.

    Outputs: `pool_name`.
    """

    pool_name: pulumi.Output[str]

    def __init__(self, name: str, args: GpuNodePoolArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Register the pool. Raises ValueError for a GPU that GKE has no name for."""
        super().__init__("homeport:index:GpuNodePool", name, None, opts)
        try:
            from pulumi_gcp import container  # a quarter of a second: only a program with pools pays for it
        except ImportError as error:
            raise MissingExtra("up --cluster", "gcp") from error

        if args.gpu not in GKE_ACCELERATORS:
            raise ValueError(f"GKE has no accelerator for {args.gpu}; it has {', '.join(GKE_ACCELERATORS)}")
        pool = container.NodePool(
            name,
            cluster=args.cluster,
            location=args.location,
            node_locations=args.node_locations,
            initial_node_count=args.min_nodes,
            autoscaling=container.NodePoolAutoscalingArgs(
                total_min_node_count=args.min_nodes,
                total_max_node_count=args.max_nodes,
                location_policy="ANY",
            ),
            management=container.NodePoolManagementArgs(auto_repair=True, auto_upgrade=True),
            node_config=container.NodePoolNodeConfigArgs(
                machine_type=args.machine_type,
                spot=args.spot,
                disk_size_gb=args.disk_gib,
                image_type="COS_CONTAINERD",
                labels={"app.kubernetes.io/managed-by": "homeport"},
                # GKE taints GPU nodes by itself only when they join a cluster that has other nodes.
                taints=[
                    container.NodePoolNodeConfigTaintArgs(
                        key=GPU_TAINT, value="present", effect="NO_SCHEDULE"
                    )
                ],
                guest_accelerators=[
                    container.NodePoolNodeConfigGuestAcceleratorArgs(
                        type=GKE_ACCELERATORS[args.gpu],
                        count=args.gpus_per_node,
                        gpu_driver_installation_config=(
                            container.NodePoolNodeConfigGuestAcceleratorGpuDriverInstallationConfigArgs(
                                gpu_driver_version="LATEST"
                            )
                        ),
                    )
                ],
            ),
            # The autoscaler owns the number of nodes.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["initialNodeCount", "nodeCount"]),
        )
        self.pool_name = pool.name
        self.register_outputs({"poolName": self.pool_name})


def pool_limits(plan: Plan, pool: Pool) -> tuple[int, int]:
    """Least and most nodes of a pool: what the models' least and most replicas take, packed as they are planned."""
    members = [m for m in plan.models if m.spec.name in pool.models]
    return _nodes(members, pool, least=True), max(pool.node_count, _nodes(members, pool, least=False))


def _nodes(members: list[ModelPlan], pool: Pool, *, least: bool) -> int:
    whole = gpus = 0
    for model in members:
        replicas = model.replicas_min if least else model.replicas_max
        if model.nodes_per_replica > 1:
            whole += replicas * model.nodes_per_replica
        else:
            # A node takes as many replicas as it holds whole: what is left of it is lost to this model.
            per_node = pool.gpus_per_node // model.gpus_per_replica
            gpus += -(-replicas // per_node) * pool.gpus_per_node if replicas else 0
    return whole + -(-gpus // pool.gpus_per_node)


def disk_gib(plan: Plan, pool: Pool, documents: Sequence[Document]) -> int:
    """Boot disk of a pool's nodes, GiB: the system and images, and what the pods on a full node request of it.

    GKE keeps 10 % of a boot disk for eviction and min(half, 6 GiB + 35 %, 100 GiB) for itself (its documentation, "Plan
    GKE Standard node sizes"), so the disk is larger than the sum.
    """
    needed = float(SYSTEM_GIB)
    for model in plan.models:
        if model.spec.name not in pool.models:
            continue
        gpus = model.gpus_per_replica // model.nodes_per_replica
        requested = _ephemeral_gib([d for d in documents if d.model == model.spec.name])
        needed = max(needed, SYSTEM_GIB + requested * (pool.gpus_per_node // gpus))
    return math.ceil((needed + GKE_RESERVED_GIB) / (1 - GKE_EVICTION_SHARE))


def _ephemeral_gib(documents: Sequence[Document]) -> int:
    """What one pod of a model requests of the node's disk, GiB."""
    for document in documents:
        if document.kind not in ("Deployment", "LeaderWorkerSet"):
            continue
        spec = parse(document)["spec"]
        template = (
            spec["template"]
            if document.kind == "Deployment"
            else spec["leaderWorkerTemplate"]["workerTemplate"]
        )
        requests = template["spec"]["containers"][0]["resources"]["requests"]
        return int(str(requests.get("ephemeral-storage", "0Gi")).removesuffix("Gi"))
    return 0
