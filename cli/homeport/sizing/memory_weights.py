"""Bytes of weights on each pipeline rank's GPUs: sharded, replicated, quantised, padded, and as torch allocates them."""

import re
from fnmatch import fnmatchcase
from functools import lru_cache

import msgspec

from homeport.catalog.architecture import Architecture, Quantization, Weight
from homeport.catalog.architecture_quantization import by_name
from homeport.sizing.memory_constants import LARGE_ALLOCATION, LARGE_ROUNDING, UNSPLIT_REST

DTYPE_BYTES = {
    "float32": 4,
    "float16": 2,
    "bfloat16": 2,
    "float64": 8,
    "int8": 1,
    "fp8": 1,
    "float8_e4m3fn": 1,
}
VOCAB_PADDING = 64  # vLLM's DEFAULT_VOCAB_PADDING_SIZE; SGLang takes it over
MXFP4_PADDING = 256  # vLLM and SGLang pad the experts' width for the MXFP4 kernels (mxfp4.py)

# Weights that engines keep in one tensor.
_FUSED = {
    "self_attn.q_proj": "self_attn.qkv_proj",
    "self_attn.k_proj": "self_attn.qkv_proj",
    "self_attn.v_proj": "self_attn.qkv_proj",
    "mlp.gate_proj": "mlp.gate_up_proj",
    "mlp.up_proj": "mlp.gate_up_proj",
    "mlp.shared_experts.gate_proj": "mlp.shared_experts.gate_up_proj",
    "mlp.shared_experts.up_proj": "mlp.shared_experts.gate_up_proj",
    "self_attn.q_a_proj": "self_attn.fused_qkv_a_proj",
}


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of one GPU, by pipeline rank; `scale` is what the checkpoint's stated size adds or takes away (1: nothing).

    `layers_of` are the layers of each rank. `loaded_bytes` is what a checkpoint that is quantised on load takes before
    that. `parts` are the fullest rank's bytes by group, for explanations.
    """

    ranks: tuple[int, ...]
    layers_of: tuple[tuple[int, ...], ...]
    loaded_bytes: int
    scale: float
    quantization: Quantization | None
    on_load: bool
    parts: tuple[tuple[str, int], ...]


def pipeline_layers(layers: int, stages: int) -> tuple[tuple[int, ...], ...]:
    """The layers of each pipeline stage; a rest goes to the stages before the last (vLLM `get_pp_indices`)."""
    sizes = [layers // stages] * stages
    for i in range(2, layers % stages + 2):
        sizes[-i] += 1
    starts = [sum(sizes[:i]) for i in range(stages)]
    return tuple(tuple(range(start, start + size)) for start, size in zip(starts, sizes, strict=True))


def quantization_in_use(arch: Architecture, named: str | None) -> tuple[Quantization | None, bool]:
    """The checkpoint's own quantisation, or the one that is applied on load (then True)."""
    if arch.quantization is not None or not named:
        return arch.quantization, False
    return by_name(named), True


def is_quantised(weight: Weight, layer: int, quant: Quantization | None) -> bool:
    """Whether this weight of this layer is stored quantised."""
    if quant is None or not weight.linear:
        return False
    if quant.only and weight.group not in quant.only:
        return False
    full = weight.name if weight.group == "vision" else f"model.layers.{layer}.{weight.name}"
    if quant.targets and not any(_matches(pattern, full) for pattern in quant.targets):
        return False
    return not any(_matches(pattern, full) for pattern in quant.ignored)


@lru_cache(maxsize=8192)
def _matches(pattern: str, name: str) -> bool:
    if pattern.startswith("re:"):
        return (
            re.match(pattern[3:], name) is not None
            or re.match(pattern[3:], f"language_model.{name}") is not None
        )
    if "*" in pattern:
        return (
            fnmatchcase(name, pattern)
            or fnmatchcase(name, f"*{pattern}")
            or fnmatchcase(name, f"{pattern}.*")
        )
    bare = pattern.removeprefix("language_model.")
    return (
        name == bare or name.startswith(f"{bare}.") or name.endswith(f".{bare}") or f".{bare}." in f".{name}."
    )


