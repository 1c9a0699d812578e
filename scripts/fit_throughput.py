"""Fits the throughput model's figures on the measurements, and evaluates them on left-out models and GPUs.

    uv run --with scipy --with numpy python scripts/fit_throughput.py

writes the package's constants and, for the tests, the constants of every fold (each base model left out, each GPU left
out; every fold starts from the priors). Residuals are logarithms of predicted over measured (output tokens/s, TPOT; TTFT
at a lower weight) under a Cauchy loss, so that bad runs hardly pull, and lower still to the slow side, where runs go
wrong. Every figure has a prior: narrow ones around 1 for effects (shrinkage to the parent), kernel counts and usual
efficiencies for parents. The priors and the loss were chosen with all measurements in view; the figures of a fold were
not.
"""

import argparse
import collections
import gzip
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
from scipy.optimize import least_squares
from scipy.stats import spearmanr

from homeport.catalog.architecture import architecture
from homeport.catalog.types import Gpu
from homeport.sizing import throughput_constants as tc
from homeport.sizing.throughput_formulas import figures, kv_requests, run_tokens_per_s
from homeport.sizing.throughput_work import Work, work
from homeport.sizing.types import Settings

ROOT = Path(__file__).parent.parent
CATALOG = ROOT / "cli" / "homeport" / "catalog" / "data"
MEASUREMENTS = ROOT / "tests" / "data" / "throughput_measurements.json.gz"
OUT = ROOT / "cli" / "homeport" / "sizing" / "data" / "throughput_constants.json"
FOLDS = ROOT / "tests" / "data" / "throughput_folds.json.gz"

# Parents: what is expected before any measurement, and the width (of the logarithm) that the data may move it by.
# Kernel counts stand behind the overheads: some 12 kernels a layer of 3 to 4 us under CUDA graphs, 6 more for routed
# experts, 3 more for a latent; an NVLink all-reduce of a few us.
PARENTS: dict[str, tuple[float, float]] = {
    "bandwidth": (0.9, 0.04),
    "expert_bandwidth": (0.85, 0.1),
    "kv_bandwidth": (0.85, 0.15),
    "decode_math": (0.5, 0.2),
    "prefill_math": (0.55, 0.2),
    "expert_math": (0.7, 0.2),
    "attention_math": (0.35, 0.3),
    "sharpness": (0.8, 0.3),
    "layer_s": (40e-6, 0.3),
    "moe_layer_s": (25e-6, 0.5),
    "latent_layer_s": (10e-6, 0.4),
    "step_s": (0.7e-3, 0.4),
    "sequence_s": (10e-6, 0.5),
    "hop_s": (5e-6, 0.4),
    "link": (0.5, 0.3),
    "decode_link": (0.5, 0.4),
    "pace": (1.0, 0.02),
    "prompt_s": (0.5e-3, 0.5),
    "first_token_s": (50e-3, 0.7),
    "queue": (0.1, 0.5),
    "reserve": (0.85, 0.15),
    "tail": (4.0, 0.3),
    "stream_s": (50e-6, 0.7),
}
# Widths of effects, by dimension, and narrower or wider ones of single figures.
WIDTHS = {"engine": 0.25, "version": 0.15, "architecture": 0.15, "precision": 0.2, "link": 0.7}
SPECIAL = {
    "bandwidth | architecture": 0.03,
    "bandwidth | precision": 0.03,
    "first_token_s | engine": 0.5,
    "first_token_s | version": 0.4,
    "queue | engine": 0.4,
    "moe_layer_s | engine": 0.4,
    "pace | version": 0.3,
}
SCALE, STRENGTH, TTFT_WEIGHT, SLOW = 0.12, 2.0, 0.25, 0.6


def varied(prompt: float, output: float) -> bool:
    """Whether lengths vary, as a mean that isn't whole tells."""
    return prompt != int(prompt) or output != int(output)


