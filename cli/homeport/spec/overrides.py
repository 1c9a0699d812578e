"""Values that the command line or the environment puts over a file, or that make a whole spec by themselves."""

from collections.abc import Mapping
from typing import Any

from homeport.errors import Problem
from homeport.spec.compose import compose
from homeport.spec.load import Loaded, load, to_spec
from homeport.spec.source import Path, Source, spec_error

Overrides = Mapping[Path, tuple[Any, str]]
"""Path of a field -> its value, and what sets it (`--gpu`, `HOMEPORT_GPU`)."""

FROM_FLAGS = "command line"


def from_flags(overrides: Overrides) -> Loaded:
    """Make a spec of one model from flags alone. Problems name the flag. Raises SpecError with all of them."""
    value: dict[str, Any] = {"version": 1, "models": [{}]}
    for path, (given, _) in overrides.items():
        _set(value, path, given)
    model = value["models"][0]
    name = _name_of(str(model.get("model", "model")))
    model.setdefault("name", name)
    value.setdefault("name", name)
    source = Source(name=FROM_FLAGS, flags={path: origin for path, (_, origin) in overrides.items()})
    return Loaded(spec=to_spec(value, source, [], True), source=source)


def load_with(text: str | bytes, name: str, overrides: Overrides) -> Loaded:
    """Read a spec and put the overrides over it; a field of a model only where the file has exactly one.

    Raises SpecError with every problem, those of the file at their place, those of an override under its name.
    """
    if not overrides:
        return load(text, name)
    plain = text.decode("utf-8-sig", "replace") if isinstance(text, bytes) else text
    composed = compose(plain.removeprefix("\ufeff"))
    value = composed.value
    if composed.problems or not composed.complete or not isinstance(value, dict):
        return load(text, name)
    source = Source(
        name=name,
        text=plain,
        places=composed.places,
        flags={path: origin for path, (_, origin) in overrides.items()},
    )
    models = value.get("models")
    count = len(models) if isinstance(models, list) else 0
    problems = [
        Problem(
            message=f"would change one of {count} models",
            path=path,
            value=given,
            help="a flag works on a spec of one model; change the file instead",
        )
        for path, (given, _) in overrides.items()
        if path[0] == "models" and count > 1
    ]
    if problems:
        raise spec_error(problems, source)
    for path, (given, _) in overrides.items():
        if path[0] == "models" and not (count == 1 and isinstance(value["models"][0], dict)):
            continue
        _set(value, path, given)
    return Loaded(spec=to_spec(value, source, [], True), source=source)


def _set(value: Any, path: Path, given: Any) -> None:
    for step, following in zip(path, path[1:], strict=False):
        if isinstance(step, int):
            value = value[step]
        else:
            if not isinstance(value.get(step), dict | list):
                value[step] = [] if isinstance(following, int) else {}
            value = value[step]
    value[path[-1]] = given


def _name_of(model: str) -> str:
    """A DNS label made of a model's id: its last part, in lower case, at most 40 characters."""
    last = model.rstrip("/").rsplit("/", 1)[-1].removesuffix(".json").lower()
    label = "".join(c if c.isascii() and c.isalnum() else "-" for c in last).strip("-")
    while "--" in label:
        label = label.replace("--", "-")
    label = label[:40].strip("-")
    return label if label and label[0].isalpha() else f"model-{label}".strip("-")[:40].strip("-")


