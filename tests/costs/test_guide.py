"""Every figure of the guide's cost section: reproduced, or named as inconsistent with its formula."""

import re
from decimal import Decimal
from pathlib import Path

import pytest

from homeport.catalog.prices import api_price
from homeport.costs import guide
from homeport.costs.api import api_bill, usd_per_daily_request
from homeport.costs.types import Options
from tests.costs.conftest import make_plan

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "guide-figures.md"
APIS = {
    "GPT-4.1 mini": ("0.40", "1.60"),
    "Claude Haiku 3.5": ("0.80", "4.00"),
    "GPT-4.1": ("2.00", "8.00"),
    "Claude Sonnet 4": ("3.00", "15.00"),
}
PRINTED_API = {"GPT-4.1 mini": 3600, "Claude Haiku 3.5": 7200, "GPT-4.1": 15_000, "Claude Sonnet 4": 22_500}
PRINTED_OWN = {"4 × H100": 15_400, "8 × H100": 43_000}
K, M = 1000, 1_000_000
PRINTED_BREAKEVEN = {
    ("4 × H100", "GPT-4.1 mini"): 425 * K,
    ("4 × H100", "GPT-4.1"): 100 * K,
    ("4 × H100", "Claude Sonnet 4"): 68 * K,
    ("8 × H100", "GPT-4.1 mini"): Decimal("1.2") * M,
    ("8 × H100", "GPT-4.1"): 285 * K,
    ("8 × H100", "Claude Sonnet 4"): 195 * K,
}


def api(name: str) -> Decimal:
    first, second = APIS[name]
    return guide.api_monthly_cost(
        Decimal(100_000), Decimal(1000), Decimal(500), Decimal(first), Decimal(second)
    )


def own(fleet: str) -> guide.SelfHostedCost:
    return guide.self_hosted_monthly_cost(int(fleet[0]), guide.H100_USD_PER_HOUR)


def table_rows(heading: str) -> list[list[str]]:
    section = PAGE.read_text(encoding="utf-8").split(f"## {heading}")[1].split("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section.splitlines()
        if line[:1] == "|"
    ]
    return rows[2:]


def amount(cell: str) -> Decimal:
    number = re.sub(r"[^0-9.KM]", "", cell)
    factor = {"K": K, "M": M}.get(number[-1:], 1)
    return Decimal(number.rstrip("KM")) * factor


@pytest.mark.parametrize(
    ("name", "by_formula"),
    [
        ("GPT-4.1 mini", "3600.00"),
        ("Claude Haiku 3.5", "8400.00"),
        ("GPT-4.1", "18000.00"),
        ("Claude Sonnet 4", "31500.00"),
    ],
)
def test_api_formula(name: str, by_formula: str) -> None:
    assert str(api(name)) == by_formula


def test_own_hosting_formula() -> None:
    four = own("4 × H100")
    assert [str(x) for x in (four.compute, four.storage, four.network, four.engineering, four.total)] == [
        "5110.00",
        "200.00",
        "204.40",
        "5000.00",
        "10514.40",
    ]
    assert str(own("8 × H100").total) == "16028.80"


def test_unknown_rate_makes_the_total_unknown() -> None:
    cost = guide.self_hosted_monthly_cost(4, None)
    assert cost.compute is None
    assert cost.total is None
    assert cost.network == Decimal("204.40")


def test_page_compares_api_totals() -> None:
    rows = table_rows("APIs")
    assert [row[0] for row in rows] == list(APIS)
    for name, prices, printed, by_formula, verdict in rows:
        assert tuple(prices.split(" / ")) == APIS[name]
        assert amount(printed) == PRINTED_API[name]
        assert amount(by_formula) == api(name)
        assert verdict == ("agrees" if amount(printed) == api(name) else "inconsistent")


def test_page_compares_own_hosting() -> None:
    rows = table_rows("Own hosting")
    assert len(rows) == 2
    for fleet, *terms, printed, by_formula, verdict in rows:
        cost = own(fleet[fleet.index("×") - 2 :])
        assert [amount(term) for term in terms] == [
            cost.compute,
            cost.storage,
            cost.network,
            cost.engineering,
        ]
        assert amount(by_formula) == cost.total
        if printed != "(none)":
            assert amount(printed) == 15_400
            assert verdict == "inconsistent"


def test_page_compares_breakevens() -> None:
    rows = table_rows("Breakeven, requests a day")
    assert {(row[0], row[1]) for row in rows} == set(PRINTED_BREAKEVEN)
    for fleet, name, printed, by_formula, from_printed, verdict in rows:
        total = own(fleet).total
        assert total is not None
        computed = guide.breakeven_requests_per_day(total, api(name))
        assert amount(by_formula) == round(computed)
        assert amount(printed) == PRINTED_BREAKEVEN[fleet, name]
        explained = guide.breakeven_requests_per_day(Decimal(PRINTED_OWN[fleet]), Decimal(PRINTED_API[name]))
        assert amount(from_printed) == round(explained)
        # What the guide printed follows from its printed totals within 3 %, and from its formulas nowhere.
        assert abs(explained / amount(printed) - 1) < Decimal("0.03")
        assert abs(computed / amount(printed) - 1) > Decimal("0.25")
        assert verdict == "inconsistent"


@pytest.mark.parametrize("name", ["gpt-4.1-mini", "claude-sonnet-4"])
def test_a_bill_and_a_daily_request_follow_the_formula(name: str) -> None:
    """In the guide's month, a bill by tokens is the guide's total: both ask one function."""
    price = api_price(name)
    assert price.input_usd_per_mtok is not None
    assert price.output_usd_per_mtok is not None
    spec, options = make_plan(100_000).spec, Options(method="guide")
    by_formula = guide.api_monthly_cost(
        Decimal(100_000),
        Decimal(1000),
        Decimal(500),
        Decimal(str(price.input_usd_per_mtok)),
        Decimal(str(price.output_usd_per_mtok)),
    )
    assert api_bill(price, spec, guide.DAYS_PER_MONTH, options).usd_per_month == by_formula
    each = usd_per_daily_request(price, spec, guide.DAYS_PER_MONTH, options)
    assert each is not None
    assert each * 100_000 == by_formula
