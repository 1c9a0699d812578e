"""The errors that library code raises; the commands turn them into messages and exit codes.

Exit codes: 0 fine, 1 a finding, 2 usage or a spec that cannot work, 3 the environment.
"""

from typing import Any

import msgspec


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong with what the user wrote.

    `path` leads to the field in the spec (`("models", 3, "precision")`); the commands find the file, line and
    column with it. `value` is what stands there (UNSET when nothing does), `help` what to do next.
    """

    message: str
    path: tuple[str | int, ...] = ()
    value: Any = msgspec.UNSET
    help: str | None = None


class HomeportError(Exception):
    """The base of every error that homeport raises on purpose."""

    exit_code = 2


class SpecError(HomeportError):
    """What the user asked for is wrong or cannot work: all problems at once, in the order of the file."""

    def __init__(self, problems: list[Problem], source: object | None = None) -> None:
        """Keep the problems; the message is their texts, one a line. `source` is the text that they stand in."""
        super().__init__("\n".join(p.message for p in problems))
        self.problems = problems
        self.source = source


class NotFoundError(HomeportError):
    """A name that stands in no list: carries what was looked for and the nearest names."""

    def __init__(self, what: str, name: str, nearest: list[str], help: str | None = None) -> None:  # noqa: A002
        """`what` is the kind of thing ("model", "GPU"), `nearest` the closest known names, best first."""
        hint = f"; did you mean {' or '.join(nearest)}?" if nearest else ""
        super().__init__(f"no {what} '{name}'{hint}")
        self.what = what
        self.name = name
        self.nearest = nearest
        self.help = help


class EnvironmentProblem(HomeportError):  # noqa: N818 - EnvironmentError is Python's own
    """The surroundings fail: the network, a cluster, a program or an extra that is missing (exit code 3)."""

    exit_code = 3

    def __init__(self, message: str, help: str | None = None) -> None:  # noqa: A002
        """`help` says what to install or start."""
        super().__init__(message)
        self.help = help


def how_to_install(extra: str) -> str:
    """Say how an extra comes into an installation that was made of the checkout, as the README makes it."""
    return f"in homeport's checkout: pip install '.[{extra}]', or uv run --no-dev --extra {extra} homeport …"


class MissingExtra(EnvironmentProblem):
    """A command needs an optional dependency that is not installed."""

    def __init__(self, command: str, extra: str) -> None:
        """Name the command that was asked for and the extra that brings what it needs."""
        super().__init__(
            f"`homeport {command}` needs the extra '{extra}', which is not installed",
            help=how_to_install(extra),
        )
        self.extra = extra
