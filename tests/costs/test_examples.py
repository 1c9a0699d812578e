"""The examples compare with APIs that one can still buy."""

from pathlib import Path

import pytest

from homeport.catalog.prices import api_price
from homeport.spec.load import load

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_no_example_compares_with_an_api_whose_end_is_announced(example: Path) -> None:
    for name in load(example.read_text("utf-8"), example.name).spec.compare:
        price = api_price(name)
        assert (price.retired, price.retires_on) == (False, None), name
