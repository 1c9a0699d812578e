"""Predictions corrected by measured runs: the same configuration overrides them, others on the same GPU pull at them.

Ratios are logarithms of measured over predicted. A ratio of the same configuration is carried to other loads; how far
that was off on published measurements, with predictions that had not seen them, is in `data/measured_residuals.json`
(made by scripts/fit_measured.py) and makes the intervals. Nothing is corrected beyond the roofline.
"""

import functools
import itertools
import math
import statistics
from collections.abc import Mapping
from pathlib import Path

import msgspec

from homeport.catalog.architecture_types import Architecture
from homeport.catalog.types import Gpu
from homeport.sizing import throughput
from homeport.sizing.throughput_formulas import Efficiencies
from homeport.sizing.types import Basis, Capacity, Load, Memory, Performance, Settings, Startup

BASES: dict[Basis, str] = {
    "measured": "measured",
    "between": "between measured loads",
    "beyond": "beyond the measured loads",
    "lengths": "measured with other lengths",
    "settings": "measured with other settings",
    "version": "measured with another version",
    "others": "drawn towards runs of other configurations",
}
LATENCIES = ("ttft_ms", "tpot_ms")
SPEEDS = (*LATENCIES, "output_tokens_per_s")

SAME_LENGTH = 0.05
"""Logarithm up to which mean lengths count as the same: 1,000 and 1,024 tokens are."""
OTHERS = 8.0
"""Other configurations pull with n / (n + 8) of their median ratio. A prior: on published measurements, where the
constants know the engine and the GPU already, any pull made speeds slightly worse, a light one by little; it made the
seconds of a start better (7% off to 6% with three configurations)."""
UNSURE: tuple[Basis, ...] = ("version", "others")
"""Corrections that published runs are too few to give an interval of: it stays as wide as the prediction's."""
OTHERS_CORRECT = ("tpot_ms", "output_tokens_per_s")
"""TTFT depends on how a benchmark sends its requests: a ratio of other configurations made it much worse."""


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of one run of the same configuration. `in_flight` requests; `load` as the run states it."""

    load: Load
    in_flight: float
    log_ratio: float
    on: str


class Trend(msgspec.Struct, frozen=True, kw_only=True):
    """What runs say of one figure: points of the same configuration, of it in other versions of the engine, and one
    ratio of each other configuration."""

    points: tuple[Point, ...] = ()
    versions: tuple[Point, ...] = ()
    others: tuple[float, ...] = ()
    other_runs: int = 0
    others_on: str = ""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A correction of one figure at one load, and what it rests on: how many runs, the last of them on which day."""

    log_ratio: float
    basis: Basis
    runs: int
    on: str


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of a plan that measurements changed: what was predicted and what is used instead."""

    figure: str
    unit: str
    predicted: float
    used: float
    basis: Basis
    runs: int
    on: str
    capped: bool = False
    predicted_interval: tuple[float, float] | None = None
    used_interval: tuple[float, float] | None = None

    @property
    def how(self) -> str:
        """The basis in words, with the number of runs and the day of the last one."""
        runs = "one run" if self.runs == 1 else f"{self.runs} runs"
        cap = "; held at the roofline" if self.capped else ""
        return f"{BASES[self.basis]} ({runs}, {self.on}{cap})"


@functools.cache
def residuals() -> dict[str, dict[str, dict[str, float]]]:
    """Quantiles of log(measured / corrected) by basis and figure, of published runs left out one by one."""
    path = Path(__file__).parent / "data" / "measured_residuals.json"
    made: dict[str, dict[str, dict[str, float]]] = msgspec.json.decode(path.read_bytes())["residuals"]
    return made


def shrunk(ratios: tuple[float, ...]) -> float:
    """The median logarithm of the ratios, drawn towards 0 by how few there are."""
    return statistics.median(ratios) * len(ratios) / (len(ratios) + OTHERS)


def find(name: str, trend: Trend, load: Load, in_flight: float) -> Found | None:
    """The correction of figure `name` at a load: of the nearest lengths, by straight lines over log(requests in flight).

    None where nothing was measured that speaks of it.
    """
    if trend.points:
        return _of_points(trend.points, load, in_flight)
    # Carried between versions a ratio made published runs' errors smaller at the same lengths, and larger at others.
    alike = tuple(p for p in trend.versions if _apart(p.load, load) <= SAME_LENGTH)
    if alike:
        return msgspec.structs.replace(_of_points(alike, load, in_flight), basis="version")
    if trend.others and name in OTHERS_CORRECT:
        return Found(
            log_ratio=shrunk(trend.others), basis="others", runs=trend.other_runs, on=trend.others_on
        )
    return None


def _of_points(points: tuple[Point, ...], load: Load, in_flight: float) -> Found:
    exact = [p for p in points if p.load == load]
    if exact:
        return _found(statistics.median(p.log_ratio for p in exact), "measured", exact)
    apart = {id(p): _apart(p.load, load) for p in points}
    nearest = min(apart.values())
    group = [p for p in points if apart[id(p)] <= max(nearest, SAME_LENGTH)]
    by_place: dict[float, list[Point]] = {}
    for point in group:
        by_place.setdefault(math.log(point.in_flight), []).append(point)
    places = sorted(by_place)
    here = math.log(max(in_flight, 1.0))

    def at(place: float) -> float:
        return statistics.median(p.log_ratio for p in by_place[place])

    same = nearest <= SAME_LENGTH
    if here <= places[0] or here >= places[-1]:
        place = places[0] if here <= places[0] else places[-1]
        basis: Basis = "between" if same and here == place else "beyond" if same else "lengths"
        return _found(at(place), basis, by_place[place])
    low, high = next((a, b) for a, b in itertools.pairwise(places) if a <= here <= b)
    value = at(low) + (at(high) - at(low)) * (here - low) / (high - low)
    return _found(value, "between" if same else "lengths", [*by_place[low], *by_place[high]])


def _found(log_ratio: float, basis: Basis, points: list[Point]) -> Found:
    return Found(log_ratio=log_ratio, basis=basis, runs=len(points), on=max(p.on for p in points))


def _apart(a: Load, b: Load) -> float:
    """How much two loads differ in their lengths: the sum of the logarithms."""
    return abs(math.log(a.input_tokens / b.input_tokens)) + abs(math.log(a.output_tokens / b.output_tokens))


def margin(name: str, basis: Basis, percentile: float) -> float:
    """What measured over corrected latency stays under with this probability; 1 at 0.5: the figure as it is."""
    if percentile == 0.5:
        return 1.0
    points = sorted((float(q), value) for q, value in residuals()[basis][name].items())
    for (a, x), (b, y) in itertools.pairwise(points):
        if percentile <= b:
            return math.exp(x + (y - x) * max(0.0, percentile - a) / (b - a))
    return math.exp(points[-1][1])


def _ideal(e: Efficiencies) -> Efficiencies:
    """An engine that reaches every figure of the data sheet and loses no time: nothing real is faster."""
    shares = (
        "bandwidth", "expert_bandwidth", "kv_bandwidth", "decode_math", "prefill_math", "expert_math", "attention_math",
        "link", "decode_link", "pace",
    )  # fmt: skip
    seconds = (
        "layer_s", "moe_layer_s", "latent_layer_s", "step_s", "sequence_s", "hop_s", "prompt_s", "first_token_s",
        "queue", "stream_s", "tail",
    )  # fmt: skip
    values = dict.fromkeys(shares, 1.0) | dict.fromkeys(seconds, 0.0)
    # Memory and math overlap wholly: the larger of the two (a sum of 32nd powers is within 2% of it).
    return msgspec.structs.replace(e, sharpness=32.0, **values)


@functools.lru_cache(maxsize=4096)
def roofline(
    arch: Architecture, gpu: Gpu, settings: Settings, load: Load, kv_cache_tokens: int | None
) -> dict[str, float]:
    """The least TTFT and TPOT (ms) and the most output tokens/s that the data sheet allows under a load."""
    w, e = throughput.coefficients(arch, gpu, settings)
    f, _ = throughput.run_figures(w, _ideal(e), load, kv_cache_tokens)
    return {
        "ttft_ms": f.prompt_s * 1e3,
        "tpot_ms": f.step_s * 1e3,
        "output_tokens_per_s": f.output_tokens_per_s,
    }


def predicted_run(
    arch: Architecture, gpu: Gpu, settings: Settings, load: Load, kv_cache_tokens: int | None
) -> tuple[dict[str, float], float]:
    """What a benchmark run would print by the prediction alone, and the requests in flight."""
    w, e = throughput.coefficients(arch, gpu, settings)
    f, rate = throughput.run_figures(w, e, load, kv_cache_tokens)
    figures = {"ttft_ms": f.ttft_s * 1e3, "tpot_ms": f.tpot_s * 1e3, "output_tokens_per_s": rate}
    return figures, f.batch if load.concurrency is None else float(load.concurrency)


def perform(
    arch: Architecture,
    gpu: Gpu,
    settings: Settings,
    load: Load,
    kv_cache_tokens: int | None,
    trends: Mapping[str, Trend],
) -> tuple[Performance, tuple[Taken, ...]]:
    """`throughput.predict`, corrected by what was measured; and what was changed. The load states its concurrency."""
    plain = throughput.predict(arch, gpu, settings, load, kv_cache_tokens)
    assert load.concurrency is not None, "plans ask for a number of requests in flight"
    limits = roofline(arch, gpu, settings, load, kv_cache_tokens)
    changed: dict[str, float | tuple[float, float] | None] = {}
    taken = []
    for name in SPEEDS:
        predicted: float | None = getattr(plain, name)
        found = find(name, trends[name], load, float(load.concurrency)) if name in trends else None
        if predicted is None or found is None:
            continue
        ratio = math.exp(found.log_ratio)
        wanted = predicted * ratio
        hold = max if name in LATENCIES else min
        used = hold(wanted, limits[name])
        before: tuple[float, float] | None = getattr(plain, f"{name}_interval")
        after = _interval(name, found, used, before, ratio)
        after = after and (hold(after[0], limits[name]), hold(after[1], limits[name]))
        changed[name] = used
        changed[f"{name}_interval"] = after
        taken.append(
            Taken(
                figure=name,
                unit="tokens/s" if name == "output_tokens_per_s" else "ms",
                predicted=predicted,
                used=used,
                basis=found.basis,
                runs=found.runs,
                on=found.on,
                capped=used != wanted,
                predicted_interval=before,
                used_interval=after,
            )
        )
    measured = plain.measured_gpu or any(t.basis not in UNSURE for t in taken)
    return msgspec.structs.replace(plain, measured_gpu=measured, **changed), tuple(taken)


def _interval(
    name: str, found: Found, used: float, plain: tuple[float, float] | None, ratio: float
) -> tuple[float, float] | None:
    """Of the same configuration: the band that corrections kept on published runs; else the prediction's, moved."""
    if found.basis in UNSURE:
        return None if plain is None else (plain[0] * ratio, plain[1] * ratio)
    band = residuals()[found.basis][name]
    return used * math.exp(min(band["0.05"], 0.0)), used * math.exp(max(band["0.95"], 0.0))


