"""Where a report may be written: a new name, an empty file, or in place of an older report; over nothing else."""

from __future__ import annotations

from pathlib import Path

from homeport.errors import EnvironmentProblem, HomeportError
from homeport.files import write_whole
from homeport.reports.page import MARK

HEAD = 2048
"""Bytes of a file that are looked at to see whether it is a report."""


def check(path: Path) -> None:
    """Raise HomeportError where a report would overwrite something else, EnvironmentProblem where it can't be read."""
    if str(path) == "-":
        raise HomeportError("--report names a file, and '-' is none: the page does not go to stdout")
    if path.is_dir():
        raise HomeportError(
            f"'{path}' is a folder; --report names a file in it, such as {path / 'report.html'}"
        )
    if not path.parent.is_dir():
        raise HomeportError(f"there is no folder '{path.parent}' for the report")
    try:
        if not path.exists():
            return
        if not path.is_file():
            raise HomeportError(f"'{path}' is no ordinary file; --report names one")
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise EnvironmentProblem(f"'{path}' cannot be read: {error.strerror}") from error
    if head and MARK.encode() not in head:
        raise HomeportError(
            f"'{path}' exists and is no report of homeport's: it is left as it is; choose another name or remove it"
        )


def save(path: Path, page: str) -> None:
    """Write a report whole or not at all, in place of an older one. Raises what `check` raises."""
    check(path)
    write_whole(path, page, replace=True)
