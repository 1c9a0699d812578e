"""Recorded inputs against the argument classes of the clouds' own packages, down to the last nested name.

Neither mocks nor the engine refuse a name that nobody knows, so a misspelt one would be lost in silence.
"""

import importlib
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pulumi import _types

from tests.infra.recorder import Registered

# Type token -> module and name of the class that describes its inputs.
CLASSES = {
    "gcp:container/cluster:Cluster": ("pulumi_gcp.container.cluster", "ClusterArgs"),
    "gcp:container/nodePool:NodePool": ("pulumi_gcp.container.node_pool", "NodePoolArgs"),
    "gcp:compute/router:Router": ("pulumi_gcp.compute.router", "RouterArgs"),
    "gcp:compute/routerNat:RouterNat": ("pulumi_gcp.compute.router_nat", "RouterNatArgs"),
    "aws:eks/cluster:Cluster": ("pulumi_aws.eks.cluster", "ClusterArgs"),
    "aws:eks/nodeGroup:NodeGroup": ("pulumi_aws.eks.node_group", "NodeGroupArgs"),
    "aws:ec2/launchTemplate:LaunchTemplate": ("pulumi_aws.ec2.launch_template", "LaunchTemplateArgs"),
    "aws:iam/role:Role": ("pulumi_aws.iam.role", "RoleArgs"),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": (
        "pulumi_aws.iam.role_policy_attachment",
        "RolePolicyAttachmentArgs",
    ),
    "eks:index:Cluster": ("pulumi_eks.cluster", "ClusterArgs"),
    "azure-native:containerservice:AgentPool": (
        "pulumi_azure_native.containerservice.agent_pool",
        "AgentPoolArgs",
    ),
    "azure-native:containerservice:ManagedCluster": (
        "pulumi_azure_native.containerservice.managed_cluster",
        "ManagedClusterArgs",
    ),
}


def clouds(found: Sequence[Registered]) -> list[Registered]:
    """The resources of clouds among those that were registered."""
    return [r for r in found if r.token.partition(":")[0] in ("gcp", "aws", "eks", "azure-native")]


def strangers(resource: Registered) -> list[str]:
    """Inputs that the package's class does not have, or that have another type, as `path: why`."""
    module, name = CLASSES[resource.token]
    return list(_wrong(getattr(importlib.import_module(module), name), resource.inputs, resource.token))


def _wrong(kind: Any, value: Any, path: str) -> Iterator[str]:
    if isinstance(value, Mapping) and set(value) == {"secret"}:
        value = value["secret"]
    if isinstance(kind, type) and kind.__name__.endswith("Args"):
        if not isinstance(value, Mapping):
            yield f"{path}: {value!r} is no object"
            return
        known = _types.input_type_types(kind)
        for key, item in value.items():
            if key not in known:
                yield f"{path}.{key}: no such input"
            else:
                yield from _wrong(known[key], item, f"{path}.{key}")
        return
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Union:
        found = [list(_wrong(part, value, path)) for part in parts if not _plumbing(part)]
        if all(found):
            yield from min(found, key=len)
    elif origin in (Sequence, list):
        if not isinstance(value, list):
            yield f"{path}: {value!r} is no list"
            return
        for number, item in enumerate(value):
            yield from _wrong(parts[0], item, f"{path}[{number}]")
    elif origin in (Mapping, dict):
        if not isinstance(value, Mapping):
            yield f"{path}: {value!r} is no mapping"
            return
        for key, item in value.items():
            yield from _wrong(parts[1], item, f"{path}.{key}")
    elif isinstance(kind, type) and not _fits(kind, value):
        yield f"{path}: {value!r} is no {kind.__name__}"


def _plumbing(part: Any) -> bool:
    """Outputs and awaitables: by the time that inputs are recorded, they are values."""
    return "Awaitable" in str(part) or "Output" in str(part) or part is type(None)


def _fits(kind: type, value: Any) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind in (str, bool):
        return isinstance(value, kind)
    # An enumeration: its value is what is recorded.
    return value in {getattr(member, "value", member) for member in getattr(kind, "__members__", {}).values()}
