"""The policies as a CrossGuard pack, for plain `pulumi preview|up --policy-pack` and for other people's programs.

Every policy is a function of `homeport_infra.policies`; here they only get Pulumi's clothes. `budget` looks at the outputs that
homeport's program exports (`usdPerMonth`, `bill`), the others at each resource before it is made.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    PolicyConfigSchema,
    PolicyPack,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.policy import Policy as PulumiPolicy

from homeport.catalog.zones import Bounds
from homeport_infra.bill import OUTPUT
from homeport_infra.gpu_pools import Resource
from homeport_infra.policies import POLICIES, Limits, Policy

NAME = "homeport"
WHOLE_STACK = ("budget",)
STACK = "pulumi:pulumi:Stack"
LEVELS = {"mandatory": EnforcementLevel.MANDATORY, "advisory": EnforcementLevel.ADVISORY}
BUDGET = PolicyConfigSchema(
    properties={
        "usdPerMonth": {
            "type": "number",
            "minimum": 0,
            "description": "Most that a month may cost, USD; without it, the spec's own budget",
        }
    }
)
TEXTS = {"type": "array", "items": {"type": "string"}, "default": []}
PLACES = PolicyConfigSchema(
    properties={
        "residency": {**TEXTS, "description": "Zones or countries that data may be in: eu, de, us-gov"},
        "allowedRegions": {**TEXTS, "description": "Cloud regions that may be used; empty: any inside the residency"},
    }
)  # fmt: skip
Report = Callable[..., None]


def policies() -> list[PulumiPolicy]:
    """Every policy in Pulumi's clothes."""
    return [_whole(policy) if policy.name in WHOLE_STACK else _each(policy) for policy in POLICIES]


def pack() -> PolicyPack:
    """Serve the pack to the engine that started this program."""
    return PolicyPack(NAME, policies())


def _each(policy: Policy) -> ResourceValidationPolicy:
    def validate(args: ResourceValidationArgs, report: Report) -> None:
        resource = Resource(token=args.resource_type, name=args.name, inputs=args.props)
        _report(policy, [resource], Limits(bounds=_bounds(args.get_config())), report)

    return ResourceValidationPolicy(
        name=policy.name,
        description=policy.description,
        validate=validate,
        enforcement_level=LEVELS[policy.enforcement],
        config_schema=PLACES if policy.name == "residency" else None,
    )


def _whole(policy: Policy) -> StackValidationPolicy:
    def validate(args: StackValidationArgs, report: Report) -> None:
        limit = args.get_config().get("usdPerMonth")
        for resource in args.resources:
            if resource.resource_type == STACK:
                _report(policy, [], _limits(resource.props, limit), report)

    return StackValidationPolicy(
        name=policy.name,
        description=policy.description,
        validate=validate,
        enforcement_level=LEVELS[policy.enforcement],
        config_schema=BUDGET,
    )


def _report(policy: Policy, resources: Sequence[Resource], limits: Limits, report: Report) -> None:
    for name, message, advice in policy.check(resources, limits):
        report(f"{name}: {message}; {advice}" if name else f"{message}; {advice}")


def _bounds(config: Mapping[str, Any]) -> Bounds:
    zones, regions = (tuple(config.get(key) or ()) for key in ("residency", "allowedRegions"))
    return Bounds(zones=(zones,) if zones else (), regions=regions)


def _limits(outputs: Mapping[str, Any], limit: float | None) -> Limits:
    bill = outputs.get(OUTPUT) or {}
    amount = outputs.get("usdPerMonth")
    budget = limit if limit is not None else bill.get("budget_usd_per_month")
    return Limits(
        usd_per_month=_decimal(amount),
        at_least=bool((bill.get("self_hosted") or {}).get("at_least")),
        budget=_decimal(budget),
    )


def _decimal(value: Any) -> Decimal | None:
    """A number of the outputs; "unknown" and "none" are no number."""
    return Decimal(str(value)) if isinstance(value, int | float) and not isinstance(value, bool) else None
