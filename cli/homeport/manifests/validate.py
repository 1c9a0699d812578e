"""Strict validation against the bundled schemas: what an API server with `--validate=strict` would say, offline.

The schemas are reduced by scripts/import_schemas.py to a few keywords, so the validator is small; a test holds it to
jsonschema on mutations of every rendered kind.
"""

import re
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from homeport.text import nearest

FOLDER = Path(__file__).parent / "schemas"

Schema = dict[str, Any]
Place = tuple["Place | None", str | int]
"""Where a value stands: the place of what holds it, and its name or number in there. None is the document."""

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
    node = _root(kind) if isinstance(kind, str) else None
    if node is None:
        return [f"kind: no schema for {kind!r}"]
    found: list[str] = []
    _check(document, node, None, found)
    return found


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


@cache
def _root(kind: str) -> "_Node | None":
    schema = _schema(kind)
    return None if schema is None else _Node(schema, schema["$defs"])


class _Node:
    """A schema made ready: its reference followed, what is below made when it is first asked for.

    `types` are Python's, exactly (True is no integer); `plain`: nothing but the type is checked.
    """

    __slots__ = ("below", "defs", "plain", "schema", "types", "wanted")

    def __init__(self, schema: Schema, defs: dict[str, Schema]) -> None:
        while "$ref" in schema:
            schema = defs[schema["$ref"]]
        either = schema.get("x-kubernetes-int-or-string")
        self.wanted = ["integer", "string"] if either else schema.get("type", list(_TYPES))
        names = [self.wanted] if isinstance(self.wanted, str) else self.wanted
        self.types = frozenset(kind for name in names for kind in _TYPES[name])
        self.schema = schema
        self.defs = defs
        self.plain = schema.keys() <= {"type", "x-kubernetes-int-or-string"}
        self.below: dict[
            str | int | None, _Node
        ] = {}  # by a field's name; 0: items; None: fields without a name

    def field(self, name: str) -> "_Node | None":
        """The schema of a field; None where there is no such field."""
        if name not in self.below:
            schema = self.schema.get("properties", {}).get(name)
            if schema is None:
                extra = self.schema.get("additionalProperties")
                return self._at(None, extra) if isinstance(extra, dict) else None
            return self._at(name, schema)
        return self.below[name]

    def item(self) -> "_Node | None":
        """The schema of every item of a list."""
        return self._at(0, self.schema["items"]) if "items" in self.schema else None

    def _at(self, name: str | int | None, schema: Schema) -> "_Node":
        if name not in self.below:
            self.below[name] = _Node(schema, self.defs)
        return self.below[name]


def _check(value: Any, node: _Node, place: Place | None, found: list[str]) -> None:
    kind = type(value)
    if kind not in node.types:
        found.append(_say(place, f"must be {_article(node.wanted)}, not {_name(value)}"))
    if kind not in node.types or node.plain:
        return
    schema = node.schema
    if "enum" in schema and value not in schema["enum"]:
        found.append(_say(place, f"{value!r} is not one of {', '.join(map(str, schema['enum']))}"))
    if kind is dict:
        _check_object(value, node, place, found)
    elif kind is list:
        _check_array(value, node, place, found)
    elif kind is str:
        if len(value) < schema.get("minLength", 0):
            found.append(_say(place, f"is shorter than {schema['minLength']} characters"))
        if len(value) > schema.get("maxLength", len(value)):
            found.append(_say(place, f"is longer than {schema['maxLength']} characters"))
        if "pattern" in schema and _pattern(schema["pattern"]).search(value) is None:
            found.append(_say(place, f"{value!r} does not match {schema['pattern']}"))
    elif kind is not bool:
        if value < schema.get("minimum", value):
            found.append(_say(place, f"{value} is below {schema['minimum']}"))
        if value > schema.get("maximum", value):
            found.append(_say(place, f"{value} is above {schema['maximum']}"))


def _check_object(value: dict[Any, Any], node: _Node, place: Place | None, found: list[str]) -> None:
    schema = node.schema
    found += [_say(place, f"'{name}' is missing") for name in schema.get("required", ()) if name not in value]
    if not schema.get("minProperties", 0) <= len(value) <= schema.get("maxProperties", len(value)):
        found.append(_say(place, f"has {len(value)} fields"))
    for name, child in value.items():
        below = node.field(name)
        if below is not None:
            if not isinstance(name, str):
                found.append(_say(place, f"the key {name!r} must be a string"))
            _check(child, below, (place, name), found)
        elif schema.get("additionalProperties") is False:
            close = nearest(str(name), schema.get("properties", {}), 1)
            hint = f"; did you mean {close[0]}?" if close else ""
            found.append(_say((place, str(name)), "no such field" + hint))


def _check_array(value: list[Any], node: _Node, place: Place | None, found: list[str]) -> None:
    schema = node.schema
    if len(value) < schema.get("minItems", 0):
        found.append(_say(place, f"needs at least {schema['minItems']} items"))
    if len(value) > schema.get("maxItems", len(value)):
        found.append(_say(place, f"takes at most {schema['maxItems']} items"))
    below = node.item()
    if below is not None:
        for number, child in enumerate(value):
            _check(child, below, (place, number), found)
    keys = schema.get("x-kubernetes-list-map-keys")
    if keys:
        seen = set()
        for number, child in enumerate(value):
            if isinstance(child, dict):
                key = repr([child.get(name) for name in keys])
                if key in seen:
                    twin = f"the same {' and '.join(keys)} as an item before it"
                    found.append(_say((place, number), twin))
                seen.add(key)


def _article(wanted: str | list[str]) -> str:
    names = [wanted] if isinstance(wanted, str) else wanted
    return " or ".join(("an " if name[0] in "aeiou" else "a ") + name for name in names)


def _name(value: Any) -> str:
    if value is None:
        return "null"
    return next((name for name, kinds in _TYPES.items() if type(value) in kinds), type(value).__name__)


def _say(place: Place | None, sentence: str) -> str:
    path = ""
    while place is not None:
        place, step = place
        path = (f"[{step}]" if isinstance(step, int) else f".{step}") + path
    return f"{path.removeprefix('.')}: {sentence}" if path else sentence
