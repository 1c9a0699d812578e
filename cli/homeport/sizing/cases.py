"""Cases: one line of JSON with a model, an engine, a GPU and the settings, and the answers to it.

The fields are the measurement files' own (docs/reference/cases.md); keys that a case doesn't know are ignored, so a
measurement with its model's config in place is a case too.
"""

from functools import lru_cache
from typing import Any

import msgspec

from homeport.catalog.architecture import Architecture, architecture
from homeport.catalog.gpus import gpu
from homeport.errors import Problem, SpecError
from homeport.sizing.types import Settings


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One question. `model_config` stays JSON text until it is needed: many cases share a model."""

    model_config: msgspec.Raw
    gpu: str
    id: str | int | None = None
    engine: str = "vllm"
    engine_version: str | None = None
    tensor_parallel_size: int | None = None
    pipeline_parallel_size: int | None = None
    weight_dtype: str | None = None
    quantization: str | None = None
    kv_cache_dtype: str | None = None
    gpu_memory_utilization: float | None = None
    max_model_len: int | None = None
    max_num_batched_tokens: int | None = None
    input_tokens: float | None = None
    output_tokens: float | None = None
    concurrency: int | None = None
    storage: str | None = None
    loader: str | None = None
    compile_cached: bool | None = None
    eager: bool | None = None
    weights_gib_total: float | None = None
    download_s: float | None = None


_decoder = msgspec.json.Decoder(Case)


def case(line: bytes | str) -> Case:
    """Read one line. Raises SpecError where it isn't JSON or lacks a field."""
    try:
        return _decoder.decode(line)
    except msgspec.DecodeError as error:
        raise SpecError([Problem(message=f"not a case: {error}")]) from error


@lru_cache(maxsize=4096)
def _architecture(text: bytes) -> Architecture:
    config: dict[str, Any] = msgspec.json.decode(text, type=dict[str, Any])
    return architecture(config)


def case_architecture(case: Case) -> Architecture:
    """The case's model; equal configs share one. Raises SpecError naming what the config lacks."""
    return _architecture(bytes(case.model_config))


def settings(case: Case) -> Settings:
    """The case's settings, defaults for what it leaves null."""
    return Settings(
        engine=case.engine,
        engine_version=case.engine_version,
        tensor_parallel_size=case.tensor_parallel_size or 1,
        pipeline_parallel_size=case.pipeline_parallel_size or 1,
        weight_dtype=case.weight_dtype or "auto",
        quantization=case.quantization,
        kv_cache_dtype=case.kv_cache_dtype or "auto",
        gpu_memory_utilization=case.gpu_memory_utilization,
        max_model_len=case.max_model_len,
        max_num_batched_tokens=case.max_num_batched_tokens,
    )


def answer_size(case: Case) -> dict[str, Any]:
    """The answer of `homeport size`: GiB of the fullest GPU, tokens of the replica, and what decided.

    Raises SpecError when the config can't be sized, NotFoundError when the GPU is unknown.
    """
    from homeport.sizing.memory import size

    memory = size(case_architecture(case), gpu(case.gpu), settings(case))
    return {
        "id": case.id,
        "fits": memory.fits,
        "weights_gib_per_gpu": round(memory.weights_gib, 4),
        "activation_gib_per_gpu": round(memory.activation_gib, 4),
        "non_torch_gib_per_gpu": round(memory.non_torch_gib, 4),
        "kv_cache_gib_per_gpu": round(memory.kv_cache_gib, 4),
        "kv_cache_tokens": memory.kv_cache_tokens,
        "max_concurrency": round(memory.max_concurrency, 4),
        "reason": memory.reason,
    }
