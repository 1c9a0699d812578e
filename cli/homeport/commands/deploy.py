"""`homeport preview`, `up` and `destroy`: the same objects as `render`, through Pulumi."""

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import click

from homeport.commands.clusters import ClusterOptions
from homeport.commands.deploy_options import StackOptions, stack_options
from homeport.commands.main import UnknownName, common_options, examples, output_option
from homeport.commands.output import Output
from homeport.commands.specs import SpecOptions, spec_options

if TYPE_CHECKING:
    from homeport.planning.types import Plan
    from homeport_infra.automation import Operation, Outcome
    from homeport_infra.bill import Compared
    from homeport_infra.policies import Violation

FINDING = 1
FORMATS = ("table", "json", "yaml", "jsonl")
YES = click.option("-y", "--yes", is_flag=True, help="Do not ask.")


@click.command(
    epilog=examples(
        "homeport preview -f homeport.yaml",
        "homeport preview -f homeport.yaml --stack prod --refresh",
        "homeport preview -f homeport.yaml --stack platform --layer platform -o json",
    )
)
@spec_options
@stack_options
@output_option(*FORMATS)
@common_options
@click.pass_obj
def preview(out: Output, options: SpecOptions, target: StackOptions, output_format: str) -> None:
    """Show what `up` would do, and the month's bill with its change.

    Prints the plan and its cost; then, with the pulumi program installed, what would change in the stack, what is replaced
    and why, and how long replicas are away. Exits with 1 where a policy does not hold: budget, residency, no-latest-image,
    gpu-needs-taint-and-limit.
    """
    from homeport.commands import deploy_view as view
    from homeport.errors import EnvironmentProblem
    from homeport.planning.plan import Planner

    with options.reading() as loaded:
        plan = Planner(options.base_dir, explore=True).plan(loaded.spec)
        _known(plan, target)
        _nodes_there(out, plan, target)
        if output_format == "table":
            view.plan(out, plan)
    problem: EnvironmentProblem | None = None
    outcome: Outcome | None = None
    try:
        outcome = _run(out, "preview", plan, target, output_format)
    except EnvironmentProblem as error:
        problem = error
    compared = _compared(plan, target, outcome)
    violations = _violations(plan, target, compared, outcome)
    view.preview(out, plan, compared, outcome, violations, output_format)
    if problem is not None:
        raise problem
    _hold(out, violations, "")


@click.command(
    epilog=examples(
        "homeport up -f homeport.yaml --yes",
        "homeport up -f homeport.yaml --stack prod --only assistant",
        "homeport up -f homeport.yaml --adopt",
    )
)
@spec_options
@stack_options
@YES
@output_option(*FORMATS)
@common_options
@click.pass_obj
def up(out: Output, options: SpecOptions, target: StackOptions, *, yes: bool, output_format: str) -> None:
    """Deploy with Pulumi: nodes, platform and models, in that order.

    Without --yes, shows a preview and asks. Refuses with exit code 1, before anything is changed, where a policy does not
    hold. After Ctrl-C or a crash, the same command goes on.
    """
    _operate(out, options, "up", target, yes=yes, output_format=output_format)


@click.command(
    epilog=examples(
        "homeport destroy -f homeport.yaml --yes",
        "homeport destroy -f homeport.yaml --stack prod --delete-weights --yes",
    )
)
@spec_options
@stack_options
@click.option("--delete-weights", is_flag=True, help="Remove the volumes with downloaded weights too.")
@YES
@output_option(*FORMATS)
@common_options
@click.pass_obj
def destroy(
    out: Output,
    options: SpecOptions,
    target: StackOptions,
    *,
    delete_weights: bool,
    yes: bool,
    output_format: str,
) -> None:
    """Remove what `up` deployed, GPU nodes included; volumes with downloaded weights stay, and are named with their cost.

    Without --yes, shows what goes, what stays and what that stops costing, and asks.
    """
    _operate(
        out, options, "destroy", target, yes=yes, output_format=output_format, delete_weights=delete_weights
    )


def _operate(
    out: Output,
    options: SpecOptions,
    operation: "Operation",
    target: StackOptions,
    *,
    yes: bool,
    output_format: str,
    delete_weights: bool = False,
) -> None:
    from homeport.commands import deploy_view as view
    from homeport.planning.plan import Planner

    with options.reading() as loaded:
        # What stands must be removable, also where the spec's rules forbid it by now.
        plan = Planner(options.base_dir, enforce=operation != "destroy").plan(loaded.spec)
    if operation == "up":
        _known(plan, target)
    _needed(operation)
    if operation == "up":
        _nodes_there(out, plan, target)
        compared = _compared(plan, target, None)
        _hold(out, _violations(plan, target, compared, None), "; nothing was changed")
        if yes and _makes_pools(plan, target):
            # What a cloud's pool becomes is known from the program alone: a preview asks it.
            outcome = _run(out, "preview", plan, target, output_format, quiet=True)
            compared = _compared(plan, target, outcome)
            _hold(out, _violations(plan, target, compared, outcome), "; nothing was changed")
    if not yes:
        _ask(out, operation, plan, target, delete_weights=delete_weights)
    outcome = _run(out, operation, plan, target, output_format, delete_weights=delete_weights)
    view.result(out, operation, plan, target.settings(), outcome, output_format)
    if operation == "up" and output_format == "table":
        cluster = ClusterOptions(target.kubeconfig or None, target.context or None)
        for line in view.next_steps(plan, outcome, options.words(), cluster):
            out.message(line)


