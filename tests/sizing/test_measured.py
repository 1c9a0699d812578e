"""Corrections by measured runs: exact where measured, carried elsewhere, never beyond physics, and better than none."""

import json
import math
import statistics
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.catalog.architecture import architecture
from homeport.catalog.gpus import gpu
from homeport.catalog.models import config
from homeport.sizing import measured, throughput
from homeport.sizing.measured import MemoryKnown, Point, Trend, find, roofline, shrunk
from homeport.sizing.memory import size
from homeport.sizing.types import Basis, Load, Memory, Settings
from tests.sizing import measured_accuracy, startup_accuracy

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
ARCH = architecture(config(LLAMA), LLAMA)
CARD = gpu("L4")
HOW = Settings(engine="vllm", engine_version="0.33.0", gpu_memory_utilization=0.9, max_model_len=8192)


def load(concurrency: int | None, prompt: float = 1000, output: float = 300) -> Load:
    return Load(input_tokens=prompt, output_tokens=output, concurrency=concurrency)


def point(concurrency: int, ratio: float, prompt: float = 1000, on: str = "2026-01-01") -> Point:
    return Point(
        load=load(concurrency, prompt), in_flight=float(concurrency), log_ratio=math.log(ratio), on=on
    )


def ratio(trend: Trend, at: Load) -> tuple[float, str]:
    found = find("tpot_ms", trend, at, float(at.concurrency or 1))
    assert found is not None
    return math.exp(found.log_ratio), found.basis


def test_ratios_are_straight_lines_over_log_concurrency() -> None:
    trend = Trend(points=(point(4, 1.0), point(64, 2.0)))
    assert ratio(trend, load(4)) == (1.0, "measured")
    value, basis = ratio(trend, load(16))
    assert (value, basis) == (pytest.approx(math.sqrt(2)), "between")
    assert ratio(trend, load(256)) == (pytest.approx(2.0), "beyond")
    assert ratio(trend, load(1)) == (pytest.approx(1.0), "beyond")


def test_the_nearest_lengths_speak_and_benchmarks_round_ones_count_as_the_same() -> None:
    trend = Trend(points=(point(8, 1.5, prompt=1024), point(8, 3.0, prompt=8000)))
    assert ratio(trend, load(8)) == (pytest.approx(1.5), "between")
    assert ratio(trend, load(8, prompt=6000)) == (pytest.approx(3.0), "lengths")


def test_several_runs_of_one_load_count_with_their_median_and_the_last_day() -> None:
    trend = Trend(points=(point(8, 1.0), point(8, 1.2, on="2026-02-01"), point(8, 5.0)))
    found = find("tpot_ms", trend, load(8), 8.0)
    assert found is not None
    assert math.exp(found.log_ratio) == pytest.approx(1.2)
    assert (found.runs, found.on) == (3, "2026-02-01")


def test_other_configurations_pull_the_harder_the_more_there_are() -> None:
    few, many = (Trend(others=(math.log(2.0),) * n, other_runs=n) for n in (1, 50))
    one, basis = ratio(few, load(8))
    assert basis == "others"
    assert 1.0 < one < 1.1
    assert one < ratio(many, load(8))[0] < 2.0
    # TTFT depends on how a benchmark sends its requests.
    assert find("ttft_ms", many, load(8), 8.0) is None
    # A run of the very configuration leaves them out.
    assert ratio(Trend(points=(point(8, 0.9),), others=many.others), load(8)) == (
        pytest.approx(0.9),
        "measured",
    )


