"""The sections that compare: what a month costs, from which load on own hosting is cheaper, what moves that."""

from __future__ import annotations

from decimal import Decimal

from homeport.costs.table import number
from homeport.costs.types import ApiBill, Bill, Sensitivity
from homeport.reports.amounts import api_name, difference, least, own_total, remarks, saving
from homeport.reports.bars import Bar, bars
from homeport.reports.curve import answer, curve_chart, style_of
from homeport.reports.items_section import unpriced
from homeport.reports.sources import Sources, cells
from homeport.reports.tornado import tornado
from homeport.reports.types import Column, Part, Row, Section, Table
from homeport.reports.words import several, usd, usd_exact

CURVE_ROWS = 12
"""Rows of the table beside the curves, about."""
TORNADOES = 4
"""APIs whose tornado is drawn; the table has all."""


def totals(bill: Bill, sources: Sources) -> Section:
    """Own hosting and each API for a month at the bill's load."""
    own = bill.self_hosted
    rows = [Bar(label="own hosting", amount=own.usd_per_month, shown=own_total(bill), style="own")]
    rows += [
        Bar(label=api_name(api), amount=api.usd_per_month, shown=usd(api.usd_per_month), style=style_of(i))
        for i, api in enumerate(bill.api)
    ]
    chart = bars("US dollars a month", _totals_say(bill), rows, note=_least_note(bill))
    table = Table(
        caption=f"A month of {number(bill.requests_per_day)} requests a day",
        columns=(
            Column(title="Who"),
            Column(title="$ a month", number=True),
            Column(title="$ per million tokens", number=True),
            Column(title="Next to own hosting"),
            Column(title="Remarks"),
        ),
        rows=(
            Row(
                cells=cells(
                    "own hosting", least(bill) + usd_exact(own.usd_per_month),
                    least(bill) + usd_exact(own.usd_per_million_tokens), "", "; ".join(_own_remarks(bill)),
                ),
                kind="chosen",
            ),
            *(
                Row(
                    cells=cells(
                        api_name(api),
                        usd_exact(api.usd_per_month),
                        usd_exact(_per_mtok(api, bill)),
                        saving(api, bill),
                        "; ".join(remarks(api)),
                        sources=sources.cite(f"prices of {api.model}", api.source, api.as_of),
                    )
                )
                for api in bill.api
            ),
        ),
    )  # fmt: skip
    return Section(
        id="totals",
        question="Own hosting or an API: what does a month cost?",
        parts=(Part(says=(_totals_say(bill),), charts=(chart,), tables=(table,)),),
    )


def breakeven(bill: Bill) -> Section | None:
    """Cost against load, with every breakeven. None where nothing is priced."""
    chart = curve_chart(bill)
    if chart is None or bill.curves is None:
        return None
    low, high = bill.range_requests_per_day
    says: tuple[str, ...]
    if bill.api:
        says = (
            _breakevens_say(bill),
            f"Looked for from {low:,} to {high:,} requests a day; own hosting is planned anew for each load.",
        )
    else:
        says = ("No API stands next to it: homeport cost --compare gpt-4.1 puts one there.",)
    several_crossings = tuple(
        f"{found.model}: "
        + ", ".join(f"{c.becomes} from {c.requests_per_day:,} requests a day on" for c in found.crossings)
        + ("" if found.crossings_complete else " (there may be more)")
        for found in bill.breakeven
        if len(found.crossings) > 1
    )
    points = tuple(f"{found.model}: {answer(found)}" for found in bill.breakeven)
    parts = [Part(says=says, charts=(chart,), points=points, tables=(_curve_table(bill),))]
    if several_crossings:
        parts.append(
            Part(
                title="The two cross more than once",
                says=("Own hosting gets dearer where a replica is added, and cheaper again as it fills up.",),
                points=several_crossings,
            )
        )
    return Section(
        id="breakeven",
        question="From which load on is own hosting cheaper?"
        if bill.api
        else "How does the cost grow with the load?",
        parts=tuple(parts),
    )


def _breakevens_say(bill: Bill) -> str:
    reached = [found.model for found in bill.breakeven if found.requests_per_day is not None]
    reasons = {found.reason for found in bill.breakeven}
    if not reached and len(reasons) == 1 and bill.self_hosted.usd_per_month is None:
        return f"There is none to be found: {reasons.pop()}."
    if not reached:
        return "Against none of these APIs does own hosting stay cheaper within the range."
    if len(reached) == len(bill.breakeven):
        return f"Own hosting becomes cheaper than {several(reached)} as the load grows."
    return (
        f"Own hosting becomes cheaper than {several(reached)} as the load grows, and not than the other APIs."
    )


