"""All that is wrong with a spec's plain values, in the user's words.

`msgspec.convert` stops at the first error and speaks of types; this walker runs only after it has failed. It reads
the same Structs, so the two cannot disagree on what is right.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import inspect

from homeport.errors import Problem
from homeport.spec.compose import MERGE_KEY, Refused
from homeport.spec.hints import (
    NO_PASSWORD,
    OTHER_NAMES,
    OTHER_VALUES,
    list_help,
    number_help,
    suggest,
    truth_help,
)
from homeport.spec.models import SecretRef, Spec
from homeport.spec.semantics import PART_CHECKS, check_hosts, check_names
from homeport.spec.source import MAX_PROBLEMS, Path, Placed, Source, shown
from homeport.text import nearest, one_of

MAX_NAMES = 24


class Field(msgspec.Struct, frozen=True):
    """What the messages need to know of a Struct's field."""

    type: inspect.Type
    required: bool
    default: Any
    description: str
    example: str


def check(value: dict[str, Any], source: Source) -> list[Problem]:
    """Return every problem of a spec's plain values."""
    walker = _Walker(source)
    problems = list(walker.struct(value, Spec, ()))
    models = value.get("models")
    if isinstance(models, list):
        whole = [model if isinstance(model, dict) else {} for model in models]
        problems += check_names([model.get("name") for model in whole])
        problems += check_hosts([_expose(model) for model in whole])
    return problems


def check_against(value: Any, cls: type[msgspec.Struct], source: Source) -> list[Problem]:
    """Return every problem of the plain values of another file than a spec, whose whole is `cls`."""
    return list(_Walker(source, cls).struct(value, cls, ()))


def _expose(model: dict[str, Any]) -> Any:
    from homeport.spec.models import Expose

    try:
        return msgspec.convert(model.get("expose", {}), Expose)
    except msgspec.ValidationError:
        return Expose()


