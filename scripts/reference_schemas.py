"""The references of the spec and of the JSON answers, from their JSON Schemas."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from scripts.reference_meanings import MEANINGS
from scripts.reference_tables import HEAD, code, limits, table

Schema = Mapping[str, Any]

SPEC_INTRODUCTION = """# The spec: homeport.yaml

A spec says what shall run. This much is enough; everything else has a default, or is `auto`:

```yaml
version: 1
name: support
target: {platform: gke, region: us-central1}
models:
  - name: assistant
    model: meta-llama/Llama-3.1-8B-Instruct
    workload: {requests_per_day: 20000, input_tokens: 1000, output_tokens: 300}
```

- `auto`, or leaving the field out, lets homeport compute it; `homeport plan --explain` says what it became and why.
- Unknown fields, keys that stand twice and values of another type are errors, with the line and the nearest name.
- Anchors, aliases, tags and several documents in a file are not read.
- `homeport init` writes a spec with every field as a comment; `homeport schema` prints the JSON Schema for editors;
  `homeport config` says where each value comes from.

"""

JSON_INTRODUCTION = """# The JSON answers

What `-o json` (and `-o yaml`, with the same keys) prints on stdout. Keys are added, never renamed or given another
meaning; a reader ignores those that it does not know. `schema_version` changes only when that promise is broken. Numbers
are numbers and their unit is in the key: `_gib` is 2^30 bytes, `_s` seconds, `_ms` milliseconds, `_usd` US dollars. `null` is
unknown or not applicable, never zero.

Lists are `{"schema_version", "models": [row, …]}` with the name of what is listed; `show` has the one row under its singular
(`"model"`, `"gpu"`, `"engine"`), with all that is known of it.

`homeport schema COMMAND` prints the JSON Schema that each section is made from. A key that stands in an answer and not here
is for the reader's eye: it may change.

"""

SOURCES = (
    ("weights.source", "WEIGHTS_FIELDS", "Weights"),
    ("expose.kind", "EXPOSE_FIELDS", "Expose"),
)


def spec_page() -> str:
    """Return `docs/reference/spec.md`."""
    from homeport.spec import semantics
    from homeport.spec.schema import json_schema

    schema = json_schema()
    says = dict(_says())
    parts = [HEAD, SPEC_INTRODUCTION]
    for name, where, part in parts_of(schema):
        place = f" In {', '.join(code(w) for w in where)}." if where else ""
        parts.append(f"## {name}\n\n{part['description']}{place}\n\n")
        parts.append(table(("field", "type", "default", "meaning"), _spec_rows(name, part, says)))
        for choice, fields, owner in SOURCES:
            if owner == name:
                rows = [
                    (code(value), ", ".join(code(f) for f in allowed), ", ".join(code(f) for f in needed))
                    for value, (allowed, needed) in getattr(semantics, fields).items()
                ]
                parts += ["\n", table((code(choice), "fields that belong to it", "of these needed"), rows)]
        parts.append("\n")
    return "".join(parts).rstrip() + "\n"


def json_page() -> str:
    """Return `docs/reference/json.md`."""
    from homeport.commands.schema import MEASUREMENTS, SPEC, schema_of, schemas

    parts = [HEAD, JSON_INTRODUCTION]
    for name in schemas():
        if name in (SPEC, MEASUREMENTS):
            continue
        schema = schema_of(name)
        for title, where, part in parts_of(schema):
            text = re.sub(r"\bNone\b", "null", " ".join(part.get("description", "").split()))
            head = f"**{title}**, in {', '.join(code(w) for w in where)}." if where else f"## {name}\n\n"
            parts.append(f"{head} {text}".replace("\n ", "\n").rstrip() + "\n\n")
            rows = [
                (
                    code(key),
                    type_of(value, link=False),
                    "; ".join(
                        filter(
                            None, (_described(part.get("title", title), key, value), limits(value_of(value)))
                        )
                    ),
                )
                for key, value in part.get("properties", {}).items()
            ]
            parts += [table(("key", "type", "meaning"), rows), "\n"]
    return "".join(parts).rstrip() + "\n"


def _spec_rows(name: str, part: Schema, says: Mapping[str, str]) -> Iterator[tuple[str, str, str, str]]:
    from msgspec.structs import fields

    required = part.get("required", ())
    struct = next(part for part in _structs() if part.__name__ == name)
    made = {f.name: f.default_factory() for f in fields(struct) if callable(f.default_factory)}
    for key, field in part["properties"].items():
        value = value_of(field)
        ranges = limits({**value, "says": says[value["pattern"]]} if value.get("pattern") in says else value)
        meaning = field.get("description", "") + (f" ({ranges})" if ranges else "")
        default = (
            "needed"
            if key in required
            else _default({**field, "default": made[key]} if key in made else field)
        )
        yield code(key), type_of(value), default, meaning


def _default(field: Schema) -> str:
    if "default" not in field:
        return "its fields'"
    default = field["default"]
    if isinstance(default, bool):
        return code(str(default).lower())
    if isinstance(default, float):
        return code(f"{default:g}")
    if isinstance(default, dict):
        return code("{" + ", ".join(f"{k}: {v}" for k, v in default.items()) + "}")
    return code(default) if default != [] else "none"


def value_of(field: Schema) -> Schema:
    """Return what a field may hold besides `auto` and null."""
    options = [o for o in field.get("anyOf", ()) if o not in ({"const": "auto"}, {"type": "null"})]
    return options[0] if len(options) == 1 else field


def _described(part: str, key: str, field: Schema) -> str:
    """Return a key's description; that of the part it refers to stands there."""
    text: str = field.get("description") or value_of(field).get("description", "")
    text = text or MEANINGS.get(f"{part}.{key}", MEANINGS.get(key, ""))
    return f"Always {field['const']}. {text}" if "const" in field else text


