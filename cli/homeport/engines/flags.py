"""Checks the arguments that a user adds against the flags of an engine version."""

import json
import re
from functools import cache

from msgspec import UNSET

from homeport.engines import secrets, unplanned
from homeport.engines.types import Flag, FlagList, Release
from homeport.errors import Problem
from homeport.text import nearest, one_of

NUMBER = re.compile(r"-?\d+(\.\d+)?")
SIZE = re.compile(r"-1|auto|\d+|\d+(\.\d+)?[kmgt]|\d+[KMGT]")
BLANK = re.compile(r"\s")
# What an unquoted `$@` in a shell splits or expands.
SHELL = re.compile(r"[\s*?\[\]]")
UNPRINTABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class Reader:
    """Reads one list of arguments from left to right; keeps the problems and the notes."""

    def __init__(self, release: Release, flags: FlagList, owned: dict[str, str], quoted: bool) -> None:
        """`owned` maps flags that homeport renders to the spec's field, or to "- why" where there is none."""
        self.engine = release.engine
        self.command = f"{release.engine} {release.version}"
        self.flags = flags
        self.by_name = _by_name(flags)
        self.owned = {id(self.by_name[name]): field for name, field in owned.items() if name in self.by_name}
        self.quoted = quoted
        self.problems: list[Problem] = []
        self.notes: list[str] = []

    def read(self, args: tuple[str, ...]) -> None:
        """Check every argument; a flag's values are those that follow it up to the next flag."""
        at = 0
        while at < len(args):
            arg = args[at]
            following = 0
            while at + 1 + following < len(args) and not _looks_like_flag(args[at + 1 + following]):
                following += 1
            at += 1 + self.argument(at, arg, args[at + 1 : at + 1 + following])

    def argument(self, at: int, arg: str, following: tuple[str, ...]) -> int:
        """Check one argument, and return how many of the `following` values belong to it."""
        if secrets.holds(arg, following):
            return self.secret(at, arg, following)
        if not _looks_like_flag(arg):
            self.problem(
                at,
                arg,
                f"'{arg}' belongs to no flag",
                "write --flag=value, or the flag just before its value",
            )
            return 0
        if UNPRINTABLE.search(arg):
            self.problem(at, arg, f"{arg!r} has a control character")
            return 0
        split = [] if self.quoted else [a for a in (arg, *following) if SHELL.search(a)]
        if split:
            self.problem(
                at,
                arg,
                f"{self.command} would split or expand '{split[0]}': its image passes arguments on unquoted",
            )
            return len(following)
        name, equals, value = arg.partition("=")
        if BLANK.search(name):
            first, _, rest = arg.partition(" ")
            self.problem(
                at,
                arg,
                f"'{arg}' is one argument for {self.command}, blank included",
                f"write {first}={rest.strip()}",
            )
            return 0
        flag, dotted = self.find(name)
        if flag is None and (glued := self.glued(arg)) is not None:
            (name, value), equals = glued, "="
            flag = self.by_name[name]
        if flag is None:
            self.unknown(at, arg, name)
            return 0 if equals else len(following)
        if id(flag) in self.owned:
            self.refuse_owned(at, arg, name, self.owned[id(flag)])
        elif dotted:
            if not equals and not following:
                self.problem(at, arg, f"{name} needs a value")
        else:
            self.values(at, arg, name, flag, [value] if equals else list(following), inline=bool(equals))
        if flag.deprecated:
            self.notes.append(f"{name}: {flag.deprecated}")
        if changed := unplanned.note(self.engine, flag.names):
            self.notes.append(f"{name}: {changed}")
        return self.taken(flag, dotted, bool(equals), len(following))

    def find(self, name: str) -> tuple[Flag | None, bool]:
        """The flag behind a spelling, and whether the spelling sets one key of it (`--flag.key`)."""
        wanted = name
        if self.flags.underscores and name.startswith("--"):
            base, dot, key = name.partition(".")
            wanted = base.replace("_", "-") + dot + key
        if wanted in self.by_name:
            return self.by_name[wanted], False
        base, dot, key = wanted.partition(".")
        flag = self.by_name.get(base)
        if (
            flag
            and self.flags.dotted
            and dot
            and key
            and flag.takes == "one"
            and flag.kind in ("json", "str")
            and not flag.choices
        ):
            return flag, True
        return None, False

    def glued(self, arg: str) -> tuple[str, str] | None:
        """A flag of one letter and its value behind it (`-O3`), as argparse reads it; None: it is none."""
        name, value = arg[:2], arg[2:].removeprefix("=")
        flag = None if arg.startswith("--") else self.by_name.get(name)
        return (name, value) if flag is not None and flag.takes != "none" and value else None

    def secret(self, at: int, arg: str, following: tuple[str, ...]) -> int:
        """Refuse an argument that holds a secret, without a word of it."""
        name = secrets.name_of(arg)
        flag, dotted = self.find(name)
        advice = secrets.OTHERWISE
        what = f"{'an argument' if flag is None else name} holds a secret, which would stand in the manifests"
        if flag is not None:
            advice = next((secrets.INSTEAD[n] for n in flag.names if n in secrets.INSTEAD), advice)
            field = self.owned.get(id(flag), "- ")
            if not field.startswith("- "):
                what, advice = f"{name} is homeport's to set", f"use `{field}:` of the spec instead"
        self.problems.append(
            Problem(
                message=what,
                path=("extra_args", at),
                value=UNSET,  # its text is repeated nowhere
                help=advice,
            )
        )
        if flag is None:
            return 0 if "=" in arg else len(following)
        return self.taken(flag, dotted, "=" in arg, len(following))

    def taken(self, flag: Flag, dotted: bool, inline: bool, following: int) -> int:
        """How many of the following values the flag reads."""
        if inline or (flag.takes == "none" and not dotted):
            return 0
        return following if flag.takes in ("many", "any") and not dotted else min(1, following)

    def values(self, at: int, arg: str, name: str, flag: Flag, given: list[str], inline: bool) -> None:
        """Check how many values there are, and each of those that the flag reads."""
        if flag.takes == "none":
            if inline:
                self.problem(at, arg, f"{name} takes no value")
            return
        if flag.takes in ("one", "many") and not given:
            self.problem(at, arg, f"{name} needs a value")
        for value in given[: None if flag.takes in ("many", "any") else 1]:
            wrong = _wrong(flag, value)
            if wrong:
                self.problem(at, arg, f"{name}: '{value}' {wrong}", _did_you_mean(value, flag.choices))

    def unknown(self, at: int, arg: str, name: str) -> None:
        """Refuse a flag that the version does not have, with the nearest that it has."""
        whole = sorted(n for n in self.by_name if n.startswith(name)) if len(name) > 3 else []
        if len({id(self.by_name[n]) for n in whole}) == 1:
            self.problem(at, arg, f"{self.command} has no flag {name}", f"write {whole[0]} in full")
            return
        close = nearest(name, [n for f in self.flags.flags for n in f.names if n.startswith("--")])
        by_hand = " (the list is by hand, from the documentation)" if self.flags.by_hand else ""
        self.problem(
            at,
            arg,
            f"{self.command} has no flag {name}{by_hand}",
            f"did you mean {' or '.join(close)}?" if close else None,
        )

    def refuse_owned(self, at: int, arg: str, name: str, field: str) -> None:
        """Refuse a flag that homeport renders, and name the field that sets it."""
        if field.startswith("- "):
            self.problem(at, arg, f"{name} is homeport's to set: {field[2:]}")
        else:
            self.problem(at, arg, f"{name} is homeport's to set", f"use `{field}:` of the spec instead")

    def problem(self, at: int, arg: str, message: str, help: str | None = None) -> None:  # noqa: A002
        """Keep a problem of argument number `at`."""
        self.problems.append(Problem(message=message, path=("extra_args", at), value=arg, help=help))


