"""What bills look like: the fixed JSON keys, the table, the spreadsheet."""

import csv
import io
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from homeport.catalog.prices import api_price
from homeport.costs.bill import cost
from homeport.costs.money import plain
from homeport.costs.output import as_answer, as_csv, json_schema
from homeport.costs.table import as_table
from homeport.costs.types import Bill, Options

NAMES = ("gpt-4.1", "claude-sonnet-4", "command-a-plus-05-2026")


@pytest.fixture
def bill(planner: Callable[..., Any]) -> Bill:
    return cost(planner(usd_per_hour="10"), 100_000, [api_price(name) for name in NAMES])


def test_json_keeps_the_fixed_keys(bill: Bill) -> None:
    data = msgspec.json.decode(msgspec.json.Encoder(decimal_format="number").encode(as_answer(bill)))
    assert {"schema_version", "currency", "method", "self_hosted", "api", "breakeven"} <= set(data)
    assert (data["schema_version"], data["currency"], data["method"]) == (1, "USD", "load")
    own = data["self_hosted"]
    assert {"usd_per_month", "usd_per_million_tokens", "lines"} <= set(own)
    line = own["lines"][0]
    assert (line["item"], line["quantity"], line["unit"], line["unit_price_usd"], line["usd_per_month"]) == (
        "1 × a3-highgpu-4g (4 × H100-SXM-80GB), us-central1",
        730,
        "node hour",
        10,
        7300.0,
    )
    assert (line["source"], line["as_of"], line["estimated"]) == ("a price page", "2026-08-03", False)
    assert [api["model"] for api in data["api"]] == [
        "openai/gpt-4.1",
        "anthropic/claude-sonnet-4-20250514",
        "cohere/command-a-plus-05-2026",
    ]
    assert all({"model", "usd_per_month", "source", "as_of"} <= set(api) for api in data["api"])
    assert data["api"][2]["usd_per_month"] is None
    first, _, last = data["breakeven"]
    assert {"model", "requests_per_day", "reason"} <= set(first)
    assert isinstance(first["requests_per_day"], int)
    assert first["reason"] is None
    assert last["requests_per_day"] is None
    assert last["reason"] == "the API's price is unknown"


def test_json_schema_describes_the_answer(bill: Bill) -> None:
    schema = json_schema()
    parts: Any = schema["$defs"]
    data = msgspec.json.decode(msgspec.json.Encoder(decimal_format="number").encode(as_answer(bill)))
    for name, value in (
        ("Answer", data),
        ("SelfHosted", data["self_hosted"]),
        ("Line", data["self_hosted"]["lines"][0]),
        ("ApiBill", data["api"][0]),
        ("Breakeven", data["breakeven"][0]),
        ("Deployment", data["deployments"][0]),
    ):
        assert list(parts[name]["properties"]) == list(value)
    assert parts["Line"]["properties"]["usd_per_month"] == {"anyOf": [{"type": "number"}, {"type": "null"}]}


def test_table_reads_from_top_to_bottom(bill: Bill) -> None:
    text = as_table(bill)
    assert text.startswith(
        "support: 100,000 requests a day, 4,562.5 million tokens a month (load-aware method)"
    )
    rows = {line.split("  ")[1].strip(): line for line in text.splitlines() if line.startswith("  ")}
    assert "at least 7,300.00" in rows["total a month"]
    assert rows["openai/gpt-4.1"].rstrip().endswith(f"at least {bill.breakeven[0].requests_per_day:,}")
    api_rows = [line for line in text.splitlines() if "saves" in line]
    assert "own hosting saves at most 10,950.00" in api_rows[0]
    assert "(retired)" in api_rows[1]
    assert "*[" in api_rows[1]
    assert "unverified date, check the provider's page before quoting it: anthropic/claude" in text
    assert "0.00" not in rows["cohere/command-a-plus-05-2026"].split()
    assert "a price page, 2026-08-03" in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_table_lists_the_parts_of_an_api_where_there_are_more_than_two(planner: Callable[..., Any]) -> None:
    options = Options(cached_input_percent=Decimal(50))
    text = as_table(cost(planner(usd_per_hour="10"), 240_000, [api_price("gpt-4.1")], options))
    rows = [line.split() for line in text.splitlines()]
    assert ["input", "tokens", "3,650", "2.00", "7,300.00"] in rows
    assert ["cached", "input", "tokens", "3,650", "0.50", "1,825.00"] in rows


def test_table_styles_only_heads(bill: Bill) -> None:
    styled = as_table(bill, lambda text: f"<{text}>")
    assert styled.replace("<", "").replace(">", "") == as_table(bill)
    assert styled.startswith("<support>")


def test_csv_holds_the_same_numbers(bill: Bill) -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(bill))))
    totals = {row["model"]: row["usd_per_month"] for row in rows if row["item"] == "total"}
    assert totals == {
        "": "7300.00",
        "openai/gpt-4.1": "18250.00",
        "anthropic/claude-sonnet-4-20250514": "31937.50",
        "cohere/command-a-plus-05-2026": "unknown",
    }
    loads = [row["quantity"] for row in rows if row["section"] == "breakeven"]
    assert loads[0] == str(bill.breakeven[0].requests_per_day)
    assert loads[2] == "none"
    assert {row["usd_per_month"] for row in rows if row["unit"] == "GiB"} == {"unknown"}


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("730", "730"),
        ("1E+3", "1000"),
        ("3041.666666666666666666666667", "3041.666667"),
        ("2.50", "2.5"),
        ("0.0375", "0.0375"),
    ],
)
def test_plain_numbers(number: str, text: str) -> None:
    assert str(plain(Decimal(number))) == text
