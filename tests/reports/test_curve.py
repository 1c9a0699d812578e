"""The curve: own hosting as a staircase that rises, and is crossed exactly where the breakeven says."""

import math
import re
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from homeport.catalog.prices import api_price
from homeport.costs.bill import cost
from homeport.costs.types import Bill, Sensitivity, Swing
from homeport.planning.types import Plan
from homeport.reports import svg
from homeport.reports.bars import Bar, bars
from homeport.reports.curve import api_at, curve_chart, staircase
from homeport.reports.tornado import ticks, tornado
from tests.costs.conftest import make_plan

Replan = Callable[[float], Plan]
APIS = ("gpt-4.1", "gpt-4.1-mini", "claude-sonnet-4-5")


def bill_at(load: float, **properties: Any) -> Bill:
    def replan(requests_per_day: float) -> Plan:
        return make_plan(requests_per_day, **properties)

    return cost(replan, load, [api_price(name) for name in APIS], curves=True)


@pytest.mark.parametrize("load", [20_000.0, 150_000.0, 900_000.0])
def test_own_hosting_is_a_staircase_that_never_falls(load: float) -> None:
    bill = bill_at(load)
    assert bill.curves is not None
    (run,) = staircase(bill, bill.curves)
    assert run[0][0] == bill.curves.loads[0]
    assert run[-1][0] == bill.curves.loads[-1]
    for (x0, y0), (x1, y1) in pairwise(run):
        assert x0 <= x1
        assert y0 <= y1
        assert x0 == x1 or y0 == y1, "each piece is level or upright"


@pytest.mark.parametrize("load", [20_000.0, 150_000.0])
def test_the_line_of_an_api_meets_the_staircase_at_every_crossing(load: float) -> None:
    bill = bill_at(load, usd_per_hour="20")
    assert bill.curves is not None
    (run,) = staircase(bill, bill.curves)
    apis = {api.model: api for api in bill.curves.api}
    crossings = [(found.model, cross) for found in bill.breakeven for cross in found.crossings]
    assert crossings
    for model, cross in crossings:
        at = float(cross.requests_per_day)
        if not bill.curves.loads[0] < at < bill.curves.loads[-1]:
            continue
        amount = api_at(bill.curves, apis[model], at)
        levels = [y for (x0, y0), (x1, y1) in pairwise(run) if x0 <= at <= x1 for y in (y0, y1)]
        assert min(levels) <= amount * 1.01
        assert max(levels) >= amount * 0.99


def test_loads_that_no_plan_carries_are_a_gap() -> None:
    def replan(requests_per_day: float) -> Plan:
        return make_plan(requests_per_day, usd_per_hour=None if requests_per_day > 300_000 else "44.245")

    bill = cost(replan, 100_000, [api_price("gpt-4.1")], curves=True)
    assert bill.curves is not None
    (run,) = staircase(bill, bill.curves)
    assert run[-1][0] <= 300_000


def test_the_ring_stands_on_the_line_at_the_breakeven() -> None:
    bill = bill_at(150_000, usd_per_hour="20")
    chart = curve_chart(bill)
    assert chart is not None
    assert bill.curves is not None
    low, high = bill.curves.loads[0], bill.curves.loads[-1]
    reached = [found for found in bill.breakeven if found.requests_per_day is not None]
    assert reached
    rings = re.findall(r'<circle cx="([\d.]+)%" cy="[\d.]+" r="5" class="ring"/>', chart.svg)
    wanted = [math.log((f.requests_per_day or 0) / low) / math.log(high / low) * 100 for f in reached]
    assert [float(ring) for ring in rings] == pytest.approx(wanted, abs=0.01)
    for found in reached:
        assert f"{found.requests_per_day:,}" in chart.svg


def test_without_a_price_of_nodes_only_the_apis_are_drawn() -> None:
    chart = curve_chart(bill_at(100_000, usd_per_hour=None))
    assert chart is not None
    assert "line own" not in chart.svg
    assert chart.svg.count("line api-") == len(APIS)


def test_the_tornado_starts_at_the_present_difference_and_ends_at_each_side() -> None:
    found = Sensitivity(
        model="an api",
        swings=(
            Swing(figure="GPU price", lower=Decimal(-50), higher=Decimal(150), width=Decimal(200)),
            Swing(figure="people", lower=None, higher=None, width=Decimal(0)),
        ),
    )
    chart = tornado(found, Decimal(50))
    assert "people: unknown" in chart.svg
    boxes = re.findall(
        r'<rect x="([\d.]+)%" y="[\d.]+" width="([\d.]+)%" height="8" class="(\w+)"/>', chart.svg
    )
    (lower_x, lower_w, lower), (higher_x, higher_w, higher) = boxes
    assert (lower, higher) == ("lower", "higher")
    assert float(lower_x) + float(lower_w) == pytest.approx(float(higher_x), abs=0.02)
    assert float(lower_w) == pytest.approx(float(higher_w), abs=0.02)
    assert "A fifth more or less turns the answer: GPU price." in chart.description


def test_bars_are_as_long_as_their_amounts_and_unknown_has_none() -> None:
    chart = bars(
        "t",
        "d",
        [
            Bar(label="a", amount=Decimal(100), shown="100", style="own"),
            Bar(label="b", amount=Decimal(25), shown="25", style="own"),
            Bar(label="c", amount=None, shown="unknown", style="own"),
        ],
    )
    a, b = (float(width) for width in re.findall(r'width="([\d.]+)%" height="18" class="own"', chart.svg))
    assert b / a == pytest.approx(0.25)
    assert chart.svg.count('class="unknown"') == 1


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-10_000, 4_000), (0, 31_999), (-3e6, 9e6), (-7, 0)])
def test_ticks_are_round_few_and_inside(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 2 <= len(found) <= 7
    assert low - 1e-9 <= found[0]
    assert found[-1] <= high + 1e-9
    assert 0 in found


def test_a_path_says_each_point_once_and_levels_short() -> None:
    drawn = svg.path([(0, 0.5), (0, 0.5), (0.25, 0.5), (0.25, 0.1), (1, 0)], "own")
    assert 'd="M0 500H250V100L1000 0"' in drawn
