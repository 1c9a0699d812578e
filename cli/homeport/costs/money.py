"""Money and time: Decimal from the numbers of specs and price tables, rounded to the cent where a bill shows it."""

from decimal import ROUND_HALF_UP, Context, Decimal

CENT = Decimal("0.01")
HOURS_PER_MONTH = Decimal(730)
DAYS_PER_MONTH = HOURS_PER_MONTH / 24
"""Days of a month of the load-aware method: 730 hours, so that requests and GPU hours count the same month."""
HOURS_PER_WEEK = Decimal(168)
MILLION = Decimal(1_000_000)


def decimal(number: float | Decimal) -> Decimal:
    """Return a number as written: 0.1 is 0.1, not the nearest binary fraction."""
    return number if isinstance(number, Decimal) else Decimal(str(number))


WIDE = Context(prec=400)
"""Room for the decimals of any number: a load next to nothing makes the price of a million tokens enormous."""


def rounded(number: Decimal, decimals: str) -> Decimal:
    """Round to the decimals of a pattern such as "0.0001", whatever the number's size."""
    return number.quantize(Decimal(decimals), context=WIDE)


def plain(number: Decimal) -> Decimal:
    """Return a number with at most six decimals and no trailing zeros or exponent, as people write it."""
    short = rounded(number, "0.000001").normalize()
    exponent = short.as_tuple().exponent
    return rounded(short, "1") if isinstance(exponent, int) and exponent > 0 else short


def cents(amount: Decimal) -> Decimal:
    """Round an amount to the cent, halves up."""
    return amount.quantize(CENT, rounding=ROUND_HALF_UP, context=WIDE)


def total(amounts: list[Decimal | None]) -> Decimal | None:
    """Add the known amounts; None when none is known."""
    known = [amount for amount in amounts if amount is not None]
    return sum(known, Decimal(0)) if known else None
