"""What a model's weights may be stored in: the checkpoint's own precision, and others that exist or can be made."""

import msgspec

from homeport.catalog.architecture_types import Architecture, Quantization
from homeport.catalog.types import Gpu
from homeport.errors import Problem
from homeport.text import nearest, one_of

SIXTEEN_BIT = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32"}
DTYPE_OF = {label: dtype for dtype, label in SIXTEEN_BIT.items()}
ON_LOAD = ("fp8",)
"""Precisions that an engine can make of a 16-bit checkpoint while it loads; all others need a checkpoint."""
METHODS = (
    "awq",
    "gptq",
    "bitsandbytes",
    "nvfp4",
    "mxfp4",
    "compressed-tensors",
    "fp8_block",
    "quark",
    "modelopt",
)
KNOWN = ("auto", "bf16", "fp16", "fp8", "int8", "int4", *METHODS)


class Precision(msgspec.Struct, frozen=True, kw_only=True):
    """One precision of a model on one GPU, as the sizing and the engines are told.

    `quantization` None: as the checkpoint's config says. `on_load`: the engine quantises while it loads. `checkpoint`
    is another one than the spec's, which stores it so.
    """

    label: str
    weight_dtype: str
    quantization: str | None
    on_load: bool = False
    checkpoint: str | None = None


def own_label(arch: Architecture) -> str:
    """The precision that the checkpoint is stored in: bf16, fp16, fp32, fp8, int8, int4, mxfp4, nvfp4."""
    if arch.quantization is None:
        return SIXTEEN_BIT.get(arch.dtype, arch.dtype)
    return quantized_label(arch.quantization)


def quantized_label(quantization: Quantization) -> str:
    """A quantised checkpoint's precision as people call it."""
    method = quantization.method
    if method in ("mxfp4", "nvfp4"):
        return method
    if quantization.bits == 4:
        return "nvfp4" if quantization.floating else "int4"
    if quantization.bits == 8:
        return "fp8" if quantization.floating else "int8"
    return method


def own(arch: Architecture, gpu: Gpu | None) -> Precision:
    """The checkpoint's own precision on `gpu`; a GPU without bfloat16 computes in float16."""
    label = own_label(arch)
    has_bf16 = gpu is None or gpu.dense_bf16_tflops is not None or gpu.dense_fp16_tflops is None
    if arch.dtype == "bfloat16" and not has_bf16:
        return Precision(
            label="fp16" if label == "bf16" else label, weight_dtype="float16", quantization=None
        )
    return Precision(label=label, weight_dtype="auto", quantization=None)


def asked(wanted: str, arch: Architecture, gpu: Gpu | None) -> Precision:
    """The precision that a spec asks for by name; `check` has said before that it can be had."""
    mine = own(arch, gpu)
    if wanted in ("auto", mine.label) or arch.quantization is not None:
        return mine
    if wanted in ON_LOAD:
        return Precision(
            label=wanted,
            weight_dtype=mine.weight_dtype,
            quantization=wanted,
            on_load=True,
        )
    return Precision(label=wanted, weight_dtype=DTYPE_OF[wanted], quantization=None)


def check(wanted: str, arch: Architecture, checkpoint: str, path: tuple[str | int, ...]) -> Problem | None:
    """Say why a precision can't be had from this checkpoint (None: it can)."""
    label = own_label(arch)
    if wanted not in KNOWN:
        close = nearest(wanted, KNOWN)
        return Problem(
            message=f"'{wanted}' is not one of {one_of(KNOWN)}",
            path=path,
            value=wanted,
            help=f"did you mean '{close[0]}'?" if close else None,
        )
    if arch.quantization is not None:
        if wanted in ("auto", label) or wanted == arch.quantization.method:
            return None
        return Problem(
            message=f"{checkpoint} is stored in {label} ({arch.quantization.method}), not {wanted}",
            path=path,
            value=wanted,
            help="leave precision out, or name another checkpoint",
        )
    if wanted in ("auto", "bf16", "fp16", *ON_LOAD):
        return None
    return Problem(
        message=f"{wanted} needs a checkpoint that exists in it; {checkpoint} is stored in {label}",
        path=path,
        value=wanted,
        help=f"name one with `checkpoint: ORG/NAME`, or use {' or '.join(ON_LOAD)}, which is made on load where the GPU can",
    )