class Data:
    """The comparable measurements, as columns."""

    def __init__(self) -> None:
        with gzip.open(MEASUREMENTS) as f:
            records = json.load(f)["records"]
        self.records: list[dict[str, Any]] = [r for r in records if r["comparable"]]
        gpus = {g["id"]: msgspec.convert(g, Gpu) for g in json.loads((CATALOG / "gpus.json").read_text())}
        archs: dict[str, Any] = {}
        works, labels, seqs = [], [], []
        for r in self.records:
            if r["config"] not in archs:
                archs[r["config"]] = architecture(json.loads((CATALOG / "configs" / r["config"]).read_text()))
            gpu, settings = gpus[r["gpu"]], settings_of(r)
            w = work(archs[r["config"]], gpu, settings)
            works.append(w)
            labels.append(tc.labels(gpu.architecture, settings, w))
            seqs.append(tc.default_max_num_seqs(gpu, settings))
        self.labels = labels
        self.w = SimpleNamespace(
            **{
                k: np.array([getattr(x, k) for x in works])
                for k in Work.__struct_fields__
                if k not in ("precision", "over_link")
            }
        )
        self.max_num_seqs = np.array(seqs)
        column = lambda k: np.array([np.nan if r[k] is None else float(r[k]) for r in self.records])  # noqa: E731
        self.prompt, self.output, self.asked = (
            column("input_tokens"),
            column("output_tokens"),
            column("concurrency"),
        )
        self.saturated = np.isnan(self.asked)
        self.varied = np.array([varied(p, o) for p, o in zip(self.prompt, self.output, strict=True)])
        has = lambda q: np.array([q in r["comparable"] for r in self.records])  # noqa: E731
        self.out = np.where(has("output_tok_s"), column("output_tok_s"), np.nan)
        self.tpot = np.where(has("tpot"), column("tpot_ms"), np.nan) / 1e3
        self.ttft = np.where(has("ttft"), column("ttft_ms"), np.nan) / 1e3
        self.model = [r["base_model"] for r in self.records]
        self.gpu = [r["gpu"] for r in self.records]
        self.cell = [f"{r['engine']} on {r['gpu']}" for r in self.records]
        kinds = collections.Counter(self.groups())
        weight = np.array([kinds[g] ** -0.25 for g in self.groups()])
        self.weight = weight / weight.mean()

    def groups(self) -> list[tuple[str, ...]]:
        """Runs that one person made with one setup."""
        return [(r["engine"], str(r["engine_version"]), r["gpu"], r["base_model"]) for r in self.records]


def settings_of(r: dict[str, Any]) -> Settings:
    """The settings of a record, as a case would give them."""
    return Settings(
        engine=r["engine"],
        engine_version=r["engine_version"],
        tensor_parallel_size=r["tensor_parallel_size"],
        pipeline_parallel_size=r["pipeline_parallel_size"],
        weight_dtype=r["weight_dtype"],
        quantization=r["quantization"],
        kv_cache_dtype=r["kv_cache_dtype"],
    )


