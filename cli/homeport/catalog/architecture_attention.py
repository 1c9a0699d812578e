"""How each layer of a model attends, what it keeps, and which layers have routed experts."""

from typing import Any

from homeport.catalog.architecture_config import Config, is_whole
from homeport.catalog.architecture_types import Attention

LLAMA4 = ("llama4", "llama4_text")
GEMMA4 = ("gemma4", "gemma4_text")
GDN = ("qwen3_next", "qwen3_5_text", "qwen3_5_moe_text", "qwen3_5", "qwen3_5_moe")


def _kind(read: Config, layer: int) -> str:
    """How a layer attends, by `layer_types`, a pattern, or the family's rule."""
    types = read.get("layer_types") or read.get("layers_block_type")
    if isinstance(types, list) and layer < len(types):
        return _named(str(types[layer]))
    pattern = read.get("hybrid_override_pattern")
    if isinstance(pattern, str) and layer < len(pattern):
        return {"*": "full", "M": "mamba"}.get(pattern[layer], "none")
    if read.model_type in GDN:
        return "full" if (layer + 1) % (read.whole("full_attention_interval") or 4) == 0 else "linear"
    if read.model_type in LLAMA4:
        if not read.get("attention_chunk_size"):
            return "full"
        rotary = read.get("no_rope_layers")
        if isinstance(rotary, list) and layer < len(rotary):
            return "chunked" if rotary[layer] else "full"
        return "full" if (layer + 1) % (read.whole("no_rope_layer_interval") or 4) == 0 else "chunked"
    if read.model_type == "jamba":
        period, offset = read.whole("attn_layer_period") or 8, read.whole("attn_layer_offset") or 4
        return "full" if layer % period == offset else "mamba"
    if not read.whole("sliding_window"):
        return "full"
    if read.model_type in ("gemma2", "gpt_oss"):
        return "sliding" if layer % 2 == 0 else "full"
    stride = read.get("sliding_window_pattern") or read.get("_sliding_window_pattern")
    if stride is None and read.model_type in ("gemma3", "gemma3_text", *GEMMA4):
        stride = 6
    if stride is None and read.model_type == "cohere2":
        stride = 4
    if isinstance(stride, int) and stride > 0:
        return "full" if (layer + 1) % stride == 0 else "sliding"
    if isinstance(stride, str) and stride:
        return "full" if stride[layer % len(stride)] == "G" else "sliding"
    if read.get("use_sliding_window") is False or read.model_type in (
        "qwen2",
        "qwen2_moe",
        "qwen3",
        "qwen3_moe",
    ):
        start = read.whole("max_window_layers")
        return (
            "sliding" if read.get("use_sliding_window") and start is not None and layer >= start else "full"
        )
    return "sliding"


def _named(name: str) -> str:
    """The kind behind a name of `layer_types`."""
    if "sliding" in name:
        return "sliding"
    if "chunk" in name:
        return "chunked"
    if "mamba" in name:
        return "mamba"
    if "linear" in name:
        return "linear"
    return "full" if "attention" in name or name == "hybrid" else "none"


def layer_attention(read: Config, layer: int) -> Attention:
    """The attention of layer number `layer`."""
    kind = _kind(read, layer)
    if kind in ("mamba", "linear"):
        return _state(read, kind)
    if kind == "none":
        return Attention(kind="none")
    window = None
    if kind == "sliding":
        window = read.needed("sliding_window")
    elif kind == "chunked":
        window = read.needed("attention_chunk_size")
    rank = read.whole("kv_lora_rank") or 0
    if rank:
        return Attention(
            kind=kind,
            heads=read.heads,
            kv_heads=1,
            head_dim=read.head_dim,
            v_head_dim=read.needed("v_head_dim"),
            window_tokens=window,
            q_lora_rank=read.whole("q_lora_rank") or 0,
            latent_rank=rank,
            rope_dim=read.needed("qk_rope_head_dim"),
            # The indexer's keys: 8 bit an element and a 32-bit scale for each 128 (vLLM's DeepseekV32IndexerCache).
            index_bytes=_index_bytes(read.whole("index_head_dim")) if read.whole("index_topk") else 0,
        )
    kv_heads, head_dim = read.kv_heads, read.head_dim
    if kind == "full" and read.model_type in GEMMA4:
        head_dim = read.whole("global_head_dim") or head_dim
        kv_heads = read.whole("num_global_key_value_heads") or kv_heads
    shared = read.whole("num_kv_shared_layers") or 0
    return Attention(
        kind=kind,
        heads=read.heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        v_head_dim=read.whole("v_head_dim") or head_dim,
        window_tokens=window,
        beside=_state(read, "mamba") if read.model_type == "falcon_h1" else None,
        shares_cache=layer >= read.layers - shared,
    )


