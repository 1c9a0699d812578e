"""Rendered text back to data: what Pulumi, `diff` and the validation read."""

from functools import cache
from typing import Any

_BOOLEANS = {"true": True, "false": False}


@cache
def _loader() -> Any:
    import yaml

    return getattr(yaml, "CLoader", yaml.Loader)


def load(text: str) -> Any:
    """Return the one document of `text`, a rendered `Document.text`.

    It reads what homeport renders (block style, integers, booleans and strings) and is several times faster than
    PyYAML's own constructor. Raises yaml.YAMLError for what is no YAML, ValueError for YAML that is never rendered.
    """
    import yaml

    loader = _loader()(text)
    stack: list[Any] = []
    keys: list[Any] = []
    root: Any = None
    started = False
    key: Any = None
    try:
        while True:
            event = loader.get_event()
            if event is None:
                break
            kind = event.__class__
            if kind is yaml.ScalarEvent:
                if event.anchor or event.tag:
                    raise ValueError(f"anchors and tags are never rendered: {event.start_mark}")
                value: Any = event.value if event.style else _plain(event.value)
                if stack and key is None and stack[-1].__class__ is dict:
                    if value in stack[-1]:
                        raise ValueError(f"the key {value!r} stands twice: {event.start_mark}")
                    key = value
                    continue
            elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                stack.append({} if kind is yaml.MappingStartEvent else [])
                keys.append(key)
                key = None
                continue
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                value, key = stack.pop(), keys.pop()
            elif kind is yaml.AliasEvent:
                raise ValueError("aliases are never rendered")
            elif kind is yaml.DocumentStartEvent and started:
                raise ValueError("one document was expected")
            else:
                started = started or kind is yaml.DocumentStartEvent
                continue
            if not stack:
                root = value
            elif stack[-1].__class__ is list:
                stack[-1].append(value)
            else:
                stack[-1][key] = value
                key = None
    finally:
        loader.dispose()
    return root


def _plain(text: str) -> Any:
    """What an unquoted scalar means: `yamltext.scalar` leaves only these unquoted."""
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if text.isascii() and text.removeprefix("-").isdigit():
        return int(text)
    return text
