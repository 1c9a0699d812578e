"""The option that names a file of measured runs."""

from pathlib import Path
from typing import Any

import click

from homeport.commands.specs import Flag


class FileHere(click.ParamType):  # type: ignore[type-arg]  # generic in some releases of click only
    """A path from the current folder, as the command line has it: a spec's own paths start where the spec lies."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ARG002
        """Return the path in full."""
        return str(Path(value).absolute())


MEASUREMENTS = Flag(
    "--measurements", ("measurements",), FileHere(), "Runs that you measured; they correct predictions."
)
