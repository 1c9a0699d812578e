"""A problem as the user reads it: where, what, the line itself with a caret, and what to do."""

from msgspec import UNSET

from homeport.errors import Problem, SpecError
from homeport.spec.hints import NO_PASSWORD
from homeport.spec.source import Source, path_text, position
from homeport.text import printable

MAX_LINE = 100


def describe(problem: Problem, source: Source, hidden: frozenset[int] = frozenset()) -> str:
    """Return the message of one problem, in plain text of one to four lines, without a line end.

    `homeport.yaml:12:9: models[3].precision: 'bf15' is not one of …`, the line with a caret, and `help: …`. A problem
    of the command line starts with its flag instead. `hidden` are lines that are not shown: they hold a secret.
    """
    message = printable(problem.message)
    text = [f"{_where(problem, source)}{message}"]
    if _flag(problem, source) is None and not _secret(problem):
        line, column = position(problem, source)
        text += _excerpt(source, line, column) if line not in hidden else []
    if problem.help:
        text.append(f"help: {printable(problem.help)}")
    return "\n".join(text)


def describe_all(error: SpecError, source: Source | None = None) -> list[str]:
    """Return the messages of all problems of an error, in order; `source` where the error carries none."""
    if isinstance(error.source, Source):
        source = error.source
    if source is None:
        source = Source(name="")
    hidden = frozenset(position(p, source)[0] for p in error.problems if _secret(p))
    return [describe(problem, source, hidden) for problem in error.problems]


def _flag(problem: Problem, source: Source) -> str | None:
    """Return what else than the file set the field of a problem, or the list that it is an item of."""
    path = problem.path
    return source.flags.get(path) or (
        source.flags.get(path[:-1]) if path and isinstance(path[-1], int) else None
    )


def _where(problem: Problem, source: Source) -> str:
    flag = _flag(problem, source)
    if flag:
        return f"{flag}: "
    if not source.text and source.flags:  # flags alone: there is one model, and no file to point into
        path = path_text(problem.path[2:] if problem.path[:2] == ("models", 0) else problem.path)
        return f"{path}: " if path else ""
    line, column = position(problem, source)
    path = path_text(problem.path)
    where = f"{printable(source.name)}:{line}:{column}: " if source.name else ""
    return f"{where}{path}: " if path else where


def _secret(problem: Problem) -> bool:
    """Say whether the line may hold a secret: its problem then repeats no value."""
    if problem.value is not UNSET:
        return False
    return problem.message.startswith(NO_PASSWORD) or any(
        step in ("api_key", "hub_token", "extra_args") for step in problem.path
    )


def _excerpt(source: Source, line: int, column: int) -> list[str]:
    """Return the line and a caret under `column`; of a long line, the part around it."""
    text = source.line(line)
    if not text.strip():
        return []
    at = min(column - 1, len(text))
    start = 0
    if len(text) > MAX_LINE:
        start = max(0, min(at - MAX_LINE // 2, len(text) - MAX_LINE))
    part = text[start : start + MAX_LINE]
    before = printable(part[: at - start].replace("\t", " "))
    after = printable(part[at - start :].replace("\t", " "))
    lead = "…" if start else ""
    tail = "…" if start + MAX_LINE < len(text) else ""
    return [f"  {lead}{before}{after}{tail}", "  " + " " * (len(lead) + _columns(before)) + "^"]


def _columns(text: str) -> int:
    """Return how many columns a terminal gives `text`: two for wide characters, none for combining ones."""
    if text.isascii():
        return len(text)
    import unicodedata

    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) > 0 for c in text)
