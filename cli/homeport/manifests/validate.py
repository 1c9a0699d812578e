"""Strict validation against the bundled schemas: what an API server with `--validate=strict` would say, offline.

The schemas are reduced by scripts/import_schemas.py to a few keywords, so the validator is small; a test holds it to
jsonschema on mutations of every rendered kind.
"""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from homeport.text import nearest

FOLDER = Path(__file__).parent / "schemas"

Schema = dict[str, Any]

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
    "integer": (int,),
    "number": (int, float),
}


def validate(document: Any) -> list[str]:
    """Return what is wrong with a document, each as `path: sentence`; an empty list if nothing is.

    Unknown fields and null are wrong, as is a kind that homeport never renders.
    """
    if not isinstance(document, dict):
        return [f"a {type(document).__name__} is no Kubernetes object"]
    kind = document.get("kind")
    schema = _schema(kind) if isinstance(kind, str) else None
    if schema is None:
        return [f"kind: no schema for {kind!r}"]
    return list(_errors(document, schema, schema["$defs"], ""))


@cache
def kinds() -> frozenset[str]:
    """The kinds that a schema is bundled for."""
    return frozenset(path.stem for path in FOLDER.glob("[A-Z]*.json"))


@cache
def sources() -> dict[str, Any]:
    """Where the schemas come from: versions and checksums of the sources, and a checksum of each file."""
    decoded: dict[str, Any] = msgspec.json.decode((FOLDER / "sources.json").read_bytes())
    return decoded


@cache
def _schema(kind: str) -> Schema | None:
    if kind not in kinds():
        return None
    decoded: Schema = msgspec.json.decode((FOLDER / f"{kind}.json").read_bytes())
    return decoded


@cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)


def _errors(value: Any, schema: Schema, defs: dict[str, Schema], path: str) -> Iterator[str]:
    while "$ref" in schema:
        schema = defs[schema["$ref"]]
    if schema.get("x-kubernetes-int-or-string"):
        if type(value) is not int and not isinstance(value, str):
            yield _say(path, f"must be an integer or a string, not {_name(value)}")
            return
    else:
        wanted = schema.get("type")
        if wanted is not None and not _is(value, wanted):
            yield _say(path, f"must be {_article(wanted)}, not {_name(value)}")
            return
    if "enum" in schema and value not in schema["enum"]:
        yield _say(path, f"{value!r} is not one of {', '.join(map(str, schema['enum']))}")
    if isinstance(value, dict):
        yield from _object_errors(value, schema, defs, path)
    elif isinstance(value, list):
        yield from _array_errors(value, schema, defs, path)
    elif isinstance(value, str):
        if len(value) < schema.get("minLength", 0):
            yield _say(path, f"is shorter than {schema['minLength']} characters")
        if len(value) > schema.get("maxLength", len(value)):
            yield _say(path, f"is longer than {schema['maxLength']} characters")
        if "pattern" in schema and _pattern(schema["pattern"]).search(value) is None:
            yield _say(path, f"{value!r} does not match {schema['pattern']}")
    elif not isinstance(value, bool):
        if value < schema.get("minimum", value):
            yield _say(path, f"{value} is below {schema['minimum']}")
        if value > schema.get("maximum", value):
            yield _say(path, f"{value} is above {schema['maximum']}")


def _object_errors(
    value: dict[Any, Any], schema: Schema, defs: dict[str, Schema], path: str
) -> Iterator[str]:
    properties = schema.get("properties", {})
    extra = schema.get("additionalProperties")
    for name in schema.get("required", ()):
        if name not in value:
            yield _say(path, f"'{name}' is missing")
    if not schema.get("minProperties", 0) <= len(value) <= schema.get("maxProperties", len(value)):
        yield _say(path, f"has {len(value)} fields")
    for name, child in value.items():
        below = f"{path}.{name}" if path else str(name)
        if name in properties:
            yield from _errors(child, properties[name], defs, below)
        elif isinstance(extra, dict):
            if not isinstance(name, str):
                yield _say(path, f"the key {name!r} must be a string")
            yield from _errors(child, extra, defs, below)
        elif extra is False:
            close = nearest(str(name), properties, 1)
            yield _say(below, "no such field" + (f"; did you mean {close[0]}?" if close else ""))


def _array_errors(value: list[Any], schema: Schema, defs: dict[str, Schema], path: str) -> Iterator[str]:
    if len(value) < schema.get("minItems", 0):
        yield _say(path, f"needs at least {schema['minItems']} items")
    if len(value) > schema.get("maxItems", len(value)):
        yield _say(path, f"takes at most {schema['maxItems']} items")
    if "items" in schema:
        for number, child in enumerate(value):
            yield from _errors(child, schema["items"], defs, f"{path}[{number}]")
    keys = schema.get("x-kubernetes-list-map-keys")
    if keys:
        seen = set()
        for number, child in enumerate(value):
            if isinstance(child, dict):
                key = repr([child.get(name) for name in keys])
                if key in seen:
                    yield _say(f"{path}[{number}]", f"the same {' and '.join(keys)} as an item before it")
                seen.add(key)


def _is(value: Any, wanted: str | list[str]) -> bool:
    if isinstance(wanted, list):
        return any(_is(value, one) for one in wanted)
    if isinstance(value, bool):
        return wanted == "boolean"
    return isinstance(value, _TYPES[wanted])


def _article(wanted: str | list[str]) -> str:
    names = [wanted] if isinstance(wanted, str) else wanted
    return " or ".join(("an " if name[0] in "aeiou" else "a ") + name for name in names)


def _name(value: Any) -> str:
    if value is None:
        return "null"
    return next((name for name in _TYPES if _is(value, name)), type(value).__name__)


def _say(path: str, sentence: str) -> str:
    return f"{path}: {sentence}" if path else sentence