def test_a_measured_load_has_the_measured_figures() -> None:
    expected, _ = measured.predicted_run(ARCH, CARD, HOW, load(8), 100_000)
    trends = {
        name: Trend(
            points=(
                Point(
                    load=load(8), in_flight=8.0, log_ratio=math.log(value / expected[name]), on="2026-01-01"
                ),
            )
        )
        for name, value in (("tpot_ms", 80.0), ("ttft_ms", 900.0), ("output_tokens_per_s", 90.0))
    }
    made, taken = measured.perform(ARCH, CARD, HOW, load(8), 100_000, trends)
    assert made.tpot_ms == pytest.approx(80.0)
    assert made.ttft_ms == pytest.approx(900.0)
    assert made.output_tokens_per_s == pytest.approx(90.0)
    assert {t.basis for t in taken} == {"measured"}
    assert made.measured_gpu
    plain = throughput.predict(ARCH, CARD, HOW, load(8), 100_000)
    assert made.tpot_ms_interval is not None
    assert plain.tpot_ms_interval is not None
    assert (
        made.tpot_ms_interval[1] / made.tpot_ms_interval[0]
        < plain.tpot_ms_interval[1] / plain.tpot_ms_interval[0]
    )


@settings(max_examples=60, deadline=None)
@given(
    ratio=st.floats(0.01, 100),
    concurrency=st.integers(1, 400),
    prompt=st.integers(10, 8000),
    output=st.integers(2, 3000),
    card=st.sampled_from(["L4", "H100-SXM-80GB", "A100-SXM4-80GB", "MI300X-192GB"]),
)
def test_nothing_is_corrected_beyond_the_roofline(
    ratio: float, concurrency: int, prompt: int, output: int, card: str
) -> None:
    at = load(concurrency, prompt, output)
    trends = {
        name: Trend(points=(Point(load=at, in_flight=float(concurrency), log_ratio=math.log(ratio), on="x"),))
        for name in measured.SPEEDS
    }
    made, taken = measured.perform(ARCH, gpu(card), HOW, at, 200_000, trends)
    limits = roofline(ARCH, gpu(card), HOW, at, 200_000)
    assert made.tpot_ms is not None
    assert made.ttft_ms is not None
    assert made.output_tokens_per_s is not None
    assert made.tpot_ms >= limits["tpot_ms"] * (1 - 1e-9)
    assert made.ttft_ms >= limits["ttft_ms"] * (1 - 1e-9)
    assert made.output_tokens_per_s <= limits["output_tokens_per_s"] * (1 + 1e-9)
    for figure in taken:
        assert figure.capped == (not math.isclose(figure.used, figure.predicted * ratio, rel_tol=1e-9))
    # The prediction itself, uncorrected, is never faster than the data sheet either.
    plain = throughput.predict(ARCH, gpu(card), HOW, at, 200_000)
    assert plain.output_tokens_per_s is not None
    assert plain.output_tokens_per_s <= limits["output_tokens_per_s"] * (1 + 1e-9)


def test_capacity_without_corrections_is_the_prediction_s() -> None:
    limits = {"ttft_ms": 1000.0, "tpot_ms": 80.0}
    for percentile in (0.5, 0.95):
        plain = throughput.capacity(
            ARCH, CARD, HOW, load(None), kv_cache_tokens=50_000, percentile=percentile, **limits
        )
        made = measured.capacity(
            ARCH, CARD, HOW, load(None), kv_cache_tokens=50_000, percentile=percentile, trends={}, **limits
        )
        assert (made.concurrency, made.limited_by) == (plain.concurrency, plain.limited_by)
        assert made.requests_per_s == pytest.approx(plain.requests_per_s)


def test_capacity_stops_at_the_first_load_that_breaks_a_limit() -> None:
    trends = {"tpot_ms": Trend(points=(point(2, 1.0), point(8, 1.8), point(16, 1.0)))}
    made = measured.capacity(
        ARCH, CARD, HOW, load(None), ttft_ms=5000.0, tpot_ms=70.0, kv_cache_tokens=50_000, percentile=0.5, trends=trends
    )  # fmt: skip
    assert made.limited_by == "tpot"
    for n in range(1, made.concurrency + 2):
        at, _ = measured.perform(ARCH, CARD, HOW, load(n), 50_000, trends)
        assert at.tpot_ms is not None
        assert (at.tpot_ms <= 70.0) == (n <= made.concurrency)


