"""vLLM's CPU build: its KV cache is as large as it is told to be, and what it takes in all is the pod's memory.

Facts: vLLM 0.32.0's vllm/platforms/cpu.py and v1/worker/cpu_worker.py, and a run of it; tests/engines/test_served.py
holds the tokens against what a running server says.
"""

import math

import msgspec

from homeport.catalog.architecture import Architecture
from homeport.catalog.types import Gpu
from homeport.sizing import memory_constants as const
from homeport.sizing.memory_constants import GIB
from homeport.sizing.memory_engines import Rules, rules
from homeport.sizing.memory_kv import CACHE_BYTES, Layout, capacity, layout
from homeport.sizing.memory_weights import weights
from homeport.sizing.types import Memory, Settings, Term

KV_GIB = (1, 8)
"""Least and most GiB of KV cache (an assumption); more only where one request of full length needs it."""
ENGINE_GIB = 3
"""What vLLM's three processes take beside weights and cache: 2.9 GB (vLLM 0.32.0 on a CPU, measured)."""
BLOCK_TOKENS, MLA_BLOCK_TOKENS = 128, 16
"""Tokens of a block on a CPU, and with MLA, where nobody sets --block-size (vllm/platforms/cpu.py)."""

_SOURCE = "vLLM 0.32.0, vllm/platforms/cpu.py"


class Cache(msgspec.Struct, frozen=True, kw_only=True):
    """A KV cache: GiB that the engine is told, blocks that fit, tokens as the engine counts them."""

    gib: int
    blocks: int
    tokens: int
    request_gib: float
    """GiB of one request of full length."""


def cache(arch: Architecture, gpu: Gpu, settings: Settings) -> Cache:
    """The cache of a plan: room for two requests of full length within `KV_GIB`, and for one whatever it takes."""
    rule, kv = _laid_out(arch, gpu, settings)
    request = kv.blocks_of_request(rule.max_model_len, rule) * kv.block_bytes / GIB
    gib = max(min(KV_GIB[1], max(KV_GIB[0], math.ceil(2 * request))), math.ceil(request))
    blocks = int(gib * GIB // kv.block_bytes) if kv.block_bytes else 0
    return Cache(gib=gib, blocks=blocks, tokens=capacity(kv, blocks, rule), request_gib=request)


def size(arch: Architecture, gpu: Gpu, settings: Settings) -> Memory:
    """What the pod of a model on a CPU holds; `usable_gib` is the memory that its plan asks for."""
    made, length = cache(arch, gpu, settings), _length(arch, settings)
    loaded = weights(arch, 1, 1, settings.weight_dtype, settings.quantization, "vllm", False)
    held = loaded.ranks[0] / GIB
    total = held + ENGINE_GIB + made.gib
    return Memory(
        fits=True,
        reason=f"a pod of {math.ceil(total)} GiB holds it, if the node has as much: {made.tokens} tokens of KV cache, "
        f"{made.tokens / length:.2f} requests of {length}",
        total_gib=total,
        usable_gib=float(math.ceil(total)),
        weights_gib=held,
        activation_gib=0.0,
        non_torch_gib=float(ENGINE_GIB),
        cuda_graph_gib=0.0,
        kv_cache_gib=float(made.gib),
        kv_cache_tokens=made.tokens,
        kv_bytes_per_token=made.request_gib * GIB / length,
        max_concurrency=made.tokens / length,
        max_model_len=length,
        notes=("activations are within the GiB of the engine's processes",),
    )


def explain(arch: Architecture, gpu: Gpu, settings: Settings) -> list[Term]:
    """Every step of `size`, in order."""
    memory, made = size(arch, gpu, settings), cache(arch, gpu, settings)
    _, kv = _laid_out(arch, gpu, settings)
    stored = "config.json, layer by layer, as torch allocates it"
    measured = "vLLM 0.32.0 on a CPU, measured: 2.9 GB"
    chosen = (
        f"two requests of {memory.max_model_len} tokens, between {KV_GIB[0]} and {KV_GIB[1]} GiB (assumed)"
    )
    terms = (
        ("weights", "the sum", memory.weights_gib, "GiB", stored),
        ("the engine's processes", "three of them", memory.non_torch_gib, "GiB", measured),
        ("KV cache", chosen, made.gib, "GiB", "VLLM_CPU_KVCACHE_SPACE"),
        ("a block", f"{kv.block_tokens} tokens of every layer", kv.block_bytes, "bytes", _SOURCE),
        ("blocks", f"{made.gib} GiB / {kv.block_bytes} bytes", made.blocks, "", _SOURCE),
        ("KV tokens", "as the engine prints them", made.tokens, "tokens", _SOURCE),
    )
    return [
        Term(name=name, formula=formula, value=float(value), unit=unit, source=source)
        for name, formula, value, unit, source in terms
    ]


def _length(arch: Architecture, settings: Settings) -> int:
    return settings.max_model_len or arch.context_tokens or const.UNKNOWN_CONTEXT_TOKENS


def _laid_out(arch: Architecture, gpu: Gpu, settings: Settings) -> tuple[Rules, Layout]:
    alike = msgspec.structs.replace(settings, engine="vllm")
    rule = rules(alike, gpu, _length(arch, settings), images=arch.vision is not None, mla=arch.is_mla)
    rule = msgspec.structs.replace(rule, block_tokens=MLA_BLOCK_TOKENS if arch.is_mla else BLOCK_TOKENS)
    # `auto` makes 16 bit of a checkpoint in 32 (vLLM `_resolve_auto_dtype`).
    plain = 4 if settings.weight_dtype == "float32" else 2
    each = CACHE_BYTES.get(settings.kv_cache_dtype, plain)
    layers = tuple(range(arch.layers))
    return rule, layout(arch, layers, 1, each, rule.block_tokens, hybrid=rule.hybrid_groups)
