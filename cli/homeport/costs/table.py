"""A bill as text for the terminal: own hosting, the APIs, the breakevens, and where each figure comes from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import pairwise

from homeport.costs.money import plain
from homeport.costs.output import UNKNOWN
from homeport.costs.types import ApiBill, Bill, Breakeven, Deployment, Line, SelfHosted, Sensitivity

METHODS = {"load": "load-aware method", "guide": "the guide's method"}
PLAIN_PARTS = ("input tokens", "output tokens")
STRETCHES = 2
"""Stretches that are named in a row; -o json has all crossings."""
BAR, BAR_WIDTH = "█", 24
Style = Callable[[str], str]


def as_table(bill: Bill, bold: Style = str) -> str:
    """Return the bill as a table with footnotes; `bold` styles what should stand out."""
    notes = Footnotes()
    blocks = [
        f"{bold(bill.name)}: {number(bill.requests_per_day)} requests a day, "
        f"{number(bill.tokens_per_month / 1_000_000)} million tokens a month ({METHODS[bill.method]})\n"
        + "\n".join(f"  {_deployment(made)}" for made in bill.deployments),
        _own(bill, notes, bold),
    ]
    if bill.api:
        blocks += [_apis(bill, notes, bold), _breakevens(bill, bold)]
    if bill.hybrid is not None:
        from homeport.costs.hybrid_view import as_block as split_block

        blocks.append(split_block(bill.hybrid, bold))
    blocks += [_swings(found, bold) for found in bill.sensitivity]
    if bill.against is not None:
        from homeport.costs.diff_view import as_block

        blocks.append(as_block(bill.against, bold))
    blocks.append("\n".join([bold("Assumptions"), *(f"  {text}" for text in bill.assumptions)]))
    blocks.append("\n".join(notes.lines()))
    return "\n\n".join(blocks)


class Footnotes:
    """Sources by number, and what the stars stand for, each said once."""

    def __init__(self) -> None:
        """Start with none."""
        self._sources: dict[str, int] = {}
        self._stars: dict[str, list[str]] = {}

    def source(self, source: str | None, as_of: str | None) -> str:
        """Return the mark of a source, such as `[1]`."""
        if source is None:
            return ""
        text = f"{source}, {as_of}" if as_of else source
        return f"[{self._sources.setdefault(text, len(self._sources) + 1)}]"

    def star(self, what: str, about: str) -> str:
        """Keep what is marked and what there is to know about it, and return the mark."""
        self._stars.setdefault(about, []).append(what)
        return "*"

    def lines(self) -> list[str]:
        """Return the footnotes."""
        return [
            *(f"* {about}: {'; '.join(dict.fromkeys(whats))}" for about, whats in self._stars.items()),
            *(f"[{mark}] {text}" for text, mark in self._sources.items()),
        ]


def _deployment(made: Deployment) -> str:
    replicas = "1 replica" if made.replicas == 1 else f"{made.replicas} replicas"
    where = f"of {made.gpus_per_replica} × {made.gpu}" if made.gpu else "without a GPU"
    return f"{made.name}: {made.model}, {made.precision}, {replicas} {where}"


def _own(bill: Bill, notes: Footnotes, bold: Style) -> str:
    own = bill.self_hosted
    rows = []
    for line in own.lines:
        shared = len(line.models) == len(bill.deployments)
        who = "" if shared else f" ({', '.join(line.models)})"
        mark = ""
        if line.note or line.estimated:
            mark = notes.star(f"{line.item}{who}", line.note or "an assumption")
        quantity = "" if line.quantity is None else f"{number(line.quantity)} {_plural(line)}"
        rows.append(
            (
                f"  {line.item}{who}",
                quantity,
                unit_price(line.unit_price_usd),
                money(line.usd_per_month),
                f"{mark}{notes.source(line.source, line.as_of)}",
            )
        )
    least = "at least " if own.at_least and own.usd_per_month is not None else ""
    rows.append(("  total a month", "", "", least + money(own.usd_per_month), ""))
    rows.append(("  per million tokens", "", "", least + money(own.usd_per_million_tokens), ""))
    return columns(("Own hosting", "quantity", "unit price, $", "$ a month", ""), rows, (1, 2, 3), bold)


def _plural(line: Line) -> str:
    return (
        line.unit if line.quantity == 1 or line.unit in ("GiB", "kWh", "million tokens") else f"{line.unit}s"
    )


def _apis(bill: Bill, notes: Footnotes, bold: Style) -> str:
    if all(tuple(line.item for line in _tokens(api)) == PLAIN_PARTS for api in bill.api):
        people = any(line.kind == "engineering" for line in bill.api[0].lines)
        head = (
            "API",
            "$ / M input",
            "$ / M output",
            *(("engineering, $",) if people else ()),
            "$ a month",
            "",
            "",
        )
        rows = [_api_row(api, _prices(api), bill.self_hosted, notes) for api in bill.api]
        return columns(head, rows, (1, 2, 3, 4) if people else (1, 2, 3), bold)
    several = len(bill.deployments) > 1
    rows = []
    for api in bill.api:
        rows.append(_api_row(api, ("", ""), bill.self_hosted, notes))
        for line in api.lines:
            what = f"    {line.item}" + (f" ({', '.join(line.models)})" if several else "")
            quantity = UNKNOWN if line.quantity is None else number(line.quantity)
            if line.kind != "tokens":
                quantity += f" {_plural(line)}"
            rows.append((what, quantity, unit_price(line.unit_price_usd), money(line.usd_per_month), "", ""))
    return columns(("API", "million tokens", "unit price, $", "$ a month", "", ""), rows, (1, 2, 3), bold)


def _tokens(api: ApiBill) -> list[Line]:
    return [line for line in api.lines if line.kind == "tokens"]


def _api_row(api: ApiBill, prices: tuple[str, ...], own: SelfHosted, notes: Footnotes) -> tuple[str, ...]:
    mark = ""
    if api.unverified:
        what = "date" if api.unverified == ("as_of",) else "price"
        mark = notes.star(api.model, f"unverified {what}, check the provider's page before quoting it")
    for text in _remarks(api):
        mark = notes.star(api.model, text)
    for line in api.lines:
        if line.kind == "engineering" and line.note:
            mark = notes.star("engineering with an API", line.note)
    name = f"  {api.model}" + (" (retired)" if api.retired else "")
    source = notes.source(api.source, api.as_of)
    return name, *prices, money(api.usd_per_month), _saving(api, own), mark + source


def _saving(api: ApiBill, own: SelfHosted) -> str:
    """Say who is cheaper and by how much; unknown lines of own hosting make an API's saving larger, never smaller."""
    if api.usd_per_month is None or own.usd_per_month is None:
        return ""
    saved = own.usd_per_month - api.usd_per_month
    if saved >= 0:
        return f"API saves {'at least ' if own.at_least else ''}{money(saved)}"
    return f"own hosting saves {'at most ' if own.at_least else ''}{money(-saved)}"