class _Walker:
    def __init__(self, source: Source, whole: type[msgspec.Struct] = Spec) -> None:
        self.source = source
        self.whole = whole
        self.unknown = 0

    def struct(self, value: Any, cls: type[msgspec.Struct], path: Path) -> Iterator[Problem]:
        """Check a mapping against a Struct; where it is whole, check what its fields must hold together."""
        if cls is SecretRef and isinstance(value, str):
            # its text may be the secret itself: it is not repeated
            yield Problem(
                message="a secret does not belong in a spec; expected the name of a Secret and a key in it",
                path=path,
                help=f"{path[-1]}: {{secret: NAME, key: KEY}}, and the Secret in the model's namespace",
            )
            return
        if not isinstance(value, dict):
            yield self._wrong(value, path, "a mapping", f"its fields: {one_of(fields(cls))}")
            return
        known = fields(cls)
        found = 0
        for key, item in value.items():
            if isinstance(item, Refused):
                continue
            if key not in known:
                found += 1
                yield self._unknown(key, item, cls, path)
                continue
            for problem in self.value(item, known[key], (*path, key)):
                found += 1
                yield problem
        for name, field in known.items():
            if field.required and name not in value and MERGE_KEY not in value:
                found += 1
                yield Problem(
                    message="missing", path=(*path, name), help=f"{field.description}; {field.example}"
                )
        if not found and cls in PART_CHECKS:
            try:
                part = msgspec.convert(value, cls)
            except msgspec.ValidationError:
                return  # something in it has been refused, and reported, before
            yield from PART_CHECKS[cls](part, path)

    def value(self, value: Any, field: Field, path: Path) -> Iterator[Problem]:
        """Check the value of a field."""
        kind, meta = unwrap(field.type)
        meta |= {"example": field.example, "description": field.description}
        if value is None:
            yield Problem(
                message="no value",
                path=path,
                value=None,
                help=f"{field.example}" + ("" if field.required else "; or leave the field out"),
            )
            return
        if isinstance(kind, inspect.LiteralType):
            yield from self._literal(value, kind, meta, path, optional=not field.required)
        else:
            yield from self.typed(value, kind, meta, path)

    def typed(self, value: Any, kind: inspect.Type, meta: dict[str, Any], path: Path) -> Iterator[Problem]:
        """Check a value that is written against a type."""
        if isinstance(value, Refused):
            return
        if isinstance(kind, inspect.StructType):
            yield from self.struct(value, kind.cls, path)
        elif isinstance(kind, inspect.VarTupleType):
            yield from self._list(value, kind, meta, path)
        elif isinstance(kind, inspect.DictType):
            yield from self._dict(value, kind, meta, path)
        elif isinstance(kind, inspect.LiteralType):
            yield from self._literal(value, kind, meta, path)
        elif isinstance(kind, inspect.BoolType):
            if not isinstance(value, bool):
                yield self._wrong(value, path, "true or false", truth_help(value) or meta.get("description"))
        elif isinstance(kind, inspect.IntType | inspect.FloatType):
            yield from self._number(value, kind, meta, path)
        elif isinstance(kind, inspect.StrType):
            yield from self._text(value, kind, meta, path)

    def _list(
        self, value: Any, kind: inspect.VarTupleType, meta: dict[str, Any], path: Path
    ) -> Iterator[Problem]:
        if not isinstance(value, list | tuple):
            yield self._wrong(value, path, "a list", list_help(value))
            return
        least, most = kind.min_length or 0, kind.max_length
        if not least <= len(value) <= (len(value) if most is None else most):
            if most is None and not value:
                yield Problem(message="the list is empty", path=path, value=value, help="name at least one")
            else:
                wanted = str(least) if least == most else f"{least} to {most}"
                yield Problem(
                    message=f"the list has {len(value)} values; expected {wanted}",
                    path=path,
                    value=value,
                    help=meta.get("description"),
                )
        item_type, item_meta = unwrap(kind.item_type)
        about = {"description": meta.get("description")}
        for index, item in enumerate(value):
            if item is None:
                yield Problem(
                    message="no value", path=(*path, index), value=None, help="remove the empty item"
                )
            else:
                yield from self.typed(item, item_type, about | item_meta, (*path, index))

    def _dict(
        self, value: Any, kind: inspect.DictType, meta: dict[str, Any], path: Path
    ) -> Iterator[Problem]:
        if not isinstance(value, dict):
            yield self._wrong(value, path, "a mapping", meta.get("description"))
            return
        about = {"description": meta.get("description")}
        key_type, key_meta = unwrap(kind.key_type)
        value_type, value_meta = unwrap(kind.value_type)
        for key, item in value.items():
            yield from self.typed(key, key_type, about | key_meta, (*path, key))
            if item is None:
                yield Problem(
                    message="no value", path=(*path, key), value=None, help='write "" for an empty one'
                )
            else:
                yield from self.typed(item, value_type, about | value_meta, (*path, key))

    def _literal(
        self,
        value: Any,
        kind: inspect.LiteralType,
        meta: dict[str, Any],
        path: Path,
        optional: bool = False,
    ) -> Iterator[Problem]:
        choices = in_order(kind.values)
        if value in choices and type(value) in {type(choice) for choice in choices}:
            return
        written = self._written(value, path)
        if len(choices) == 1:
            yield Problem(
                message=f"{written} is not {choices[0]}, the only one that this homeport knows",
                path=path,
                value=value,
                help=f"write {choices[0]}{' without quotes' if value == str(choices[0]) else ''}",
            )
            return
        names = [*(("auto",) if optional and "auto" not in choices else ()), *map(str, choices)]
        other = OTHER_VALUES.get(value.lower()) if isinstance(value, str) else None
        close = [other] if other in names else nearest(value, names, 1) if isinstance(value, str) else []
        yield Problem(
            message=f"{written} is not one of {one_of(names)}",
            path=path,
            value=value,
            help=f"did you mean {close[0]}?" if close else meta.get("description"),
        )

    def _number(
        self, value: Any, kind: inspect.IntType | inspect.FloatType, meta: dict[str, Any], path: Path
    ) -> Iterator[Problem]:
        whole = isinstance(kind, inspect.IntType)
        wanted = "a whole number" if whole else "a number"
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield self._wrong(value, path, wanted, number_help(value) or meta.get("example"))
            return
        if whole and isinstance(value, float):
            advice = f"write {int(value)}" if value.is_integer() else None
            yield self._wrong(value, path, wanted, advice)
            return
        if value != value or value in (float("inf"), float("-inf")):
            yield Problem(
                message=f"{self._written(value, path)} is no number to count with; expected a finite one",
                path=path,
                value=value,
                help=meta.get("example"),
            )
            return
        limit = _limit(value, kind)
        if limit:
            yield Problem(
                message=f"{self._written(value, path)} {limit}",
                path=path,
                value=value,
                help=meta.get("description"),
            )

    def _text(self, value: Any, kind: inspect.StrType, meta: dict[str, Any], path: Path) -> Iterator[Problem]:
        if not isinstance(value, str):
            quoted = (
                f'put it in quotes: "{self._written(value, path)}"'
                if isinstance(value, int | float)
                else meta.get("description")
            )
            yield self._wrong(value, path, "text", quoted)
            return
        import re

        if not value.isprintable():
            yield Problem(
                message=f"{shown(value)} holds a character that cannot be seen",
                path=path,
                value=value,
                help="delete it, and write the text anew",
            )
        elif kind.min_length and len(value) < kind.min_length:
            yield Problem(
                message="the text is empty", path=path, value=value, help="write a value, or leave it out"
            )
        elif (kind.max_length and len(value) > kind.max_length) or (
            kind.pattern and not re.search(kind.pattern, value)
        ):
            says = meta.get("says", f"at most {kind.max_length} characters")
            if re.search(r"://[^/\s?#]*@", value):
                # what stands before the @ may be a password: it is not repeated
                yield Problem(message=f"{NO_PASSWORD}; expected {says}", path=path)
                return
            suggestion = suggest(value, kind)
            yield Problem(
                message=f"{shown(value)} must be {says}",
                path=path,
                value=value,
                help=f"did you mean '{suggestion}'?" if suggestion else meta.get("description"),
            )

    def _wrong(self, value: Any, path: Path, wanted: str, advice: str | None = None) -> Problem:
        return Problem(
            message=f"{self._written(value, path)} is {_kind(value)}; expected {wanted}"
            if not isinstance(value, dict | list | tuple)
            else f"expected {wanted}, not {shown(value)}",
            path=path,
            value=value,
            help=advice,
        )

    def _written(self, value: Any, path: Path) -> str:
        """Return a number as the user wrote it (`0.10`), other values as `shown` does."""
        text = self.source.written(path) if isinstance(value, int | float) else None
        return text or shown(value)

    def _unknown(self, key: str, value: Any, cls: type[msgspec.Struct], path: Path) -> Problem:
        known = list(fields(cls))
        self.unknown += 1
        if self.unknown > MAX_PROBLEMS:  # nobody reads these, and guessing takes its time
            return Problem(message="unknown field", path=(*path, key), value=value)
        close = [OTHER_NAMES[key]] if OTHER_NAMES.get(key) in known else nearest(key, known, 1)
        elsewhere = None if close else _elsewhere(key, self.whole)
        if close:
            advice = f"did you mean {close[0]}?"
        elif elsewhere:
            advice = elsewhere
        else:
            advice = f"fields here: {one_of(known[:MAX_NAMES])}"
        place = self.source.find((*path, key))
        message = "unknown field"
        if place is None:
            return Problem(message=message, path=(*path, key), value=value, help=advice)
        return Placed(
            message=message,
            path=(*path, key),
            value=value,
            help=advice,
            line=place.key_span().line,
            column=place.key_span().column,
        )


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "text"
    return "a truth value" if isinstance(value, bool) else "a number"


