"""The CrossGuard pack: the same policies in Pulumi's clothes.

The engine's own policy host needs Pulumi's Python language plugin, which is not here: the policies are called as it calls
them, with the arguments of its classes.
"""

from typing import Any

import pytest

pytest.importorskip("pulumi_policy")

from google.protobuf import json_format, struct_pb2
from pulumi_policy import (
    PolicyResource,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.deserialize import deserialize_properties
from pulumi_policy.proxy import UnknownValueError, unknown_checking_proxy

from homeport_infra.gpu_pools import UNKNOWN
from homeport_infra.policies import POLICIES
from homeport_infra.policy_pack import STACK, policies

BY_NAME = {policy.name: policy for policy in policies()}


def handed(props: dict[str, Any]) -> dict[str, Any]:
    """As the host hands them over: out of protobuf (numbers are floats), in classes of its own for lists and mappings."""
    sent = json_format.MessageToDict(json_format.ParseDict(props, struct_pb2.Struct()))
    return unknown_checking_proxy(deserialize_properties(sent))


def each(name: str, token: str, props: dict[str, Any], config: dict[str, Any] | None = None) -> list[str]:
    policy = BY_NAME[name]
    assert isinstance(policy, ResourceValidationPolicy)
    # As the host does: a message of protobuf (its numbers are floats), and classes of its own around lists and mappings.
    sent = json_format.MessageToDict(json_format.ParseDict(props, struct_pb2.Struct()))
    args = ResourceValidationArgs(
        token,
        unknown_checking_proxy(deserialize_properties(sent)),
        "urn:one",
        "one",
        None,
        None,
        config or {},
    )  # type: ignore[arg-type]
    found: list[str] = []
    policy.validate(args, lambda message, urn=None: found.append(message))  # type: ignore[operator]
    return found


def whole(outputs: dict[str, Any], config: dict[str, Any] | None = None) -> list[str]:
    policy = BY_NAME["budget"]
    assert isinstance(policy, StackValidationPolicy)
    stack = PolicyResource(STACK, handed(outputs), "urn:stack", "stack", None, None, None, [], {})  # type: ignore[arg-type]
    found: list[str] = []
    policy.validate(
        StackValidationArgs([stack], config or {}, None), lambda message, urn=None: found.append(message)
    )  # type: ignore[operator, arg-type, call-arg]
    return found


def test_every_policy_is_in_the_pack() -> None:
    assert set(BY_NAME) == {policy.name for policy in POLICIES}


def test_a_resource_is_held_before_it_is_made() -> None:
    pod = {
        "spec": {"template": {"spec": {"containers": [{"name": "a", "image": "vllm/vllm-openai:latest"}]}}}
    }
    (message,) = each("no-latest-image", "kubernetes:apps/v1:Deployment", pod)
    assert message.startswith("one: container a runs 'vllm/vllm-openai:latest'")
    pool = {"location": "us-central1"}
    token = "gcp:container/nodePool:NodePool"
    assert each("residency", token, pool) == []
    assert "outside eu" in each("residency", token, pool, {"residency": ["eu"]})[0]
    assert "not one of the allowed" in each("residency", token, pool, {"allowedRegions": ["us-east1"]})[0]


GPU_POD = {"containers": [{"name": "a", "image": "a:1", "resources": {"limits": {"nvidia.com/gpu": 1}, "requests": {"nvidia.com/gpu": 1}}}]}  # fmt: skip
TAINT = {"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}
L4 = {"machineType": "g2-standard-24", "guestAccelerators": [{"type": "nvidia-l4", "count": 2}]}


@pytest.mark.parametrize(
    ("token", "right", "wrong"),
    [
        (
            "kubernetes:apps/v1:Deployment",
            {"spec": {"template": {"spec": {**GPU_POD, "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}]}}}},
            {"spec": {"template": {"spec": GPU_POD}}},
        ),
        (
            "kubernetes:jobset.x-k8s.io/v1alpha2:JobSet",
            {"spec": {"replicatedJobs": []}},
            {"spec": {"replicatedJobs": [{"template": {"spec": {"template": {"spec": GPU_POD}}}}]}},
        ),
        (
            "gcp:container/nodePool:NodePool",
            {"nodeConfig": {**L4, "taints": [TAINT]}, "autoscaling": {"totalMaxNodeCount": 3}},
            {"nodeConfig": {**L4, "taints": [{**TAINT, "effect": "PREFER_NO_SCHEDULE"}]}, "autoscaling": {"totalMaxNodeCount": 3}},
        ),
        (
            "gcp:container/cluster:Cluster",
            {"nodeConfig": {**L4, "taints": [TAINT]}, "initialNodeCount": 1},
            {"nodeConfig": L4, "initialNodeCount": 1},
        ),
        (
            "aws:eks/nodeGroup:NodeGroup",
            {"instanceTypes": ["g6.xlarge"], "taints": [TAINT], "scalingConfig": {"maxSize": 3}},
            {"instanceTypes": ["g6.xlarge"], "scalingConfig": {"maxSize": 3}},
        ),
        (
            "azure-native:containerservice:ManagedCluster",
            {"agentPoolProfiles": [{"name": "gpu", "vmSize": "Standard_NC24ads_A100_v4", "nodeTaints": ["nvidia.com/gpu=present:NoSchedule"], "maxCount": 2}]},
            {"agentPoolProfiles": [{"name": "gpu", "vmSize": "Standard_NC24ads_A100_v4", "maxCount": 2}]},
        ),
        (
            "kubernetes:karpenter.sh/v1:NodePool",
            {"spec": {"limits": {"nvidia.com/gpu": 8}, "template": {"spec": {"taints": [TAINT]}}}},
            {"spec": {"template": {"spec": {"taints": [TAINT]}}}},
        ),
    ],
)  # fmt: skip
def test_gpus_are_seen_in_what_the_host_hands_over(
    token: str, right: dict[str, Any], wrong: dict[str, Any]
) -> None:
    assert each("gpu-needs-taint-and-limit", token, right) == []
    assert len(each("gpu-needs-taint-and-limit", token, wrong)) == 1


def test_what_is_not_known_yet_is_the_hosts_to_tell() -> None:
    with pytest.raises(UnknownValueError):
        each("gpu-needs-taint-and-limit", "aws:eks/nodeGroup:NodeGroup", {"instanceTypes": UNKNOWN})


def test_the_budget_is_the_packs_or_the_specs() -> None:
    outputs = {
        "usdPerMonth": 120.0,
        "bill": {"self_hosted": {"at_least": True}, "budget_usd_per_month": 100.0},
    }
    assert "at least $120.00, $20.00 more than the budget of $100.00" in whole(outputs)[0]
    assert whole(outputs, {"usdPerMonth": 130}) == []
    assert whole({**outputs, "usdPerMonth": "unknown"}) == []
    assert whole({"usdPerMonth": 120.0, "bill": {"budget_usd_per_month": "none"}}) == []
