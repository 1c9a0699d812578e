"""`homeport prices list|show|refresh`: prices of API models and of cloud instances."""

from typing import Any

import click

from homeport.commands.catalog_groups import list_show_group, subcommand
from homeport.commands.choices import CatalogName, NearestChoice, api_ids, gpu_ids
from homeport.commands.output import SCHEMA_VERSION, Format, Output
from homeport.commands.pricing import prices_option


@list_show_group(
    "prices",
    "List, show and refresh prices of APIs and of instances.",
    "homeport prices list --provider openai",
    "homeport prices list --kind instance --cloud gcp --gpu H100",
)
def prices() -> None:
    """Hold `prices list` and `prices show`."""


@subcommand(
    prices,
    "list",
    "List prices: of API models per million tokens, or of cloud instances per hour (cheapest GPU first).",
    "homeport prices list --provider anthropic --not-retired",
    "homeport prices list --kind instance --cloud aws --gpu L4 -o json",
)
@click.option(
    "--kind",
    type=NearestChoice(["api", "instance"]),
    help="Which prices.  [api, or what the filters are for]",
)
@click.option("--provider", help="API: a provider, such as openai.")
@click.option(
    "--retired/--not-retired", default=None, help="API: whether the model's announced end has passed."
)
@click.option("--all-dates", is_flag=True, help="API: older prices too.")
@click.option("--cloud", help="Instances: aws, azure, gcp, lambda or runpod.")
@click.option("--region", help="Instances: one region.")
@click.option("--gpu", type=CatalogName(gpu_ids, "gpu"), help="Instances: a GPU or a family.")
@prices_option
def prices_list(
    out: Output,
    output_format: Format,
    kind: str | None,
    provider: str | None,
    retired: bool | None,
    all_dates: bool,
    cloud: str | None,
    region: str | None,
    gpu: str | None,
) -> None:
    """Filter and print."""
    of_api = {"--provider": provider, "--retired": retired, "--all-dates": all_dates or None}
    of_instances = {"--cloud": cloud, "--region": region, "--gpu": gpu}
    wanted = kind or ("instance" if any(v is not None for v in of_instances.values()) else "api")
    for option, value in (of_instances if wanted == "api" else of_api).items():
        if value is not None:
            raise click.UsageError(
                f"{option} filters {'instance' if wanted == 'api' else 'API'} prices, not {wanted} prices"
            )
    if wanted == "api":
        _list_api(out, output_format, provider, retired, all_dates)
    else:
        _list_instances(out, output_format, cloud, region, gpu)


def _list_api(
    out: Output, output_format: Format, provider: str | None, retired: bool | None, all_dates: bool
) -> None:
    from homeport.catalog.prices import api_prices
    from homeport.commands import catalog_rows as rows

    found = [row for row in api_prices() if all_dates or row.newest]
    if provider is not None:
        providers = rows.pick("provider", provider, [row.provider for row in found])
        found = [row for row in found if row.provider in providers]
    if retired is not None:
        found = [row for row in found if row.retired == retired]
    cells = [
        [
            row.id,
            rows.cell(row, "input_usd_per_mtok", rows.usd),
            rows.cell(row, "output_usd_per_mtok", rows.usd),
            "-"
            if row.cached_input_usd_per_mtok is None
            else rows.cell(row, "cached_input_usd_per_mtok", rows.usd),
            rows.cell(row, "context_tokens", rows.plain),
            rows.cell(row, "as_of"),
            "retired" if row.retired else row.retires_on or "",
        ]
        for row in found
    ]
    rows.answer_list(
        out,
        output_format,
        "prices",
        [_api(row) for row in found],
        ["API model", "in", "out", "cached", "context", "as of", "ends"],
        cells,
        (1, 2, 3, 4),
        "USD per million tokens; - no such price, or unknown",
    )


