"""The formulas of start-up time besides the weights' way: compilation, graphs, initialisation, the rest.

Nothing here knows a model by name: `traits_of` takes from an architecture what costs time when an engine starts, and
`steps` turns traits and a situation into seconds with the constants that `scripts/fit_startup.py` fitted.
"""

import functools
import math
import re
from typing import NamedTuple

from homeport.catalog.architecture_types import Architecture
from homeport.sizing.startup_load import download, load
from homeport.sizing.startup_types import Constants, Situation, Spreads, Steps, Traits

# Between these minor releases of vLLM compiling a layer became about three times cheaper, and reading a compiled
# graph from the cache four times. Both ends are measured; what lies between is interpolated geometrically.
OLD_RELEASE = 11
NEW_RELEASE = 19
OLD_CACHE_RELEASE = 10
# vLLM compiles by default since its V1 engine.
FIRST_COMPILING_RELEASE = 8
# Layers of a model whose depth nobody stated: the median of the measured models.
TYPICAL_LAYERS = 40
# Seconds that vLLM's CPU image needs on two cores for a model of no size: three processes import it one after the other.
CPU_REST_S = 55.0
# A server without an inference engine in it: the start of a Python process.
SIMULATOR_REST_S = 2.0
# Compilation runs on one CPU core. Hosts of these GPUs are a CPU generation older than those of the others.
SLOW_HOSTS = (None, "ampere", "turing", "volta", "x86-64 or arm64")
ACTIVATION_METHODS = ("fp8", "fp8_block", "nvfp4", "mxfp8", "smoothquant", "quark")


class Compilation(NamedTuple):
    """`host` x (`base_s` + `layers` x `layer_s` x `cost`)."""

    host: float
    base_s: float
    layers: float
    layer_s: float
    cost: float

    @property
    def seconds(self) -> float:
        """Seconds of compilation, or of loading what was compiled before."""
        return self.host * (self.base_s + self.layers * self.layer_s * self.cost)


@functools.lru_cache(maxsize=256)
def release_of(version: str | None) -> int | None:
    """vLLM's minor release in a version ("0.19.0" is 19, "1.2" is 102); None where the text names none."""
    found = re.match(r"v?(\d+)\.(\d+)", version or "")
    return int(found[1]) * 100 + int(found[2]) if found else None


# Keyed by identity, as architectures are compared; the architecture is kept, so that no other gets its id.
_TRAITS: dict[tuple[int, str | None], tuple[Architecture, Traits]] = {}
_TRAITS_KEPT = 1024


def traits_of(arch: Architecture, quantization: str | None = None) -> Traits:
    """The traits of a model; `quantization` is a method that is applied while loading (the checkpoint has none)."""
    key = (id(arch), quantization)
    known = _TRAITS.get(key)
    if known is None:
        if len(_TRAITS) >= _TRAITS_KEPT:
            _TRAITS.clear()
        known = _TRAITS[key] = (arch, _traits(arch, quantization))
    return known[1]


def _traits(arch: Architecture, quantization: str | None) -> Traits:
    weights = {weight.name: weight for kind in arch.layer_kinds for weight in kind.weights}
    kinds = [arch.attention_of(i).kind for i in range(arch.layers)]
    norm = weights.get("input_layernorm")
    stored = arch.quantization
    activations = stored.activation_bits < 16 if stored else quantization in ACTIVATION_METHODS
    return Traits(
        layers=arch.layers,
        checkpoint_gib=(arch.weight_bytes or stored_bytes(arch)) / 2**30,
        moe=arch.moe is not None,
        latent=arch.is_mla,
        state_share=sum(kind in ("mamba", "linear") for kind in kinds) / len(kinds),
        query_norm="self_attn.q_norm" in weights,
        extra_norms=norm is not None and norm.copies > 2,
        windowed="sliding" in kinds and "full" in kinds,
        vision=arch.vision is not None,
        quantised_weights=not activations and (stored is not None or quantization is not None),
        quantised_activations=activations,
    )


def stored_bytes(arch: Architecture) -> float:
    """Bytes of a checkpoint whose size is not stated: quantised linear weights at their bits, the rest at 16 (or 32)."""
    plain = 4.0 if arch.dtype == "float32" else 2.0
    stored = arch.quantization
    if stored is None:
        return arch.total_params * plain
    packed = sum(
        count * weight.params
        for kind, count in arch.kind_counts()
        for weight in kind.weights
        if weight.linear and (not stored.only or weight.group in stored.only)
    )
    bits = stored.bits + (stored.scale_bits + (stored.bits if stored.zero_point else 0)) / max(
        stored.group_size, 128
    )
    return packed * bits / 8 + (arch.total_params - packed) * plain


def _between(share: float, old: float, new: float) -> float:
    return old * math.exp(share * math.log(new / old))


def compilation(t: Traits, s: Situation, c: Constants) -> Compilation | None:
    """What compiling costs at this start; None where the engine compiles nothing."""
    release = s.release
    if (
        s.engine not in ("vllm", "cpu")
        or s.eager
        or (release is not None and release < FIRST_COMPILING_RELEASE)
    ):
        return None
    host = c.host_slow if s.gpu_architecture in SLOW_HOSTS else 1.0
    layers = (TYPICAL_LAYERS if t.layers is None else t.layers) / s.pipeline_parallel_size
    share = _share(release, c)
    if not s.compile_cached:
        base = _between(share, c.compile_base_old_s, c.compile_base_new_s)
        return Compilation(
            host,
            base,
            layers,
            _between(share, c.compile_layer_old_s, c.compile_layer_new_s),
            layer_cost(t, s, c),
        )
    if release is None or release <= OLD_CACHE_RELEASE:
        layer = c.cached_layer_old_s
    else:
        layer = _between(share, c.cached_layer_mid_s, c.cached_layer_new_s)
    return Compilation(
        host, _between(share, c.cached_base_old_s, c.cached_base_new_s), layers, layer, layer_cost(t, s, c)
    )


