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


MOST_BYTES = 2**50
"""More than any checkpoint has (1 PiB): a number above it is a mistake."""
MOST = 10_000_000
"""The largest size that is believed of anything without a limit of its own (the largest vocabularies have 262,208)."""
LIMITS = {
    "num_hidden_layers": 4096, "hidden_size": 1_000_000, "num_attention_heads": 65_536, "num_key_value_heads": 65_536,
    "num_kv_heads": 65_536, "experts": 65_536, "experts_per_token": 65_536, "head_dim": 65_536,
    "max_position_embeddings": 2**27, "original_max_position_embeddings": 2**27, "sliding_window": 2**27,
    "attention_chunk_size": 2**27, "total_params": 10**15, "weight_bytes": MOST_BYTES,
}  # fmt: skip
# What stands there must be a size, where it stands at all: weights and cache follow from it.
SIZES = frozenset({
    "num_hidden_layers", "hidden_size", "num_attention_heads", "num_key_value_heads", "num_kv_heads", "n_head_kv",
    "multi_query_group_num", "num_query_groups", "head_dim", "attention_head_dim", "kv_channels", "intermediate_size",
    "vocab_size", "max_position_embeddings", "moe_intermediate_size", "expert_ffn_hidden_size", "moe_ffn_hidden_size",
    "intermediate_size_mlp", "global_head_dim", "v_head_dim", "qk_nope_head_dim", "qk_rope_head_dim",
})  # fmt: skip
# These may be off: 0, -1 or false.
SWITCHES = frozenset({"sliding_window", "attention_chunk_size", "first_k_dense_replace", "max_window_layers"})
COUNTS = frozenset({"experts", "experts_per_token", *SWITCHES})
# One value a layer (gemma3n, hunyuan_v1_moe), or one for text and one for images (ernie4_5_moe_vl): the largest counts.
LISTED = frozenset({
    "intermediate_size", "experts", "experts_per_token", "moe_intermediate_size", "n_shared_experts",
    "num_shared_experts", "num_shared_expert", "moe_num_shared_experts",
})  # fmt: skip
# What the config class of a nested language model takes where the file leaves it out (transformers' defaults).
NESTED_DEFAULTS: dict[str, dict[str, int]] = {
    "gemma3_text": {"vocab_size": 262_208, "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256},
    "llama": {"vocab_size": 32_000, "hidden_size": 4096, "intermediate_size": 11_008, "num_hidden_layers": 32,
              "num_attention_heads": 32},
    "mistral": {"vocab_size": 32_000, "hidden_size": 4096, "intermediate_size": 14_336, "num_hidden_layers": 32,
                "num_attention_heads": 32, "num_key_value_heads": 8},
}  # fmt: skip
MOST_SCALING = 1_000_000.0
"""The largest factor of scaled positions that is believed."""


def is_whole(value: Any, most: int = MOST) -> bool:
    """Whether a value of a file is a whole number from `-most` to `most`: NaN, infinity and true are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -most <= value <= most and value == int(value)


def number(value: Any, default: int, most: int = MOST) -> int:
    """A whole number from 1 to `most`, else the default: what stands in a file may be anything."""
    return int(value) if is_whole(value, most) and value >= 1 else default


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:39] + "…"


class Config:
    """One config: `text` is the language model's part, `top` the whole file."""

    def __init__(self, config: dict[str, Any]) -> None:
        """Keep the file; a model that reads images nests its language model under one of several names."""
        self.top = config
        self.text: dict[str, Any] = config
        for key in ("text_config", "llm_config", "language_config", "thinker_config"):
            inner = config.get(key)
            if isinstance(inner, dict):
                nested = inner.get("text_config")
                self.text = nested if isinstance(nested, dict) else inner
                break
        self.missing: list[str] = []
        self.wrong: dict[str, Any] = {}

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
        """A whole number, or None; what can be none, or is too large to be true, is noted as wrong."""
        value = self.get(key)
        if value is None and self.text is not self.top and not self._says(key):
            value = NESTED_DEFAULTS.get(self.model_type, {}).get(key)
        return None if value is None else self._read(key, value)

    def _says(self, key: str) -> bool:
        return any(name in part for part in (self.text, self.top) for name in ALIASES.get(key, (key,)))

    def _read(self, key: str, value: Any, limit: int | None = None) -> int | None:
        most = limit or LIMITS.get(key, MOST)
        if isinstance(value, list) and self._may_list(key, value):
            read = [v for v in value if is_whole(v, most)]
            value = max(read) if len(read) == len(value) and min(read) >= (key in SIZES) else value
        if is_whole(value, most) and (value > 0 or key in SWITCHES or (value == 0 and key not in SIZES)):
            return int(value)
        numeric = isinstance(value, int | float | list) and not isinstance(value, bool)
        if value is not False and (numeric or key in SIZES or key in COUNTS):
            self.wrong.setdefault(key, value)
        return None

    def _may_list(self, key: str, value: list[Any]) -> bool:
        if key not in LISTED or not value:
            return False
        return len(value) >= self.layers or (len(value) == 2 and self.model_type.startswith("ernie4_5"))

    def part(self, outer: str, key: str) -> int | None:
        """A whole number of a part that some families have (`ffn_config`, `attn_config`); None: there is none."""
        inner = self.get(outer)
        value = inner.get(key) if isinstance(inner, dict) else None
        return None if value is None else self._read(f"{outer}.{key}", value)

    def needed(self, key: str) -> int:
        """A whole number above zero; noted as missing otherwise."""
        value = self.whole(key)
        if not value or value < 0:
            if key not in self.missing:
                self.missing.append(key)
            return 1
        return value

    def raise_if_incomplete(self) -> None:
        """Raise SpecError for the keys that sizing can't do without, and for those that are no sizes."""
        wrong = {key: self.get(key) for key in self.missing} | self.wrong
        if wrong:
            raise SpecError([
                Problem(
                    message=f"the model's config.json has no {key}" if value is None
                    else f"the model's config.json has {key}: {_short(value)}, which is no size",
                    path=("config", key),
                    help="known aliases: " + ", ".join(ALIASES[key]) if key in ALIASES else None,
                )
                for key, value in wrong.items()
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
        if heads := self.part("attn_config", "kv_n_heads"):
            return heads
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
        if width := self.part("ffn_config", "ffn_hidden_size"):
            return width
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
        if not isinstance(factor, int | float) or isinstance(factor, bool):
            factor = 1.0
        elif not 0 < factor <= MOST_SCALING:
            self.wrong.setdefault("rope_scaling.factor", factor)
            factor = 1.0
        limit = LIMITS["original_max_position_embeddings"]
        return kind, float(factor), number(found.get("original_max_position_embeddings"), 0, limit)

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
        if isinstance(share, float) and not 0 <= share <= 1:
            self.wrong.setdefault("partial_rotary_factor", share)
            share = None
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
        if experts := self.part("ffn_config", "moe_num_experts"):
            return experts
        if self.get("enable_moe_block") is False:
            return 0
        count = self.whole("experts") or 0
        if not count and self.whole("experts_per_token"):
            return self.needed("experts")  # tokens visit experts, so there are some
        return count if count > 1 else 0

    @cached_property
    def experts_per_token(self) -> int:
        """Routed experts that a token visits."""
        if used := self.part("ffn_config", "moe_top_k"):
            return used
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
            return number(widths[layer], self.intermediate_size)
        if self.model_type in ("llama4", "llama4_text"):
            return self.whole("intermediate_size_mlp") or self.intermediate_size
        shared = self.whole("num_kv_shared_layers") or 0
        if self.get("use_double_wide_mlp") and shared and layer >= self.layers - shared:
            return 2 * self.intermediate_size
        return self.intermediate_size