def test_measured_memory_of_these_settings_is_taken_as_it_is() -> None:
    plain = size(ARCH, CARD, HOW)
    made, taken = measured.memory(plain, MemoryKnown(tokens=30_000, token_runs=2, on="2026-01-01"))
    assert made.fits
    assert made.kv_cache_tokens == 30_000
    assert made.max_concurrency == 30_000 / 8192
    assert made.kv_cache_gib / made.kv_cache_tokens == pytest.approx(
        plain.kv_cache_gib / plain.kv_cache_tokens
    )
    assert (taken[0].predicted, taken[0].used, taken[0].basis) == (plain.kv_cache_tokens, 30_000, "measured")


def test_a_run_proves_that_it_fits_and_other_settings_can_only_take_it_away() -> None:
    tight = size(ARCH, CARD, Settings(engine="vllm", engine_version="0.33.0", max_model_len=131072))
    assert not tight.fits
    ran, _ = measured.memory(tight, MemoryKnown(tokens=140_000, token_runs=1, on="2026-01-01"))
    assert ran.fits
    assert ran.short_gib is None
    other, _ = measured.memory(tight, MemoryKnown(more_tokens=140_000, token_runs=1, on="2026-01-01"))
    assert not other.fits
    plain = size(ARCH, CARD, HOW)
    less, _ = measured.memory(
        plain, MemoryKnown(more_tokens=100 - plain.kv_cache_tokens, token_runs=1, on="2026-01-01")
    )
    assert not less.fits
    assert "8,192" in less.reason


def test_heavier_weights_take_their_room_from_the_cache() -> None:
    plain = size(ARCH, CARD, HOW)
    made, _ = measured.memory(
        plain, MemoryKnown(weights_gib=plain.weights_gib + 1, weight_runs=1, on="2026-01-01")
    )
    assert made.kv_cache_gib == pytest.approx(plain.kv_cache_gib - 1)
    assert made.total_gib == pytest.approx(plain.total_gib)
    assert made.kv_cache_tokens < plain.kv_cache_tokens


def test_the_residuals_are_those_of_the_published_runs() -> None:
    path = Path(measured.__file__).parent / "data" / "measured_residuals.json"
    stored = json.loads(path.read_text("utf-8"))["residuals"]
    made = measured_accuracy.quantiles()
    for basis, figures in made.items():
        for name, found in figures.items():
            for quantile, value in found.items():
                assert stored[basis][name][quantile] == pytest.approx(value, abs=0.02), (
                    "run scripts/fit_measured.py",
                    basis,
                    name,
                )


@pytest.mark.parametrize("basis", ["between", "beyond", "lengths"])
@pytest.mark.parametrize("name", measured.SPEEDS)
def test_a_run_of_the_same_configuration_makes_predictions_better(basis: Basis, name: str) -> None:
    corrected, plain = measured_accuracy.median_errors(basis, name)
    assert corrected < plain * 0.6


@pytest.mark.parametrize("name", measured.SPEEDS)
def test_a_run_of_another_version_does_too(name: str) -> None:
    corrected, plain = measured_accuracy.median_errors("version", name)
    assert corrected < plain


def test_between_measured_loads_rates_are_within_two_percent() -> None:
    assert measured_accuracy.median_errors("between", "output_tokens_per_s")[0] < 0.02
    assert measured_accuracy.median_errors("between", "tpot_ms")[0] < 0.02


def test_the_documentation_states_these_errors() -> None:
    page = Path(__file__).parents[2] / "docs" / "explanation" / "numbers.md"
    rows = {
        cells[1].strip(): [[float(e.rstrip("% ")) for e in cell.split("→")] for cell in cells[2:-1]]
        for line in page.read_text("utf-8").splitlines()
        if line.startswith("| ") and "→" in line and len(cells := line.split("|")) == 6
    }
    names = {
        "output tokens a second": "output_tokens_per_s",
        "time per token": "tpot_ms",
        "time to first token": "ttft_ms",
    }
    bases: tuple[Basis, ...] = ("between", "beyond", "lengths")
    for title, name in names.items():
        for basis, (plain, corrected) in zip(bases, rows[title], strict=True):
            after, before = measured_accuracy.median_errors(basis, name)
            assert (before * 100, after * 100) == (
                pytest.approx(plain, rel=0.05, abs=0.1),
                pytest.approx(corrected, rel=0.05, abs=0.1),
            ), (title, basis)