def _share(release: int | None, c: Constants) -> float:
    """How far a release lies between the old and the new one."""
    if release is None:
        return c.unknown_release
    return min(max((release - OLD_RELEASE) / (NEW_RELEASE - OLD_RELEASE), 0.0), 1.0)


def _recent(release: int | None, c: Constants) -> float:
    """How far graph capture and warm-up are the new ones: they changed at once, with the release after the old cache."""
    return c.unknown_release if release is None else float(release > OLD_CACHE_RELEASE)


def layer_cost(t: Traits, s: Situation, c: Constants) -> float:
    """What one layer costs the compiler, in plain layers: more operations to trace, more kernels to fuse."""
    cost = 1.0 + c.layer_state * t.state_share
    if s.tensor_parallel_size > 1:
        cost += c.layer_tensor_parallel
    if t.query_norm:
        cost += c.layer_query_norm
        if t.windowed:
            cost += c.layer_windowed_query_norm
    if t.extra_norms:
        cost += c.layer_extra_norms
    if t.latent:
        cost += c.layer_latent
    if t.moe:
        cost += c.layer_moe
    if t.quantised_weights:
        cost += c.layer_quantised_weights
    elif t.quantised_activations:
        cost += c.layer_quantised_activations
    return max(cost, 0.2)


def _graphs(t: Traits, s: Situation, c: Constants, layers: float, share: float) -> float:
    """Seconds of capturing CUDA graphs: each batch size records every layer and runs once through the weights."""
    if s.eager or s.engine == "cpu":
        return 0.0
    if s.engine == "sglang":
        return c.graph_sglang_layer_s * layers
    seconds = layers * _between(share, c.graph_layer_old_s, c.graph_layer_new_s)
    if t.moe:
        seconds += _between(share, c.graph_moe_old_s, c.graph_moe_new_s)
    if s.bandwidth_gb_s:
        seconds += (
            c.graph_passes
            * t.checkpoint_gib
            / s.tensor_parallel_size
            / s.pipeline_parallel_size
            / s.bandwidth_gb_s
        )
    return seconds


def _rest(t: Traits, s: Situation, c: Constants) -> float:
    """Seconds of the process itself: interpreter, imports, workers, tokeniser, API server."""
    if s.engine == "cpu":
        return CPU_REST_S
    # The early releases were measured as an engine in a process, without its API server.
    early = s.release is not None and s.release < OLD_RELEASE
    rest = c.rest_offline_s if early else c.rest_server_s
    if s.tensor_parallel_size * s.pipeline_parallel_size > 1:
        rest += c.rest_workers_s
    if t.vision:
        rest += c.rest_vision_s
    if s.storage == "hub":
        rest += c.rest_hub_s
    return rest


def steps(t: Traits, s: Situation, c: Constants) -> Steps:
    """The seconds of every step of a start."""
    if s.engine == "simulator":
        return Steps(
            download_s=0.0, load_s=0.0, compile_s=0.0, graph_s=0.0, init_other_s=0.0, rest_s=SIMULATOR_REST_S,
            load_class="page_cache", load_formula="a simulator loads no weights",
        )  # fmt: skip
    loaded = load(t, s, c)
    compiled = compilation(t, s, c)
    layers = (TYPICAL_LAYERS if t.layers is None else t.layers) / s.pipeline_parallel_size
    share = _recent(s.release, c)
    other = c.init_base_s + c.init_layer_s * layers + (c.init_moe_s if t.moe else 0.0)
    if compiled and not s.compile_cached:
        other += _between(share, c.init_cold_old_s, c.init_cold_new_s)
    return Steps(
        download_s=download(t, s, c),
        load_s=loaded.seconds,
        compile_s=compiled.seconds if compiled else 0.0,
        graph_s=_graphs(t, s, c, layers, share),
        init_other_s=other,
        rest_s=_rest(t, s, c),
        load_class=loaded.width,
        load_formula=loaded.formula,
    )


def interval(found: Steps, s: Situation, spreads: Spreads) -> tuple[float, float]:
    """The ends between which nine starts in ten lie, in seconds.

    The steps err independently, so their half-widths add in squares; each is multiplicative (a disk can be three
    times as slow, never less than nothing).
    """
    known = s.download_s is not None or not found.download_s
    foreign = 0.0 if s.engine in ("vllm", "simulator") else spreads.foreign
    load_width = spreads.load.get(found.load_class) or spreads.load["unknown"]
    # A storage's own rate, where it is stated, leaves the uncertainty of a local disk.
    if s.storage_gib_s:
        load_width = spreads.load["page_cache"]
    up = down = 0.0
    for seconds, width, more in (
        (found.load_s, load_width, 0.0),
        (0.0 if known else found.download_s, spreads.rest if s.network_gib_s else spreads.download, 0.0),
        (found.init_s, spreads.init, foreign),
        (found.rest_s, spreads.rest, foreign),
    ):
        up += (seconds * math.expm1((width.up + more) * spreads.scale)) ** 2
        down += (seconds * math.expm1(-(width.down + more) * spreads.scale)) ** 2
    return max(found.ready_s - math.sqrt(down), 0.0), found.ready_s + math.sqrt(up)
