"""Flags that a user may add, or not, because of what the plan has counted: memory, GPUs, and what the pod is.

By name in the parsers of vLLM 0.32.0 and 0.33.0, SGLang 0.5.23, TGI 3.3.7 and the documentation of trtllm-serve 1.2.
"""

from typing import Literal

Effect = Literal["memory", "speed", "memory and speed", "host memory", "model", "GPUs"]

_VLLM_CHANGES: dict[Effect, tuple[str, ...]] = {
    "memory": (
        "--num-gpu-blocks-override", "--cudagraph-capture-sizes", "--max-cudagraph-capture-size",
        "--disable-hybrid-kv-cache-manager", "--disable-sliding-window", "--kv-cache-dtype-skip-layers",
        "--mamba-cache-dtype", "--mamba-ssm-cache-dtype", "--mamba-cache-mode", "--limit-mm-per-prompt",
        "--skip-mm-profiling", "--language-model-only", "--mm-encoder-tp-mode", "--mm-ipc-gpu-memory-gb",
        "--enable-prompt-embeds", "--fully-sharded-loras", "--lora-dtype", "--enable-tower-connector-lora", "--watermark",
        "--enable-sleep-mode",
    ),
    "speed": ("--enforce-eager", "--optimization-level", "--performance-mode", "--max-num-scheduled-tokens"),
    "memory and speed": (
        "--cpu-offload-gb", "--cpu-offload-params", "--offload-backend", "--offload-group-size", "--offload-params",
        "--speculative-config", "--spec-method", "--spec-model", "--spec-tokens", "--decode-context-parallel-size",
        "--enable-expert-parallel", "--enable-eplb", "--eplb-config", "--enable-dbo", "--ubatch-size",
        "--compilation-config", "--quantization-config", "--kv-transfer-config", "--ec-transfer-config",
        "--diffusion-config", "--enable-elastic-ep",
    ),
    "host memory": ("--mm-processor-cache-gb", "--kv-offloading-size", "--max-cpu-loras"),
    "model": ("--hf-overrides", "--hf-config-path", "--model-class-overrides", "--runner", "--convert"),
}  # fmt: skip

_OWN_GPUS = "- Kubernetes gives the pod its GPUs, numbered from 0"
_ALONE = "- a replica serves alone"

CHANGES: dict[str, dict[Effect, tuple[str, ...]]] = {
    "vllm": _VLLM_CHANGES,
    "cpu": _VLLM_CHANGES,
    "sglang": {
        "memory": (
            "--max-total-tokens", "--max-prefill-tokens", "--swa-full-tokens-ratio", "--disable-hybrid-swa-memory",
            "--max-mamba-cache-size", "--mamba-ssm-dtype", "--mamba-full-memory-ratio", "--cuda-graph-config",
            "--cuda-graph-max-bs-decode", "--cuda-graph-max-bs-prefill", "--cuda-graph-bs-decode",
            "--cuda-graph-bs-prefill", "--enable-fp32-lm-head", "--max-loaded-loras", "--language-model-only",
            "--enable-memory-saver", "--quantization-param-path",
        ),
        "speed": (
            "--disable-cuda-graph", "--disable-decode-cuda-graph", "--disable-prefill-cuda-graph", "--enable-mixed-chunk",
            "--enable-torch-compile", "--disable-radix-cache",
        ),
        "memory and speed": (
            "--cpu-offload-gb", "--offload-group-size", "--offload-mode", "--speculative-algorithm",
            "--speculative-draft-model-path", "--speculative-num-steps", "--speculative-eagle-topk",
            "--speculative-num-draft-tokens", "--attn-cp-size", "--attn-dp-size", "--moe-dp-size", "--dcp-size",
            "--dwdp-size", "--ep-size", "--moe-dense-tp-size", "--enable-dp-attention", "--enable-eplb",
            "--ep-num-redundant-experts", "--enable-two-batch-overlap", "--enable-hierarchical-cache", "--kt-weight-path",
            "--kt-num-gpu-experts", "--ple-offload-embedding", "--enable-paged-experts", "--dllm-algorithm",
        ),
        "host memory": ("--hicache-ratio", "--hicache-size", "--enable-weights-cpu-backup", "--mm-preprocess-cache-size-mb"),
        "model": ("--json-model-override-args", "--is-embedding"),
    },
    "tgi": {
        "memory": ("--max-batch-total-tokens", "--cuda-graphs"),
        "memory and speed": ("--speculate",),
        "model": ("--rope-scaling", "--rope-factor"),
    },
    "trtllm": {
        "memory": ("--max_beam_width",),
        "memory and speed": ("--moe_expert_parallel_size", "--moe_cluster_parallel_size"),
    },
}  # fmt: skip
"""What flags change that the plan has counted without them."""

BREAKS: dict[str, dict[str, str]] = {
    "vllm": {
        "--device-ids": _OWN_GPUS,
        "--mm-encoder-only": _ALONE,
        "--data-parallel-address": "replicas",
        "--data-parallel-rpc-port": "replicas",
        "--data-parallel-backend": "replicas",
    },
    "sglang": {
        "--base-gpu-id": _OWN_GPUS,
        "--gpu-id-step": _OWN_GPUS,
        "--device": "- the image and the nodes are those of the planned GPU",
        "--disaggregation-mode": _ALONE,
        "--encoder-only": _ALONE,
        "--language-only": _ALONE,
        "--encoder-urls": _ALONE,
        "--use-ray": "- the image has no Ray",
        "--modelopt-quant": "precision",
        "--quantize-and-serve": "precision",
    },
}
"""Flags that break what homeport renders, with the spec's field, or "- why" where there is none."""


def note(engine: str, names: tuple[str, ...]) -> str | None:
    """What a flag changes that the plan does not count with (None: nothing that is known)."""
    for effect, flags in CHANGES.get(engine, {}).items():
        if set(flags) & set(names):
            return f"it changes the {effect}, and the plan does not count with it"
    return None
