"""YAML text to plain values that know their place: a small composer over PyYAML's events.

It follows the core schema of YAML 1.2, so `no`, `on`, `12:30` and `1_000` are text and `010` is ten. Anchors, aliases,
tags, merge keys, duplicate keys and more than one document are refused: each would let a file mean something else
than what it shows. The parser is libyaml's where PyYAML has it, else PyYAML's own.
"""

import re
from typing import Any

import yaml
from msgspec import UNSET, Struct

from homeport.spec.source import MAX_PROBLEMS, Marks, Path, Placed, lines_of, place_at, shown
from homeport.text import printable

MAX_CHARACTERS = 8 * 1024 * 1024
MAX_DEPTH = 24
MAX_VALUES = 250_000  # a spec of 10,000 models has fewer
MERGE_KEY = "<<"

_NUMBER = re.compile(
    r"(?P<int>[-+]?[0-9]+)|0o(?P<oct>[0-7]+)|0x(?P<hex>[0-9a-fA-F]+)"
    r"|(?P<float>[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)"
    r"|(?P<inf>[-+]?\.(?:inf|Inf|INF))|(?P<nan>\.(?:nan|NaN|NAN))"
)
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
# what no YAML text may hold, and the line separators that editors and YAML 1.1 count differently
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_MAX_DIGITS = 18


class Refused:
    """Stands in the tree for what the composer has already reported."""


REFUSED = Refused()


class Composed(Struct, frozen=True):
    """A document: its value, the places of its entries, the problems met, and whether it holds a word to rewrite.

    `complete` is False where reading stopped early, so that what seems to be missing may only be unread.
    """

    value: Any
    places: dict[str | int, Marks]
    problems: list[Placed]
    rewrite: bool
    complete: bool = True


def parser(text: str) -> Any:
    """Return PyYAML's event parser for `text`: libyaml's where there is one."""
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)


def decode(data: bytes) -> tuple[str, Placed | None]:
    """Return the text of a file in UTF-8 (a byte order mark is allowed), and the problem where it is not."""
    try:
        return data.decode("utf-8-sig"), None
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig", "replace")
        line, column = place_at(before, len(before))
        text = data.decode("utf-8-sig", "replace")
        bad = data[error.start]
    utf16 = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    message = "this is UTF-16, not UTF-8" if utf16 else f"byte 0x{bad:02x} is not valid UTF-8"
    return text, Placed(message=message, help="save the file as UTF-8", line=line, column=column)


def compose(text: str) -> Composed:
    """Turn `text` into plain values; what is wrong with it as YAML is in `problems`. Raises nothing."""
    unreadable = _unreadable(text)
    if unreadable:
        return Composed(None, {}, [unreadable], False, False)
    composer = _Composer()
    try:
        composer.read(parser(text))
    except yaml.MarkedYAMLError as error:
        composer.problems.append(_syntax(error, text))
        composer.complete = False
    except _StopReadingError:
        composer.complete = False
    places = composer.root_places
    return Composed(composer.root, places, composer.problems, composer.rewrite, composer.complete)


def _unreadable(text: str) -> Placed | None:
    if len(text) > MAX_CHARACTERS:
        size = f"{len(text) / 2**20:.0f} MiB of text; a spec holds at most {MAX_CHARACTERS // 2**20}"
        return Placed(message=size, line=1, column=1)
    found = _FORBIDDEN.search(text)
    if found is None:
        return None
    line, column = place_at(text, found.start())
    return Placed(
        message=f"the character U+{ord(found.group()):04X} has no place in a spec",
        help="is this a text file? Remove the character",
        line=line,
        column=column,
    )


class _StopReadingError(Exception):
    """Nothing after this point can be understood."""


class _Frame:
    """A mapping or sequence that is open."""

    __slots__ = ("event", "is_mapping", "key", "key_event", "places", "skip", "values")

    def __init__(self, values: Any, event: Any) -> None:
        self.values = values
        self.is_mapping = type(values) is dict
        self.places: dict[str | int, Marks] = {}
        self.event = event
        self.key: str | None = None
        self.key_event: Any = None
        self.skip = False


