"""How fast one replica serves a load, and the largest load it serves within limits.

The model is a roofline with fitted efficiencies: `throughput_work` counts seconds at the data sheet's rates,
`throughput_constants` holds what share of them an engine reaches, `throughput_formulas` puts them together.
"""

import functools
import itertools
import math

from homeport.catalog.architecture import Architecture
from homeport.catalog.types import Gpu
from homeport.sizing.throughput_constants import (
    Constants,
    constants,
    default_max_num_seqs,
    labels,
    resolve,
    version_family,
)
from homeport.sizing.throughput_formulas import (
    Efficiencies,
    Figures,
    figures,
    kv_requests,
    prompt_seconds,
    run_tokens_per_s,
)
from homeport.sizing.throughput_work import ASSUMED_BANDWIDTH_GB_S, ASSUMED_TFLOPS, Work, work
from homeport.sizing.types import Capacity, Load, Performance, Settings, Term

Bands = dict[str, tuple[float, float]]


@functools.lru_cache(maxsize=4096)
def coefficients(arch: Architecture, gpu: Gpu, settings: Settings) -> tuple[Work, Efficiencies]:
    """The roofline and the efficiencies of one replica; kept, since planning asks for many loads of it."""
    w = work(arch, gpu, settings)
    label = labels(gpu.architecture, settings, w)
    return w, resolve(constants().log_figures, label, default_max_num_seqs(gpu, settings))


def predict(
    arch: Architecture, gpu: Gpu, settings: Settings, load: Load, kv_cache_tokens: int | None = None
) -> Performance:
    """Predict mean TTFT and TPOT (ms) and output tokens/s of the whole replica under `load`.

    `kv_cache_tokens` (of the replica, from `memory`) limits the requests that run at once; without it the cache is
    estimated from the GPU's memory. At saturation (`load.concurrency` None) as many run as the cache and
    `max_num_seqs` let; TTFT is then None: it is the queue's length, not the engine's doing.

    The intervals hold nine of ten measurements of setups that the figures were not fitted on: the 5% and 95%
    quantiles of the residuals with whole base models left out. Widened (as logarithms) by a quarter where this engine
    was not measured on this GPU; for GPUs without measurements they are those with whole GPUs left out, widened by
    half.
    """
    w, e = coefficients(arch, gpu, settings)
    f = _figures(w, e, load, kv_cache_tokens)
    return _performance(
        gpu, settings, load, f, None if load.concurrency is None else f.ttft_s, f.output_tokens_per_s
    )


def predict_run(
    arch: Architecture, gpu: Gpu, settings: Settings, load: Load, kv_cache_tokens: int | None = None
) -> Performance:
    """Predict what a benchmark run would print: as `predict`, but at saturation with the run's end.

    A run that sends requests of varied lengths at once is slower than the steady state that a service sees
    (`predict`): it ends with the longest requests alone. TTFT at saturation is of the requests at once.
    """
    w, e = coefficients(arch, gpu, settings)
    f, rate = run_figures(w, e, load, kv_cache_tokens)
    return _performance(gpu, settings, load, f, f.ttft_s, rate)


def run_figures(
    w: Work, e: Efficiencies, load: Load, kv_cache_tokens: int | None = None
) -> tuple[Figures, float]:
    """The figures of `predict_run`: those of the load, and the run's output tokens/s."""
    f = _figures(w, e, load, kv_cache_tokens)
    # A mean that isn't whole tells that lengths vary.
    varied = load.input_tokens != int(load.input_tokens) or load.output_tokens != int(load.output_tokens)
    if load.concurrency is not None or not varied:
        return f, f.output_tokens_per_s
    room, _ = _room(w, e, load, kv_cache_tokens)
    return f, run_tokens_per_s(w, e, load.input_tokens, load.output_tokens, room, min, max)


def explain_performance(
    arch: Architecture, gpu: Gpu, settings: Settings, load: Load, kv_cache_tokens: int | None = None
) -> list[Term]:
    """Every step of `predict`, with the numbers filled in and their sources."""
    from homeport.sizing.throughput_explain import terms

    w, e = coefficients(arch, gpu, settings)
    limit = _room(w, e, load, kv_cache_tokens)[1]
    return terms(w, e, _figures(w, e, load, kv_cache_tokens), gpu, settings, load, limit)


def _performance(
    gpu: Gpu, settings: Settings, load: Load, f: Figures, ttft_s: float | None, rate: float
) -> Performance:
    known = constants()
    measured = gpu.id in known.measured["gpu"]
    bands = interval_factors(measured, f"{settings.engine} on {gpu.id}" in known.measured["setup"])
    notes = _notes(gpu, settings, load, f, measured, known)
    ttft = None if ttft_s is None else ttft_s * 1e3
    tpot = f.tpot_s * 1e3
    return Performance(
        ttft_ms=ttft,
        tpot_ms=tpot,
        output_tokens_per_s=rate,
        ttft_ms_interval=None if ttft is None else (ttft * bands["ttft"][0], ttft * bands["ttft"][1]),
        tpot_ms_interval=(tpot * bands["tpot"][0], tpot * bands["tpot"][1]),
        output_tokens_per_s_interval=(rate * bands["output"][0], rate * bands["output"][1]),
        measured_gpu=measured,
        notes=notes,
    )


