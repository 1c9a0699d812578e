"""The figures of the memory model that no config and no flag states, each with where it comes from.

"fitted" means: the median over the start-ups of vLLM 0.19.0 on H100 in tests/data/memory_measurements.json (their
logs: jgchn/llm-d-planner, Apache-2.0). Everything else is read from the engines' code or from published logs.
"""

from typing import Final

GIB: Final = 2**30
MIB: Final = 2**20

# The sampler's peak, in copies of a 32-bit matrix (requests x vocabulary) beside the logits themselves.
# Before vLLM 0.17 top-k and top-p sort the logits (values, 64-bit indices, softmax, cumulative sum); later a Triton
# kernel masks them in place. Fitted: 3.12 on 0.19.0 (21 models); 9.05 on 0.6.5 and 0.11 (5 models).
SAMPLER_COPIES: Final = 3.12
SAMPLER_COPIES_SORT: Final = 9.05
# Workspaces of matrix products, metadata and sampling parameters that live through the profiling run. Fitted.
PROFILE_BASE_GIB: Final = 0.06
# Hidden state, residual and one more intermediate of that width live while an MLP runs. Fitted: 2.9 to 3.0 (V0: slope
# of kv078 to kv079; V1: kv001, kv014, kv026).
RESIDUAL_COPIES: Final = 3
# What fused experts hold beyond the workspaces that their shapes explain. Fitted (5 models, 0 to 0.16).
EXPERTS_BASE_GIB: Final = 0.11

# Memory outside of torch's allocator (contexts' growth, NCCL, custom all-reduce, symmetric memory), GiB. Fitted.
NON_TORCH_GIB: Final = 0.25
NON_TORCH_PIPELINE_GIB: Final = 0.07
NON_TORCH_TENSOR_PARALLEL_GIB: Final = 2.07
NON_TORCH_DOUBLING_GIB: Final = 0.10
# vLLM 0.10 to 0.13 (llm-d-benchmark, config_explorer/empirical-vllm-memory-results.md): 0.13, and 0.55 at TP 2.
NON_TORCH_EARLY_V1_GIB: Final = 0.13
NON_TORCH_EARLY_V1_TENSOR_PARALLEL_GIB: Final = 0.55
# V0 (0.6.4 on RTX 3090: 0.35; 0.6.5 on H100: 1.79, twice that at TP 2: vLLM PR 10511).
NON_TORCH_V0_GIB: Final = 0.35
NON_TORCH_V0_HOPPER_GIB: Final = 1.79

# What the process holds before the engine takes its snapshot: context, kernels, and NCCL when there is more than one
# GPU. It is not part of the engine's budget but of the card. Logged as init_non_torch by vLLM 0.19.0 on H100.
CONTEXT_GIB: Final = 0.51
CONTEXT_PARALLEL_GIB: Final = 1.51
CONTEXT_SMALL_GPU_GIB: Final = 0.35

# CUDA graphs: a pool, and what every layer's captured kernels take over the default 51 + 35 sizes. Fitted to the
# estimates that vLLM 0.19.0 logs (and that it subtracts from the KV cache since 0.21).
CUDA_GRAPH_BASE_GIB: Final = 0.33
CUDA_GRAPH_LAYER_GIB: Final = 0.0160
# Captures with the older engine (decoding only, 35 sizes), vLLM 0.6 logs: 0.2 to 0.5 GiB.
CUDA_GRAPH_V0_GIB: Final = 0.4

# Usable memory (as torch reports it) of what nvidia-smi reports, and of the GB on the box, where a card states only
# those. Medians over the rows of gpus.json that state both; the boxes of Blackwell data-centre cards count decimal GB.
USABLE_OF_DRIVER: Final = 0.989
USABLE_GIB_OF_SOLD_GB: Final = 0.98
USABLE_OF_SOLD_DECIMAL: Final = 0.99
# A card's default when an engine doesn't know its model's context (vLLM `_get_and_verify_max_len`).
UNKNOWN_CONTEXT_TOKENS: Final = 2048
# TGI keeps back a share of the free memory (server/text_generation_server/models/globals.py: TGI_WIGGLE_ROOM).
TGI_WIGGLE_ROOM: Final = 0.93

# torch's caching allocator: above 10 MiB sizes are rounded to 2 MiB, and a rest of at most 1 MiB is not split off
# (c10/cuda/CUDACachingAllocator.cpp: kMinLargeAlloc, kRoundLarge, kSmallSize).
LARGE_ALLOCATION: Final = 10 * MIB
LARGE_ROUNDING: Final = 2 * MIB
UNSPLIT_REST: Final = MIB
