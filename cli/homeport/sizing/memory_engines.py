"""What an engine's version decides about memory: defaults, which generation it is, what it subtracts."""

from functools import lru_cache

import msgspec

from homeport.catalog.types import Gpu
from homeport.sizing.memory_constants import (
    CUDA_GRAPH_DEFAULT_COUNT,
    GIB,
    USABLE_GIB_OF_SOLD_GB,
    USABLE_OF_DRIVER,
    USABLE_OF_SOLD_DECIMAL,
)
from homeport.sizing.types import Settings

NEWEST = (99, 0)
# SGLang's tiers of GPU memory: below so many GiB, tokens of a prefill chunk, requests in CUDA graphs at tensor parallel
# sizes below 4 and from 4 (server_args.py).
_SGLANG_TIERS = (
    (20.0, 2048, 8, 8),
    (35.0, 2048, 24, 80),
    (60.0, 4096, 32, 160),
    (160.0, 8192, 256, 512),
    (float("inf"), 16384, 512, 512),
)


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """The engine's behaviour with these settings.

    - `batched_tokens` and `requests` are what start-up profiles with; `chunked_prefill` false: a whole prompt is a step.
    - `v0` is vLLM's older engine, up to 0.7, and `hybrid_groups` whether layers of several kinds get groups of their own.
    - `sorts_to_sample`: top-k and top-p sort all logits. `keeps_workspaces`: fused experts' outlive their layer.
    - `graphs_subtracted`: CUDA graphs (`graphs` of them) come out of the KV budget.
    - `capacity_by_concurrency`: the KV tokens that the engine prints are concurrency x max_model_len.
    - `in_flight_batches`: steps that hold blocks outside of a window at once.
    """

    engine: str
    version: tuple[int, int]
    utilization: float
    batched_tokens: int
    requests: int
    max_model_len: int
    v0: bool
    chunked_prefill: bool
    sorts_to_sample: bool
    keeps_workspaces: bool
    graphs_subtracted: bool
    hybrid_groups: bool
    capacity_by_concurrency: bool
    block_tokens: int
    in_flight_batches: int
    patch: int
    graphs: int


@lru_cache(maxsize=256)
def version_of(text: str | None) -> tuple[int, int]:
    """The (major, minor) of a version; the newest when it is unknown."""
    if not text:
        return NEWEST
    parts = text.lstrip("v").split(".")
    try:
        return int(parts[0]), int("".join(c for c in parts[1] if c.isdigit()) or 0) if len(parts) > 1 else 0
    except ValueError:
        return NEWEST


def patch_of(text: str | None) -> int:
    """The third number of a version; the last one where it has none."""
    parts = (text or "").split(".")
    digits = "".join(c for c in parts[2] if c.isdigit()) if len(parts) > 2 else ""
    return int(digits) if digits else 99


def capture_sizes(largest: int) -> int:
    """How many batch sizes vLLM captures up to `largest`: 1, 2, 4, then every 8th to 256, then every 16th."""
    small = sum(1 for size in (1, 2, 4) if size <= largest)
    return small + min(largest, 248) // 8 + (max(0, largest - 240) // 16 if largest >= 256 else 0)


def usable_gib(gpu: Gpu) -> tuple[float, str | None]:
    """GiB that an engine sees on a card, and a note when it is an estimate."""
    if gpu.memory_gib_usable:
        return gpu.memory_gib_usable, None
    if gpu.memory_mib_driver:
        return gpu.memory_mib_driver / 1024 * USABLE_OF_DRIVER, (
            f"usable memory of {gpu.id} estimated from the {gpu.memory_mib_driver:g} MiB that its driver reports"
        )
    if gpu.memory_gb_sold:
        sold = gpu.memory_gb_sold
        decimal = gpu.vendor != "NVIDIA" or gpu.architecture == "Blackwell"
        usable = sold * 1e9 / GIB * USABLE_OF_SOLD_DECIMAL if decimal else sold * USABLE_GIB_OF_SOLD_GB
        return usable, f"usable memory of {gpu.id} estimated from the {sold:g} GB sold"
    return 0.0, f"memory of {gpu.id} unknown"


def large_gpu(gpu: Gpu) -> bool:
    """Whether vLLM takes its larger batch defaults: 70 GiB or more, and no A100 (vLLM `EngineArgs.get_batch_defaults`)."""
    return usable_gib(gpu)[0] >= 70 and "a100" not in gpu.id.lower()


def rules(settings: Settings, gpu: Gpu, context_tokens: int, *, images: bool, mla: bool) -> Rules:
    """The rules for these settings; `context_tokens` is the model's own limit."""
    length = settings.max_model_len or context_tokens
    version = version_of(settings.engine_version)
    if settings.engine == "vllm":
        return _vllm(settings, gpu, version, length, images=images, mla=mla)
    return _others(settings, gpu, version, length)


