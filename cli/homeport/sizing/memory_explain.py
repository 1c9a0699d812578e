"""The steps from a config to "it fits", each with its numbers filled in."""

from homeport.catalog.architecture import Architecture
from homeport.catalog.types import Gpu
from homeport.sizing.memory_constants import GIB
from homeport.sizing.memory_engines import Rules
from homeport.sizing.memory_weights import weights
from homeport.sizing.types import Settings, Term
from homeport.text import counted

_FITTED = "fitted to start-ups of vLLM 0.19.0 on H100 (sizing/memory_constants.py)"


def explain_memory(arch: Architecture, gpu: Gpu, settings: Settings) -> list[Term]:
    """Every step of `size`, in order; a single sentence where the model can't be divided."""
    from homeport.sizing.memory import budget, size, tightest, usable_gib

    if settings.engine == "cpu" and gpu.kind == "cpu":
        from homeport.sizing import memory_cpu

        return memory_cpu.explain(arch, gpu, settings)
    memory = size(arch, gpu, settings)
    usable, note = usable_gib(gpu)
    terms = [_term("usable memory", f"what an engine sees on {gpu.id}", usable, "GiB", note or gpu.source)]
    if not memory.weights_gib:
        return [*terms, _term("fits", memory.reason, 0, "", "the engine's own checks")]
    made = budget(arch, gpu, settings)
    rank, rule = tightest(made.ranks), made.rules
    terms.append(
        _term(
            "budget",
            _budget_formula(rule, usable),
            made.budget_gib,
            "GiB",
            f"the engine's memory fraction, {settings.engine}",
        )
    )
    loaded = weights(
        arch, settings.tensor_parallel_size, settings.pipeline_parallel_size, settings.weight_dtype, settings.quantization,
        settings.engine, gpu.vendor == "AMD",
    )  # fmt: skip
    stored = "config.json, layer by layer, as torch allocates it"
    for group, count in loaded.parts:
        if count >= 0.005 * GIB:
            terms.append(_term(f"weights: {group}", _weights_formula(settings), count / GIB, "GiB", stored))
    terms.append(_term("weights", "the sum, on the fullest GPU", rank.weights_gib, "GiB", stored))
    if rank.lora_gib:
        formula = f"{settings.adapters} adapters x rank {settings.adapter_rank or 16} x (inputs + outputs) x 2 bytes"
        terms.append(_term("adapters", formula, rank.lora_gib, "GiB", "vLLM's stacked LoRA tensors"))
    terms += [
        _term("activation peak", _peak_formula(arch, rule, rank.cause), rank.activation_gib, "GiB", _FITTED),
        _term(
            "outside of torch",
            f"NCCL and libraries, tensor parallel {settings.tensor_parallel_size}, pipeline {settings.pipeline_parallel_size}",
            rank.non_torch_gib,
            "GiB",
            _FITTED,
        ),
        _term(
            "CUDA graphs",
            "out of the KV budget" if rule.graphs_subtracted else "outside of the KV budget",
            rank.cuda_graph_gib,
            "GiB",
            _FITTED,
        ),
        _term("KV cache", _cache_formula(rule), memory.kv_cache_gib, "GiB", "the engine's budget"),
    ]
    kv = rank.layout
    if kv.block_bytes:
        groups = ", ".join(
            f"{group.layers} {group.kind} layers x {group.block_tokens} tokens"
            for group in dict.fromkeys(kv.groups)
        )
        terms += [
            _term(
                "KV block",
                f"{groups}; {counted(len(kv.groups), 'group')}",
                kv.block_bytes,
                "bytes a GPU",
                "vLLM kv_cache_utils.py",
            ),
            _term(
                "one request",
                f"{kv.blocks_of_request(memory.max_model_len, rule)} blocks for {memory.max_model_len} tokens",
                kv.blocks_of_request(memory.max_model_len, rule) * kv.block_bytes / GIB,
                "GiB",
                "vLLM kv_cache_interface.py",
            ),
            _term(
                "KV tokens",
                f"{int(memory.kv_cache_gib * GIB // kv.block_bytes)} blocks",
                memory.kv_cache_tokens,
                "tokens of the replica",
                "vLLM kv_cache_utils.py",
            ),
            _term(
                "requests at full length",
                "KV tokens / max_model_len",
                memory.max_concurrency,
                "requests",
                "formula",
            ),
        ]
    return [
        *terms,
        _term(
            "fits", memory.reason, 1 if memory.fits else 0, "", "; ".join(memory.notes) or "the steps above"
        ),
    ]


def _term(name: str, formula: str, value: float, unit: str, source: str) -> Term:
    return Term(name=name, formula=formula, value=float(value), unit=unit, source=source)


def _budget_formula(rule: Rules, usable: float) -> str:
    if rule.engine == "trtllm":
        return f"{rule.utilization:g} of what is free after loading"
    return f"{rule.utilization:.4g} x {usable:.2f} GiB"


def _cache_formula(rule: Rules) -> str:
    if rule.engine == "sglang":
        return "fraction x free memory at start - weights"
    if rule.engine == "trtllm":
        return "fraction x (usable - context - weights - activation)"
    return "budget - weights - activation - outside of torch" + (
        " - CUDA graphs" if rule.graphs_subtracted else ""
    )


def _weights_formula(settings: Settings) -> str:
    return f"tensor parallel {settings.tensor_parallel_size}, pipeline parallel {settings.pipeline_parallel_size}"


def _peak_formula(arch: Architecture, rule: Rules, cause: str) -> str:
    if cause == "sampler":
        return f"sampling {rule.requests} requests over {arch.vocab_size} tokens, after a step of {rule.batched_tokens} tokens"
    if cause == "tower":
        return "the tower's widest layer over the images of one step"
    return f"one layer over a step of {rule.batched_tokens} tokens"
