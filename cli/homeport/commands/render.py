"""`homeport render`: the Kubernetes manifests of a plan."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from homeport.commands.main import common_options, examples
from homeport.commands.measurements import MEASUREMENTS
from homeport.commands.output import Output
from homeport.commands.pricing import prices_option
from homeport.commands.specs import SpecOptions, with_flags

if TYPE_CHECKING:
    from homeport.manifests.prerequisites import Prerequisite
    from homeport.manifests.types import Document
    from homeport.planning.types import Plan

DEFAULT_FOLDER = "manifests"

NAMED = 5
"""Files that a warning names; of the others it says how many."""


@click.command(
    epilog=examples(
        "homeport render -f homeport.yaml -o manifests",
        "homeport render -f homeport.yaml -o - | kubectl apply -f -",
    )
)
@with_flags(MEASUREMENTS)
@click.option(
    "-o",
    "--output",
    "folder",
    metavar="DIR",
    default=DEFAULT_FOLDER,
    show_default=True,
    help="The folder to write; '-' prints the objects.",
)
@click.option("--dry-run", is_flag=True, help="Say what would change in the folder, and change nothing.")
@click.option("--force", is_flag=True, help="Overwrite files of homeport's that somebody changed.")
@prices_option
@common_options
@click.pass_obj
def render(out: Output, options: SpecOptions, *, folder: str, dry_run: bool, force: bool) -> None:
    """Write the Kubernetes manifests of a plan.

    The folder is a kustomization: `kubectl apply -k DIR` deploys it. Files in it that homeport did not write are never
    touched; files that it wrote before and no longer needs are removed. Every object is validated strictly first.
    """
    from homeport.manifests import kustomize
    from homeport.manifests.render import documents
    from homeport.planning.plan import Planner

    if not folder:
        raise click.UsageError("-o needs the name of a folder, or '-'")
    if folder == "-" and (dry_run or force):
        raise click.UsageError("--dry-run and --force are about a folder, and '-o -' prints")
    with options.reading() as loaded:
        plan = Planner(options.base_dir).plan(loaded.spec)
        made = documents(plan)
    if folder == "-":
        for part in kustomize.stream(made):
            out.data(part)
    else:
        _write(out, plan, made, folder, dry_run=dry_run, force=force)
    _notes(out, plan)


def _write(
    out: Output, plan: "Plan", made: list["Document"], folder: str, *, dry_run: bool, force: bool
) -> None:
    from homeport.commands.plan_view import headline
    from homeport.manifests import kustomize, writing
    from homeport.manifests.prerequisites import prerequisites, secrets
    from homeport.manifests.render import namespace_of

    of = f"{plan.spec.name} for {plan.spec.target.platform}, in the namespace {namespace_of(plan)}"
    outcome = writing.write(Path(folder), kustomize.files(made), of, force=force, dry_run=dry_run)
    if outcome.recovered:
        out.message(f"an earlier run was killed while it wrote; it was {outcome.recovered} first")
    for label, paths in (
        ("new", outcome.created),
        ("changed", outcome.changed),
        ("removed", outcome.removed),
    ):
        for path in paths:
            out.detail(f"{label:8} {folder.rstrip('/')}/{path}")
    counts = [
        f"{len(paths)} {label}"
        for label, paths in (
            ("new", outcome.created),
            ("changed", outcome.changed),
            ("unchanged", outcome.unchanged),
            ("removed", outcome.removed),
        )
        if paths
    ]
    for model in plan.models:
        out.message(headline(model, out))
    verb = "would write" if dry_run else "wrote"
    out.message(f"{verb} {len(made)} objects to {folder}: {', '.join(counts)} files")
    if outcome.before is not None:
        out.warn(
            f"{folder} held {outcome.before}; now it is {of}, and what was applied of the other stays in its cluster until it "
            "is deleted there"
        )
    elif outcome.removed:
        _say_replaced(out, folder, outcome.removed)
    if dry_run:
        return
    _say_commands(out, "\nthe cluster needs, unless it has them:", prerequisites(plan, made))
    wanted = secrets(plan)
    if wanted:
        out.message(
            f"\nthe Secrets need the namespace:\n  kubectl apply -f {kustomize.shell_path(folder, 'base/namespace.yaml')}"
        )
        _say_commands(out, None, wanted)
    out.message(f"\nthen:\n  kubectl apply -k {kustomize.shell_path(folder)}")


def _say_replaced(out: Output, folder: str, removed: tuple[str, ...]) -> None:
    """Another model, target or name in the same folder: what it replaces is gone here, and stays where it was applied."""
    named = ", ".join(removed[:NAMED]) + (f" and {len(removed) - NAMED} more" if len(removed) > NAMED else "")
    out.warn(
        f"{folder} held what this spec does not render: it replaces {named}; a cluster that has these objects keeps "
        "them until they are deleted there"
    )


def _say_commands(out: Output, heading: str | None, needed: "list[Prerequisite]") -> None:
    if heading and needed:
        out.message(heading)
    for one in needed:
        out.message(f"  # {one.name}: {one.because}")
        for command in one.commands:
            out.message(f"  {command}")


def _notes(out: Output, plan: "Plan") -> None:
    """Warn of what the plan and its objects leave open, and say which models run on a stand-in."""
    from homeport.manifests.cautions import cautions

    for text in (*plan.warnings, *cautions(plan)):
        out.warn(text)
    for model in plan.models:
        if model.engine.engine in ("cpu", "simulator"):
            because = next((d.because for d in model.decisions if d.field == "engine"), "the spec says so")
            out.message(f"{model.spec.name}: runs on the {model.engine.engine} engine: {because}")
        for text in model.warnings:
            out.warn(f"{model.spec.name}: {text}")
