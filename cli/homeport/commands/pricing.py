"""What commands that price something share: a file of prices, warnings of old ones, the budget."""

from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from homeport.commands.output import Output

if TYPE_CHECKING:
    from homeport.planning.types import Plan
    from homeport.spec.models import Spec

OVER_BUDGET = 1


def prices_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --prices FILE: a file of prices that counts over the package's own, for this run."""

    def use(ctx: click.Context, param: click.Parameter, value: str | None) -> None:  # noqa: ARG001
        if value is None:
            return
        from homeport.catalog.price_file import read_prices
        from homeport.catalog.prices import use_prices

        use_prices(read_prices(Path(value)))
        ctx.call_on_close(lambda: use_prices(None))

    return click.option(
        "--prices",
        metavar="FILE",
        envvar="HOMEPORT_PRICES",
        expose_value=False,
        is_eager=True,
        callback=use,
        help="A file that `prices refresh` wrote.",
    )(command)


def old_price_warnings(priced: Iterable[tuple[str, str | None]]) -> tuple[str, ...]:
    """Return warnings of prices that are older than 90 days today."""
    from datetime import date

    from homeport.catalog.ages import old_prices

    return tuple(old_prices(priced, date.today()))


def node_prices(plan: "Plan") -> list[tuple[str, str | None]]:
    """Return what a plan's nodes are called and the dates of their prices."""
    return [(pool.instance_type or pool.gpu, pool.price.as_of if pool.price else None) for pool in plan.pools]


def nodes_usd_per_month(plan: "Plan") -> tuple[Decimal | None, bool]:
    """Return what a plan's nodes cost a month around the clock, and whether something of them has no price."""
    from homeport.planning.hardware import HOURS_A_MONTH

    known = [pool.price.usd_per_hour * pool.node_count for pool in plan.pools if pool.price]
    pooled = {name for pool in plan.pools for name in pool.models}
    unknown = len(known) < len(plan.pools) or any(model.spec.name not in pooled for model in plan.models)
    return (sum(known, Decimal(0)) * HOURS_A_MONTH if known else None), unknown


def keep_budget(out: Output, spec: "Spec", total: Decimal | None, *, at_least: bool) -> None:
    """Exit with 1 where a month costs more than the spec's budget; say so where that cannot be told.

    The answer has been printed before. A total of "at least" more than the budget is over it, whatever is unknown.
    """
    if spec.budget is None:
        return
    limit = Decimal(str(spec.budget.usd_per_month))
    if total is None:
        out.warn(f"the budget of ${limit:,.2f} a month cannot be checked: the cost is unknown")
        return
    least = "at least " if at_least else ""
    if total > limit:
        out.error(
            f"over budget: {least}${total:,.2f} a month, ${total - limit:,.2f} more than the ${limit:,.2f} of "
            "budget.usd_per_month"
        )
        click.get_current_context().exit(OVER_BUDGET)
    if at_least:
        out.message(
            f"within the budget of ${limit:,.2f} a month, as far as it is known: {least}${total:,.2f}"
        )