def _limit(value: float, kind: inspect.IntType | inspect.FloatType) -> str | None:
    if kind.ge is not None and value < kind.ge:
        return f"is too small: at least {kind.ge}"
    if kind.gt is not None and value <= kind.gt:
        return f"is too small: more than {kind.gt}"
    if kind.le is not None and value > kind.le:
        return f"is too large: at most {shown(kind.le)}"
    return None


def unwrap(kind: inspect.Type) -> tuple[inspect.Type, dict[str, Any]]:
    """Return the type that a value has when it is written, without Metadata and None, and what the Meta says."""
    meta: dict[str, Any] = {}
    while isinstance(kind, inspect.Metadata | inspect.UnionType):
        if isinstance(kind, inspect.Metadata):
            meta |= kind.extra or {}
            kind = kind.type
        else:
            kind = next(t for t in kind.types if not isinstance(t, inspect.NoneType))
    return kind, meta


@cache
def fields(cls: type[msgspec.Struct]) -> dict[str, Field]:
    """Return what the messages need to know of each field of a Struct."""
    info = inspect.type_info(cls)
    assert isinstance(info, inspect.StructType)
    result = {}
    for field in info.fields:
        about = field.type.extra_json_schema or {} if isinstance(field.type, inspect.Metadata) else {}
        kind, _ = unwrap(field.type)
        result[field.name] = Field(
            field.type,
            field.required,
            _default(field),
            about.get("description", field.name),
            _example(field.name, kind, about),
        )
    return result


