"""The figures of the memory model that no config and no flag states, each with where it comes from."""

from typing import Final

import msgspec

GIB: Final = 2**30
MIB: Final = 2**20


class Fitted(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Figures that are fitted to measured start-ups (tests/data/memory_measurements.json), in GiB unless a name says otherwise.

    tests/sizing/memory_accuracy.py fits them again, once without each model, and measures the error on what it left out.

    - `sampler_copies`: the sampler's peak, in copies of a 32-bit matrix (requests x vocabulary) beside the logits
      themselves. `sampler_copies_sort`: the same before vLLM 0.17, where top-k and top-p sort (values, 64-bit indices,
      softmax, cumulative sum); a Triton kernel masks in place since (vLLM PR 33538).
    - `profile_base_gib`: workspaces of matrix products, metadata and the sampling kernel's 80 MiB buffers.
    - `experts_base_gib`: what fused experts hold beyond the workspaces that their shapes explain.
    - `non_torch_gib`: what profiling finds outside of torch's allocator on one GPU; `..._pipeline_gib` with pipeline stages
      only; `..._tensor_parallel_gib` at tensor parallel size 2 (NCCL, custom all-reduce), `..._doubling_gib` more for each
      doubling of it.
    - `non_torch_odd_vocab_gib`: more outside of torch where rows of logits are no multiple of 4 elements and so not
      aligned (Granite 3: 49,155 and 49,159 tokens; granite-vision's 49,156 takes none).
    - `cuda_graph_base_gib`, `cuda_graph_layer_gib`: vLLM's estimate of CUDA graphs at its default capture sizes, a pool
      and a share of each layer.
    """

    sampler_copies: float = 3.129
    sampler_copies_sort: float = 8.99
    profile_base_gib: float = 0.05
    experts_base_gib: float = 0.09
    non_torch_gib: float = 0.25
    non_torch_pipeline_gib: float = 0.07
    non_torch_tensor_parallel_gib: float = 2.08
    non_torch_doubling_gib: float = 0.13
    non_torch_odd_vocab_gib: float = 0.21
    cuda_graph_base_gib: float = 0.36
    cuda_graph_layer_gib: float = 0.0141


FITTED: Final = Fitted()

# Hidden state, residual and one more intermediate of that width live while an MLP runs: 2.9 hidden widths a token by
# the slope of vLLM 0.6.4's activation between 20,000 and 29,000 tokens (vLLM issue 10517: 2.07 and 2.99 GiB).
RESIDUAL_COPIES: Final = 3

# The same on cards without an NVLink switch: what NCCL took on top of one GPU's before the switch's buffers and symmetric
# memory came into use (vLLM 0.11: 0.42 GiB). Two RTX 3090 with vLLM 0.2x leave 0.2 to 0.85 GiB (kv106's budget).
NON_TORCH_NO_SWITCH_GIB: Final = 0.42
SWITCH_LINK_GB_S: Final = 400

# Outside of torch in earlier releases. vLLM 0.10 to 0.13 (llm-d-benchmark,
# config_explorer/empirical-vllm-memory-results.md): 0.13, and 0.55 at tensor parallel size 2. V0 to 0.6.4, which counts
# the context: 0.35 on an RTX 3090 (vLLM issue 10517). V0 later: 0.05 on A10, 0.08 on L40S and A6000, 0.32 to 0.36 at
# tensor parallel size 2 (logs of 0.7), and 1.79 on an 80 GiB H100, twice that at tensor parallel size 2 (vLLM PR 10511).
NON_TORCH_EARLY_V1_GIB: Final = 0.13
NON_TORCH_EARLY_V1_TENSOR_PARALLEL_GIB: Final = 0.55
NON_TORCH_V0_WITH_CONTEXT_GIB: Final = 0.35
NON_TORCH_V0_GIB: Final = 0.08
NON_TORCH_V0_TENSOR_PARALLEL_GIB: Final = 0.34
NON_TORCH_V0_HOPPER_GIB: Final = 1.79

# What the process holds before the engine takes its snapshot: context, kernels, and NCCL when there is more than one
# GPU. It is no part of the engine's budget but of the card. init_non_torch of vLLM 0.19.0 on H100: 0.51, and 1.43 to
# 1.99 on several GPUs. Small GPUs: what V0 counted, context included.
CONTEXT_GIB: Final = 0.51
CONTEXT_PARALLEL_GIB: Final = 1.51
CONTEXT_SMALL_GPU_GIB: Final = 0.35
# Images of models that take any resolution are profiled at the most that one may have. Qwen's: vLLM's logs say "a budget
# of 16384 tokens, and profiled with 1 image"; others: 4,096 patches, as Kimi-VL's in_token_limit.
LARGEST_QWEN_IMAGE_TOKENS: Final = 16384
LARGEST_IMAGE_TOKENS: Final = 1024
# Graphs of the default capture sizes: 51 of mixed batches up to 512 tokens, 35 of decoding up to 256 requests.
CUDA_GRAPH_DEFAULT_COUNT: Final = 86
# Captures of the older engine (decoding only, 35 sizes): 0.2 to 0.5 GiB in logs of vLLM 0.6.
CUDA_GRAPH_V0_GIB: Final = 0.4

# Room that the sampler's warm-up needs beside its tensors, for fragments: assumed. Start-ups of vLLM 0.19.0 that came up
# had 0.7 GiB and more to spare.
WARM_UP_REST_GIB: Final = 0.3

# Usable memory (as torch reports it) of what nvidia-smi reports, and of the GB on the box, where a card states only
# those. Medians over the rows of gpus.json that state both; the boxes of Blackwell data-centre cards count decimal GB.
USABLE_OF_DRIVER: Final = 0.989
USABLE_GIB_OF_SOLD_GB: Final = 0.98
USABLE_OF_SOLD_DECIMAL: Final = 0.99
# The context that vLLM takes where a config states none (config/model.py, _get_and_verify_max_len).
UNKNOWN_CONTEXT_TOKENS: Final = 2048
# TGI keeps back a share of the free memory (server/text_generation_server/models/globals.py: TGI_WIGGLE_ROOM).
TGI_WIGGLE_ROOM: Final = 0.90

# torch's caching allocator: above 10 MiB sizes are rounded to 2 MiB, and a rest of at most 1 MiB is not split off
# (c10/cuda/CUDACachingAllocator.cpp: kMinLargeAlloc, kRoundLarge, kSmallSize).
LARGE_ALLOCATION: Final = 10 * MIB
LARGE_ROUNDING: Final = 2 * MIB
UNSPLIT_REST: Final = MIB
