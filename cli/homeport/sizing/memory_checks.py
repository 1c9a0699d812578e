"""What an engine refuses whatever the memory: sizes that don't divide, formats and dtypes that a card doesn't compute."""

from functools import lru_cache

from homeport.catalog.architecture import Architecture, Quantization
from homeport.catalog.types import Gpu
from homeport.sizing.memory_weights import quantization_in_use
from homeport.sizing.types import Settings

# Least compute capability of a format in vLLM (each method's get_min_capability; FP8 and FP4 by Marlin kernels).
_LEAST_CAPABILITY = {
    "fp8": 8.0,
    "fbgemm_fp8": 8.0,
    "fp8_block": 8.0,
    "mxfp4": 8.0,
    "nvfp4": 7.5,
    "awq": 7.5,
    "gptq": 6.0,
    "bitsandbytes": 7.0,
}


def valid_tensor_parallel_sizes(
    arch: Architecture, engine: str = "vllm", quantization: str | None = None
) -> tuple[int, ...]:
    """Tensor parallel sizes up to 16 that divide the model, ascending; 1 is always among them.

    `quantization` is what the weights are quantised to on load; blocks and groups must divide too.
    """
    quant, _ = quantization_in_use(arch, quantization)
    return tuple(size for size in range(1, 17) if tensor_parallel_problem(arch, size, quant, engine) is None)


def valid_pipeline_parallel_sizes(arch: Architecture, engine: str = "vllm") -> tuple[int, ...]:
    """Pipeline parallel sizes up to 16 that give every stage a layer; TGI has no pipeline parallelism."""
    return (1,) if engine == "tgi" else tuple(range(1, min(16, arch.layers) + 1))


@lru_cache(maxsize=4096)
def tensor_parallel_problem(
    arch: Architecture, size: int, quant: Quantization | None, engine: str = "vllm"
) -> str | None:
    """Why the model can't be divided by `size`, in a sentence; None when it can."""
    if size == 1:
        return None
    for kind in arch.layer_kinds:
        attention = kind.attention
        if attention.kind in ("full", "sliding", "chunked"):
            if attention.heads % size:
                return f"{attention.heads} attention heads are not divisible by tensor parallel size {size}"
            kv = attention.kv_heads
            if engine == "tgi" and not attention.latent_rank and kv % size:
                # TGI gives each shard num_key_value_heads // shards heads and repeats none (flash_llama_modeling.py).
                return f"{kv} KV heads are not divisible by {size} shards"
            if not attention.latent_rank and kv % size and size % kv:
                return f"{kv} KV heads neither divide nor are divided by tensor parallel size {size}"
        elif attention.state_heads and attention.state_heads % size:
            return f"{attention.state_heads} state heads are not divisible by tensor parallel size {size}"
        for weight in kind.weights:
            outputs = weight.outputs // 2 if weight.name.endswith("gate_up_proj") else weight.outputs
            if weight.shard == "column" and weight.group in ("dense_mlp", "experts", "shared_experts"):
                if outputs % size:
                    return f"a width of {outputs} ({weight.name}) is not divisible by tensor parallel size {size}"
                if quant and quant.block and outputs // size % quant.block[1] and weight.linear:
                    return (
                        f"{outputs // size} outputs a GPU ({weight.name}) are not divisible by the quantisation's "
                        f"block of {quant.block[1]} at tensor parallel size {size}"
                    )
            grouped = quant is not None and quant.method in ("awq", "gptq") and quant.group_size > 1
            if (
                quant
                and grouped
                and weight.shard == "row"
                and weight.linear
                and weight.inputs // size % quant.group_size
            ):
                return (
                    f"{weight.inputs // size} inputs a GPU ({weight.name}) are not divisible by the quantisation's "
                    f"group of {quant.group_size} at tensor parallel size {size}"
                )
    return None


def refusal(arch: Architecture, gpu: Gpu, settings: Settings) -> str | None:
    """The reason why the engine wouldn't start whatever the memory; None when there is none."""
    quant, _ = quantization_in_use(arch, settings.quantization)
    if settings.tensor_parallel_size < 1 or settings.pipeline_parallel_size < 1:
        return "parallel sizes start at 1"
    problem = tensor_parallel_problem(arch, settings.tensor_parallel_size, quant, settings.engine)
    if problem:
        return problem
    if settings.pipeline_parallel_size > arch.layers:
        return f"{arch.layers} layers can't be divided into {settings.pipeline_parallel_size} pipeline stages"
    if settings.engine == "tgi" and settings.pipeline_parallel_size > 1:
        return "TGI has no pipeline parallelism"
    capability = float(gpu.compute_capability) if gpu.compute_capability else None
    if capability is not None:
        if settings.weight_dtype == "bfloat16" and capability < 8.0:
            return f"{gpu.id} (compute capability {gpu.compute_capability}) has no bfloat16"
        least = _LEAST_CAPABILITY.get(quant.method if quant else "", 0.0)
        if quant and capability < least:
            return f"{quant.method} needs compute capability {least:g}; {gpu.id} has {gpu.compute_capability}"
    length = settings.max_model_len
    if length and arch.context_tokens and length > arch.context_tokens and settings.engine == "vllm":
        return f"max_model_len {length} is above the model's own limit of {arch.context_tokens} tokens"
    return None
