"""How a checkpoint is quantised, from `quantization_config` as the methods write it."""

from typing import Any

from homeport.catalog.architecture_config import number
from homeport.catalog.architecture_types import Quantization

MOST_BITS = 32
"""The widest that a quantised weight can be."""


def quantization(config: dict[str, Any]) -> Quantization | None:
    """Read `quantization_config` (or `compression_config`); None when the checkpoint isn't quantised."""
    text = config.get("text_config")
    inner = text if isinstance(text, dict) else {}
    raw = (
        config.get("quantization_config")
        or config.get("compression_config")
        or inner.get("quantization_config")
        or inner.get("compression_config")
    )
    if not isinstance(raw, dict) or not raw:
        return None
    method = str(raw.get("quant_method") or raw.get("quant_algo") or "unknown").lower()
    ignored = _ignored(raw)
    cache = raw.get("kv_cache_scheme") or raw.get("kv_cache_quant_algo") or raw.get("kv_cache_dtype")
    kv_cache = None
    if isinstance(cache, dict):
        kv_cache = "fp8" if cache.get("num_bits") == 8 else None
    elif cache:
        kv_cache = "fp8" if "fp8" in str(cache).lower() else None
    if method in ("compressed-tensors", "compressed_tensors"):
        return _compressed_tensors(raw, ignored, kv_cache)
    if method in ("gptq", "awq", "auto-round", "autoround"):
        bits = number(raw.get("bits") or raw.get("w_bit"), 4, MOST_BITS)
        stated = raw.get("group_size") or raw.get("q_group_size")
        group = 0 if stated == -1 else number(stated, 128)
        # GPTQ stores packed zero points even where the quantisation is symmetric.
        return Quantization(
            method=method,
            bits=bits,
            group_size=group,
            zero_point=True,
            ignored=ignored,
            kv_cache=kv_cache,
        )
    if method == "mxfp4":
        return Quantization(
            method=method,
            bits=4,
            group_size=32,
            scale_bits=8,
            ignored=ignored,
            only=("experts",),
            floating=True,
            kv_cache=kv_cache,
        )
    if method in ("fp8", "fbgemm_fp8", "ptpc_fp8"):
        block = raw.get("weight_block_size")
        if isinstance(block, list) and len(block) == 2 and all(number(b, 0) for b in block):
            return Quantization(
                method=method, bits=8, group_size=0, scale_bits=32, block=(int(block[0]), int(block[1])),
                ignored=ignored, activation_bits=8, floating=True, kv_cache=kv_cache,
            )  # fmt: skip
        group = 0 if method == "fbgemm_fp8" else -1
        return Quantization(
            method=method,
            bits=8,
            group_size=group,
            scale_bits=32,
            ignored=ignored,
            activation_bits=8,
            floating=True,
            kv_cache=kv_cache,
        )
    if method in ("bitsandbytes", "bnb"):
        bits = 8 if raw.get("load_in_8bit") else 4
        return Quantization(
            method="bitsandbytes",
            bits=bits,
            group_size=64 if bits == 4 else 0,
            scale_bits=32,
            ignored=ignored,
            kv_cache=kv_cache,
        )
    named = str(raw.get("quant_algo") or raw.get("weight_dtype") or method).lower()
    return by_name(named, method=method, ignored=ignored, kv_cache=kv_cache)


def by_name(
    name: str, method: str | None = None, ignored: tuple[str, ...] = (), kv_cache: str | None = None
) -> Quantization | None:
    """The format behind a precision's or method's name (`fp8`, `nvfp4`, `awq` …); None when it names none."""
    name = name.lower().replace("-", "_")
    bits, group, scale, zero, block, act = 0, 0, 16, False, None, 16
    if "nvfp4" in name or "fp4_awq" in name:
        bits, group, scale, act = 4, 16, 8, 4
    elif "mxfp4" in name:
        bits, group, scale = 4, 32, 8
    elif "fp8_block" in name:
        bits, scale, block, act = 8, 32, (128, 128), 8
    elif "fp8" in name or "float8" in name:
        bits, group, scale, act = 8, -1, 32, 8
    elif "awq" in name or "gptq" in name or name in ("int4", "w4a16", "w4a8_awq", "auto_round"):
        bits, group, zero = 4, 128, True
    elif (
        "int8" in name
        or "w8a8" in name
        or "smoothquant" in name
        or "w8a16" in name
        or name == "compressed_tensors"
    ):
        bits, group, scale, act = 8, 0, 32, 8
    elif "bitsandbytes" in name or "bnb" in name or name == "int4_bnb":
        bits, group, scale = 4, 64, 32
    elif name in ("quark", "modelopt"):
        bits, group, scale, act = 8, -1, 32, 8
    if not bits:
        return None
    return Quantization(
        method=method or name, bits=bits, group_size=group, scale_bits=scale, zero_point=zero, block=block,
        ignored=ignored, only=("experts",) if name == "mxfp4" else (), activation_bits=act,
        floating="fp" in name or "float" in name or name in ("quark", "modelopt"), kv_cache=kv_cache,
    )  # fmt: skip


def _ignored(raw: dict[str, Any]) -> tuple[str, ...]:
    names: list[str] = []
    for key in (
        "ignore",
        "modules_to_not_convert",
        "exclude",
        "exclude_modules",
        "ignored_layers",
        "llm_int8_skip_modules",
    ):
        value = raw.get(key)
        if isinstance(value, list):
            names += [str(v) for v in value]
    return tuple(names)


def _compressed_tensors(
    raw: dict[str, Any], ignored: tuple[str, ...], kv_cache: str | None
) -> Quantization | None:
    groups = raw.get("config_groups")
    first = next(iter(groups.values()), None) if isinstance(groups, dict) else None
    weights = first.get("weights") if isinstance(first, dict) else None
    if not isinstance(weights, dict):
        return None
    bits = number(weights.get("num_bits"), 8, MOST_BITS)
    strategy = weights.get("strategy") or ("group" if weights.get("group_size") else "channel")
    inputs = first.get("input_activations") if isinstance(first, dict) else None
    activation_bits = number(inputs.get("num_bits"), 16, MOST_BITS) if isinstance(inputs, dict) else 16
    group = number(weights.get("group_size"), 0)
    block = weights.get("block_structure")
    targets = first.get("targets") if isinstance(first, dict) else None
    named = tuple(str(t) for t in targets) if isinstance(targets, list) and "Linear" not in targets else ()
    fp4 = bits == 4 and weights.get("type") == "float"
    return Quantization(
        method="compressed-tensors",
        bits=bits,
        group_size={"tensor": -1, "channel": 0}.get(str(strategy), group or 128),
        scale_bits=8 if fp4 else (32 if strategy == "block" else 16),
        zero_point=weights.get("symmetric") is False,
        block=(int(block[0]), int(block[1]))
        if isinstance(block, list) and len(block) == 2 and all(number(b, 0) for b in block)
        else None,
        ignored=ignored,
        targets=named,
        activation_bits=activation_bits,
        floating=weights.get("type") == "float",
        kv_cache=kv_cache,
    )
