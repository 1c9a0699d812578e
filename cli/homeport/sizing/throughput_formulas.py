"""The formulas: seconds of a decode step, of a prompt, and of a request among others.

They take a `Work` (roofline seconds) and `Efficiencies` (fitted) and use nothing but arithmetic and the `least` and
`most` that are handed in, so that the fit (scripts/fit_throughput.py) runs these same lines on arrays.

Every time is at or above its roofline: efficiencies are at most 1, overheads at least 0.
"""

from collections.abc import Callable

import msgspec

from homeport.sizing.throughput_work import Work

Pick = Callable[[float, float], float]


class Efficiencies(msgspec.Struct, frozen=True, kw_only=True):
    """Fitted figures of one engine and version on one kind of GPU: shares of the roofline (at most 1) and seconds.

    `sharpness` is the exponent that joins memory and math (1: one after the other; large: the slower one alone).
    `pace` multiplies a whole step (no share is above it, so that the roofline holds), `queue` is the share of the other
    requests' prompts that a request waits for before its first token, `reserve` the share of the output that a running request reserves.
    `tail` (mean outputs) and `stream_s` (seconds a token) belong to runs that end.
    """

    bandwidth: float
    expert_bandwidth: float
    kv_bandwidth: float
    decode_math: float
    prefill_math: float
    expert_math: float
    attention_math: float
    sharpness: float
    layer_s: float
    moe_layer_s: float
    latent_layer_s: float
    step_s: float
    sequence_s: float
    hop_s: float
    link: float
    decode_link: float
    pace: float
    prompt_s: float
    first_token_s: float
    queue: float
    reserve: float
    tail: float
    stream_s: float
    max_num_seqs: float


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds and rates of one load; `batch` is the requests that run at once."""

    batch: float
    step_s: float
    prompt_s: float
    cycle_s: float
    ttft_s: float
    tpot_s: float
    output_tokens_per_s: float


def matrix_s(w: Work, e: Efficiencies, tokens: float, math_share: float, head_tokens: float) -> float:
    """Weights read once, and the math of `tokens` tokens (`head_tokens` of them through the output head)."""
    visited = 1 - (1 - w.expert_share) ** tokens
    read = (w.dense_read_s + w.head_read_s) / e.bandwidth + w.experts_read_s * visited / e.expert_bandwidth
    math = (
        tokens * (w.dense_math_s + w.experts_math_s / e.expert_math) / math_share
        + head_tokens * w.head_math_s / math_share
    )
    together: float = (read**e.sharpness + math**e.sharpness) ** (1 / e.sharpness)
    return together


def layers_s(w: Work, e: Efficiencies) -> float:
    """Seconds that launching and finishing the layers' kernels take, whatever their size."""
    return w.layers * e.layer_s + w.moe_layers * e.moe_layer_s + w.latent_layers * e.latent_layer_s


def decode_step_s(w: Work, e: Efficiencies, batch: float, context: float, least: Pick) -> float:
    """Seconds for one token of each of `batch` requests that hold `context` tokens each."""
    seen = least(context, w.sparse_tokens)
    cache = seen * w.kv_read_s + context * w.index_read_s + least(context, w.window_tokens) * w.window_read_s
    attend = batch * (
        cache / e.kv_bandwidth + w.state_read_s / e.bandwidth + seen * w.decode_attention_s / e.attention_math
    )
    send = w.hops * e.hop_s + batch * w.exchange_s / e.decode_link
    overhead = layers_s(w, e) + e.step_s + batch * e.sequence_s
    return (matrix_s(w, e, batch, e.decode_math, batch) + attend + send + overhead) * e.pace


def prompt_math_s(w: Work, e: Efficiencies, tokens: float, least: Pick) -> float:
    """Seconds of attention and all-reduce of a prompt (what doesn't shrink when prompts are batched)."""
    pairs = (
        tokens * tokens / 2 * w.prefill_attention_s
        + tokens * least(tokens / 2, w.window_tokens) * w.window_attention_s
    )
    return pairs / e.attention_math + tokens * w.send_s / e.link


