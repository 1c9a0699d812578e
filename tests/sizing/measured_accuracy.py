"""How far a correction by other runs is off: each published run is left out, and corrected by the others of its configuration.

The predictions are of figures that were fitted without the run's model, as a user's model would be.
"""

import collections
import functools
import math
import statistics
from typing import Any

from homeport.sizing.measured import SPEEDS, Point, Trend, find
from homeport.sizing.types import Basis, Load
from tests.sizing.throughput_accuracy import measurements, rows

NAMES = {"output_tok_s": "output_tokens_per_s", "ttft": "ttft_ms", "tpot": "tpot_ms"}
AT_ONCE = 1000.0
QUANTILES = (0.05, 0.5, 0.9, 0.95, 0.99)


@functools.cache
def _groups() -> dict[tuple[Any, ...], list[tuple[str | None, Point]]]:
    """Runs by figure and configuration but for the engine's version, which stands beside each."""
    records = {record["id"]: record for record in measurements()}
    groups: dict[tuple[Any, ...], list[tuple[str | None, Point]]] = collections.defaultdict(list)
    for row in rows():
        record = records[row["id"]]
        key = (
            row["quantity"], record["config"], row["gpu"], row["engine"], row["quantization"],
            *(record[k] for k in ("tensor_parallel_size", "pipeline_parallel_size", "weight_dtype", "kv_cache_dtype")),
        )  # fmt: skip
        concurrency = record["concurrency"]
        point = Point(
            load=Load(
                input_tokens=record["input_tokens"],
                output_tokens=record["output_tokens"],
                concurrency=concurrency,
            ),
            in_flight=concurrency or AT_ONCE,
            log_ratio=math.log(row["measured"] / row["predicted"]),
            on="",
        )
        groups[key].append((row["engine_version"], point))
    return groups


@functools.cache
def residuals() -> dict[tuple[Basis, str], list[tuple[float, float]]]:
    """By basis and figure: log(measured / corrected) and log(measured / predicted) of every run."""
    found: dict[tuple[Basis, str], list[tuple[float, float]]] = collections.defaultdict(list)
    for key, runs in _groups().items():
        name = NAMES[key[0]]
        for version, point in runs:
            # Repeats of one load are left out together: they are no other loads.
            same = tuple(p for v, p in runs if v == version and p.load != point.load)
            versions = tuple(p for v, p in runs if v != version and version and v)
            for trend in (Trend(points=same), Trend(versions=versions)):
                if made := find(name, trend, point.load, point.in_flight):
                    found[made.basis, name].append((point.log_ratio - made.log_ratio, point.log_ratio))
    return found


def quantiles() -> dict[str, dict[str, dict[str, float]]]:
    """What `data/measured_residuals.json` holds. A run with the very load is as good as one between two: noise of a run."""
    made: dict[str, dict[str, dict[str, float]]] = {}
    for basis in ("between", "beyond", "lengths"):
        made[basis] = {}
        for name in SPEEDS:
            values = sorted(own for own, _ in residuals()[basis, name])
            made[basis][name] = {
                f"{q:g}": round(values[min(len(values) - 1, int(q * len(values)))], 4) for q in QUANTILES
            }
    return {"measured": made["between"], **made}


def median_errors(basis: Basis, name: str) -> tuple[float, float]:
    """The median absolute error (logarithm) with and without the correction."""
    pairs = residuals()[basis, name]
    return statistics.median(abs(a) for a, _ in pairs), statistics.median(abs(b) for _, b in pairs)
