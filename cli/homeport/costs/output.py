"""A bill as JSON (keys fixed by docs/reference), and as rows for a spreadsheet."""

from __future__ import annotations

import csv
import io
from decimal import Decimal

import msgspec

from homeport.costs.money import plain
from homeport.costs.types import (
    Against,
    ApiBill,
    Bill,
    Breakeven,
    Curve,
    Curves,
    Deployment,
    Hybrid,
    Line,
    Method,
    SelfHosted,
    Sensitivity,
    Split,
)

SCHEMA_VERSION = 1
CSV_COLUMNS = (
    "section",
    "model",
    "item",
    "deployments",
    "quantity",
    "unit",
    "unit_price_usd",
    "usd_per_month",
    "estimated",
    "source",
    "as_of",
    "note",
)
UNKNOWN = "unknown"


class AnsweredCurves(msgspec.Struct, frozen=True, kw_only=True):
    """Cost against load: one value for each of `requests_per_day`; null where own hosting cannot carry it."""

    requests_per_day: tuple[int, ...]
    own_usd_per_month: tuple[Decimal | None, ...]
    own_usd_per_million_tokens: tuple[Decimal | None, ...]
    api: tuple[Curve, ...]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of `cost -o json`. Keys are fixed: add, never rename. Money is in `currency`; null is unknown."""

    schema_version: int
    name: str
    currency: str
    method: Method
    requests_per_day: Decimal
    tokens_per_month: Decimal
    deployments: tuple[Deployment, ...]
    self_hosted: SelfHosted
    api: tuple[ApiBill, ...]
    breakeven: tuple[Breakeven, ...]
    breakeven_range_requests_per_day: tuple[int, int]
    sensitivity: tuple[Sensitivity, ...]
    curves: AnsweredCurves | None
    hybrid: Hybrid | None
    against: Against | None
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]


def as_answer(bill: Bill) -> Answer:
    """Return the bill as it is written to JSON or YAML: quantities and unit prices as `plain` writes them."""
    own = bill.self_hosted
    return Answer(
        schema_version=SCHEMA_VERSION,
        name=bill.name,
        currency=bill.currency,
        method=bill.method,
        requests_per_day=plain(bill.requests_per_day),
        tokens_per_month=plain(bill.tokens_per_month),
        deployments=bill.deployments,
        self_hosted=msgspec.structs.replace(own, lines=_plain_lines(own.lines)),
        api=tuple(msgspec.structs.replace(api, lines=_plain_lines(api.lines)) for api in bill.api),
        breakeven=bill.breakeven,
        breakeven_range_requests_per_day=bill.range_requests_per_day,
        sensitivity=bill.sensitivity,
        curves=None if bill.curves is None else _curves(bill.curves),
        hybrid=None if bill.hybrid is None else _plain_hybrid(bill.hybrid),
        against=bill.against,
        assumptions=bill.assumptions,
        warnings=bill.warnings,
    )


def _curves(curves: Curves) -> AnsweredCurves:
    per_million = curves.own_usd_per_million_tokens()
    return AnsweredCurves(
        requests_per_day=curves.loads,
        own_usd_per_month=curves.own,
        own_usd_per_million_tokens=tuple(None if usd is None else plain(usd) for usd in per_million),
        api=tuple(
            msgspec.structs.replace(api, usd_per_month=tuple(plain(usd) for usd in api.usd_per_month))
            for api in curves.api
        ),
    )


def _plain_hybrid(hybrid: Hybrid) -> Hybrid:
    def plain_split(split: Split) -> Split:
        return msgspec.structs.replace(
            split,
            own_share=plain(split.own_share),
            own_requests_per_day=plain(split.own_requests_per_day),
            api_requests_per_day=plain(split.api_requests_per_day),
        )

    return msgspec.structs.replace(
        hybrid,
        personal_data_share=plain(hybrid.personal_data_share),
        simple_share=plain(hybrid.simple_share),
        fallback_share=plain(hybrid.fallback_share),
        splits=tuple(plain_split(split) for split in hybrid.splits),
    )


def json_schema() -> dict[str, object]:
    """Return the JSON Schema of the answer. Decimals are written as numbers, which msgspec's own schema denies."""
    schema = msgspec.json.schema(Answer)
    decimals_are_numbers(schema)
    return schema


def decimals_are_numbers(node: object) -> None:
    """Make a schema, in place, say "number" where msgspec says "a decimal's text"."""
    if isinstance(node, list):
        for item in node:
            decimals_are_numbers(item)
    elif isinstance(node, dict):
        if node.get("format") == "decimal":
            node.pop("format")
            node["type"] = "number"
        for item in node.values():
            decimals_are_numbers(item)


def _plain_lines(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    return tuple(
        msgspec.structs.replace(
            line,
            quantity=None if line.quantity is None else plain(line.quantity),
            unit_price_usd=None if line.unit_price_usd is None else plain(line.unit_price_usd),
        )
        for line in lines
    )


def as_csv(bill: Bill) -> str:
    """Return the bill as CSV: every line, the totals, and the breakevens (their loads as the quantity)."""
    rows = [_csv_line("self_hosted", "", line) for line in bill.self_hosted.lines]
    own = bill.self_hosted
    at_least = "at least: a line is unknown" if own.at_least else ""
    rows.append(_csv_total("self_hosted", "", own.usd_per_month, at_least))
    for api in bill.api:
        rows += [_csv_line("api", api.model, line) for line in api.lines]
        rows.append(_csv_total("api", api.model, api.usd_per_month, "; ".join(_remarks(api))))
    for found in bill.breakeven:
        note = found.reason or ("at least: a line is unknown" if found.at_least else "")
        load = "none" if found.requests_per_day is None else str(found.requests_per_day)
        rows.append(
            {
                "section": "breakeven",
                "model": found.model,
                "item": "breakeven",
                "quantity": load,
                "unit": "requests a day",
                "note": note,
            }
        )
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV_COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _csv_line(section: str, model: str, line: Line) -> dict[str, str]:
    return {
        "section": section,
        "model": model,
        "item": line.item,
        "deployments": " ".join(line.models),
        "quantity": _cell(line.quantity),
        "unit": line.unit,
        "unit_price_usd": _cell(line.unit_price_usd),
        "usd_per_month": _cell(line.usd_per_month, exact=True),
        "estimated": "yes" if line.estimated else "no",
        "source": line.source or "",
        "as_of": line.as_of or "",
        "note": line.note or "",
    }


def _csv_total(section: str, model: str, amount: Decimal | None, note: str) -> dict[str, str]:
    return {
        "section": section,
        "model": model,
        "item": "total",
        "unit": "month",
        "usd_per_month": _cell(amount, exact=True),
        "note": note,
    }


def _remarks(api: ApiBill) -> list[str]:
    return (["retired"] if api.retired else []) + list(api.notes)


def _cell(number: Decimal | None, *, exact: bool = False) -> str:
    if number is None:
        return UNKNOWN
    return f"{number if exact else plain(number):f}"
