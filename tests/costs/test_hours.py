"""Replicas follow the load of a day between their limits, and only what runs is paid for."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.costs.bill import cost
from homeport.costs.hours import HOURS, nodes_by_hour, packed, profile, replicas_by_hour, smooth
from homeport.costs.own import self_hosted
from homeport.costs.types import Options
from homeport.spec.models import Workload

Planner = Callable[..., Callable[[float], Any]]
OFFICE = (1, 1, 1, 1, 1, 2, 4, 8, 10, 12, 12, 12, 11, 12, 12, 11, 10, 8, 6, 5, 4, 3, 2, 1)
DAYS = st.lists(st.floats(0, 1000), min_size=HOURS, max_size=HOURS).filter(lambda hours: sum(hours) > 1)


def with_profile(planner: Planner, load: float, hours: tuple[float, ...] = OFFICE, **more: Any) -> Any:
    # The fake planner adds a replica for each 100,000 requests a day at its peak of 3; the profile's own is 1.92.
    return planner(usd_per_hour="10", workload={"day_profile": hours}, **more)(load)


def test_replicas_of_each_hour() -> None:
    from tests.costs.conftest import make_plan

    plan = make_plan(400_000, workload={"day_profile": (*[0] * 12, *[1] * 6, *[2] * 3, *[4] * 3)})
    assert replicas_by_hour(plan.models[0]) == (*[1] * 12, *[1] * 6, *[2] * 3, *[4] * 3)
    plan = make_plan(
        400_000, replicas_min=2, workload={"day_profile": (*[0] * 12, *[1] * 6, *[2] * 3, *[4] * 3)}
    )
    assert replicas_by_hour(plan.models[0]) == (*[2] * 12, *[2] * 6, *[2] * 3, *[4] * 3)
    assert nodes_by_hour(plan.pools[0], plan) == replicas_by_hour(plan.models[0])


def test_scale_to_zero_needs_hours_without_a_request(planner: Planner) -> None:
    plan = with_profile(planner, 100_000, (*[0.0] * 20, 1, 2, 4, 0.001), replicas_min=0)
    assert replicas_by_hour(plan.models[0]) == (*[0] * 20, 1, 1, 1, 1)


def test_a_day_profile_bills_the_hours_that_nodes_run(planner: Planner) -> None:
    plan = with_profile(planner, 400_000, (*[1.0] * 12, *[4.0] * 12))
    own = self_hosted(plan, Options())
    # One node for 12 hours and four for 12 are 60 node hours a day; a start takes no time here.
    assert own.lines[0].quantity == Decimal(60) * 730 / 24
    assert own.lines[0].usd_per_month == Decimal("18250.00")
    assert own.lines[0].estimated
    assert own.lines[0].note == "1 to 4 nodes in each hour of a day, as its load needs"
    around_the_clock = self_hosted(plan, Options(replica_hours="always"))
    assert around_the_clock.lines[0].quantity == 4 * 730
    assert not around_the_clock.lines[0].estimated


def test_each_start_is_paid_for(planner: Planner) -> None:
    plan = with_profile(planner, 400_000, (*[1.0] * 12, *[4.0] * 12), startup_s=600)
    # Three nodes start once a day, 600 s each.
    assert self_hosted(plan, Options()).lines[0].quantity == (Decimal("60.5") * 730 / 24).quantize(
        Decimal("0.01")
    )


def test_without_a_profile_a_smooth_day_is_simulated_where_asked(planner: Planner) -> None:
    plan = planner(usd_per_hour="10")(400_000)
    assert self_hosted(plan, Options()).lines[0].quantity == 2920
    bill = cost(planner(usd_per_hour="10"), 400_000, [], Options(replica_hours="simulated"))
    assert 730 < (bill.self_hosted.lines[0].quantity or 0) < 2920
    assert "assistant: a smooth day with one peak, 3 times its mean" in bill.assumptions


@settings(deadline=None)
@given(st.floats(1.0, 20.0))
def test_a_smooth_day_has_the_peak_that_was_asked_for(ratio: float) -> None:
    hours = smooth(ratio)
    assert max(hours) == 1
    assert HOURS / sum(hours) == pytest.approx(ratio, rel=1e-6)


def test_profile_is_relative_to_the_busiest_hour() -> None:
    work = Workload(requests_per_day=1, input_tokens=1, output_tokens=1, day_profile=OFFICE)
    assert profile(work)[9] == 1
    assert profile(work)[0] == pytest.approx(1 / 12)


@settings(deadline=None)
@given(DAYS, st.integers(1_000, 900_000), st.integers(1_000, 900_000), st.floats(0, 3600))
def test_more_load_never_costs_less(
    planner: Planner, hours: list[float], first: int, second: int, startup_s: float
) -> None:
    low, high = (
        self_hosted(with_profile(planner, load, tuple(hours), startup_s=startup_s), Options()).usd_per_month
        for load in sorted((first, second))
    )
    assert low is not None
    assert high is not None
    assert low <= high + Decimal("0.11")  # hours are rounded to a hundredth


@settings(deadline=None)
@given(DAYS, st.integers(1_000, 900_000))
def test_simulated_hours_lie_between_the_limits(planner: Planner, hours: list[float], load: int) -> None:
    plan = with_profile(planner, load, tuple(hours))
    running = replicas_by_hour(plan.models[0])
    real = plan.models[0]
    assert max(running) == real.replicas_planned
    assert min(running) >= real.replicas_min


@pytest.mark.parametrize(
    ("sizes", "node", "nodes"), [([4, 4, 4], 8, 2), ([1] * 9, 8, 2), ([], 8, 0), ([6, 2, 2], 8, 2)]
)
def test_packing(sizes: list[int], node: int, nodes: int) -> None:
    assert packed(sizes, node) == nodes