def type_of(schema: Schema, *, link: bool = True) -> str:
    """Return the type of a JSON Schema in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})" if link else name
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(type_of(option, link=link) for option in schema["anyOf"]))
    if "enum" in schema:
        return ", ".join(code(value) for value in schema["enum"] if value != "auto")
    if "const" in schema and "type" not in schema:
        return code(schema["const"])
    kind = str(schema.get("type", "any"))
    if kind == "array":
        if schema.get("prefixItems"):
            return f"[{', '.join(type_of(item, link=link) for item in schema['prefixItems'])}]"
        items = schema.get("items")
        return f"list of {type_of(items, link=link)}" if isinstance(items, Mapping) else "list"
    if kind == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        inner = type_of(schema["additionalProperties"], link=link)
        return f"mapping of name to {inner}"
    return {"object": "mapping", "boolean": "true or false"}.get(kind, kind)


def parts_of(schema: Schema) -> Iterator[tuple[str, list[str], Schema]]:
    """Yield the whole and every part that it refers to, in the order of their fields, with the paths that lead there."""
    definitions = schema.get("$defs", {})
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    places: dict[str, list[str]] = {}
    order: list[str] = []

    def visit(part: Schema, prefix: str) -> None:
        for key, field in part.get("properties", {}).items():
            for name, path in _references(field, f"{prefix}{key}"):
                if name not in places:
                    order.append(name)
                places.setdefault(name, [])
                if path not in places[name]:
                    places[name].append(path)
                    visit(definitions[name], f"{path}.")

    visit(schema, "")
    yield "Spec", [], schema
    for name in order:
        yield name, _brief(places[name]), definitions[name]


def _brief(paths: list[str]) -> list[str]:
    """Leave out the paths that only repeat others deeper down."""
    return paths if len(paths) <= 3 else [*paths[:3], "…"]


def _references(field: Schema, path: str) -> Iterator[tuple[str, str]]:
    if "$ref" in field:
        yield field["$ref"].rpartition("/")[2], path
    for option in field.get("anyOf", ()):
        yield from _references(option, path)
    if isinstance(field.get("items"), Mapping):
        yield from _references(field["items"], f"{path}[]")


def _structs() -> list[type[Any]]:
    """Return the Structs of a spec's parts: what they all derive from is the base of the whole."""
    from homeport.spec.models import Spec

    return Spec.__bases__[0].__subclasses__()


def _says() -> Iterator[tuple[str, str]]:
    """Yield each pattern of the spec's fields with what it means in words."""
    from typing import get_args, get_type_hints

    from msgspec import Meta

    def metas(hint: Any) -> Iterator[Meta]:
        for arg in (*getattr(hint, "__metadata__", ()), *get_args(hint)):
            if isinstance(arg, Meta):
                yield arg
            else:
                yield from metas(arg)

    for struct in _structs():
        for hint in get_type_hints(struct, include_extras=True).values():
            for meta in metas(hint):
                if meta.pattern and meta.extra and "says" in meta.extra:
                    yield meta.pattern, meta.extra["says"]
