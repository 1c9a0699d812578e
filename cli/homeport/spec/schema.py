"""The JSON Schema of a spec, for editors: made from the Structs that read it."""

from typing import Any

DIALECT = "https://json-schema.org/draft/2020-12/schema"
AUTO = "auto"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a spec.

    It says what one field may hold. What fields must hold together (no two models of one name, `weights.image` only
    with the source oci) is the loader's alone.
    """
    import msgspec

    from homeport.spec.models import Spec

    made = msgspec.json.schema(Spec)
    definitions = {name: _part(part) for name, part in made["$defs"].items()}
    whole = definitions.pop("Spec")
    return {"$schema": DIALECT, **whole, "title": "homeport spec", "$defs": definitions}


def _part(part: dict[str, Any]) -> dict[str, Any]:
    required = part.get("required", [])
    properties = {
        name: _ordered(field) if name in required else _optional(_ordered(field))
        for name, field in part["properties"].items()
    }
    result = {**part, "properties": properties}
    if not required:
        result.pop("required", None)
    return result


def _optional(field: dict[str, Any]) -> dict[str, Any]:
    """Let a field that may be left out say `auto` instead, and never null."""
    about: dict[str, Any] = {key: field[key] for key in ("description", "default") if key in field}
    if about.get("default") is None:
        about["default"] = AUTO
    elif isinstance(about["default"], tuple):
        about["default"] = list(about["default"])
    elif "$ref" in field:
        del about["default"]  # the part's own fields say it
    value = {key: item for key, item in field.items() if key not in ("description", "default")}
    if "anyOf" in value:
        [value] = [option for option in value["anyOf"] if option != {"type": "null"}]
    if "enum" in value:
        return {**about, "enum": [AUTO, *(choice for choice in value["enum"] if choice != AUTO)]}
    if value.get("type") == "string" and "pattern" not in value:
        return {**about, **value}
    return {**about, "anyOf": [{"const": AUTO}, value]}


def _ordered(field: Any) -> Any:
    """Put the values of choices into the order of the Structs (msgspec sorts them)."""
    from homeport.spec.walk import in_order

    if isinstance(field, list):
        return [_ordered(item) for item in field]
    if not isinstance(field, dict):
        return field
    ordered = {key: _ordered(item) for key, item in field.items() if key not in ("enum", "default")}
    if "enum" in field:
        ordered["enum"] = list(in_order(tuple(field["enum"])))
    if "default" in field:
        ordered["default"] = field["default"]
    return ordered