def test_a_cache_s_difference_carries_to_other_settings_on_published_starts() -> None:
    """Starts of one configuration that differ in lengths, share of memory or batches, each corrected by one other."""
    root = Path(__file__).parents[2]
    records = json.loads((root / "tests/data/memory_measurements.json").read_text("utf-8"))["records"]
    configs = root / "cli/homeport/catalog/data/configs"
    groups: dict[tuple[object, ...], list[tuple[int, Memory]]] = {}
    for record in records:
        if not record["fits"] or not record["kv_cache_tokens"] or "kv_tokens" not in record["comparable"]:
            continue
        names = (
            "engine", "engine_version", "tensor_parallel_size", "pipeline_parallel_size", "weight_dtype", "quantization",
            "kv_cache_dtype",
        )  # fmt: skip
        how = Settings(
            **{name: record[name] for name in names},
            gpu_memory_utilization=record["gpu_memory_utilization"],
            max_model_len=record["max_model_len"],
            max_num_batched_tokens=record["max_num_batched_tokens"],
        )
        arch = architecture(json.loads((configs / record["config"]).read_text("utf-8")))
        key = (record["config"], record["gpu"], *(record[name] for name in names))
        groups.setdefault(key, []).append((record["kv_cache_tokens"], size(arch, gpu(record["gpu"]), how)))
    errors = []
    for starts in groups.values():
        for i, (tokens, plain) in enumerate(starts):
            for other, expected in (*starts[:i], *starts[i + 1 :]):
                known = MemoryKnown(more_tokens=other - expected.kv_cache_tokens, token_runs=1, on="")
                made, _ = measured.memory(plain, known)
                errors.append(
                    (abs(made.kv_cache_tokens / tokens - 1), abs(plain.kv_cache_tokens / tokens - 1))
                )
    assert len(errors) >= 10
    corrected, before = (statistics.mean(pair[i] for pair in errors) for i in (0, 1))
    assert corrected <= before


def starts() -> list[dict[str, Any]]:
    """Published starts with the logarithm of measured over predicted, by constants fitted without their model."""
    rows = [row for row in startup_accuracy.rows() if row["quantity"] == "ready"]
    return [row | {"log_ratio": math.log(row["measured"] / row["predicted"])} for row in rows]


def test_a_start_of_the_same_configuration_makes_predictions_better() -> None:
    names = ("model", "gpu", "engine", "engine_version", "storage", "tensor_parallel_size", "quantization")
    groups: dict[tuple[Any, ...], list[float]] = {}
    for row in starts():
        groups.setdefault(tuple(row[name] for name in names), []).append(row["log_ratio"])
    pairs = [
        (abs(own - statistics.median(others)), abs(own))
        for ratios in groups.values()
        for i, own in enumerate(ratios)
        if (others := ratios[:i] + ratios[i + 1 :])
    ]
    assert len(pairs) > 50
    corrected, plain = (sorted(pair[i] for pair in pairs) for i in (0, 1))
    assert statistics.median(corrected) < statistics.median(plain)
    assert corrected[len(pairs) * 9 // 10] < plain[len(pairs) * 9 // 10] * 0.8


def test_starts_of_other_configurations_do_no_harm() -> None:
    rows = starts()
    errors = []
    for row in rows:
        others = tuple(
            other["log_ratio"]
            for other in rows
            if other["base_model"] != row["base_model"]
            and all(other[name] == row[name] for name in ("gpu", "engine", "storage"))
        )
        if others:
            errors.append((abs(row["log_ratio"] - shrunk(others)), abs(row["log_ratio"])))
    corrected, plain = (statistics.median(pair[i] for pair in errors) for i in (0, 1))
    assert corrected < plain
