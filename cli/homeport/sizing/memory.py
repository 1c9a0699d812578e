"""What one GPU of a replica holds, and whether the engine comes up with these settings.

The budget is the engine's own: a fraction of the card's memory, less weights, less what profiling finds, is the KV
cache. docs/reference/accuracy.md says how close this comes to measured start-ups.
"""

from functools import lru_cache

import msgspec

from homeport.catalog.architecture import Architecture, Quantization
from homeport.catalog.types import Gpu
from homeport.sizing import memory_constants as const
from homeport.sizing.memory_activation import activation_gib, sampler_gib
from homeport.sizing.memory_checks import (
    refusal,
    tensor_parallel_problem,
    valid_pipeline_parallel_sizes,
    valid_tensor_parallel_sizes,
)
from homeport.sizing.memory_constants import FITTED, GIB, Fitted
from homeport.sizing.memory_engines import Rules, large_gpu, rules, usable_gib
from homeport.sizing.memory_explain import explain_memory
from homeport.sizing.memory_kv import CACHE_BYTES, Layout, capacity, layout
from homeport.sizing.memory_weights import DTYPE_BYTES, weights
from homeport.sizing.types import Memory, Settings

__all__ = [
    "Budget",
    "Rank",
    "budget",
    "explain_memory",
    "largest_max_model_len",
    "size",
    "tensor_parallel_problem",
    "tightest",
    "usable_gib",
    "valid_pipeline_parallel_sizes",
    "valid_tensor_parallel_sizes",
]


class Rank(msgspec.Struct, frozen=True, kw_only=True):
    """One pipeline rank's budget on one GPU, GiB. `cause` is what the activation's peak comes from."""

    weights_gib: float
    quantization: Quantization | None
    activation_gib: float
    cause: str
    sampler_gib: float
    non_torch_gib: float
    cuda_graph_gib: float
    lora_gib: float
    kv_cache_gib: float
    layout: Layout


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """All that doesn't depend on whether it fits: the rules, the card's memory, and each rank."""

    rules: Rules
    usable_gib: float
    budget_gib: float
    context_gib: float
    loaded_gib: float
    ranks: tuple[Rank, ...]
    notes: tuple[str, ...]


def _switched(gpu: Gpu) -> bool:
    """Whether GPUs talk over an NVLink switch that NCCL keeps buffers for (Hopper and Blackwell servers)."""
    return gpu.vendor == "NVIDIA" and (gpu.link_gb_s_per_direction or 0) >= const.SWITCH_LINK_GB_S


def non_torch_gib(arch: Architecture, gpu: Gpu, rule: Rules, settings: Settings, fitted: Fitted) -> float:
    """Memory outside of torch's allocator that the engine's profiling counts."""
    tensor = settings.tensor_parallel_size
    if rule.engine == "vllm" and rule.v0:
        if rule.version < (0, 4):
            return 0.0  # 0.2 counted torch's peak only
        if gpu.architecture == "Hopper":
            return const.NON_TORCH_V0_HOPPER_GIB * (2 if tensor > 1 else 1)
        if rule.version < (0, 6) or (rule.version == (0, 6) and rule.patch <= 4):
            return const.NON_TORCH_V0_WITH_CONTEXT_GIB
        return const.NON_TORCH_V0_TENSOR_PARALLEL_GIB if tensor > 1 else const.NON_TORCH_V0_GIB
    if rule.engine == "vllm" and rule.version < (0, 14):
        return const.NON_TORCH_EARLY_V1_TENSOR_PARALLEL_GIB if tensor > 1 else const.NON_TORCH_EARLY_V1_GIB
    odd = fitted.non_torch_odd_vocab_gib if arch.vocab_size % 4 else 0.0
    if tensor > 1 and not _switched(gpu):
        return odd + fitted.non_torch_gib + const.NON_TORCH_NO_SWITCH_GIB
    if tensor > 1:
        return (
            odd
            + fitted.non_torch_tensor_parallel_gib
            + fitted.non_torch_doubling_gib * (tensor.bit_length() - 2)
        )
    return odd + (
        fitted.non_torch_pipeline_gib if settings.pipeline_parallel_size > 1 else fitted.non_torch_gib
    )


