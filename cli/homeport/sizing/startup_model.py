"""The formulas of start-up time: a handful of physical constants, and the seconds that follow from them.

Nothing here knows a model by name. `traits_of` takes from an architecture what costs time when an engine starts,
`steps` turns traits and a situation into seconds, and `constants` holds what `scripts/fit_startup.py` fitted on the
measurements in `tests/data/startup_measurements.json`.
"""

import functools
import math
import re
from pathlib import Path

import msgspec

from homeport.catalog.architecture_types import Architecture

# vLLM's minor releases between which compilation became about three times cheaper a layer: both ends are measured,
# the releases between them are interpolated geometrically.
OLD_RELEASE = 11
NEW_RELEASE = 19

_STREAMERS = {
    "runai_streamer": "streamer",
    "runai_streamer_sharded": "sharded",
    "runai_streamer_distributed": "sharded",
    "instanttensor": "sharded",
    "fastsafetensors": "sharded",
    "tensorizer": "tensorizer",
    "serverlessllm": "image",
    "sharded_state": "sharded",
    "safetensors_prefetch": "prefetch",
    "prefetch": "prefetch",
    "multithread": "prefetch",
}


class Traits(msgspec.Struct, frozen=True, kw_only=True):
    """What of a model costs time at start. `None` layers: the model's depth is unknown (only its bytes are)."""

    layers: int | None
    checkpoint_gib: float
    hidden_size: int = 0
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
    """Where and how the engine starts. `release` is vLLM's minor release (0.19.1 is 19, 1.2 is 102), None unknown."""

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
    """Every fitted number: seconds, GiB/s, or shares of a plain layer's cost (names say which)."""

    # compilation
    compile_base_old_s: float
    compile_base_new_s: float
    compile_layer_old_s: float
    compile_layer_new_s: float
    cached_base_old_s: float
    cached_base_new_s: float
    cached_layer_old_s: float
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
    host_ampere: float
    unknown_release: float
    # CUDA graphs
    graph_layer_old_s: float
    graph_layer_new_s: float
    graph_passes: float
    graph_moe_old_s: float
    graph_moe_new_s: float
    graph_sglang_layer_s: float
    # initialisation besides compilation and graphs: profiling, KV allocation, warm-up
    init_base_s: float
    init_layer_s: float
    init_cold_old_s: float
    init_cold_new_s: float
    init_moe_s: float
    # process, imports, API server, workers
    rest_offline_s: float
    rest_server_s: float
    rest_workers_s: float
    rest_vision_s: float
    rest_hub_s: float
    # reading weights, GiB/s
    copy_gib_s: float
    read_nvme_gib_s: float
    read_ssd_gib_s: float
    read_pvc_gib_s: float
    read_nfs_gib_s: float
    read_hub_gib_s: float
    read_object_gib_s: float
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


class Spreads(msgspec.Struct, frozen=True, kw_only=True):
    """Half-widths of the prediction interval, as logarithms: how far measurements lay from predictions."""

    load: dict[str, float]
    download: float
    compile: float
    rest: float
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


class Steps(msgspec.Struct, kw_only=True):
    """Seconds of one start, by step; `load_class` names the spread that the loading has."""

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
    """The fitted constants and spreads."""
    return msgspec.json.decode((Path(__file__).parent / "data" / "startup_constants.json").read_bytes(), type=Fit)


@functools.lru_cache(maxsize=64)
def release_of(version: str | None) -> int | None:
    """vLLM's minor release in a version ("0.19.0" is 19, "1.2" is 102); None where the text names none."""
    found = re.match(r"v?(\d+)\.(\d+)", version or "")
    return int(found[1]) * 100 + int(found[2]) if found else None


_TRAITS: dict[int, tuple[Architecture, Traits]] = {}


def traits_of(arch: Architecture, quantization: str | None = None) -> Traits:
    """The traits of a model; `quantization` is a method that is applied while loading (the checkpoint has none)."""
    known = _TRAITS.get(id(arch))
    if known is None or known[0] is not arch:
        if len(_TRAITS) > 512:
            _TRAITS.clear()
        known = (arch, _traits(arch))
        _TRAITS[id(arch)] = known
    traits = known[1]
    if quantization and not (traits.quantised_weights or traits.quantised_activations):
        activations = quantization in ("fp8", "fp8_block", "nvfp4", "mxfp8", "smoothquant", "quark")
        return msgspec.structs.replace(traits, quantised_weights=not activations, quantised_activations=activations)
    return traits


