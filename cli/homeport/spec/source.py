"""Where things stand in the user's file: lines and columns by path, problems with a place, and paths as text."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from msgspec import Struct

from homeport.errors import Problem, SpecError
from homeport.text import printable

Path = tuple[str | int, ...]
MAX_STEPS = 8
MAX_PROBLEMS = 200
_LINE_BREAK = re.compile("\r\n|\r|\n")


class Span(Struct, frozen=True):
    """A stretch of the text: 1-based line and column of its start, and its offsets in characters."""

    line: int
    column: int
    start: int
    end: int


class Marks(NamedTuple):
    """Where an entry of a mapping or a sequence stands, in the parser's own marks (0-based).

    `key` and `value` are the parser's events (the same one in a sequence), `end` the mark after the value. Spans are
    made from them on demand: a file without errors has no use for them.
    """

    key: Any
    value: Any
    end: Any
    children: "dict[str | int, Marks] | None"

    def key_span(self) -> Span:
        """Return the span of the key (of an item: of its value)."""
        return _span(self.key.start_mark, self.key.end_mark)

    def value_span(self) -> Span:
        """Return the span of the value."""
        return _span(self.value.start_mark, self.end)


def _span(start: Any, end: Any) -> Span:
    return Span(start.line + 1, start.column + 1, start.index, end.index)


class Placed(Problem, frozen=True, kw_only=True):
    """A problem that knows its own place: a syntax error, a key that stands twice, an unknown field."""

    line: int
    column: int


class Source(Struct, frozen=True, kw_only=True):
    """What the user wrote: a file's text, flags over it, or flags alone.

    `places` are the entries of the top-level mapping, as the composer met them; `flags` the fields that something
    else than the file sets, and its name (`--gpu`, `HOMEPORT_GPU`).
    """

    name: str
    text: str = ""
    places: dict[str | int, Marks] = {}
    flags: Mapping[Path, str] = {}

    def find(self, path: Path) -> Marks | None:
        """Return the place of exactly `path`, or None where the text has no such entry."""
        children: dict[str | int, Marks] | None = self.places
        place = None
        for step in path:
            place = children.get(step) if children else None
            if place is None:
                return None
            children = place.children
        return place

    def locate(self, path: Path) -> tuple[int, int]:
        """Return the 1-based (line, column) of the value at `path`.

        Where the value starts on a line below its key, that is the key's place; where the text has no such entry
        (a field that is missing, a default), it is the nearest enclosing entry's.
        """
        for length in range(len(path), 0, -1):
            place = self.find(path[:length])
            if place:
                key, value = place.key_span(), place.value_span()
                span = value if value.line == key.line and length == len(path) else key
                return span.line, span.column
        return 1, 1

    def written(self, path: Path) -> str | None:
        """Return the scalar at `path` as it is written (`0.10`, not 0.1), or None."""
        place = self.find(path)
        if place is None or place.children is not None or (self.flags is not None and path in self.flags):
            return None
        span = place.value_span()
        return self.text[span.start : span.end]

    def line(self, number: int) -> str:
        """Return a line of the text by its 1-based number, or "" past the end."""
        lines = lines_of(self.text)
        return lines[number - 1] if 0 < number <= len(lines) else ""


@lru_cache(maxsize=4)
def lines_of(text: str) -> tuple[str, ...]:
    """Return the lines of a text as editors and YAML count them (`str.splitlines` splits at more than line breaks)."""
    return tuple(_LINE_BREAK.split(text))


def place_at(text: str, offset: int) -> tuple[int, int]:
    """Return the 1-based (line, column) of the character at `offset`."""
    before = lines_of(text[:offset])
    return len(before), len(before[-1]) + 1


def spec_error(problems: Iterable[Problem], source: Source) -> SpecError:
    """Return the error that carries `problems` in the order of the source; of very many, the first."""
    ordered = sorted(problems, key=lambda problem: position(problem, source))
    if len(ordered) > MAX_PROBLEMS:
        line, column = position(ordered[MAX_PROBLEMS], source)
        more = f"and {len(ordered) - MAX_PROBLEMS} more problems from here on"
        ordered[MAX_PROBLEMS:] = [Placed(message=more, line=line, column=column)]
    return SpecError(ordered, source)


def position(problem: Problem, source: Source) -> tuple[int, int]:
    """Return the 1-based (line, column) of a problem; for one of a flag, line 0 and the flag's place among them."""
    if problem.path in source.flags:
        return 0, list(source.flags).index(problem.path)
    if isinstance(problem, Placed):
        return problem.line, problem.column
    return source.locate(problem.path)


def path_text(path: Path) -> str:
    """Write a path as `models[3].precision`; keys that are no plain words are quoted, very long paths cut."""
    text = ""
    for step in path[:MAX_STEPS]:
        if isinstance(step, int):
            text += f"[{step}]"
        elif step.replace("_", "").replace("-", "").isalnum():
            text += f".{step}" if text else step
        else:
            text += f"[{shown(step)}]"
    return text + "…" * (len(path) > MAX_STEPS)


def shown(value: Any, limit: int = 60) -> str:
    """Write a value for a message: text in quotes, long ones shortened, control characters escaped."""
    if isinstance(value, str):
        text = printable(value if len(value) <= limit * 2 else value[: limit * 2])
        return f"'{text}'" if len(text) <= limit else f"'{text[: limit - 1]}…'"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    return format(value, ".15g") if isinstance(value, float) else str(value)