def lora_gib(arch: Architecture, layers: tuple[int, ...], settings: Settings) -> float:
    """Slots for adapters: two matrices of the rank beside every linear weight, in 16 bit (vLLM's stacked LoRA tensors)."""
    if not settings.adapters:
        return 0.0
    rank, tensor = settings.adapter_rank or 16, settings.tensor_parallel_size
    elements = 0.0
    for i in layers:
        for weight in arch.layer_kinds[arch.layer_order[i]].weights:
            if weight.linear and weight.group != "experts":
                outputs = weight.outputs if weight.shard in ("row", "replicated") else weight.outputs / tensor
                inputs = weight.inputs / tensor if weight.shard == "row" else weight.inputs
                elements += inputs + outputs
    return settings.adapters * rank * elements * 2 / GIB


def _kv_bytes(arch: Architecture, rule: Rules, settings: Settings, each: int) -> int:
    """Bytes of an element of the cache: the flag, else what the checkpoint's scales ask for, else the weights' dtype.

    vLLM follows a checkpoint's scheme since 0.12 (`Attention.__init__`: kv_cache_scheme), TensorRT-LLM always.
    """
    if settings.kv_cache_dtype != "auto":
        return CACHE_BYTES.get(settings.kv_cache_dtype, each)
    follows = rule.engine == "trtllm" or (rule.engine == "vllm" and rule.version >= (0, 12))
    quant = arch.quantization
    return 1 if follows and quant and quant.kv_cache == "fp8" and quant.method != "quark" else each


@lru_cache(maxsize=8192)
def budget(arch: Architecture, gpu: Gpu, settings: Settings, fitted: Fitted = FITTED) -> Budget:
    """Each rank's memory with these settings; parallel sizes must divide the model."""
    context = arch.context_tokens or const.UNKNOWN_CONTEXT_TOKENS
    rule = rules(settings, gpu, context, images=arch.vision is not None, mla=arch.is_mla)
    usable, note = usable_gib(gpu)
    notes = [note] if note else []
    if not arch.context_tokens and settings.max_model_len is None:
        notes.append(f"the config states no context: {context} tokens assumed")
    tensor, pipeline = settings.tensor_parallel_size, settings.pipeline_parallel_size
    dtype = settings.weight_dtype
    if (
        dtype == "auto"
        and arch.dtype == "bfloat16"
        and gpu.compute_capability
        and float(gpu.compute_capability) < 8.0
    ):
        dtype = "float16"
        notes.append(f"{gpu.id} has no bfloat16: float16 is taken")
    each = DTYPE_BYTES.get(arch.dtype if dtype == "auto" else dtype, 2)
    loaded = weights(arch, tensor, pipeline, dtype, settings.quantization, rule.engine, gpu.vendor == "AMD")
    held = const.CONTEXT_GIB if large_gpu(gpu) or "A100" in gpu.id else const.CONTEXT_SMALL_GPU_GIB
    if tensor * pipeline > 1:
        held = const.CONTEXT_PARALLEL_GIB if _switched(gpu) else held + const.NON_TORCH_NO_SWITCH_GIB
    outside = non_torch_gib(arch, gpu, rule, settings, fitted)
    fraction = rule.utilization * usable
    ranks = []
    for stage, layers in enumerate(loaded.layers_of):
        last = stage == pipeline - 1
        peak, cause = activation_gib(
            arch, rule, tensor, each, loaded.quantization, fitted, first=stage == 0, last=last
        )
        captured = rule.graphs / const.CUDA_GRAPH_DEFAULT_COUNT
        graphs = (fitted.cuda_graph_base_gib + fitted.cuda_graph_layer_gib * len(layers)) * captured
        if rule.v0:
            graphs = const.CUDA_GRAPH_V0_GIB
        lora = lora_gib(arch, layers, settings)
        taken = loaded.ranks[stage] / GIB + lora
        if rule.engine == "vllm":
            cache = fraction - taken - peak - outside - (graphs if rule.graphs_subtracted else 0)
        elif rule.engine == "sglang":
            cache = rule.utilization * (usable - held) - taken
        elif rule.engine == "trtllm":
            cache = rule.utilization * (usable - held - taken - peak)
        else:
            cache = fraction * const.TGI_WIGGLE_ROOM - held - taken - peak
        kv = layout(
            arch,
            layers,
            tensor,
            _kv_bytes(arch, rule, settings, each),
            rule.block_tokens,
            hybrid=rule.hybrid_groups,
        )
        ranks.append(
            Rank(
                weights_gib=taken - lora,
                quantization=loaded.quantization,
                activation_gib=peak,
                cause=cause,
                sampler_gib=sampler_gib(arch, rule, each, fitted) if last else 0.0,
                non_torch_gib=outside,
                cuda_graph_gib=graphs,
                lora_gib=lora,
                kv_cache_gib=cache,
                layout=kv,
            )
        )
    if settings.quantization and loaded.quantization is None:
        notes.append(f"quantization {settings.quantization} is not known: weights counted as not quantised")
    if loaded.scale != 1.0:
        notes.append(f"weights scaled by {loaded.scale:.4f} to the checkpoint's stated bytes")
    return Budget(
        rules=rule,
        usable_gib=usable,
        budget_gib=fraction,
        context_gib=held,
        loaded_gib=loaded.loaded_bytes / GIB,
        ranks=tuple(ranks),
        notes=tuple(notes),
    )


