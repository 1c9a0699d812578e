"""What a benchmark sends and what it finds."""

from typing import Literal

import msgspec

Kind = Literal["rate", "concurrency", "trace"]


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """One load on the endpoint: requests at a rate, as many in flight as `concurrency` says, or as a trace had them.

    `rate` is requests a second, with the random gaps of independent users (Poisson). The stage ends after `seconds`
    or `requests`, whichever comes first; what is then in flight is waited for.
    """

    name: str
    kind: Kind
    rate: float | None = None
    concurrency: int | None = None
    seconds: float
    requests: int


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """One request: its text, the tokens that it asks for, and when it is sent (s from the start; None: in turn)."""

    text: str
    output_tokens: int
    at: float | None = None


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What an endpoint says of itself. None: it does not say.

    `tokens_per_word` and `tokens_per_prompt` are of the benchmark's own prompts: tokens = per prompt + per word x words,
    as the endpoint counted two of them.
    """

    url: str
    served_name: str
    max_model_len: int | None
    engine_version: str | None
    kv_cache_tokens: int | None
    tokens_per_word: float
    tokens_per_prompt: float
    counts_tokens: bool


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """One figure over the requests of a stage, ms."""

    mean: float
    p50: float
    p90: float
    p95: float
    p99: float


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one stage. Spreads are None where nothing was measured.

    `in_flight` and `output_tokens_per_s` are means over the time in which requests were still being sent, so that the
    stage's end, when fewer and fewer are in flight, draws neither down. `first_error` is the first failed request's.
    """

    stage: Stage
    requests: int
    failed: int
    seconds: float
    input_tokens: float | None
    output_tokens: float | None
    in_flight: float | None
    requests_per_s: float | None
    ttft_ms: Spread | None
    tpot_ms: Spread | None
    output_tokens_per_s: float | None
    first_error: str | None = None
    cut_short: bool = False
