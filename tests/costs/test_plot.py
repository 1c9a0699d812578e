"""The terminal's plot shows the steps, the lines and the breakevens where they are."""

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from homeport.catalog.prices import api_price
from homeport.costs.bill import cost
from homeport.costs.plot import CROSSES, HERE, OWN, ROWS, as_plot
from homeport.costs.types import Bill


@pytest.fixture
def bill(planner: Callable[..., Any]) -> Bill:
    names = ("gpt-4.1-mini", "gpt-4.1", "command-a-plus-05-2026")
    return cost(planner(usd_per_hour="10"), 100_000, [api_price(name) for name in names], curves=True)


def area(text: str) -> list[str]:
    """The characters of the plot, without its axes."""
    return [line[7:] for line in text.splitlines()[1 : ROWS + 1]]


def test_curves_are_the_bills_at_other_loads(planner: Callable[..., Any], bill: Bill) -> None:
    curves = bill.curves
    assert curves is not None
    assert curves.loads[0] == 1000
    assert curves.loads[-1] == 10_000_000
    for i in range(0, len(curves.loads), 9):
        again = cost(planner(usd_per_hour="10"), curves.loads[i], [api_price("gpt-4.1")])
        assert curves.own[i] == again.self_hosted.usd_per_month
        assert curves.api[1].usd_per_month[i] == pytest.approx(
            again.api[0].usd_per_month, abs=Decimal("0.01")
        )


def test_own_hosting_steps_up_once_the_first_replica_is_full(bill: Bill) -> None:
    rows = area(as_plot(bill))
    flat = next(row for row in rows if HERE in row)
    here = flat.index(HERE)
    assert set(flat[:10]) == {OWN}
    assert OWN not in flat[here + 1 :]
    height = [next((y for y, row in enumerate(rows) if row[x : x + 1] == OWN), None) for x in range(61)]
    steps = [y for y in height if y is not None]
    assert steps == sorted(steps, reverse=True)


def test_breakevens_and_unknown_prices(bill: Bill) -> None:
    text = as_plot(bill)
    load = bill.breakeven[1].requests_per_day
    assert load is not None
    marks = next(line for line in text.splitlines() if line.strip() == CROSSES)
    # 15 columns are a tenfold load, from 1,000 on.
    assert marks.index(CROSSES) - 7 == round(15 * math.log10(load / 1000))
    assert f"2 openai/gpt-4.1   {CROSSES} {load:,} requests a day" in text
    assert "command-a-plus" not in text


def test_fits_eighty_columns(bill: Bill) -> None:
    assert max(len(line) for line in as_plot(bill).splitlines()) <= 80


@pytest.mark.parametrize("load", [0.001, 1, 77, 3e7])
def test_any_load_can_be_drawn(planner: Callable[..., Any], load: float) -> None:
    bill = cost(planner(usd_per_hour="10"), load, [api_price("gpt-4.1")], curves=True)
    text = as_plot(bill)
    assert HERE in "".join(area(text))
    assert f"{HERE} {'30,000,000' if load == 3e7 else load} requests a day" in text
    assert max(len(line) for line in text.splitlines()) <= 80


def test_own_hosting_without_a_price_leaves_the_apis(planner: Callable[..., Any]) -> None:
    bill = cost(planner(usd_per_hour=None), 100_000, [api_price("gpt-4.1")], curves=True)
    rows = area(as_plot(bill))
    assert any("1" in row for row in rows)
    assert not any(OWN in row for row in rows)
