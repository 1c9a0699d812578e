"""Money and time: Decimal from the numbers of specs and price tables, rounded to the cent where a bill shows it."""

from decimal import ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")
HOURS_PER_MONTH = Decimal(730)
DAYS_PER_MONTH = HOURS_PER_MONTH / 24
"""Days of a month of the load-aware method: 730 hours, so that requests and GPU hours count the same month."""
HOURS_PER_WEEK = Decimal(168)
MILLION = Decimal(1_000_000)


def decimal(number: float | Decimal) -> Decimal:
    """Return a number as written: 0.1 is 0.1, not the nearest binary fraction."""
    return number if isinstance(number, Decimal) else Decimal(str(number))


def cents(amount: Decimal) -> Decimal:
    """Round an amount to the cent, halves up."""
    return amount.quantize(CENT, rounding=ROUND_HALF_UP)


def total(amounts: list[Decimal | None]) -> Decimal | None:
    """Add the known amounts; None when none is known."""
    known = [amount for amount in amounts if amount is not None]
    return sum(known, Decimal(0)) if known else None