def shard(weight: Weight, size: int) -> tuple[int, int, int]:
    """Inputs, outputs and bias of one GPU's part."""
    inputs, outputs, bias = weight.inputs, weight.outputs, weight.bias
    if size > 1:
        if weight.shard == "column":
            outputs, bias = -(-outputs // size), -(-bias // size)
        elif weight.shard == "row":
            inputs = -(-inputs // size)
        elif weight.shard == "kv":
            heads = max(1, -(-weight.units // size))
            outputs, bias = outputs // weight.units * heads, bias // weight.units * heads
    if weight.shard == "vocab":
        padded = -(-outputs // VOCAB_PADDING) * VOCAB_PADDING
        outputs, bias = -(-padded // size), -(-bias // size)
    return inputs, outputs, bias


def _sizes(
    weight: Weight, size: int, quant: Quantization | None, each: int, *, loaded: bool, rocm: bool = False
) -> tuple[int, int]:
    """Bytes of one GPU's part of a weight, and of its scales and bias; `loaded` with what an engine pads."""
    inputs, outputs, bias = shard(weight, size)
    elements = inputs * outputs
    if quant is None:
        return weight.copies * elements * each, weight.copies * bias * each
    scale = quant.scale_bits / 8
    packed = elements * quant.bits / 8
    if quant.block:
        scales = -(-inputs // quant.block[0]) * -(-outputs // quant.block[1]) * scale
    elif quant.group_size > 0:
        groups = -(-inputs // quant.group_size) * outputs
        scales = groups * (scale + (quant.bits / 8 if quant.zero_point else 0))
    elif quant.group_size == 0:
        scales = outputs * scale
    else:
        scales = scale
    if loaded and quant.method == "mxfp4" and weight.group == "experts":
        width = inputs if weight.shard == "row" else outputs // 2
        packed *= -(-width // MXFP4_PADDING) * MXFP4_PADDING / max(1, width)
    if loaded and rocm and quant.method in ("quark", "fp8") and quant.bits == 8 and inputs % 512 == 0:
        # vLLM pads 8-bit rows on ROCm by 256 bytes (VLLM_ROCM_FP8_PADDING, on by default).
        packed += outputs * 256
    return round(weight.copies * packed), round(weight.copies * (scales + bias * each))


def _allocated(size: int) -> int:
    """What torch's allocator takes for a tensor of `size` bytes."""
    if size <= LARGE_ALLOCATION:
        return -(-size // 512) * 512
    rounded = -(-size // LARGE_ROUNDING) * LARGE_ROUNDING
    return rounded if rounded - size <= UNSPLIT_REST else size


def _tensors(
    weights: tuple[Weight, ...], size: int, layer: int, quant: Quantization | None, each: int, rocm: bool
) -> dict[str, int]:
    """Allocated bytes by tensor of one layer, fused as engines fuse them."""
    fused: dict[str, int] = {}
    beside: dict[str, int] = {}
    for weight in weights:
        key = _FUSED.get(weight.name, weight.name)
        used = quant if is_quantised(weight, layer, quant) else None
        main, rest = _sizes(weight, size, used, each, loaded=True, rocm=rocm)
        fused[key] = fused.get(key, 0) + main
        beside[key] = beside.get(key, 0) + rest
    return {key: _allocated(value) + _allocated(beside[key]) for key, value in fused.items()}


def _stored(arch: Architecture, quant: Quantization | None, each: int) -> int:
    """Bytes of the checkpoint as the architecture makes them."""
    total = 0
    for i, index in enumerate(arch.layer_order):
        for weight in arch.layer_kinds[index].weights:
            used = quant if is_quantised(weight, i, quant) else None
            total += sum(_sizes(weight, 1, used, each, loaded=False))
    for weight in arch.outside:
        total += weight.params * each
    if arch.vision:
        for count, weight in arch.vision.weights:
            used = quant if is_quantised(weight, 0, quant) else None
            total += count * sum(_sizes(weight, 1, used, each, loaded=False))
    return total


def _stated_scale(arch: Architecture) -> float:
    """What the checkpoint's stated size says about parts that the config doesn't describe, as a factor.

    Copies that engines don't load are left out: multi-token prediction, a stored lm_head of tied embeddings.
    """
    if not arch.weight_bytes:
        return 1.0
    each = DTYPE_BYTES.get(arch.dtype, 2)
    computed = _stored(arch, arch.quantization, each)
    rest = arch.weight_bytes - computed
    share = rest / computed
    if abs(share) < 0.0005 or abs(share) > 0.2:
        return 1.0
    mtp = arch.params.mtp * each
    if mtp and abs(rest - mtp) < 0.3 * mtp:
        return 1.0
    if (
        arch.tied_embeddings
        and abs(rest - arch.params.embedding * each) < 0.01 * arch.params.embedding * each
    ):
        return 1.0
    return arch.weight_bytes / computed


@lru_cache(maxsize=4096)
def weights(
    arch: Architecture,
    tensor: int,
    pipeline: int,
    dtype: str,
    named: str | None,
    engine: str,
    rocm: bool = False,
) -> Weights:
    """The weights of one GPU of each pipeline rank; `dtype` and `named` as in a case's weight_dtype and quantization."""
    quant, on_load = quantization_in_use(arch, named)
    kept = arch.dtype if dtype == "auto" else dtype
    each = DTYPE_BYTES.get(kept, 2)
    scale = _stated_scale(arch)
    stages = pipeline_layers(arch.layers, pipeline)
    by_layer: dict[tuple[int, tuple[bool, ...]], dict[str, int]] = {}
    ranks: list[int] = []
    details: list[dict[str, int]] = []
    layer_dependent = quant is not None and any(
        any(c.isdigit() for c in p) or p.startswith("re:") for p in quant.ignored
    )
    for stage, layers in enumerate(stages):
        parts: dict[str, int] = {}
        for i in layers:
            index = arch.layer_order[i]
            kind = arch.layer_kinds[index]
            marks = tuple(is_quantised(w, i, quant) for w in kind.weights) if layer_dependent else ()
            key = (index, marks)
            if key not in by_layer:
                by_layer[key] = _layer_parts(arch, index, tensor, i, quant, each, engine, rocm)
            for group, size in by_layer[key].items():
                parts[group] = parts.get(group, 0) + size
        for group, size in _outside(arch, stage, len(stages), tensor, quant, each).items():
            parts[group] = parts.get(group, 0) + size
        rope = "rotary tables"
        total = sum(parts.values())
        if scale != 1.0:
            parts["not described by the config"] = round((total - parts.get(rope, 0)) * (scale - 1))
        ranks.append(sum(parts.values()))
        details.append(parts)
    fullest = max(range(len(ranks)), key=ranks.__getitem__)
    loaded = 0
    if on_load:
        loaded = weights(arch, tensor, pipeline, dtype, None, engine).ranks[fullest]
    return Weights(
        ranks=tuple(ranks),
        layers_of=stages,
        loaded_bytes=loaded,
        scale=scale,
        quantization=quant,
        on_load=on_load,
        parts=tuple(sorted(details[fullest].items(), key=lambda item: -item[1])),
    )


def _layer_parts(
    arch: Architecture,
    index: int,
    tensor: int,
    i: int,
    quant: Quantization | None,
    each: int,
    engine: str,
    rocm: bool,
) -> dict[str, int]:
    """One layer's bytes by group."""
    layer = arch.layer_kinds[index].weights
    groups = {_FUSED.get(w.name, w.name): w.group for w in layer}
    parts: dict[str, int] = {}
    for name, size in _tensors(layer, tensor, i, quant, each, rocm).items():
        parts[groups[name]] = parts.get(groups[name], 0) + size
    attention = arch.layer_kinds[index].attention
    if attention.latent_rank and engine in ("vllm", "sglang"):
        # The up-projections are kept a second time, transposed and in 16 bit, to be absorbed into the query
        # (vLLM MLACommonImpl.process_weights_after_loading: W_UV, W_UK_T).
        heads = -(-attention.heads // tensor)
        wide = attention.head_dim - attention.rope_dim + attention.v_head_dim
        parts["absorbed latent projections"] = heads * wide * attention.latent_rank * each
    return parts


def _outside(
    arch: Architecture, stage: int, stages: int, tensor: int, quant: Quantization | None, each: int
) -> dict[str, int]:
    """Embeddings and the tower on the first rank, the norm and lm_head on the last, rotary tables on every one."""
    parts = {"rotary tables": arch.rope_elements * each}
    for weight in arch.outside:
        first = weight.group == "embedding" or weight.name.startswith("per_layer")
        last = not first or (arch.tied_embeddings and weight.name == "embed_tokens")
        if (first and stage == 0) or (last and stage == stages - 1):
            size = _allocated(sum(_sizes(weight, tensor, None, each, loaded=True)))
            parts[weight.group] = parts.get(weight.group, 0) + size
    if arch.vision and stage == 0:
        size = tensor if arch.vision.heads % tensor == 0 else 1
        for count, weight in arch.vision.weights:
            used = quant if is_quantised(weight, 0, quant) else None
            taken = sum(_allocated(part) for part in _sizes(weight, size, used, each, loaded=True))
            parts["vision"] = parts.get("vision", 0) + count * taken
    return parts
