"""`homeport status`: what runs, how loaded it is, and what it costs."""

import sys
import time
from typing import TYPE_CHECKING

import click

from homeport.commands.clusters import ClusterOptions, cluster_options
from homeport.commands.main import common_options, examples, output_option
from homeport.commands.output import Format, Output
from homeport.commands.specs import SpecOptions, spec_options
from homeport.text import printable

if TYPE_CHECKING:
    from homeport.cluster.errors import ClusterProblem
    from homeport.cluster.status_types import ModelStatus, Status

PATIENCE_S = 1.0
"""While watching, a broken connection is told of after this, seconds."""
CLEAR = "\x1b[H\x1b[2J"
FIGURES = (
    ("running", "running"),
    ("waiting", "waiting"),
    ("kv_cache_use", "KV cache"),
    ("ttft_p95_ms", "TTFT p95"),
    ("inter_token_p95_ms", "inter-token p95"),
)


@click.command(
    epilog=examples(
        "homeport status -f homeport.yaml",
        "homeport status -f homeport.yaml --watch --every 10",
    )
)
@spec_options
@cluster_options
@click.option("-w", "--watch", is_flag=True, help="Read again and again, until Ctrl-C.")
@click.option(
    "--every",
    type=click.FloatRange(min=1),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="Pause between two readings of --watch.",
)
@output_option("table", "json", "yaml")
@common_options
@click.pass_obj
def status(
    out: Output,
    options: SpecOptions,
    cluster: ClusterOptions,
    *,
    watch: bool,
    every: float,
    output_format: Format,
) -> int:
    """Say what runs of a spec, how loaded it is, and what it costs.

    Replicas wanted and ready, and why the others are not; queue, KV cache and 95th percentiles from Prometheus; dollars an
    hour now. With --watch, a terminal is redrawn; elsewhere each reading is appended (JSON: one line each), a cut connection
    is told of and survived, and Ctrl-C ends with the last reading's exit code. Exits with 0 where every model is ready, 1
    where one is not, 3 where the cluster cannot be read.
    """
    from homeport.cluster.status import read_status
    from homeport.planning.plan import Planner

    with options.reading() as loaded:
        plan = Planner(options.base_dir, enforce=False).plan(loaded.spec)
    way = cluster.connect()
    if not watch:
        found = read_status(plan, way)
        _show(out, found, output_format)
        _advise(out, found, options)
        return 0 if found.ready else 1
    from homeport.cluster.client_poll import poll

    way.patience_s = PATIENCE_S
    lost = Lost(out)
    last = 1
    try:
        for found in poll(lambda: read_status(plan, way), every, on_lost=lost.tell):
            lost.over()
            if output_format == "table" and sys.stdout.isatty():
                out.data(CLEAR + view(out, found))
            elif output_format == "json":
                _line(out, found)
            else:
                _show(out, found, output_format, again=True)
            last = 0 if found.ready else 1
    except KeyboardInterrupt:
        pass  # how watching ends
    return last


class Lost:
    """Tells of a cut connection, once, and of its end."""

    def __init__(self, out: Output) -> None:
        """Nothing is lost yet."""
        self.out = out
        self.since: float | None = None

    def tell(self, problem: "ClusterProblem") -> None:
        """Say that the connection is lost."""
        self.since = time.monotonic()
        self.out.warn(f"the cluster does not answer, trying again: {problem}")

    def over(self) -> None:
        """Say that it is back, if it was lost."""
        if self.since is not None:
            self.out.message(f"the cluster answers again, after {time.monotonic() - self.since:.0f} s")
            self.since = None


def _advise(out: Output, found: "Status", options: SpecOptions) -> None:
    """Say which command goes on where not everything is ready."""
    import shlex

    spec = f" -f {shlex.quote(options.file)}" if options.file else ""
    if all(model.replicas.wanted is None for model in found.models):
        out.message(f"`homeport diff{spec}` lists what is missing, and the command that applies it")
    elif not found.ready:
        out.message(f"`homeport doctor{spec}` says what is wrong, and which commands repair it")


