"""The commented spec that `homeport init` writes: every field, as it is set or as it would be."""

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import inspect

from homeport.spec.models import Spec
from homeport.spec.walk import Field, fields, unwrap

WIDTH = 100
HEADER = (
    "What homeport shall run: `homeport plan` says what it takes and why, `homeport cost` what that costs,\n"
    "`homeport render` writes the manifests. Fields that are commented out show what holds without them;\n"
    "auto: homeport computes it, and `homeport plan --explain` says how."
)
# plain in YAML 1.1 and 1.2 alike: no number, no word that a reader takes for something else, no ': ' and no ' #'
_PLAIN = re.compile(r"[A-Za-z/](?:[\w./+-]|:(?=[\w/]))*", re.ASCII)
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "auto"})


def starter(values: Mapping[str, Any]) -> str:
    """Return a commented spec that holds `values` (plain values by field, `models` a list) and parses back to them.

    What is absent from `values` stands in it as a comment, with its default. The values are not checked here.
    """
    lines = [f"# {line}" for line in HEADER.split("\n")]
    for name, field in fields(Spec).items():
        lines += ["", *_field(name, field, values, 0)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def scalar(value: Any) -> str:
    """Write a plain value as YAML on one line; text is quoted where a reader could take it for something else."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
        return value if plain else json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(key)}: {scalar(item)}" for key, item in value.items()) + "}"
    return "[" + ", ".join(scalar(item) for item in value) + "]"


def _part(
    cls: type[msgspec.Struct], values: Mapping[str, Any], indent: int, off: int | None = None
) -> Iterator[str]:
    """Yield the fields of a part; `off` is the column from which its lines are comments."""
    after_part = False
    for name, field in fields(cls).items():
        is_part = isinstance(unwrap(field.type)[0], inspect.StructType)
        if (is_part or after_part) and off is None:
            yield ""
        after_part = is_part
        yield from _field(name, field, values, indent, off)


def _field(
    name: str, field: Field, values: Mapping[str, Any], indent: int, off: int | None = None
) -> Iterator[str]:
    """Yield the description of a field, and the field: as a comment where `values` lacks it."""
    about = textwrap.wrap(field.description, WIDTH - indent - 2, break_on_hyphens=False)
    for line in about:
        yield _line(f"# {line}", indent, off)
    kind, _ = unwrap(field.type)
    if name not in values or (isinstance(kind, inspect.StructType) and not values[name]):
        yield from _unset(name, field.default, kind, indent, indent if off is None else off)
        return
    value = values[name]
    item = unwrap(kind.item_type)[0] if isinstance(kind, inspect.VarTupleType) else kind
    if isinstance(kind, inspect.StructType):
        yield _line(f"{name}:", indent, off)
        yield from _part(kind.cls, value, indent + 2, off)
    elif isinstance(item, inspect.StructType) and value:
        yield _line(f"{name}:", indent, off)
        for entry in value:
            yield from _item(item.cls, entry, indent + 2)
    else:
        yield _line(f"{name}: {scalar(value)}", indent, off)


def _unset(name: str, default: Any, kind: inspect.Type, indent: int, off: int) -> Iterator[str]:
    """Yield a field with its default, as a comment from the column `off` on."""
    if default is msgspec.NODEFAULT:
        yield _line(f"{name}: {name.upper()}", indent, off)
    elif isinstance(kind, inspect.StructType) and default is None and _all_required(kind.cls):
        wanted = ", ".join(f"{field}: {field.upper()}" for field in fields(kind.cls))
        yield _line(f"{name}: {{{wanted}}}", indent, off)
    elif isinstance(kind, inspect.StructType):
        yield _line(f"{name}:", indent, off)
        yield from _part(kind.cls, {}, indent + 2, off)
    else:
        item = unwrap(kind.item_type)[0] if isinstance(kind, inspect.VarTupleType) else None
        each = f"  # each with {', '.join(fields(item.cls))}" if isinstance(item, inspect.StructType) else ""
        yield _line(f"{name}: {'auto' if default is None else scalar(default)}{each}", indent, off)


def _all_required(cls: type[msgspec.Struct]) -> bool:
    return all(field.required for field in fields(cls).values())


def _item(cls: type[msgspec.Struct], values: Mapping[str, Any], indent: int) -> Iterator[str]:
    """Yield one entry of a list: its first field carries the dash, and the field's description stands above it."""
    dashed = False
    for line in _part(cls, values, indent + 2):
        if dashed or not line:
            yield line
        elif line.lstrip().startswith("#"):
            yield " " * indent + line.lstrip()
        else:
            dashed = True
            yield f"{' ' * indent}- {line.lstrip()}"


def _line(text: str, indent: int, off: int | None) -> str:
    return " " * indent + text if off is None else f"{' ' * off}# {' ' * (indent - off)}{text}"