def capacity(
    arch: Architecture,
    gpu: Gpu,
    settings: Settings,
    load: Load,
    *,
    ttft_ms: float,
    tpot_ms: float,
    kv_cache_tokens: int,
    percentile: float,
    trends: Mapping[str, Trend],
) -> Capacity:
    """`throughput.capacity` with corrected latencies: the most requests in flight up to which all loads hold the limits.

    Where points were measured latency need not grow evenly, so every load from one on is looked at.
    """
    free = throughput.capacity(
        arch, gpu, settings, load, ttft_ms=None, tpot_ms=None, kv_cache_tokens=kv_cache_tokens
    )
    plain_margins = throughput.latency_margins(free.performance.measured_gpu, percentile)
    limits = {"tpot_ms": tpot_ms, "ttft_ms": ttft_ms}

    def broken(n: int) -> str | None:
        at = msgspec.structs.replace(load, concurrency=n)
        made, taken = perform(arch, gpu, settings, at, kv_cache_tokens, trends)
        bases = {t.figure: t.basis for t in taken}
        for name, limit in limits.items():
            value: float = getattr(made, name)
            basis = bases.get(name)
            room = (
                plain_margins[name.removesuffix("_ms")]
                if basis is None or basis in UNSURE
                else margin(name, basis, percentile)
            )
            if value * room > limit:
                return name.removesuffix("_ms")
        return None

    top, limit = max(1, free.concurrency), free.limited_by
    if any(trends[name].points for name in LATENCIES if name in trends):
        low = 0
        while low < top and (why := broken(low + 1)) is None:
            low += 1
        limit = limit if low == top else why or limit
    elif (why := broken(top)) is None:
        low = top
    else:
        low, high, limit = 0, top, why
        while high - low > 1:
            middle = (low + high) // 2
            if (why := broken(middle)) is None:
                low = middle
            else:
                high, limit = middle, why
    held = msgspec.structs.replace(load, concurrency=max(low, 1))
    made, _ = perform(arch, gpu, settings, held, kv_cache_tokens, trends)
    rate = (made.output_tokens_per_s or 0.0) / max(load.output_tokens, 1.0)
    return Capacity(concurrency=low, requests_per_s=rate if low else 0.0, limited_by=limit, performance=made)


