"""The tower that reads images, with its projector: exact for the towers named here, by shared keys for others."""

from typing import Any

from homeport.catalog.architecture_config import LIMITS, MOST, number
from homeport.catalog.architecture_types import Vision, Weight
from homeport.errors import Problem, SpecError

DEPTHS = ("num_hidden_layers", "depth", "layers", "vt_num_hidden_layers")
LAYERS = LIMITS["num_hidden_layers"]


def _int(part: dict[str, Any], *keys: str, default: int = 0) -> int:
    for key in keys:
        value = part.get(key)
        if isinstance(value, list) and value:
            value = value[0]
        if found := number(value, 0):
            return found
    return default


def _size(part: dict[str, Any], *keys: str, default: int = 0) -> int:
    """A size that weights follow from: the first of the keys that stands there. Raises SpecError where it is none."""
    for key in keys:
        value = part.get(key)
        if value is not None:
            if found := number(value, 0, LAYERS if key in DEPTHS else MOST):
                return found
            raise SpecError(
                [
                    Problem(
                        message=f"the model's config.json has vision_config.{key}: {value!r:.40}, which is no size",
                        path=("config", key),
                    )
                ]
            )
    return default


def _ratio(part: dict[str, Any]) -> float:
    """Width of the MLP in hidden widths."""
    value = part.get("mlp_ratio")
    known = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1000
    return float(value) if known and value is not None else 4.0


