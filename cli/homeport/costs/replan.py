"""A spec planned for other loads: the question that a breakeven asks many times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from homeport.costs.api import requests_per_day
from homeport.costs.lines import billed

if TYPE_CHECKING:
    from collections.abc import Callable

    from homeport.planning.plan import Planner
    from homeport.planning.types import Plan
    from homeport.spec.models import ModelSpec, Spec, Workload


class Replanner:
    """Plans a spec for any number of requests a day, shared among its models as the spec shares them."""

    def __init__(self, planner: Planner, spec: Spec) -> None:
        """`planner` remembers what it has worked out, so one serves all loads."""
        self._planner = planner
        self.spec = spec
        self._total = float(requests_per_day(spec))

    def __call__(self, load: float) -> Plan:
        """Plan for `load` requests a day, all models together. Raises SpecError where the spec cannot carry it."""

        def loaded(model: ModelSpec) -> ModelSpec:
            share = model.workload.requests_per_day / self._total
            workload = msgspec.structs.replace(model.workload, requests_per_day=load * share)
            return msgspec.structs.replace(model, workload=workload)

        models = tuple(loaded(model) for model in self.spec.models)
        return self.planned(msgspec.structs.replace(self.spec, models=models))

    def planned(self, spec: Spec) -> Plan:
        """Plan a spec of this one's models with other workloads. Raises SpecError where it cannot be carried."""
        return self._planner.plan(spec)

    def changed(self, change: Callable[[Workload], Workload]) -> Replanner:
        """Return one for the spec with every workload changed."""
        models = tuple(
            msgspec.structs.replace(model, workload=change(model.workload)) for model in self.spec.models
        )
        return Replanner(self._planner, msgspec.structs.replace(self.spec, models=models))

    def pinned(self, plan: Plan) -> Replanner:
        """Return one that keeps the GPUs of `plan` and their number in a replica."""
        chosen = {model.spec.name: model for model in plan.models}

        def kept(model: ModelSpec) -> ModelSpec:
            made = billed(chosen[model.name])
            if made.gpu is None:
                return model
            return msgspec.structs.replace(
                model,
                gpu=made.gpu.id,
                tensor_parallel_size=made.settings.tensor_parallel_size,
                pipeline_parallel_size=made.settings.pipeline_parallel_size,
            )

        models = tuple(kept(model) for model in self.spec.models)
        return Replanner(self._planner, msgspec.structs.replace(self.spec, models=models))
