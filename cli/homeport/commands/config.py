"""`homeport config`: every value of the resolved spec, and where it comes from."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from homeport.commands.main import common_options, examples, output_option
from homeport.commands.output import Format, Output
from homeport.commands.specs import SpecOptions, spec_options

if TYPE_CHECKING:
    from homeport.spec.load import Loaded
    from homeport.spec.source import Path


@click.command(
    epilog=examples(
        "homeport config -f homeport.yaml",
        "HOMEPORT_GPU=L4 homeport config -f homeport.yaml --max-model-len 4096 -o json",
    )
)
@spec_options
@output_option("table", "json", "yaml")
@common_options
@click.pass_obj
def config(out: Output, options: SpecOptions, output_format: Format) -> None:
    """Say where each value of a spec comes from.

    A flag goes before the environment (HOMEPORT_GPU for --gpu), that before the file, that before the default. Values
    that homeport computes are `auto` here; `homeport plan --explain` says what they became.
    """
    with options.reading() as loaded:
        rows = list(_rows(loaded, options))
    if output_format == "table":
        out.table(
            ("field", "value", "from"),
            [(name, "auto" if v is None else str(v), where) for name, v, where in rows],
        )
    else:
        values = [{"field": name, "value": value, "from": where} for name, value, where in rows]
        out.structured({"schema_version": 1, "values": values}, output_format)


def _rows(loaded: "Loaded", options: SpecOptions) -> Iterator[tuple[str, Any, str]]:
    from homeport.spec.source import path_text

    for path, value in _leaves(loaded.spec, ()):
        yield path_text(path), value, _origin(path, loaded, options)


def _leaves(value: Any, path: "Path") -> Iterator[tuple["Path", Any]]:
    import msgspec

    if isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from _leaves(getattr(value, name), (*path, name))
    elif isinstance(value, tuple) and value and isinstance(value[0], msgspec.Struct):
        for index, item in enumerate(value):
            yield from _leaves(item, (*path, index))
    else:
        yield path, list(value) if isinstance(value, tuple) else value


def _origin(path: "Path", loaded: "Loaded", options: SpecOptions) -> str:
    if path in options.origins:
        return options.origins[path]
    if loaded.source.find(path) is not None:
        return f"{loaded.source.name}:{loaded.source.locate(path)[0]}"
    if not loaded.source.text and path in (("name",), ("version",), ("models", 0, "name")):
        return "made from --model"
    return "default"