def _remarks(api: ApiBill) -> list[str]:
    retired = f"retired, announced for {api.retires_on}" if api.retires_on else "retired"
    return ([retired] if api.retired else []) + list(api.notes)


def _prices(api: ApiBill) -> tuple[str, ...]:
    prices = [unit_price(line.unit_price_usd) for line in _tokens(api)]
    return *prices, *(money(line.usd_per_month) for line in api.lines if line.kind == "engineering")


def _breakevens(bill: Bill, bold: Style) -> str:
    low, high = bill.range_requests_per_day
    width = max(len(found.model) for found in bill.breakeven)
    head = bold(f"Breakeven: own hosting is cheaper from so many requests a day on ({low:,} to {high:,})")
    return "\n".join([head, *(f"  {found.model.ljust(width)}  {_answer(found)}" for found in bill.breakeven)])


def _answer(found: Breakeven) -> str:
    if found.requests_per_day is None:
        return f"none, {found.reason}"
    least = "at least " if found.at_least else ""
    remark = found.reason or _before(found)
    return f"{least}{found.requests_per_day:,}" + (f" ({remark})" if remark else "")


def _before(found: Breakeven) -> str:
    """Name the stretches below the breakeven where own hosting is cheaper too, before a replica is added."""
    cheaper = [
        f"{first.requests_per_day:,} to {second.requests_per_day - 1:,}"
        for first, second in pairwise(found.crossings)
        if first.becomes == "cheaper"
    ]
    if not cheaper:
        return ""
    more = f" and {len(cheaper) - STRETCHES} more stretches" if len(cheaper) > STRETCHES else ""
    return f"below it only from {', '.join(cheaper[:STRETCHES])}{more}"


def _swings(found: Sensitivity, bold: Style) -> str:
    widest = found.swings[0].width or Decimal(1)
    rows = [
        (
            f"  {swing.figure}",
            money(swing.lower),
            money(swing.higher),
            BAR * round(swing.width / widest * BAR_WIDTH),
        )
        for swing in found.swings
    ]
    head = (f"Own hosting less {found.model}, $ a month", "a fifth lower", "a fifth higher", "")
    return columns(head, rows, (1, 2), bold)


def columns(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int], bold: Style) -> str:
    """Lay out rows under a head, two spaces between columns, no trailing blanks; `right` columns are numbers."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        placed = (
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "  ".join(placed).rstrip()

    return "\n".join([bold(line(head)), *(line(row) for row in rows)])


def money(amount: Decimal | None) -> str:
    """Write dollars to the cent, or "unknown"."""
    return UNKNOWN if amount is None else f"{amount:,.2f}"


def unit_price(amount: Decimal | None) -> str:
    """Write a unit price with the decimals that it has, at least two, or "unknown"."""
    if amount is None:
        return UNKNOWN
    short = plain(amount)
    exponent = short.as_tuple().exponent
    return f"{short:,.2f}" if isinstance(exponent, int) and exponent > -2 else f"{short:,f}"


def number(amount: Decimal) -> str:
    """Write a quantity with thousands separated: two decimals at most, more where it is below one."""
    text = f"{amount:,.2f}" if amount >= 1 or amount == 0 else f"{plain(amount):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
