"""Advice as text for a terminal: the verdict first, then what it follows from and what would change it."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable

from homeport.advice.advise import NO_LEGAL_ADVICE
from homeport.advice.criteria import WEEKS_A_MONTH
from homeport.advice.types import Advice, ApiStanding, ControlStanding, Criterion, Fact
from homeport.advice.verdict import DECISIVE
from homeport.costs.table import Footnotes, columns, money

WIDTH = 110
HEADLINES = {"api": "use an API", "self-host": "host it yourself", "hybrid": "both: own servers and an API"}
SIDES = {"api": "← API", "self-host": "own →", "neither": "·"}
MANY = 4
"""Questions without an answer from which on the advice calls itself a first guess."""
Style = Callable[[str], str]


def as_table(advice: Advice, bold: Style = str) -> str:
    """Return the advice as text with footnotes; `bold` styles what should stand out."""
    notes = Footnotes()
    blocks = [
        _headline(advice, bold),
        _constraints(advice, notes, bold),
        _criteria(advice, notes, bold),
        _changes(advice, bold),
        _mends(advice, bold),
        _split(advice, bold),
        _apis(advice, notes, bold),
        _operations(advice, notes, bold),
        _privacy(advice, notes, bold),
        _rules(advice, notes, bold),
        _list("Assumptions", advice.assumptions, bold),
        _wrapped(NO_LEGAL_ADVICE),
        "\n".join(notes.lines()),
    ]
    return "\n\n".join(block for block in blocks if block)


def _wrapped(text: str, indent: int = 0, first: str | None = None) -> str:
    pad = " " * indent
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=pad if first is None else first,
        subsequent_indent=pad,
        break_on_hyphens=False,
    )


def _list(head: str, texts: Iterable[str], bold: Style) -> str:
    lines = [_wrapped(text, 4, "  - ") for text in texts]
    return "\n".join([bold(head), *lines]) if lines else ""


def _marks(facts: Iterable[Fact], notes: Footnotes) -> str:
    return "".join(dict.fromkeys(notes.source(fact.source, fact.as_of) for fact in facts))


def _headline(advice: Advice, bold: Style) -> str:
    outcome = advice.outcome
    least = "at least " if advice.own_at_least and advice.own_usd_per_month is not None else ""
    cost = (
        f"{least}${advice.own_usd_per_month:,.0f} a month"
        if advice.own_usd_per_month is not None
        else "at an unknown price"
    )
    weighed = (
        f"weighed: own hosting {outcome.own_pull:.2f}, an API {outcome.api_pull:.2f} (a side wins with {DECISIVE:g} "
        f"times the other's; in between, both serve)"
    )
    if not (outcome.own_pull or outcome.api_pull):
        weighed = "weighed: nothing pulls to either side, so nothing speaks for the effort of own hosting"
    if outcome.unconstrained != outcome.verdict:
        weighed += f", which alone would say {outcome.unconstrained}: the hard constraints below go before"
    lines = [
        f"{bold(advice.name)}: {bold(outcome.verdict)}, {HEADLINES[outcome.verdict]}",
        _wrapped(weighed, 2),
        _wrapped(f"own hosting would be {advice.own}, {cost}", 2),
    ]
    if (count := len(advice.unanswered)) >= MANY:
        lines.append(
            f"  a first guess: {count} of {len(outcome.criteria)} questions are not answered (--ask asks them)"
        )
    return "\n".join(lines)


def _constraints(advice: Advice, notes: Footnotes, bold: Style) -> str:
    lines: list[str] = []
    for one in advice.outcome.constraints:
        lines.append(_wrapped(f"{one.because} {_marks(one.facts, notes)}", 4, "  ! "))
        lines.append(_wrapped(f"bars {' and '.join(one.bars)}; lifted by: {one.lifted_by or 'nothing'}", 4))
    return "\n".join([bold("Hard constraints: no weight outweighs them"), *lines]) if lines else ""


def _criteria(advice: Advice, notes: Footnotes, bold: Style) -> str:
    head = ("Criterion", "", "weight × lean", "answer")
    rows = [
        (
            f"  {c.id.replace('_', ' ')}",
            SIDES[c.points_to],
            f"{c.weight:g} × {abs(c.lean):.2f} = {c.pull:.2f}" if c.lean else f"{c.weight:g} × 0",
            c.answer or f"not said: {c.flag}",
        )
        for c in advice.outcome.criteria
    ]
    lines = columns(head, rows, (2,), bold).split("\n")
    told = [lines[0]]
    for criterion, line in zip(advice.outcome.criteria, lines[1:], strict=True):
        told.append(line)
        if criterion.answer is not None or criterion.lean or criterion.flips_at:
            told.append(_why(criterion, notes))
    return "\n".join(told)


def _why(criterion: Criterion, notes: Footnotes) -> str:
    because = criterion.because if criterion.answer is not None or criterion.lean else criterion.question
    text = _wrapped(f"{because} {_marks(criterion.facts, notes)}".rstrip(), 4)
    if criterion.flips_at:
        text += "\n" + _wrapped(f"another verdict at: {criterion.flips_at}", 4)
    return text


def _changes(advice: Advice, bold: Style) -> str:
    if not advice.flips:
        held = "the hard constraints hold it, also where one of them is lifted"
        why = held if advice.outcome.constraints else "no single answer or load does"
        return f"{bold('What would change the verdict')}\n  nothing alone: {why}"
    lines = []
    for i, flip in enumerate(advice.flips[:5]):
        least = " (the smallest change)" if i == 0 and len(advice.flips) > 1 else ""
        lines.append(f"{flip.change} → {flip.verdict}{least}")
    return _list("What would change the verdict, one change at a time", lines, bold)


def _mends(advice: Advice, bold: Style) -> str:
    lines = [f"{one.field}: {one.message}" + (f"; {one.help}" if one.help else "") for one in advice.to_mend]
    return _list("To mend first: `plan` refuses this spec", lines, bold)


def _split(advice: Advice, bold: Style) -> str:
    told = _list("What goes where", advice.split, bold)
    rows = [
        (
            f"  {split.name}",
            ("at least " if split.at_least and split.usd_per_month is not None else "")
            + money(split.usd_per_month),
            split.reason or ("the cheapest that holds the rules" if split.cheapest else ""),
        )
        for split in advice.split_costs
    ]
    if not rows:
        return told
    return f"{told}\n{columns(('  split', '$ a month', ''), rows, (1,), bold)}"


def _apis(advice: Advice, notes: Footnotes, bold: Style) -> str:
    rows = [
        (
            f"  {api.model}{' (stands in)' if api.assumed else ''}",
            money(api.usd_per_month),
            _breakeven(api),
            _usable(api),
        )
        for api in advice.apis
    ]
    lines = columns(
        ("API", "$ a month", "breakeven a day", "your data may go there"), rows, (1, 2), bold
    ).split("\n")
    told = [lines[0]]
    for api, line in zip(advice.apis, lines[1:], strict=True):
        told.append(f"{line} {notes.source(api.source, api.as_of)}")
        told += [
            _wrapped(f"not declared: {gap.lacks} ({gap.because})", 6, "    ") for gap in api.gaps if gap.term
        ]
        if api.reference:
            told.append(_wrapped(f"agreement: {api.reference}", 6, "    "))
    return "\n".join(told)


def _breakeven(api: ApiStanding) -> str:
    return "none" if api.breakeven_requests_per_day is None else f"{api.breakeven_requests_per_day:,}"


def _usable(api: ApiStanding) -> str:
    if api.retired:
        return "retired"
    return "yes" if api.usable else "no"


def _privacy(advice: Advice, notes: Footnotes, bold: Style) -> str:
    mark = notes.source(advice.privacy.source, advice.privacy.as_of)
    rows = [(f"  {a.aspect}", a.api_usual, a.api_enterprise, a.self_hosted) for a in advice.privacy.aspects]
    return columns((f"Privacy {mark}", "API, usual terms", "API, enterprise", "own hosting"), rows, (), bold)


def _operations(advice: Advice, notes: Footnotes, bold: Style) -> str:
    rows_of = advice.operations
    rows = [(f"  {row.task}", row.api, row.self_hosted) for row in rows_of.tasks]
    least, most = rows_of.weekly_hours["self_hosted"]
    api = rows_of.weekly_hours["api"][0]
    mark = notes.source(rows_of.source, rows_of.as_of)
    table = columns((f"Operations {mark}", "API", "own hosting"), rows, (), bold)
    hours = (
        f"upkeep is about {api * WEEKS_A_MONTH:.0f} hours a month with an API, {least * WEEKS_A_MONTH:.0f} to "
        f"{most * WEEKS_A_MONTH:.0f} with own hosting; with an API you still see to {', '.join(rows_of.still_yours_with_an_api)}"
    )
    return f"{table}\n{_wrapped(hours, 2)}"


def _rules(advice: Advice, notes: Footnotes, bold: Style) -> str:
    parts: list[str] = []
    regime = advice.regime
    if regime is not None:
        parts += [
            f"{bold(f'Rules: {regime.title}')} {notes.source(regime.source, regime.as_of)}",
            _wrapped(f"API: {regime.api}", 4, "  "),
            _wrapped(f"own hosting: {regime.own}", 4, "  "),
        ]
    elif advice.controls:
        parts.append(bold("Rules"))
    controls = (*(regime.controls if regime else ()), *advice.controls)
    parts += [line for control in controls for line in _control(control)]
    if regime is not None and regime.duties:
        parts.append("  beyond any deployment, yours:")
        parts += [_wrapped(duty, 6, "    - ") for duty in regime.duties]
    if regime is not None and regime.unverified:
        parts.append("  the sections of the rules are cited from memory: have them checked")
    return "\n".join(parts)


def _control(control: ControlStanding) -> list[str]:
    return [
        _wrapped(f"{control.title} ({control.because})", 4, "  "),
        _wrapped(f"homeport: {control.homeport}", 6, "    "),
        _wrapped(f"yours: {control.yours}", 6, "    "),
    ]
