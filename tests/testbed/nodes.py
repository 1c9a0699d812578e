"""Fake GPU nodes as they come from the clouds' node pools and from the GPU operator on bare metal.

A node has the labels, the taint and the capacity that a real one of its pool has; kwok makes it Ready and its pods
Running. Looked up in 2026-11:
- GKE's accelerator names (cloud.google.com/kubernetes-engine/docs/how-to/gpus), and that it taints a GPU pool with
  nvidia.com/gpu=present only in a cluster that has other pools; that a Spot pool has the label
  cloud.google.com/gke-spot=true, while the taint of that name is its user's to set (…/how-to/spot-vms).
- AKS's label kubernetes.azure.com/accelerator=nvidia (learn.microsoft.com/azure/aks/use-labels), and that its taint
  `sku=gpu` is a convention of its guides.
- EKS's labels of managed node groups, as nodes show them (eks.amazonaws.com/capacityType=SPOT or ON_DEMAND).
- GPU feature discovery's labels (github.com/NVIDIA/k8s-device-plugin/tree/main/docs/gpu-feature-discovery).
Not verified: that AKS taints a Spot pool with kubernetes.azure.com/scalesetpriority=spot, and the GPU operator's
nvidia.com/gpu.deploy.* labels. GPUs, vCPUs and memory of a machine type are those of homeport's catalogue, and of these a
kubelet keeps what homeport's planning counts with.
"""

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from homeport.planning.types import Plan


