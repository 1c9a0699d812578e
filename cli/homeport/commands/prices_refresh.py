"""`homeport prices refresh`: newer prices from public lists, into a file that `--prices` reads."""

from pathlib import Path
from typing import Any

import click

from homeport.commands.catalog_prices import prices
from homeport.commands.choices import NearestChoice
from homeport.commands.main import common_options, examples
from homeport.commands.output import Output

DEFAULT_FILE = "prices.json"
SOURCES = ("litellm", "azure")


@prices.command(
    "refresh",
    epilog=examples(
        "homeport prices refresh --to prices.json",
        "homeport prices refresh --source azure --region westeurope --region eastus",
    ),
)
@click.option(
    "--source",
    "sources",
    multiple=True,
    type=NearestChoice(SOURCES),
    help="litellm: API models; azure: Azure's instances; again for more.  [both]",
)
@click.option("--region", "regions", multiple=True, help="Azure region, again for more.  [eastus]")
@click.option(
    "--to", "target", metavar="FILE", default=DEFAULT_FILE, show_default=True, help="The file to write."
)
@click.option("--litellm-url", metavar="URL", help="Where the LiteLLM price file lies.  [GitHub]")
@click.option("--azure-url", metavar="URL", help="Where Azure Retail Prices answers.  [prices.azure.com]")
@common_options
@click.pass_obj
def refresh(
    out: Output,
    *,
    sources: tuple[str, ...],
    regions: tuple[str, ...],
    target: str,
    litellm_url: str | None,
    azure_url: str | None,
) -> None:
    """Read newer prices from public lists into a file.

    `plan`, `cost` and `render` use the file with --prices FILE (or HOMEPORT_PRICES); the package's own prices stay as
    they are. Prints what differs. Each list gets 10 seconds and no second try.
    """
    from datetime import date

    from homeport.catalog import price_lists
    from homeport.catalog.price_file import SCHEMA_VERSION, write_prices
    from homeport.catalog.types import PriceBook

    wanted = sources or SOURCES
    if regions and "azure" not in wanted:
        raise click.UsageError("--region is for --source azure")
    today = date.today()
    apis: list[Any] = []
    machines: list[Any] = []
    if "litellm" in wanted:
        apis = price_lists.litellm(litellm_url or price_lists.LITELLM_URL, today)
    if "azure" in wanted:
        known = _regions(regions or (price_lists.AZURE_REGION,))
        machines = price_lists.azure(azure_url or price_lists.AZURE_URL, known, today)
    changed = [*_api_changes(apis), *_machine_changes(machines)]
    write_prices(
        Path(target),
        PriceBook(schema_version=SCHEMA_VERSION, api_prices=tuple(apis), instances=tuple(machines)),
    )
    if changed:
        out.table(("price", "was", "is", "USD"), changed, (1, 2))
    out.message(
        f"wrote {target}: {len(apis)} API models, {len(machines)} instances, {len(changed)} prices differ; "
        f"--prices {target} uses them"
    )


def _regions(names: tuple[str, ...]) -> list[str]:
    from homeport.catalog.regions import region

    return list(dict.fromkeys(region("azure", name).region for name in names))


def _api_changes(rows: list[Any]) -> list[tuple[str, str, str, str]]:
    from homeport.catalog.price_lists import LITELLM_PRICES
    from homeport.catalog.prices import api_prices

    known = {row.id: row for row in api_prices() if row.newest}
    return [
        (f"{row.id} {name.removesuffix('_usd_per_mtok').replace('_', ' ')}", *pair, "a million tokens")
        for row in rows
        for name in LITELLM_PRICES
        if (pair := _pair(getattr(known[row.id], name), getattr(row, name)))
    ]


def _machine_changes(rows: list[Any]) -> list[tuple[str, str, str, str]]:
    from homeport.catalog.prices import instances

    known = {(row.instance_type, row.region): row for row in instances("azure")}
    found = []
    for row in rows:
        old = known.get((row.instance_type, row.region))
        pair = _pair(old.on_demand_usd_per_hour if old else None, row.on_demand_usd_per_hour)
        if pair:
            found.append((f"{row.instance_type}, {row.region}", *pair, "an hour"))
    return found


def _pair(old: float | None, new: float | None) -> tuple[str, str] | None:
    """Return both prices where they differ."""
    if old == new or (old is not None and new is not None and abs(old - new) < 1e-6):
        return None
    return _text(old), _text(new)


def _text(value: float | None) -> str:
    return "unknown" if value is None else f"{value:,.4f}".rstrip("0").rstrip(".")