def _traits(arch: Architecture) -> Traits:
    names = {weight.name for kind in arch.layer_kinds for weight in kind.weights}
    kinds = [arch.attention_of(i).kind for i in range(arch.layers)]
    norms = sum("norm" in name for name in names)
    stored = arch.quantization
    size = arch.weight_bytes or arch.total_params * 2
    return Traits(
        layers=arch.layers,
        checkpoint_gib=size / 2**30,
        hidden_size=arch.hidden_size,
        moe=arch.moe is not None,
        latent=arch.is_mla,
        state_share=sum(kind in ("mamba", "linear") for kind in kinds) / len(kinds),
        query_norm=any("q_norm" in name for name in names) or arch.model_type.startswith(("qwen3", "gemma3")),
        extra_norms=arch.model_type.startswith("gemma") or norms > 4,
        windowed="sliding" in kinds and "full" in kinds,
        vision=arch.vision is not None,
        quantised_weights=stored is not None and stored.activation_bits >= 16,
        quantised_activations=stored is not None and stored.activation_bits < 16,
    )


def with_checkpoint(traits: Traits, gib: float) -> Traits:
    """The same model with a checkpoint of `gib` GiB."""
    return msgspec.structs.replace(traits, checkpoint_gib=gib)


def _between(release: int | None, old: float, new: float, unknown: float) -> float:
    """A constant at a release: geometric between the two that were measured."""
    share = unknown if release is None else min(max((release - OLD_RELEASE) / (NEW_RELEASE - OLD_RELEASE), 0.0), 1.0)
    return math.exp((1 - share) * math.log(old) + share * math.log(new))


def _load(t: Traits, s: Situation, c: Constants) -> tuple[float, str, str]:
    """Seconds from checkpoint to GPU, the spread's name and the formula: bytes over the narrowest path."""
    size, tp = t.checkpoint_gib, s.tensor_parallel_size
    ranks = tp * s.pipeline_parallel_size
    family = _STREAMERS.get(s.loader) or ("prefetch" if s.loader.startswith("multithread") else "default")
    cached = s.storage == "page_cache"
    remote = s.storage == "object_store"
    block = s.storage in ("pvc", "nfs", "ssd", "hub", "unknown")
    if family == "default":
        read = {
            "nvme": c.read_nvme_gib_s,
            "ssd": c.read_ssd_gib_s,
            "pvc": c.read_pvc_gib_s,
            "nfs": c.read_nfs_gib_s,
            "hub": c.read_hub_gib_s,
            "object_store": c.read_object_gib_s,
        }.get(s.storage, c.read_unknown_gib_s)
        if s.storage_gib_s:
            read = s.storage_gib_s
        copy_s = size / ranks / c.copy_gib_s
        seconds = copy_s if cached else copy_s + size / read
        text = f"{size:.2f} GiB / {ranks} ranks / {c.copy_gib_s:.2f} GiB/s"
        return seconds, s.storage, text if cached else f"{text} + {size:.2f} GiB / {read:.2f} GiB/s"
    if family == "prefetch":
        rate = c.prefetch_cache_gib_s if cached else c.prefetch_nvme_gib_s
        read = rate if cached or not s.storage_gib_s else min(rate, s.storage_gib_s)
        seconds = size / read * ranks**c.prefetch_ranks
        return seconds, "stream", f"{size:.2f} GiB / {read:.2f} GiB/s x {ranks}^{c.prefetch_ranks:.2f}"
    if family == "image":
        rate = c.image_cache_gib_s if cached else c.image_disk_gib_s
        per_rank = size / ranks
    elif family == "sharded":
        rate = c.sharded_cache_gib_s if cached else c.sharded_object_gib_s if remote else c.sharded_disk_gib_s
        per_rank = size / ranks
    elif family == "tensorizer":
        rate = c.tensorizer_cache_gib_s if cached else c.tensorizer_object_gib_s if remote else c.tensorizer_block_gib_s
        per_rank = size / ranks
    else:
        rate = (
            c.streamer_cache_gib_s
            if cached
            else c.streamer_object_gib_s
            if remote
            else c.streamer_block_gib_s
            if block
            else c.streamer_disk_gib_s
        )
        per_rank = size
    if s.storage_gib_s and not cached:
        rate = min(rate, s.storage_gib_s)
    return per_rank / rate, "stream", f"{per_rank:.2f} GiB a rank / {rate:.2f} GiB/s"


def _download(t: Traits, s: Situation, c: Constants) -> float:
    """Seconds that this start spends fetching the checkpoint before it loads: 0 where the weights lie there."""
    if s.download_s is not None:
        return s.download_s
    if s.storage == "hub":
        return t.checkpoint_gib / (s.network_gib_s or c.download_hub_gib_s)
    if s.storage == "object_store" and s.loader == "default":
        return t.checkpoint_gib / (s.network_gib_s or c.download_object_gib_s)
    return 0.0


