"""Types of option values: choices and catalog names that answer a mistake with the nearest name."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click

from homeport.text import nearest, one_of

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class NearestChoice(click.Choice[str]):
    """A choice that names the nearest value when a wrong one is given."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value, or fail with the nearest one."""
        if value in self.choices:
            return value
        _fail(str(value), self.choices, param, ctx)
        return None


class Number(click.ParamType[float]):
    """A number; how it is written otherwise (20k, 20,000) is answered with how it is written here."""

    name = "float"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number, or fail with an example."""
        try:
            return float(value)
        except ValueError:
            self.fail(f"'{value}' is no number; write it in digits, such as 20000 or 0.5", param, ctx)


class CatalogName(click.ParamType[str]):
    """A name of the catalog: completed by the shell, checked by the library (which also knows other sources)."""

    name = "name"

    def __init__(self, known: Callable[[], Iterable[str]], what: str) -> None:
        """`known` returns the names; it is called only for completion."""
        self.known = known
        self.name = what

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list["CompletionItem"]:
        """Complete catalog ids, also by the part after the organisation."""
        from click.shell_completion import CompletionItem

        start = incomplete.lower()
        return [
            CompletionItem(name)
            for name in self.known()
            if name.lower().startswith(start) or (start and name.rsplit("/", 1)[-1].lower().startswith(start))
        ]


def model_ids() -> list[str]:
    """Return the catalog's model ids."""
    from homeport.catalog.models import models

    return list(models())


def gpu_ids() -> list[str]:
    """Return the catalog's GPU ids."""
    from homeport.catalog.gpus import gpu_families, gpus

    return [*gpus(), *gpu_families()]


def api_ids() -> list[str]:
    """Return the ids of the priced API models."""
    from homeport.catalog.prices import api_prices

    return list(dict.fromkeys(price.id for price in api_prices()))


def _fail(value: str, known: Iterable[str], param: click.Parameter | None, ctx: click.Context | None) -> None:
    names = list(known)
    error = click.BadParameter(f"'{value}' is not one of {one_of(names)}", ctx=ctx, param=param)
    close = nearest(value, names)
    if close:
        error.help = f"did you mean '{close[0]}'?"  # type: ignore[attr-defined]
    raise error