def _ask(
    out: Output, operation: "Operation", plan: "Plan", target: StackOptions, *, delete_weights: bool
) -> None:
    """Show what would change, and let a person on a terminal confirm; without one, --yes is needed."""
    if not sys.stdin.isatty():
        raise click.UsageError(
            f"`homeport {operation}` changes a cluster: give --yes where nobody can be asked"
        )
    from homeport.commands import deploy_view as view

    if operation == "destroy":
        outcome = _run(out, "destroy", plan, target, "table", delete_weights=delete_weights, dry_run=True)
        out.message(view.end_text(out, plan, outcome))
    else:
        outcome = _run(out, "preview", plan, target, "table")
        compared = _compared(plan, target, outcome)
        _hold(out, _violations(plan, target, compared, outcome), "; nothing was changed")
        out.message(view.changes_text(out, plan, compared, outcome))
    names = ", ".join(m.spec.name for m in plan.models)
    click.confirm(f"{operation} {names} in stack {target.stack}?", abort=True, err=True)


def _known(plan: "Plan", target: StackOptions) -> None:
    """Refuse a model that is not in the spec: nothing would happen to it. (What is not a model is a URN.)"""
    from homeport_infra.settings import is_urn

    names = [model.spec.name for model in plan.models]
    for name in target.only:
        if name not in names and not is_urn(name):
            raise UnknownName("model", name, names, f"the spec has {', '.join(names)}")


def _nodes_there(out: Output, plan: "Plan", target: StackOptions) -> None:
    """Say that a layer `cluster` is empty, where the spec says that its nodes exist and no cluster is made."""
    if (
        "cluster" in target.layer
        and plan.spec.target.nodes.by == "existing"
        and not (target.create_cluster or target.cluster)  # a name without pools is refused by the program
    ):
        out.warn(
            "the layer cluster makes nothing: the spec says that its GPU nodes exist already; target.nodes.by names who makes them"
        )


def _makes_pools(plan: "Plan", target: StackOptions) -> bool:
    """Whether the stack holds resources of a cloud, which no rendered object shows."""
    settings = target.settings()
    pools = "cluster" in settings.layers_of(plan) and plan.spec.target.nodes.by == "node_pools"
    return pools or settings.create_cluster


def _needed(operation: str) -> None:
    """Raise EnvironmentProblem where the extra or the program is missing."""
    from homeport.errors import MissingExtra

    if find_spec("pulumi") is None or find_spec("pulumi_kubernetes") is None:
        raise MissingExtra(operation, "pulumi")
    from homeport_infra.process import needed

    needed(operation)


def _run(
    out: Output,
    operation: "Operation",
    plan: "Plan",
    target: StackOptions,
    output_format: str,
    *,
    delete_weights: bool = False,
    dry_run: bool = False,
    quiet: bool = False,
) -> "Outcome":
    _needed(operation)
    from homeport.commands.deploy_view import listener
    from homeport_infra.automation import Request, run

    request = Request(
        operation=operation,
        stack=target.stack,
        backend=target.backend,
        targets=target.only,
        refresh=target.refresh,
        adopt=target.adopt,
        delete_weights=delete_weights,
        dry_run=dry_run,
        kubeconfig=target.kubeconfig,
        context=target.context,
    )
    shown: Operation = "preview" if dry_run else operation
    listen = (lambda _event: None) if quiet else listener(out, shown, output_format)
    return run(request, plan, target.settings(), listen)


def _compared(plan: "Plan", target: StackOptions, outcome: "Outcome | None") -> "Compared":
    from homeport_infra.bill import compare, stack_bill

    before: dict[str, Any] = outcome.before if outcome else {}
    return compare(stack_bill(plan, target.settings()), before)


def _violations(
    plan: "Plan", target: StackOptions, compared: "Compared", outcome: "Outcome | None"
) -> "list[Violation]":
    if find_spec("pulumi") is None:
        return []
    from homeport_infra import checks

    if outcome is not None:
        return checks.registered(outcome.steps, plan, target.settings(), compared.bill)
    return checks.rendered(plan, target.settings(), compared.bill)


def _hold(out: Output, violations: "list[Violation]", also: str) -> None:
    """Say what does not hold; exit with 1 where it is mandatory."""
    for found in violations:
        where = f"{found.resource}: " if found.resource else ""
        text = f"policy {found.policy}: {where}{found.message}"
        if found.enforcement == "mandatory":
            out.error(f"{text}{also}", found.help)
        else:
            out.warn(text)
    if any(found.enforcement == "mandatory" for found in violations):
        click.get_current_context().exit(FINDING)