class MemoryKnown(msgspec.Struct, frozen=True, kw_only=True):
    """What runs of the same configuration say of memory.

    `tokens` are of the very settings; `more_tokens` is measured less predicted, of other settings (share of memory,
    lengths, batches) or another version of the engine (`other_version`), whose difference is taken as the same.
    `weights_gib` does not depend on them.
    """

    tokens: int | None = None
    more_tokens: int | None = None
    weights_gib: float | None = None
    token_runs: int = 0
    weight_runs: int = 0
    on: str = ""
    other_version: bool = False


def memory(plain: Memory, known: MemoryKnown) -> tuple[Memory, tuple[Taken, ...]]:
    """`memory.size`, corrected by what was measured; and what was changed.

    A run with the very settings proves that the engine comes up. Other settings can only take a "fits" away.
    """
    made = plain
    taken = []
    if known.weights_gib is not None:
        cache = max(0.0, plain.kv_cache_gib - (known.weights_gib - plain.weights_gib))
        share = cache / plain.kv_cache_gib if plain.kv_cache_gib else 0.0
        made = msgspec.structs.replace(
            made,
            weights_gib=known.weights_gib,
            kv_cache_gib=cache,
            kv_cache_tokens=int(plain.kv_cache_tokens * share),
        )
        taken.append(
            _taken("weights_gib_per_gpu", "GiB", plain.weights_gib, known.weights_gib, "version" if known.other_version else "measured", known.weight_runs, known)
        )  # fmt: skip
    tokens = known.tokens
    if tokens is None and known.more_tokens is not None and plain.kv_cache_tokens:
        tokens = max(0, plain.kv_cache_tokens + known.more_tokens)
    if tokens is not None:
        per_token = plain.kv_cache_gib / plain.kv_cache_tokens if plain.kv_cache_tokens else 0.0
        made = msgspec.structs.replace(made, kv_cache_tokens=tokens, kv_cache_gib=tokens * per_token)
        basis: Basis = "measured" if known.tokens is not None else "settings"
        basis = "version" if known.other_version else basis
        taken.append(
            _taken("kv_cache_tokens", "tokens", plain.kv_cache_tokens, tokens, basis, known.token_runs, known)
        )
    if not taken:
        return plain, ()
    fits, reason = plain.fits, plain.reason
    ran = known.tokens is not None
    if ran and not plain.fits:
        fits, reason = True, "it ran: measured with these settings"
    elif fits and not ran and made.kv_cache_tokens < plain.max_model_len:
        fits = False
        reason = (
            f"one request has up to {plain.max_model_len:,} tokens, the KV cache holds {made.kv_cache_tokens:,} by "
            "what was measured"
        )
    elif fits:
        reason = f"{made.kv_cache_tokens} tokens of KV cache, by what was measured"
    return (
        msgspec.structs.replace(
            made,
            fits=fits,
            reason=reason,
            short_gib=None if fits else plain.short_gib,
            max_concurrency=made.kv_cache_tokens / plain.max_model_len,
            total_gib=plain.total_gib
            + (made.weights_gib - plain.weights_gib)
            + (made.kv_cache_gib - plain.kv_cache_gib),
        ),
        tuple(taken),
    )


