"""What one step costs at the roofline: seconds of reading, computing and sending, before any efficiency.

Everything is per GPU of a replica, from the model's architecture, the GPU's data sheet and the settings; no figure here
is fitted. The formulas of `throughput_formulas` divide these by fitted efficiencies.
"""

import functools
import math

import msgspec

from homeport.catalog.architecture import Architecture, Attention, Quantization
from homeport.catalog.architecture_quantization import by_name
from homeport.catalog.types import Gpu
from homeport.sizing.types import Settings

# Assumed where a data sheet is silent: PCIe 4.0 x16 in one direction, and a 100 Gbit/s network between nodes.
PCIE_GB_S = 32.0
NETWORK_GB_S = 12.5
# And of a row without figures (`CPU`: they are the node's): a server's memory channels and vector units.
ASSUMED_BANDWIDTH_GB_S = 100.0
ASSUMED_TFLOPS = 1.0
# DeepSeek's sparse attention reads at most this many tokens a query (index_topk of its config).
SPARSE_TOKENS = 2048.0
# The share of memory an engine takes by default, and what stays outside weights and KV cache (activation, context).
MEMORY_SHARE = {"vllm": 0.90, "sglang": 0.87, "trtllm": 0.90, "tgi": 0.92}
OUTSIDE_GIB = 3.0


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """Roofline seconds on one GPU. "read" is memory traffic, "math" is floating-point work, "send" is all-reduce of a
    prompt (each GPU passes its share on, twice), "exchange" that of a decode step (each GPU reads all others' sums).

    `expert_share` is the share of the routed experts that one token visits (0: none are routed). `window_*` are the
    layers that look back a limited number of tokens. `hops` are the all-reduces of one step; `kv_bytes_token` and
    `window_bytes_token` are what one GPU stores of a token, `kv_budget_bytes` what it has for them.
    """

    dense_read_s: float
    head_read_s: float
    experts_read_s: float
    dense_math_s: float
    head_math_s: float
    experts_math_s: float
    expert_share: float
    kv_read_s: float
    index_read_s: float
    window_read_s: float
    window_tokens: float
    sparse_tokens: float
    state_read_s: float
    decode_attention_s: float
    prefill_attention_s: float
    window_attention_s: float
    hops: float
    send_s: float
    exchange_s: float
    layers: float
    moe_layers: float
    latent_layers: float
    stages: float
    kv_bytes_token: float
    window_bytes_token: float
    kv_budget_bytes: float
    precision: str
    over_link: bool


def precision_of(arch: Architecture, settings: Settings) -> Quantization | None:
    """How the weights are held while serving: the settings' name for it, else the checkpoint's own."""
    if settings.quantization is None:
        return arch.quantization
    own = arch.quantization
    named = by_name(settings.quantization)
    if own is not None and (
        named is None or (named.bits == own.bits and named.activation_bits == own.activation_bits)
    ):
        return own
    return named


def _tflops(gpu: Gpu, quantization: Quantization | None, dtype: str) -> tuple[float, str]:
    """Dense TFLOPS of the matrix work, and its precision: 16, 8, "8 block", 4, "weights" (dequantised to 16 bit)."""
    half = gpu.dense_bf16_tflops or gpu.dense_fp16_tflops or ASSUMED_TFLOPS
    if quantization is None:
        return (half / 2, "16") if dtype == "float32" else (half, "16")
    if quantization.activation_bits == 4 and gpu.dense_fp4_tflops:
        return gpu.dense_fp4_tflops, "4"
    integer = quantization.method in ("smoothquant", "compressed-tensors", "compressed_tensors")
    eight = max(gpu.dense_fp8_tflops or 0.0, (gpu.dense_int8_tops or 0.0) if integer else 0.0)
    if quantization.activation_bits == 8 and eight:
        return eight, "8" if quantization.block is None else "8 block"
    return half, "weights"


