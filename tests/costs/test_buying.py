"""GPUs are rented, reserved or bought; what is free for failures, and training, is paid for too."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.costs.api import api_bill
from homeport.costs.bill import cost
from homeport.costs.own import days_per_month, self_hosted
from homeport.costs.own_rest import api_engineering
from homeport.costs.types import Line, Options, SelfHosted
from homeport.spec.money import FineTuning, Hardware, Reserved
from tests.costs.test_bill import price

Planner = Callable[..., Callable[[float], Any]]


def of_kind(bill: SelfHosted, *kinds: str) -> list[Line]:
    return [line for line in bill.lines if line.kind in kinds]


def test_all_nodes_reserved(planner: Planner) -> None:
    plan = planner(usd_per_hour="10")(400_000)
    own = self_hosted(plan, Options(reserved=Reserved(usd_per_gpu_hour=1.5)))
    [line] = of_kind(own, "nodes")
    assert (line.quantity, line.unit_price_usd, line.usd_per_month) == (2920, 6, Decimal("17520.00"))
    assert line.item == "4 × a3-highgpu-4g (4 × H100-SXM-80GB), us-central1, reserved"
    assert line.source == "given by you"


def test_some_reserved_and_the_rest_by_the_hour(planner: Planner) -> None:
    plan = planner(usd_per_hour="10")(400_000)
    reserved = Reserved(usd_per_gpu_hour=1.5, gpus=11)
    own = self_hosted(plan, Options(reserved=reserved, scaled_share=Decimal("0.5")))
    first, second, third = of_kind(own, "nodes")
    # 11 GPUs are two nodes of 4; three more nobody can use, and they are paid for all the same.
    assert (first.quantity, first.usd_per_month) == (1460, Decimal("8760.00"))
    # One node is the least; two are reserved, so two scale.
    assert (second.quantity, second.usd_per_month) == (730, Decimal("7300.00"))
    assert third.item == "3 reserved GPUs that no node of the plan uses"
    assert third.usd_per_month == Decimal("3285.00")


def test_reserved_nodes_are_those_that_always_run(planner: Planner) -> None:
    hours = (*[1.0] * 12, *[4.0] * 12)
    plan = planner(usd_per_hour="10", workload={"day_profile": hours})(400_000)
    own = self_hosted(plan, Options(reserved=Reserved(usd_per_gpu_hour=1.5, gpus=4)))
    first, second = of_kind(own, "nodes")
    assert first.quantity == 730
    assert second.quantity == Decimal(36) * 730 / 24


def test_more_reserved_than_needed_is_paid_for(planner: Planner) -> None:
    own = self_hosted(planner()(100_000), Options(reserved=Reserved(usd_per_gpu_hour=2, gpus=16)))
    assert [line.usd_per_month for line in of_kind(own, "nodes")] == [Decimal("5840.00"), Decimal("17520.00")]


def test_bought_hardware_to_the_cent(planner: Planner) -> None:
    hardware = Hardware(
        usd_per_gpu=36_000,
        lifetime_years=4,
        kw_per_gpu=1.25,
        pue=1.4,
        usd_per_kwh=0.12,
        colocation_usd_per_gpu_month=50,
    )
    own = self_hosted(planner()(100_000), Options(hardware=hardware))
    bought, power, room = of_kind(own, "hardware", "power", "colocation")
    # Four GPUs: 36,000 / 48 months each; 4 x 1.25 kW x 1.4 x 730 h at $0.12.
    assert (bought.unit_price_usd, bought.usd_per_month) == (750, Decimal("3000.00"))
    assert (power.quantity, power.usd_per_month) == (5110, Decimal("613.20"))
    assert room.usd_per_month == Decimal("200.00")
    assert of_kind(own, "nodes") == []


@pytest.mark.parametrize(
    ("missing", "note"),
    [
        ("kw_per_gpu", "the power of a GPU is not given"),
        ("pue", "the PUE is not given"),
        ("usd_per_kwh", None),
    ],
)
def test_power_that_cannot_be_told_is_unknown(planner: Planner, missing: str, note: str | None) -> None:
    figures = {"kw_per_gpu": 1.25, "pue": 1.4, "usd_per_kwh": 0.12}
    del figures[missing]
    own = self_hosted(
        planner()(100_000), Options(hardware=Hardware(usd_per_gpu=1, lifetime_years=1, **figures))
    )
    [power] = of_kind(own, "power")
    assert power.usd_per_month is None
    assert own.at_least
    if note:
        assert power.note == note


def test_spot_is_named(planner: Planner) -> None:
    import msgspec

    plan = planner(usd_per_hour="3")(100_000)
    pool = msgspec.structs.replace(plan.pools[0], capacity="spot")
    own = self_hosted(msgspec.structs.replace(plan, pools=(pool,)), Options())
    assert own.lines[0].item.endswith(", us-central1, spot")


def test_headroom_is_paid_around_the_clock(planner: Planner) -> None:
    plan = planner(usd_per_hour="10")(400_000)
    own = self_hosted(plan, Options(headroom_nodes=2, scaled_share=Decimal("0.1")))
    [line] = of_kind(own, "headroom")
    assert (line.quantity, line.usd_per_month) == (1460, Decimal("14600.00"))
    bought = self_hosted(plan, Options(headroom_nodes=1, hardware=Hardware(usd_per_gpu=12, lifetime_years=1)))
    assert of_kind(bought, "hardware")[0].quantity == 20
    unknown = self_hosted(planner(usd_per_hour=None)(1), Options(headroom_nodes=1))
    assert of_kind(unknown, "headroom")[0].usd_per_month is None


def test_training_costs_what_a_planned_gpu_costs(planner: Planner) -> None:
    tuning = FineTuning(runs_per_month=2, gpu_hours=40)
    own = self_hosted(planner(usd_per_hour="10")(100_000), Options(fine_tuning=tuning))
    [line] = of_kind(own, "fine_tuning")
    assert (line.quantity, line.unit_price_usd, line.usd_per_month) == (80, Decimal("2.5"), Decimal("200.00"))
    assert (line.source, line.as_of) == ("a price page", "2026-08-03")
    given_price = FineTuning(runs_per_month=2, gpu_hours=40, usd_per_gpu_hour=3)
    own = self_hosted(planner()(100_000), Options(fine_tuning=given_price))
    assert of_kind(own, "fine_tuning")[0].usd_per_month == Decimal("240.00")
    unknown = self_hosted(planner(usd_per_hour=None)(1), Options(fine_tuning=tuning))
    assert of_kind(unknown, "fine_tuning")[0].usd_per_month is None


def test_people_are_billed_on_both_sides(planner: Planner) -> None:
    options = Options(engineering_usd_per_hour=Decimal(84))
    bill = cost(planner(), 100_000, [price()], options)
    [own] = of_kind(bill.self_hosted, "engineering")
    # 15 and 2 hours a week, a month of 730 hours: 65.18 and 8.69 hours.
    assert own.usd_per_month == Decimal("5475.00")
    assert own.note == "15 hours a week, the middle of the guide's 10 to 20"
    assert bill.api[0].usd_per_month == Decimal("18250.00") + Decimal("730.00")
    stated = Options(engineering_usd_per_hour=Decimal(84), engineering_hours_per_week=Decimal(0))
    [line] = of_kind(self_hosted(planner()(1), stated), "engineering")
    assert (line.usd_per_month, line.note) == (0, None)
    assert api_engineering(Options()) is None


def test_people_move_the_breakeven(planner: Planner) -> None:
    """The API's people cost the same at every load: what the breakeven says holds on both sides of it."""
    replan = planner(per_replica=30_000, usd_per_hour="4")
    options = Options(
        engineering_usd_per_hour=Decimal(300),
        engineering_hours_per_week=Decimal("0.5"),
        storage_usd_per_gib_month=Decimal(0),
        platform_usd_per_month=Decimal(0),
    )
    load = cost(replan, 100_000, [price()], options).breakeven[0].requests_per_day
    assert load is not None

    def difference(requests: int) -> Decimal:
        bill = cost(replan, requests, [price()], options)
        return (bill.self_hosted.usd_per_month or Decimal(0)) - (bill.api[0].usd_per_month or Decimal(0))

    assert difference(load - 1) >= Decimal("-0.01")
    assert all(difference(load * factor) < 0 for factor in (1, 2, 3, 10))
    assert load < (cost(replan, 100_000, [price()]).breakeven[0].requests_per_day or 0)


