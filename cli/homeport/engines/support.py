"""Whether an engine version can run a model on a GPU in a precision, and if not, why: one sentence."""

from typing import Any

from homeport.catalog.architecture_types import Architecture, Quantization
from homeport.catalog.types import Gpu
from homeport.engines.types import Release

# vLLM refuses these in float16 ("numerical instability").
NOT_IN_FLOAT16 = frozenset({"gemma2", "gemma3", "gemma3_text", "glm4", "plamo2"})

# Image towers whose models an engine lacks though it serves their language model (same tables as `model_types`).
UNSERVED_TOWERS = {"tgi": ("pixtral", "moonvit"), "trtllm": ("moonvit",)}

FP8_LEAST = {"vllm": 7.5, "sglang": 8.0, "tgi": 8.0, "trtllm": 8.9}
"""Least compute capability for fp8 weights. 8.9 computes in fp8; below, Marlin kernels keep the weights in fp8 and compute
in 16 bits (docs.vllm.ai v0.32.0, FP8 W8A8: 7.5; Fp8Config of SGLang and TGI's quantisation guide: 8.0)."""

ON_LOAD = {"vllm": ("fp8",), "sglang": ("fp8",), "tgi": ("fp8",)}
"""What an engine makes of a 16-bit checkpoint while it loads it; everything else needs a checkpoint."""

BLACKWELL = 10.0

SERVED = frozenset({
    "apertus", "aquila", "arcee", "arctic", "aria", "baichuan", "bailing_moe", "bamba", "bloom", "chameleon", "chatglm",
    "codegen", "cohere", "cohere2", "dbrx", "deepseek", "deepseek_v2", "deepseek_v3", "deepseek_v32", "deepseek_vl_v2",
    "dots1", "ernie4_5", "ernie4_5_moe", "ernie4_5_moe_vl", "exaone", "exaone4", "falcon", "falcon_h1", "falcon_mamba",
    "fuyu", "gemma", "gemma2", "gemma3", "gemma3n", "gemma4", "glm", "glm4", "glm4_moe", "glm4_moe_lite", "glm4v",
    "glm4v_moe", "glm_moe_dsa", "gpt2", "gpt_bigcode", "gpt_neox", "gpt_oss", "gptj", "granite", "granitemoe",
    "granitemoehybrid", "granitemoeshared", "hunyuan_v1_dense", "hunyuan_v1_moe", "idefics3", "internlm2", "internlm3",
    "internvl_chat", "jamba", "kimi_k2", "kimi_k25", "kimi_linear", "kimi_vl", "lfm2", "lfm2_moe", "llama", "llama4",
    "llava", "llava_next", "mamba", "mamba2", "minicpm", "minicpm3", "minicpmv", "minimax_m1", "minimax_m2", "mistral",
    "mistral3", "mixtral", "molmo", "mpt", "nemotron", "nemotron-nas", "nemotron_h", "olmo", "olmo2", "olmo3", "olmoe",
    "opt", "orion", "ovis", "paligemma", "persimmon", "phi", "phi3", "phi3_v", "phi4mm", "phimoe", "pixtral", "plamo2",
    "qwen", "qwen2", "qwen2_5_omni", "qwen2_5_vl", "qwen2_audio", "qwen2_moe", "qwen2_vl", "qwen3", "qwen3_5",
    "qwen3_5_moe", "qwen3_moe", "qwen3_next", "qwen3_omni_moe", "qwen3_vl", "qwen3_vl_moe", "seed_oss", "smollm3",
    "smolvlm", "solar", "stablelm", "starcoder2", "step3", "xverse", "zamba2",
})  # fmt: skip
"""`model_type`s of config.json that vLLM and SGLang are known to serve: a list by hand, unverified. A type that is missing
here may be served all the same, so it only warns."""


def unknown_type(release: Release, config: dict[str, Any]) -> str | None:
    """Say that it is not known whether `release` serves a config's `model_type`; None where it is, or is refused."""
    if release.engine == "simulator" or release.model_types:
        return None
    name = {"vllm": "vLLM", "cpu": "vLLM", "sglang": "SGLang"}.get(release.engine, release.engine)
    given = config.get("model_type")
    if not isinstance(given, str) or not given:
        return f"the model's config.json names no model_type: homeport does not know whether {name} serves it"
    if given.removesuffix("_text") in SERVED:
        return None
    return f"homeport does not know whether {name} serves models of type {given!r:.60}"


