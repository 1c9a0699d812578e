"""How old prices are: those of more than 90 days deserve a look before anybody signs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

STALE_DAYS = 90


def too_old(as_of: str, today: date) -> bool:
    """Say whether a date lies more than 90 days back. A year or a month counts from its first day."""
    parts = [int(part) for part in as_of.split("-")]
    year, month, day = (*parts, 1, 1)[:3]
    return (today - date(year, month, day)).days > STALE_DAYS


def old_prices(priced: Iterable[tuple[str, str | None]], today: date) -> list[str]:
    """Return a warning for each date that is too old, with what is priced as of it.

    `priced` are names with the dates of their prices; what has no date (a price that the user gave) is as new as the
    user says.
    """
    by_date: dict[str, list[str]] = {}
    for name, as_of in priced:
        if as_of and too_old(as_of, today) and name not in by_date.setdefault(as_of, []):
            by_date[as_of].append(name)
    return [
        f"the price of {', '.join(names)} is of {as_of}, more than {STALE_DAYS} days ago: `homeport prices refresh` reads "
        "newer ones where it can, --prices FILE uses them"
        for as_of, names in sorted(by_date.items())
    ]
