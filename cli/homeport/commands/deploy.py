"""`homeport preview`, `up` and `destroy`: the same objects as `render`, through Pulumi."""

import sys
from collections.abc import Callable
from functools import wraps
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import click
import msgspec

from homeport.commands.main import common_options, examples, output_option
from homeport.commands.output import Format, Output
from homeport.commands.specs import SpecOptions, spec_options

if TYPE_CHECKING:
    from homeport.planning.types import Plan


class StackOptions(msgspec.Struct, frozen=True):
    """Which stack, and what it holds beside the models."""

    stack: str
    platform: bool
    cluster: str
    location: str


def stack_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that choose a stack and its layers; the command gets them as `target: StackOptions`."""

    @wraps(command)
    def wrapped(*args: Any, stack: str, platform: bool, cluster: str, location: str, **values: Any) -> Any:
        return command(*args, target=StackOptions(stack, platform, cluster, location), **values)

    made: Callable[..., Any] = wrapped
    for option in (
        click.option(
            "--location", default="", help="Region or zone of the GKE cluster.  [the spec's region]"
        ),
        click.option(
            "--cluster", default="", help="GKE cluster that gets the GPU node pools.  [none are created]"
        ),
        click.option("--platform", is_flag=True, help="Also install KEDA and kube-prometheus-stack."),
        click.option("--stack", default="dev", show_default=True, help="Name of the Pulumi stack."),
    ):
        made = option(made)
    return made


@click.command(
    epilog=examples(
        "homeport preview -f homeport.yaml",
        "homeport preview -f homeport.yaml --stack prod --platform --cluster ml",
    )
)
@spec_options
@stack_options
@output_option("table", "json", "yaml")
@common_options
@click.pass_obj
def preview(out: Output, options: SpecOptions, target: StackOptions, output_format: Format) -> None:
    """Show what `up` would do, and the month's bill.

    Prints the plan, its cost and the objects; then, with the pulumi program installed, what would change in the stack.
    """
    from homeport.planning.plan import Planner

    with options.reading() as loaded:
        plan = Planner(options.base_dir, explore=output_format == "table").plan(loaded.spec)
        _print_preview(out, plan, output_format)
    run = _runner("preview")
    result = run("preview", plan, _settings(target), target.stack, _progress(out))
    out.message(f"stack {result.stack}: {_changes(result.changes)}")


@click.command(
    epilog=examples(
        "homeport up -f homeport.yaml --yes", "homeport up -f homeport.yaml --stack prod --platform --yes"
    )
)
@spec_options
@stack_options
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@output_option("table", "json", "yaml")
@common_options
@click.pass_obj
def up(out: Output, options: SpecOptions, target: StackOptions, *, yes: bool, output_format: Format) -> None:
    """Deploy with Pulumi: node pools, platform and models, in that order."""
    _operate(out, options, "up", target, yes=yes, output_format=output_format)


@click.command(
    epilog=examples(
        "homeport destroy -f homeport.yaml --yes", "homeport destroy -f homeport.yaml --stack prod --yes"
    )
)
@spec_options
@stack_options
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@output_option("table", "json", "yaml")
@common_options
@click.pass_obj
def destroy(
    out: Output, options: SpecOptions, target: StackOptions, *, yes: bool, output_format: Format
) -> None:
    """Remove what `up` deployed."""
    _operate(out, options, "destroy", target, yes=yes, output_format=output_format)


def _operate(
    out: Output,
    options: SpecOptions,
    operation: str,
    target: StackOptions,
    *,
    yes: bool,
    output_format: Format,
) -> None:
    from homeport.planning.plan import Planner

    with options.reading() as loaded:
        # What stands must be removable, also where the spec's rules forbid it by now.
        plan = Planner(options.base_dir, enforce=operation != "destroy").plan(loaded.spec)
    run = _runner(operation)
    if not yes:
        _ask(operation, plan, target.stack)
    result = run(operation, plan, _settings(target), target.stack, _progress(out))
    if output_format == "table":
        out.message(f"stack {result.stack}: {_changes(result.changes)}")
        for name, value in result.outputs.items():
            out.data(f"{name}  {value}")
    else:
        out.structured(
            {
                "schema_version": 1,
                "stack": result.stack,
                "changes": result.changes,
                "outputs": result.outputs,
            },
            output_format,
        )


def _ask(operation: str, plan: "Plan", stack: str) -> None:
    """Let a person on a terminal confirm; without one, --yes is needed."""
    if not sys.stdin.isatty():
        raise click.UsageError(
            f"`homeport {operation}` changes a cluster: give --yes where nobody can be asked"
        )
    from homeport.costs.inputs import options
    from homeport.costs.own import self_hosted

    amount = self_hosted(plan, options(plan.spec.costs)).usd_per_month
    cost = "unknown" if amount is None else f"at least ${amount:,.0f}"
    names = ", ".join(m.spec.name for m in plan.models)
    click.confirm(f"{operation} {names} in stack {stack} ({cost} a month)?", abort=True, err=True)


def _settings(target: StackOptions) -> Any:
    from homeport_infra.settings import LAYERS, Settings

    return Settings(
        layers=LAYERS if target.platform else None, cluster=target.cluster, location=target.location
    )


def _runner(operation: str) -> Callable[..., Any]:
    """Return the function that runs Pulumi; EnvironmentProblem names what is missing."""
    from homeport.errors import EnvironmentProblem, MissingExtra

    if find_spec("pulumi") is None or find_spec("pulumi_kubernetes") is None:
        raise MissingExtra(operation, "pulumi")
    from homeport_infra.automation import pulumi_cli, run

    if pulumi_cli() is None:
        raise EnvironmentProblem(
            f"`homeport {operation}` needs the pulumi program, which is not on PATH",
            help="install it: https://www.pulumi.com/docs/install/",
        )
    return run


def _progress(out: Output) -> Callable[[str], None]:
    return lambda line: out.message(line.rstrip("\n"))


def _changes(changes: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(changes.items())) or "nothing to change"


def _print_preview(out: Output, plan: "Plan", output_format: Format) -> None:
    from homeport.manifests.parsing import load
    from homeport.manifests.render import documents

    rendered = documents(plan)
    if output_format != "table":
        from homeport.planning.output import plan_values

        values = plan_values(plan)
        values["objects"] = [load(document.text) for document in rendered]
        out.structured(values, output_format)
        return
    from homeport.commands.plan_view import view

    out.data(view(plan, out, explain=False, show_all=False))
    from homeport.costs.inputs import options
    from homeport.costs.own import self_hosted

    bill = self_hosted(plan, options(plan.spec.costs))
    known = "unknown" if bill.usd_per_month is None else f"${bill.usd_per_month:,.0f} a month"
    out.data(
        f"\n{out.style('bill', bold=True)}  {'at least ' if bill.at_least and bill.usd_per_month else ''}{known}\n"
    )
    out.table(
        ("object", "namespace", "name"),
        [(f"{d.api_version}/{d.kind}", d.namespace or "", d.name) for d in rendered],
    )