@functools.lru_cache(maxsize=256)
def _sums(arch: Architecture) -> tuple[tuple[str, bool, bool, int, int], ...]:
    """The layers' parameters by group, whether linear, whether divided by tensor parallelism: all and active ones."""
    found: dict[tuple[str, bool, bool], tuple[int, int]] = {}
    for kind, count in arch.kind_counts():
        for weight in kind.weights:
            key = (weight.group, weight.linear, weight.shard != "replicated")
            params, active = found.get(key, (0, 0))
            found[key] = (params + count * weight.params, active + count * weight.active_params)
    return tuple((*key, *value) for key, value in found.items())


@functools.lru_cache(maxsize=256)
def _kinds(arch: Architecture) -> tuple[tuple[Attention, int], ...]:
    return tuple((kind.attention, count) for kind, count in arch.kind_counts())


def _held_in(
    group: str, linear: bool, quantization: Quantization | None, arch: Architecture, half_bytes: float
) -> float:
    """Bytes of one element of a group of weights, its scales included."""
    if quantization is None or not linear or group in ("embedding", "lm_head", "router", "norms", "vision"):
        return half_bytes
    if quantization.only and group not in quantization.only:
        return half_bytes
    if group == "attention":
        # NVIDIA's FP4 checkpoints of latent-attention models keep the attention in 16 bit.
        if quantization.activation_bits == 4 and arch.is_mla:
            return half_bytes
        left_out = sum("attn" in name for name in quantization.ignored)
        if left_out >= arch.layers or any(
            "attn" in n and ("*" in n or "re:" in n) for n in quantization.ignored
        ):
            return half_bytes
    scaled = quantization.group_size
    if quantization.block is not None:
        scaled = quantization.block[0] * quantization.block[1]
    extra = 0.0
    if scaled > 0:
        extra = (quantization.scale_bits + (quantization.bits if quantization.zero_point else 0)) / scaled
    return (quantization.bits + extra) / 8


def kv_element_bytes(arch: Architecture, settings: Settings, quantization: Quantization | None) -> float:
    """Bytes of one element of the KV cache; `auto` is what the checkpoint says, else 16 bit.

    TensorRT-LLM's FP8 and FP4 checkpoints bring scales for an FP8 cache, which `auto` then uses (its 0.9 performance
    page: FP8 runs have an FP8 cache); latent attention stays in 16 bit there.
    """
    named = settings.kv_cache_dtype
    if named.startswith("fp8") or named == "int8":
        return 1.0
    if named == "auto":
        if quantization is not None and quantization.kv_cache == "fp8":
            return 1.0
        if (
            settings.engine == "trtllm"
            and quantization is not None
            and quantization.activation_bits in (4, 8)
            and not arch.is_mla
        ):
            return 1.0
    return 4.0 if settings.weight_dtype == "float32" and named == "auto" else 2.0


