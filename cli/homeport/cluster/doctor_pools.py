"""The commands that bring newer software to the control plane and to node pools: each cloud has its own."""

import shlex
from collections.abc import Iterable

from homeport.cluster.doctor_types import Object
from homeport.spec.models import Target

POOL_LABELS = {
    "gke": ("cloud.google.com/gke-nodepool",),
    "eks": ("eks.amazonaws.com/nodegroup", "alpha.eksctl.io/nodegroup-name"),
    "aks": ("kubernetes.azure.com/agentpool", "agentpool"),
}
"""Labels in which a node says which pool it belongs to, the provider's own first."""

BY_OPERATOR = "nvidia.com/gpu.deploy.driver"
"""`true` on nodes whose driver the NVIDIA GPU operator runs as a container, `pre-installed` where it found one."""
NEW_OPERATOR_DRIVER = (
    "kubectl patch clusterpolicies.nvidia.com/cluster-policy --type json --patch "
    """'[{"op":"replace","path":"/spec/driver/version","value":"VERSION"}]'"""
)
"""As the operator's guide upgrades a driver (docs.nvidia.com, GPU Driver Upgrades)."""


def upgrade_server(target: Target, version: str) -> tuple[str, ...]:
    """Upgrade the control plane to a minor version (the next: none of the clouds skips one)."""
    place = _place(target)
    return {
        "gke": (
            f"gcloud container clusters upgrade CLUSTER --location {place} --master --cluster-version {version}",
        ),
        "eks": (f"eksctl upgrade cluster --name CLUSTER --region {place} --version {version} --approve",),
        "aks": (
            f"az aks upgrade --resource-group GROUP --name CLUSTER --control-plane-only --kubernetes-version {version}",
        ),
        "minikube": (f"minikube start --kubernetes-version v{version}.0",),
    }.get(target.platform, ("kubectl version",))


def upgrade_kubelets(target: Target, nodes: list[Object], version: str) -> tuple[str, ...]:
    """Upgrade the pools of some nodes, or show the kubelets' versions."""
    place = _place(target)
    command = {
        # Without a version GKE takes the control plane's.
        "gke": f"gcloud container clusters upgrade CLUSTER --location {place} --node-pool {{pool}}",
        "eks": f"eksctl upgrade nodegroup --cluster CLUSTER --region {place} --name {{pool}} --kubernetes-version {version}",
        "aks": "az aks nodepool upgrade --resource-group GROUP --cluster-name CLUSTER --name {pool} "
        f"--kubernetes-version {version}",
    }.get(target.platform)
    if command is None:
        return ("kubectl get nodes --output wide",)
    return tuple(command.format(pool=pool) for pool in _pools(target, nodes))


def newer_driver(target: Target, nodes: list[Object], label: str) -> tuple[str, ...]:
    """Give the pools of some nodes the newest driver (it comes with the node's image), or show which driver each has."""
    place = _place(target)
    command = {
        # GKE brings a driver of its image's; the image of an upgraded pool is newer.
        "gke": f"gcloud container clusters upgrade CLUSTER --location {place} --node-pool {{pool}}",
        "eks": f"eksctl upgrade nodegroup --cluster CLUSTER --region {place} --name {{pool}}",
        "aks": "az aks nodepool upgrade --resource-group GROUP --cluster-name CLUSTER --name {pool} --node-image-only",
    }.get(target.platform)
    show = f"kubectl get nodes --label-columns {label}"
    if any(_labels(node).get(BY_OPERATOR) == "true" for node in nodes):
        return (NEW_OPERATOR_DRIVER, show)
    if command is None:
        return (show,)
    return (*(command.format(pool=pool) for pool in _pools(target, nodes)), show)


def _pools(target: Target, nodes: Iterable[Object]) -> list[str]:
    found = dict.fromkeys(
        next(
            (labels[key] for key in POOL_LABELS[target.platform] if key in labels),
            "POOL",
        )
        for labels in map(_labels, nodes)
    )
    return [shlex.quote(pool) for pool in found]


def _labels(node: Object) -> dict[str, str]:
    found: dict[str, str] = node["metadata"].get("labels", {})
    return found


def _place(target: Target) -> str:
    return target.region or "REGION"
