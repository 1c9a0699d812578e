"""`homeport diff`: the rendered objects against a cluster."""

import shlex
from typing import TYPE_CHECKING, Any

import click

from homeport.commands.clusters import ClusterOptions, cluster_options
from homeport.commands.main import common_options, examples, output_option
from homeport.commands.measurements import MEASUREMENTS
from homeport.commands.output import SCHEMA_VERSION, Format, Output
from homeport.commands.pricing import prices_option
from homeport.commands.specs import SpecOptions, with_flags

if TYPE_CHECKING:
    from homeport.cluster.diff_types import Comparison

PULUMI = "pulumi-kubernetes"
_COLORS: dict[str, dict[str, Any]] = {
    "head": {"bold": True},
    "hunk": {"fg": "cyan"},
    "-": {"fg": "red"},
    "+": {"fg": "green"},
    "note": {"fg": "yellow"},
}


@click.command(
    epilog=examples(
        "homeport diff -f homeport.yaml",
        "homeport diff -f homeport.yaml --context prod -o json",
    )
)
@with_flags(MEASUREMENTS)
@cluster_options
@output_option("table", "json", "yaml")
@prices_option
@common_options
@click.pass_obj
def diff(out: Output, options: SpecOptions, cluster: ClusterOptions, output_format: Format) -> int:
    """Say how a cluster differs from what a spec renders.

    The API server tells, by a dry run: only fields that are rendered are compared, never defaults, status or what others
    set. Nothing is changed. Exits with 0 where nothing differs, 1 where something does, 3 where it could not be told.
    """
    from homeport.cluster.diff import compare
    from homeport.manifests.render import documents
    from homeport.planning.plan import Planner

    with options.reading() as loaded:
        # What stands may be compared, also where the spec's rules forbid it by now.
        plan = Planner(options.base_dir, enforce=False).plan(loaded.spec)
        made = documents(plan)
    found = compare(cluster.connect(), made, plan.spec.name)
    if output_format == "table":
        _print(out, found)
    else:
        apply = _apply(found, options, cluster)
        out.structured({"schema_version": SCHEMA_VERSION, **_values(found), "apply": apply}, output_format)
    _advise(out, found, options, cluster)
    if found.of("unknown"):
        return 3
    return 1 if any(one.state != "same" for one in found.objects) else 0


def _values(found: "Comparison") -> dict[str, Any]:
    import msgspec

    values: dict[str, Any] = msgspec.to_builtins(found)
    return values


def _print(out: Output, found: "Comparison") -> None:
    from homeport.cluster.diff_view import lines

    text = "\n".join(out.style(line.text, **_COLORS.get(line.mark, {})) for line in lines(found))
    if text:
        out.data(text)


def _advise(out: Output, found: "Comparison", options: SpecOptions, cluster: ClusterOptions) -> None:
    """Sum up, and say what brings the cluster to what is rendered."""
    from homeport.cluster.diff_view import summary

    out.message(summary(found))
    for text in found.not_looked_for:
        out.warn(f"what is left over was not looked for: {text}")
    commands = _apply(found, options, cluster)
    if commands:
        out.message("to apply:")
        for command in commands:
            out.message(f"  {command}")
    if found.taken:
        out.warn(
            "an apply takes back the fields that others took; what an autoscaler took it will take again"
        )


def _apply(found: "Comparison", options: SpecOptions, cluster: ClusterOptions) -> list[str]:
    """The commands that bring the cluster to what is rendered, for whoever applied it before."""
    by = {manager for one in found.objects for manager in one.applied_by}
    spec = shlex.join(options.words())
    to_apply = found.of("missing", "differs", "refused")
    if any(manager.startswith(PULUMI) for manager in by):
        return [f"homeport up {spec}"] if to_apply or found.of("left_over") else []
    kubectl = cluster.kubectl()
    commands = [
        f"{kubectl} delete {one.kind.lower()}{f' --namespace {one.namespace}' if one.namespace else ''} {one.name}"
        for one in found.of("left_over")
    ]
    if to_apply:
        force = " --force-conflicts" if found.taken else ""
        # What plain `kubectl apply` made goes on with it: changing sides leaves its annotation behind.
        how = "apply" if "kubectl-client-side-apply" in by else f"apply --server-side{force}"
        commands.append(f"homeport render {spec} -o - | {kubectl} {how} -f -")
    return commands
