"""Cost against load: own hosting in steps, each API as a line, breakevens marked. Both axes are logarithmic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from string import ascii_uppercase

from homeport.costs.types import Bill, Breakeven, Curve, Curves
from homeport.reports import svg
from homeport.reports.types import Chart, Key
from homeport.reports.words import short, usd

TOP, FIELD, AXIS = 10, 300, 22
STYLES = 6
"""Colours that the style sheet has for APIs; they come again, the letters do not."""
SNAP = 0.005
"""A crossing this near a level of the staircase lies on it."""
AXES = "Both axes are logarithmic: each grid line is ten times the one before. The dashed line is your load."
STEPS = (
    " The dot is your bill, a ring a breakeven. A step is where replicas are added; between two loads that were planned "
    "it stands halfway."
)

Point = tuple[float, float]


class Scale:
    """Loads and amounts as shares of the chart: both logarithmic, amounts counted from the top."""

    def __init__(self, loads: tuple[float, float], amounts: tuple[float, float]) -> None:
        """Take the ends of both axes."""
        self.loads = loads
        self.amounts = amounts

    def x(self, load: float) -> float:
        """Return the share of the width, 0 to 1 on the chart."""
        low, high = self.loads
        return math.log(load / low) / math.log(high / low)

    def y(self, amount: float) -> float:
        """Return the share of the height from the top, 0 to 1 on the chart."""
        low, high = self.amounts
        return 1 - math.log(amount / low) / math.log(high / low)

    def pixel(self, amount: float) -> float:
        """Return the height in pixels from the chart's top."""
        return TOP + self.y(amount) * FIELD


def curve_chart(bill: Bill) -> Chart | None:
    """Draw a bill's curves; None where there is nothing to draw: no price of own nodes and no API."""
    curves = bill.curves
    scale = _scale(curves) if curves else None
    if curves is None or scale is None:
        return None
    letters = dict(zip((api.model for api in bill.api), _letters(len(bill.api)), strict=True))
    lines = [
        svg.path(
            ((scale.x(load), scale.y(float(amount))) for load, amount in _drawn(curves, api)),
            style_of(list(letters).index(api.model)),
        )
        for api in curves.api
    ]
    stairs = staircase(bill, curves)
    lines += [svg.path(((scale.x(x), scale.y(y)) for x, y in run), "own") for run in stairs]
    marks = [
        *_grid(scale),
        svg.stretched(lines, TOP, FIELD),
        *_names(scale, curves, letters),
        *_here(scale, bill),
        *_breakevens(scale, bill, curves, letters),
    ]
    keys = [Key(style="own", text="own hosting, planned anew for each load", line=True)] if stairs else []
    keys += [
        Key(style=style_of(i), letter=letters[found.model], text=f"{found.model}, {_brief(found)}", line=True)
        for i, found in enumerate(bill.breakeven)
    ]
    return Chart(
        title="US dollars a month against requests a day",
        description=_says(bill, curves),
        svg="".join(marks),
        height=TOP + FIELD + AXIS,
        keys=tuple(keys),
        note=AXES + (STEPS if stairs else ""),
    )


def style_of(index: int) -> str:
    """Return the class of the API at a place in the list."""
    return f"api-{index % STYLES + 1}"


def answer(found: Breakeven) -> str:
    """Return one breakeven in words."""
    if found.requests_per_day is None:
        return f"no breakeven, {found.reason}"
    least = "at least " if found.at_least else ""
    why = f" ({found.reason})" if found.reason else ""
    return f"own hosting stays cheaper from {least}{found.requests_per_day:,} requests a day on{why}"


def _brief(found: Breakeven) -> str:
    if found.requests_per_day is None:
        return "no breakeven"
    return f"{'at least ' if found.at_least else ''}{found.requests_per_day:,}"


def staircase(bill: Bill, curves: Curves) -> list[list[Point]]:
    """Return own hosting as runs of points with a vertical at each step; a gap is where no plan carries the load.

    The curves know the cost at some loads only. The crossings are exact, so a step that turns an answer stands where
    it is, and a line crosses the staircase where the breakeven says.
    """
    runs: list[list[Point]] = []
    whole: list[Point] = []
    for load, amount in zip(curves.loads, curves.own, strict=True):
        if amount is not None and amount > 0:
            whole.append((float(load), float(amount)))
        elif whole:
            runs.append(whole)
            whole = []
    if whole:
        runs.append(whole)
    known = _exact(bill, curves)
    return [_stepped(_with(run, known)) for run in runs]


def _stepped(points: Sequence[Point]) -> list[Point]:
    drawn = [points[0]]
    for (x0, y0), (x1, y1) in pairwise(points):
        if y0 != y1 and x0 != x1:
            middle = math.sqrt(x0 * x1)
            drawn += [(middle, y0), (middle, y1)]
        drawn.append((x1, y1))
    return drawn


def _exact(bill: Bill, curves: Curves) -> list[tuple[float, float, bool]]:
    """Return load, amount and whether own hosting gets cheaper there, of every crossing."""
    apis = {api.model: api for api in curves.api}
    return sorted(
        (
            float(cross.requests_per_day),
            api_at(curves, apis[found.model], cross.requests_per_day),
            cross.becomes == "cheaper",
        )
        for found in bill.breakeven
        if found.model in apis
        for cross in found.crossings
        if curves.loads[0] < cross.requests_per_day < curves.loads[-1]
    )


