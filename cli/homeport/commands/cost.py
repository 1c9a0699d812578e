"""`homeport cost`: what own hosting costs a month, next to the APIs."""

from decimal import Decimal, InvalidOperation
from typing import Any

import click

from homeport.commands.choices import CatalogName, NearestChoice, api_ids
from homeport.commands.main import common_options, examples, output_option
from homeport.commands.output import Output
from homeport.commands.specs import SpecOptions, spec_options

LOAD_ONLY = {
    "scaled_share": "--scaled-share",
    "storage_usd_per_gib_month": "--storage-usd-per-gib-month",
    "load_balancer_usd_per_hour": "--load-balancer-usd-per-hour",
    "egress_usd_per_month": "--egress-usd-per-month",
    "platform_usd_per_month": "--platform-usd-per-month",
}


class Amount(click.ParamType):  # type: ignore[type-arg]  # generic in some releases of click only
    """A number that is kept as it is written: money is never a binary fraction."""

    name = "number"

    def __init__(self, most: int | None = None) -> None:
        """`most` is the largest value that makes sense; the smallest is 0."""
        self.most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        """Return the Decimal, or fail with the range."""
        wanted = "a number of 0 or more" if self.most is None else f"a number from 0 to {self.most:,}"
        try:
            number = Decimal(str(value).replace("_", ""))
        except InvalidOperation:
            self.fail(f"'{value}' is not {wanted}", param, ctx)
        if not number.is_finite() or number < 0 or (self.most is not None and number > self.most):
            self.fail(f"'{value}' is not {wanted}", param, ctx)
        return number


@click.command(
    epilog=examples(
        "homeport cost -f homeport.yaml --compare gpt-4.1 --compare claude-sonnet-4-5",
        "homeport cost --model meta-llama/Llama-3.1-70B-Instruct --requests-per-day 100000 "
        "--input-tokens 1000 --output-tokens 500 --compare gpt-4.1-mini --method guide",
    )
)
@spec_options
@click.option(
    "--compare",
    multiple=True,
    type=CatalogName(api_ids, "API model"),
    help="An API model to compare with, again for more; instead of the spec's.",
)
@click.option(
    "--method",
    type=NearestChoice(("load", "guide")),
    default="load",
    show_default=True,
    help="load: whole nodes at the given load; guide: the guide's two formulas.",
)
@click.option(
    "--gpu-usd-per-hour", type=Amount(), help="Your price of a GPU hour, instead of the price table's."
)
@click.option(
    "--scaled-share", type=Amount(1), help="Share of the month that replicas above the minimum run.  [1]"
)
@click.option("--growth-percent", type=Amount(10_000), default="0", help="How much the load has grown.  [0]")
@click.option("--retries-percent", type=Amount(1_000), default="0", help="Requests that are sent again.  [0]")
@click.option(
    "--cached-input-percent",
    type=Amount(100),
    default="0",
    help="Input tokens that the APIs' caches serve.  [0]",
)
@click.option(
    "--batch-percent",
    type=Amount(100),
    default="0",
    help="Requests that can wait for the APIs' batches.  [0]",
)
@click.option("--storage-usd-per-gib-month", type=Amount(), help="Your price of a GiB of disk.  [unknown]")
@click.option("--load-balancer-usd-per-hour", type=Amount(), help="Your price of a load balancer.  [unknown]")
@click.option(
    "--egress-usd-per-month", type=Amount(), help="Your bill of outgoing traffic at this load.  [unknown]"
)
@click.option(
    "--platform-usd-per-month",
    type=Amount(),
    help="Your price of the cluster and its system nodes.  [unknown]",
)
@click.option("--sensitivity", is_flag=True, help="Say what moves the difference to each API most.")
@click.option("--plot", is_flag=True, help="Also draw the cost against the load (table only).")
@output_option("table", "json", "yaml", "csv")
@common_options
@click.pass_obj
def cost(
    out: Output,
    /,
    options: SpecOptions,
    *,
    compare: tuple[str, ...],
    plot: bool,
    sensitivity: bool,
    output_format: str,
    **money: Any,
) -> None:
    """Say what own hosting costs a month, next to the APIs.

    Every line has its price's source and date, `*` marks assumptions, and what has no price is unknown. The breakeven
    is the lowest load from which own hosting, planned anew for each load, stays cheaper.
    """
    if money["method"] == "guide" and (
        given := [flag for name, flag in LOAD_ONLY.items() if money[name] is not None]
    ):
        raise click.UsageError(f"the guide's formulas take no {', '.join(given)}; leave out --method guide")
    if plot and output_format != "table":
        raise click.UsageError(f"--plot draws on a terminal; it has no place in -o {output_format}")
    if sensitivity and output_format == "csv":
        raise click.UsageError("--sensitivity has no place in -o csv; -o json has it")
    from homeport.costs.api import requests_per_day
    from homeport.costs.bill import cost as bill_of
    from homeport.costs.replan import Replanner
    from homeport.costs.types import Options
    from homeport.planning.plan import Planner

    if compare:
        options.put(("compare",), list(dict.fromkeys(compare)), "--compare")
    with options.reading() as loaded:
        spec = loaded.spec
        prices = _prices(compare, spec.compare)
        replan = Replanner(Planner(options.base_dir), spec)
        load = float(requests_per_day(spec))
        how = Options(**money)
        bill = bill_of(replan, load, prices, how, pinned=replan.pinned, curves=plot)
        if sensitivity:
            from homeport.costs.sensitivity import with_sensitivity

            bill = with_sensitivity(bill, replan, prices, how)
    if output_format == "table":
        from homeport.costs.table import as_table

        out.data(as_table(bill, lambda text: out.style(text, bold=True)))
        if plot:
            from homeport.costs.plot import as_plot

            out.data("\n" + as_plot(bill, lambda text: out.style(text, bold=True)))
        for text in bill.warnings:
            out.warn(text)
        if not prices:
            out.message("`--compare gpt-4.1` puts an API next to it")
    elif output_format == "csv":
        from homeport.costs.output import as_csv

        out.data(as_csv(bill))
    else:
        from homeport.costs.output import as_answer

        out.structured(as_answer(bill), "yaml" if output_format == "yaml" else "json")


def _prices(named: tuple[str, ...], in_spec: tuple[str, ...]) -> list[Any]:
    """Return the prices of the API models in their order, each once; all mistakes of the spec at once."""
    from homeport.catalog.prices import api_price
    from homeport.errors import HomeportError, NotFoundError, Problem, SpecError

    found = {}
    problems = []
    for i, name in enumerate(named or in_spec):
        try:
            price = api_price(name)
        except HomeportError as error:
            if named:
                raise
            tip = error.help if isinstance(error, NotFoundError) else None
            problems.append(Problem(message=str(error), path=("compare", i), value=name, help=tip))
            continue
        found[price.id] = price
    if problems:
        raise SpecError(problems)
    return list(found.values())