def layer_cost(t: Traits, s: Situation, c: Constants) -> float:
    """What one layer costs the compiler, in plain layers: more kernels to fuse, more to compile."""
    cost = 1.0 + c.layer_state * t.state_share
    if s.tensor_parallel_size > 1:
        cost += c.layer_tensor_parallel
    if t.query_norm:
        cost += c.layer_query_norm + (c.layer_windowed_query_norm if t.windowed else 0.0)
    if t.extra_norms:
        cost += c.layer_extra_norms
    if t.latent:
        cost += c.layer_latent
    if t.moe:
        cost += c.layer_moe
    if t.quantised_weights:
        cost += c.layer_quantised_weights
    if t.quantised_activations:
        cost += c.layer_quantised_activations
    return max(cost, 0.2)


def steps(t: Traits, s: Situation, c: Constants) -> Steps:
    """The seconds of every step."""
    load_s, load_class, load_formula = _load(t, s, c)
    layers = (t.layers if t.layers is not None else 40) / s.pipeline_parallel_size
    release, unknown = s.release, c.unknown_release
    host = c.host_ampere if s.gpu_architecture == "ampere" else 1.0
    compile_s = graph_s = 0.0
    cold = not s.compile_cached
    if s.engine == "vllm" and not s.eager and not (release is not None and release < 6):
        cost = layer_cost(t, s, c)
        if cold:
            base = _between(release, c.compile_base_old_s, c.compile_base_new_s, unknown)
            layer = _between(release, c.compile_layer_old_s, c.compile_layer_new_s, unknown)
        else:
            base = _between(release, c.cached_base_old_s, c.cached_base_new_s, unknown)
            layer = _between(release, c.cached_layer_old_s, c.cached_layer_new_s, unknown)
        compile_s = host * (base + layer * layers * cost)
    if not s.eager:
        if s.engine == "sglang":
            graph_s = c.graph_sglang_layer_s * layers
        else:
            graph_s = layers * _between(release, c.graph_layer_old_s, c.graph_layer_new_s, unknown)
            graph_s += (_between(release, c.graph_moe_old_s, c.graph_moe_new_s, unknown) if t.moe else 0.0) + (
                c.graph_passes * t.checkpoint_gib / s.tensor_parallel_size / s.pipeline_parallel_size / (s.bandwidth_gb_s or 2000.0)
            )
    other = c.init_base_s + c.init_layer_s * layers + (c.init_moe_s if t.moe else 0.0)
    if compile_s and cold:
        other += _between(release, c.init_cold_old_s, c.init_cold_new_s, unknown)
    rest = _between(release, c.rest_offline_s, c.rest_server_s, unknown) if s.engine == "vllm" else c.rest_server_s
    if release is not None and release > 10:
        rest = c.rest_server_s
    if s.tensor_parallel_size * s.pipeline_parallel_size > 1:
        rest += c.rest_workers_s
    if t.vision:
        rest += c.rest_vision_s
    if s.storage == "hub":
        rest += c.rest_hub_s
    return Steps(
        download_s=_download(t, s, c),
        load_s=load_s,
        compile_s=compile_s,
        graph_s=graph_s,
        init_other_s=other,
        rest_s=rest * host,
        load_class=load_class,
        load_formula=load_formula,
    )


def interval(steps_: Steps, s: Situation, spreads: Spreads) -> tuple[float, float]:
    """The ends between which nine starts in ten lie, in seconds.

    The steps err independently, so their half-widths add in squares; each is multiplicative (a disk can be three
    times as slow, never less than nothing).
    """
    known = s.download_s is not None or not steps_.download_s
    engine = spreads.compile + (0.0 if s.engine == "vllm" else spreads.foreign)
    rest = spreads.rest + (0.0 if s.engine == "vllm" else spreads.foreign)
    parts = (
        (steps_.load_s, spreads.load.get(steps_.load_class, spreads.load["unknown"])),
        (0.0 if known else steps_.download_s, spreads.download),
        (steps_.init_s, engine),
        (steps_.rest_s, rest),
    )
    up = math.sqrt(sum((seconds * math.expm1(width * spreads.scale)) ** 2 for seconds, width in parts))
    down = math.sqrt(sum((seconds * -math.expm1(-width * spreads.scale)) ** 2 for seconds, width in parts))
    return max(steps_.ready_s - down, 0.0), steps_.ready_s + up
