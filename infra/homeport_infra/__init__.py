"""Pulumi components of homeport: the rendered objects as resources, GPU node pools and the platform."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from homeport_infra.aks_cluster import AksCluster, AksClusterArgs
    from homeport_infra.eks_cluster import EksCluster, EksClusterArgs
    from homeport_infra.gke_cluster import GkeCluster, GkeClusterArgs
    from homeport_infra.model_server import ModelServer, ModelServerArgs
    from homeport_infra.node_pool import GpuNodePool, GpuNodePoolArgs
    from homeport_infra.platform import Platform, PlatformArgs

__all__ = [
    "AksCluster",
    "AksClusterArgs",
    "EksCluster",
    "EksClusterArgs",
    "GkeCluster",
    "GkeClusterArgs",
    "GpuNodePool",
    "GpuNodePoolArgs",
    "ModelServer",
    "ModelServerArgs",
    "Platform",
    "PlatformArgs",
]
_HOMES = {
    "AksCluster": "aks_cluster",
    "EksCluster": "eks_cluster",
    "GkeCluster": "gke_cluster",
    "GpuNodePool": "node_pool",
    "ModelServer": "model_server",
    "Platform": "platform",
}


def __getattr__(name: str) -> Any:
    # The bill and the policies are pure functions: who asks only for them does not wait for pulumi's import.
    home = _HOMES.get(name.removesuffix("Args"))
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{home}"), name)
