"""Start-up predictions against measurements, each made by constants that its group was left out of."""

import functools
import importlib.util
import math
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
# What a median absolute relative error may be at most, over left-out base models.
BARS = {"ready": 0.20, "compile": 0.12, "weights_load": 0.20}
# Why the records with the largest errors are off: what their sources don't say, or say of something else.
EXPLANATIONS: dict[str, str] = {
    "su003": "the volume's page cache was not controlled: the same volume gave 0.7 to 6.9 GiB/s",
    "su013": "a 16-bit checkpoint quantised while loading: the record has no field that says so",
    "su014": "the volume's page cache was not controlled: the same volume gave 0.7 to 6.9 GiB/s",
    "su020": "pipeline stages read their own files at once, from a page cache that was not controlled",
    "su021": "pipeline stages read their own files at once, from a page cache that was not controlled",
    "su036": "the volume's page cache was not controlled: the same volume gave 0.7 to 6.9 GiB/s",
    "su123": "the only sharded read from an object store besides one of another engine set-up",
    "su126": "the only sharded read from an object store besides one of another engine set-up",
    "su124": "loaded from the page cache of a local disk; the other loads after a download read a network volume",
    "su125": "loaded from the page cache of a local disk; the other loads after a download read a network volume",
    "su128": "the volume's rate (1,000 MiB/s) is no field, and mapped reads reached a third of it",
    "su131": "the volume's rate (4,000 MiB/s) is no field, and mapped reads reached a twelfth of it",
    "su164": "the V0 engine with compilation switched on; the version is not stated",
    "su165": "the version is not stated (January 2026), nor is the GPU",
    "su167": "kernels without native support for the card are compiled on the fly; the model's depth is not stated",
    "su168": "the V0 engine with compilation switched on; the version is not stated",
    "su170": "data and expert parallel 8, which is no field: eight ranks read one eighth each",
    "su171": "data and expert parallel 8, which is no field: eight ranks load one eighth each",
    "su173": "the version is not stated; the total is the author's sum of steps, imports counted by hand",
    "su174": "the version is not stated; the total is the author's sum of steps",
    "su175": "whether the download is in the total is not stated, nor is the version",
    "su180": "the source rounds, and names neither version nor card",
    "su181": "eight desktop machines over their network; checkpoint larger than their memory, depth not stated",
    "su185": "repeated loads, likely with page and compile cache warm; caches are not stated",
    "su186": "repeated loads, likely with page and compile cache warm; caches are not stated",
    "su188": "repeated loads, likely with page and compile cache warm; caches are not stated",
}
QUANTITIES = ("download", "weights_load", "compile", "cuda_graph", "init_engine", "ready")
GROUPS = ("base_model", "gpu", "engine_version")


@functools.cache
def fit_script() -> ModuleType:
    """The script that fits the constants: the accuracy is of the very procedure that made the shipped ones."""
    spec = importlib.util.spec_from_file_location("fit_startup", ROOT / "scripts/fit_startup.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fit_startup"] = module
    spec.loader.exec_module(module)
    return module


@functools.cache
def pairs(group: str) -> list[tuple[Any, Any]]:
    """Every measured start with constants fitted without its `group` (a field of GROUPS)."""
    script = fit_script()
    key: Callable[[Any], str] = lambda e: str(e.record[group])  # noqa: E731
    found: list[tuple[Any, Any]] = script.left_out(script.examples(), key)
    return found


@functools.cache
def rows(group: str = "base_model") -> list[dict[str, Any]]:
    """One dict per measured quantity of a start: what was predicted (s), what was seen (s), and of what it was."""
    script = fit_script()
    out = []
    for e, c in pairs(group):
        for quantity in QUANTITIES:
            if quantity not in e.seen:
                continue
            predicted = script.predicted(e.traits, e.situation, quantity, c)
            out.append(
                {
                    "id": e.id,
                    "quantity": quantity,
                    "unit": "s",
                    "base_model": e.base_model,
                    "model": e.record["model"],
                    "gpu": e.record["gpu"] or "not stated",
                    "engine": e.record["engine"],
                    "engine_version": e.record["engine_version"] or "not stated",
                    "storage": e.record["storage"],
                    "loader": e.record["loader"],
                    "attention": e.attention,
                    "quantization": e.quantization,
                    "tensor_parallel_size": e.record["tensor_parallel_size"],
                    "source": e.record["url"],
                    "predicted": predicted,
                    "measured": e.seen[quantity],
                    "error": predicted / e.seen[quantity] - 1,
                    "explanation": EXPLANATIONS.get(e.id),
                }
            )
    return out


def errors(quantity: str, group: str = "base_model") -> list[float]:
    """Absolute relative errors of a quantity, ascending; loading only where the storage is known."""
    return sorted(
        abs(row["error"])
        for row in rows(group)
        if row["quantity"] == quantity and (quantity != "weights_load" or row["storage"] != "unknown")
    )


def median(values: list[float]) -> float:
    """The middle of ascending values."""
    return (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2


def coverage() -> tuple[float, float]:
    """Shares of measured totals inside their interval, and below its high end (left-out base models)."""
    from homeport.sizing.startup_model import interval, steps
    from homeport.sizing.startup_types import fit

    inside = below = total = 0
    for e, c in pairs("base_model"):
        if "ready" in e.seen:
            low, high = interval(steps(e.traits, e.situation, c), e.situation, fit().spreads)
            total += 1
            inside += low <= e.seen["ready"] <= high
            below += e.seen["ready"] <= high
    return inside / total, below / total


def bias(quantity: str) -> float:
    """The median of predicted over measured: 1 is no bias."""
    script = fit_script()
    values = sorted(script.residual(e, quantity, c) for e, c in pairs("base_model") if quantity in e.seen)
    return math.exp(median(values))
