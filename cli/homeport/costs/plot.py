"""A plot for the terminal: USD a month against requests a day, both on logarithmic axes, one column for each load."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from homeport.costs.table import number

if TYPE_CHECKING:
    from homeport.costs.types import Bill, Curves

ROWS = 16
OWN, HERE, CROSSES = "━", "●", "▲"
API_MARKS = "123456789abcdefghijklmnopqrstuvwxyz"
SUFFIXES = ("", "k", "M", "B")
LABEL_WIDTH = 5

Style = Callable[[str], str]


def as_plot(bill: Bill, bold: Style = str) -> str:
    """Return the plot of a bill's curves: own hosting in steps, each API as a line of its number, and a legend.

    `bill.curves` must have been asked for. `●` is the bill's own load, `▲` under the axis a breakeven in sight.
    """
    curves = bill.curves
    assert curves is not None, "cost(..., curves=True) makes them"
    bottom, top = _range(curves)
    grid = [[" "] * len(curves.loads) for _ in range(ROWS)]
    for mark, api in zip(API_MARKS, curves.api, strict=False):
        _draw(grid, mark, api.usd_per_month, bottom, top)
    _draw(grid, OWN, curves.own, bottom, top)
    here = _column(curves, bill.requests_per_day)
    amount = curves.own[here]
    if amount is not None:
        grid[_row(amount, bottom, top)][here] = HERE
    ticks = _amount_ticks(bottom, top)
    lines = [bold("$ a month, against requests a day")]
    for i, row in enumerate(grid):
        label = ticks.get(i, "")
        lines.append(f"{label:>{LABEL_WIDTH}} {'┤' if label else '│'}{''.join(row)}".rstrip())
    lines += _load_axis(curves)
    lines += _crossings(bill, curves)
    return "\n".join([*lines, *_legend(bill, curves)])


def _range(curves: Curves) -> tuple[float, float]:
    """Return the logarithms of the axis' ends: all of own hosting, a tenth of it below, three times above."""
    own = [math.log10(usd) for usd in curves.own if usd]
    if own:
        return min(own) - 1, max(own) + 0.5
    apis = [math.log10(usd) for api in curves.api for usd in api.usd_per_month if usd]
    return (min(apis), max(apis) + 0.01) if apis else (0.0, 1.0)


def _row(usd: Decimal, bottom: float, top: float) -> int:
    return round((top - math.log10(usd)) / (top - bottom) * (ROWS - 1))


def _column(curves: Curves, load: Decimal | int) -> int:
    return min(
        range(len(curves.loads)), key=lambda i: abs(math.log(curves.loads[i]) - math.log(max(load, 1)))
    )


def _draw(
    grid: list[list[str]], mark: str, amounts: Sequence[Decimal | None], bottom: float, top: float
) -> None:
    for column, usd in enumerate(amounts):
        if usd and 0 <= (row := _row(usd, bottom, top)) < ROWS:
            grid[row][column] = mark


def _amount_ticks(bottom: float, top: float) -> dict[int, str]:
    decades = range(math.ceil(bottom), math.floor(top) + 1)
    return {_row(Decimal(10) ** decade, bottom, top): _short(decade) for decade in decades if decade >= 0}


def _short(decade: int) -> str:
    """Write a power of ten: 1, 10, 100, 1k ... 1M ... 1,000B."""
    steps = min(decade // 3, len(SUFFIXES) - 1)
    return f"{10 ** (decade - 3 * steps):,}{SUFFIXES[steps]}"


def _load_axis(curves: Curves) -> list[str]:
    width = len(curves.loads)
    line, labels = ["─"] * width, [" "] * (width + LABEL_WIDTH)
    first, last = curves.loads[0], curves.loads[-1]
    for decade in range(math.ceil(math.log10(first)), math.floor(math.log10(last)) + 1):
        text = _short(decade)
        column = _column(curves, 10**decade)
        line[column] = "┴"
        start = max(0, column - len(text) // 2)
        labels[start : start + len(text)] = text
    margin = " " * LABEL_WIDTH
    return [f"{margin} └{''.join(line)}", f"{margin}  {''.join(labels).rstrip()}"]


def _crossings(bill: Bill, curves: Curves) -> list[str]:
    marks = [" "] * len(curves.loads)
    for found in bill.breakeven:
        load = found.requests_per_day
        if load is not None and curves.loads[0] <= load <= curves.loads[-1]:
            marks[_column(curves, load)] = CROSSES
    text = "".join(marks).rstrip()
    return [f"{' ' * LABEL_WIDTH}  {text}"] if text else []


def _legend(bill: Bill, curves: Curves) -> list[str]:
    lines = [
        f"{OWN} own hosting, planned anew for each load   {HERE} {number(bill.requests_per_day)} requests a day"
    ]
    breakevens = {found.model: found.requests_per_day for found in bill.breakeven}
    for mark, api in zip(API_MARKS, curves.api, strict=False):
        load = breakevens.get(api.model)
        lines.append(
            f"{mark} {api.model}" + ("" if load is None else f"   {CROSSES} {load:,} requests a day")
        )
    return lines
