"""The CrossGuard pack: the same policies in Pulumi's clothes.

The engine's own policy host needs Pulumi's Python language plugin, which is not here: the policies are called as it calls
them, with the arguments of its classes.
"""

from typing import Any

import pytest

pytest.importorskip("pulumi_policy")

from pulumi_policy import (
    PolicyResource,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)

from homeport_infra.policies import POLICIES
from homeport_infra.policy_pack import STACK, policies

BY_NAME = {policy.name: policy for policy in policies()}


def each(name: str, token: str, props: dict[str, Any], config: dict[str, Any] | None = None) -> list[str]:
    policy = BY_NAME[name]
    assert isinstance(policy, ResourceValidationPolicy)
    args = ResourceValidationArgs(token, props, "urn:one", "one", None, None, config or {})  # type: ignore[arg-type]
    found: list[str] = []
    policy.validate(args, lambda message, urn=None: found.append(message))  # type: ignore[operator]
    return found


def whole(outputs: dict[str, Any], config: dict[str, Any] | None = None) -> list[str]:
    policy = BY_NAME["budget"]
    assert isinstance(policy, StackValidationPolicy)
    stack = PolicyResource(STACK, outputs, "urn:stack", "stack", None, None, None, [], {})  # type: ignore[arg-type]
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


def test_the_budget_is_the_packs_or_the_specs() -> None:
    outputs = {
        "usdPerMonth": 120.0,
        "bill": {"self_hosted": {"at_least": True}, "budget_usd_per_month": 100.0},
    }
    assert "at least $120.00, $20.00 more than the budget of $100.00" in whole(outputs)[0]
    assert whole(outputs, {"usdPerMonth": 130}) == []
    assert whole({**outputs, "usdPerMonth": "unknown"}) == []
    assert whole({"usdPerMonth": 120.0, "bill": {"budget_usd_per_month": "none"}}) == []
