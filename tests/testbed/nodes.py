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
Not verified: that AKS taints a Spot pool with kubernetes.azure.com/scalesetpriority=spot, the GPU operator's
nvidia.com/gpu.deploy.* labels, and the vCPUs and memory in SIZES, which are from memory. GPUs of a machine type are
those of homeport's catalogue.
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
    """One fake node. `memory_gib` and `disk_gib` are its capacity; a kubelet keeps a part of them (`reserved`)."""

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
        capacity = {
            "cpu": str(self.cpus),
            "memory": f"{round(self.memory_gib * 1024)}Mi",
            "ephemeral-storage": f"{self.disk_gib}Gi",
            "pods": "110",
        }
        # What GKE documents for large machines: 0.5% of the CPUs at most, and 2-6% of the memory stay with the system.
        allocatable = {
            **capacity,
            "cpu": f"{round(self.cpus * 995)}m",
            "memory": f"{round(self.memory_gib * 1024 * 0.95)}Mi",
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


# vCPUs and memory in GiB of machine types. Not verified: see above.
SIZES: dict[str, tuple[int, float]] = {
    "a3-highgpu-1g": (26, 234), "a3-highgpu-2g": (52, 468), "a3-highgpu-4g": (104, 936), "a3-highgpu-8g": (208, 1872),
    "a3-ultragpu-8g": (224, 2952), "a2-highgpu-1g": (12, 85), "a2-highgpu-2g": (24, 170), "a2-highgpu-4g": (48, 340),
    "a2-highgpu-8g": (96, 680), "a2-megagpu-16g": (96, 1360), "a2-ultragpu-1g": (12, 170), "a2-ultragpu-2g": (24, 340), "a2-ultragpu-4g": (48, 680),
    "a2-ultragpu-8g": (96, 1360), "g2-standard-4": (4, 16), "g2-standard-8": (8, 32), "g2-standard-12": (12, 48),
    "g2-standard-16": (16, 64), "g2-standard-24": (24, 96), "g2-standard-32": (32, 128), "g2-standard-48": (48, 192),
    "g2-standard-96": (96, 384), "g4-standard-48": (48, 180), "g4-standard-96": (96, 360),
    "p5.4xlarge": (16, 256), "p5.48xlarge": (192, 2048), "p5en.48xlarge": (192, 2048), "p5e.48xlarge": (192, 2048),
    "p3.16xlarge": (64, 488), "p4d.24xlarge": (96, 1152), "p4de.24xlarge": (96, 1152), "g5.xlarge": (4, 16), "g5.2xlarge": (8, 32),
    "g5.12xlarge": (48, 192), "g5.48xlarge": (192, 768), "g6.xlarge": (4, 16), "g6.2xlarge": (8, 32),
    "g6.4xlarge": (16, 64), "g6.8xlarge": (32, 128), "g6.12xlarge": (48, 192), "g6.24xlarge": (96, 384),
    "g6.48xlarge": (192, 768), "g6e.xlarge": (4, 32), "g6e.2xlarge": (8, 64), "g6e.4xlarge": (16, 128),
    "g6e.8xlarge": (32, 256), "g7e.2xlarge": (8, 64), "g7e.12xlarge": (48, 512), "g4dn.xlarge": (4, 16),
    "g4dn.12xlarge": (48, 192), "g6e.12xlarge": (48, 384), "g6e.24xlarge": (96, 768), "g6e.48xlarge": (192, 1536),
    "Standard_NC24ads_A100_v4": (24, 220), "Standard_NC48ads_A100_v4": (48, 440), "Standard_NC96ads_A100_v4": (96, 880),
    "Standard_NC40ads_H100_v5": (40, 320), "Standard_NC80adis_H100_v5": (80, 640),
    "Standard_ND96isr_H100_v5": (96, 1900), "Standard_ND96isr_H200_v5": (96, 1850),
    "Standard_NC4as_T4_v3": (4, 28), "Standard_NC64as_T4_v3": (64, 440),
    "Standard_NV36ads_A10_v5": (36, 440), "Standard_NV72ads_A10_v5": (72, 880),
}  # fmt: skip

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

    Raises LookupError where homeport's catalogue or SIZES has no such machine type.
    """
    from homeport.catalog.prices import instances

    row = next((row for row in instances(CLOUDS[platform]) if row.instance_type == instance), None)
    if row is None or instance not in SIZES:
        raise LookupError(f"no size of {instance}: add it to SIZES")
    cpus, memory = SIZES[instance]
    labels = {"node.kubernetes.io/instance-type": instance, **_pool_labels(platform, row.gpu, spot=spot)}
    return Node(
        name=name,
        labels=labels,
        taints=_pool_taints(platform, spot=spot),
        cpus=cpus,
        memory_gib=memory,
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
    platform = plan.spec.target.platform
    found: list[Node] = []
    for pool in plan.pools:
        for _ in range(pool.node_count):
            name = f"{pool.gpu.split('-')[0].lower()}-{len(found) + 1}"
            if pool.instance_type:
                found.append(of_instance(platform, pool.instance_type, name=name, spot=spot))
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
