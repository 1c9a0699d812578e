"""Write `docs/reference/accuracy.md`: predictions against measurements whose models or GPUs were left out of the fit.

Run it from the repository's root: `python scripts/accuracy.py`. The same run writes `tests/data/accuracy.json`, the
figures that a test holds: none of them may get worse. `--check` writes nothing and says what would change.
"""

import importlib.util
import json
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs/reference/accuracy.md"
RECORD = ROOT / "tests/data/accuracy.json"
WORST = 10
Row = dict[str, Any]


class Figure(NamedTuple):
    """One number of the headline: its name in the record, what it is, its bar (None: none was set) and its value."""

    key: str
    title: str
    left_out: str
    n: int
    value: float
    bar: float | None
    unit: str = "%"
    at_least: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the bar is met; None where there is none."""
        if self.bar is None:
            return None
        return self.value >= self.bar if self.at_least else self.value <= self.bar


def module_at(path: Path) -> Any:
    """The Python file at `path`, loaded once: neither the scripts nor the tests are a package."""
    name = path.stem
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise FileNotFoundError(path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


def accuracy_of(room: str) -> Any:
    """The module that makes a room's left-out predictions: tests/sizing/<room>_accuracy.py."""
    return module_at(ROOT / "tests/sizing" / f"{room}_accuracy.py")


def texts() -> Any:
    """The page's words."""
    return module_at(ROOT / "scripts/accuracy_texts.py")


def sizes(rows: Iterable[Row]) -> list[float]:
    """Absolute relative errors, ascending."""
    return sorted(abs(row["error"]) for row in rows)