def unsupported(release: Release, arch: Architecture, gpu: Gpu | None, precision: str) -> str | None:
    """Say in one sentence why `release` cannot run `arch` on `gpu` in `precision` (None: it can).

    `precision` is auto, bf16, fp16, fp8, int8, int4 or a method's name; `gpu` None leaves the GPU out of the answer.
    """
    name = f"{release.engine} {release.version}"
    if release.engine == "simulator":
        return None
    if release.engine == "cpu":
        return _on_cpu(release, arch, gpu, precision)
    # The parsed type is the language model's: `gemma3_text` of a `gemma3`.
    types = {arch.model_type, arch.model_type.removesuffix("_text")}
    if release.model_types and not types & set(release.model_types):
        return f"{name} does not serve models of type {arch.model_type}"
    if arch.vision is not None and arch.vision.kind in UNSERVED_TOWERS.get(release.engine, ()):
        return f"{name} does not serve {arch.model_type} models that read images ({arch.vision.kind})"
    return (
        (_card(release, gpu) if gpu else None)
        or _method(release, arch, precision)
        or (_numbers(release, arch, gpu, precision) if gpu else None)
    )


def compute_capability(gpu: Gpu) -> float | None:
    """The GPU's compute capability as a number (None: not NVIDIA's, or unknown)."""
    return float(gpu.compute_capability) if gpu.compute_capability else None


def _on_cpu(release: Release, arch: Architecture, gpu: Gpu | None, precision: str) -> str | None:
    if gpu is not None and gpu.kind != "cpu":
        return f"{release.image} has no GPU kernels: use engine vllm for a {gpu.id}"
    method = arch.quantization.method if arch.quantization else None
    if method and method not in release.quantizations:
        return f"vLLM {release.version} on a CPU does not read {method} checkpoints"
    if not method and precision not in ("auto", "bf16", "fp16", "fp32"):
        return f"vLLM {release.version} on a CPU makes no {precision} of a {arch.dtype} checkpoint"
    return None


def _card(release: Release, gpu: Gpu) -> str | None:
    """Why the image does not run on this card at all."""
    name = f"{release.engine} {release.version}"
    if gpu.kind == "cpu":
        return f"{name} needs a GPU: use engine cpu or simulator"
    if gpu.vendor not in release.vendors:
        other = release.other_images.get("rocm") if gpu.vendor == "AMD" else None
        instead = f", {other} for {gpu.vendor}" if other else ""
        return f"{release.image} is built for {' and '.join(release.vendors)} GPUs, not for a {gpu.id} ({gpu.vendor}){instead}"
    capability, least = compute_capability(gpu), release.least_compute_capability
    if capability is not None and least is not None and capability < least:
        return f"{name} needs compute capability {least}, and a {gpu.id} has {capability}"
    return None


def _method(release: Release, arch: Architecture, precision: str) -> str | None:
    """Why the engine cannot read the checkpoint, or make the precision of it."""
    name = f"{release.engine} {release.version}"
    stored = arch.quantization
    if stored is not None:
        if _family(stored) not in release.quantizations:
            return f"{name} does not read {stored.method} checkpoints"
        return None
    if precision in ("auto", "bf16", "fp16", "fp32"):
        return None
    if precision in ON_LOAD.get(release.engine, ()):
        return None
    if precision not in ("fp8", "int8", "int4") and precision not in release.quantizations:
        return f"{name} does not take {precision}"
    return f"{name} makes no {precision} on load: it needs a checkpoint that is stored in {precision}"


def _numbers(release: Release, arch: Architecture, gpu: Gpu, precision: str) -> str | None:
    """Why the card cannot compute in the precision."""
    capability = compute_capability(gpu)
    if capability is None:
        return None
    stored = arch.quantization
    has = f"and a {gpu.id} has {capability}"
    if capability < 8.0:
        if precision == "bf16" and stored is None:
            return f"bf16 needs compute capability 8.0, {has}: use fp16"
        if arch.dtype == "bfloat16" and arch.model_type in NOT_IN_FLOAT16:
            return f"{arch.model_type} is unstable in float16, and a {gpu.id} (compute capability {capability}) has no bfloat16"
    formats = {_family(stored), stored.method} if stored is not None else {precision}
    if formats & {"fp8", "fp8_block"} or (
        stored is not None and stored.bits == 8 and stored.method in ("quark", "modelopt")
    ):
        least = FP8_LEAST[release.engine]
        if capability < least:
            return f"fp8 in {release.engine} needs compute capability {least}, {has}"
    if "nvfp4" in formats and capability < BLACKWELL:
        return f"nvfp4 needs Blackwell (compute capability {BLACKWELL}), {has}"
    if "mxfp4" in formats:
        least = 9.0 if release.engine == "trtllm" else 8.0
        if capability < least:
            return f"mxfp4 in {release.engine} needs compute capability {least}, {has}"
    return None


def _family(stored: Quantization) -> str:
    """The name that `Release.quantizations` has for a checkpoint's method."""
    if stored.method in ("fp8", "fbgemm_fp8", "ptpc_fp8"):
        return "fp8_block" if stored.block else "fp8"
    if stored.method in ("auto-round", "autoround"):
        return "gptq"
    if stored.bits == 4 and stored.scale_bits == 8:
        return "nvfp4" if stored.group_size == 16 else "mxfp4"
    return stored.method
