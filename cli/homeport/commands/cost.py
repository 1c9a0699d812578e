"""`homeport cost`: what own hosting costs a month, next to the APIs."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from homeport.commands.choices import CatalogName, NearestChoice, api_ids
from homeport.commands.cost_flags import COST_FLAGS, NOT_IN_GUIDE
from homeport.commands.main import common_options, examples, output_option
from homeport.commands.measurements import MEASUREMENTS
from homeport.commands.output import Output
from homeport.commands.pricing import keep_budget, old_price_warnings, prices_option
from homeport.commands.specs import SpecOptions, with_flags

if TYPE_CHECKING:
    from homeport.costs.types import Bill, Method


@click.command(
    epilog=examples(
        "homeport cost -f homeport.yaml --compare gpt-4.1 --compare claude-sonnet-4-6 --report bill.html",
        "homeport cost --model meta-llama/Llama-3.1-70B-Instruct --requests-per-day 100000 "
        "--input-tokens 1000 --output-tokens 500 --compare gpt-4.1-mini --method guide",
    )
)
@with_flags(*COST_FLAGS, MEASUREMENTS, trace=True)
@click.option(
    "--compare",
    multiple=True,
    type=CatalogName(api_ids, "API model"),
    help="An API to compare with; again for more.",
)
@click.option(
    "--method",
    type=NearestChoice(("load", "guide")),
    default="load",
    show_default=True,
    help="Load-aware, or the guide's two formulas.",
)
@click.option("--against", metavar="FILE", help="An older spec, or a saved plan or cost.")
@click.option("--sensitivity", is_flag=True, help="What moves the difference to each API.")
@click.option("--plot", is_flag=True, help="Also the cost against the load.")
@click.option("--report", metavar="FILE", help="Also a page with charts, one HTML file.")
@prices_option
@output_option("table", "json", "yaml", "csv", "markdown")
@common_options
@click.pass_obj
def cost(
    out: Output,
    /,
    options: SpecOptions,
    *,
    compare: tuple[str, ...],
    method: "Method",
    against: str | None,
    plot: bool,
    sensitivity: bool,
    report: str | None,
    output_format: str,
) -> None:
    """Say what own hosting costs a month, next to the APIs.

    Every line has its price's source and date, `*` marks assumptions, and what has no price is unknown. The breakeven
    is the lowest load from which own hosting, planned anew for each load, stays cheaper. The spec's `costs` section
    holds what no price table knows; each of its numbers is also a flag, such as --egress-usd-per-month 40.
    """
    _check(options, method, against=against, plot=plot, sensitivity=sensitivity, output_format=output_format)
    if compare:
        options.put(("compare",), list(dict.fromkeys(compare)), "--compare")
    if report is not None:
        from homeport.commands.cost_report import writable, write

        writable(report)
    drawn = report is not None
    with options.reading() as loaded:
        bill = _bill(
            options, loaded.spec, compare, method, plot=plot or drawn, sensitivity=sensitivity or drawn
        )
        if report is not None:  # a page has the prices' dates, but not today's: it stays the same tomorrow
            bill = write(out, report, bill, loaded.spec, options, plot=plot, sensitivity=sensitivity)
    bill = _dated(bill)
    if against is not None:
        bill = _against(bill, against, method)
    _print(out, bill, output_format, plot=plot)
    if output_format in ("table", "csv", "markdown"):
        for text in (*options.notes, *bill.warnings):
            out.warn(text)
    if output_format == "table" and not bill.api:
        out.message("`--compare gpt-4.1` puts an API next to it")
    keep_budget(out, loaded.spec, bill.self_hosted.usd_per_month, at_least=bill.self_hosted.at_least)


def _check(
    options: SpecOptions,
    method: str,
    *,
    against: str | None,
    plot: bool,
    sensitivity: bool,
    output_format: str,
) -> None:
    if method == "guide" and (given := [flag for flag in NOT_IN_GUIDE if flag in options.flags]):
        raise click.UsageError(f"the guide's formulas take no {', '.join(given)}; leave out --method guide")
    if output_format == "markdown" and against is None:
        raise click.UsageError("-o markdown prints what --against FILE finds; give that too")
    for given_flag, name in ((plot, "--plot"), (sensitivity, "--sensitivity"), (against, "--against")):
        if given_flag and output_format == "csv":
            raise click.UsageError(f"{name} has no place in -o csv; -o json has it")
    for given_flag, name in ((plot, "--plot"), (sensitivity, "--sensitivity")):
        if given_flag and output_format == "markdown":
            raise click.UsageError(f"{name} has no place in -o markdown")


def _bill(
    options: SpecOptions,
    spec: Any,
    compare: tuple[str, ...],
    method: "Method",
    *,
    plot: bool,
    sensitivity: bool,
) -> "Bill":
    import msgspec

    from homeport.costs import inputs
    from homeport.costs.api import requests_per_day
    from homeport.costs.bill import cost as bill_of
    from homeport.costs.replan import Replanner
    from homeport.planning.plan import Planner

    prices = inputs.api_prices(spec, named=bool(compare))
    replan = Replanner(Planner(options.base_dir), spec)
    how = inputs.options(spec.costs, method)
    bill = bill_of(replan, float(requests_per_day(spec)), prices, how, pinned=replan.pinned, curves=plot)
    if sensitivity:
        from homeport.costs.sensitivity import with_sensitivity

        bill = with_sensitivity(bill, replan, prices, how)
    if prices and inputs.splits(spec):
        from homeport.costs.hybrid import hybrid

        bill = msgspec.structs.replace(bill, hybrid=hybrid(replan, prices, how))
    return bill


def _dated(bill: "Bill") -> "Bill":
    """Add warnings of old prices; those of retired API models stay as they were."""
    import msgspec

    from homeport.costs.guide import SOURCE

    lines = [line for line in bill.self_hosted.lines if line.kind == "nodes" and line.source != SOURCE]
    priced = [
        *((line.item, line.as_of) for line in lines),
        *((api.model, api.as_of) for api in bill.api if not api.retired),
    ]
    return msgspec.structs.replace(bill, warnings=bill.warnings + old_price_warnings(priced))


def _against(bill: "Bill", file: str, method: "Method") -> "Bill":
    """Put next to a bill what changed since an older spec, plan or bill. Raises click.UsageError and SpecError."""
    import msgspec

    from homeport.costs import diff

    try:
        text = Path(file).read_bytes()
    except OSError as error:
        raise click.UsageError(f"'{file}' cannot be read: {error.strerror}") from None
    if text.lstrip()[:1] == b"{" and (saved := diff.saved(text, file)) is not None:
        old = saved
    else:
        older = SpecOptions(file, {})
        older.put(("compare",), [api.model for api in bill.api], "--compare")
        with older.reading() as loaded:
            old = diff.snapshot(_bill(older, loaded.spec, (), method, plot=False, sensitivity=False))
    return msgspec.structs.replace(bill, against=diff.compare(file, old, bill))


def _print(out: Output, bill: "Bill", output_format: str, *, plot: bool) -> None:
    def bold(text: str) -> str:
        return out.style(text, bold=True)

    if output_format == "table":
        from homeport.costs.table import as_table

        out.data(as_table(bill, bold))
        if plot:
            from homeport.costs.plot import as_plot

            out.data("\n" + as_plot(bill, bold))
    elif output_format == "markdown":
        from homeport.costs.diff_view import as_markdown

        out.data(as_markdown(bill))
    elif output_format == "csv":
        from homeport.costs.output import as_csv

        out.data(as_csv(bill))
    else:
        from homeport.costs.output import as_answer

        out.structured(as_answer(bill), "yaml" if output_format == "yaml" else "json")
