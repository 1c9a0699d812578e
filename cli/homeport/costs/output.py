"""A bill as JSON (keys fixed by docs/reference), and as rows for a spreadsheet."""

from __future__ import annotations

import csv
import io
from decimal import Decimal

import msgspec

from homeport.costs.types import ApiBill, Bill, Breakeven, Line, SelfHosted

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


def as_dict(bill: Bill) -> dict[str, object]:
    """Return the bill as plain data for JSON or YAML: Decimals stay (they are written as numbers), unknown is null."""
    low, high = bill.range_requests_per_day
    return {
        "schema_version": SCHEMA_VERSION,
        "name": bill.name,
        "currency": bill.currency,
        "method": bill.method,
        "requests_per_day": plain(bill.requests_per_day),
        "tokens_per_month": plain(bill.tokens_per_month),
        "deployments": [msgspec.structs.asdict(deployment) for deployment in bill.deployments],
        "self_hosted": _self_hosted(bill.self_hosted),
        "api": [_api(api) for api in bill.api],
        "breakeven": [_breakeven(found) for found in bill.breakeven],
        "breakeven_range_requests_per_day": {"from": low, "to": high},
        "assumptions": list(bill.assumptions),
        "warnings": list(bill.warnings),
    }


def _self_hosted(own: SelfHosted) -> dict[str, object]:
    return {
        "usd_per_month": own.usd_per_month,
        "at_least": own.at_least,
        "usd_per_million_tokens": own.usd_per_million_tokens,
        "idle_gpus": own.idle_gpus,
        "lines": [_line(line) for line in own.lines],
    }


def _line(line: Line) -> dict[str, object]:
    return {
        "item": line.item,
        "quantity": plain(line.quantity),
        "unit": line.unit,
        "unit_price_usd": plain(line.unit_price_usd),
        "usd_per_month": line.usd_per_month,
        "source": line.source,
        "as_of": line.as_of,
        "estimated": line.estimated,
        "models": list(line.models),
        "note": line.note,
    }


def _api(api: ApiBill) -> dict[str, object]:
    return {
        "model": api.model,
        "usd_per_month": api.usd_per_month,
        "source": api.source,
        "as_of": api.as_of,
        "retired": api.retired,
        "retires_on": api.retires_on,
        "unverified": list(api.unverified),
        "lines": [_line(line) for line in api.lines],
        "notes": list(api.notes),
    }


def _breakeven(found: Breakeven) -> dict[str, object]:
    return {
        "model": found.model,
        "requests_per_day": found.requests_per_day,
        "reason": found.reason,
        "at_least": found.at_least,
        "crossings": [
            {"requests_per_day": crossing.requests_per_day, "own_hosting_becomes": crossing.becomes}
            for crossing in found.crossings
        ],
        "crossings_complete": found.complete,
    }


def plain(number: Decimal | None) -> Decimal | None:
    """Return a number with at most six decimals and no trailing zeros or exponent, as people write it."""
    if number is None:
        return None
    short = number.quantize(Decimal("0.000001")).normalize()
    exponent = short.as_tuple().exponent
    return short.quantize(Decimal(1)) if isinstance(exponent, int) and exponent > 0 else short


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
        "quantity": _cell(plain(line.quantity)),
        "unit": line.unit,
        "unit_price_usd": _cell(plain(line.unit_price_usd)),
        "usd_per_month": _cell(line.usd_per_month),
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
        "usd_per_month": _cell(amount),
        "note": note,
    }


def _remarks(api: ApiBill) -> list[str]:
    return (["retired"] if api.retired else []) + list(api.notes)


def _cell(number: Decimal | None) -> str:
    return UNKNOWN if number is None else f"{number:f}"
