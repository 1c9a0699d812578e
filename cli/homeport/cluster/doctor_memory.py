"""The arithmetic of a GPU's memory: what the plan counted, and which settings would fit."""

import math
import re
from collections.abc import Callable

from homeport.planning.types import ModelPlan

GIB = 2**30
MOST_FRACTION = 0.97
"""More of the GPU's memory than this leaves no room for the driver's own use: an assumption."""
LEAST_STEP = 0.02
"""The smallest step of the fraction that is worth a try."""

_UNIT = {"KiB": 2**-20, "MiB": 2**-10, "GiB": 1.0}


def counted(plan: ModelPlan) -> str:
    """What the plan put on one GPU, in one sentence; empty where it counted nothing."""
    memory = plan.memory
    if memory is None:
        return ""
    parts = [
        f"{name} {gib:.1f}"
        for name, gib in (
            ("weights", memory.weights_gib),
            ("adapters", memory.adapters_gib),
            ("activations", memory.activation_gib),
            ("CUDA graphs", memory.cuda_graph_gib),
            ("other", memory.non_torch_gib),
            ("KV cache", memory.kv_cache_gib),
        )
        if gib > 0.05
    ]
    return f"the plan counts {' + '.join(parts)} = {memory.total_gib:.1f} of {memory.usable_gib:.1f} GiB on one GPU"


def fraction(plan: ModelPlan) -> float | None:
    """The share of the GPU's memory that the engine was told to take."""
    return plan.launch.memory_fraction or plan.engine.default_memory_fraction


def longest(plan: ModelPlan, kv_gib: float) -> int:
    """Tokens of one request that `kv_gib` GiB of KV cache hold, rounded down to 256; 0 where nothing is known."""
    memory = plan.memory
    if memory is None or memory.kv_bytes_per_token <= 0:
        return 0
    return max(0, int(kv_gib * GIB / memory.kv_bytes_per_token) // 256 * 256)


def out_of_memory(plan: ModelPlan, found: "re.Match[str]") -> str:
    """How much less the engine should take so that what it tried to allocate fits."""
    memory, share = plan.memory, fraction(plan)
    said = counted(plan)
    if memory is None or share is None:
        return said
    groups = found.groupdict()
    lacking = 0.0
    if groups.get("tried"):
        lacking = float(groups["tried"]) * _UNIT[groups["unit"]]
        if groups.get("left"):
            lacking -= float(groups["left"]) * _UNIT[groups["left_unit"]]
    step = max(LEAST_STEP, math.ceil(max(0.0, lacking) / memory.usable_gib * 100) / 100)
    lower = round(share - step, 2)
    kv_left = memory.kv_cache_gib - step * memory.usable_gib
    need = memory.max_model_len * memory.kv_bytes_per_token / GIB
    advice = []
    if kv_left >= need:
        advice.append(
            f"set gpu_memory_utilization to {lower:g} (now {share:g}): that gives {step * memory.usable_gib:.1f} GiB "
            f"back and leaves {kv_left:.1f} GiB of KV cache, {need:.1f} are needed for one request of "
            f"{memory.max_model_len:,} tokens"
        )
    elif kv_left > 0 and longest(plan, kv_left):
        advice.append(
            f"set gpu_memory_utilization to {lower:g} (now {share:g}) and max_model_len to {longest(plan, kv_left)} "
            f"(now {memory.max_model_len}): {kv_left:.1f} GiB of KV cache stay"
        )
    else:
        advice.append(_bigger(plan))
    if plan.settings.max_num_batched_tokens is None or plan.settings.max_num_batched_tokens > 2048:
        advice.append("or lower max_num_batched_tokens: activations grow with it")
    return "; ".join((said, *advice))


def kv_cache(plan: ModelPlan, found: "re.Match[str]") -> str:
    """Which max_model_len, or which fraction, would hold one request: the engine's own figures first."""
    memory, share = plan.memory, fraction(plan)
    groups = found.groupdict()
    needed, available = float(groups["needed"]), float(groups["available"])
    length = int(groups["length"])
    fits = int(groups["estimated"]) if groups.get("estimated") else int(length * available / needed)
    fits = fits // 256 * 256
    advice = []
    if fits > 0:
        advice.append(
            f"set max_model_len to {fits} or less ({available:g} GiB / {needed:g} GiB x {length} tokens)"
        )
    if memory is not None and share is not None:
        higher = math.ceil((share + (needed - available) / memory.usable_gib) * 100) / 100
        if higher <= MOST_FRACTION:
            advice.append(f"or gpu_memory_utilization to {higher:g} (now {share:g})")
        advice.append(counted(plan))
    return "; ".join(advice) or _bigger(plan)


def no_kv_cache(plan: ModelPlan, found: "re.Match[str]") -> str:  # noqa: ARG001 - all sums take the match
    """The engine's share is used up before any KV cache: take more of the GPU, or more GPUs."""
    memory, share = plan.memory, fraction(plan)
    said = counted(plan)
    if memory is None:
        return said
    advice = []
    if share is not None and share < 0.95:
        gained = (0.95 - share) * memory.usable_gib
        advice.append(f"set gpu_memory_utilization to 0.95 (now {share:g}): {gained:.1f} GiB more")
    advice.append(_bigger(plan))
    return "; ".join((said, *advice))


def taken(plan: ModelPlan, found: "re.Match[str]") -> str:
    """The fraction that is free now, for those who must share the GPU."""
    free, total = float(found["free"]), float(found["total"])
    possible = math.floor(free / total * 100 - 1) / 100
    memory = plan.memory
    if memory is None or possible <= 0:
        return counted(plan)
    without_kv = memory.total_gib - memory.kv_cache_gib
    kv_left = possible * memory.usable_gib - without_kv
    if kv_left <= 0:
        return f"what is free does not hold the weights ({without_kv:.1f} GiB without any KV cache)"
    return (
        f"to share it, set gpu_memory_utilization to {possible:g}: {kv_left:.1f} GiB of KV cache would be left, "
        f"{longest(plan, kv_left):,} tokens"
    )


def _bigger(plan: ModelPlan) -> str:
    double = plan.launch.tensor_parallel_size * 2
    return f"spread the weights over more GPUs (tensor_parallel_size: {double}), or choose a smaller precision or checkpoint"


SUMS: dict[str, Callable[[ModelPlan, "re.Match[str]"], str]] = {
    "out_of_memory": out_of_memory,
    "kv_cache": kv_cache,
    "no_kv_cache": no_kv_cache,
    "taken": taken,
}
