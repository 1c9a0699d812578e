"""What the groups `models`, `gpus`, `engines` and `prices` have in common."""

import re
from collections.abc import Callable
from typing import Any

import click

from homeport.commands.main import UnknownName, common_options, examples, output_option

UNITS = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}


class ListShowGroup(click.Group):
    """A group that answers an unknown subcommand with the nearest one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the subcommand."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            raise UnknownName(
                f"command of `{ctx.command_path}`",
                args[0],
                self.commands,
                f"one of: {', '.join(self.commands)}",
            )
        return super().resolve_command(ctx, args)


class Count(click.ParamType):  # type: ignore[type-arg]  # generic only in newer versions of click
    """A number with an optional K, M, B or T (powers of 1,000): `70B`, `131072`."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number."""
        if isinstance(value, int | float):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMBT]?)", str(value).strip().upper().replace(",", ""))
        if not found:
            self.fail(f"'{value}' is not a number such as 70B, 1.5B or 131072", param, ctx)
        return float(found[1]) * UNITS[found[2]]


def list_show_group(name: str, text: str, *lines: str) -> Callable[[Callable[..., Any]], click.Group]:
    """A group of this name and help, with these examples."""
    return click.group(name, cls=ListShowGroup, no_args_is_help=False, help=text, epilog=examples(*lines))


def subcommand(
    group: click.Group, name: str, text: str, *lines: str
) -> Callable[[Callable[..., Any]], click.Command]:
    """A subcommand with what all of them take."""

    def make(function: Callable[..., Any]) -> click.Command:
        decorated = click.pass_obj(common_options(output_option()(function)))
        return group.command(name, help=text, epilog=examples(*lines))(decorated)

    return make
