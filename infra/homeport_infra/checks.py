"""The policies, held against a plan before anything is changed, and against what a preview would register."""

from collections.abc import Sequence

from homeport.manifests.render import documents
from homeport.planning.compliance import bounds_of
from homeport.planning.hardware import region_of
from homeport.planning.types import Plan
from homeport_infra.bill import StackBill
from homeport_infra.events import Step
from homeport_infra.gpu_pools import Resource
from homeport_infra.manifest import token
from homeport_infra.policies import Limits, Violation, check
from homeport_infra.settings import Settings


def limits(plan: Plan, settings: Settings, bill: StackBill) -> Limits:
    """What the policies compare a stack with."""
    return Limits(
        usd_per_month=bill.usd_per_month,
        at_least=bill.at_least,
        budget=bill.budget,
        bounds=bounds_of(plan.spec),
        region=settings.location or region_of(plan.spec.target),
    )


def rendered(plan: Plan, settings: Settings, bill: StackBill) -> list[Violation]:
    """Hold the policies against the objects that a plan renders to."""
    found: list[Resource] = []
    if "models" in settings.layers_of(plan):
        for document in documents(plan):
            value = document.object()
            kind = token(value["apiVersion"], value["kind"])
            found.append(Resource(token=kind, name=document.name, inputs=value))
    return check(found, limits(plan, settings, bill))


def registered(steps: Sequence[Step], plan: Plan, settings: Settings, bill: StackBill) -> list[Violation]:
    """Hold the policies against what a preview registered, cloud resources included."""
    found = [
        Resource(token=step.token, name=step.label, inputs=step.new, id=step.id)
        for step in steps
        if step.new is not None and step.verb != "delete"
    ]
    return check(found, limits(plan, settings, bill))
