"""Predictions of measurements by figures that were fitted without the measurement's model, or without its GPU."""

import collections
import functools
import gzip
import json
import statistics
from pathlib import Path
from typing import Any

from homeport.catalog.architecture import Architecture, architecture
from homeport.catalog.gpus import gpu
from homeport.sizing.throughput import run_figures
from homeport.sizing.throughput_constants import default_max_num_seqs, labels, resolve
from homeport.sizing.throughput_work import work
from homeport.sizing.types import Load, Settings

ROOT = Path(__file__).parent.parent.parent
DATA = ROOT / "tests" / "data"
CONFIGS = ROOT / "cli" / "homeport" / "catalog" / "data" / "configs"
QUANTITIES = {"output_tok_s": "output_tok_s", "ttft": "ttft_ms", "tpot": "tpot_ms"}


def _json(name: str) -> Any:
    with gzip.open(DATA / name) as file:
        return json.load(file)


@functools.cache
def measurements() -> list[dict[str, Any]]:
    """The records that a prediction can be compared on."""
    return [r for r in _json("throughput_measurements.json.gz")["records"] if r["comparable"]]


@functools.cache
def model(config: str) -> Architecture:
    return architecture(json.loads((CONFIGS / config).read_text()))


def settings_of(record: dict[str, Any]) -> Settings:
    names = (
        "engine", "engine_version", "tensor_parallel_size", "pipeline_parallel_size", "weight_dtype", "quantization",
        "kv_cache_dtype",
    )  # fmt: skip
    return Settings(**{name: record[name] for name in names})


@functools.cache
def rows(left_out: str = "model") -> list[dict[str, Any]]:
    """One row for each figure of each record; `left_out` is "model" (base models) or "gpu"."""
    folds = _json("throughput_folds.json.gz")[left_out]
    found = []
    for record in measurements():
        fold = folds[record["base_model" if left_out == "model" else "gpu"]]
        arch, card, settings = model(record["config"]), gpu(record["gpu"]), settings_of(record)
        w = work(arch, card, settings)
        e = resolve(fold, labels(card.architecture, settings, w), default_max_num_seqs(card, settings))
        load = Load(
            input_tokens=record["input_tokens"],
            output_tokens=record["output_tokens"],
            concurrency=record["concurrency"],
        )
        f, rate = run_figures(w, e, load)
        predicted = {"output_tok_s": rate, "ttft": f.ttft_s * 1e3, "tpot": f.tpot_s * 1e3}
        found += [
            {
                "id": record["id"],
                "engine": record["engine"],
                "engine_version": record["engine_version"],
                "gpu": record["gpu"],
                "model": record["model"],
                "base_model": record["base_model"],
                "quantization": record["quantization"],
                "attention": arch.attention_type,
                "configuration": (
                    settings,
                    record["gpu"],
                    record["config"],
                    round(load.input_tokens),
                    round(load.output_tokens),
                    load.concurrency,
                ),
                "quantity": quantity,
                "predicted": predicted[quantity],
                "measured": record[QUANTITIES[quantity]],
            }
            for quantity in record["comparable"]
        ]
    return found


def error(row: dict[str, Any]) -> float:
    """Absolute relative error."""
    return abs(row["predicted"] / row["measured"] - 1)


def median_error(quantity: str, left_out: str = "model") -> float:
    """Over all loads."""
    return statistics.median(error(r) for r in rows(left_out) if r["quantity"] == quantity)


def cells(left_out: str = "model") -> dict[tuple[str, str], float]:
    """The median error of output tokens/s of each engine on each GPU."""
    found: dict[tuple[str, str], list[float]] = collections.defaultdict(list)
    for row in rows(left_out):
        if row["quantity"] == "output_tok_s":
            found[row["engine"], row["gpu"]].append(error(row))
    return {cell: statistics.median(errors) for cell, errors in found.items()}


def _places(values: list[float]) -> list[float]:
    """The rank of each value; equal values share the mean of their ranks."""
    order = sorted(values)
    first = {value: i for i, value in reversed(list(enumerate(order)))}
    count = collections.Counter(values)
    return [first[value] + (count[value] - 1) / 2 for value in values]


def ranks(left_out: str = "model", at_least: int = 5) -> dict[str, float]:
    """Spearman's correlation of predicted and measured output tokens/s over the configurations of each base model.

    Runs that a case can't tell apart (same engine, version, GPU, precision, sizes, lengths, load) are one
    configuration: its figure is their median.
    """
    found: dict[str, dict[tuple[Any, ...], list[tuple[float, float]]]] = collections.defaultdict(
        lambda: collections.defaultdict(list)
    )
    for row in rows(left_out):
        if row["quantity"] == "output_tok_s":
            found[row["base_model"]][row["configuration"]].append((row["predicted"], row["measured"]))
    result = {}
    for name, configurations in found.items():
        if len(configurations) >= at_least:
            predicted, measured = (
                [statistics.median(pair[i] for pair in pairs) for pairs in configurations.values()]
                for i in (0, 1)
            )
            result[name] = statistics.correlation(_places(predicted), _places(measured))
    return result
