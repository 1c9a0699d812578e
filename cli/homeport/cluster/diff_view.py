"""A comparison as text, in the form of a unified diff: `-` is what the cluster has, `+` what was rendered."""

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from homeport.cluster.diff_types import Comparison, Field, ObjectDiff
from homeport.text import one_of, printable

Mark = Literal["head", "hunk", "-", "+", " ", "note"]
CONTEXT = 2
"""Unchanged lines around a change inside a long text."""

_HEADS = {
    "missing": ("+++", "missing in the cluster"),
    "left_over": ("---", "in the cluster, not rendered any more"),
    "refused": ("!!!", "would be refused"),
    "unknown": ("???", "could not be compared"),
}
_NUMBERS = {
    "same": "as rendered",
    "differs": "different",
    "missing": "missing",
    "left_over": "left over",
    "refused": "refused",
    "unknown": "not comparable",
}


class Line(msgspec.Struct, frozen=True):
    """One line, and what it is (for its colour)."""

    mark: Mark
    text: str


def lines(comparison: Comparison) -> Iterator[Line]:
    """The lines for every object that is not as it was rendered."""
    said: str | None = None
    for one in comparison.objects:
        if one.state == "differs":
            yield from _differs(one)
        elif one.state != "same":
            sign, text = _HEADS[one.state]
            yield Line("head", f"{sign} {one.title}  {text}")
            again = one.state == "missing" and one.message == said  # said once for a whole namespace
            said = one.message
            if one.message and not again:
                yield Line("note", f"    {printable(one.message)}")
            if one.help:
                yield Line("note", f"    {printable(one.help)}")


def _differs(one: ObjectDiff) -> Iterator[Line]:
    by = f"  (applied by {one_of(one.applied_by)})" if one.applied_by else ""
    yield Line("head", f"--- cluster  {one.title}{by}")
    yield Line("head", f"+++ spec     {one.title}")
    for field in one.fields:
        yield Line("hunk", f"@@ {field.path} @@{taken_text(field)}")
        yield from _field(field)


def taken_text(field: Field) -> str:
    """Who owns the field now; empty where nobody took it."""
    if not field.taken_by:
        return ""
    named = one_of(f"{owner.title}{f' at {owner.time}' if owner.time else ''}" for owner in field.taken_by)
    return f"  taken by {printable(named)}"


def _field(field: Field) -> Iterator[Line]:
    import difflib

    live, rendered = value_lines(field.live), value_lines(field.rendered)
    if not live or not rendered:
        yield from (Line("-", f"-{line}") for line in live)
        yield from (Line("+", f"+{line}") for line in rendered)
        return
    for line in difflib.unified_diff(live, rendered, n=CONTEXT, lineterm=""):
        if line.startswith(("---", "+++")) and not line[3:].strip():
            continue  # the file's names, which are above
        if line.startswith("@@"):
            if len(live) > 2 * CONTEXT + 1:
                yield Line("hunk", f" {line}")
            continue
        mark: Mark = "-" if line[0] == "-" else "+" if line[0] == "+" else " "
        yield Line(mark, line)


def value_lines(value: Any) -> list[str]:
    """A value as the lines that stand for it: text as it is, everything else as YAML; nothing a terminal would act on."""
    if value is msgspec.UNSET:
        return []
    if isinstance(value, str):
        return [printable(line) for line in value.split("\n")] if value else ['""']
    if isinstance(value, bool):
        return [str(value).lower()]
    if isinstance(value, dict | list):
        import yaml

        dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
        text = yaml.dump(value, Dumper=dumper, sort_keys=False, allow_unicode=True, width=1000)
        return [printable(line) for line in text.rstrip("\n").split("\n")]
    return [str(value)]


def summary(comparison: Comparison) -> str:
    """`12 objects in the context prod: 9 as rendered, 2 different, 1 missing`."""
    counts = {state: len(comparison.of(state)) for state in _NUMBERS}  # type: ignore[arg-type]
    said = one_of(f"{counts[state]} {text}" for state, text in _NUMBERS.items() if counts[state])
    total = len(comparison.objects)
    return f"{total} object{'s' if total != 1 else ''} in the context {comparison.context}: {said}"