class Taint(msgspec.Struct, frozen=True):
    """A taint with the effect NoSchedule."""

    key: str
    value: str = ""


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One fake node. `memory_gib` and `disk_gib` are its capacity; a kubelet keeps a part of them."""

    name: str
    labels: dict[str, str]
    taints: tuple[Taint, ...] = ()
    cpus: int
    memory_gib: float
    gpus: int = 0
    disk_gib: int = 1000
    zone: str = ""

    def document(self) -> dict[str, Any]:
        """The Node object, status included: the API server takes it on creation, as it does from a kubelet."""
        from homeport.planning.room import allocatable as left

        rest = left(self.cpus, self.memory_gib)
        capacity = {
            "cpu": str(self.cpus),
            "memory": f"{round(self.memory_gib * 1024)}Mi",
            "ephemeral-storage": f"{self.disk_gib}Gi",
            "pods": "110",
        }
        allocatable = {
            **capacity,
            "cpu": f"{round(rest.cpus * 1000)}m",
            "memory": f"{round(rest.memory_gib * 1024)}Mi",
            "ephemeral-storage": f"{round(self.disk_gib * 0.9)}Gi",
        }
        if self.gpus:
            capacity["nvidia.com/gpu"] = allocatable["nvidia.com/gpu"] = str(self.gpus)
        labels = {
            "kubernetes.io/hostname": self.name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
            **({"topology.kubernetes.io/zone": self.zone} if self.zone else {}),
            **self.labels,
        }
        taints = [
            {"key": t.key, "effect": "NoSchedule", **({"value": t.value} if t.value else {})}
            for t in self.taints
        ]
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self.name, "labels": labels},
            "spec": {"taints": taints} if taints else {},
            "status": {"capacity": capacity, "allocatable": allocatable},
        }


# GKE's values of cloud.google.com/gke-accelerator.
ACCELERATORS = {
    "H200-SXM-141GB": "nvidia-h200-141gb",
    "H100-SXM-80GB": "nvidia-h100-80gb",
    "A100-SXM4-80GB": "nvidia-a100-80gb",
    "A100-SXM4-40GB": "nvidia-tesla-a100",
    "L4": "nvidia-l4",
    "T4": "nvidia-tesla-t4",
}
CLOUDS = {"gke": "gcp", "eks": "aws", "aks": "azure"}


def cpu(name: str = "cpu-1", *, cpus: int = 16, memory_gib: float = 64) -> Node:
    """A node without a GPU, as every cluster has for its system pods."""
    return Node(name=name, labels={}, cpus=cpus, memory_gib=memory_gib)


def of_instance(platform: str, instance: str, *, name: str, spot: bool = False, zone: str = "") -> Node:
    """A node of a cloud's GPU pool (`platform`: gke, eks or aks), by its machine type.

    Raises LookupError where homeport's catalogue has no such machine type, or not its size.
    """
    from homeport.catalog.machines import machine
    from homeport.catalog.prices import instances

    row = next((row for row in instances(CLOUDS[platform]) if row.instance_type == instance), None)
    size = machine(CLOUDS[platform], instance)
    if row is None or size is None:
        raise LookupError(f"no GPUs or no size of {instance} in the catalogue")
    labels = {"node.kubernetes.io/instance-type": instance, **_pool_labels(platform, row.gpu, spot=spot)}
    return Node(
        name=name,
        labels=labels,
        taints=_pool_taints(platform, spot=spot),
        cpus=size.vcpus,
        memory_gib=size.memory_gib,
        gpus=int(row.gpu_count),
        zone=zone,
    )


def bare_metal(
    gpu: str, count: int, *, name: str, cpus: int = 128, memory_gib: float = 2048, disk_gib: int = 4000
) -> Node:
    """A node of one's own with the GPU operator: `gpu` is an id of homeport's catalogue, `count` how many it has."""
    from homeport.catalog.gpus import gpu as known

    row = known(gpu)
    labels = {
        "nvidia.com/gpu.present": "true",
        "nvidia.com/gpu.count": str(count),
        "nvidia.com/gpu.product": row.kubernetes_product_label or "",
        "nvidia.com/gpu.memory": str(row.memory_mib_driver or ""),
        "nvidia.com/gpu.deploy.device-plugin": "true",
        "nvidia.com/mig.capable": "false",
        "feature.node.kubernetes.io/pci-10de.present": "true",
    }
    taints = (Taint("nvidia.com/gpu"),)
    return Node(
        name=name,
        labels=labels,
        taints=taints,
        cpus=cpus,
        memory_gib=memory_gib,
        gpus=count,
        disk_gib=disk_gib,
    )


def _pool_labels(platform: str, gpu: str, *, spot: bool) -> dict[str, str]:
    if platform == "gke":
        return {
            "cloud.google.com/gke-nodepool": "gpu",
            **({"cloud.google.com/gke-accelerator": ACCELERATORS[gpu]} if gpu in ACCELERATORS else {}),
            **({"cloud.google.com/gke-spot": "true"} if spot else {}),
        }
    if platform == "eks":
        return {
            "eks.amazonaws.com/nodegroup": "gpu",
            "eks.amazonaws.com/capacityType": "SPOT" if spot else "ON_DEMAND",
        }
    return {
        "kubernetes.azure.com/agentpool": "gpu",
        "kubernetes.azure.com/mode": "user",
        "kubernetes.azure.com/accelerator": "nvidia",
        **({"kubernetes.azure.com/scalesetpriority": "spot"} if spot else {}),
    }


def _pool_taints(platform: str, *, spot: bool) -> tuple[Taint, ...]:
    if platform == "gke":  # GKE puts this taint on every pool with accelerators
        return (
            Taint("nvidia.com/gpu", "present"),
            *((Taint("cloud.google.com/gke-spot", "true"),) if spot else ()),
        )
    if platform == "eks":  # the taint of the guides and of Pulumi's and eksctl's examples: a user sets it
        return (Taint("nvidia.com/gpu", "true"),)
    return (
        Taint("sku", "gpu"),
        *((Taint("kubernetes.azure.com/scalesetpriority", "spot"),) if spot else ()),
    )


def of_plan(plan: "Plan", *, spot: bool = False) -> list[Node]:
    """The GPU nodes that a plan counts with, one pool after the other: `a100-1`, `a100-2`, `l40s-3`, …"""
    from homeport.manifests.provisioning import pool_name

    platform = plan.spec.target.platform
    by_karpenter = plan.spec.target.nodes.by in ("karpenter", "auto_provisioning")
    found: list[Node] = []
    for pool in plan.pools:
        # Karpenter's nodes have the name of the NodePool that they are of.
        more = {"karpenter.sh/nodepool": pool_name(plan, pool)} if by_karpenter else {}
        for _ in range(pool.node_count):
            name = f"{pool.gpu.split('-')[0].lower()}-{len(found) + 1}"
            if pool.instance_type:
                made = of_instance(platform, pool.instance_type, name=name, spot=spot)
                found.append(msgspec.structs.replace(made, labels={**made.labels, **more}))
            else:
                found.append(bare_metal(pool.gpu, pool.gpus_per_node, name=name))
    return found


def decoys(platform: str) -> list[Node]:
    """Nodes on which no pod of a GPU server belongs: one without GPUs, and one with GPUs that no plan of a test chooses."""
    if platform in CLOUDS:
        wrong = {"gke": "a2-megagpu-16g", "eks": "p3.16xlarge", "aks": "Standard_NC64as_T4_v3"}[platform]
        return [cpu("decoy-cpu"), of_instance(platform, wrong, name="decoy-gpu")]
    return [cpu("decoy-cpu"), bare_metal("V100-SXM2-16GB", 8, name="decoy-gpu")]


def named(node: Node, name: str) -> Node:
    """The same node under another name."""
    return msgspec.structs.replace(node, name=name)
