"""The user's file, or the flags of a command, to a `Spec`: all that is wrong at once, each with its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from homeport.errors import Problem
from homeport.spec.source import Placed, Source, spec_error

if TYPE_CHECKING:  # YAML and the models are imported when a spec is read: a command's --help reads none
    from homeport.spec.compose import Composed
    from homeport.spec.models import Spec


class Loaded(Struct, frozen=True, kw_only=True):
    """A spec, and the source that problems found later (in planning, in rendering) point into."""

    spec: Spec
    source: Source


def load(text: str | bytes, name: str) -> Loaded:
    """Read a spec from the text of the file `name` ("<stdin>" for a pipe).

    Raises `SpecError` with every problem, in the order of the file.
    """
    from homeport.spec.compose import compose

    text = as_text(text, name)
    composed = compose(text)
    source = Source(name=name, text=text, places=composed.places)
    if not composed.complete:
        raise spec_error(composed.problems, source)
    return Loaded(spec=_spec(composed, source), source=source)


def as_text(text: str | bytes, name: str) -> str:
    """Return the text of a file in UTF-8, without a byte order mark. Raises `SpecError` where it is not UTF-8."""
    if isinstance(text, str):
        return text.removeprefix("\ufeff")
    from homeport.spec.compose import decode

    decoded, undecodable = decode(text)
    if undecodable:
        raise spec_error([undecodable], Source(name=name, text=decoded))
    return decoded


def _spec(composed: Composed, source: Source) -> Spec:
    value = composed.value
    problems: list[Problem] = list(composed.problems)
    if not isinstance(value, dict):
        if not problems:
            problems.append(_no_mapping(value))
        raise spec_error(problems, source)
    return to_spec(value, source, problems, composed.rewrite)


def _no_mapping(value: Any) -> Placed:
    advice = "`homeport init` writes a spec to start from"
    if value is None:
        return Placed(message="the file is empty", help=advice, line=1, column=1)
    kind = "a list" if isinstance(value, list) else "a single value"
    return Placed(
        message=f"a spec is a mapping ('version: 1' …), this is {kind}", help=advice, line=1, column=1
    )


def to_spec(value: dict[str, Any], source: Source, problems: list[Problem], rewrite: bool) -> Spec:
    """Turn plain values into a `Spec`; `rewrite` says that words such as `auto` may stand among them.

    Raises `SpecError` with `problems` and whatever else is wrong.
    """
    from homeport.spec.models import Spec

    if rewrite:
        from homeport.spec.rewrite import rewritten

        value = rewritten(value)
    found: list[Problem] = []
    if not problems:
        try:
            spec = msgspec.convert(value, Spec)
        except msgspec.ValidationError:
            pass
        else:
            from homeport.spec.semantics import check_spec

            found = check_spec(spec)
            if not found:
                return spec
            raise spec_error(found, source)
    from homeport.spec.walk import check

    found = check(value, source)
    raise spec_error([*problems, *found], source)