def p90(values: Sequence[float]) -> float:
    """The value that nine in ten of ascending values stay at or below (nearest rank)."""
    return values[max(0, -(-9 * len(values) // 10) - 1)]


def distance(row: Row) -> float:
    """How far a prediction lies from its measurement, the same for twice as much and half as much."""
    if isinstance(row["measured"], bool):
        return math.inf if row["error"] else 0.0
    if row["predicted"] <= 0 or row["measured"] <= 0:
        return math.inf
    return abs(math.log(row["predicted"] / row["measured"]))


def spread(
    rows: Sequence[Row], key: str, title: str, left_out: str, bars: tuple[float | None, float | None]
) -> list[Figure]:
    """The median and the 90th percentile of a quantity's errors."""
    found = sizes(rows)
    return [
        Figure(f"{key}.median", f"{title}, median", left_out, len(found), median(found), bars[0]),
        Figure(f"{key}.p90", f"{title}, 90th percentile", left_out, len(found), p90(found), bars[1]),
    ]


# Memory


def memory_rows() -> list[Row]:
    """Predictions of memory, each by figures fitted without its model and (but for the common card) its GPU."""
    rows: list[Row] = accuracy_of("memory").rows()
    return rows


def memory_figures() -> list[Figure]:
    """Weights, KV cache, and whether it fits."""
    module, rows = accuracy_of("memory"), memory_rows()
    titles = {"weights": "weights a GPU", "kv_gib": "KV cache a GPU", "kv_tokens": "KV tokens"}
    figures = []
    for quantity, title in titles.items():
        chosen = [row for row in rows if row["quantity"] == quantity]
        figures += spread(chosen, f"memory.{quantity}", title, "models and GPUs", module.BARS[quantity])
    fits = [row for row in rows if row["quantity"] == "fit"]
    wrongly = sum(bool(row["predicted"]) and not row["measured"] for row in fits)
    missed = sum(not row["predicted"] and bool(row["measured"]) for row in fits)
    return [
        *figures,
        Figure(
            "memory.says_fits", 'says "fits" and it did not', "models and GPUs", len(fits), wrongly, 0, ""
        ),
        Figure(
            "memory.says_not", 'says "does not fit" and it did', "models and GPUs", len(fits), missed, 2, ""
        ),
    ]


# Start-up


def startup_rows(group: str) -> list[Row]:
    """Predictions of start-up without each `group` ("base_model", "gpu"); loading only where the storage is known."""
    rows: list[Row] = accuracy_of("startup").rows(group)
    return [row for row in rows if row["quantity"] != "weights_load" or row["storage"] != "unknown"]


def startup_figures() -> list[Figure]:
    """Seconds to ready, of compilation and of loading; the other steps have no bar."""
    module = accuracy_of("startup")
    titles = {
        "ready": "seconds to ready",
        "compile": "compilation",
        "weights_load": "weight loading, storage known",
        "cuda_graph": "CUDA graph capture",
        "init_engine": "engine initialisation",
        "download": "download, network unknown",
    }
    figures = []
    for group, left_out in (("base_model", "models"), ("gpu", "GPUs")):
        rows = startup_rows(group)
        for quantity, title in titles.items():
            chosen = [row for row in rows if row["quantity"] == quantity]
            bar = module.BARS.get(quantity) if group == "base_model" else None
            figures += spread(chosen, f"startup.{quantity}.{group}", title, left_out, (bar, None))
    inside, below = module.coverage()
    count = sum(row["quantity"] == "ready" for row in startup_rows("base_model"))
    return [
        *figures,
        Figure("startup.inside", "totals inside their interval", "models", count, inside, 0.9, at_least=True),
        Figure(
            "startup.below",
            "totals below the interval's high end",
            "models",
            count,
            below,
            0.95,
            at_least=True,
        ),
    ]


# The document


def number(value: float, unit: str = "%") -> str:
    """A share as percent with as many digits as it can claim, a count as it is."""
    if unit != "%":
        return f"{value:.3g}"
    return f"{value * 100:.2f} %" if value < 0.01 else f"{value * 100:.1f} %"


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(headers) + " |", "|" + "---|" * len(headers)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def headline(figures: Iterable[Figure]) -> str:
    """The figures against their bars."""
    words = {True: "met", False: "**not met**", None: ""}
    return table(
        ["figure", "left out", "n", "error", "bar", ""],
        (
            (
                f.title,
                f.left_out,
                str(f.n),
                number(f.value, f.unit),
                "" if f.bar is None else ("≥ " if f.at_least else "≤ ") + number(f.bar, f.unit),
                words[f.met],
            )
            for f in figures
        ),
    )


def breakdown(rows: Sequence[Row], by: str, quantities: dict[str, str]) -> str:
    """Medians (and counts) of each quantity, by a field of the rows; 90th percentiles where ten were measured."""
    lines = []
    for value in sorted({str(row[by]) for row in rows}, key=str.lower):
        cells = [value]
        for quantity in quantities:
            found = sizes(row for row in rows if str(row[by]) == value and row["quantity"] == quantity)
            if not found:
                cells.append("")
                continue
            more = f", p90 {number(p90(found))}" if len(found) >= 10 else ""
            cells.append(f"{number(median(found))} ({len(found)}{more})")
        lines.append(cells)
    return table([by.replace("_", " "), *quantities.values()], [cells for cells in lines if any(cells[1:])])


def worst(rows: Sequence[Row], quantities: dict[str, str], show: Callable[[Row], str]) -> str:
    """The ten set-ups that are furthest off, each by its worst record and quantity, with why."""
    furthest: dict[str, Row] = {}
    for row in rows:
        if row["quantity"] in quantities:
            known = furthest.get(row["id"])
            if known is None or distance(row) > distance(known):
                furthest[row["id"]] = row
    # One of each set-up: its other loads are off for the same reason.
    chosen: dict[tuple[str, ...], Row] = {}
    for row in sorted(furthest.values(), key=lambda row: (-distance(row), row["id"])):
        chosen.setdefault(
            (row["model"], row["engine"], row["engine_version"], row["gpu"], row.get("storage", "")), row
        )
    return table(
        ["record", "case", "quantity", "predicted", "measured", "why, and what information is missing"],
        (
            (
                f"[{row['id']}]({row['source']})"
                if str(row.get("source", "")).startswith("http")
                else row["id"],
                show(row),
                quantities[row["quantity"]],
                _value(row["predicted"]),
                _value(row["measured"]),
                row.get("explanation") or "not explained by anything that the record states",
            )
            for row in list(chosen.values())[:WORST]
        ),
    )


def _value(value: float | bool) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def case_of(row: Row) -> str:
    """A record in a line: model, engine, GPU, tensor parallel size."""
    ranks = f" x{row['tensor_parallel_size']}" if row.get("tensor_parallel_size", 1) > 1 else ""
    load = f", {row['load']}" if "load" in row else ""
    return f"{row['model']}, {row['engine']} {row['engine_version']}, {row['gpu']}{ranks}{load}".replace(
        "|", "/"
    )


# Throughput


def throughput_rows(left_out: str = "model") -> list[Row]:
    """Predictions of throughput without each `left_out` ("model": base models, "gpu"), with errors and reasons."""
    module = accuracy_of("throughput")
    records = {r["id"]: r for r in module.measurements()}
    rows = [
        {
            **row,
            "engine_version": row["engine_version"] or "not stated",
            "quantization": row["quantization"] or "none",
            "error": row["predicted"] / row["measured"] - 1,
            "tensor_parallel_size": records[row["id"]]["tensor_parallel_size"],
            "source": records[row["id"]]["url"],
            "load": _load(records[row["id"]]),
        }
        for row in module.rows(left_out)
    ]
    for series in grouped(
        rows,
        lambda r: (
            r["quantity"],
            r["model"],
            r["engine"],
            r["engine_version"],
            r["gpu"],
            r["tensor_parallel_size"],
        ),
    ):
        logs = [math.log(row["predicted"] / row["measured"]) for row in series]
        for i, row in enumerate(series):
            known = texts().SETUPS.get((row["model"], f"{row['engine']} {row['engine_version']}", row["gpu"]))
            row["explanation"] = (
                f"{_among(logs, i)}; {known or texts().SOURCES[records[row['id']]['source_set']]}"
            )
    return rows


def _load(record: Row) -> str:
    flight = "saturated" if record["concurrency"] is None else f"{record['concurrency']} in flight"
    return f"{record['input_tokens']:g} + {record['output_tokens']:g} tokens, {flight}"


def _among(logs: Sequence[float], i: int) -> str:
    """Whether a run is off alone or with all runs of its model, engine, version, card and parallel size."""
    others = [value for j, value in enumerate(logs) if j != i]
    if not others:
        return "the only run of this model, engine and card"
    middle = math.exp(median(others))
    if logs[i] * median(others) > 0 and abs(median(others)) > abs(logs[i]) / 3:
        return f"all {len(logs)} runs of this model, engine and card are off alike (predicted / measured {middle:.2f})"
    return f"this run alone: those of this model, engine and card at other loads ({len(others)}) lie at {middle:.2f} of what was measured"


def throughput_figures() -> list[Figure]:
    """Output rate, TPOT and TTFT over all loads, engines on GPUs, and the order of configurations."""
    titles = {
        "output_tok_s": "output tokens/s",
        "tpot": "time per output token",
        "ttft": "time to first token",
    }
    bars = {"output_tok_s": 0.10, "tpot": 0.09}
    figures, module = [], accuracy_of("throughput")
    for group, left_out in (("model", "models"), ("gpu", "GPUs")):
        rows = throughput_rows(group)
        for quantity, title in titles.items():
            chosen = [row for row in rows if row["quantity"] == quantity]
            bar = bars.get(quantity) if group == "model" else None
            figures += spread(chosen, f"throughput.{quantity}.{group}", title, left_out, (bar, None))
        cells, orders = list(module.cells(group).values()), list(module.ranks(group).values())
        bar_cells, bar_order = (0.20, 0.97) if group == "model" else (None, None)
        figures += [
            Figure(f"throughput.cells.{group}", "output tokens/s, mean of the medians of engine × GPU", left_out, len(cells), mean(cells), bar_cells),
            Figure(f"throughput.order.{group}", "rank correlation of a model's configurations, median", left_out, len(orders), median(orders), bar_order, "", at_least=True),
        ]  # fmt: skip
    return figures


def grouped(rows: Iterable[Row], key: Callable[[Row], Any]) -> list[list[Row]]:
    """Rows by a key, in the key's order."""
    found: dict[Any, list[Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return [found[name] for name in sorted(found, key=str)]


# The page and the record


def all_figures() -> list[Figure]:
    """Every figure of the headline."""
    return [*memory_figures(), *throughput_figures(), *startup_figures()]


def document(figures: Sequence[Figure]) -> str:
    """The whole page."""
    memory = ({"weights": "weights", "kv_gib": "KV GiB", "kv_tokens": "KV tokens"}, memory_rows())
    speed = ({"output_tok_s": "output tokens/s", "tpot": "TPOT", "ttft": "TTFT"}, throughput_rows())
    seconds = (
        {"ready": "ready", "compile": "compilation", "weights_load": "loading"},
        startup_rows("base_model"),
    )
    of = {
        room: [f for f in figures if f.key.startswith(f"{room}.")]
        for room in ("memory", "throughput", "startup")
    }
    parts = [texts().INTRODUCTION]
    for room, title, text, (quantities, rows) in (
        ("memory", "Memory", texts().MEMORY, memory),
        ("throughput", "Throughput and latency", texts().THROUGHPUT, speed),
        ("startup", "Start-up", texts().STARTUP, seconds),
    ):
        parts += [f"## {title}", text, headline(of[room])]
        rows = [{**row, "release": f"{row['engine']} {row['engine_version']}"} for row in rows]
        for by in ("engine", "release", "attention", "quantization", "gpu"):
            parts += [
                f"### {title} by {by.replace('_', ' ').replace('quantization', 'quantisation')}",
                breakdown(rows, by, quantities),
            ]
        reasons = {k: v for k, v in {**quantities, "fit": "fits"}.items() if k != "ttft"}
        parts += [f"### {title}: the ten worst", worst(rows, reasons, case_of)]
    missed = [f for f in figures if f.met is False]
    parts.insert(1, _summary(missed))
    return "\n\n".join(parts) + "\n"


def _summary(missed: Sequence[Figure]) -> str:
    if not missed:
        return "Every bar is met."
    lines = [
        f"- {f.title} (left out: {f.left_out}): {number(f.value, f.unit)}, bar {number(f.bar or 0, f.unit)}"
        for f in missed
    ]
    return "\n".join(["Bars that are not met:", "", *lines])


def record(figures: Sequence[Figure]) -> dict[str, dict[str, Any]]:
    """What the test holds: each figure's value and which direction is worse."""
    return {f.key: {"value": round(f.value, 5), "count": f.n, "at_least": f.at_least} for f in figures}


def worse(now: Sequence[Figure], held: dict[str, dict[str, Any]], slack: float = 0.002) -> list[str]:
    """The figures that are worse than what the record holds, by more than rounding (`slack`, absolute), and those that it lacks."""
    found = []
    values = {f.key: f for f in now}
    for key, was in held.items():
        figure = values.get(key)
        if figure is None:
            found.append(f"{key} is no longer measured")
            continue
        lost = was["value"] - figure.value if was["at_least"] else figure.value - was["value"]
        if lost > slack:
            found.append(f"{key}: {figure.value:.4f}, was {was['value']:.4f}")
        if figure.n < was["count"]:
            found.append(f"{key}: {figure.n} records, were {was['count']}")
    return found


def main(check: bool) -> int:
    """Write the page and the record, or say what would change."""
    figures = all_figures()
    text = document(figures)
    for figure in figures:
        bar = "" if figure.bar is None else f"  bar {figure.bar:g}{'' if figure.met else '  NOT MET'}"
        print(f"{figure.key:36} n {figure.n:5}  {figure.value:.4f}{bar}")
    if check:
        lost = worse(figures, json.loads(RECORD.read_bytes()))
        print("\n".join(lost))
        return int(bool(lost) or DOCUMENT.read_text() != text)
    DOCUMENT.parent.mkdir(parents=True, exist_ok=True)
    DOCUMENT.write_text(text)
    RECORD.write_text(json.dumps(record(figures), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main("--check" in sys.argv[1:]))
