"""The attention and the weights of one layer, and the weights outside the layers."""

from typing import Any

from homeport.catalog.architecture_config import Config
from homeport.catalog.architecture_types import Attention, Weight

LLAMA4 = ("llama4", "llama4_text")
GEMMA_FOUR_NORMS = ("gemma2", "gemma3", "gemma3_text", "gemma3n", "gemma3n_text", "gemma4", "gemma4_text")
GEMMA4 = ("gemma4", "gemma4_text")
# Query and key norms over one head, and over all heads together.
HEAD_NORMS = (
    "qwen3", "qwen3_moe", "qwen3_next", "qwen3_5_text", "qwen3_5_moe_text", "qwen3_vl_text", "qwen3_vl_moe_text",
    "gemma3", "gemma3_text", "gemma4", "gemma4_text", "gemma3n_text", "glm4v_moe", "hunyuan_v1_dense", "hunyuan_v1_moe",
    "exaone4",
)  # fmt: skip
WIDE_NORMS = ("olmo2", "olmo3", "olmoe", "minimax_m2")
# The query, key and value projections have a bias although the file doesn't say so.
QKV_BIAS = ("qwen2", "qwen2_moe", "qwen", "qwen2_vl", "qwen2_5_vl", "qwen2_vl_text", "qwen2_5_vl_text", "chatglm", "glm", "glm4")
# Every projection has a bias (and norms too: layer norms).
ALL_BIAS = ("phi", "gpt2", "gpt_bigcode", "opt", "bloom", "gpt_neox", "starcoder2")
LAYER_NORMS = ("phi", "gptj", "falcon", "gpt2", "gpt_bigcode", "opt", "bloom", "gpt_neox", "starcoder2", "stablelm", "codegen", "nemotron", "phimoe")
SINGLE_NORM = ("phi", "gptj", "codegen", "cohere", "cohere2")
DSA = ("deepseek_v32", "glm_moe_dsa")
MAMBA2 = ("granitemoehybrid", "bamba", "nemotron_h", "falcon_h1", "zamba2")
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
    if isinstance(stride, int):
        return "full" if (layer + 1) % stride == 0 else "sliding"
    if isinstance(stride, str) and stride:
        return "full" if stride[layer % len(stride)] == "G" else "sliding"
    if read.get("use_sliding_window") is False or read.model_type in ("qwen2", "qwen2_moe", "qwen3", "qwen3_moe"):
        start = read.whole("max_window_layers")
        return "sliding" if read.get("use_sliding_window") and start is not None and layer >= start else "full"
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
    conv = (read.whole("mamba_d_conv") or read.whole("conv_kernel") or read.whole("conv_kernel_size") or 4) - 1
    groups = read.whole("mamba_n_groups") or read.whole("n_groups") or 1
    heads = read.whole("mamba_n_heads") or read.whole("mamba_num_heads") or 0
    dim = read.whole("mamba_d_head") or read.whole("mamba_head_dim") or 64
    if not heads:
        inner = (read.whole("mamba_expand") or read.whole("expand") or 2) * read.hidden_size
        return Attention(
            kind=kind, heads=1, head_dim=inner, conv_elements=conv * inner, state_elements=state * inner,
            state_heads=inner, state_bytes_each=kept,
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
    listed = read.get("mlp_only_layers")
    only_dense = set(listed) if isinstance(listed, list) else set()
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


def _norm(name: str, size: int, read: Config, copies: int = 1) -> Weight:
    bias = size if read.model_type in LAYER_NORMS else 0
    return Weight(
        name=name, group="norms", inputs=1, outputs=size, bias=bias, copies=copies, linear=False, active_copies=copies
    )


def _bias(read: Config) -> tuple[bool, bool, bool]:
    """Whether query/key/value, output and MLP projections have a bias."""
    kind = read.model_type
    if kind in ALL_BIAS:
        return True, True, True
    if kind in QKV_BIAS:
        return True, False, False
    if kind in ("glm4_moe", "glm4v_moe_text"):
        return bool(read.get("attention_bias")), False, False
    given = bool(read.get("attention_bias") or read.get("qkv_bias") or read.get("use_bias"))
    mlp = bool(read.get("mlp_bias") or read.get("use_bias")) or kind in ("gptj", "codegen")
    return given, given, mlp


def layer_weights(read: Config, attention: Attention, mlp: str, layer: int) -> tuple[Weight, ...]:
    """The weights of layer number `layer`."""
    weights = [*_attention_weights(read, attention)]
    if mlp == "moe":
        weights += _moe_weights(read)
    if mlp == "dense" or (mlp == "moe" and read.model_type in GEMMA4):
        weights += _mlp_weights(read, "mlp", "dense_mlp", read.mlp_width(layer))
    hidden = read.hidden_size
    norms = 1 if read.model_type in SINGLE_NORM else 2
    if mlp == "none" or attention.kind == "none":
        norms = 1
    if read.model_type in GEMMA_FOUR_NORMS:
        norms = 4 + (3 if mlp == "moe" else 0)
    weights.append(_norm("input_layernorm", hidden, read, norms))
    if read.model_type in GEMMA4:
        per_layer = read.whole("hidden_size_per_layer_input") or 0
        weights.append(Weight(name="layer_scalar", group="norms", inputs=1, outputs=1, linear=False))
        if per_layer:
            weights += [
                Weight(name="per_layer_input_gate", group="dense_mlp", inputs=hidden, outputs=per_layer),
                Weight(name="per_layer_projection", group="dense_mlp", inputs=per_layer, outputs=hidden),
                _norm("post_per_layer_input_norm", hidden, read),
            ]
    return tuple(weights)


def _attention_weights(read: Config, attention: Attention) -> list[Weight]:
    hidden = read.hidden_size
    if attention.kind == "none":
        return []
    if attention.kind == "mamba":
        return _mamba_weights(read, attention)
    if attention.kind == "linear":
        return _delta_weights(read, attention)
    if attention.latent_rank:
        return _latent_weights(read, attention)
    qkv_bias, out_bias, _ = _bias(read)
    heads, kv, dim, v_dim = attention.heads, attention.kv_heads, attention.head_dim, attention.v_head_dim
    gate = 2 if read.get("attn_output_gate") or read.model_type in GDN else 1
    query = gate * heads * dim
    same_kv = read.model_type in GEMMA4 and attention.kind == "full" and bool(read.get("attention_k_eq_v"))
    weights = [
        Weight(name="self_attn.q_proj", group="attention", inputs=hidden, outputs=query, bias=query * qkv_bias, shard="column"),
        Weight(name="self_attn.k_proj", group="attention", inputs=hidden, outputs=kv * dim, bias=kv * dim * qkv_bias, shard="kv", units=kv),
        Weight(name="self_attn.o_proj", group="attention", inputs=heads * v_dim, outputs=hidden, bias=hidden * out_bias, shard="row"),
    ]  # fmt: skip
    if not same_kv:
        weights.append(
            Weight(name="self_attn.v_proj", group="attention", inputs=hidden, outputs=kv * v_dim, bias=kv * v_dim * qkv_bias, shard="kv", units=kv)
        )  # fmt: skip
    kind = read.model_type
    if kind in HEAD_NORMS or (kind == "glm4_moe" and read.get("use_qk_norm")):
        weights += [_norm("self_attn.q_norm", dim, read, 2)]
    elif kind in WIDE_NORMS:
        weights += [_norm("self_attn.q_norm", heads * dim, read), _norm("self_attn.k_norm", kv * dim, read)]
    if kind == "gpt_oss":
        weights.append(Weight(name="self_attn.sinks", group="attention", inputs=1, outputs=heads, shard="column", linear=False))
    return weights


def _latent_weights(read: Config, attention: Attention) -> list[Weight]:
    hidden, heads = read.hidden_size, attention.heads
    nope = attention.head_dim - attention.rope_dim
    query = heads * attention.head_dim
    rank, q_rank = attention.latent_rank, attention.q_lora_rank
    weights = [
        Weight(name="self_attn.kv_a_proj_with_mqa", group="attention", inputs=hidden, outputs=rank + attention.rope_dim),
        _norm("self_attn.kv_a_layernorm", rank, read),
        Weight(name="self_attn.kv_b_proj", group="attention", inputs=rank, outputs=heads * (nope + attention.v_head_dim), shard="column"),
        Weight(name="self_attn.o_proj", group="attention", inputs=heads * attention.v_head_dim, outputs=hidden, shard="row"),
    ]  # fmt: skip
    if q_rank:
        weights += [
            Weight(name="self_attn.q_a_proj", group="attention", inputs=hidden, outputs=q_rank),
            _norm("self_attn.q_a_layernorm", q_rank, read),
            Weight(name="self_attn.q_b_proj", group="attention", inputs=q_rank, outputs=query, shard="column"),
        ]
    else:
        weights.append(Weight(name="self_attn.q_proj", group="attention", inputs=hidden, outputs=query, shard="column"))
    index_heads, index_dim = read.whole("index_n_heads"), read.whole("index_head_dim")
    if attention.index_bytes and index_heads and index_dim:
        weights += [
            Weight(name="self_attn.indexer.wq_b", group="attention", inputs=q_rank or hidden, outputs=index_heads * index_dim),
            Weight(name="self_attn.indexer.wk", group="attention", inputs=hidden, outputs=index_dim),
            Weight(name="self_attn.indexer.weights_proj", group="attention", inputs=hidden, outputs=index_heads, linear=False),
            Weight(name="self_attn.indexer.k_norm", group="norms", inputs=1, outputs=index_dim, bias=index_dim, linear=False),
        ]  # fmt: skip
    return weights


def _mamba_weights(read: Config, attention: Attention) -> list[Weight]:
    hidden = read.hidden_size
    kernel = 1 + (read.whole("mamba_d_conv") or read.whole("conv_kernel") or 4) - 1
    if attention.heads == 1:  # Mamba 1
        inner, state = attention.head_dim, attention.state_elements // attention.head_dim
        rank = read.whole("mamba_dt_rank") or -(-hidden // 16)
        return [
            Weight(name="mamba.in_proj", group="attention", inputs=hidden, outputs=2 * inner, shard="column"),
            Weight(name="mamba.conv1d", group="attention", inputs=kernel, outputs=inner, bias=inner, shard="column", linear=False),
            Weight(name="mamba.x_proj", group="attention", inputs=inner, outputs=rank + 2 * state, shard="row"),
            Weight(name="mamba.dt_proj", group="attention", inputs=rank, outputs=inner, bias=inner, shard="column"),
            Weight(name="mamba.A_log", group="attention", inputs=state + 1, outputs=inner, shard="column", linear=False),
            Weight(name="mamba.out_proj", group="attention", inputs=inner, outputs=hidden, shard="row"),
            _norm("mamba.norms", rank + 2 * state, read),
        ]  # fmt: skip
    inner = attention.heads * attention.head_dim
    groups = 2 * attention.kv_heads * attention.v_head_dim
    return [
        Weight(name="mamba.in_proj", group="attention", inputs=hidden, outputs=2 * inner + groups + attention.heads, shard="column"),
        Weight(name="mamba.conv1d", group="attention", inputs=kernel, outputs=inner + groups, bias=inner + groups, shard="column", linear=False),
        Weight(name="mamba.A_log", group="attention", inputs=3, outputs=attention.heads, shard="column", linear=False),
        Weight(name="mamba.norm", group="norms", inputs=1, outputs=inner, shard="column", linear=False),
        Weight(name="mamba.out_proj", group="attention", inputs=inner, outputs=hidden, shard="row"),
    ]  # fmt: skip


def _delta_weights(read: Config, attention: Attention) -> list[Weight]:
    hidden = read.hidden_size
    keys, values = attention.kv_heads * attention.head_dim, attention.heads * attention.v_head_dim
    kernel = read.whole("linear_conv_kernel_dim") or 4
    return [
        Weight(name="linear_attn.in_proj_qkvz", group="attention", inputs=hidden, outputs=2 * keys + 2 * values, shard="column"),
        Weight(name="linear_attn.in_proj_ba", group="attention", inputs=hidden, outputs=2 * attention.heads, shard="column"),
        Weight(name="linear_attn.conv1d", group="attention", inputs=kernel, outputs=2 * keys + values, shard="column", linear=False),
        Weight(name="linear_attn.A_log", group="attention", inputs=2, outputs=attention.heads, shard="column", linear=False),
        Weight(name="linear_attn.norm", group="norms", inputs=1, outputs=attention.v_head_dim, linear=False),
        Weight(name="linear_attn.out_proj", group="attention", inputs=values, outputs=hidden, shard="row"),
    ]  # fmt: skip


def _mlp_weights(read: Config, prefix: str, group: str, width: int) -> list[Weight]:
    hidden, bias = read.hidden_size, _bias(read)[2]
    up = [Weight(name=f"{prefix}.up_proj", group=group, inputs=hidden, outputs=width, bias=width * bias, shard="column")]
    if read.gated:
        up.append(Weight(name=f"{prefix}.gate_proj", group=group, inputs=hidden, outputs=width, bias=width * bias, shard="column"))
    down = Weight(name=f"{prefix}.down_proj", group=group, inputs=width, outputs=hidden, bias=hidden * bias, shard="row")
    return [*up, down]


def _moe_weights(read: Config) -> list[Weight]:
    hidden, experts, used, width = read.hidden_size, read.experts, read.experts_per_token, read.expert_width
    biased = read.model_type == "gpt_oss"
    columns = 2 if read.gated else 1
    correction = experts if read.get("topk_method") == "noaux_tc" or read.model_type in (
        "deepseek_v3", "deepseek_v32", "glm4_moe", "glm4_moe_lite", "glm_moe_dsa", "minimax_m2", "kimi_k2"
    ) else 0  # fmt: skip
    router_bias = experts if biased else correction
    weights = [
        Weight(name="mlp.gate", group="router", inputs=hidden, outputs=experts, bias=router_bias, linear=False),
        Weight(name="mlp.experts.gate_up_proj", group="experts", inputs=hidden, outputs=columns * width, bias=columns * width * biased,
               copies=experts, shard="column", active_copies=used),
        Weight(name="mlp.experts.down_proj", group="experts", inputs=width, outputs=hidden, bias=hidden * biased,
               copies=experts, shard="row", active_copies=used),
    ]  # fmt: skip
    if read.model_type in GEMMA4:
        weights.append(Weight(name="router.scale", group="router", inputs=1, outputs=hidden + experts, linear=False))
    if read.shared_width:
        weights += _mlp_weights(read, "mlp.shared_experts", "shared_experts", read.shared_width)
        if read.get("shared_expert_intermediate_size"):
            weights.append(Weight(name="mlp.shared_expert_gate", group="shared_experts", inputs=hidden, outputs=1, linear=False))
    return weights


def outside_weights(read: Config) -> tuple[Weight, ...]:
    """Embeddings, the final norm and lm_head."""
    hidden, vocab = read.hidden_size, read.vocab_size
    weights = [
        Weight(name="embed_tokens", group="embedding", inputs=hidden, outputs=vocab, shard="vocab", linear=False),
        _norm("norm", hidden, read),
    ]
    if not read.tied_embeddings:
        bias = vocab if read.model_type in ("phi", "gptj", "codegen") else 0
        weights.append(
            Weight(name="lm_head", group="lm_head", inputs=hidden, outputs=vocab, bias=bias, shard="vocab", linear=False)
        )
    if read.model_type in ("gpt2", "gpt_bigcode", "opt"):
        positions = read.context_tokens + (2 if read.model_type == "opt" else 0)
        weights.append(Weight(name="embed_positions", group="embedding", inputs=hidden, outputs=positions, linear=False))
    per_layer = read.whole("hidden_size_per_layer_input") or 0
    if per_layer:
        rows, width = read.whole("vocab_size_per_layer_input") or vocab, per_layer * read.layers
        weights += [
            Weight(name="embed_tokens_per_layer", group="embedding", inputs=width, outputs=rows, shard="vocab", linear=False),
            Weight(name="per_layer_model_projection", group="dense_mlp", inputs=hidden, outputs=width, shard="column"),
            _norm("per_layer_projection_norm", per_layer, read),
        ]  # fmt: skip
    return tuple(weights)
