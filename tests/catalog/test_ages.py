"""Prices of more than 90 days ago are warned of."""

from datetime import date

import pytest

from homeport.catalog.ages import old_prices, too_old

TODAY = date(2026, 11, 24)


@pytest.mark.parametrize(
    ("as_of", "old"),
    [
        ("2026-11-24", False),
        ("2026-08-26", False),
        ("2026-08-25", True),
        ("2026-11", False),
        ("2026-08", True),
        ("2026", True),
    ],
)
def test_ninety_days(as_of: str, old: bool) -> None:
    assert too_old(as_of, TODAY) == old


def test_one_warning_a_date_and_none_for_prices_that_the_user_gave() -> None:
    priced = [
        ("a", "2026-08-03"),
        ("b", "2026-08-03"),
        ("a", "2026-08-03"),
        ("c", None),
        ("d", ""),
        ("e", "2026-11"),
    ]
    [text] = old_prices(priced, TODAY)
    assert text.startswith("the price of a, b is of 2026-08-03, more than 90 days ago")