def _line(out: Output, found: "Status") -> None:
    import msgspec

    out.data(msgspec.json.encode(found).decode())


def _show(out: Output, found: "Status", output_format: Format, *, again: bool = False) -> None:
    if output_format == "table":
        out.data(view(out, found) + ("\n" if again else ""))
        return
    if again:
        out.data("---")
    out.structured(found, output_format)


def view(out: Output, found: "Status") -> str:
    """The status as a person reads it."""
    where = f"context {found.context}, " if found.context else ""
    lines = [f"{out.style('status', bold=True)}  {where}namespace {found.namespace}, {found.at}"]
    for model in found.models:
        lines.append("")
        lines += _model(out, model)
    if len(found.models) > 1:
        lines += ["", f"together  {_dollars(found.usd_per_hour, found.usd_per_month)}"]
    return "\n".join(lines)


def _model(out: Output, model: "ModelStatus") -> list[str]:
    from homeport.cluster.status_time import span

    counts = model.replicas
    mark = out.style("✔", fg="green") if model.ready else out.style("✖", fg="red", bold=True)
    ready = "not deployed" if counts.wanted is None else f"{counts.ready} of {counts.wanted} replicas ready"
    planned = f"{counts.min} to {counts.max}" if counts.min != counts.max else str(counts.max)
    lines = [f"{mark} {out.style(model.name, bold=True)}  {ready} ({planned} planned)  {model.workload}"]
    for pod in model.pods:
        age = f" for {span(pod.since_s)}" if pod.since_s is not None else ""
        again = f", {pod.restarts} restarts" if pod.restarts else ""
        lines.append(f"    {out.style(pod.phase, fg='yellow')}{age}{again}  {printable(pod.pod)}")
        lines.append(f"        {printable(pod.why)}")
    figures = [
        (label, _figure(name, getattr(model.load, name)), model.unknown.get(name, ""))
        for name, label in FIGURES
    ]
    known = [f"{label} {value}" for label, value, _ in figures if value]
    if known:
        lines.append("    load      " + ", ".join(known))
    reasons: dict[str, list[str]] = {}
    for label, value, why in figures:
        if not value:
            reasons.setdefault(why, []).append(label)
    for why, labels in reasons.items():
        lines += _wrapped(out, "unknown", f"{', '.join(labels)}: {why}")
    lines += _wrapped(out, "cost", _cost(model))
    if model.last_scaled is not None:
        lines.append(f"    scaled    {model.last_scaled.at or 'unknown'}  {printable(model.last_scaled.why)}")
    return lines


def _wrapped(out: Output, label: str, text: str) -> list[str]:
    import textwrap

    lines = textwrap.wrap(text, out.width() - 14, break_long_words=False, break_on_hyphens=False)
    return [f"    {label if n == 0 else '':10}{printable(line)}" for n, line in enumerate(lines)]


def _figure(name: str, value: float | None) -> str:
    if value is None:
        return ""
    if name.endswith("_ms"):
        return f"{value:,.0f} ms" if value >= 10 else f"{value:.1f} ms"
    return f"{value:.0%}" if name == "kv_cache_use" else f"{value:g}"


def _cost(model: "ModelStatus") -> str:
    cost = model.spending
    if cost.usd_per_hour is None:
        return f"unknown: {model.unknown.get('usd_per_hour', '')}"
    basis = (
        "replicas that run" if cost.nodes is None else f"{cost.nodes} node{'' if cost.nodes == 1 else 's'}"
    )
    day = f"price of {cost.price.rsplit(', ', 1)[-1]}" + (
        f", assumed: {cost.price_assumption}" if cost.price_assumption else ""
    )
    return f"{_dollars(cost.usd_per_hour, cost.usd_per_month)}  ({basis}; {day})"


def _dollars(hour: float | None, month: float | None) -> str:
    if hour is None or month is None:
        return "unknown"
    return f"${hour:,.2f} an hour, ${month:,.0f} a month at this rate"
