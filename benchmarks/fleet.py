"""Specs of many models: a fleet with 20 different workloads, on models and limits that a real one might have."""

import json
from pathlib import Path

CONFIGS = Path(__file__).parents[1] / "cli" / "homeport" / "catalog" / "data" / "configs"
WORKLOADS = 20
MODELS = (
    "meta-llama/Llama-3.1-8B-Instruct",
    "Qwen/Qwen2.5-7B-Instruct",
    "mistralai/Mistral-7B-Instruct-v0.3",
    "microsoft/phi-4",
)
ALONE = (
    "meta-llama/Llama-3.2-3B-Instruct",
    *MODELS,
    "Qwen/Qwen2.5-14B-Instruct",
    "Qwen/Qwen3-32B",
    "google/gemma-3-27b-it",
    "meta-llama/Llama-3.1-70B-Instruct",
    "Qwen/Qwen2.5-72B-Instruct",
    "mistralai/Mixtral-8x7B-Instruct-v0.1",
)


def spec(models: int, *, distinct: int = WORKLOADS, platform: str = "gke") -> str:
    """A spec of so many models, of which `distinct` differ in more than their name. Nothing is pinned."""
    return f"version: 1\nname: fleet\ntarget: {{platform: {platform}}}\nmodels:\n" + "".join(
        f"  - name: model-{i}\n"
        f"    model: {MODELS[i % distinct % len(MODELS)]}\n"
        "    workload: {requests_per_day: "
        f"{20_000 + 5_000 * (i % distinct)}, input_tokens: {500 + 100 * (i % distinct % 5)}, "
        f"output_tokens: {200 + 50 * (i % distinct % 3)}}}\n"
        "    weights: {source: pvc}\n"
        for i in range(models)
    )


def cases(count: int) -> str:
    """Lines for `homeport size --cases`: catalog models on several GPUs, parallel sizes and lengths."""
    configs = [json.loads((CONFIGS / f"{name.replace('/', '__')}.json").read_bytes()) for name in MODELS]

    gpus = ("H100-SXM-80GB", "A100-SXM4-80GB", "L40S", "L4")
    return "".join(
        json.dumps(
            {
                "id": f"case-{i}",
                "model_config": configs[i % len(MODELS)],
                "gpu": gpus[i // len(MODELS) % len(gpus)],
                "engine": "vllm",
                "tensor_parallel_size": 1 + i // 16 % 2,
                "max_model_len": 4096 + 256 * (i // 32),
            }
        )
        + "\n"
        for i in range(count)
    )


def one(model: str, platform: str, number: int) -> str:
    """A spec of one model, its workload different for each `number`."""
    return (
        f"version: 1\nname: one\ntarget: {{platform: {platform}}}\nmodels:\n  - name: model\n    model: {model}\n"
        f"    workload: {{requests_per_day: {20_000 + 7_000 * number}, input_tokens: {500 + 50 * number}, "
        "output_tokens: 250}\n"
    )