def _curve_table(bill: Bill) -> Table:
    curves = bill.curves
    assert curves is not None
    step = max(1, len(curves.loads) // CURVE_ROWS)
    mtok = curves.own_usd_per_million_tokens()
    rows = [
        Row(
            cells=cells(
                f"{curves.loads[i]:,}",
                usd(curves.own[i]),
                usd(mtok[i]),
                *(usd(api.usd_per_month[i]) for api in curves.api),
            )
        )
        for i in range(0, len(curves.loads), step)
    ]
    return Table(
        caption="US dollars a month at some of the loads (unknown: no plan of a known price carries it)",
        folded=True,
        columns=(
            Column(title="Requests a day", number=True),
            Column(title="Own hosting", number=True),
            Column(title="Own hosting, $ per million tokens", number=True),
            *(Column(title=api.model, number=True) for api in curves.api),
        ),
        rows=tuple(rows),
    )


def sensitivity(bill: Bill) -> Section | None:
    """What moves the difference to each API. None where there is no difference: no API, or no known price."""
    now = {api.model: difference(api, bill) for api in bill.api}
    drawn = [
        (at, found) for found in bill.sensitivity if (at := now.get(found.model)) is not None and found.swings
    ]
    if not drawn:
        return None
    drawn.sort(key=lambda pair: abs(pair[0]))
    parts = [
        Part(title=f"Against {found.model}", says=(_swing_says(found, at),), charts=(tornado(found, at),))
        for at, found in drawn[:TORNADOES]
    ]
    rest = [found.model for _, found in drawn[TORNADOES:]]
    table = Table(
        caption="Own hosting less the API, US dollars a month (negative: own hosting is cheaper)",
        folded=True,
        columns=(
            Column(title="Figure"),
            Column(title="A fifth lower", number=True),
            Column(title="Now", number=True),
            Column(title="A fifth higher", number=True),
        ),
        rows=tuple(
            Row(
                cells=cells(
                    f"{found.model}: {swing.figure}",
                    usd_exact(swing.lower),
                    usd_exact(now.get(found.model)),
                    usd_exact(swing.higher),
                )
            )
            for found in bill.sensitivity
            for swing in found.swings
        ),
    )
    says = [
        "One figure at a time is moved by a fifth, down and up; everything else stays, and own hosting is planned anew."
    ]
    if rest:
        says.append(f"Drawn for the APIs nearest in cost; the table also has {several(rest)}.")
    return Section(
        id="sensitivity",
        question="What moves the answer most?",
        parts=(Part(says=tuple(says)), *parts, Part(tables=(table,))),
    )


def _swing_says(found: Sensitivity, now: Decimal) -> str:
    turning = [
        swing.figure
        for swing in found.swings
        if any(side is not None and (side > 0) != (now > 0) for side in (swing.lower, swing.higher))
    ]
    who = "the API" if now > 0 else "own hosting"
    if not turning:
        return f"Now {who} is cheaper by {usd(abs(now))} a month, and no figure turns that by a fifth alone."
    return (
        f"Now {who} is cheaper by {usd(abs(now))} a month. A fifth alone turns that: {several(turning, 9)}."
    )


def _own_remarks(bill: Bill) -> list[str]:
    idle = bill.self_hosted.idle_gpus
    said = (
        [f"{idle} GPUs are idle, and billed" if idle > 1 else "one GPU is idle, and billed"] if idle else []
    )
    return said + (["lines without a price are not in it"] if bill.self_hosted.at_least else [])


def _per_mtok(api: ApiBill, bill: Bill) -> Decimal | None:
    if api.usd_per_month is None or not bill.tokens_per_month:
        return None
    return api.usd_per_month / bill.tokens_per_month * 1_000_000


def _totals_say(bill: Bill) -> str:
    at = f"At {number(bill.requests_per_day)} requests a day"
    if bill.self_hosted.usd_per_month is None:
        return f"{at} the month of own hosting is unknown."
    said = f"{at} own hosting costs {own_total(bill)} a month."
    known = [api for api in bill.api if api.usd_per_month is not None]
    cheaper = [api.model for api in known if (gap := difference(api, bill)) is not None and gap > 0]
    if not known:
        return said
    if not cheaper:
        return f"{said} Every API of the comparison costs more."
    if len(cheaper) == len(known):
        return f"{said} Every API of the comparison costs less."
    return f"{said} {several(cheaper)} {'costs' if len(cheaper) == 1 else 'cost'} less, the others more."


def _least_note(bill: Bill) -> str:
    if not bill.self_hosted.at_least:
        return ""
    return f"Own hosting lacks what nobody gave a price for: {unpriced(bill)}."
