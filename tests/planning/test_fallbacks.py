"""What could stand in for the planned instance type: the same replica, in order, and never without limit of cost."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from homeport.planning.fallbacks import DEAREST
from homeport.planning.output import model_values
from homeport.planning.plan import Planner
from homeport.planning.types import ModelPlan
from homeport.spec.models import Spec


def planned(*, explore: bool = False, **nodes: Any) -> ModelPlan:
    spec = {
        "version": 1,
        "name": "support",
        "target": {"platform": "eks", "nodes": nodes},
        "models": [
            {
                "name": "assistant",
                "model": "meta-llama/Llama-3.1-8B-Instruct",
                "workload": {"requests_per_day": 20000, "input_tokens": 1000, "output_tokens": 300},
            }
        ],
    }
    return Planner(Path(), explore=explore).plan(msgspec.convert(spec, Spec)).models[0]


def test_they_are_looked_for_where_somebody_asks() -> None:
    assert planned().fallbacks == ()
    explored = planned(explore=True)
    assert explored.fallbacks
    assert explored.nodes == planned().nodes, "what is only shown is not used"


def test_the_same_gpu_comes_first_then_the_cheapest() -> None:
    model = planned(by="karpenter", cluster="ml", fallbacks="any")
    assert model.nodes is not None
    assert model.gpu is not None
    assert model.usd_per_month is not None
    found = model.fallbacks
    assert [f.same_gpu for f in found] == sorted((f.same_gpu for f in found), reverse=True)
    assert {f.gpu for f in found if f.same_gpu} <= {model.gpu.id}
    for same in (True, False):
        costs = [f.usd_per_month for f in found if f.same_gpu is same]
        assert costs == sorted(costs, key=lambda cost: cost or 0)
    for one in found:
        assert one.gpus_per_node >= model.gpus_per_replica, "the replica fits into a node"
        assert one.usd_per_month is not None
        assert one.usd_per_month <= model.usd_per_month * DEAREST
        assert one.instance_type in model.nodes.instance_types, "and its pods may run there"
    assert model.nodes.instance_types[0] not in {f.instance_type for f in found}


@pytest.mark.parametrize("explore", [False, True])
def test_exploring_or_not_finds_the_same(explore: bool) -> None:
    plain = planned(by="karpenter", cluster="ml", fallbacks="any")
    assert (
        planned(explore=explore, by="karpenter", cluster="ml", fallbacks="any").fallbacks == plain.fallbacks
    )


def test_the_answer_has_them_with_what_they_cost() -> None:
    model = planned(explore=True)
    listed = model_values(model)["fallbacks"]
    assert [row["instance_type"] for row in listed] == [one.instance_type for one in model.fallbacks]
    for row, one in zip(listed, model.fallbacks, strict=True):
        assert row["nodes"] == one.node_count
        assert row["usd_per_month"] == one.usd_per_month
        assert row["price_assumption"] == one.price_assumption
