"""Reads a Hugging Face `config.json` into an `Architecture`: what every layer weighs and keeps.

Known families get their exact shapes (checked against published parameter counts); any other `model_type` is read by
the keys that configs share.
"""

from typing import Any

from homeport.catalog.architecture_attention import layer_attention, moe_layers
from homeport.catalog.architecture_config import Config
from homeport.catalog.architecture_layers import layer_weights, outside_weights
from homeport.catalog.architecture_quantization import quantization
from homeport.catalog.architecture_types import (
    Architecture,
    Attention,
    Experts,
    Layer,
    Params,
    Quantization,
    Vision,
    Weight,
)
from homeport.catalog.architecture_vision import vision

__all__ = [
    "Architecture",
    "Attention",
    "Experts",
    "Layer",
    "Params",
    "Quantization",
    "Vision",
    "Weight",
    "architecture",
]


def architecture(config: dict[str, Any], name: str = "") -> Architecture:
    """Read a `config.json` as published (with optional `weight_bytes` and `total_params`); `name` is for messages.

    Raises SpecError naming the keys that are missing, or are no sizes, when the config can't be sized.
    """
    read = Config(config)
    layers, hidden = read.layers, read.hidden_size
    kinds: list[Layer] = []
    index: dict[tuple[Attention, str, int], int] = {}
    order: list[int] = []
    routed = moe_layers(read)
    for i in range(layers):
        attention = layer_attention(read, i)
        mlp = read.mlp_kind(i, routed[i])
        key = (attention, mlp, read.mlp_width(i))
        if key not in index:
            index[key] = len(kinds)
            weights = layer_weights(read, attention, mlp, i)
            kinds.append(
                Layer(
                    attention=attention,
                    moe=mlp == "moe",
                    weights=weights,
                    params=sum(w.params for w in weights),
                    active_params=sum(w.active_params for w in weights),
                )
            )
        order.append(index[key])
    read.raise_if_incomplete()

    outside = outside_weights(read)
    tower = vision(config, hidden)
    context, rope = read.context_tokens, read.rope_elements
    mtp, stated, stored = read.mtp_layers, read.whole("total_params"), read.whole("weight_bytes")
    read.raise_if_incomplete()
    groups: dict[str, int] = {}
    for weight in outside:
        groups[weight.group] = groups.get(weight.group, 0) + weight.params
    active = sum(w.active_params for w in outside)
    for i, kind in enumerate(kinds):
        count = order.count(i)
        active += count * kind.active_params
        for weight in kind.weights:
            groups[weight.group] = groups.get(weight.group, 0) + count * weight.params
    groups["mtp"] = mtp * kinds[order[-1]].params
    groups["vision"] = groups.get("vision", 0) + (tower.params if tower else 0)
    total = sum(groups.values()) - groups["mtp"]

    experts = None
    if any(routed):
        experts = Experts(
            experts=read.experts,
            per_token=read.experts_per_token,
            intermediate_size=read.expert_width,
            shared_intermediate_size=read.shared_width,
            moe_layers=sum(routed),
        )
    return Architecture(
        model_type=read.model_type,
        name=name,
        layers=layers,
        hidden_size=hidden,
        heads=read.heads,
        kv_heads=read.kv_heads,
        head_dim=read.head_dim,
        intermediate_size=read.intermediate_size,
        vocab_size=read.vocab_size,
        tied_embeddings=read.tied_embeddings,
        dtype=read.dtype,
        context_tokens=context,
        layer_kinds=tuple(kinds),
        layer_order=tuple(order),
        outside=outside,
        moe=experts,
        vision=tower,
        quantization=quantization(config),
        params=Params(**groups),
        total_params=total,
        active_params=active,
        rope_elements=rope,
        stated_params=stated,
        weight_bytes=stored,
    )
