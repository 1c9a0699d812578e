"""The keys of a `config.json`, whatever a family calls them, and the families' defaults for what they leave out."""

from functools import cached_property
from typing import Any

from homeport.errors import Problem, SpecError

ALIASES: dict[str, tuple[str, ...]] = {
    "num_hidden_layers": ("num_hidden_layers", "n_layer", "n_layers", "num_layers"),
    "hidden_size": ("hidden_size", "n_embd", "d_model", "n_embed", "model_dim", "dim"),
    "num_attention_heads": ("num_attention_heads", "n_head", "n_heads", "num_heads"),
    "intermediate_size": ("intermediate_size", "ffn_hidden_size", "n_inner", "ffn_dim", "d_ff", "hidden_dim"),
    "vocab_size": ("vocab_size", "padded_vocab_size", "n_vocab"),
    "max_position_embeddings": (
        "max_position_embeddings", "n_positions", "max_seq_len", "max_sequence_length", "seq_length", "n_ctx",
        "model_max_length",
    ),
    "experts": ("num_experts", "n_routed_experts", "num_local_experts", "moe_num_experts", "num_routed_experts"),
    "experts_per_token": (
        "num_experts_per_tok", "top_k_experts", "num_experts_per_token", "moe_top_k", "moe_topk", "moe_k",
        "experts_per_token", "num_selected_experts",
    ),
}  # fmt: skip

# Families whose MLP has no gate: two matrices instead of three.
UNGATED = frozenset({
    "gptj", "gpt2", "gpt_neo", "gpt_neox", "gpt_bigcode", "phi", "falcon", "opt", "bloom", "mpt", "starcoder2", "nemotron",
    "nemotron_h", "codegen", "persimmon", "fuyu", "arcee",
})  # fmt: skip
# Families whose config class ties the embeddings when the file doesn't say (transformers' defaults).
TIED = frozenset({
    "gemma", "gemma2", "gemma3", "gemma3_text", "gemma3n", "gemma3n_text", "gemma4", "gemma4_text", "cohere", "cohere2",
    "gpt2", "gpt_bigcode", "opt", "bloom", "mpt", "falcon", "starcoder2",
})  # fmt: skip
# Families whose MLP is 4 x hidden_size wide when the file doesn't say.
FOUR_WIDE = frozenset({"gpt2", "gpt_bigcode", "gptj", "gpt_neo", "falcon", "bloom", "mpt", "codegen"})
# Families without rotary positions.
NO_ROPE = frozenset({"gpt2", "gpt_bigcode", "opt", "bloom", "mpt"})
DTYPES = {"half": "float16", "fp16": "float16", "bf16": "bfloat16", "float": "float32", "fp32": "float32"}


def number(value: Any, default: int) -> int:
    """A whole number above zero, else the default: what stands in a file may be anything."""
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 1:
        return int(value)
    return default