ways = st.sampled_from(["rented", "reserved", "bought"])


@settings(deadline=None)
@given(ways, st.floats(0.01, 50), st.floats(0.01, 50), st.integers(1, 900_000), st.integers(0, 40))
def test_a_cheaper_gpu_never_raises_the_total(
    planner: Planner, way: str, first: float, second: float, load: int, gpus: int
) -> None:
    plan = planner(usd_per_hour="10")(load)

    def total(usd: float) -> Decimal:
        if way == "rented":
            options = Options(gpu_usd_per_hour=Decimal(str(usd)))
        elif way == "reserved":
            options = Options(reserved=Reserved(usd_per_gpu_hour=usd, gpus=gpus or None))
        else:
            options = Options(hardware=Hardware(usd_per_gpu=usd * 10_000, lifetime_years=4))
        return self_hosted(plan, options).usd_per_month or Decimal(0)

    low, high = sorted((first, second))
    assert total(low) <= total(high)


def test_the_guide_says_what_it_does_not_take(planner: Planner) -> None:
    options = Options(method="guide", headroom_nodes=1, reserved=Reserved(usd_per_gpu_hour=1))
    bill = cost(planner(), 100_000, [price()], options)
    assert bill.self_hosted.usd_per_month == Decimal("10514.40")
    assert "the guide has figures of its own for costs.reserved, costs.headroom_nodes" in bill.assumptions


