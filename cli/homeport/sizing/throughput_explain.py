"""The formulas of a prediction with their numbers filled in."""

from homeport.catalog.types import Gpu
from homeport.sizing.throughput_constants import constants
from homeport.sizing.throughput_formulas import (
    Efficiencies,
    Figures,
    layers_s,
    matrix_s,
    prompt_alone_s,
    prompt_share_s,
)
from homeport.sizing.throughput_work import Work
from homeport.sizing.types import Load, Settings, Term


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.4g} ms"


def terms(
    w: Work, e: Efficiencies, f: Figures, gpu: Gpu, settings: Settings, load: Load, limit: str
) -> list[Term]:
    """Each step from the data sheet to tokens per second."""
    sheet = f"{gpu.source}; {gpu.as_of}"
    fitted = f"fitted on {constants().fitted}"
    formula = "homeport's roofline (throughput_formulas)"
    batch, prompt, output = f.batch, load.input_tokens, load.output_tokens
    local = max(batch / w.stages, 1.0)
    context = prompt + output / 2
    seen = min(context, w.sparse_tokens)
    visited = 1 - (1 - w.expert_share) ** local
    dense, experts = w.dense_read_s + w.head_read_s, w.experts_read_s * visited
    math_s = local * (w.dense_math_s + w.head_math_s + w.experts_math_s)
    cache = local * (
        seen * w.kv_read_s + context * w.index_read_s + min(context, w.window_tokens) * w.window_read_s
    )
    latent = local * seen * w.decode_attention_s
    found = [
        _term(
            "requests at once",
            f"the smallest of the load, the KV cache and max_num_seqs ({limit})",
            batch,
            "requests",
            formula,
        ),
        _term(
            "reading weights",
            f"({_ms(dense)} dense + {_ms(experts)} experts, {visited:.0%} of them visited) at {gpu.memory_bandwidth_gb_s} GB/s",
            (dense + experts) * 1e3,
            "ms",
            sheet,
        ),
        _term(
            "math of a step",
            f"{local:.4g} tokens x 2 x active parameters, {w.precision} bit",
            math_s * 1e3,
            "ms",
            sheet,
        ),
        _term(
            "weights and math together",
            f"((reading / {e.bandwidth:.2f})^{e.sharpness:.2f} + (math / {e.decode_math:.2f})^{e.sharpness:.2f})^(1/{e.sharpness:.2f})",
            matrix_s(w, e, local, e.decode_math, local) * 1e3,
            "ms",
            fitted,
        ),
        _term(
            "reading the KV cache",
            f"{local:.4g} requests x {seen:.0f} tokens: {_ms(cache)} at the data sheet's rate / {e.kv_bandwidth:.2f}",
            cache / e.kv_bandwidth * 1e3,
            "ms",
            fitted,
        ),
    ]
    if latent:
        found.append(
            _term(
                "latent attention",
                f"{_ms(latent)} of math / {e.attention_math:.2f}",
                latent / e.attention_math * 1e3,
                "ms",
                fitted,
            )
        )
    if w.hops:
        value = w.hops * e.hop_s + local * w.exchange_s / e.decode_link
        found.append(
            _term(
                "all-reduce",
                f"{w.hops:.0f} x {e.hop_s * 1e6:.3g} us + {_ms(local * w.exchange_s)} of bytes / {e.decode_link:.2f}",
                value * 1e3,
                "ms",
                fitted,
            )
        )
    overhead = layers_s(w, e) + e.step_s + local * e.sequence_s
    found += [
        _term(
            "overheads of a step",
            f"{w.layers:.0f} layers: {_ms(layers_s(w, e))}; the engine's step {_ms(e.step_s)}; {local:.4g} requests x {e.sequence_s * 1e6:.3g} us",
            overhead * 1e3,
            "ms",
            fitted,
        ),
        _term(
            "decode step",
            f"the sum x {e.pace:.2f} ({settings.engine} {settings.engine_version or '?'})",
            f.step_s * 1e3,
            "ms",
            formula,
        ),
        _term(
            "prompt alone",
            f"{prompt:.0f} tokens: math / {e.prefill_math:.2f}, attention / {e.attention_math:.2f}, overheads",
            prompt_alone_s(w, e, prompt, min) * 1e3,
            "ms",
            fitted,
        ),
        _term(
            "prompt among others",
            f"its math and {_ms(e.prompt_s)}: the weights are read anyway",
            prompt_share_s(w, e, prompt, min) * 1e3,
            "ms",
            fitted,
        ),
        _term(
            "time to first token",
            f"prompt alone + {e.queue:.3f} x the prompts of {max(batch - 1, 0):.4g} others + half a step + {_ms(e.first_token_s)}, "
            "and the wait for a place",
            f.ttft_s * 1e3,
            "ms",
            formula,
        ),
        _term(
            "a request's time",
            f"prompts of {batch:.4g} requests + {output:.0f} decode steps",
            f.cycle_s * 1e3,
            "ms",
            formula,
        ),
        _term(
            "time per output token",
            "(a request's time - time to first token) / (output - 1)",
            f.tpot_s * 1e3,
            "ms",
            formula,
        ),
        _term(
            "output rate",
            f"{batch:.4g} requests x {output:.0f} tokens / a request's time",
            f.output_tokens_per_s,
            "tokens/s",
            formula,
        ),
    ]
    return found


def _term(name: str, formula: str, value: float, unit: str, source: str) -> Term:
    return Term(name=name, formula=formula, value=value, unit=unit, source=source)