def _with(run: list[Point], known: Sequence[tuple[float, float, bool]]) -> list[Point]:
    """Put exact points into a run: on a level where own hosting gets cheaper, a step where it gets dearer."""
    points = list(run)
    for load, amount, cheaper in known:
        for i, ((x0, y0), (x1, y1)) in enumerate(pairwise(points)):
            if x0 < load < x1 and y0 <= y1:
                near = [level for level in (y0, y1) if abs(level / amount - 1) < SNAP]
                if cheaper:
                    points.insert(i + 1, (load, near[0] if near else amount))
                elif y0 < amount <= y1 * (1 + SNAP):
                    points[i + 1 : i + 1] = [(load, y0), (load, y1)]
                break
    return points


def api_at(curves: Curves, api: Curve, load: float) -> float:
    """Return an API's USD a month at any load: it is a straight line over the load."""
    first, last = curves.loads[0], curves.loads[-1]
    low, high = float(api.usd_per_month[0]), float(api.usd_per_month[-1])
    return low if first == last else low + (high - low) * (load - first) / (last - first)


def _scale(curves: Curves) -> Scale | None:
    """Return the axes: all of own hosting with a decade below it, else all of the APIs."""
    if curves.loads[0] == curves.loads[-1]:
        return None
    loads = float(curves.loads[0]), float(curves.loads[-1])
    own = [float(amount) for amount in curves.own if amount]
    if own:
        return Scale(loads, (min(own) / 10, max(own) * 2))
    theirs = [float(amount) for api in curves.api for amount in api.usd_per_month if amount > 0]
    return Scale(loads, (min(theirs), max(theirs) * 2)) if theirs else None


def _drawn(curves: Curves, api: Curve) -> list[tuple[int, Decimal]]:
    return [
        (load, amount) for load, amount in zip(curves.loads, api.usd_per_month, strict=True) if amount > 0
    ]


def _letters(number: int) -> list[str]:
    once = list(ascii_uppercase)
    return (once + [a + b for a in once for b in once])[:number]


def _decades(low: float, high: float) -> range:
    return range(max(0, math.ceil(math.log10(low) - 1e-9)), math.floor(math.log10(high) + 1e-9) + 1)


def _grid(scale: Scale) -> list[str]:
    marks = []
    for decade in _decades(*scale.amounts):
        y = scale.pixel(10.0**decade)
        marks += [svg.level(y, "grid"), svg.text(f"${short(decade)}", 0, y - 4, style="tick halo")]
    bottom = TOP + FIELD
    marks.append(svg.level(bottom, "axis"))
    for decade in _decades(*scale.loads):
        at = scale.x(10.0**decade)
        anchor = "start" if at < 0.05 else "end" if at > 0.95 else "middle"
        marks += [
            svg.upright(at, bottom, bottom + 5, "axis"),
            svg.text(short(decade), at, bottom + 18, style="tick", anchor=anchor),
        ]
    return marks


def _names(scale: Scale, curves: Curves, letters: dict[str, str]) -> list[str]:
    """Put each API's letter on its line, near the right end, each a little further left than the one before."""
    marks = []
    for i, api in enumerate(curves.api):
        inside = [
            (scale.x(load), scale.y(float(amount)))
            for load, amount in _drawn(curves, api)
            if 0.02 < scale.y(float(amount)) < 0.98
        ]
        if inside:
            x, y = inside[max(0, len(inside) - 2 - 3 * (i % 4))]
            marks.append(
                svg.text(letters[api.model], x, TOP + y * FIELD + 4, style="name halo", anchor="middle")
            )
    return marks


def _here(scale: Scale, bill: Bill) -> list[str]:
    load = float(bill.requests_per_day)
    own = bill.self_hosted.usd_per_month
    if not scale.loads[0] <= load <= scale.loads[1]:
        return []
    at = scale.x(load)
    marks = [svg.upright(at, TOP, TOP + FIELD, "here")]
    anchor = "start" if at < 0.6 else "end"
    marks.append(
        svg.text(
            "your load", at, TOP + 10, style="tick halo", anchor=anchor, shift=5 if anchor == "start" else -5
        )
    )
    if own is not None and scale.amounts[0] <= own <= scale.amounts[1]:
        marks.append(svg.tag("circle", cx=svg.percent(at), cy=scale.pixel(float(own)), r=5, class_="dot"))
    return marks


def _breakevens(scale: Scale, bill: Bill, curves: Curves, letters: dict[str, str]) -> list[str]:
    marks = []
    apis = {api.model: api for api in curves.api}
    bottom, placed = TOP + FIELD, 0
    for found in bill.breakeven:
        load = found.requests_per_day
        if load is None or found.model not in apis or not curves.loads[0] <= load <= curves.loads[-1]:
            continue
        amount = api_at(curves, apis[found.model], load)
        if not scale.amounts[0] <= amount <= scale.amounts[1]:
            continue
        at, y = scale.x(load), scale.pixel(amount)
        anchor = "start" if at < 0.5 else "end"
        words = f"{letters[found.model]}: {'≥ ' if found.at_least else ''}{load:,}"
        marks += [
            svg.upright(at, y, bottom, "drop"),
            svg.tag("circle", cx=svg.percent(at), cy=y, r=5, class_="ring"),
            svg.text(
                words,
                at,
                bottom - 8 - 16 * (placed % 5),
                style="amount halo",
                anchor=anchor,
                shift=6 if anchor == "start" else -6,
            ),
        ]
        placed += 1
    return marks


def _says(bill: Bill, curves: Curves) -> str:
    first, last = curves.loads[0], curves.loads[-1]
    own = [amount for amount in (curves.own[0], curves.own[-1]) if amount is not None]
    parts = [f"Cost from {first:,} to {last:,} requests a day."]
    if len(own) == 2:
        parts.append(f"Own hosting rises in steps from {usd(own[0])} to {usd(own[1])} a month.")
    parts += [f"{api.model} rises in a line to {usd(api.usd_per_month[-1])}." for api in curves.api]
    parts += [f"{found.model}: {answer(found)}." for found in bill.breakeven]
    return " ".join(parts)