class Config:
    """One config: `text` is the language model's part, `top` the whole file."""

    def __init__(self, config: dict[str, Any]) -> None:
        """Keep the file; a model that reads images nests its language model under one of several names."""
        self.top = config
        self.text: dict[str, Any] = config
        for key in ("text_config", "llm_config", "language_config", "thinker_config"):
            inner = config.get(key)
            if isinstance(inner, dict):
                self.text = inner.get("text_config", inner)
                break
        self.missing: list[str] = []

    def get(self, key: str, default: Any = None) -> Any:
        """The value of the first alias of `key` that the language model's part, then the file, has."""
        names = ALIASES.get(key, (key,))
        for part in (self.text, self.top):
            for name in names:
                value = part.get(name)
                if value is not None:
                    return value
        return default

    def whole(self, key: str) -> int | None:
        """A whole number, or None."""
        value = self.get(key)
        if isinstance(value, list) and value and all(isinstance(v, int | float) for v in value):
            value = max(value)
        return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    def needed(self, key: str) -> int:
        """A whole number above zero; noted as missing otherwise."""
        value = self.whole(key)
        if not value or value < 0:
            if key not in self.missing:
                self.missing.append(key)
            return 1
        return value

    def raise_if_incomplete(self) -> None:
        """Raise SpecError for the keys that sizing can't do without."""
        if self.missing:
            raise SpecError([
                Problem(
                    message=f"the model's config.json has no {key}" if self.get(key) is None
                    else f"the model's config.json has {key}: {self.get(key)!r}, which is no size",
                    path=("config", key),
                    help="known aliases: " + ", ".join(ALIASES[key]) if key in ALIASES else None,
                )
                for key in self.missing
            ])  # fmt: skip

    @cached_property
    def model_type(self) -> str:
        """The language model's family: `model_type`, or the architecture's name where there is none."""
        name = self.text.get("model_type") or self.top.get("model_type")
        if name:
            return str(name)
        classes = self.text.get("architectures") or self.top.get("architectures")
        return str(classes[0]) if isinstance(classes, list) and classes else "unknown"

    @cached_property
    def layers(self) -> int:
        """Transformer layers, without multi-token prediction."""
        count = self.needed("num_hidden_layers")
        self.raise_if_incomplete()
        return count

    @cached_property
    def hidden_size(self) -> int:
        """Width of the residual stream."""
        return self.needed("hidden_size")

    @cached_property
    def heads(self) -> int:
        """Query heads."""
        return self.needed("num_attention_heads")

    @cached_property
    def kv_heads(self) -> int:
        """Key and value heads."""
        for key in (
            "num_key_value_heads",
            "num_kv_heads",
            "n_head_kv",
            "multi_query_group_num",
            "num_query_groups",
        ):
            value = self.whole(key)
            if value:
                if (
                    key == "num_kv_heads"
                    and self.model_type == "falcon"
                    and not self.get("new_decoder_architecture")
                ):
                    break
                return value
        inner = self.get("attn_config")
        if isinstance(inner, dict) and inner.get("kv_n_heads"):
            return int(inner["kv_n_heads"])
        if self.get("multi_query") and not self.get("new_decoder_architecture"):
            return 1
        return self.heads

    @cached_property
    def head_dim(self) -> int:
        """Elements of a query head."""
        if self.get("kv_lora_rank"):
            return self.needed("qk_nope_head_dim") + self.needed("qk_rope_head_dim")
        return (
            self.whole("head_dim")
            or self.whole("attention_head_dim")
            or self.whole("kv_channels")
            or self.hidden_size // max(1, self.heads)
        )

    @cached_property
    def intermediate_size(self) -> int:
        """Width of the dense MLP."""
        width = self.whole("intermediate_size")
        if width:
            return width
        inner = self.get("ffn_config")
        if isinstance(inner, dict) and inner.get("ffn_hidden_size"):
            return int(inner["ffn_hidden_size"])
        if self.model_type in FOUR_WIDE:
            return 4 * self.hidden_size
        if self.experts and self.whole("moe_intermediate_size"):
            return self.expert_width
        return self.needed("intermediate_size")

    @cached_property
    def vocab_size(self) -> int:
        """Tokens of the vocabulary."""
        return self.needed("vocab_size")

    @cached_property
    def tied_embeddings(self) -> bool:
        """Whether lm_head is the embedding matrix."""
        for part in (self.top, self.text):
            value = part.get("tie_word_embeddings")
            if value is not None:
                return bool(value)
        return self.model_type in TIED

    @cached_property
    def dtype(self) -> str:
        """The dtype of weights that are not quantised; bfloat16 where the file doesn't say."""
        value = (
            self.top.get("dtype")
            or self.top.get("torch_dtype")
            or self.get("dtype")
            or self.get("torch_dtype")
        )
        text = str(value or "bfloat16").removeprefix("torch.")
        return DTYPES.get(text, text)

    @cached_property
    def context_tokens(self) -> int:
        """The context that the file allows, positions scaled as engines scale them (YaRN and linear, not llama3).

        0 when the file doesn't say.
        """
        limit = max(0, self.whole("max_position_embeddings") or 0)
        kind, factor, original = self._scaling
        if kind == "yarn":
            return int((original or limit) * factor)
        # Gemma 3 states the scaled length already (vLLM `_get_and_verify_max_len`).
        scaled = kind in ("linear", "dynamic") and not self.model_type.startswith("gemma3")
        return int(limit * factor) if scaled else limit

    @cached_property
    def _scaling(self) -> tuple[str, float, int]:
        """How positions are scaled: its kind ("" for none), factor and original length."""
        found = self.get("rope_scaling") or self.get("rope_parameters")
        if isinstance(found, dict) and isinstance(found.get("full_attention"), dict):
            found = found["full_attention"]
        if not isinstance(found, dict) or not found:
            return "", 1.0, 0
        factor = found.get("factor")
        kind = str(found.get("rope_type") or found.get("type") or "default")
        if not isinstance(factor, int | float) or isinstance(factor, bool) or factor <= 0:
            factor = 1.0
        return kind, float(factor), number(found.get("original_max_position_embeddings"), 0)

    @cached_property
    def rope_elements(self) -> int:
        """Elements of the tables of rotary positions that engines precompute: rows x rotated elements of a head.

        Rows are the positions that the scaling reaches (vLLM's `RotaryEmbedding._compute_cos_sin_cache`: linear and
        dynamic scaling multiply them, YaRN multiplies the original length, llama3 leaves them).
        """
        if self.model_type in NO_ROPE:
            return 0
        rows = max(0, self.whole("max_position_embeddings") or 0)
        kind, factor, original = self._scaling
        local = rows if self.model_type in ("gemma3", "gemma3_text", "gemma4", "gemma4_text") else 0
        # Every published gemma3 that reads images scales positions by 8 (google/gemma-3-4b-it config.json).
        if not kind and self.top.get("model_type") == "gemma3":
            kind, factor = "linear", 8.0
        if kind in ("linear", "dynamic"):
            rows = int(rows * factor)
        elif kind == "yarn":
            rows = int((original or rows) * factor)
        elif kind in ("longrope", "su"):
            rows += self.whole("original_max_position_embeddings") or 0
        if self.get("kv_lora_rank"):
            return rows * (self.whole("qk_rope_head_dim") or 0)
        share = self.get("partial_rotary_factor") or self.get("rotary_pct")
        given = self.get("rope_parameters")
        if share is None and isinstance(given, dict):
            share = given.get("partial_rotary_factor")
        wide = self.whole("rotary_dim") or int(self.head_dim * (share if isinstance(share, float) else 1.0))
        broad = self.whole("global_head_dim") or wide
        return rows * broad + local * wide

    @cached_property
    def gated(self) -> bool:
        """Whether the MLP has a gate."""
        return self.model_type not in UNGATED

    @cached_property
    def experts(self) -> int:
        """Routed experts of a layer; 0 for a dense model."""
        inner = self.get("ffn_config")
        if isinstance(inner, dict) and inner.get("moe_num_experts"):
            return int(inner["moe_num_experts"])
        if self.get("enable_moe_block") is False:
            return 0
        count = self.whole("experts") or 0
        return count if count > 1 else 0

    @cached_property
    def experts_per_token(self) -> int:
        """Routed experts that a token visits."""
        inner = self.get("ffn_config")
        if isinstance(inner, dict) and inner.get("moe_top_k"):
            return int(inner["moe_top_k"])
        return self.needed("experts_per_token")

    @cached_property
    def expert_width(self) -> int:
        """Width of one routed expert."""
        for key in ("moe_intermediate_size", "expert_ffn_hidden_size", "moe_ffn_hidden_size"):
            value = self.whole(key)
            if value:
                return value
        return self.intermediate_size

    @cached_property
    def shared_width(self) -> int:
        """Width of the experts that every token visits, together."""
        for key in (
            "shared_expert_intermediate_size",
            "moe_shared_expert_intermediate_size",
            "shared_intermediate_size",
        ):
            value = self.whole(key)
            if value:
                return value
        if self.model_type in ("llama4", "llama4_text"):
            return self.intermediate_size
        for key in ("n_shared_experts", "num_shared_experts", "num_shared_expert", "moe_num_shared_experts"):
            value = self.whole(key)
            if value:
                return value * self.expert_width
        return 0

    @cached_property
    def mtp_layers(self) -> int:
        """Extra layers for multi-token prediction."""
        for key in ("num_nextn_predict_layers", "mtp_num_hidden_layers", "num_mtp_modules"):
            value = self.whole(key)
            if value:
                return value
        return 0

    def mlp_kind(self, layer: int, routed: bool) -> str:
        """ "moe", "dense" or "none" (nemotron_h's attention and Mamba layers have no MLP)."""
        pattern = self.get("hybrid_override_pattern")
        if isinstance(pattern, str) and layer < len(pattern):
            return {"-": "dense", "E": "moe"}.get(pattern[layer], "none")
        return "moe" if routed else "dense"

    def mlp_width(self, layer: int) -> int:
        """Width of the dense MLP of a layer, where it differs."""
        widths = self.text.get("intermediate_size")
        if isinstance(widths, list) and layer < len(widths):
            return int(widths[layer])
        if self.model_type in ("llama4", "llama4_text"):
            return self.whole("intermediate_size_mlp") or self.intermediate_size
        shared = self.whole("num_kv_shared_layers") or 0
        if self.get("use_double_wide_mlp") and shared and layer >= self.layers - shared:
            return 2 * self.intermediate_size
        return self.intermediate_size
