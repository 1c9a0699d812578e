"""What moves the difference: each figure is really moved, and the widest swing comes first."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from homeport.catalog.prices import api_price
from homeport.costs.bill import cost
from homeport.costs.replan import Replanner
from homeport.costs.sensitivity import swings, with_sensitivity
from homeport.costs.table import as_table
from homeport.costs.types import Options, Swing
from homeport.errors import SpecError
from homeport.planning.types import Plan
from homeport.planning.workload import peak_to_mean
from homeport.spec.models import Spec


class Steps:
    """A planner that adds a replica for each 100,000 requests a day with a peak of 3, in proportion to the peak."""

    def __init__(self, planner: Callable[..., Any], most: float = 1e12) -> None:
        self.planner = planner
        self.most = most

    def plan(self, spec: Spec) -> Plan:
        work = spec.models[0].workload
        if work.requests_per_day > self.most:
            raise SpecError([])
        replan = self.planner(
            usd_per_hour="10",
            per_replica=100_000 * 3 / peak_to_mean(work),
            input_tokens=work.input_tokens,
            output_tokens=work.output_tokens,
        )
        plan: Plan = replan(work.requests_per_day)
        return plan


@pytest.fixture
def replanner(planner: Callable[..., Any]) -> Replanner:
    return Replanner(Steps(planner), planner()(100_000).spec)  # type: ignore[arg-type]


def by_figure(found: tuple[Swing, ...]) -> dict[str, tuple[Decimal | None, Decimal | None]]:
    return {swing.figure: (swing.lower, swing.higher) for swing in found}


def test_each_figure_moves_what_it_should(replanner: Replanner) -> None:
    # Own hosting: $7,300 a replica. GPT-4.1: 100,000 x 730/24 x (1,000 x 2 + 500 x 8) / 10^6 = $18,250.
    found = by_figure(swings(replanner, api_price("gpt-4.1"), Options()))
    assert found == {
        "requests a day": (Decimal("-7300.00"), Decimal("-7300.00")),
        "input tokens": (Decimal("-9733.34"), Decimal("-12166.67")),
        "output tokens": (Decimal("-8516.66"), Decimal("-13383.33")),
        # A fifth less throughput needs a second replica; a fifth more still needs one.
        "utilisation": (Decimal("-3650.00"), Decimal("-10950.00")),
        "GPU price": (Decimal("-12410.00"), Decimal("-9490.00")),
        "API price": (Decimal("-7300.00"), Decimal("-14600.00")),
        "engineering": (None, None),
    }


def test_engineering_moves_both_sides(replanner: Replanner) -> None:
    # 15 hours a week for own hosting and 2 for an API are 13 x 730/168 hours a month apart; a fifth of that at $84.
    found = by_figure(swings(replanner, api_price("gpt-4.1"), Options(engineering_usd_per_hour=Decimal(84))))
    now = Decimal("-10950") + 13 * Decimal(365)
    assert found["engineering"] == (now - 949, now + 949)


def test_the_guides_utilisation_is_its_own(replanner: Replanner) -> None:
    found = by_figure(swings(replanner, api_price("gpt-4.1"), Options(method="guide")))
    # 10,514.40 - 18,000; a fifth of the active hours are a fifth of 5,110 for compute and 204.40 for network.
    now = Decimal("-7485.60")
    assert found["utilisation"] == (now - Decimal("1062.88"), now + Decimal("1062.88"))
    assert found["engineering"] == (now - 1000, now + 1000)


def test_the_widest_swing_comes_first(replanner: Replanner) -> None:
    found = swings(replanner, api_price("gpt-4.1"), Options())
    widths = {swing.figure: swing.width for swing in found}
    assert list(widths.values()) == sorted(widths.values(), reverse=True)
    # At a load a fifth higher or lower the difference is -7,300, and at the present one -10,950.
    assert widths["requests a day"] == Decimal("3650.00")
    assert widths["GPU price"] == Decimal("2920.00")


def test_a_side_that_cannot_be_planned_is_unknown(planner: Callable[..., Any]) -> None:
    limited = Replanner(Steps(planner, most=110_000), planner()(100_000).spec)  # type: ignore[arg-type]
    found = by_figure(swings(limited, api_price("gpt-4.1"), Options()))
    assert found["requests a day"] == (Decimal("-7300.00"), None)


def test_an_api_without_a_price_has_no_swings_to_show(replanner: Replanner) -> None:
    found = by_figure(swings(replanner, api_price("command-a-plus-05-2026"), Options()))
    assert set(found.values()) == {(None, None)}


def test_table_shows_bars(replanner: Replanner) -> None:
    prices = [api_price("gpt-4.1")]
    bill = with_sensitivity(cost(replanner, 100_000, prices), replanner, prices, Options())
    text = as_table(bill)
    rows = [line for line in text.splitlines() if "█" in line]
    bars = [row.count("█") for row in rows]
    assert "Own hosting less openai/gpt-4.1, $ a month" in text
    assert "API price" in rows[0] or "utilisation" in rows[0]
    assert bars[0] == 24
    assert bars == sorted(bars, reverse=True)