def _vllm(
    settings: Settings, gpu: Gpu, version: tuple[int, int], length: int, *, images: bool, mla: bool
) -> Rules:
    # 0.8 and 0.9 fall back to the older engine on cards before Ampere (vLLM `_is_v1_supported_oracle`).
    v0 = version < (0, 8) or (version < (0, 10) and float(gpu.compute_capability or 8.0) < 8.0)
    chunked = not v0
    if v0:
        # 0.5.4 turned chunked prefill on by itself above 32,768 tokens (vLLM PR 6666); a small explicit budget implies it.
        early = version < (0, 5) or (version == (0, 5) and patch_of(settings.engine_version) < 4)
        chunked = (not early and length > 32768 and not images) or (
            settings.max_num_batched_tokens is not None and settings.max_num_batched_tokens < length
        )
        tokens = settings.max_num_batched_tokens or (
            (512 if version < (0, 7) else 2048) if chunked else max(length, 2048)
        )
        requests = settings.max_num_seqs or 256
    else:
        big = large_gpu(gpu) and version >= (0, 8)
        tokens = settings.max_num_batched_tokens or (8192 if big else 2048)
        requests = settings.max_num_seqs or (1024 if big and version >= (0, 9) else 256)
        if settings.max_num_batched_tokens is None:
            tokens = max(1, min(tokens, requests * length))
    return Rules(
        engine="vllm",
        version=version,
        utilization=settings.gpu_memory_utilization or (0.92 if version >= (0, 21) else 0.9),
        batched_tokens=tokens,
        requests=min(requests, tokens),
        max_model_len=length,
        v0=v0,
        chunked_prefill=chunked,
        # The Triton kernel came with vLLM PR 33538 (February 2026).
        sorts_to_sample=version < (0, 17),
        keeps_workspaces=version >= (0, 14),
        graphs_subtracted=version >= (0, 21),
        hybrid_groups=version >= (0, 10),
        capacity_by_concurrency=version >= (0, 21),
        # FlashMLA keeps pages of 64 tokens, Blackwell's MLA kernels of 128 (vLLM platforms/cuda.py).
        block_tokens=128 if mla and gpu.architecture == "Blackwell" else 16,
        in_flight_batches=2 if version >= (0, 26) and settings.pipeline_parallel_size == 1 else 1,
        patch=patch_of(settings.engine_version),
        graphs=capture_sizes(min(512, 2 * requests)) + capture_sizes(min(256, requests)),
    )


def _others(settings: Settings, gpu: Gpu, version: tuple[int, int], length: int) -> Rules:
    engine, tp = settings.engine, settings.tensor_parallel_size
    memory = usable_gib(gpu)[0]
    if engine == "sglang":
        tier = next((t for t in _SGLANG_TIERS if memory < t[0]), _SGLANG_TIERS[-1])
        chunk = settings.max_num_batched_tokens or tier[1]
        # SGLang 0.5 (server_args.py, _handle_gpu_memory_settings): MiB kept back for activations, graphs and NCCL.
        kept_mib = 512 + max(chunk, 2048) * 1.5 + tier[2 if tp < 4 else 3] * 2
        kept_mib += tp * settings.pipeline_parallel_size / 8 * 1024
        if memory > 60:
            kept_mib = max(kept_mib, 10 * 1024)
        older = {1: 0.88, 2: 0.87, 4: 0.85, 8: 0.81, 16: 0.79}
        default = 1 - kept_mib / (memory * 1024) if version >= (0, 5) else older.get(tp, 0.88)
        utilization, block, requests = default, 1, 256
    elif engine == "trtllm":
        # Blocks: 32 tokens in the LLM API's KvCacheConfig, 64 and before 0.9 128 in engines built ahead.
        block = 32 if version >= (1, 0) else (64 if version >= (0, 9) else 128)
        chunk, utilization, requests = settings.max_num_batched_tokens or 8192, 0.9, 256
    else:
        chunk, utilization, block, requests = (
            settings.max_num_batched_tokens or min(4096, length),
            1.0,
            1,
            128,
        )
    return Rules(
        engine=engine,
        version=version,
        utilization=settings.gpu_memory_utilization or max(0.1, utilization),
        batched_tokens=chunk,
        requests=min(settings.max_num_seqs or requests, chunk),
        max_model_len=length,
        v0=False,
        chunked_prefill=True,
        sorts_to_sample=False,
        keeps_workspaces=False,
        graphs_subtracted=False,
        hybrid_groups=False,
        capacity_by_concurrency=False,
        block_tokens=block,
        in_flight_batches=1,
        patch=0,
        graphs=CUDA_GRAPH_DEFAULT_COUNT,
    )