def _default(field: inspect.Field) -> Any:
    """Return what holds where a field is left out; NODEFAULT for one that is required."""
    return field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default


_EXAMPLES = {
    "model": "meta-llama/Llama-3.1-8B-Instruct",
    "name": "assistant",
    "requests_per_day": "100000",
    "input_tokens": "1000",
    "output_tokens": "500",
    "secret": "hub-token",
    "key": "token",
    "source": "org/adapter",
}


def _example(name: str, kind: inspect.Type, about: dict[str, Any]) -> str:
    """Return what a field looks like when it is written."""
    if isinstance(kind, inspect.StructType):
        needed = [n for n, f in fields(kind.cls).items() if f.required] or list(fields(kind.cls))[:1]
        return f"for example {name}: {{{', '.join(f'{n}: …' for n in needed)}}}"
    if isinstance(kind, inspect.LiteralType):
        return f"for example {name}: {in_order(kind.values)[0]}"
    if name in _EXAMPLES:
        return f"for example {name}: {_EXAMPLES[name]}"
    if isinstance(kind, inspect.VarTupleType):
        item, _ = unwrap(kind.item_type)
        inner = ""
        if isinstance(item, inspect.StructType):
            inner = ", ".join(f"{n}: …" for n, f in fields(item.cls).items() if f.required)
        return f"for example {name}: [{{{inner}}}]" if inner else f"for example {name}: [ … ]"
    return str(about.get("description", name))


@cache
def in_order(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a Literal's values in the order of its definition (msgspec sorts them)."""
    return next((known for known in _literals(Spec) if set(known) == set(values)), values)


@cache
def _literals(hint: Any) -> tuple[tuple[Any, ...], ...]:
    """Return the values of every Literal below a type, as they are written there."""
    if get_origin(hint) is Literal:
        return (get_args(hint),)
    parts: Iterable[Any] = get_args(hint)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        parts = get_type_hints(hint).values()
    return tuple(values for part in parts for values in _literals(part))


def _elsewhere(key: str, whole: type[msgspec.Struct]) -> str | None:
    """Say where a field belongs that stands in the wrong part."""
    for owner, path in _paths(whole, ""):
        if key in fields(owner):
            return f"{key} belongs under {path}" if path else f"{key} belongs at the top of the file"
    return None


def _paths(cls: type[msgspec.Struct], path: str) -> Iterator[tuple[type[msgspec.Struct], str]]:
    yield cls, path
    for name, field in fields(cls).items():
        kind, _ = unwrap(field.type)
        suffix = "[]" if isinstance(kind, inspect.VarTupleType) else ""
        if isinstance(kind, inspect.VarTupleType):
            kind, _ = unwrap(kind.item_type)
        if isinstance(kind, inspect.StructType):
            yield from _paths(kind.cls, f"{path}.{name}{suffix}".lstrip("."))
