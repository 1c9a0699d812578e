"""The one output object: data to stdout, messages to stderr, colour only where it is wanted."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Literal, TextIO

import click

from homeport.text import printable_lines

Color = Literal["auto", "always", "never"]
Format = Literal["table", "json", "yaml"]
SCHEMA_VERSION = 1


def prepare_streams() -> None:
    """Make the three streams usable, whatever the shell and the locale did to them.

    What goes into a file or a pipe is UTF-8 under every locale, so that the bytes are the same; a terminal that lacks a
    character shows `?`. A stream that the shell closed refuses to be written to, and reads as empty.
    """
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115 - as long as the run
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            # Read-only: every write fails, as it does on the closed stream.
            setattr(sys, name, open(os.open(os.devnull, os.O_RDONLY), "w", encoding="utf-8"))  # noqa: PTH123, SIM115
        elif hasattr(stream, "reconfigure"):
            if stream.isatty():
                stream.reconfigure(errors="replace")
            else:
                stream.reconfigure(encoding="utf-8", errors="backslashreplace")


class Output:
    """Where a command's answer and its messages go. One per run, kept as the click context's object."""

    def __init__(self) -> None:
        """Start with what the environment asks for; the options of the command set the rest."""
        self.quiet = False
        self.verbose = False
        self.debug = False
        self.color: Color = "auto"

    def colored(self, stream: TextIO) -> bool:
        """Say whether escape codes may go to `stream` (NO_COLOR, TERM=dumb and pipes forbid them)."""
        if self.color != "auto":
            return self.color == "always"
        if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
            return False
        return stream.isatty()

    def style(self, text: str, *, stream: TextIO | None = None, **style: Any) -> str:
        """Colour `text` for `stream` (stdout by default) where colour is allowed, else return it as it is."""
        return click.style(text, **style) if self.colored(stream or sys.stdout) else text

    def width(self, most: int = 110) -> int:
        """How many columns prose may take: those of the terminal, at most `most`; `most` where there is none."""
        if not sys.stdout.isatty():
            return most
        import shutil

        return max(60, min(most, shutil.get_terminal_size().columns))

    def data(self, text: str) -> None:
        """Write an answer to stdout, as it is, with a line end.

        Raises EnvironmentProblem where stdout cannot take it (a full disk, a closed stream).
        """
        try:
            sys.stdout.write(text if text.endswith("\n") else text + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            from homeport.errors import EnvironmentProblem

            raise EnvironmentProblem(f"cannot write the answer: {error.strerror}") from error

    def structured(self, value: Any, fmt: Format) -> None:
        """Write `value` (Structs, dicts, lists) as JSON or YAML; Decimals are numbers in both."""
        import msgspec

        encoded = msgspec.json.Encoder(decimal_format="number").encode(value)
        if fmt == "json":
            self.data(msgspec.json.format(encoded, indent=2).decode())
            return
        import yaml

        self.data(
            yaml.dump(
                msgspec.json.decode(encoded),
                Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper),
                sort_keys=False,
                allow_unicode=True,
                width=120,
            )
        )

    def message(self, text: str) -> None:
        """Write a message to stderr unless --quiet."""
        if not self.quiet:
            self._say(text)

    def detail(self, text: str) -> None:
        """Write a message to stderr only with --verbose."""
        if self.verbose:
            self.message(text)

    def warn(self, text: str) -> None:
        """Write a warning to stderr unless --quiet; what a terminal would act on is escaped."""
        label = self.style("warning:", stream=sys.stderr, fg="yellow", bold=True)
        self.message(f"{label} {printable_lines(text)}")

    def error(self, text: str, help: str | None = None) -> None:  # noqa: A002
        """Write an error to stderr, always, with what to do next; what a terminal would act on is escaped."""
        label = self.style("error:", stream=sys.stderr, fg="red", bold=True)
        self._say(f"{label} {printable_lines(text)}")
        if help:
            self.hint(help)

    def hint(self, text: str) -> None:
        """Write what to do next to stderr, always; what a terminal would act on is escaped."""
        label = self.style("help:", stream=sys.stderr, fg="cyan", bold=True)
        self._say(f"{label} {printable_lines(text)}")

    def problem(self, text: str) -> None:
        """Write the whole text of a problem to stderr, always."""
        self._say(text)

    def _say(self, text: str) -> None:
        # Nobody reading messages (a closed pipe, a full disk) changes nothing about the run or its exit code.
        with suppress(OSError):
            click.echo(text, err=True, color=self.colored(sys.stderr))

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> None:
        """Write rows under headers to stdout, columns aligned; `right` are the columns of numbers."""
        self.data(table(headers, rows, right, lambda text: self.style(text, bold=True)))


def table(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: Sequence[int] = (),
    head: Any = str,
) -> str:
    """Lay out rows under headers, two spaces between columns, no trailing blanks."""
    widths = [max(len(str(row[i])) for row in [headers, *rows]) for i in range(len(headers))]

    def line(cells: Sequence[str]) -> str:
        placed = (
            str(cell).rjust(width) if i in right else str(cell).ljust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "  ".join(placed).rstrip()

    return "\n".join([head(line(headers)), *(line(row) for row in rows)])