def vision(config: dict[str, Any], text_hidden: int) -> Vision | None:
    """Read `vision_config`; None when the model reads no images (or the file doesn't describe how)."""
    part = config.get("vision_config")
    if not isinstance(part, dict):
        return None
    hidden = _size(part, "embed_dim", "hidden_size", "width", "vt_hidden_size")
    layers = _size(part, *DEPTHS)
    if not hidden or not layers:
        return None
    kind = str(part.get("model_type") or config.get("model_type") or "unknown")
    heads = _size(part, "num_attention_heads", "num_heads", "vt_num_attention_heads", default=16)
    width = _size(part, "intermediate_size", "mlp_dim", "vt_intermediate_size") or int(hidden * _ratio(part))
    patch = _int(part, "patch_size", default=14)
    image = _int(part, "image_size", default=0)
    merge = _int(part, "spatial_merge_size", "merge_kernel_size") or _int(config, "spatial_merge_size")
    merge = merge or (2 if kind in ("pixtral", "moonvit") or kind.startswith("qwen") else 1)
    tokens = _int(config, "mm_tokens_per_image") or (256 if str(config.get("model_type")) == "gemma3" else 0)
    tokens = tokens or (max(1, image // (patch * merge)) ** 2 if image else 0)
    weights = _weights(config, part, kind, hidden, layers, width, patch, image, text_hidden)
    return Vision(
        kind=kind,
        layers=layers,
        hidden_size=hidden,
        intermediate_size=width,
        heads=heads,
        patch_size=patch,
        image_size=image,
        merge=merge,
        tokens_per_image=tokens,
        params=sum(count * w.params for count, w in weights),
        weights=weights,
    )


def _weights(
    config: dict[str, Any],
    part: dict[str, Any],
    kind: str,
    hidden: int,
    layers: int,
    width: int,
    patch: int,
    image: int,
    text: int,
) -> tuple[tuple[int, Weight], ...]:
    gated = kind in ("pixtral", "gemma4_vision", "qwen2_5_vl")
    bias = kind not in ("pixtral", "gemma4_vision")
    matrices = 3 if gated else 2

    def linear(name: str, inputs: int, outputs: int, shard: str, biased: bool = bias) -> Weight:
        return Weight(
            name=name, group="vision", inputs=inputs, outputs=outputs, bias=outputs * biased, shard=shard
        )

    def plain(name: str, elements: int) -> Weight:
        return Weight(name=name, group="vision", inputs=1, outputs=elements, linear=False)

    norms = 2 * hidden * (2 if bias else 1)
    if kind == "gemma4_vision":
        norms = 4 * hidden + 2 * (hidden // max(1, _int(part, "num_attention_heads", default=16)))
    out: list[tuple[int, Weight]] = [
        (layers, linear("vision_tower.layers.self_attn.qkv_proj", hidden, 3 * hidden, "column")),
        (layers, linear("vision_tower.layers.self_attn.out_proj", hidden, hidden, "row")),
        (layers, linear("vision_tower.layers.mlp.fc1", hidden, (matrices - 1) * width, "column")),
        (layers, linear("vision_tower.layers.mlp.fc2", width, hidden, "row")),
        (layers, plain("vision_tower.layers.norms", norms)),
    ]
    channels = 3 * patch * patch
    positions = (image // patch) ** 2 if image else 0
    top = str(config.get("model_type") or "")
    if kind == "pixtral":
        merge = _int(config, "spatial_merge_size", default=2)
        projector_bias = bool(config.get("multimodal_projector_bias"))
        out += [
            (1, plain("vision_tower.patch_conv", channels * hidden)),
            (1, plain("vision_tower.ln_pre", hidden)),
            (1, plain("multi_modal_projector.norm", hidden)),
            (
                1,
                linear(
                    "multi_modal_projector.patch_merger", merge * merge * hidden, hidden, "replicated", False
                ),
            ),
            (1, linear("multi_modal_projector.linear_1", hidden, text, "column", projector_bias)),
            (1, linear("multi_modal_projector.linear_2", text, text, "row", projector_bias)),
        ]
    elif kind == "moonvit":
        merged = hidden * 4
        grid = _int(part, "init_pos_emb_height", default=64) * _int(part, "init_pos_emb_width", default=64)
        out += [
            (1, plain("vision_tower.patch_embed", channels * hidden + hidden + grid * hidden)),
            (1, plain("vision_tower.norm", 2 * hidden)),
            (1, plain("multi_modal_projector.pre_norm", 2 * hidden)),
            (1, linear("multi_modal_projector.linear_1", merged, merged, "column")),
            (1, linear("multi_modal_projector.linear_2", merged, text, "row")),
        ]
    elif kind == "gemma4_vision":
        table = _int(part, "position_embedding_size", default=10240)
        out += [
            (1, plain("vision_tower.patch_embed", channels * hidden + 2 * table * hidden)),
            (1, linear("embed_vision.embedding_projection", hidden, text, "replicated", False)),
        ]
    elif kind.startswith("qwen"):
        temporal, merge = (
            _int(part, "temporal_patch_size", default=2),
            _int(part, "spatial_merge_size", default=2),
        )
        merged, outputs = hidden * merge * merge, _int(part, "out_hidden_size", default=text)
        out += [
            (1, plain("visual.patch_embed", channels * temporal * hidden)),
            (1, linear("visual.merger.mlp.0", merged, merged, "column")),
            (1, linear("visual.merger.mlp.2", merged, outputs, "row")),
        ]
        deep = part.get("deepstack_visual_indexes")
        if isinstance(deep, list):
            out += [
                (len(deep), linear("visual.deepstack_merger.fc1", merged, merged, "column")),
                (len(deep), linear("visual.deepstack_merger.fc2", merged, outputs, "row")),
                (1, plain("visual.pos_embed", _int(part, "num_position_embeddings", default=2304) * hidden)),
            ]
    else:
        clip = kind.startswith("clip")
        out.append(
            (
                1,
                plain(
                    "vision_tower.patch_embed",
                    channels * hidden + hidden * (not clip) + (positions + clip) * hidden,
                ),
            )
        )
        out.append((1, plain("vision_tower.post_layernorm", 2 * hidden * (2 if clip else 1))))
        if top.startswith("gemma3"):
            out.append((1, plain("multi_modal_projector.mm_input_projection_weight", hidden * text + hidden)))
        else:
            layers_used = config.get("vision_feature_layer")
            if kind.startswith("intern"):
                # Four patches are folded into one token, and every layer scales its outputs.
                out += [
                    (layers, plain("vision_tower.layers.scale", 2 * hidden)),
                    (1, plain("multi_modal_projector.norm", 8 * hidden)),
                ]
            features = (
                (4 if kind.startswith("intern") else 1)
                * hidden
                * (len(layers_used) if isinstance(layers_used, list) else 1)
            )
            out += [
                (1, linear("multi_modal_projector.linear_1", features, text, "column")),
                (1, linear("multi_modal_projector.linear_2", text, text, "row")),
            ]
            if top == "llava_next":
                out.append((1, plain("image_newline", text)))
    return tuple(out)
