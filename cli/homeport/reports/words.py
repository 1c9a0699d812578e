"""Amounts, times and lists as a reader wants them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal

from homeport.costs.output import UNKNOWN

MINUS = "\u2212"
SUFFIXES = ("", "k", "M", "B", "T")


def usd(amount: Decimal | None) -> str:
    """Write dollars, whole from 100 on and to the cent below, or "unknown"."""
    if amount is None:
        return UNKNOWN
    sign = MINUS if amount < 0 else ""
    size = abs(amount)
    if size < 100:
        return f"{sign}${size.quantize(Decimal('0.01'), ROUND_HALF_UP):,}"
    return f"{sign}${size.quantize(Decimal(1), ROUND_HALF_UP):,}"


def usd_exact(amount: Decimal | None) -> str:
    """Write dollars to the cent, or "unknown"."""
    if amount is None:
        return UNKNOWN
    sign = MINUS if amount < 0 else ""
    return f"{sign}{abs(amount).quantize(Decimal('0.01'), ROUND_HALF_UP):,}"


def short(decade: int) -> str:
    """Write a power of ten: 1, 10, 100, 1k … 1M … 1B. Raises ValueError below 1."""
    if decade < 0:
        raise ValueError("no suffix below one")
    steps = min(decade // 3, len(SUFFIXES) - 1)
    return f"{10 ** (decade - 3 * steps):,}{SUFFIXES[steps]}"


def count(number: int, one: str, many: str = "") -> str:
    """Write a number of things: "one replica", "3 replicas"."""
    return f"one {one}" if number == 1 else f"{number:,} {many or one + 's'}"


def several(names: Sequence[str], most: int = 4) -> str:
    """Write a list as a sentence does: "a, b and c"; what is beyond `most` is counted."""
    if len(names) > most:
        names = [*names[: most - 1], f"{len(names) - most + 1} more"]
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def duration(seconds: float) -> str:
    """Write seconds as a person says them."""
    if seconds < 90:
        return f"{seconds:,.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if rest and minutes < 10 else f"{minutes} min"


def milliseconds(value: float | None) -> str:
    """Write milliseconds, or "unknown"."""
    return UNKNOWN if value is None else f"{value:,.0f} ms"


def sentence(text: str) -> str:
    """Return a text that starts with a capital, unless its first word is a name, and ends with a full stop."""
    first = text.split(" ", 1)[0]
    if first.isalpha() and first.islower():
        text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."
