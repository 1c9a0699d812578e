"""What the sizing asks and answers. GiB are 2^30 bytes of one GPU (the fullest rank) unless a name says otherwise."""

from typing import Literal

import msgspec

Basis = Literal["measured", "between", "beyond", "lengths", "settings", "version", "others"]
"""What a figure that measured runs corrected rests on (`homeport.sizing.measured.BASES` says it in words)."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How one replica runs: the fields of a case (see docs/reference/cases.md), without model and GPU.

    `None` means the engine's default for that version and GPU (`max_model_len`: the model's own limit).
    """

    engine: str = "vllm"
    engine_version: str | None = None
    tensor_parallel_size: int = 1
    pipeline_parallel_size: int = 1
    nodes: int = 1
    weight_dtype: str = "auto"
    quantization: str | None = None
    kv_cache_dtype: str = "auto"
    gpu_memory_utilization: float | None = None
    max_model_len: int | None = None
    max_num_batched_tokens: int | None = None
    max_num_seqs: int | None = None
    adapters: int = 0
    adapter_rank: int = 0


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """What one GPU holds. `fits` false still carries the KV figures where the weights fit; `reason` says what decided.

    `usable_gib` is all that the engine sees of the GPU, `total_gib` what the parts below take of it together.
    `short_gib` is how much one GPU lacks when it does not fit (None where memory isn't what decided).
    """

    fits: bool
    reason: str
    total_gib: float
    usable_gib: float
    weights_gib: float
    activation_gib: float
    non_torch_gib: float
    cuda_graph_gib: float
    kv_cache_gib: float
    kv_cache_tokens: int
    kv_bytes_per_token: float
    max_concurrency: float
    max_model_len: int
    adapters_gib: float = 0.0
    short_gib: float | None = None
    notes: tuple[str, ...] = ()


class Term(msgspec.Struct, frozen=True, kw_only=True):
    """One step of an explanation: a formula with its numbers filled in, its value, and where it comes from."""

    name: str
    formula: str
    value: float
    unit: str
    source: str


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """Requests on one replica: tokens of a request (means), and how many are in flight (None: all at once)."""

    input_tokens: float
    output_tokens: float
    concurrency: int | None = None


class Performance(msgspec.Struct, frozen=True, kw_only=True):
    """What one replica does under a load; `low`/`high` are the interval's ends of each figure. None: unknown."""

    ttft_ms: float | None
    tpot_ms: float | None
    output_tokens_per_s: float | None
    ttft_ms_interval: tuple[float, float] | None = None
    tpot_ms_interval: tuple[float, float] | None = None
    output_tokens_per_s_interval: tuple[float, float] | None = None
    measured_gpu: bool = True
    notes: tuple[str, ...] = ()


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    """The largest load that one replica carries within the latency limits.

    `concurrency` is the requests in flight, `requests_per_s` their rate (Little's law), `limited_by` what stops it
    from carrying more: "ttft", "tpot", "kv_cache", "max_num_seqs". `requests_per_s` 0 with `limited_by` "ttft" or
    "tpot" means that even one request at a time breaks the limit; `performance` is then that of one request.
    """

    concurrency: int
    requests_per_s: float
    limited_by: str
    performance: Performance


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """How weights reach the GPU: where they lie when the process starts, and how the engine starts.

    `storage_gib_s` and `network_gib_s` are sustained rates in GiB/s where they are known.
    """

    storage: str = "unknown"
    loader: str = "default"
    compile_cached: bool | None = None
    eager: bool | None = None
    weights_gib_total: float | None = None
    download_s: float | None = None
    network_gib_s: float | None = None
    storage_gib_s: float | None = None


class Startup(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds from process start to readiness, by step; `ready_s_interval` is what probes take the high end of."""

    download_s: float | None
    weights_load_s: float | None
    compile_s: float | None
    cuda_graph_capture_s: float | None
    init_engine_s: float | None
    rest_s: float | None
    ready_s: float
    ready_s_interval: tuple[float, float]
    notes: tuple[str, ...] = ()
