"""What a model is made of: its layers, their weights and what they keep of each token.

Counts are parameters (elements), not bytes, unless a name says otherwise.
"""

import msgspec


class Weight(msgspec.Struct, frozen=True, kw_only=True):
    """One tensor of a layer (or `copies` of it: experts), `inputs` x `outputs` elements and `bias` more.

    `shard` says what tensor parallelism does with it: "column" (outputs are divided), "row" (inputs are divided),
    "kv" (divided by heads, of which `units` exist: heads are repeated when there are fewer than GPUs), "vocab"
    (outputs padded and divided), "replicated". `linear` weights can be quantised, others never are.
    `name` is the module path below its layer, as quantised checkpoints name what they leave out.
    """

    name: str
    group: str
    inputs: int
    outputs: int
    bias: int = 0
    copies: int = 1
    shard: str = "replicated"
    units: int = 1
    linear: bool = True
    active_copies: float = 1.0

    @property
    def params(self) -> int:
        """All elements, of all copies."""
        return self.copies * (self.inputs * self.outputs + self.bias)

    @property
    def active_params(self) -> int:
        """The elements that one token touches."""
        return round(self.active_copies * (self.inputs * self.outputs + self.bias))


class Attention(msgspec.Struct, frozen=True, kw_only=True):
    """How a layer attends and what it keeps.

    `kind`: "full", "sliding" (the last `window_tokens`), "chunked" (chunks of `window_tokens`), "mamba" or "linear"
    (a state of fixed size: `conv_elements` in the model's dtype and `state_elements` of `state_bytes_each` bytes, 0 for the
    model's dtype, over `state_heads`), "none". `latent_rank` above 0 is multi-head latent
    attention: `latent_rank` + `rope_dim` elements a token instead of keys and values; `index_bytes` is a sparse
    indexer's cache beside it. `shares_cache` layers read another layer's cache; `beside` is a state layer on the same input (Falcon H1).
    """

    kind: str
    heads: int = 0
    kv_heads: int = 0
    head_dim: int = 0
    v_head_dim: int = 0
    window_tokens: int | None = None
    q_lora_rank: int = 0
    latent_rank: int = 0
    rope_dim: int = 0
    index_bytes: int = 0
    shares_cache: bool = False
    conv_elements: int = 0
    state_elements: int = 0
    state_heads: int = 0
    state_bytes_each: int = 0
    beside: "Attention | None" = None

    @property
    def keeps_tokens(self) -> bool:
        """Whether the layer stores keys and values of its own."""
        return self.kind in ("full", "sliding", "chunked") and not self.shares_cache

    def kv_elements(self, tensor_parallel_size: int = 1) -> int:
        """Elements that one GPU keeps of one token: heads are repeated when GPUs outnumber them, a latent always."""
        if not self.keeps_tokens:
            return 0
        if self.latent_rank:
            return self.latent_rank + self.rope_dim
        return max(1, -(-self.kv_heads // tensor_parallel_size)) * (self.head_dim + self.v_head_dim)


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of layer: its attention, whether it has routed experts, and its weights."""

    attention: Attention
    moe: bool
    weights: tuple[Weight, ...]
    params: int
    active_params: int


class Experts(msgspec.Struct, frozen=True, kw_only=True):
    """The mixture of experts: how many there are and how many a token visits."""

    experts: int
    per_token: int
    intermediate_size: int
    shared_intermediate_size: int
    moe_layers: int


class Quantization(msgspec.Struct, frozen=True, kw_only=True):
    """How a checkpoint stores its linear weights.

    `bits` of a weight; `group_size` weights share a scale of `scale_bits` (0: one scale an output channel, -1: one a
    tensor) and, with `zero_point`, an offset of `bits`; `block` is a two-dimensional group. `ignored` are module
    names (exact, `*` patterns, or `re:` expressions) that stay in the model's dtype; `only` restricts to weight groups,
    `targets` (where given) to module names. `floating` tells fp8 from int8, and nvfp4 or mxfp4 from int4.
    """

    method: str
    bits: int
    group_size: int
    scale_bits: int = 16
    zero_point: bool = False
    block: tuple[int, int] | None = None
    ignored: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    activation_bits: int = 16
    floating: bool = False
    kv_cache: str | None = None


class Vision(msgspec.Struct, frozen=True, kw_only=True):
    """A tower that reads images (or sound), its projector included."""

    kind: str
    layers: int
    hidden_size: int
    intermediate_size: int
    heads: int
    patch_size: int
    image_size: int
    merge: int
    tokens_per_image: int
    params: int
    weights: tuple[tuple[int, Weight], ...]


class Params(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters by group. `mtp` (multi-token prediction) is stored but not loaded unless asked for, and in no total."""

    embedding: int = 0
    lm_head: int = 0
    attention: int = 0
    dense_mlp: int = 0
    experts: int = 0
    shared_experts: int = 0
    router: int = 0
    norms: int = 0
    vision: int = 0
    mtp: int = 0


class Architecture(msgspec.Struct, frozen=True, kw_only=True, eq=False, weakref=True):
    """A model as its `config.json` describes it. Compared and hashed by identity: parse a config once.

    `layer_order[i]` is the index into `layer_kinds` of layer i.
    `context_tokens` is the config's own limit.
    `total_params` counts the language model and the tower; `active_params` what one token touches (embeddings and
    lm_head included, as published figures do). `weight_bytes`: the checkpoint's bytes as stored, where known.
    """

    model_type: str
    name: str
    layers: int
    hidden_size: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate_size: int
    vocab_size: int
    tied_embeddings: bool
    dtype: str
    context_tokens: int
    layer_kinds: tuple[Layer, ...]
    layer_order: tuple[int, ...]
    outside: tuple[Weight, ...]
    moe: Experts | None = None
    vision: Vision | None = None
    quantization: Quantization | None = None
    params: Params
    total_params: int
    active_params: int
    rope_elements: int = 0
    stated_params: int | None = None
    weight_bytes: int | None = None

    @property
    def attention_type(self) -> str:
        """ "mha", "gqa", "mqa", "mla", or "hybrid" (more than one kind of layer, or not full attention)."""
        kinds = {layer.attention.kind for layer in self.layer_kinds if not layer.attention.shares_cache}
        if kinds != {"full"}:
            return "hybrid"
        if any(layer.attention.latent_rank for layer in self.layer_kinds):
            return "mla"
        if self.kv_heads == self.heads:
            return "mha"
        return "mqa" if self.kv_heads == 1 else "gqa"

    @property
    def is_mla(self) -> bool:
        """Whether layers keep a latent instead of keys and values."""
        return any(layer.attention.latent_rank for layer in self.layer_kinds)

    @property
    def matmul_params(self) -> int:
        """Parameters that a token is multiplied with: the active ones without the embedding's lookup and the tower."""
        lookup = 0 if self.tied_embeddings else self.params.embedding
        return self.active_params - lookup - self.params.vision

    def attention_of(self, layer: int) -> Attention:
        """The attention of layer number `layer`."""
        return self.layer_kinds[self.layer_order[layer]].attention

    def kind_counts(self) -> tuple[tuple[Layer, int], ...]:
        """Each kind of layer and how many there are."""
        return tuple((kind, self.layer_order.count(i)) for i, kind in enumerate(self.layer_kinds))

    def kv_bytes_per_token(
        self, bytes_each: float = 2.0, tensor_parallel_size: int = 1, tokens: int = 0
    ) -> float:
        """Bytes that one GPU keeps of a token, over all layers, at `bytes_each` bytes an element.

        With `tokens` above 0, the mean over a sequence of that many tokens: a window stops growing.
        """
        total = 0.0
        for kind, count in self.kind_counts():
            attention = kind.attention
            share = 1.0
            if tokens and attention.window_tokens and attention.window_tokens < tokens:
                share = attention.window_tokens / tokens
            total += (
                count
                * share
                * (attention.kv_elements(tensor_parallel_size) * bytes_each + attention.index_bytes)
            )
        return total
