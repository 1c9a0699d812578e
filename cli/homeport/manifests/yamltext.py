"""Values as YAML text: plain where every reader agrees that it is a string, quoted everywhere else."""

import re
from functools import lru_cache
from typing import Any

# Plain scalars that YAML 1.1 and 1.2 both read as strings: they begin with a letter, a slash or `--` and a letter, and
# hold none of the characters that mean something to YAML. `:` may stand inside (images, URLs), never at the end.
# Quantities (36Gi, 100m) are strings to all of them too.
_PLAIN = re.compile(
    r"(?:[A-Za-z/]|--[A-Za-z])(?:[A-Za-z0-9_./@+=:-]*[A-Za-z0-9_./@+=-])?|[0-9]+(?:[KMGT]i|m)"
)
# Words that some reader takes for a boolean or null (YAML 1.1: y, n, yes, no, on, off too).
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


@lru_cache(maxsize=4096)
def is_plain(text: str) -> bool:
    """Say whether `text` needs no quotes in block context."""
    return _PLAIN.fullmatch(text) is not None and text.lower() not in _WORDS


def scalar(value: Any) -> str:
    """`value` (str, bool, int) as one YAML scalar on one line.

    Raises TypeError for anything else: floats and None are decided in Python, before the template.
    """
    if isinstance(value, str):
        return value if is_plain(value) else quoted(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in a manifest: {value!r}")


def quoted(text: str) -> str:
    """`text` in quotes, on one line: double ones, or single ones around text that has double ones in it.

    What Python calls printable is printable to YAML too; everything else is escaped.
    """
    if text.isprintable():
        if '"' in text and "'" not in text:
            return f"'{text}'"
        if '"' not in text and "\\" not in text:
            return f'"{text}"'
    return '"' + "".join(_SHORT.get(c) or (c if c.isprintable() else _escape(ord(c))) for c in text) + '"'


def _escape(code: int) -> str:
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def block(text: str, indent: int) -> str:
    """`text` as a literal block whose lines begin with `indent` blanks, or quoted where a block cannot hold it."""
    lines = text.split("\n")
    body = lines[:-1] if lines[-1] == "" else lines
    fits = body and body[0] and body[-1] and body[0][0] != " "
    if not fits or any(line.endswith(" ") or not line.isprintable() for line in body):
        return quoted(text)
    pad = " " * indent
    return ("|\n" if lines[-1] == "" else "|-\n") + "\n".join(pad + line if line else "" for line in body)


def comment(text: str) -> str:
    """`text` as the words of a comment: one line, nothing that could end it."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(text.split())


def indented(text: str, width: int) -> str:
    """`text` with `width` blanks before every line but the first and the empty ones."""
    pad = " " * width
    first, *rest = text.split("\n")
    return "\n".join([first, *(pad + line if line else line for line in rest)])