WAYS = {
    "rented by the hour": Options(),
    "a share of the month": Options(scaled_share=Decimal("0.37")),
    "reserved in part": Options(reserved=Reserved(usd_per_gpu_hour=1.25, gpus=13)),
    "bought": Options(hardware=Hardware(usd_per_gpu=40_000, lifetime_years=3), headroom_nodes=1),
    "with people and free nodes": Options(headroom_nodes=2, engineering_usd_per_hour=Decimal(80)),
}


@settings(deadline=None, max_examples=30)  # one example bills some hundred loads
@given(
    st.sampled_from(sorted(WAYS)),
    st.integers(5_000, 500_000),
    st.decimals("2", "60", places=2),
    st.lists(st.integers(0, 9), min_size=24, max_size=24).filter(any),
    st.floats(0.2, 20),
)
def test_breakeven_holds_however_gpus_are_bought(
    planner: Planner, way: str, per_replica: int, usd: Decimal, hours: list[int], first: float
) -> None:
    """Below the breakeven own hosting is dearer just before it; above it nowhere."""
    options = WAYS[way]
    replan = planner(
        per_replica=per_replica, usd_per_hour=str(usd), workload={"day_profile": tuple(map(float, hours))}
    )
    api = price(first, first * 4)
    found = cost(replan, 100_000, [api], options, pinned=lambda _: replan).breakeven[0]
    load = found.requests_per_day
    if load is None:
        assert found.reason
        return

    def difference(requests: int) -> Decimal:
        plan = replan(requests)
        theirs = api_bill(api, plan.spec, days_per_month(options), options).usd_per_month
        return (self_hosted(plan, options).usd_per_month or Decimal(0)) - (theirs or Decimal(0))

    # Amounts are rounded to cents, and hours of nodes to hundredths.
    same = usd / 50 + Decimal("0.05")
    if load > 100:
        assert difference(load - 1) >= -same
    for part in (1, 1.001, 1.01, 1.05, 1.1, 1.2, 1.35, 1.5, 1.75, 2, 2.5, 3, 4, 6, 10, 20):
        if load * part <= 10_000_000:
            assert difference(round(load * part)) <= same
