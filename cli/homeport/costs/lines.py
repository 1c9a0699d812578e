"""Lines of a bill: at a price that the user gave, or at one that nobody knows."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from homeport.costs.money import cents
from homeport.costs.types import Kind, Line

if TYPE_CHECKING:
    from homeport.planning.types import ModelPlan, Plan

GIVEN = "given by you"


def given(
    kind: Kind,
    item: str,
    quantity: Decimal,
    unit: str,
    unit_price: Decimal | None,
    models: tuple[str, ...],
    assumed: str | None = None,
) -> Line:
    """Return a line at a price that the user gave; an unknown one where none was given.

    `assumed` says what of the quantity is an assumption.
    """
    if unit_price is None:
        return unknown(kind, item, quantity, unit, models, assumed)
    return Line(
        kind=kind,
        item=item,
        quantity=quantity,
        unit=unit,
        unit_price_usd=unit_price,
        usd_per_month=cents(quantity * unit_price),
        source=GIVEN,
        as_of=None,
        estimated=assumed is not None,
        models=models,
        note=assumed,
    )


def unknown(
    kind: Kind,
    item: str,
    quantity: Decimal | None,
    unit: str,
    models: tuple[str, ...],
    note: str | None = None,
) -> Line:
    """Return a line whose price nobody knows."""
    return Line(
        kind=kind,
        item=item,
        quantity=quantity,
        unit=unit,
        unit_price_usd=None,
        usd_per_month=None,
        source=None,
        as_of=None,
        models=models,
        note=note,
    )


def names(plan: Plan) -> tuple[str, ...]:
    """Return the names of all deployments of a plan."""
    return tuple(model.spec.name for model in plan.models)


def billed(model: ModelPlan) -> ModelPlan:
    """Return what a model's bill is for: a simulated model's is that of the real one it stands for."""
    return model.stands_for or model
