"""Marks of a chart, as SVG text. Lengths across are percent of the chart's width, lengths down are pixels.

So a chart gets wider and narrower with the page while its letters keep their size. Colours are classes of the style
sheet, so that they follow dark mode and print. Every text and attribute is escaped here.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from html import escape

LETTERS = 42
"""Letters of a label that surely fit into the chart on a phone (328 px, 13 px high)."""
LINE = 17
"""Height of a line of text, pixels."""


def tag(name: str, text: str = "", **attributes: str | float) -> str:
    """Return an element with a text in it, everything escaped. `class_` is class, `_` in names is `-`."""
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value if isinstance(value, str) else number(value))}"'
        for key, value in attributes.items()
    )
    return f"<{name}{said}>{escape(text)}</{name}>" if text else f"<{name}{said}/>"


def number(value: float) -> str:
    """Write a coordinate: two decimals at most, no trailing zeros, no negative zero."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def percent(share: float) -> str:
    """Write a share of the width (0 to 1)."""
    return f"{number(share * 100)}%"


def rectangle(left: float, right: float, top: float, height: float, style: str) -> str:
    """Return a box from share `left` to share `right` of the width, at least a hairline wide."""
    wide = max(right - left, 0.002)
    return tag("rect", x=percent(left), y=top, width=percent(wide), height=height, class_=style)


def text(words: str, at: float, y: float, *, style: str = "", anchor: str = "start", shift: float = 0) -> str:
    """Return words whose start (middle, end) is at the share `at` of the width, `shift` pixels to its right."""
    more: dict[str, str | float] = {}
    if style:
        more["class_"] = style
    if anchor != "start":
        more["text_anchor"] = anchor
    if shift:
        more["dx"] = shift
    return tag("text", words, x=percent(at), y=y, **more)


def upright(at: float, top: float, bottom: float, style: str) -> str:
    """Return a vertical line."""
    return tag("line", x1=percent(at), x2=percent(at), y1=top, y2=bottom, class_=style)


def level(y: float, style: str) -> str:
    """Return a horizontal line over the whole width."""
    return tag("line", x1="0", x2="100%", y1=y, y2=y, class_=style)


def path(points: Iterable[tuple[float, float]], style: str) -> str:
    """Return a line through points of a 1000 × 1000 field that is stretched over the chart."""
    steps: list[str] = []
    before: tuple[str, str] | None = None
    for x, y in points:
        now = number(x * 1000), number(y * 1000)
        if now == before:
            continue
        if before is None:
            steps.append(f"M{now[0]} {now[1]}")
        elif now[1] == before[1]:
            steps.append(f"H{now[0]}")
        elif now[0] == before[0]:
            steps.append(f"V{now[1]}")
        else:
            steps.append(f"L{now[0]} {now[1]}")
        before = now
    return tag("path", d="".join(steps), class_=f"line {style}", vector_effect="non-scaling-stroke")


def stretched(marks: Sequence[str], top: float, height: float) -> str:
    """Return a 1000 × 1000 field over the whole width; what lies outside is cut off."""
    return (
        f'<svg x="0" y="{number(top)}" width="100%" height="{number(height)}" viewBox="0 0 1000 1000" '
        f'preserveAspectRatio="none" class="field">{"".join(marks)}</svg>'
    )


def wrapped(words: str, letters: int = LETTERS) -> list[str]:
    """Return a label in lines that fit on a phone."""
    return textwrap.wrap(words, letters, break_on_hyphens=False) or [""]
