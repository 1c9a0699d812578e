"""A spec planned for other loads: the question that a breakeven asks many times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from homeport.costs.api import requests_per_day

if TYPE_CHECKING:
    from collections.abc import Callable

    from homeport.planning.plan import Planner
    from homeport.planning.types import Plan
    from homeport.spec.models import Spec


def replanner(planner: Planner, spec: Spec) -> Callable[[float], Plan]:
    """Return a function that plans `spec` for so many requests a day, shared among its models as they are now."""
    total = float(requests_per_day(spec))

    def replan(load: float) -> Plan:
        models = tuple(
            msgspec.structs.replace(
                model,
                workload=msgspec.structs.replace(
                    model.workload, requests_per_day=load * (model.workload.requests_per_day / total)
                ),
            )
            for model in spec.models
        )
        return planner.plan(msgspec.structs.replace(spec, models=models))

    return replan