def _blocks(rank: Rank) -> int:
    return int(rank.kv_cache_gib * GIB // rank.layout.block_bytes) if rank.layout.block_bytes else 0


def tightest(ranks: tuple[Rank, ...]) -> Rank:
    """The rank that decides how many blocks the whole replica has."""
    return min(
        ranks, key=lambda rank: (_blocks(rank) if rank.layout.block_bytes else 1 << 60, rank.kv_cache_gib)
    )


@lru_cache(maxsize=8192)
def size(arch: Architecture, gpu: Gpu, settings: Settings, fitted: Fitted = FITTED) -> Memory:
    """What one GPU holds, the KV cache's tokens, and whether the engine comes up with exactly these settings.

    `fitted` replaces the figures that were fitted to measurements. The engine `cpu` is answered for its pod.
    """
    if settings.engine == "cpu":
        from homeport.sizing import memory_cpu

        if gpu.kind != "cpu":
            return _nothing(f"the engine cpu has no kernels for a {gpu.id}: its GPU is called CPU", 0.0, 0)
        return memory_cpu.size(arch, gpu, settings)
    usable, unknown = usable_gib(gpu)
    why = refusal(arch, gpu, settings) if usable else unknown
    length = settings.max_model_len or arch.context_tokens or const.UNKNOWN_CONTEXT_TOKENS
    shapeless = (
        not usable
        or settings.tensor_parallel_size < 1
        or not 1 <= settings.pipeline_parallel_size <= arch.layers
        or tensor_parallel_problem(arch, settings.tensor_parallel_size, None) is not None
    )
    if why and shapeless:
        return _nothing(why, usable, length)
    made = budget(arch, gpu, settings, fitted)
    rank = tightest(made.ranks)
    blocks = max(0, _blocks(rank))
    needed = rank.layout.blocks_of_request(length, made.rules)
    tokens = capacity(rank.layout, blocks, made.rules)
    per_token = needed * rank.layout.block_bytes / length
    verdict, short = _verdict(made, rank, needed, length)
    if why:
        verdict, short = why, None
    cache = max(0.0, rank.kv_cache_gib)
    return Memory(
        fits=verdict is None,
        reason=verdict or _fits_sentence(made, rank, tokens, length),
        total_gib=rank.weights_gib
        + rank.lora_gib
        + rank.activation_gib
        + rank.non_torch_gib
        + rank.cuda_graph_gib
        + cache,
        usable_gib=made.usable_gib,
        weights_gib=rank.weights_gib,
        activation_gib=rank.activation_gib,
        non_torch_gib=rank.non_torch_gib,
        cuda_graph_gib=rank.cuda_graph_gib,
        adapters_gib=rank.lora_gib,
        kv_cache_gib=cache,
        kv_cache_tokens=tokens,
        kv_bytes_per_token=per_token,
        max_concurrency=tokens / length,
        max_model_len=length,
        short_gib=short,
        notes=made.notes,
    )


def _nothing(reason: str, usable: float, length: int) -> Memory:
    """The answer where not even weights can be counted."""
    return Memory(
        fits=False,
        reason=reason,
        total_gib=0.0,
        usable_gib=usable,
        weights_gib=0.0,
        activation_gib=0.0,
        non_torch_gib=0.0,
        cuda_graph_gib=0.0,
        kv_cache_gib=0.0,
        kv_cache_tokens=0,
        kv_bytes_per_token=0.0,
        max_concurrency=0.0,
        max_model_len=length,
    )


def _verdict(made: Budget, rank: Rank, needed: int, length: int) -> tuple[str | None, float | None]:
    """Why it doesn't fit and by how many GiB a GPU is short; (None, None) when it fits."""
    rule = made.rules
    request = needed * rank.layout.block_bytes / GIB
    taken = rank.weights_gib + rank.lora_gib
    lacking = request - rank.kv_cache_gib
    if rule.engine == "trtllm":
        lacking /= rule.utilization
    room = made.usable_gib - made.context_gib
    if max(taken, made.loaded_gib if _loads_whole(rule) else 0.0) > room:
        heavy = max(taken, made.loaded_gib if _loads_whole(rule) else 0.0)
        return (
            f"weights of {heavy:.2f} GiB do not fit into the {room:.2f} GiB free on one GPU",
            max(lacking, heavy - room),
        )
    if rank.kv_cache_gib <= 0:
        return (
            f"no room for a KV cache: weights {taken:.2f}, activation {rank.activation_gib:.2f} and other "
            f"{rank.non_torch_gib:.2f} GiB leave {rank.kv_cache_gib:.2f} of {made.budget_gib:.2f} GiB",
            lacking,
        )
    if lacking > 0:
        return (
            f"one request of {length} tokens needs {request:.2f} GiB of KV cache, {rank.kv_cache_gib:.2f} GiB are left",
            lacking,
        )
    if rule.engine == "vllm" and not rule.v0:
        if made.budget_gib > room:
            return (
                f"{room:.2f} GiB are free when the engine starts, less than the {made.budget_gib:.2f} GiB asked for by "
                f"gpu_memory_utilization {rule.utilization:g}",
                None,
            )
        # The cache is allocated; activations' memory is free again, graphs are captured, and the sampler warms up.
        graphs = 0.0 if rule.graphs_subtracted else rank.cuda_graph_gib
        left = room - made.budget_gib + rank.activation_gib - graphs - const.WARM_UP_REST_GIB
        if left < rank.sampler_gib:
            return (
                f"the sampler's warm-up with {rule.requests} requests needs {rank.sampler_gib:.2f} GiB, "
                f"{left:.2f} GiB are left after the KV cache and CUDA graphs",
                rank.sampler_gib - left,
            )
    elif rule.engine == "vllm":
        # The older engine only captures its graphs; where much lies outside of torch, that is the context.
        context = 0.0 if rank.non_torch_gib >= const.NON_TORCH_V0_WITH_CONTEXT_GIB else made.context_gib
        left = made.usable_gib - context - made.budget_gib + rank.activation_gib
        if left < rank.cuda_graph_gib:
            return (
                f"CUDA graphs need {rank.cuda_graph_gib:.2f} GiB, {left:.2f} GiB are left beside the KV cache",
                rank.cuda_graph_gib - left,
            )
    return None, None


def _loads_whole(rule: Rules) -> bool:
    """Whether weights that are quantised on load lie unquantised on the GPU first (vLLM before 0.15)."""
    return rule.engine == "vllm" and rule.version < (0, 15)


def _fits_sentence(made: Budget, rank: Rank, tokens: int, length: int) -> str:
    return (
        f"{rank.kv_cache_gib:.2f} of {made.budget_gib:.2f} GiB are left for the KV cache: {tokens} tokens, "
        f"{tokens / length:.2f} requests of {length}"
    )


def largest_max_model_len(arch: Architecture, gpu: Gpu, settings: Settings) -> int:
    """The longest max_model_len with which the engine comes up, tokens; 0 when none does. `settings.max_model_len` is ignored."""
    limit = arch.context_tokens or (settings.max_model_len or const.UNKNOWN_CONTEXT_TOKENS)

    def fits(tokens: int) -> bool:
        return size(arch, gpu, msgspec.structs.replace(settings, max_model_len=tokens)).fits

    if fits(limit):
        return limit
    low, high = 0, limit  # low fits (0: trivially), high doesn't
    while high - low > 1:
        middle = (low + high) // 2
        if fits(middle):
            low = middle
        else:
            high = middle
    return low
