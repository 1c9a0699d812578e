"""Small pieces of text that several rooms need: nearest names, lists in a sentence, what a terminal may be shown."""

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """Return up to `count` of the `known` names that look like `name`, best first.

    Case and an organisation's prefix (`meta-llama/`) are ignored when comparing, so `llama-3.1-8b` finds
    `meta-llama/Llama-3.1-8B-Instruct`.
    """
    import difflib  # imported here: only a mistake pays for it

    by_key: dict[str, str] = {}
    for candidate in known:
        by_key.setdefault(candidate.lower(), candidate)
        by_key.setdefault(candidate.rsplit("/", 1)[-1].lower(), candidate)
    wanted = name.lower()
    keys: list[str] = []
    # "llama-70b" for "llama-3.1-70b-instruct": every word of the name stands in the candidate.
    if len(words := set(_words(wanted))) > 1:
        keys += sorted((k for k in by_key if words <= set(_words(k))), key=len)
    keys += difflib.get_close_matches(wanted, by_key, n=count * 2, cutoff=0.6)
    if len(wanted) >= 3:
        keys += sorted((k for k in by_key if wanted in k), key=len)
    found: list[str] = []
    for key in keys:
        if by_key[key] not in found:
            found.append(by_key[key])
    return found[:count]


def _words(text: str) -> list[str]:
    """Runs of letters, and numbers with the letters that follow them: qwen2.5-72b is qwen, 2, 5, 72b."""
    import re

    return re.findall(r"[0-9]+[^\W\d_]*|[^\W\d_]+", text)


def counted(number: int, noun: str) -> str:
    """`1 pod`, `2 pods`, for nouns whose plural is an s."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def one_of(names: Iterable[str]) -> str:
    """Join names for "… is not one of a, b, c"."""
    return ", ".join(names)


def printable(text: str) -> str:
    """Escape what a terminal would act on or hide: control characters, separators, directions, surrogates."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "replace").decode("ascii") for c in text
    )


def printable_lines(text: str) -> str:
    """`printable` for text of several lines, whose breaks stay."""
    return "\n".join(map(printable, text.split("\n")))
