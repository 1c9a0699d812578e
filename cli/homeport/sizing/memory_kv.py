"""The KV cache as engines page it: what a block holds, how many fit, how many tokens that is.

The groups follow vLLM (v1/core/kv_cache_utils.py, kv_cache_interface.py): layers that keep the same things are split
into groups of equal size, padded where they don't divide, and all groups draw blocks of one size from one pool.
"""

from functools import lru_cache

import msgspec

from homeport.catalog.architecture import Architecture, Attention
from homeport.sizing.memory_engines import Rules

CACHE_BYTES = {"fp16": 2, "float16": 2, "bfloat16": 2, "float32": 4, "fp8": 1, "fp8_e4m3": 1, "fp8_e5m2": 1}


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Layers that share a block table: `block_tokens` tokens a block; a `state` takes one block a request."""

    kind: str
    layers: int
    block_tokens: int
    window_tokens: int | None


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """How a rank's cache is laid out. A block takes `block_bytes` on one GPU; `groups` draw from one pool."""

    groups: tuple[Group, ...]
    block_bytes: int
    block_tokens: int
    page_bytes: int

    def blocks_of_request(self, tokens: int, rules: Rules) -> int:
        """Blocks that one request of `tokens` tokens takes, of all groups."""
        return sum(_blocks(group, tokens, rules) for group in self.groups)


def _blocks(group: Group, tokens: int, rules: Rules) -> int:
    if group.kind in ("mamba", "linear"):
        return 1
    held = tokens
    chunk = rules.in_flight_batches * rules.batched_tokens
    if group.window_tokens:
        if group.kind == "sliding":
            held = min(group.window_tokens - 1 + chunk, tokens)
            # The window may begin inside a block.
            return -(-held // group.block_tokens) + 1
        held = min(group.window_tokens + chunk, tokens)
    return -(-held // group.block_tokens)


def _page_tokens_bytes(attention: Attention, tensor: int, each: int) -> int:
    """Bytes that one GPU keeps of one token in one layer."""
    if attention.index_bytes and each == 1:
        # Sparse latents in 8 bit keep a 32-bit scale for each 128 elements and rotary keys in 16 bit (vLLM fp8_ds_mla: 656).
        return attention.latent_rank * 132 // 128 + 2 * attention.rope_dim + attention.index_bytes
    return attention.kv_elements(tensor) * each + attention.index_bytes


def state_bytes(attention: Attention, tensor: int, each: int) -> int:
    """Bytes of a layer's state of one request: the convolution's in the model's dtype, the state in 32 bit or in it."""
    if attention.kind not in ("mamba", "linear"):
        return 0
    kept = attention.state_bytes_each or each
    return -(-attention.conv_elements // tensor) * each + -(-attention.state_elements // tensor) * kept


def _key(attention: Attention, tensor: int, each: int, *, hybrid: bool) -> tuple[str, int, int | None] | None:
    """What distinguishes a layer's cache: its kind, bytes (of a token, or of a state), and window; None without a cache."""
    if attention.kind in ("mamba", "linear"):
        return attention.kind, state_bytes(attention, tensor, each), None
    if not attention.keeps_tokens:
        return None
    size = _page_tokens_bytes(attention, tensor, each)
    return (attention.kind, size, attention.window_tokens) if hybrid else ("full", size, None)


@lru_cache(maxsize=4096)
def layout(
    arch: Architecture, layers: tuple[int, ...], tensor: int, each: int, block_tokens: int, *, hybrid: bool
) -> Layout:
    """The layout of one pipeline rank with these `layers`; `each` is bytes an element, `hybrid` whether groups differ."""
    counts: dict[tuple[str, int, int | None], int] = {}
    whole: dict[tuple[str, int, int | None], int] = {}
    mine = set(layers)
    for i in range(arch.layers):
        for attention in (arch.attention_of(i), arch.attention_of(i).beside):
            key = _key(attention, tensor, each, hybrid=hybrid) if attention else None
            if key:
                whole[key] = whole.get(key, 0) + 1
                if i in mine:
                    counts[key] = counts.get(key, 0) + 1
    if not counts:
        return Layout(groups=(), block_bytes=0, block_tokens=block_tokens, page_bytes=0)
    if (
        not any(kind in ("mamba", "linear") for kind, _, _ in whole)
        and len({(k, w) for k, _, w in whole}) == 1
    ):
        # One kind of attention: one group, and each layer has pages of its own size.
        kind, _, window = next(iter(counts))
        per_token = sum(size * count for (_, size, _), count in counts.items())
        group = Group(kind=kind, layers=sum(counts.values()), block_tokens=block_tokens, window_tokens=window)
        return Layout(
            groups=(group,),
            block_bytes=per_token * block_tokens,
            block_tokens=block_tokens,
            page_bytes=per_token * block_tokens // max(1, group.layers),
        )
    return _grouped(whole, counts, block_tokens)


def _grouped(
    whole: dict[tuple[str, int, int | None], int],
    counts: dict[tuple[str, int, int | None], int],
    block_tokens: int,
) -> Layout:
    """Groups of equal size over several kinds of layers, with pages of equal bytes."""
    attention = {key: key[1] for key in whole if key[0] not in ("mamba", "linear")}
    widest = max(attention.values(), default=0)
    state = max((key[1] for key in whole if key[0] in ("mamba", "linear")), default=0)
    base = block_tokens
    if state and widest:
        # The attention's block grows until a page holds a state, which is padded to it (vLLM HybridAttentionMambaModelConfig).
        base = max(base, -(-state // (widest * block_tokens)) * block_tokens)
    page = widest * base if widest else state
    smallest = min(whole.values())
    size = smallest if max(whole.values()) >= smallest * 1.25 else max(whole.values())
    groups: list[Group] = []
    longest = 0
    for key, count in whole.items():
        kind, per_token, window = key
        number = -(-count // size)
        own = counts.get(key, 0)
        # Layers are dealt to the groups in turn, so the first group of a kind is its longest on this rank.
        longest = max(longest, -(-own // number))
        tokens = base if kind in ("mamba", "linear") else max(base, page // per_token)
        groups += [
            Group(kind=kind, layers=-(-own // number), block_tokens=tokens, window_tokens=window)
        ] * number
    return Layout(groups=tuple(groups), block_bytes=page * longest, block_tokens=base, page_bytes=page)


def capacity(kv: Layout, blocks: int, rules: Rules) -> int:
    """Tokens of the cache as the engine prints them."""
    if not kv.groups:
        return 0
    if rules.capacity_by_concurrency:
        return int(blocks / kv.blocks_of_request(rules.max_model_len, rules) * rules.max_model_len)
    return blocks // len(kv.groups) * min(group.block_tokens for group in kv.groups)
