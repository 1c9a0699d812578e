"""What start-up time depends on, the constants that were fitted, and the seconds that come out."""

import functools
from pathlib import Path

import msgspec


class Traits(msgspec.Struct, frozen=True, kw_only=True):
    """What of a model costs time at start. `layers` None: the depth is unknown (only the bytes are).

    `query_norm`: attention norms its queries and keys; `extra_norms`: more than two norms a layer; `windowed`: full
    and sliding layers alternate; `state_share`: the share of layers with a recurrent state instead of attention.
    """

    layers: int | None
    checkpoint_gib: float
    moe: bool = False
    latent: bool = False
    state_share: float = 0.0
    query_norm: bool = False
    extra_norms: bool = False
    windowed: bool = False
    vision: bool = False
    quantised_weights: bool = False
    quantised_activations: bool = False


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """Where and how the engine starts. `release` is vLLM's minor release (0.19.1 is 19, 1.2 is 102), None: unknown."""

    engine: str = "vllm"
    release: int | None = None
    gpu_architecture: str | None = None
    bandwidth_gb_s: float | None = None
    tensor_parallel_size: int = 1
    pipeline_parallel_size: int = 1
    storage: str = "unknown"
    storage_gib_s: float | None = None
    network_gib_s: float | None = None
    loader: str = "default"
    compile_cached: bool | None = None
    eager: bool = False
    download_s: float | None = None


class Constants(msgspec.Struct, frozen=True, kw_only=True):
    """Every fitted number: seconds, GiB/s, or (`layer_`) shares of what a plain layer costs the compiler.

    `old` holds up to vLLM 0.11, `new` from 0.19 on; of the compile cache, graphs and warm-up `old` ends with 0.10, and
    for the last two `new` begins with 0.11.
    """

    compile_base_old_s: float
    compile_base_new_s: float
    compile_layer_old_s: float
    compile_layer_new_s: float
    cached_base_old_s: float
    cached_base_new_s: float
    cached_layer_old_s: float
    cached_layer_mid_s: float
    cached_layer_new_s: float
    layer_tensor_parallel: float
    layer_query_norm: float
    layer_extra_norms: float
    layer_windowed_query_norm: float
    layer_latent: float
    layer_moe: float
    layer_state: float
    layer_quantised_weights: float
    layer_quantised_activations: float
    host_slow: float
    unknown_release: float
    graph_layer_old_s: float
    graph_layer_new_s: float
    graph_passes: float
    graph_moe_old_s: float
    graph_moe_new_s: float
    graph_sglang_layer_s: float
    init_base_s: float
    init_layer_s: float
    init_cold_old_s: float
    init_cold_new_s: float
    init_moe_s: float
    rest_offline_s: float
    rest_server_s: float
    rest_workers_s: float
    rest_vision_s: float
    rest_hub_s: float
    copy_gib_s: float
    read_nvme_gib_s: float
    read_ssd_gib_s: float
    read_pvc_gib_s: float
    read_nfs_gib_s: float
    read_hub_gib_s: float
    read_unknown_gib_s: float
    prefetch_nvme_gib_s: float
    prefetch_cache_gib_s: float
    prefetch_ranks: float
    streamer_cache_gib_s: float
    streamer_disk_gib_s: float
    streamer_block_gib_s: float
    streamer_object_gib_s: float
    sharded_cache_gib_s: float
    sharded_disk_gib_s: float
    sharded_object_gib_s: float
    tensorizer_cache_gib_s: float
    tensorizer_block_gib_s: float
    tensorizer_object_gib_s: float
    image_disk_gib_s: float
    image_cache_gib_s: float
    download_hub_gib_s: float
    download_object_gib_s: float


class Width(msgspec.Struct, frozen=True, kw_only=True):
    """How far measurements lay above (`up`) and below (`down`) predictions, as logarithms."""

    up: float
    down: float


class Spreads(msgspec.Struct, frozen=True, kw_only=True):
    """What the interval is made of: the width of each step, and what all are multiplied with.

    `load` is by kind of storage (`stream`: loaders that read in parallel); `foreign` is added where the engine's own
    start was not measured.
    """

    load: dict[str, Width]
    download: Width
    init: Width
    rest: Width
    foreign: float
    scale: float


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """The file `data/startup_constants.json`."""

    as_of: str
    source: str
    records: int
    base_models: int
    constants: Constants
    spreads: Spreads


class Steps(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of one start, by step; `load_class` names the width that the loading has."""

    download_s: float
    load_s: float
    compile_s: float
    graph_s: float
    init_other_s: float
    rest_s: float
    load_class: str
    load_formula: str

    @property
    def init_s(self) -> float:
        """What vLLM logs as "init engine": profiling, compilation, KV allocation, warm-up and graphs."""
        return self.compile_s + self.graph_s + self.init_other_s

    @property
    def ready_s(self) -> float:
        """From the start of the process to readiness."""
        return self.download_s + self.load_s + self.init_s + self.rest_s


@functools.cache
def fit() -> Fit:
    """The fitted constants and widths."""
    return msgspec.json.decode(
        (Path(__file__).parent / "data" / "startup_constants.json").read_bytes(), type=Fit
    )