@functools.lru_cache(maxsize=4096)
def work(arch: Architecture, gpu: Gpu, settings: Settings) -> Work:
    """Count one GPU's work for a step of the replica described by `settings`.

    With pipeline stages every GPU of a stage does its layers for a share of the requests; a token still passes all
    layers, so seconds here are those of all stages and the formulas divide the requests by `stages`.
    """
    tensor, stages = max(1, settings.tensor_parallel_size), max(1, settings.pipeline_parallel_size)
    quantization = precision_of(arch, settings)
    dtype = arch.dtype if settings.weight_dtype == "auto" else settings.weight_dtype
    half = 4.0 if dtype == "float32" else 2.0
    tflops, precision = _tflops(gpu, quantization, dtype)
    half_flops = (gpu.dense_bf16_tflops or gpu.dense_fp16_tflops or ASSUMED_TFLOPS) * 1e12
    flops = tflops * 1e12
    bandwidth = (gpu.memory_bandwidth_gb_s or ASSUMED_BANDWIDTH_GB_S) * 1e9

    read = {"dense": 0.0, "experts": 0.0, "head": 0.0}
    math_s = {"dense": 0.0, "experts": 0.0, "head": 0.0}
    stored = 0.0
    for group, linear, divided, params, active in _sums(arch):
        name = "experts" if group == "experts" else "dense"
        each = _held_in(group, linear, quantization, arch, half)
        size = params * each / (tensor if divided else 1)
        stored += size
        read[name] += size
        if linear:
            rate = half_flops if quantization is not None and each == half else flops
            math_s[name] += 2 * active / (tensor if divided else 1) / rate
    for weight in arch.outside:
        size = weight.params * half / tensor
        stored += size
        if weight.group == "lm_head" or (weight.group == "embedding" and arch.tied_embeddings):
            read["head"] += size
            math_s["head"] += 2 * weight.params / tensor / half_flops

    element = kv_element_bytes(arch, settings, quantization)
    kv = window = index = window_sum = state = decode = prefill = window_prefill = 0.0
    sparse = math.inf
    for attention, count in _kinds(arch):
        if attention.state_elements:
            state += count * (attention.state_elements + attention.conv_elements) * 2 * 4.0 / tensor
        elements = attention.kv_elements(tensor)
        heads = max(1.0, attention.heads / tensor)
        pair = 2 * heads * (attention.head_dim + attention.v_head_dim)
        if attention.window_tokens:
            window += count * elements * element
            window_sum += count * attention.window_tokens
            window_prefill += count * pair
        elif attention.kind in ("full", "sliding", "chunked"):
            kv += count * elements * element
            prefill += count * pair
            index += count * attention.index_bytes
            if attention.index_bytes:
                sparse = SPARSE_TOKENS
            if attention.latent_rank:
                decode += count * 2 * heads * (2 * attention.latent_rank + attention.rope_dim)
    windowed = sum(n for k, n in _kinds(arch) if k.window_tokens)

    nodes = max(1, settings.nodes)
    across = tensor > max(1, tensor * stages // nodes)
    link = gpu.link_gb_s_per_direction
    gb_s = NETWORK_GB_S if across else (link or gpu.pcie_gb_s_per_direction or PCIE_GB_S)
    sent = 2 * arch.layers * 2 * (tensor - 1) / tensor * arch.hidden_size * 2.0
    return Work(
        dense_read_s=read["dense"] / bandwidth,
        head_read_s=read["head"] / bandwidth,
        experts_read_s=read["experts"] / bandwidth,
        dense_math_s=math_s["dense"],
        head_math_s=math_s["head"],
        experts_math_s=math_s["experts"],
        expert_share=arch.moe.per_token / arch.moe.experts if arch.moe else 0.0,
        kv_read_s=kv / bandwidth,
        index_read_s=index / bandwidth,
        window_read_s=window / bandwidth,
        window_tokens=window_sum / windowed if windowed else 1.0,
        sparse_tokens=sparse,
        state_read_s=state / bandwidth,
        decode_attention_s=decode / half_flops,
        prefill_attention_s=prefill / half_flops,
        window_attention_s=window_prefill / half_flops,
        hops=2.0 * arch.layers if tensor > 1 else 0.0,
        send_s=sent / (gb_s * 1e9),
        exchange_s=sent * tensor / 2 / (gb_s * 1e9),
        layers=float(arch.layers),
        moe_layers=float(arch.moe.moe_layers) if arch.moe else 0.0,
        latent_layers=float(sum(n for k, n in _kinds(arch) if k.latent_rank)),
        stages=float(stages),
        kv_bytes_token=(kv + index) / stages,
        window_bytes_token=window / stages,
        kv_budget_bytes=_kv_budget(gpu, settings, stored / stages),
        precision=precision,
        over_link=link is not None and not across,
    )


def _kv_budget(gpu: Gpu, settings: Settings, weights: float) -> float:
    """Bytes for the KV cache when the caller doesn't know the KV tokens: the engine's share less weights and 3 GiB."""
    usable = gpu.memory_gib_usable or (gpu.memory_gb_sold or 0.0) * 0.96e9 / 2**30
    share = settings.gpu_memory_utilization or MEMORY_SHARE.get(settings.engine, 0.90)
    total, outside = usable * 2**30, OUTSIDE_GIB * 2**30
    if settings.engine == "trtllm":
        budget = (total - weights - outside) * share
    else:
        budget = total * share - weights - outside
    return max(budget, 0.03 * total)