class _Composer:
    def __init__(self) -> None:
        self.root: Any = None
        self.root_places: dict[str | int, Marks] = {}
        self.problems: list[Placed] = []
        self.rewrite = False
        self.complete = True
        self.frames: list[_Frame] = []
        self.values = 0
        self.plain: dict[str, Any] = dict(_WORDS)  # plain text that has been read before -> its value

    def read(self, events: Any) -> None:
        """Build the tree; keep what is already built in `root` when the text turns out to be broken."""
        from yaml.events import (
            AliasEvent,
            DocumentStartEvent,
            MappingEndEvent,
            MappingStartEvent,
            ScalarEvent,
            SequenceEndEvent,
            SequenceStartEvent,
            StreamEndEvent,
        )

        get = events.get_event
        frames = self.frames
        documents = 0
        while True:
            event = get()
            kind = type(event)
            if kind is ScalarEvent:
                frame = frames[-1] if frames else None
                if frame is not None and frame.is_mapping and frame.key is None:
                    self._key(frame, event)
                else:
                    self._add(self._scalar(event), event, event.end_mark, None)
            elif kind is MappingStartEvent or kind is SequenceStartEvent:
                self._open({} if kind is MappingStartEvent else [], event)
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                frame = frames.pop()
                self._add(frame.values, frame.event, event.end_mark, frame.places)
            elif kind is AliasEvent:
                if frames and frames[-1].is_mapping and frames[-1].key is None:
                    self._note(event, "a key must be plain text, not an alias")
                    raise _StopReadingError
                self._note(
                    event, f"aliases (*{event.anchor}) are refused", "write the value out where it is used"
                )
                self._add(REFUSED, event, event.end_mark, None)
            elif kind is DocumentStartEvent:
                documents += 1
                if documents > 1:
                    self._note(event, "a second document starts here; a spec is one", "remove the '---'")
                    raise _StopReadingError
            elif kind is StreamEndEvent:
                return

    def _path(self) -> Path:
        steps = (f.key if f.is_mapping else len(f.values) for f in self.frames)
        return tuple(step for step in steps if step is not None)

    def _note(self, event: Any, message: str, help: str | None = None, value: Any = UNSET) -> None:  # noqa: A002
        mark = event.start_mark
        self.problems.append(
            Placed(
                message=message,
                path=self._path(),
                value=value,
                help=help,
                line=mark.line + 1,
                column=mark.column + 1,
            )
        )
        if len(self.problems) > MAX_PROBLEMS:
            raise _StopReadingError

    def _open(self, values: Any, event: Any) -> None:
        frames = self.frames
        if frames and frames[-1].is_mapping and frames[-1].key is None:
            self._note(
                event,
                "a key must be plain text, not a mapping or a list",
                "quote text that starts with { or [",
            )
            raise _StopReadingError
        if len(frames) >= MAX_DEPTH:
            self._note(event, f"more than {MAX_DEPTH} levels deep", "a spec is a few levels deep")
            raise _StopReadingError
        if event.anchor or event.tag:
            self._refuse(event)
        if not frames:
            self.root = values
        frame = _Frame(values, event)
        if not frames:
            self.root_places = frame.places
        frames.append(frame)

    def _key(self, frame: _Frame, event: Any) -> None:
        key: str = event.value
        if event.anchor or event.tag:
            self._refuse(event)
        frame.skip = False
        if key in frame.places:
            first = frame.places[key].key_span().line
            frame.skip = True
            frame.key = key
            self._note(event, f"this key stands twice (first on line {first})", "remove one of the two")
        elif key == MERGE_KEY and not event.style:
            frame.skip = True
            self._note(event, "merge keys (<<) are refused", "write the fields out where they are used")
        elif not key.isprintable():
            frame.skip = True
            self._note(event, f"the key {shown(key)} holds a character that cannot be seen")
        frame.key = key
        frame.key_event = event

    def _add(self, value: Any, event: Any, end: Any, children: dict[str | int, Marks] | None) -> None:
        if not self.frames:
            self.root = value
            return
        self.values += 1
        if self.values > MAX_VALUES:
            self._note(
                event, f"more than {MAX_VALUES:,} values", "a spec is smaller: is this the right file?"
            )
            raise _StopReadingError
        frame = self.frames[-1]
        if frame.is_mapping:
            if not frame.skip:
                frame.values[frame.key] = value
                frame.places[frame.key or ""] = Marks(frame.key_event, event, end, children)
            elif frame.key == MERGE_KEY:
                frame.values[MERGE_KEY] = REFUSED
            frame.key = None
            frame.skip = False
        else:
            frame.places[len(frame.values)] = Marks(event, event, end, children)
            frame.values.append(value)

    def _refuse(self, event: Any) -> None:
        if event.anchor:
            self._note(
                event, f"anchors (&{event.anchor}) are refused", "write the value out where it is used"
            )
        if event.tag:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self._note(event, f"tags ({printable(tag)}) are refused", "quotes make text; numbers need none")

    def _scalar(self, event: Any) -> Any:
        text: str = event.value
        if event.anchor or event.tag:
            self._refuse(event)
            if event.tag:
                return REFUSED
        if event.style:
            if text in _REWRITTEN:
                self.rewrite = True
            return text if text.isprintable() else self._unprintable(text, event)
        if text in self.plain:
            return self.plain[text]
        value = self._resolve(text, event)
        if value is not REFUSED:  # what is refused is reported wherever it stands
            self.plain[text] = value
        return value

    def _resolve(self, text: str, event: Any) -> Any:
        if text[0] in "0123456789.+-":
            match = _NUMBER.fullmatch(text)
            if match:
                return self._number(match, event)
        elif text in _REWRITTEN:
            self.rewrite = True
        return text if text.isprintable() else self._unprintable(text, event)

    def _number(self, match: re.Match[str], event: Any) -> Any:
        kind = match.lastgroup
        digits = match.group(kind or 0)
        if kind in ("int", "oct", "hex"):
            if len(digits) > _MAX_DIGITS:
                self._note(event, f"{shown(digits)[1:-1]} is a number of {len(digits)} digits: too large")
                return REFUSED
            return int(digits, {"int": 10, "oct": 8, "hex": 16}[kind])
        number = float(digits) if kind == "float" else None
        if number is None or number in (float("inf"), float("-inf")):
            self._note(
                event, f"{digits} is no finite number", "write a number, or leave the field out", digits
            )
            return REFUSED
        return number

    def _unprintable(self, text: str, event: Any) -> Any:
        bad = next(c for c in text if not c.isprintable())
        what = "a line break" if bad == "\n" else f"the character U+{ord(bad):04X}"
        advice = (
            "write the text on one line ('>-' folds it)"
            if bad == "\n"
            else "retype the text: it cannot be seen"
        )
        self._note(event, f"{shown(text)} holds {what}", advice, text)
        return REFUSED


