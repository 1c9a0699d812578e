"""`homeport bench`: load on a running endpoint, and planned against measured."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from homeport.commands.main import INTERRUPTED, common_options, examples, output_option
from homeport.commands.output import Format, Output
from homeport.commands.specs import SpecOptions, with_flags

if TYPE_CHECKING:
    from homeport.cluster.bench_record import Target
    from homeport.cluster.bench_types import Endpoint, Measured, Stage
    from homeport.planning.types import ModelPlan

FINDING = 1
SEED = 1
MOST_REQUESTS = 1000


class BenchOptions(NamedTuple):
    """What the command line said about the load."""

    name: str | None
    url: str | None
    served_name: str | None
    replicas: int
    rates: tuple[float, ...]
    concurrencies: tuple[int, ...]
    seconds: float | None
    most_requests: int
    save: str | None
    engine_version: str | None
    api_key_env: str
    generator: str | None
    yes: bool


@click.command(
    epilog=examples(
        "homeport bench -f homeport.yaml --url http://127.0.0.1:8000 --save runs.json",
        "homeport bench -f homeport.yaml --url http://127.0.0.1:8000 --concurrency 1 --concurrency 8 --seconds 60",
    )
)
@with_flags(trace=True)
@click.option("--name", metavar="NAME", help="Which of the spec's models.  [the only one]")
@click.option("--url", metavar="URL", help="The endpoint, such as http://127.0.0.1:8000.")
@click.option("--served-name", metavar="NAME", help="What the endpoint calls the model.  [as planned]")
@click.option(
    "--replicas", type=click.IntRange(1, 4096), default=1, show_default=True, help="How many replicas answer."
)
@click.option(
    "--rate",
    "rates",
    multiple=True,
    type=click.FloatRange(0, 10_000, min_open=True),
    help="Requests a second (may be given again).  [the workload's mean and peak]",
)
@click.option(
    "--concurrency",
    "concurrencies",
    multiple=True,
    type=click.IntRange(1, 10_000),
    help="Requests kept in flight (may be given again).  [steps up to the planned capacity]",
)
@click.option(
    "--seconds",
    type=click.FloatRange(1, 3600),
    help="Length of each load.  [four requests in a row, 30 to 300]",
)
@click.option(
    "--max-requests",
    "most_requests",
    type=click.IntRange(1, 100_000),
    default=MOST_REQUESTS,
    show_default=True,
    help="Most requests of each load.",
)
@click.option("--save", metavar="FILE", help="Add the runs to this file of measurements, for --measurements.")
@click.option(
    "--engine-version",
    metavar="VERSION",
    help="Version to record.  [what the endpoint says, else the plan's]",
)
@click.option(
    "--api-key-env",
    metavar="VARIABLE",
    default="HOMEPORT_API_KEY",
    show_default=True,
    help="Environment variable that holds the endpoint's key.",
)
@click.option("--generator", metavar="PROGRAM", help="The load generator aiperf (0.13.0).  [on PATH]")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@output_option("table", "json", "yaml")
@common_options
@click.pass_obj
def bench(out: Output, /, options: SpecOptions, output_format: Format, **load: Any) -> int:
    """Put load on an endpoint, and compare with the plan.

    Sends the workload's requests at its mean and its peak rate, then keeps more and more in flight, up to what the plan
    says one replica holds; with --trace, as the trace's busiest time had them. The load generator is a program of its
    own, aiperf 0.13.0: `uv tool install aiperf==0.13.0`. Ctrl-C ends the load and keeps what was measured.

    Exit code 1: requests failed, or a load broke the latency limits that the plan says it keeps.
    """
    from homeport.cluster import bench_generator, bench_record, bench_results
    from homeport.cluster.bench_answer import compare, findings
    from homeport.commands.bench_view import view

    asked = BenchOptions(**load)
    plan, namespace = _plan(options, asked.name, out)
    url = _url(plan, namespace, asked)
    program = bench_generator.find(asked.generator)
    into = bench_record.target(Path(asked.save)) if asked.save is not None else None
    stages = _stages(plan, asked, options.trace, out)
    if not stages:
        raise click.UsageError("no load is left: give --rate, --concurrency, or more --seconds")
    _confirm(url, stages, into, asked)
    key = os.environ.get(asked.api_key_env) or None
    endpoint = _endpoint(plan, url, asked, key, out)
    found: list[Measured] = []
    interrupted = False
    generator = bench_generator.PROGRAM
    for together, prompts in _sent(plan, endpoint, stages, asked, options.trace):
        ran = bench_generator.run(
            program, endpoint, plan.engine.engine, together, prompts, key=key, progress=_progress(out)
        )
        _clear(out)
        interrupted = ran.interrupted
        generator = f"{bench_generator.PROGRAM} {ran.version or 'of an unknown version'}"
        last = next((s for s in reversed(together) if bench_generator.of_stage(ran.records, s)), None)
        for stage in together:
            records = bench_generator.of_stage(ran.records, stage)
            if records:
                found.append(bench_results.measured(stage, records, cut_short=interrupted and stage is last))
        if interrupted:
            break
    answer = compare(
        plan, endpoint, found, replicas=asked.replicas, generator=generator, interrupted=interrupted
    )
    if into is not None:
        made = bench_record.runs(
            plan,
            endpoint,
            found,
            replicas=asked.replicas,
            engine_version=asked.engine_version,
            generator=generator,
        )
        if made:
            bench_record.save(into, made)
            answer.saved, answer.saved_runs = asked.save, len(made)
        else:
            out.warn("nothing was saved: no load with a fixed number of requests in flight ran to its end")
    if output_format == "table":
        view(answer, out)
    else:
        out.structured(answer, output_format)
    if interrupted:
        out.message("interrupted: what is shown was measured until then")
        return INTERRUPTED
    problems = findings(answer)
    for text in problems:
        out.warn(text)
    return FINDING if problems else 0


def _plan(options: SpecOptions, name: str | None, out: Output) -> "tuple[ModelPlan, str]":
    """The plan of the model to load, and its namespace."""
    from homeport.manifests.render import namespace_of
    from homeport.planning.plan import Planner

    with options.reading() as loaded:
        plan = Planner(options.base_dir, enforce=False).plan(loaded.spec)
    for note in options.notes:
        out.message(note)
    names = [model.spec.name for model in plan.models]
    if name is None and len(names) > 1:
        raise click.UsageError(f"the spec has several models: choose one with --name: {', '.join(names)}")
    for model in plan.models:
        if name in (None, model.spec.name):
            return model, namespace_of(plan)
    from homeport.commands.main import UnknownName

    raise UnknownName("model in the spec", str(name), names, f"it has {', '.join(names)}")


def _url(plan: "ModelPlan", namespace: str, asked: BenchOptions) -> str:
    from homeport.cluster.bench_endpoint import base_url

    if asked.url is None:
        raise click.UsageError(
            f"--url is missing; `kubectl --namespace {namespace} port-forward service/{plan.spec.name} 8000:80` brings one "
            "replica to http://127.0.0.1:8000"
        )
    return base_url(asked.url)


def _endpoint(plan: "ModelPlan", url: str, asked: BenchOptions, key: str | None, out: Output) -> "Endpoint":
    from homeport.cluster import bench_endpoint
    from homeport.cluster.bench_record import real, why_not

    endpoint = bench_endpoint.ask(url, asked.served_name or plan.launch.served_name, plan.engine, key)
    if asked.save is not None and (why := why_not(plan, endpoint, asked.engine_version)):
        raise click.UsageError(f"--save: {why}")
    planned = real(plan).engine.version
    if endpoint.engine_version not in (None, bench_endpoint.SIMULATOR, planned):
        out.warn(
            f"the endpoint runs {plan.engine.engine} {endpoint.engine_version}, the plan is of {planned}"
        )
    if not endpoint.counts_tokens:
        out.warn("the endpoint does not say how many tokens a prompt has: a word is taken for a token")
    return endpoint


def _stages(plan: "ModelPlan", asked: BenchOptions, trace: str | None, out: Output) -> "list[Stage]":
    from homeport.cluster import bench_stages

    made, notes = bench_stages.stages(
        plan,
        replicas=asked.replicas,
        seconds=asked.seconds,
        most_requests=asked.most_requests,
        rates=asked.rates,
        concurrencies=asked.concurrencies,
        trace=trace is not None,
    )
    for note in notes:
        out.message(note)
    return made


def _sent(
    plan: "ModelPlan", endpoint: "Endpoint", stages: "list[Stage]", asked: BenchOptions, trace: str | None
) -> Any:
    """Yield stages that one run of the generator sends, and their prompts."""
    from homeport.cluster import bench_prompts, bench_stages

    replayed = [stage for stage in stages if stage.kind == "trace"]
    for stage in replayed:
        assert trace is not None
        share = asked.replicas / max(plan.replicas_planned, 1)
        requests = bench_stages.busiest(Path(trace), stage, share)
        yield [stage], bench_prompts.replayed(requests, endpoint, SEED)
    rest = [stage for stage in stages if stage.kind != "trace"]
    if rest:
        count = sum(stage.requests for stage in rest) + bench_stages.WARM_UP
        yield rest, bench_prompts.prompts(plan.spec, endpoint, count, SEED + 1)


def _confirm(url: str, stages: "list[Stage]", into: "Target | None", asked: BenchOptions) -> None:
    """Ask before load goes to another machine, and before a file that somebody else wrote is written anew."""
    from homeport.cluster.bench_endpoint import is_loopback

    questions = []
    if not is_loopback(url):
        most = sum(stage.requests for stage in stages)
        seconds = sum(stage.seconds for stage in stages)
        questions.append(f"send up to {most:,} requests in about {seconds / 60:.0f} minutes to {url}")
    if into is not None and into.foreign:
        questions.append(f"add to {into.path}, which has {into.foreign} runs of others (they are kept)")
    if not questions or asked.yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(
            f"`homeport bench` would {' and '.join(questions)}: give --yes where nobody can be asked"
        )
    click.confirm(f"{' and '.join(questions)}?", abort=True, err=True)


def _progress(out: Output) -> Any:
    """Say how far the load is: one line on a terminal, nothing elsewhere."""
    shown = sys.stderr.isatty() and not out.quiet and os.environ.get("TERM") != "dumb"

    def show(stage: str, requests: int, seconds: float) -> None:
        if shown:
            what = f"{stage}: {requests} requests" if stage else "starting the load generator"
            click.echo(f"\r\x1b[K{what}, {seconds:.0f} s", err=True, nl=False)

    return show


def _clear(out: Output) -> None:
    if sys.stderr.isatty() and not out.quiet and os.environ.get("TERM") != "dumb":
        click.echo("\r\x1b[K", err=True, nl=False)