@cache
def _by_name(flags: FlagList) -> dict[str, Flag]:
    found: dict[str, Flag] = {}
    for flag in flags.flags:
        for name in (*flag.names, *flag.hidden):
            found.setdefault(name, flag)
    return found


def _looks_like_flag(arg: str) -> bool:
    # As argparse has it: a lone dash and negative numbers are values.
    return len(arg) > 1 and arg.startswith("-") and not NUMBER.fullmatch(arg)


def _did_you_mean(value: str, choices: tuple[str, ...]) -> str | None:
    close = nearest(value, choices, count=1) if choices else []
    return f"did you mean '{close[0]}'?" if close else None


def _wrong(flag: Flag, value: str) -> str | None:
    """What is wrong with a value (None: nothing that can be seen from here)."""
    if "$(" in value:
        return None  # Kubernetes puts an environment variable there
    if flag.kind == "int" and not re.fullmatch(r"[+-]?\d+", value):
        return "is no whole number"
    if flag.kind == "count" and not re.fullmatch(r"\d+", value):
        return "is no whole number from 0 on"
    if flag.kind == "float" and not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", value):
        return "is no number"
    if flag.kind == "size" and not SIZE.fullmatch(value):
        return "is no number of tokens (4096, 4k or 4K)"
    if flag.kind == "json":
        try:
            json.loads(value)
        except (ValueError, RecursionError):
            return "is no JSON"
    read = value.lower().replace("-", "_") if flag.kind == "name" else value
    if flag.choices and read not in flag.choices:
        return f"is not one of {one_of(flag.choices)}"
    return None