class Fit:
    """The design: names, priors and, for each figure, which of them multiply into each record."""

    def __init__(self, data: Data) -> None:
        self.data = data
        names: dict[str, tuple[float, float]] = {k: (float(np.log(v)), s) for k, (v, s) in PARENTS.items()}
        for name, (dimensions, _) in tc.EFFECTS.items():
            family = tc.SHARED.get(name, name)
            for dimension in dimensions:
                width = SPECIAL.get(f"{family} | {dimension}", WIDTHS[dimension])
                for label in sorted({x[dimension] for x in data.labels}):
                    # An unknown version is the parent itself.
                    if not label.endswith("?"):
                        names.setdefault(f"{family} | {label}", (0.0, width))
        self.names = list(names)
        self.mean = np.array([v[0] for v in names.values()])
        self.width = np.array([v[1] for v in names.values()])
        position = {n: i for i, n in enumerate(self.names)}
        self.parts: dict[str, tuple[int, list[tuple[Any, Any]]]] = {}
        for name, (dimensions, _) in tc.EFFECTS.items():
            family = tc.SHARED.get(name, name)
            columns = []
            for d in dimensions:
                at = np.array([position.get(f"{family} | {x[d]}", -1) for x in data.labels])
                columns.append((np.maximum(at, 0), at >= 0))
            self.parts[name] = (position[name], columns)

    def efficiencies(self, x: Any) -> SimpleNamespace:
        """`throughput_constants.resolve`, for all records at once."""
        values = {}
        for name, (parent, columns) in self.parts.items():
            log = np.full(len(self.data.records), x[parent])
            for at, known in columns:
                log = log + np.where(known, x[at], 0.0)
            values[name] = np.minimum(np.exp(log), 1.0) if tc.EFFECTS[name][1] else np.exp(log)
        for name, (_, share) in tc.EFFECTS.items():
            if share:
                values[name] = np.minimum(values[name], values["pace"])
        values["expert_bandwidth"] = values["expert_bandwidth"] * values["bandwidth"]
        values["sharpness"] = values["sharpness"] + 0.5
        return SimpleNamespace(**values, max_num_seqs=self.data.max_num_seqs)

    def predict(self, x: Any) -> Any:
        """The figures of all records."""
        d, e = self.data, self.efficiencies(x)
        fits = kv_requests(d.w, e, d.w.kv_budget_bytes, d.prompt, d.output, np.minimum)
        room = np.minimum(np.maximum(fits, 1.0), e.max_num_seqs)
        asked = np.where(d.saturated, room, d.asked)
        f = figures(d.w, e, d.prompt, d.output, asked, room, np.minimum, np.maximum)
        run = run_tokens_per_s(d.w, e, d.prompt, d.output, room, np.minimum, np.maximum)
        f = SimpleNamespace(**{k: getattr(f, k) for k in f.__struct_fields__})
        f.output_tokens_per_s = np.where(d.saturated & d.varied, run, f.output_tokens_per_s)
        return f

    def residuals(self, x: Any, keep: Any) -> Any:
        """The measurements' residuals under a Cauchy loss, and the prior's."""
        d, f = self.data, self.predict(x)
        # Runs go wrong to the slow side: being slower than predicted (positive here) counts less.
        parts = [
            (np.log(f.output_tokens_per_s / d.out), 1.0),
            (-np.log(f.tpot_s / d.tpot), 1.0),
            (-np.log(f.ttft_s / d.ttft), TTFT_WEIGHT),
        ]
        parts = [(np.where(r > 0, SLOW * r, r), k) for r, k in parts]
        raw = np.concatenate([(r * d.weight * k)[keep & ~np.isnan(r)] for r, k in parts])
        soft = np.sign(raw) * SCALE * np.sqrt(np.log1p((raw / SCALE) ** 2))
        return np.concatenate([soft, STRENGTH * SCALE * (x - self.mean) / self.width])

    def fit(self, keep: Any, evaluations: int = 15) -> Any:
        """The figures that fit the kept records best."""
        return least_squares(lambda x: self.residuals(x, keep), self.mean, max_nfev=evaluations).x

    def left_out(self, groups: list[str]) -> dict[str, Any]:
        """For each group, the figures fitted without it."""
        return {g: self.fit(np.array([x != g for x in groups])) for g in sorted(set(groups))}

    def assemble(self, folds: dict[str, Any], groups: list[str]) -> SimpleNamespace:
        """Each record predicted by the fold that hasn't seen its group."""
        n = len(groups)
        f = SimpleNamespace(output_tokens_per_s=np.zeros(n), tpot_s=np.zeros(n), ttft_s=np.zeros(n))
        for g, x in folds.items():
            mask = np.array([k == g for k in groups])
            p = self.predict(x)
            for name in vars(f):
                getattr(f, name)[mask] = getattr(p, name)[mask]
        return f


