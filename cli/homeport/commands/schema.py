"""`homeport schema`: the JSON Schema of the spec, or of what a command answers with `-o json`."""

from typing import Any

import click

from homeport.commands.main import UnknownName, common_options, examples
from homeport.commands.output import Output

SPEC = "spec"
COST = "cost"
ADVISE = "advise"
MEASUREMENTS = "measurements"


def schemas() -> list[str]:
    """Return the names that `homeport schema` takes: the files that are read, and every answer that has a schema."""
    from homeport.commands.answers import ANSWERS

    return [SPEC, MEASUREMENTS, "plan", COST, ADVISE, *(name for name in ANSWERS if name != "plan")]


def schema_of(name: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the spec, of measurements, or of an answer by the command's name."""
    from homeport.spec.schema import DIALECT, json_schema

    if name == SPEC:
        return json_schema()
    if name == MEASUREMENTS:
        from homeport.sizing.measurements import json_schema as runs_schema

        return runs_schema()
    if name == COST:
        from homeport.costs.output import json_schema as bill_schema

        return {"$schema": DIALECT, **bill_schema()}
    if name == ADVISE:
        from homeport.advice.output import json_schema as advice_schema

        return {"$schema": DIALECT, **advice_schema()}
    from homeport.commands.answers import answer_schema

    return answer_schema(name)


@click.command(epilog=examples("homeport schema", "homeport schema plan", "homeport schema models list"))
@click.argument("command", nargs=-1)
@common_options
@click.pass_obj
def schema(out: Output, command: tuple[str, ...]) -> None:
    """Print the JSON Schema of the spec or of an answer.

    Without a name, it is the spec's: point an editor's YAML support at it for completion and checks; `measurements`
    is a file of runs that you measured. With the name of a command, it describes that command's `-o json`; `size cases` and its like describe a line of `size --cases`.
    """
    name = " ".join(command) or SPEC
    if name not in schemas():
        raise UnknownName("schema", name, schemas(), f"one of: {', '.join(schemas())}")
    out.structured(schema_of(name), "json")
