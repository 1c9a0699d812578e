"""What goes over the wire between the engine and a provider: structs, secrets, unknowns, and the difference of two inputs."""

from collections.abc import Iterator
from typing import Any

from google.protobuf import json_format, struct_pb2

SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

Path = tuple[str | int, ...]


def plain(struct: struct_pb2.Struct) -> dict[str, Any]:
    """A struct as a dict: whole numbers are ints again, secrets are their values."""
    found: dict[str, Any] = _plain(json_format.MessageToDict(struct))
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        if value.get(SIGNATURE) == SECRET:
            return _plain(value.get("value"))
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def secret_keys(struct: struct_pb2.Struct, kind: str) -> set[str]:
    """Top-level keys that hold a secret: those that came as one, and what a Kubernetes Secret carries."""
    found = {key for key, value in json_format.MessageToDict(struct).items() if SIGNATURE in str(value)}
    return found | ({"data", "stringData"} if kind == "Secret" else set())


def wire(values: dict[str, Any], secrets: set[str] = frozenset()) -> struct_pb2.Struct:  # type: ignore[assignment]
    """A dict as a struct, the keys in `secrets` wrapped, also those of the `__inputs` in it."""
    made = struct_pb2.Struct()
    json_format.ParseDict(_wrapped(values, secrets), made)
    return made


def _wrapped(values: dict[str, Any], secrets: set[str]) -> dict[str, Any]:
    return {
        key: {SIGNATURE: SECRET, "value": value}
        if key in secrets
        else _wrapped(value, secrets)
        if key == "__inputs"
        else value
        for key, value in values.items()
    }


def unknown(value: Any) -> bool:
    """Say whether something in `value` is not known before an update."""
    if isinstance(value, dict):
        return any(unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(unknown(item) for item in value)
    return bool(value == UNKNOWN)


def changes(old: Any, new: Any, at: Path = ()) -> Iterator[tuple[Path, str]]:
    """Where `new` differs from `old`: the path, and "ADD", "DELETE" or "UPDATE"."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in {**old, **new}:
            if key not in new:
                yield (*at, key), "DELETE"
            elif key not in old:
                yield (*at, key), "ADD"
            else:
                yield from changes(old[key], new[key], (*at, key))
    elif isinstance(old, list) and isinstance(new, list):
        for place in range(max(len(old), len(new))):
            if place >= len(new):
                yield (*at, place), "DELETE"
            elif place >= len(old):
                yield (*at, place), "ADD"
            else:
                yield from changes(old[place], new[place], (*at, place))
    elif old != new:
        yield at, "UPDATE"


def written(path: Path) -> str:
    """A path as the engine writes it: `spec.template.spec.containers[0].image`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif "." in part or "/" in part:
            text += f'["{part}"]'
        else:
            text += f".{part}"
    return text.lstrip(".")


def moved(inputs: Any, before: Any, after: Any) -> Any:
    """Old inputs, with what the live object changed since: an input stays unless the object itself moved."""
    if isinstance(inputs, dict) and isinstance(after, dict):
        was = before if isinstance(before, dict) else {}
        return {
            key: moved(value, was.get(key), after.get(key))
            for key, value in inputs.items()
            if key in after or key not in was
        }
    if isinstance(inputs, list) and isinstance(after, list) and len(inputs) == len(after):
        lists = before if isinstance(before, list) and len(before) == len(after) else after
        return [moved(value, lists[i], after[i]) for i, value in enumerate(inputs)]
    return inputs if before == after else after