def prompt_alone_s(w: Work, e: Efficiencies, tokens: float, least: Pick) -> float:
    """Seconds of one prompt when nothing else runs."""
    fixed = w.hops * e.hop_s + layers_s(w, e)
    return (matrix_s(w, e, tokens, e.prefill_math, 1.0) + prompt_math_s(w, e, tokens, least) + fixed) * e.pace


def prompt_share_s(w: Work, e: Efficiencies, tokens: float, least: Pick) -> float:
    """Seconds that a prompt adds to an engine that is busy anyway: its math, not the reading of the weights."""
    math = tokens * (w.dense_math_s + w.experts_math_s / e.expert_math) / e.prefill_math
    return (math + prompt_math_s(w, e, tokens, least) + e.prompt_s) * e.pace


def kv_requests(
    w: Work, e: Efficiencies, kv_bytes: float, prompt: float, output: float, least: Pick
) -> float:
    """Requests whose KV cache fits into `kv_bytes` of one GPU at once."""
    held = prompt + e.reserve * output
    return kv_bytes / (held * w.kv_bytes_token + least(held, w.window_tokens) * w.window_bytes_token + 1.0)


def prompt_seconds(w: Work, e: Efficiencies, tokens: float, least: Pick) -> tuple[float, float]:
    """Seconds of a prompt alone and among others: what doesn't depend on how many requests there are."""
    return prompt_alone_s(w, e, tokens, least), prompt_share_s(w, e, tokens, least)


def figures(
    w: Work,
    e: Efficiencies,
    prompt: float,
    output: float,
    asked: float,
    room: float,
    least: Pick,
    most: Pick,
    known: tuple[float, float] | None = None,
) -> Figures:
    """What `asked` requests in flight get when at most `room` can run at once.

    `known` are the prompt's seconds, where the caller asks for many loads.

    A cycle is the time in which every running request comes and goes once: its prompts and its decode steps. The
    replica then gives batch * output tokens a cycle; time to first token and time per token add up to the cycle.
    """
    batch = most(least(asked, room), 1.0)
    alone, share = known or prompt_seconds(w, e, prompt, least)
    # A stage works on whole requests: fewer than there are stages leave some idle, and make no step cheaper.
    step = decode_step_s(w, e, most(batch / w.stages, 1.0), prompt + output / 2, least)
    others = (batch - 1) / w.stages * share
    # The step that runs when a request comes must end first.
    begun = least(batch - 1, 1.0) * step / 2
    first = alone + e.first_token_s + begun + e.queue * others
    cycle = first + (1 - e.queue) * others + most(output - 1, 0.0) * step
    waiting = (asked - batch) / batch * cycle
    return Figures(
        batch=batch,
        step_s=step,
        prompt_s=alone,
        cycle_s=cycle,
        ttft_s=first + waiting,
        tpot_s=(cycle - first) / most(output - 1, 1.0) + least(most(2 - output, 0.0), 1.0) * step,
        output_tokens_per_s=batch * output / cycle,
    )


# "vllm bench serve" sends 1,000 requests unless told otherwise.
RUN_REQUESTS = 1000.0
TAIL_BATCH = 16.0


def run_tokens_per_s(
    w: Work, e: Efficiencies, prompt: float, output: float, room: float, least: Pick, most: Pick
) -> float:
    """Output tokens/s of a whole run that sends requests of varied lengths at once, its end included.

    The longest requests end alone: `tail` times the mean output goes on with few requests. Every token of hundreds of
    streams passes the API server too (`stream_s`).
    """
    f = figures(w, e, prompt, output, RUN_REQUESTS, least(room, RUN_REQUESTS), least, most)
    together = RUN_REQUESTS * output * (1 / f.output_tokens_per_s + e.stream_s)
    alone = e.tail * output * decode_step_s(w, e, TAIL_BATCH, prompt + output, least)
    return RUN_REQUESTS * output / (together + alone)
