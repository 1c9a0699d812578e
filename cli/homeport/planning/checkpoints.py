"""Quantised checkpoints of a model that the catalog knows: compared with the model's own, never chosen unasked."""

import re

from homeport.catalog.architecture import architecture
from homeport.catalog.architecture_types import Architecture
from homeport.catalog.models import config, config_ids
from homeport.errors import SpecError
from homeport.planning.types import ModelSource

SHAPE = ("layers", "hidden_size", "heads", "kv_heads", "vocab_size", "attention_type")
_QUANTISED = re.compile(
    r"(quantized\.)?(w\d+a\d+|fp8|fp4|nvfp4|mxfp4|awq|gptq|int\d|\d ?bit|dynamic|static|block|kv|quantized)"
)
"""What quantisers add to a model's name. Any other word makes it another model (`Instruct`, `Base`, `Distill`)."""


def quantised(source: ModelSource) -> list[str]:
    """Ids of quantised checkpoints of the model: named after it and how they are quantised, and built like it.

    The shape alone would not do (Llama 3.3 is built like Llama 3.1), the name alone would not either.
    """
    name = _words(source.id)
    found = []
    for id_ in config_ids():
        rest = _words(id_)[len(name) :]
        if (
            _words(id_)[: len(name)] != name
            or not rest
            or not all(_QUANTISED.fullmatch(word) for word in rest)
        ):
            continue
        try:
            arch = architecture(config(id_), id_)
        except SpecError:
            continue
        if arch.quantization is not None and _alike(arch, source.architecture):
            found.append(id_)
    return found


def _words(id_: str) -> list[str]:
    """The words of a model's name without its organisation; quantisers write `Meta-Llama` for `Llama`."""
    return re.split("[-_]", id_.rsplit("/", 1)[-1].lower().removeprefix("meta-"))


def _alike(a: Architecture, b: Architecture) -> bool:
    return all(getattr(a, name) == getattr(b, name) for name in SHAPE)