# `auto` stands for an absent field, the alias for its engine: the loader rewrites them, where there are any
_REWRITTEN = frozenset({"auto", "tensorrt-llm"})

# words of libyaml's or PyYAML's own parser -> what to tell the user
_SYNTAX = (
    ("nesting depth", "nested too deeply", "a spec is a few levels deep"),
    ("node content", "a value is missing, or a list or mapping is not closed", "close every '[' and '{'"),
    (
        "mapping values are not allowed",
        "a ':' cannot stand here",
        "put a value that contains ': ' in quotes; check the indentation",
    ),
    (
        "did not find expected key",
        "a field was expected here",
        "check the indentation of this line and of the one above",
    ),
    (
        "did not find expected '-' indicator",
        "an item ('- …') was expected here",
        "check the indentation of this line and of the one above",
    ),
    (
        "expected <block end>",
        "a field or an item was expected here",
        "check the indentation of this line and of the one above",
    ),
    ("could not find expected ':'", "a ':' is missing", "a field is written 'name: value'"),
    ("cannot start any token", "a value cannot start with this character", "put the value in quotes"),
    (
        "unknown escape character",
        "an unknown escape in double quotes",
        "use single quotes, or write \\\\ for one \\",
    ),
    (
        "block sequence entries are not allowed",
        "a list cannot start here",
        "put the '-' on a line of its own",
    ),
    ("undefined tag handle", "tags (!) are refused", "put text that starts with '!' in quotes"),
)
# the same, where the user has to look at the place that opened what is not closed
_UNCLOSED = (
    ("unexpected end of stream", "these quotes are not closed", "close the quotes"),
    ("expected ',' or ']'", "this list is not closed, or lacks a ','", "close it with ']'"),
    ("expected ',' or '}'", "this mapping is not closed, or lacks a ','", "close it with '}'"),
)


def _syntax(error: yaml.MarkedYAMLError, text: str) -> Placed:
    """Say in the user's words where YAML breaks and what usually helps."""
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    problem = error.problem or ""
    lines = lines_of(text)
    if line > len(lines):  # libyaml counts a line after the last
        line, column = len(lines), len(lines[-1]) + 1
    at = lines[line - 1]
    indent = at[: len(at) - len(at.lstrip())]
    if "\t" in indent:
        return _invalid("a tab indents this line", "indent with spaces", line, indent.index("\t") + 1)
    for words, message, advice in _UNCLOSED:
        if words in problem and error.context_mark:
            opened = error.context_mark
            noticed = f"; noticed on line {line}" if line != opened.line + 1 else ""
            return _invalid(message + noticed, advice, opened.line + 1, opened.column + 1)
    for words, message, advice in _SYNTAX:
        if words in problem:
            return _invalid(message, advice, line, column)
    return _invalid(printable(problem), None, line, column)


def _invalid(message: str, advice: str | None, line: int, column: int) -> Placed:
    return Placed(message=f"not valid YAML: {message}", help=advice, line=line, column=column)


def is_number(text: str) -> bool:
    """Say whether the core schema reads `text` as a finite number."""
    match = _NUMBER.fullmatch(text)
    return match is not None and match.lastgroup not in ("inf", "nan")
