"""`homeport doctor`: what is wrong with a cluster, and the commands that repair it."""

import re
import shlex
import textwrap
from typing import TYPE_CHECKING, Any

import click

from homeport.commands.clusters import ClusterOptions, cluster_options
from homeport.commands.main import common_options, examples, output_option
from homeport.commands.output import Format, Output
from homeport.commands.specs import DEFAULT_FILE, SpecOptions, spec_options
from homeport.text import printable

if TYPE_CHECKING:
    from homeport.cluster.doctor_types import Finding, Report

MARKS: dict[str, tuple[str, dict[str, Any]]] = {
    "error": ("✖", {"fg": "red", "bold": True}),
    "warning": ("!", {"fg": "yellow", "bold": True}),
    "unknown": ("?", {"fg": "magenta", "bold": True}),
    "ok": ("✔", {"fg": "green"}),
}


@click.command(
    epilog=examples(
        "homeport doctor -f homeport.yaml --preflight",
        "homeport doctor -f homeport.yaml --preflight --hub",
        "homeport doctor -f homeport.yaml --context prod -o json",
    )
)
@spec_options
@cluster_options
@click.option("--preflight", is_flag=True, help="Only what must be true before anything is applied.")
@click.option(
    "--hub",
    is_flag=True,
    help="Also send the Hub tokens in the models' Secrets to the Hub, and say whether they may read the models.",
)
@output_option("table", "json", "yaml")
@common_options
@click.pass_obj
def doctor(
    out: Output,
    options: SpecOptions,
    cluster: ClusterOptions,
    *,
    preflight: bool,
    hub: bool,
    output_format: Format,
) -> int:
    """Say what is wrong with a cluster, and which commands repair it.

    Before applying: versions, kinds, rights, quotas, nodes and their GPUs, storage, Secrets, Prometheus' selection. Once
    something runs: pods and the engines' last words, the autoscaler and each of its queries, what Prometheus scrapes.
    Nothing is changed. What could not be looked at is a finding too. Exits with 0 where all is well, 1 with findings, 3
    where the cluster cannot be reached.
    """
    from homeport.cluster.doctor import diagnose
    from homeport.planning.plan import Planner

    with options.reading() as loaded:
        plan = Planner(options.base_dir, enforce=False).plan(loaded.spec)
        file = options.file or DEFAULT_FILE
        report = diagnose(plan, cluster.connect(), file, preflight_only=preflight, ask_hub=hub)
    report = _addressed(report, cluster)
    if output_format == "table":
        _print(out, report, preflight_only=preflight)
    else:
        out.structured(report, output_format)
    return 1 if report.faulty else 0


def _addressed(report: "Report", cluster: ClusterOptions) -> "Report":
    """Let the commands of the findings speak of the same cluster as this one did."""
    kubectl = cluster.kubectl()
    own = "".join(
        f" {option} {shlex.quote(value)}"
        for option, value in (("--kubeconfig", cluster.kubeconfig), ("--context", cluster.context))
        if value
    )

    def address(command: str) -> str:
        if re.match(r"kubectl create (cluster)?role", command):
            return command  # for somebody else, who has the rights
        command = re.sub(r"(^|\| |\$\()kubectl ", lambda m: f"{m[1]}{kubectl} ", command)
        command = re.sub(r"^helm ", lambda _: f"helm{own.replace('--context', '--kube-context')} ", command)
        return re.sub(
            r"(^| )homeport (diff|status|doctor)\b", lambda m: f"{m[1]}homeport {m[2]}{own}", command
        )

    import msgspec

    return msgspec.structs.replace(
        report,
        findings=tuple(
            msgspec.structs.replace(f, repair=tuple(address(c) for c in f.repair)) for f in report.findings
        ),
    )


def _print(out: Output, report: "Report", *, preflight_only: bool) -> None:
    head = f"namespace {report.namespace}"
    if report.context:
        head = f"context {report.context}, {head}"
    out.data(f"{out.style('doctor', bold=True)}  {head}, Kubernetes {report.server_version or 'unknown'}")
    _part(out, "before applying", report.of("preflight"))
    if report.of("live"):
        _part(out, "what runs", report.of("live"))
    elif not preflight_only and not report.deployed:
        out.data("\nnothing of this spec is deployed yet: only what must be true before was looked at")
    found: list[str] = [f.severity for f in report.findings]
    names = {"error": "errors", "warning": "warnings", "unknown": "could not be looked at", "ok": "ok"}
    counts = [
        f"{found.count(s)} {text[:-1] if text.endswith('s') and found.count(s) == 1 else text}"
        for s, text in names.items()
        if found.count(s)
    ]
    out.data("\n" + ", ".join(counts))


def _part(out: Output, title: str, findings: "list[Finding]") -> None:
    out.data(f"\n{out.style(title, bold=True)}")
    for finding in findings:
        mark, style = MARKS[finding.severity]
        first, *rest = _wrapped(finding.what, out.width() - 22) or [""]
        out.data(f"  {out.style(mark, **style)} {finding.check:16} {first}")
        for line in rest:
            out.data(" " * 21 + line)
        if finding.severity == "unknown" and not finding.repair:
            for line in textwrap.wrap(
                finding.evidence, out.width() - 22, max_lines=2, placeholder=" …", break_on_hyphens=False
            ):
                out.data(f"{'':21}{out.style(printable(line), dim=True)}")
        elif finding.severity != "ok":
            _details(out, finding)


def _details(out: Output, finding: "Finding") -> None:
    for label, text in (
        ("where", finding.where),
        ("said", finding.evidence),
        ("why", finding.why),
        ("do", finding.advice),
        ("known", f"from {finding.source}" if finding.source and out.verbose else ""),
    ):
        for number, line in enumerate(_wrapped(text, out.width() - 28)):
            shown = out.style(label, dim=True) + " " * (6 - len(label)) if number == 0 else " " * 6
            out.data(f"{'':21}{shown}{line}")
    for number, command in enumerate(finding.repair):
        label = out.style("run", dim=True) + " " * 3 if number == 0 else " " * 6
        out.data(f"{'':21}{label}{out.style(printable(command), fg='cyan')}")


def _wrapped(text: str, width: int) -> list[str]:
    """`text` as lines; what a terminal would act on is escaped: a log's line or an event can hold anything."""
    return [printable(line) for line in textwrap.wrap(text, width, break_on_hyphens=False)]
