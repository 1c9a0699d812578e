"""The peak of start-up's profiling run: a step of the largest batch, then the sampler over all its requests."""

from homeport.catalog.architecture import Architecture, Quantization
from homeport.sizing.memory_constants import (
    GIB,
    LARGEST_IMAGE_TOKENS,
    LARGEST_QWEN_IMAGE_TOKENS,
    RESIDUAL_COPIES,
    Fitted,
)
from homeport.sizing.memory_engines import Rules


def experts_gib(arch: Architecture, rules: Rules, tensor: int, each: int, fitted: Fitted) -> float:
    """Workspaces of fused experts, which stay allocated: two intermediates (the first doubles as the third) and the output.

    Shapes as in vLLM's TritonExperts.workspace_shapes: tokens x experts a token x the wider of 2 x width and hidden,
    tokens x experts a token x width, tokens x hidden.
    """
    if arch.moe is None:
        return 0.0
    pairs = rules.batched_tokens * arch.moe.per_token
    width = -(-arch.moe.intermediate_size // tensor)
    elements = pairs * (max(2 * width, arch.hidden_size) + width) + rules.batched_tokens * arch.hidden_size
    return elements * each / GIB + fitted.experts_base_gib


def _images(arch: Architecture, rules: Rules) -> tuple[int, int, int]:
    """How many images profiling takes, the tokens of one, and its patches; zeros for a model that reads none."""
    tower = arch.vision
    if tower is None:
        return 0, 0, 0
    per_image = tower.tokens_per_image
    if not per_image:
        per_image = LARGEST_QWEN_IMAGE_TOKENS if tower.kind.startswith("qwen") else LARGEST_IMAGE_TOKENS
    patches = (tower.image_size // tower.patch_size) ** 2 if tower.image_size else per_image * tower.merge**2
    return max(1, rules.batched_tokens // per_image), per_image, patches


def images_gib(arch: Architecture, rules: Rules, each: int) -> float:
    """What profiling keeps of images: their embeddings and pixels."""
    count, tokens, patches = _images(arch, rules)
    if arch.vision is None:
        return 0.0
    return count * (tokens * arch.hidden_size + patches * 3 * arch.vision.patch_size**2) * each / GIB


def tower_gib(arch: Architecture, rules: Rules, each: int) -> float:
    """The tower's widest layer over those images: hidden state, residual and attention, and the MLP's intermediates."""
    count, _, patches = _images(arch, rules)
    if arch.vision is None:
        return 0.0
    return count * patches * (3 * arch.vision.hidden_size + 2 * arch.vision.intermediate_size) * each / GIB


def sampler_gib(arch: Architecture, rules: Rules, each: int, fitted: Fitted) -> float:
    """Logits in the model's dtype and their copies in 32 bit, over the vocabulary, for every request."""
    matrix = rules.requests * arch.vocab_size
    copies = fitted.sampler_copies_sort if rules.sorts_to_sample else fitted.sampler_copies
    if rules.v0 and rules.chunked_prefill:
        copies = 1.0  # the old engine's profiling samples without top-k and top-p when it chunks prompts
    return matrix * (each + 4 * copies) / GIB


def forward_gib(
    arch: Architecture, rules: Rules, tensor: int, each: int, quant: Quantization | None
) -> float:
    """The widest layer's intermediates for one step's tokens."""
    tokens = rules.batched_tokens
    hidden = RESIDUAL_COPIES * arch.hidden_size
    dense = 0
    if any(not kind.moe for kind in arch.layer_kinds) or arch.moe is None:
        width = -(-arch.intermediate_size // tensor)
        gate = any(w.name.endswith("gate_proj") for kind in arch.layer_kinds for w in kind.weights)
        dense = (3 if gate else 2) * width * each
        if quant is not None and quant.activation_bits <= 8:
            dense += width  # the 8-bit copy that the down projection reads
    heads = max((kind.attention.heads * kind.attention.head_dim for kind in arch.layer_kinds), default=0)
    attention = 4 * -(-heads // tensor) * each
    return tokens * (hidden * each + max(dense, attention)) / GIB


def activation_gib(
    arch: Architecture,
    rules: Rules,
    tensor: int,
    each: int,
    quant: Quantization | None,
    fitted: Fitted,
    *,
    first: bool,
    last: bool,
) -> tuple[float, str]:
    """The peak on one pipeline rank and what causes it: "sampler", "forward" or "tower"."""
    experts = experts_gib(arch, rules, tensor, each, fitted)
    kept = fitted.profile_base_gib + (images_gib(arch, rules, each) if first else 0.0)
    tower = tower_gib(arch, rules, each) if first else 0.0
    hidden = rules.batched_tokens * arch.hidden_size * each / GIB
    if not (first and last):
        kept += 2 * hidden  # hidden state and residual that pipeline stages hand on
    forward = forward_gib(arch, rules, tensor, each, quant) + experts
    if last:
        sampler = (
            hidden + sampler_gib(arch, rules, each, fitted) + (experts if rules.keeps_workspaces else 0.0)
        )
        if sampler > max(forward, tower):
            return kept + sampler, "sampler"
    return (kept + tower, "tower") if tower > forward else (kept + forward, "forward")
