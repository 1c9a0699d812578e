"""Values as YAML text: plain where every reader agrees that it is a string, quoted everywhere else."""

import re
from typing import Any

# Plain scalars that YAML 1.1 and 1.2 both read as strings: they begin with a letter, a slash or `--` and a letter, and
# hold none of the characters that mean something to YAML. `:` may stand inside (images, URLs), never at the end.
# Quantities (36Gi, 100m) are strings to all of them too.
_PLAIN = re.compile(
    r"(?:[A-Za-z/]|--[A-Za-z])(?:[A-Za-z0-9_./@+=:-]*[A-Za-z0-9_./@+=-])?|[0-9]+(?:[KMGT]i|m)"
)
# Text that single quotes hold as it is: easier to read where it has double quotes in it.
_SINGLE = re.compile(r"[ !\"-&(-~]+")
# Words that some reader takes for a boolean or null (YAML 1.1: y, n, yes, no, on, off too).
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
# What a double-quoted scalar must escape: its own marks, and what is not printable in YAML 1.1.
_ESCAPED = re.compile(
    '["\\\\\x00-\x1f\x7f-\xa0\xad\u2028\u2029\ud800-\udfff\ue000-\uf8ff\ufeff\ufffe\uffff]|[\U000e0000-\U0010ffff]'
)
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
# Lines of a literal block: no trailing blanks, nothing but printable characters.
_BLOCK = re.compile(
    "(?:[!-~\xa1-\xac\xae-\u2027\u202a-\ud7ff][ -~\xa1-\xac\xae-\u2027\u202a-\ud7ff]*)(?:\n|$)"
)


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
    """`text` in quotes, on one line: double ones, or single ones around text that has double ones in it."""
    if '"' in text and _SINGLE.fullmatch(text):
        return f"'{text}'"
    return f'"{_ESCAPED.sub(_escape, text)}"'


def _escape(match: re.Match[str]) -> str:
    char = match.group()
    code = ord(char)
    return _SHORT.get(char) or (f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")


def block(text: str, indent: int) -> str:
    """`text` as a literal block whose lines begin with `indent` blanks, or quoted where a block cannot hold it."""
    lines = text.split("\n")
    body = lines[:-1] if lines[-1] == "" else lines
    clean = body and all(line == "" or _BLOCK.fullmatch(line.lstrip(" ") or "\t") for line in body)
    if (
        not clean
        or body[0] == ""
        or body[0][0] == " "
        or body[-1] == ""
        or any(b.endswith(" ") for b in body)
    ):
        return quoted(text)
    pad = " " * indent
    return ("|\n" if lines[-1] == "" else "|-\n") + "\n".join(pad + line if line else "" for line in body)


def comment(text: str) -> str:
    """`text` as the words of a comment: one line, nothing that could end it."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
