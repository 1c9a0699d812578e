"""Start-up predictions hold on models that they were not fitted on, and the shipped constants are the fitted ones."""

import msgspec
import pytest

from homeport.sizing.startup_types import Constants, fit
from tests.sizing.startup_accuracy import BARS, bias, coverage, errors, fit_script, median, pairs


@pytest.mark.parametrize("quantity", sorted(BARS))
def test_the_bar_is_met_on_left_out_models(quantity: str) -> None:
    found = errors(quantity)
    assert len(found) > 100
    assert median(found) <= BARS[quantity]


def test_totals_are_not_biased() -> None:
    assert 0.95 < bias("ready") < 1.05


def test_nine_measured_totals_in_ten_lie_inside_the_interval_and_few_above_it() -> None:
    inside, below = coverage()
    assert inside >= 0.9
    assert below >= 0.95


def test_the_shipped_constants_are_what_the_script_fits() -> None:
    script = fit_script()
    data = script.examples()
    fitted = script.fit_constants(data)
    shipped = fit()
    assert shipped.records == len(data)
    for name in Constants.__struct_fields__:
        assert getattr(shipped.constants, name) == pytest.approx(getattr(fitted, name), rel=1e-3), name
    assert msgspec.to_builtins(shipped.spreads) == msgspec.to_builtins(script.spreads_of(pairs("base_model")))