@functools.cache
def interval_factors(measured_gpu: bool, measured_setup: bool) -> Bands:
    """What a prediction is multiplied with at the ends of its interval, by figure (`ttft`, `tpot`, `output`)."""
    residuals = constants().residuals["measured" if measured_gpu else "unmeasured"]
    # An engine that wasn't measured on this GPU, and a GPU that nobody measured, are further from the data.
    widen = 1.0 if measured_setup else (1.25 if measured_gpu else 1.5)
    return {
        k: (math.exp(widen * min(q["0.05"], 0.0)), math.exp(widen * max(q["0.95"], 0.0)))
        for k, q in residuals.items()
    }


def _room(w: Work, e: Efficiencies, load: Load, kv_cache_tokens: int | None) -> tuple[float, str]:
    """Requests that can run at once, and what limits them."""
    if kv_cache_tokens is None:
        fits = kv_requests(w, e, w.kv_budget_bytes, load.input_tokens, load.output_tokens, min)
    else:
        fits = kv_cache_tokens / (load.input_tokens + e.reserve * load.output_tokens)
    fits = max(fits, 1.0)
    return (fits, "kv_cache") if fits < e.max_num_seqs else (e.max_num_seqs, "max_num_seqs")


def _figures(w: Work, e: Efficiencies, load: Load, kv_cache_tokens: int | None) -> Figures:
    room, _ = _room(w, e, load, kv_cache_tokens)
    asked = room if load.concurrency is None else float(max(load.concurrency, 1))
    return figures(w, e, load.input_tokens, load.output_tokens, asked, room, min, max)


def _notes(
    gpu: Gpu, settings: Settings, load: Load, f: Figures, measured: bool, known: Constants
) -> tuple[str, ...]:
    notes = []
    if not measured:
        notes.append(
            f"{gpu.id} has no throughput measurements: estimated from its data sheet, with a wider interval"
        )
    if gpu.memory_bandwidth_gb_s is None:
        notes.append(
            f"{gpu.id} has no figures of its own: {ASSUMED_BANDWIDTH_GB_S:.0f} GB/s of memory bandwidth and "
            f"{ASSUMED_TFLOPS:.0f} TFLOPS are assumed"
        )
    if settings.adapters:
        notes.append("LoRA adapters slow every step; that is not counted")
    if settings.engine not in known.measured["engine"]:
        notes.append(
            f"{settings.engine} has no throughput measurements: estimated as the mean of the measured engines"
        )
    elif version_family(settings.engine, settings.engine_version) not in known.measured["version"]:
        notes.append(
            f"{settings.engine} {settings.engine_version} was not measured: estimated as the engine's mean"
        )
    if settings.nodes > 1:
        notes.append("several nodes: their network is assumed to carry 100 Gbit/s")
    if load.concurrency is not None and load.concurrency > f.batch + 0.5:
        notes.append(f"only {int(f.batch)} of {load.concurrency} requests run at once: the others wait")
    return tuple(notes)


def capacity(
    arch: Architecture,
    gpu: Gpu,
    settings: Settings,
    load: Load,
    *,
    ttft_ms: float | None,
    tpot_ms: float | None,
    kv_cache_tokens: int | None = None,
    percentile: float = 0.5,
) -> Capacity:
    """The largest concurrency whose mean TTFT and TPOT stay within the limits (None: no limit).

    `load.concurrency` is not read. `percentile` is how sure to be: with 0.9, nine of ten replicas like this would
    hold the limits (the quantile of the left-out residuals is kept free); 0.5 takes the prediction as it is.
    """
    w, e = coefficients(arch, gpu, settings)
    room, limit = _room(w, e, load, kv_cache_tokens)
    margins = latency_margins(gpu.id in constants().measured["gpu"], percentile)
    most_ttft = math.inf if ttft_ms is None else ttft_ms / 1e3 / margins["ttft"]
    most_tpot = math.inf if tpot_ms is None else tpot_ms / 1e3 / margins["tpot"]
    prompt, output = load.input_tokens, load.output_tokens

    known = prompt_seconds(w, e, prompt, min)

    def broken(n: int) -> str | None:
        f = figures(w, e, prompt, output, float(n), room, min, max, known)
        if f.tpot_s > most_tpot:
            return "tpot"
        return "ttft" if f.ttft_s > most_ttft else None

    top = max(1, int(room))
    why = broken(top)
    if why is None:
        low = top
    else:
        limit = why
        low, high = 0, top
        while high - low > 1:
            middle = (low + high) // 2
            reason = broken(middle)
            if reason is None:
                low = middle
            else:
                high, limit = middle, reason
    held = Load(input_tokens=prompt, output_tokens=output, concurrency=max(low, 1))
    performance = predict(arch, gpu, settings, held, kv_cache_tokens)
    rate = (performance.output_tokens_per_s or 0.0) / max(output, 1.0)
    return Capacity(
        concurrency=low,
        requests_per_s=rate if low else 0.0,
        limited_by=limit,
        performance=performance,
    )


@functools.cache
def latency_margins(measured: bool, percentile: float) -> dict[str, float]:
    """What measured over predicted latency stays under with this probability, by linear interpolation of quantiles."""
    found = {}
    for name, quantiles in constants().residuals["measured" if measured else "unmeasured"].items():
        points = sorted((float(k), v) for k, v in quantiles.items())
        log = points[-1][1]
        for (a, x), (b, y) in itertools.pairwise(points):
            if percentile <= b:
                log = x + (y - x) * max(0.0, percentile - a) / (b - a)
                break
        found[name] = 1.0 if percentile == 0.5 else math.exp(log)
    return found
