"""Rendered text back to data: what Pulumi, `diff` and the validation read."""

from functools import cache
from typing import Any

_BOOLEANS = {"true": True, "false": False}
_DIGITS = frozenset("-0123456789")


@cache
def _loader() -> Any:
    import yaml

    return getattr(yaml, "CLoader", yaml.Loader)


def load(text: str) -> Any:
    """Return the one document of `text`, a rendered `Document.text`.

    It reads what homeport renders (block style, integers, booleans and strings) and is several times faster than
    PyYAML's own constructor. Raises yaml.YAMLError for what is no YAML, ValueError for YAML that is never rendered.
    """
    from yaml.events import (
        AliasEvent,
        DocumentStartEvent,
        MappingEndEvent,
        MappingStartEvent,
        ScalarEvent,
        SequenceEndEvent,
        SequenceStartEvent,
    )

    loader = _loader()(text)
    next_event = loader.get_event
    stack: list[tuple[Any, Any]] = []
    root: Any = None
    into: Any = None  # the mapping or sequence that is open
    key: Any = None
    started = False
    try:
        while (event := next_event()) is not None:
            kind = event.__class__
            if kind is ScalarEvent:
                if event.anchor or event.tag:
                    raise ValueError(f"anchors and tags are never rendered: {event.start_mark}")
                value = event.value if event.style else _plain(event.value)
                if key is None and into.__class__ is dict:
                    if value in into:
                        raise ValueError(f"the key {value!r} stands twice: {event.start_mark}")
                    key = value
                    continue
            elif kind is MappingStartEvent or kind is SequenceStartEvent:
                stack.append((into, key))
                into, key = {} if kind is MappingStartEvent else [], None
                continue
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                value = into
                into, key = stack.pop()
            elif kind is AliasEvent:
                raise ValueError("aliases are never rendered")
            elif kind is DocumentStartEvent and started:
                raise ValueError("one document was expected")
            else:
                started = started or kind is DocumentStartEvent
                continue
            if into is None:
                root = value
            elif into.__class__ is list:
                into.append(value)
            else:
                into[key] = value
                key = None
    finally:
        loader.dispose()
    return root


def _plain(text: str) -> Any:
    """What an unquoted scalar means: `yamltext.scalar` leaves only these unquoted."""
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if text[:1] in _DIGITS and text.isascii() and text.removeprefix("-").isdigit():
        return int(text)
    return text
