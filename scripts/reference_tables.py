"""Pieces of Markdown that the reference pages share."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

HEAD = "<!-- Written by `python scripts/reference.py` from the code: change that, not this page. -->\n\n"
RANGES = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "minLength": "{} characters or more",
    "maxLength": "at most {} characters",
    "minItems": "{} or more",
}


def table(headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a Markdown table; bars in cells are escaped, `None` is "unknown"."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join("| " + " | ".join(cell(value) for value in line) + " |" for line in lines) + "\n"


def cell(value: Any) -> str:
    """Return one cell: no line breaks, no bars that would end it."""
    text = "unknown" if value is None else str(value)
    return " ".join(text.split()).replace("|", "\\|")


def code(value: Any) -> str:
    """Return a value as code, or nothing for an empty one."""
    text = str(value)
    return f"`{text}`" if text else ""


def number(value: float) -> str:
    """Return a number as people write it: 10,000,000 and 0.5."""
    return f"{value:,}" if isinstance(value, int) or value % 1 else f"{int(value):,}"


def limits(schema: Mapping[str, Any]) -> str:
    """Say the ranges of a JSON Schema, and what a pattern means where the schema says it."""
    said = [text.format(number(schema[key])) for key, text in RANGES.items() if key in schema]
    if schema.get("minLength") == 1:
        said[said.index(RANGES["minLength"].format(1))] = "not empty"
    if "prefixItems" in schema:
        return ""  # the type says how many there are
    if "says" in schema:
        said = [schema["says"]]
    elif "pattern" in schema:
        said.append(f"matches {code(schema['pattern'])}")
    return ", ".join(said)
