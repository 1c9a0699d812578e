"""What moves the difference between own hosting and an API, as a tornado: the widest swing on top."""

from __future__ import annotations

import math
from decimal import Decimal

from homeport.costs.types import Sensitivity
from homeport.reports import svg
from homeport.reports.types import Chart, Key
from homeport.reports.words import MINUS, several, usd

BAR, GAP, HEAD = 8, 14, 40
MARGIN = 0.06
TICKS = 4
EDGE = 0.2
"""Words nearer than this to an end of the chart start (or end) at their place, so that they stay on it."""

KEYS = (
    Key(style="lower", text="the figure a fifth lower (upper bar)"),
    Key(style="higher", text="the figure a fifth higher (lower bar)"),
)


def tornado(found: Sensitivity, now: Decimal) -> Chart:
    """Draw each figure's two differences as bars from the present one, `now`; the zero line is where both cost the same."""
    sides = [side for s in found.swings for side in (s.lower, s.higher) if side is not None]
    low, high = float(min([*sides, now, Decimal(0)])), float(max([*sides, now, Decimal(0)]))
    span = (high - low) or 1.0

    def across(amount: float) -> float:
        return MARGIN + (amount - low) / span * (1 - 2 * MARGIN)

    here, same = across(float(now)), across(0.0)
    rows: list[str] = []
    y = HEAD
    for swing in found.swings:
        y += svg.LINE
        unknown = "" if swing.lower is not None or swing.higher is not None else ": unknown"
        rows.append(svg.text(f"{swing.figure}{unknown}", 0, y - 4, style="halo"))
        for side, style in ((swing.lower, "lower"), (swing.higher, "higher")):
            if side is not None:
                there = across(float(side))
                rows.append(svg.rectangle(min(here, there), max(here, there), y, BAR, style))
            y += BAR
        y += GAP
    bottom = y - GAP + 4
    frame = [svg.upright(across(tick), HEAD, bottom, "grid") for tick in ticks(low, high)]
    frame += [
        svg.text(_short(tick), across(tick), bottom + 15, style="tick", anchor="middle")
        for tick in ticks(low, high)
    ]
    lines = [
        svg.upright(same, HEAD - 6, bottom, "zero"),
        svg.upright(here, HEAD - 22, bottom, "here"),
        svg.text("same cost", same, HEAD - 8, style="tick", anchor=_anchor(same), shift=_shift(same)),
        svg.text(f"now {usd(now)}", here, HEAD - 26, style="amount", anchor=_anchor(here)),
    ]
    return Chart(
        title=f"Own hosting less {found.model}, US dollars a month",
        description=_says(found, now),
        svg="".join([*frame, *rows, *lines]),
        height=bottom + 20,
        keys=KEYS,
        note="Left of “same cost” own hosting is cheaper, right of it the API. Bars start at the present difference.",
    )


def ticks(low: float, high: float) -> list[float]:
    """Return round numbers from `low` to `high`, about four of them."""
    rough = (high - low) / TICKS or 1.0
    scale = 10.0 ** math.floor(math.log10(rough))
    step = next(scale * m for m in (1, 2, 5, 10) if scale * m >= rough)
    return [step * i for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _short(amount: float) -> str:
    sign, size = (MINUS if amount < 0 else ""), abs(amount)
    for least, suffix in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if size >= least:
            return f"{sign}${size / least:g}{suffix}"
    return f"{sign}${size:g}"


def _anchor(at: float) -> str:
    return "start" if at < EDGE else "end" if at > 1 - EDGE else "middle"


def _shift(at: float) -> float:
    return {"start": 4.0, "end": -4.0}.get(_anchor(at), 0.0)


def _says(found: Sensitivity, now: Decimal) -> str:
    who = "own hosting costs more" if now > 0 else "own hosting costs less"
    widest = [s.figure for s in found.swings if s.width > 0][:3]
    flips = [
        s.figure
        for s in found.swings
        if any(side is not None and (side > 0) != (now > 0) for side in (s.lower, s.higher))
    ]
    moved = f" The widest swings: {several(widest)}." if widest else ""
    turned = (
        f" A fifth more or less turns the answer: {several(flips, 9)}."
        if flips
        else " No fifth turns the answer."
    )
    return f"Now the difference is {usd(now)} a month: {who}.{moved}{turned}"
