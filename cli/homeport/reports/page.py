"""The page: its summary, its sections in the order of their questions, and the HTML that it becomes."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from homeport.costs.table import number
from homeport.costs.types import Bill
from homeport.planning.types import Plan
from homeport.reports import money_sections as money
from homeport.reports import plan_sections as planned
from homeport.reports.amounts import api_name, least, saving
from homeport.reports.curve import answer
from homeport.reports.hybrid_section import splits
from homeport.reports.items_section import items, unknowns
from homeport.reports.sources import Sources, cells
from homeport.reports.types import Column, Fact, Page, Part, Row, Section, Table
from homeport.reports.words import count, sentence, several, usd

if TYPE_CHECKING:
    from jinja2 import Environment

METHODS = {"load": "load-aware method", "guide": "guide's method"}
MARK = '<meta name="generator" content="homeport report">'
"""What a report calls itself, so that the next one may take its place."""


def report(bill: Bill, plan: Plan) -> str:
    """Return the page of a bill (with curves and sensitivity, for what they show) and of the plan that it bills.

    The same bill and plan give the same bytes.
    """
    return (
        _environment()
        .get_template("report.html.j2")
        .render(page=page_of(bill, plan), style=_style(), mark=MARK)
    )


def page_of(bill: Bill, plan: Plan) -> Page:
    """Return what the page says, before it is HTML."""
    sources = Sources()
    grouped = planned.groups(plan)
    sections = [
        money.totals(bill, sources),
        items(bill, sources),
        money.breakeven(bill),
        money.sensitivity(bill),
        splits(bill.hybrid) if bill.hybrid else None,
        planned.memory(grouped),
        planned.plan_in_words(grouped, plan, sources),
        planned.options(grouped),
        _unknown(bill),
        _assumed(bill, grouped, plan),
    ]
    return Page(
        title=f"{bill.name}: own hosting next to APIs",
        lead=_lead(bill, plan),
        facts=tuple(_facts(bill)),
        sections=tuple(section for section in sections if section is not None),
        sources=sources.listed(),
    )


def _lead(bill: Bill, plan: Plan) -> tuple[str, ...]:
    names = several([made.name for made in bill.deployments])
    target = plan.spec.target
    place = f" in {target.region}" if target.region else ""
    return (
        f"What a month of own hosting costs for {names} on {target.platform}{place}, at {number(bill.requests_per_day)} "
        f"requests a day ({number(bill.tokens_per_month / 1_000_000)} million tokens a month), by the "
        f"{METHODS[bill.method]}.",
    )


def _facts(bill: Bill) -> list[Fact]:
    own = bill.self_hosted
    at_least = least(bill)
    unknown = sum(line.usd_per_month is None for line in own.lines)
    note = (
        f"{count(unknown, 'line')} of the bill {'is' if unknown == 1 else 'are'} unknown" if unknown else ""
    )
    facts = [
        Fact(name="Own hosting a month", value=at_least + usd(own.usd_per_month), note=note),
        Fact(
            name="Own hosting per million tokens",
            value=at_least + usd(own.usd_per_million_tokens),
            note="of the capacity that is reserved for this load",
        ),
    ]
    priced = [api for api in bill.api if api.usd_per_month is not None]
    offered = [api for api in priced if not api.retired] or priced
    if offered:
        cheapest = min(offered, key=lambda api: api.usd_per_month or 0)
        facts.append(
            Fact(
                name="Cheapest API of the comparison",
                value=usd(cheapest.usd_per_month),
                note=f"{api_name(cheapest)}; {saving(cheapest, bill)}".rstrip("; "),
            )
        )
    named = {api.model: api_name(api) for api in bill.api}
    reached = [found for found in bill.breakeven if found.requests_per_day is not None]
    if reached:
        first = min(reached, key=lambda found: found.requests_per_day or 0)
        value = f"{'at least ' if first.at_least else ''}{first.requests_per_day:,} requests a day"
        facts.append(Fact(name="First breakeven", value=value, note=f"against {named[first.model]}"))
    elif bill.breakeven:
        found = bill.breakeven[0]
        facts.append(Fact(name="Breakeven", value="none", note=f"{found.model}: {answer(found)}"))
    return facts


def _unknown(bill: Bill) -> Section | None:
    points = tuple(unknowns(bill))
    if not points:
        return None
    said = ["Unknown is not zero."]
    if bill.self_hosted.usd_per_month is None:
        said.append("The total of own hosting is unknown too.")
    elif bill.self_hosted.at_least:
        said.append("The total of own hosting is “at least”, and a breakeven can only lie higher.")
    return Section(
        id="unknown", question="What is not known?", parts=(Part(says=(" ".join(said),), points=points),)
    )


def _assumed(bill: Bill, grouped: list[planned.Group], plan: Plan) -> Section:
    several_models = len(grouped) > 1
    rows = []
    said = set()
    for group in grouped:
        for decided in group.model.decisions:
            if decided.assumption:
                what = f"{several(group.names)}: {decided.field}" if several_models else decided.field
                rows.append(Row(cells=cells(what, decided.value, decided.because)))
                said.add(decided.because)
    rows += [
        Row(cells=cells(line.item, usd(line.usd_per_month), line.note or "an assumption"))
        for line in bill.self_hosted.lines
        if line.estimated and line.note not in said
    ]
    table = Table(
        caption="Values that nobody wrote, and why they are what they are",
        columns=(Column(title="What"), Column(title="Value"), Column(title="Because")),
        rows=tuple(rows),
    )
    parts = [
        Part(points=tuple(sentence(text) for text in bill.assumptions), tables=(table,) if rows else ()),
    ]
    warnings = tuple(dict.fromkeys(sentence(text) for text in (*bill.warnings, *plan.warnings)))
    if warnings:
        parts.append(Part(title="Before you rely on it", points=warnings))
    return Section(id="assumptions", question="What is assumed?", parts=tuple(parts))


def _style() -> str:
    return (Path(__file__).parent / "report.css").read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(Path(__file__).parent, encoding="utf-8"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
        autoescape=True,
    )
