"""Values that the command line or the environment puts over a file, or that make a whole spec by themselves."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from homeport.errors import Problem, SpecError
from homeport.spec.load import Loaded, as_text, load, to_spec
from homeport.spec.source import Path, Source, spec_error

Overrides = Mapping[Path, tuple[Any, str]]
"""Path of a field -> its value, and what sets it (`--gpu`, `HOMEPORT_GPU`)."""

FROM_FLAGS = "command line"
_WORKLOAD: Path = ("models", 0, "workload")
# what a spec of flags alone needs: field -> the flag and what to say where it is missing
NEEDED: dict[Path, tuple[str, str]] = {
    ("models", 0, "model"): (
        "--model",
        "for example --model meta-llama/Llama-3.1-8B-Instruct; `homeport models list` shows more",
    ),
    (*_WORKLOAD, "requests_per_day"): (
        "--requests-per-day",
        "requests a day on average, for example --requests-per-day 100000",
    ),
    (*_WORKLOAD, "input_tokens"): (
        "--input-tokens",
        "prompt tokens of an average request, for example --input-tokens 1000",
    ),
    (*_WORKLOAD, "output_tokens"): (
        "--output-tokens",
        "generated tokens of an average request, for example --output-tokens 500",
    ),
}


def missing_flags(overrides: Overrides) -> list[Problem]:
    """Return a problem for each flag that a spec of flags alone needs and does not have."""
    return [
        Problem(message="missing", path=path, help=advice)
        for path, (_, advice) in NEEDED.items()
        if path not in overrides
    ]


def from_flags(overrides: Overrides) -> Loaded:
    """Make a spec of one model from flags alone.

    Raises SpecError with every problem, the missing flags included; a command that knows more (that `--model` names
    no model) adds its own with `and_also`.
    """
    value = values_of(overrides)
    names = {path: origin for path, (_, origin) in overrides.items()}
    source = Source(
        name=FROM_FLAGS, flags=names | {p: flag for p, (flag, _) in NEEDED.items() if p not in names}
    )
    missing = missing_flags(overrides)
    try:
        return Loaded(spec=to_spec(value, source, list(missing), rewrite=True), source=source)
    except SpecError as error:
        # the walker misses the same fields, in the words of a file
        told = {problem.path for problem in missing}
        others = [problem for problem in error.problems if problem.path not in told]
        raise spec_error([*others, *missing], source) from None


def values_of(overrides: Overrides) -> dict[str, Any]:
    """Return the plain values of a spec made of flags alone, its names made of the model's where none is given."""
    value: dict[str, Any] = {"version": 1, "models": [{"workload": {}}]}
    for path, (given, _) in overrides.items():
        _set(value, path, given)
    model = value["models"][0]
    name = name_of(str(model.get("model") or "model"))
    model.setdefault("name", name)
    value.setdefault("name", name)
    return value


def and_also(error: SpecError, problems: list[Problem]) -> SpecError:
    """Return `error` with more problems among its own, in the order of its source."""
    everything = [*error.problems, *problems]
    return spec_error(everything, error.source) if isinstance(error.source, Source) else SpecError(everything)


def load_with(text: str | bytes, name: str, overrides: Overrides) -> Loaded:
    """Read a spec and put the overrides over it; a field of a model only where the file has exactly one.

    Raises SpecError with every problem, those of the file at their place, those of an override under its name.
    """
    if not overrides:
        return load(text, name)
    from homeport.spec.compose import compose

    plain = as_text(text, name)
    composed = compose(plain)
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
    for step, following in pairwise(path):
        if isinstance(step, int):
            value = value[step]
        else:
            if not isinstance(value.get(step), dict | list):
                value[step] = [] if isinstance(following, int) else {}
            value = value[step]
    value[path[-1]] = given


def name_of(model: str) -> str:
    """A DNS label made of a model's id: its last part, in lower case, at most 40 characters."""
    last = model.rstrip("/").rsplit("/", 1)[-1].removesuffix(".json").lower()
    label = "".join(c if c.isascii() and c.isalnum() else "-" for c in last).strip("-")
    while "--" in label:
        label = label.replace("--", "-")
    label = label[:40].strip("-")
    return label if label and label[0].isalpha() else f"model-{label}".strip("-")[:40].strip("-")
