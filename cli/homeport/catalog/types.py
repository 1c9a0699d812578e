"""The rows of the catalog. Units are in the field names; `None` is unknown or not applicable, never zero."""

import msgspec


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What every row of the catalog carries: its source, its date, and which of its fields nobody has checked."""

    source: str
    as_of: str
    unverified: tuple[str, ...] = ()


class Gpu(Row, frozen=True, kw_only=True):
    """One GPU (or `CPU`). `memory_gib_usable` is what the engine sees (torch); budgets need it."""

    id: str
    vendor: str
    kind: str
    architecture: str
    compute_capability: str | None
    memory_gb_sold: float | None
    memory_mib_driver: float | None
    memory_gib_usable: float | None
    memory_bandwidth_gb_s: float | None
    dense_fp16_tflops: float | None
    dense_bf16_tflops: float | None
    dense_fp8_tflops: float | None
    dense_int8_tops: float | None
    dense_fp4_tflops: float | None
    link_gb_s_per_direction: float | None
    pcie_gb_s_per_direction: float | None
    tdp_w: float | None
    kubernetes_resource: str
    kubernetes_product_label: str | None
    notes: str | None = None


class Instance(Row, frozen=True, kw_only=True):
    """One priced cloud instance type in one region, USD per hour.

    `kubernetes` names the cloud's managed Kubernetes, or says "self-managed". A `gpu_count` below 1 is a share of a card.
    """

    cloud: str
    kubernetes: str | None
    instance_type: str
    region: str | None
    gpu: str
    gpu_count: float
    on_demand_usd_per_hour: float | None
    spot_usd_per_hour: float | None
    on_demand_usd_per_gpu_hour: float | None
    licence: str | None = None


class Machine(Row, frozen=True, kw_only=True):
    """What an instance type has beside its GPUs, whatever its region: virtual CPUs, and GiB of main memory as sold."""

    cloud: str
    instance_type: str
    vcpus: int
    memory_gib: float


class Region(Row, frozen=True, kw_only=True):
    """One region of a cloud. `country` is its ISO 3166 code; the position is the metropolitan area's, to a degree."""

    cloud: str
    region: str
    geography: str
    country: str
    latitude_deg: float
    longitude_deg: float


class ApiPrice(Row, frozen=True, kw_only=True):
    """Prices of one API model, USD per million tokens. The key is `id` + `as_of`."""

    id: str
    provider: str
    model: str
    display_name: str | None
    input_usd_per_mtok: float | None
    output_usd_per_mtok: float | None
    cached_input_usd_per_mtok: float | None
    cache_write_usd_per_mtok: float | None
    batch_input_usd_per_mtok: float | None
    batch_output_usd_per_mtok: float | None
    input_above_200k_usd_per_mtok: float | None
    output_above_200k_usd_per_mtok: float | None
    context_tokens: int | None
    max_output_tokens: int | None
    retires_on: str | None
    retired: bool
    newest: bool
    notes: str | None = None
    licence: str | None = None
    vendor_page: str | None = None


class PriceBook(msgspec.Struct, frozen=True, kw_only=True):
    """A file of prices that `prices refresh` wrote, or anybody else. Rows carry their own source and date."""

    schema_version: int
    api_prices: tuple[ApiPrice, ...] = ()
    instances: tuple[Instance, ...] = ()


class Benchmark(Row, frozen=True, kw_only=True):
    """Benchmark scores of one model, in percent; `model` is the name that the source prints, `id` ours."""

    model: str
    id: str
    open_weights: bool
    mmlu_pct: float | None
    humaneval_pct: float | None
    gsm8k_pct: float | None
    ifeval_pct: float | None
    context_tokens: int | None


class AttentionSummary(msgspec.Struct, frozen=True, kw_only=True):
    """How a model attends: `type` is mha, gqa, mla or hybrid (full and sliding-window layers)."""

    type: str
    full_layers: int
    windowed_layers: int
    window_tokens: int | None


class Model(Row, frozen=True, kw_only=True):
    """One open-weight model of the catalog.

    `config_file` names its Hugging Face `config.json` below the catalog's data (read it with `catalog.config`).
    `weight_bytes_native` are the bytes of the published checkpoint; `attention` and `kv_bytes_per_token_16bit` count
    every layer in full. `source_conflicts` says where sources disagree.
    """

    id: str
    family: str
    size: str
    modality: str
    config_file: str
    total_params: int
    text_params: int | None
    active_params: int | None
    native_weight_dtype: str
    weight_bytes_bf16: int
    weight_bytes_native: int | None
    attention: AttentionSummary
    kv_bytes_per_token_16bit: int | None
    moe: dict[str, int | float | None] | None
    tie_word_embeddings: bool | None
    context_tokens: int
    context_tokens_with_yarn: int | None
    licence: str | None
    gated: bool | None
    source_conflicts: tuple[str, ...] = ()
