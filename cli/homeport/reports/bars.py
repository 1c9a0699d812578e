"""Bars: the items of a bill, the totals next to each other, and the memory of a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from homeport.reports import svg
from homeport.reports.types import Chart, Key

BAR, GAP = 18, 14
LONGEST = 0.58
"""Share of the width that the longest bar takes: its amount stands behind it, also on a phone."""
OUTLINE = 0.06
"""Share of the width of the empty box that stands for an unknown amount."""


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """One bar: `amount` None is unknown, `shown` is written behind it."""

    label: str
    amount: Decimal | None
    shown: str
    style: str


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of a whole, GiB."""

    name: str
    gib: float
    style: str


def bars(title: str, description: str, rows: Sequence[Bar], note: str = "") -> Chart:
    """Draw amounts as bars from a common zero; an unknown one is an empty, dashed box."""
    longest = max((row.amount for row in rows if row.amount is not None), default=Decimal(0))
    marks: list[str] = []
    y = 0
    for row in rows:
        for line in svg.wrapped(row.label):
            y += svg.LINE
            marks.append(svg.text(line, 0, y - 4))
        if row.amount is None:
            end = OUTLINE
            marks.append(svg.rectangle(0.001, end, y + 1, BAR - 2, "unknown"))
        else:
            end = float(row.amount / longest) * LONGEST if longest > 0 else 0.0
            marks.append(svg.rectangle(0, end, y, BAR, row.style))
        marks.append(svg.text(row.shown, end, y + BAR - 4, style="amount", shift=7))
        y += BAR + GAP
    return Chart(title=title, description=description, svg="".join(marks), height=max(y - GAP, 1), note=note)


def stack(title: str, description: str, pieces: Sequence[Piece], whole_gib: float, whole: str) -> Chart:
    """Draw the pieces of a whole as one bar; the legend has their names and sizes."""
    marks = [svg.text(f"0 {whole}", 0, 12, style="tick")]
    marks.append(svg.text(f"{whole_gib:.1f} {whole}", 1, 12, style="tick", anchor="end"))
    reached = 0.0
    for piece in pieces:
        start, reached = reached, min(1.0, reached + piece.gib / whole_gib)
        marks.append(svg.rectangle(start, reached, 20, 34, f"piece {piece.style}"))
    keys = tuple(Key(style=p.style, text=f"{p.name} {p.gib:.1f} {whole}") for p in pieces)
    return Chart(title=title, description=description, svg="".join(marks), height=56, keys=keys)
