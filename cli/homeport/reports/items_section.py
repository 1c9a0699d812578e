"""The section that has every line of the bill, and what of it is not known."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from homeport.costs.output import UNKNOWN
from homeport.costs.table import number, unit_price
from homeport.costs.types import Bill, Line
from homeport.reports.amounts import api_name, least
from homeport.reports.bars import Bar, bars
from homeport.reports.sources import Sources, cells
from homeport.reports.types import Cell, Column, Part, Row, Section, Table
from homeport.reports.words import count, several, usd, usd_exact

MEASURED_IN_BULK = ("GiB", "million tokens")
MOST_BARS = 20
"""Bars of the chart: of a large fleet, the smallest items share the last one. The table has all."""


def items(bill: Bill, sources: Sources) -> Section:
    """The bill of own hosting by item, and the APIs' lines."""
    own = bill.self_hosted
    chart = bars(
        "The bill of own hosting, US dollars a month",
        _items_say(bill),
        _bars(bill),
        note="A dashed box is an amount that nobody gave." if own.at_least else "",
    )
    table = Table(
        caption="Own hosting, line by line",
        columns=(
            Column(title="Item"),
            Column(title="Quantity", number=True),
            Column(title="Unit price, $", number=True),
            Column(title="$ a month", number=True),
            Column(title="Remarks"),
        ),
        rows=(
            *(
                Row(
                    cells=_line(
                        line,
                        _together([line], bill),
                        sources.cite(f"price of {line.item}", line.source, line.as_of),
                    )
                )
                for line in own.lines
            ),
            Row(cells=cells("Total", "", "", least(bill) + usd_exact(own.usd_per_month), ""), kind="total"),
        ),
    )
    parts = [Part(says=(_items_say(bill),), charts=(chart,), tables=(table,))]
    if bill.api:
        parts.append(Part(tables=(_api_lines(bill, sources),)))
    return Section(id="items", question="What is in the bill?", parts=tuple(parts))


def _bars(bill: Bill) -> list[Bar]:
    """Return the known items, largest first, then the unknown ones; alike items of several deployments are one."""
    alike: dict[tuple[str, bool], list[Line]] = {}
    for line in bill.self_hosted.lines:
        alike.setdefault((line.item, line.usd_per_month is None), []).append(line)
    known = [
        (_together(lines, bill), sum((line.usd_per_month or Decimal(0) for line in lines), Decimal(0)))
        for (_, unknown), lines in alike.items()
        if not unknown
    ]
    known.sort(key=lambda pair: -pair[1])
    if len(known) > MOST_BARS:
        small = known[MOST_BARS - 1 :]
        total = sum((amount for _, amount in small), Decimal(0))
        known = [*known[: MOST_BARS - 1], (count(len(small), "smaller item"), total)]
    drawn = [Bar(label=label, amount=amount, shown=usd(amount), style="own") for label, amount in known]
    return drawn + [
        Bar(label=_together(lines, bill), amount=None, shown=UNKNOWN, style="own")
        for (_, unknown), lines in alike.items()
        if unknown
    ]


def _together(lines: Sequence[Line], bill: Bill) -> str:
    """Return the name of lines of one item, with the deployments that they are for unless these are all."""
    models = tuple(dict.fromkeys(model for line in lines for model in line.models))
    return (
        lines[0].item if len(models) in (0, len(bill.deployments)) else f"{lines[0].item} ({several(models)})"
    )


def _api_lines(bill: Bill, sources: Sources) -> Table:
    several_models = len(bill.deployments) > 1
    rows = []
    for api in bill.api:
        for line in api.lines:
            what = line.item + (f" ({several(line.models)})" if several_models else "")
            cited = sources.cite(f"prices of {api.model}", line.source, line.as_of)
            rows.append(
                Row(cells=_line(line, f"{api.model}: {what}", cited, unverified=bool(api.unverified)))
            )
        rows.append(
            Row(
                cells=cells(f"{api_name(api)}: total", "", "", usd_exact(api.usd_per_month), ""), kind="total"
            )
        )
    return Table(
        caption="The lines of each API",
        folded=True,
        columns=(
            Column(title="Item"),
            Column(title="Quantity", number=True),
            Column(title="Unit price, $", number=True),
            Column(title="$ a month", number=True),
            Column(title="Remarks"),
        ),
        rows=tuple(rows),
    )


def _items_say(bill: Bill) -> str:
    own = bill.self_hosted
    if own.usd_per_month is None:
        return "No line of own hosting has a known price."
    known = [line for line in own.lines if line.usd_per_month is not None]
    largest = max(known, key=lambda line: line.usd_per_month or 0)
    share = (largest.usd_per_month or Decimal(0)) / own.usd_per_month if own.usd_per_month else Decimal(0)
    said = f"The largest item is {largest.item}: {usd(largest.usd_per_month)} a month, {share:.0%} of what is known."
    return f"{said} Unknown: {unpriced(bill)}." if own.at_least else said


def unpriced(bill: Bill) -> str:
    """Return the items of own hosting that have no price, each once."""
    names = dict.fromkeys(line.item for line in bill.self_hosted.lines if line.usd_per_month is None)
    return "; ".join(names)


def _line(line: Line, name: str, cited: tuple[int, ...], *, unverified: bool = False) -> tuple[Cell, ...]:
    quantity = UNKNOWN if line.quantity is None else f"{number(line.quantity)} {_unit(line)}"
    note = line.note or ("unverified" if unverified else "an assumption" if line.estimated else "")
    if line.estimated and line.note:
        note = f"assumed: {line.note}"
    return cells(
        name,
        quantity,
        unit_price(line.unit_price_usd),
        usd_exact(line.usd_per_month),
        note,
        sources=cited,
    )


def _unit(line: Line) -> str:
    return line.unit if line.quantity == 1 or line.unit in MEASURED_IN_BULK else f"{line.unit}s"


def unknowns(bill: Bill) -> Sequence[str]:
    """Return what the bill does not know, one sentence each."""
    alike: dict[tuple[str, str], list[Line]] = {}
    for line in bill.self_hosted.lines:
        if line.usd_per_month is None:
            alike.setdefault((line.item, _why_unknown(line)), []).append(line)
    said = [f"{_together(lines, bill)}: {why}" for (_, why), lines in alike.items()]
    for api in bill.api:
        said += [f"{api.model}: {line.item} has no price" for line in api.lines if line.usd_per_month is None]
    return said


def _why_unknown(line: Line) -> str:
    if line.note is None:
        return "no price"
    return line.note if line.note.startswith("no price") else f"no price ({line.note})"
