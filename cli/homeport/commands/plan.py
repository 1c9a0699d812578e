"""`homeport plan`: what to run a model on, and why."""

import click

from homeport.commands.main import common_options, examples, output_option
from homeport.commands.measurements import MEASUREMENTS
from homeport.commands.output import Format, Output
from homeport.commands.pricing import (
    keep_budget,
    node_prices,
    nodes_usd_per_month,
    old_price_warnings,
    prices_option,
)
from homeport.commands.specs import SpecOptions, with_flags


@click.command(
    epilog=examples(
        "homeport plan -f homeport.yaml --explain",
        "homeport plan --model meta-llama/Llama-3.1-70B-Instruct --requests-per-day 100000 "
        "--input-tokens 1000 --output-tokens 500 --target gke",
    )
)
@with_flags(MEASUREMENTS, trace=True)
@click.option("--explain", is_flag=True, help="Show every step, with its numbers and sources.")
@click.option(
    "--all", "show_all", is_flag=True, help="List every option that was considered, not the nearest ones."
)
@prices_option
@output_option("table", "json", "yaml")
@common_options
@click.pass_obj
def plan(out: Output, options: SpecOptions, *, explain: bool, show_all: bool, output_format: Format) -> None:
    """Say what to run a model on, and why.

    The cheapest GPUs that the model fits into and that hold the latency limits at the workload's peak, with every
    option that lost and the reason. With a budget in the spec, nodes that cost more end with exit code 1.
    """
    from homeport.planning.plan import Planner

    with options.reading() as loaded:
        made = Planner(options.base_dir, explore=True).plan(loaded.spec)
    old = old_price_warnings(node_prices(made))
    if output_format == "table":
        from homeport.commands.plan_view import view

        out.data(view(made, out, explain=explain, show_all=show_all))
    else:
        from homeport.planning.output import plan_values

        values = plan_values(made)
        values["warnings"] += old
        if explain:
            from homeport.planning.explain import explain as sections

            for entry, model in zip(values["models"], made.models, strict=True):
                entry["explanation"] = sections(model)
        out.structured(values, output_format)
    for model in made.models:
        if model.engine.engine in ("cpu", "simulator"):
            because = next((d.because for d in model.decisions if d.field == "engine"), "the spec says so")
            out.message(f"{model.spec.name}: runs on the {model.engine.engine} engine: {because}")
    if output_format == "table":
        for text in (*options.notes, *old):
            out.warn(text)
    total, at_least = nodes_usd_per_month(made)
    keep_budget(out, loaded.spec, total, at_least=at_least)