def _index_bytes(dim: int | None) -> int:
    return (dim or 128) + (dim or 128) // 128 * 4


def _state(read: Config, kind: str) -> Attention:
    """A layer whose state doesn't grow: Mamba 2, Mamba 1 (jamba), or gated delta net."""
    kept = 4 if "float32" in str(read.get("mamba_ssm_dtype") or read.get("mamba_ssm_cache_dtype")) else 0
    if kind == "linear":
        k_heads, v_heads = read.needed("linear_num_key_heads"), read.needed("linear_num_value_heads")
        k_dim, v_dim = read.needed("linear_key_head_dim"), read.needed("linear_value_head_dim")
        conv = (read.whole("linear_conv_kernel_dim") or 4) - 1
        return Attention(
            kind=kind,
            heads=v_heads,
            kv_heads=k_heads,
            head_dim=k_dim,
            v_head_dim=v_dim,
            conv_elements=conv * (2 * k_heads * k_dim + v_heads * v_dim),
            state_elements=v_heads * k_dim * v_dim,
            state_heads=v_heads,
            state_bytes_each=kept,
        )
    state = read.whole("mamba_d_state") or read.whole("ssm_state_size") or read.whole("state_size") or 128
    conv = (
        read.whole("mamba_d_conv") or read.whole("conv_kernel") or read.whole("conv_kernel_size") or 4
    ) - 1
    groups = read.whole("mamba_n_groups") or read.whole("n_groups") or 1
    heads = read.whole("mamba_n_heads") or read.whole("mamba_num_heads") or 0
    dim = read.whole("mamba_d_head") or read.whole("mamba_head_dim") or 64
    if not heads:
        inner = (read.whole("mamba_expand") or read.whole("expand") or 2) * read.hidden_size
        return Attention(
            kind=kind,
            heads=1,
            head_dim=inner,
            conv_elements=conv * inner,
            state_elements=state * inner,
            state_heads=inner,
            state_bytes_each=kept,
        )
    inner = heads * dim
    return Attention(
        kind=kind,
        heads=heads,
        kv_heads=groups,
        head_dim=dim,
        v_head_dim=state,
        conv_elements=conv * (inner + 2 * groups * state),
        state_elements=inner * state,
        state_heads=heads,
        state_bytes_each=kept,
    )


def moe_layers(read: Config) -> list[bool]:
    """Which layers have routed experts."""
    count = read.layers
    if not read.experts:
        return [False] * count
    pattern = read.get("hybrid_override_pattern")
    if isinstance(pattern, str):
        return [layer < len(pattern) and pattern[layer] == "E" for layer in range(count)]
    kinds = read.get("mlp_layer_types")
    if isinstance(kinds, list) and len(kinds) >= count:
        return [k == "sparse" for k in kinds[:count]]
    dense_first = read.whole("first_k_dense_replace") or read.whole("moe_layer_start_index") or 0
    step = read.whole("decoder_sparse_step") or read.whole("interleave_moe_layer_step") or 1
    frequency: Any = read.get("moe_layer_freq")
    listed_short = isinstance(frequency, list) and len(frequency) < count
    if listed_short or (isinstance(frequency, int | float) and not is_whole(frequency, count)):
        read.wrong.setdefault("moe_layer_freq", frequency)
    listed = read.get("mlp_only_layers")
    only_dense = {i for i in listed if isinstance(i, int)} if isinstance(listed, list) else set()
    named = read.get("moe_layers")
    routed = []
    for layer in range(count):
        if isinstance(named, list):
            yes = layer in named
        elif isinstance(frequency, list):
            yes = layer < len(frequency) and bool(frequency[layer])
        elif isinstance(frequency, int) and frequency > 1:
            yes = layer >= dense_first and layer % frequency == 0
        elif read.model_type == "jamba":
            period, offset = read.whole("expert_layer_period") or 2, read.whole("expert_layer_offset") or 1
            yes = layer % period == offset
        else:
            yes = layer >= dense_first and (layer + 1) % step == 0 and layer not in only_dense
        routed.append(yes)
    return routed