def _taken(
    figure: str, unit: str, predicted: float, used: float, basis: Basis, runs: int, known: MemoryKnown
) -> Taken:
    return Taken(
        figure=figure, unit=unit, predicted=predicted, used=used, basis=basis, runs=runs, on=known.on
    )


def startup(plain: Startup, found: Found) -> tuple[Startup, Taken]:
    """`predict_startup`, every step times the ratio. The interval keeps its width: published starts kept no narrower one."""
    ratio = math.exp(found.log_ratio)

    def times(value: float | None) -> float | None:
        return None if value is None else value * ratio

    low, high = plain.ready_s_interval
    made = msgspec.structs.replace(
        plain,
        download_s=times(plain.download_s),
        weights_load_s=times(plain.weights_load_s),
        compile_s=times(plain.compile_s),
        cuda_graph_capture_s=times(plain.cuda_graph_capture_s),
        init_engine_s=times(plain.init_engine_s),
        rest_s=times(plain.rest_s),
        ready_s=plain.ready_s * ratio,
        ready_s_interval=(low * ratio, high * ratio),
    )
    return made, Taken(
        figure="ready_s",
        unit="s",
        predicted=plain.ready_s,
        used=made.ready_s,
        basis=found.basis,
        runs=found.runs,
        on=found.on,
        predicted_interval=plain.ready_s_interval,
        used_interval=made.ready_s_interval,
    )
