"""Any text as a name: a row, or the error of a name that is not found; never another error."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.catalog.gpus import gpu, gpus, gpus_matching
from homeport.catalog.models import config, model, models
from homeport.catalog.prices import api_price, api_prices
from homeport.catalog.resolve import resolve
from homeport.errors import NotFoundError

KNOWN = [*models(), *gpus(), *(price.id for price in api_prices())]


@st.composite
def near_known(draw: st.DrawFn) -> str:
    """A known name with a piece cut out, doubled, in other case, or followed by something."""
    name = draw(st.sampled_from(KNOWN))
    start, end = sorted((draw(st.integers(0, len(name))), draw(st.integers(0, len(name)))))
    changed = draw(
        st.sampled_from(
            [name[:start] + name[end:], name[start:end], name.upper(), name.swapcase(), name + name]
        )
    )
    return changed + draw(
        st.sampled_from(["", "-", "/", "-latest", "-20250101", " ", "+", ".json", "\x00", "~"])
    )


@pytest.mark.parametrize(
    "find",
    [
        model,
        gpu,
        gpus_matching,
        config,
        api_price,
        lambda name: resolve(name, base_dir=Path("/nowhere"), offline=True),
    ],
    ids=["model", "gpu", "gpus_matching", "config", "api_price", "resolve"],
)
@given(name=st.one_of(st.text(max_size=60), near_known()))
def test_any_name_is_found_or_is_not(find: Callable[[str], Any], name: str) -> None:
    with suppress(NotFoundError):
        assert find(name)
