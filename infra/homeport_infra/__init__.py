"""Pulumi components of homeport: the rendered objects as resources, GPU node pools and the platform."""

from homeport_infra.model_server import ModelServer, ModelServerArgs
from homeport_infra.node_pool import GpuNodePool, GpuNodePoolArgs
from homeport_infra.platform import Platform, PlatformArgs

__all__ = [
    "GpuNodePool",
    "GpuNodePoolArgs",
    "ModelServer",
    "ModelServerArgs",
    "Platform",
    "PlatformArgs",
]