def report(d: Data, f: Any, title: str, detail: bool = False) -> None:
    """Print the figures that issue bars name."""
    out, tpot, ttft = (
        np.abs(f.output_tokens_per_s / d.out - 1),
        np.abs(f.tpot_s / d.tpot - 1),
        np.abs(f.ttft_s / d.ttft - 1),
    )
    cells = {c: np.nanmedian(out[[x == c for x in d.cell]]) for c in sorted(set(d.cell))}
    ranks = []
    for m in sorted(set(d.model)):
        k = np.array([x == m for x in d.model]) & ~np.isnan(d.out)
        if k.sum() >= 5:
            ranks.append(spearmanr(f.output_tokens_per_s[k], d.out[k]).statistic)
    print(
        f"{title}: output tok/s median {np.nanmedian(out):.3f}, cells' mean {np.mean(list(cells.values())):.3f}; "
        f"TPOT {np.nanmedian(tpot):.3f}; TTFT {np.nanmedian(ttft):.3f}; rank {np.median(ranks):.3f} (min {min(ranks):.2f})"
    )
    if not detail:
        return
    print({k: round(float(v), 3) for k, v in cells.items()})
    found: dict[Any, list[int]] = collections.defaultdict(list)
    for i, r in enumerate(d.records):
        found[
            (
                r["source_set"][:9],
                r["engine"],
                str(r["engine_version"]),
                r["gpu"][:5],
                r["base_model"],
                r["quantization"],
            )
        ].append(i)
    for key, at in sorted(found.items(), key=str):
        text = ""
        for p, y in ((f.output_tokens_per_s, d.out), (f.tpot_s, d.tpot), (f.ttft_s, d.ttft)):
            log = np.log(p[at] / y[at])
            text += (
                f" | {np.nanmedian(np.abs(np.expm1(log))):5.2f} {np.nanmedian(log):+5.2f}"
                if np.any(~np.isnan(log))
                else " |            "
            )
        print(*key, len(at), text)


def main() -> None:
    """Fit, leave out, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--detail", action="store_true", help="print errors by setup")
    parser.add_argument("--no-folds", action="store_true", help="fit on everything only; write nothing")
    args = parser.parse_args()
    d = Data()
    fit = Fit(d)
    x = fit.fit(np.ones(len(d.records), bool))
    report(d, fit.predict(x), "fitted", args.detail and args.no_folds)
    if args.detail:
        print({n: float(f"{np.exp(v):.4g}") for n, v in zip(fit.names, x, strict=True)})
    if args.no_folds:
        return
    models = fit.left_out(d.model)
    by_model = fit.assemble(models, d.model)
    report(d, by_model, "model left out", args.detail)
    cards = fit.left_out(d.gpu)
    by_gpu = fit.assemble(cards, d.gpu)
    report(d, by_gpu, "GPU left out", args.detail)
    write(fit, x, models, cards, by_model, by_gpu)


def quantiles(f: Any, d: Data) -> dict[str, dict[str, float]]:
    """Quantiles of measured over predicted (logarithms) of each figure."""
    found = {}
    for name, p, y in (
        ("output", f.output_tokens_per_s, d.out),
        ("tpot", f.tpot_s, d.tpot),
        ("ttft", f.ttft_s, d.ttft),
    ):
        log = np.log(y / p)
        log = log[~np.isnan(log)]
        found[name] = {
            str(q): round(float(np.quantile(log, q)), 4)
            for q in (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
        }
    return found


def write(
    fit: Fit, x: Any, models: dict[str, Any], cards: dict[str, Any], by_model: Any, by_gpu: Any
) -> None:
    """Write the constants and the folds."""
    named = lambda v: {n: round(float(k), 5) for n, k in zip(fit.names, v, strict=True)}  # noqa: E731
    d = fit.data
    seen = {
        "gpu": sorted(set(d.gpu)),
        "engine": sorted({r["engine"] for r in d.records}),
        "version": sorted({label["version"] for label in d.labels}),
        "setup": sorted({f"{r['engine']} on {r['gpu']}" for r in d.records}),
    }
    content = {
        "fitted": f"{len(d.records)} measurements, skewed Cauchy loss of logarithms with priors: scripts/fit_throughput.py",
        "source": "tests/data/throughput_measurements.json.gz (TensorRT-LLM 0.9, 0.17 and 1.0 performance pages, GPUStack performance lab, dstack, aiconfigurator-core 0.12.0)",
        "as_of": "2026-11-24",
        "log_figures": named(x),
        "measured": seen,
        "residuals": {"measured": quantiles(by_model, d), "unmeasured": quantiles(by_gpu, d)},
    }
    OUT.write_text(json.dumps(content, indent=1) + "\n")
    folds = {
        "model": {k: named(v) for k, v in models.items()},
        "gpu": {k: named(v) for k, v in cards.items()},
    }
    FOLDS.write_bytes(gzip.compress(json.dumps(folds, separators=(",", ":")).encode(), 9, mtime=0))


if __name__ == "__main__":
    main()
