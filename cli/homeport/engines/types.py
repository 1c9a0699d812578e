"""What an engine is asked to run (`Launch`), and how it is run (`Server`)."""

import msgspec


class AdapterMount(msgspec.Struct, frozen=True, kw_only=True):
    """A LoRA adapter as the server sees it: `path` is a folder in the container."""

    name: str
    path: str
    rank: int


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """One replica to run, every number decided; an engine turns it into a `Server`.

    `model` is what the engine loads: a Hub id, or an absolute path in the container. `memory_fraction` is in the
    engine's own meaning. Sizes are tokens, times seconds. `None` leaves the engine's default. `weight_dtype` is auto,
    bfloat16, float16 or float32; `kv_cache_dtype` auto, bf16, fp16 or fp8; `quantization` the engine's own name.
    """

    model: str
    served_name: str
    revision: str | None = None
    tensor_parallel_size: int = 1
    pipeline_parallel_size: int = 1
    nodes: int = 1
    max_model_len: int
    weight_dtype: str = "auto"
    quantization: str | None = None
    kv_cache_dtype: str = "auto"
    memory_fraction: float | None = None
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    adapters: tuple[AdapterMount, ...] = ()
    api_key_env: bool = False
    offline: bool = False
    longest_request_s: float = 60.0
    cpu_kv_cache_gib: int | None = None
    simulated_ttft_ms: float | None = None
    simulated_tpot_ms: float | None = None
    extra_args: tuple[str, ...] = ()


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP GET that Kubernetes makes; `timeout_s` and `period_s` are the engine's, thresholds are the plan's."""

    path: str
    timeout_s: int
    period_s: int
    failure_threshold: int | None = None


class MetricNames(msgspec.Struct, frozen=True, kw_only=True):
    """Prometheus series of one engine version; `None`: it has no such series.

    `ttft`, `inter_token` and `e2e` are histograms, named without `_bucket`. `waiting`, `running` and
    `kv_cache_usage` (0 to 1) are gauges; a replica with data-parallel ranks shows one of each a rank (`engine`, `dp_rank`), so
    sum or take the most over them. `model_label` is the label that carries the served name. `absent_at_zero_traffic` names
    series that may not exist before the first request: ask `or vector(0)` of them.
    """

    path: str
    port_name: str = "http"
    waiting: str | None
    running: str | None
    kv_cache_usage: str | None
    ttft: str | None
    inter_token: str | None
    e2e: str | None = None
    requests_total: str | None
    prompt_tokens_total: str | None
    generation_tokens_total: str | None
    model_label: str | None
    absent_at_zero_traffic: tuple[str, ...] = ()


class Drain(msgspec.Struct, frozen=True, kw_only=True):
    """How a server stops without losing requests: seconds of preStop sleep, of its own drain, and the grace period."""

    pre_stop_s: int
    shutdown_s: int | None
    grace_s: int
    why: str


class WritablePath(msgspec.Struct, frozen=True, kw_only=True):
    """A folder that must be writable under a read-only root, and what is written there."""

    name: str
    path: str
    why: str
    memory_backed: bool = False


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """How one replica is run in its image. `command` None: the image's entrypoint. `env` holds no secrets.

    `worker_args` are the arguments on the nodes after the first of a multi-node replica (None: one node only);
    `worker_has_http` says whether those answer the probes. `ConfigMap` files go to `files` (path -> text).
    `api_key_variable` is the environment variable that takes the clients' key from a Secret (None: no key asked for).
    `shm_gib` is the size of the memory-backed /dev/shm (0: none needed); it counts towards the memory limit.
    """

    image: str
    command: tuple[str, ...] | None
    args: tuple[str, ...]
    env: dict[str, str]
    port: int
    startup: Probe
    readiness: Probe
    liveness: Probe | None
    metrics: MetricNames
    drain: Drain
    writable: tuple[WritablePath, ...]
    files: dict[str, str] = msgspec.field(default_factory=dict)
    worker_args: tuple[str, ...] | None = None
    worker_has_http: bool = False
    shm_gib: int = 0
    api_key_variable: str | None = None
    warnings: tuple[str, ...] = ()


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """One version of an engine: data with a source and a date.

    `other_images` are the same version's images for other drivers and vendors (`cu129`, `rocm` ...); `vendors` are
    those that `image` serves; `model_types` the `model_type`s of config.json (empty: no closed list). `legacy` says
    why nothing new should be built on it.
    """

    engine: str
    version: str
    image: str
    image_note: str | None
    other_images: dict[str, str] = msgspec.field(default_factory=dict)
    entrypoint: tuple[str, ...] | None
    port: int
    default_memory_fraction: float | None
    least_compute_capability: float | None
    vendors: tuple[str, ...]
    quantizations: tuple[str, ...]
    model_types: tuple[str, ...] = ()
    kv_cache_dtypes: tuple[str, ...]
    needs_driver: str | None
    flags_file: str
    metrics: MetricNames
    source: str
    as_of: str
    unverified: tuple[str, ...] = ()
    legacy: str | None = None


class Flag(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One flag of an engine version. `names` are all spellings; `hidden` ones are accepted but not in its help.

    `takes` is none, one, optional (none or one), many (at least one) or any (number of values); `kind` is str, name
    (case and `-` do not count), int, count (from 0 on), float, size (1k, 2M, auto) or json. `deprecated` is what the engine's help says.
    """

    names: tuple[str, ...]
    hidden: tuple[str, ...] = ()
    takes: str = "one"
    kind: str = "str"
    choices: tuple[str, ...] = ()
    deprecated: str | None = None


class FlagList(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, eq=False):
    """All flags of one engine version; compared by identity: a list is read once. `underscores`: `--max_model_len` is read as `--max-model-len`.

    `dotted`: `--flag.key value` sets one key of a JSON flag. `by_hand`: the list was not dumped from the engine's own
    parser.
    """

    engine: str
    version: str
    command: str
    source: str
    by_hand: bool = False
    underscores: bool = False
    dotted: bool = False
    flags: tuple[Flag, ...]