def _list_instances(
    out: Output, output_format: Format, cloud: str | None, region: str | None, gpu: str | None
) -> None:
    from homeport.catalog.prices import instances
    from homeport.commands import catalog_rows as rows

    priced = list(instances(cloud, gpu=gpu))
    if region is not None:
        regions = rows.pick("region with prices", region, [row.region for row in instances(cloud)])
        priced = [row for row in priced if row.region in regions]
    found = sorted(
        priced,
        key=lambda row: (
            row.on_demand_usd_per_gpu_hour is None,
            row.on_demand_usd_per_gpu_hour,
            row.gpu_count,
            row.cloud,
            row.region or "",
            row.instance_type,
        ),
    )

    def hourly(value: float) -> str:
        return rows.usd(value, digits=4)

    cells = [
        [
            row.cloud,
            row.region or rows.UNKNOWN,
            rows.cell(row, "instance_type"),
            f"{rows.plain(row.gpu_count)} × {rows.cell(row, 'gpu')}",
            *_size(row),
            rows.cell(row, "on_demand_usd_per_gpu_hour", hourly),
            rows.cell(row, "on_demand_usd_per_hour", hourly),
            "-" if row.spot_usd_per_hour is None else rows.cell(row, "spot_usd_per_hour", hourly),
        ]
        for row in found
    ]
    dates = sorted({f"{row.as_of} ({row.cloud})" for row in found})
    rows.answer_list(
        out,
        output_format,
        "prices",
        [_instance(row) for row in found],
        ["cloud", "region", "instance", "GPUs", "vCPUs", "GiB", "a GPU", "on demand", "spot"],
        cells,
        (4, 5, 6, 7, 8),
        "USD per hour; - no such price, or unknown",
        f"prices of {', '.join(dates)}",
    )


@subcommand(
    prices,
    "show",
    "Show the price of an API model (all its dates), or of an instance type (all its regions).",
    "homeport prices show gpt-4.1",
    "homeport prices show a3-highgpu-8g --region us-central1 -o json",
)
@click.argument("name", type=CatalogName(api_ids, "price"))
@click.option("--region", help="An instance's region.")
@prices_option
def prices_show(out: Output, output_format: Format, name: str, region: str | None) -> None:
    """Find and print."""
    from homeport.catalog.prices import api_id, api_prices, instances
    from homeport.commands import catalog_rows as rows
    from homeport.errors import NotFoundError
    from homeport.text import nearest

    priced = [
        row for row in instances() if name.lower() in (row.instance_type.lower(), _instance_id(row).lower())
    ]
    if priced:
        if region is not None:
            regions = rows.pick(f"region with a price of {name}", region, [row.region for row in priced])
            priced = [row for row in priced if row.region in regions]
        shown = [_instance(row) for row in priced]
    else:
        try:
            id_ = api_id(name)
        except NotFoundError as error:
            types = {row.instance_type for row in instances()}
            if error.nearest or not (near := nearest(name, types)):
                raise
            raise NotFoundError("price", name, near) from None
        if region is not None:
            raise click.UsageError(f"--region is for instances; {id_} is an API model")
        shown = [
            _api(row)
            for row in sorted(api_prices(), key=lambda row: row.as_of, reverse=True)
            if row.id == id_
        ]
    if output_format != "table":
        out.structured({"schema_version": SCHEMA_VERSION, "prices": shown}, output_format)
        return
    for number, one in enumerate(shown):
        if number:
            out.data("")
        rows.answer_one(out, output_format, "price", one)


def _api(row: Any) -> dict[str, Any]:
    from homeport.commands.catalog_rows import record

    return record(row, id=row.id, kind="api")


def _instance_id(row: Any) -> str:
    return f"{row.cloud}/{row.region}/{row.instance_type}"


def _instance(row: Any) -> dict[str, Any]:
    from homeport.catalog.machines import machine
    from homeport.commands.catalog_rows import record

    size = machine(row.cloud, row.instance_type)
    return {**record(row, id=_instance_id(row), kind="instance"), "machine": size and _machine(size)}


def _machine(size: Any) -> dict[str, Any]:
    from homeport.commands.catalog_rows import record

    return {k: v for k, v in record(size).items() if k not in ("cloud", "instance_type")}


def _size(row: Any) -> tuple[str, str]:
    """vCPUs and GiB of an instance's machine as cells."""
    from homeport.catalog.machines import machine
    from homeport.commands import catalog_rows as rows

    size = machine(row.cloud, row.instance_type)
    if size is None:
        return rows.UNKNOWN, rows.UNKNOWN
    return rows.cell(size, "vcpus", rows.plain), rows.cell(size, "memory_gib", rows.plain)
