"""The words that stand for something else: `auto` for a field that is not written, `tensorrt-llm` for `trtllm`."""

from functools import cache
from typing import Any

import msgspec

from homeport.spec.models import Spec

ENGINE_ALIASES = {"tensorrt-llm": "trtllm"}


def rewritten(value: dict[str, Any]) -> dict[str, Any]:
    """Return a spec's plain values without the optional fields that say `auto`, engines under their own name."""
    result: dict[str, Any] = _rewrite(value, Spec)
    return result


@cache
def _fields(struct: type[msgspec.Struct]) -> dict[str, tuple[bool, type[msgspec.Struct] | None]]:
    """Return each field's (is optional, the Struct that it holds or lists)."""
    from typing import get_args, get_type_hints

    def inner(hint: Any) -> type[msgspec.Struct] | None:
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
            return hint
        return next((found for arg in get_args(hint) if (found := inner(arg))), None)

    hints = get_type_hints(struct)
    return {f.name: (not f.required, inner(hints[f.name])) for f in msgspec.structs.fields(struct)}


def _rewrite(value: Any, struct: type[msgspec.Struct]) -> Any:
    if isinstance(value, list):
        return [_rewrite(item, struct) for item in value]
    if not isinstance(value, dict):
        return value
    fields = _fields(struct)
    result = {}
    for key, item in value.items():
        optional, inner = fields.get(key, (False, None))
        if optional and item == "auto":
            continue
        if inner:
            item = _rewrite(item, inner)
        elif key == "engine" and isinstance(item, str):
            item = ENGINE_ALIASES.get(item, item)
        result[key] = item
    return result
