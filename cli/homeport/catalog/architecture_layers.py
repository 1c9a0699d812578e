"""The weights of one layer, and the weights outside the layers."""

from homeport.catalog.architecture_attention import GDN, GEMMA4
from homeport.catalog.architecture_config import Config
from homeport.catalog.architecture_types import Attention, Weight

GEMMA_FOUR_NORMS = ("gemma2", "gemma3", "gemma3_text", "gemma3n", "gemma3n_text", "gemma4", "gemma4_text")
# Query and key norms over one head, and over all heads together.
HEAD_NORMS = (
    "qwen3", "qwen3_moe", "qwen3_next", "qwen3_5_text", "qwen3_5_moe_text", "qwen3_vl_text", "qwen3_vl_moe_text",
    "gemma3", "gemma3_text", "gemma4", "gemma4_text", "gemma3n_text", "glm4v_moe", "hunyuan_v1_dense", "hunyuan_v1_moe",
    "exaone4",
)  # fmt: skip
WIDE_NORMS = ("olmo2", "olmo3", "olmoe", "minimax_m2")
# The query, key and value projections have a bias although the file doesn't say so.
QKV_BIAS = (
    "qwen2",
    "qwen2_moe",
    "qwen",
    "qwen2_vl",
    "qwen2_5_vl",
    "qwen2_vl_text",
    "qwen2_5_vl_text",
    "chatglm",
    "glm",
    "glm4",
)
# Every projection has a bias (and norms too: layer norms).
ALL_BIAS = ("phi", "gpt2", "gpt_bigcode", "opt", "bloom", "gpt_neox", "starcoder2")
LAYER_NORMS = (
    "phi",
    "gptj",
    "falcon",
    "gpt2",
    "gpt_bigcode",
    "opt",
    "bloom",
    "gpt_neox",
    "starcoder2",
    "stablelm",
    "codegen",
    "nemotron",
    "phimoe",
)
SINGLE_NORM = ("phi", "gptj", "codegen", "cohere", "cohere2")


def _norm(name: str, size: int, read: Config, copies: int = 1) -> Weight:
    bias = size if read.model_type in LAYER_NORMS else 0
    return Weight(
        name=name,
        group="norms",
        inputs=1,
        outputs=size,
        bias=bias,
        copies=copies,
        linear=False,
        active_copies=copies,
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
    if attention.beside:
        weights += _mamba_weights(read, attention.beside)
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
        weights.append(
            Weight(
                name="self_attn.sinks",
                group="attention",
                inputs=1,
                outputs=heads,
                shard="column",
                linear=False,
            )
        )
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
            Weight(
                name="self_attn.q_b_proj", group="attention", inputs=q_rank, outputs=query, shard="column"
            ),
        ]
    else:
        weights.append(
            Weight(name="self_attn.q_proj", group="attention", inputs=hidden, outputs=query, shard="column")
        )
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
    up = [
        Weight(
            name=f"{prefix}.up_proj",
            group=group,
            inputs=hidden,
            outputs=width,
            bias=width * bias,
            shard="column",
        )
    ]
    if read.gated:
        up.append(
            Weight(
                name=f"{prefix}.gate_proj",
                group=group,
                inputs=hidden,
                outputs=width,
                bias=width * bias,
                shard="column",
            )
        )
    down = Weight(
        name=f"{prefix}.down_proj", group=group, inputs=width, outputs=hidden, bias=hidden * bias, shard="row"
    )
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
        weights.append(
            Weight(name="router.scale", group="router", inputs=1, outputs=hidden + experts, linear=False)
        )
    if read.shared_width:
        weights += _mlp_weights(read, "mlp.shared_experts", "shared_experts", read.shared_width)
        if read.get("shared_expert_intermediate_size"):
            weights.append(
                Weight(
                    name="mlp.shared_expert_gate",
                    group="shared_experts",
                    inputs=hidden,
                    outputs=1,
                    linear=False,
                )
            )
    return weights


def outside_weights(read: Config) -> tuple[Weight, ...]:
    """Embeddings, the final norm and lm_head."""
    hidden, vocab = read.hidden_size, read.vocab_size
    weights = [
        Weight(
            name="embed_tokens", group="embedding", inputs=hidden, outputs=vocab, shard="vocab", linear=False
        ),
        _norm("norm", hidden, read),
    ]
    if not read.tied_embeddings:
        bias = vocab if read.model_type in ("phi", "gptj", "codegen") else 0
        weights.append(
            Weight(
                name="lm_head",
                group="lm_head",
                inputs=hidden,
                outputs=vocab,
                bias=bias,
                shard="vocab",
                linear=False,
            )
        )
    if read.model_type in ("gpt2", "gpt_bigcode", "opt"):
        positions = read.context_tokens + (2 if read.model_type == "opt" else 0)
        weights.append(
            Weight(name="embed_positions", group="embedding", inputs=hidden, outputs=positions, linear=False)
        )
    per_layer = read.whole("hidden_size_per_layer_input") or 0
    if per_layer:
        rows, width = read.whole("vocab_size_per_layer_input") or vocab, per_layer * read.layers
        weights += [
            Weight(name="embed_tokens_per_layer", group="embedding", inputs=width, outputs=rows, shard="vocab", linear=False),
            Weight(name="per_layer_model_projection", group="dense_mlp", inputs=hidden, outputs=width, shard="column"),
            _norm("per_layer_projection_norm", per_layer, read),
        ]  # fmt: skip
    return tuple(weights)
