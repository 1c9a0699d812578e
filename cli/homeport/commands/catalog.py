"""`homeport models|gpus|engines|prices list|show`, `prices refresh`: the catalog, row by row, with source and date."""

from typing import Any

import click

from homeport.commands.catalog_groups import Count, list_show_group, subcommand
from homeport.commands.catalog_prices import prices
from homeport.commands.choices import CatalogName, NearestChoice, gpu_ids, model_ids
from homeport.commands.output import Format, Output
from homeport.commands.prices_refresh import refresh

__all__ = ["engines", "gpus", "models", "prices", "refresh"]


@list_show_group(
    "models",
    "List and show open-weight models.",
    "homeport models list --family qwen",
    "homeport models show Llama-3.1-8B-Instruct",
)
def models() -> None:
    """Hold `models list` and `models show`."""


@subcommand(
    models,
    "list",
    "List the catalog's open-weight models.",
    "homeport models list --licence apache-2.0 --max-params 15B",
    "homeport models list --not-gated --min-context 131072 -o json",
)
@click.option("--family", help="A family or the beginning of one, such as `Llama 3.1` or `qwen`.")
@click.option("--licence", "--license", help="A licence or the beginning of one, such as `apache-2.0`.")
@click.option("--gated/--not-gated", default=None, help="Whether the Hub asks to accept a licence first.")
@click.option("--modality", help="`text` or `text+image`.")
@click.option(
    "--attention", type=NearestChoice(["mha", "gqa", "mqa", "mla", "hybrid"]), help="The attention type."
)
@click.option("--min-params", type=Count(), help="The least number of parameters, such as 7B.")
@click.option("--max-params", type=Count(), help="The largest number of parameters, such as 70B.")
@click.option("--min-context", type=Count(), help="The least context, tokens.")
def models_list(
    out: Output,
    output_format: Format,
    family: str | None,
    licence: str | None,
    gated: bool | None,
    modality: str | None,
    attention: str | None,
    min_params: float | None,
    max_params: float | None,
    min_context: float | None,
) -> None:
    """Filter and print."""
    from homeport.catalog.models import models as all_models
    from homeport.commands import catalog_rows as rows

    found = list(all_models().values())
    if family is not None:
        families = rows.pick("family", family, [m.family for m in found])
        found = [m for m in found if m.family in families]
    if licence is not None:
        licences = rows.pick("licence", licence, [m.licence for m in all_models().values()])
        found = [m for m in found if m.licence in licences]
    if modality is not None:
        modalities = rows.pick("modality", modality, [m.modality for m in all_models().values()])
        found = [m for m in found if m.modality in modalities]
    found = [
        m
        for m in found
        if (gated is None or m.gated == gated)
        and (attention is None or m.attention.type == attention)
        and (min_params is None or m.total_params >= min_params)
        and (max_params is None or m.total_params <= max_params)
        and (min_context is None or m.context_tokens >= min_context)
    ]
    cells = [
        [
            m.id,
            rows.cell(m, "total_params", rows.billions),
            rows.cell(m, "active_params", rows.billions),
            rows.cell(m, "weight_bytes_native", rows.gib),
            rows.cell(m, "context_tokens", rows.tokens),
            rows.cell(m, "licence", rows.short(13)),
            rows.cell(m, "gated", rows.yes_no),
        ]
        for m in found
    ]
    headers = ["model", "params", "active", "GiB", "context", "licence", "gated"]
    rows.answer_list(
        out,
        output_format,
        "models",
        [rows.record(m, id=m.id) for m in found],
        headers,
        cells,
        (1, 2, 3, 4),
        "GiB of the published checkpoint; context in tokens, K = 1,024",
    )


@subcommand(
    models,
    "show",
    "Show one model: a catalog id, a Hub id, or a path to a config.json.",
    "homeport models show meta-llama/Llama-3.1-70B-Instruct",
    "homeport models show qwen3-8b -o yaml",
)
@click.argument("name", type=CatalogName(model_ids, "model"))
@click.option("--offline", is_flag=True, help="Don't ask the Hub for a model that is not in the catalog.")
def models_show(out: Output, output_format: Format, name: str, offline: bool) -> None:
    """Find and print."""
    from pathlib import Path

    from homeport.catalog.models import benchmarks
    from homeport.catalog.models import models as all_models
    from homeport.catalog.resolve import resolve
    from homeport.commands import catalog_rows as rows

    found = resolve(name, base_dir=Path.cwd(), offline=offline or None)
    if row := all_models().get(found.id) if found.origin == "catalog" else None:
        shown = rows.record(row, id=row.id, origin=found.origin)
        if row.id in benchmarks():
            scores = rows.record(benchmarks()[row.id])
            shown["benchmarks"] = {k: v for k, v in scores.items() if k.endswith("_pct") or k in rows.LAST}
    else:
        from homeport.catalog.architecture import architecture

        read = architecture(found.config, found.id)
        shown = rows.record(found, id=found.id, origin=found.origin)
        del shown["config"]
        shown["counted_from_config"] = {
            "total_params": read.total_params,
            "active_params": read.active_params,
            "attention": read.attention_type,
            "kv_bytes_per_token_16bit": read.kv_bytes_per_token(),
        }
    rows.answer_one(out, output_format, "model", shown)


@list_show_group(
    "gpus",
    "List and show GPUs.",
    "homeport gpus list --min-memory-gb 80",
    "homeport gpus show H100-SXM-80GB",
)
def gpus() -> None:
    """Hold `gpus list` and `gpus show`."""


@subcommand(
    gpus,
    "list",
    "List the GPUs that homeport sizes for, with dense (not sparse) figures.",
    "homeport gpus list --vendor amd",
    "homeport gpus list --cloud gcp --min-memory-gb 80 -o json",
)
@click.option("--vendor", help="NVIDIA or AMD.")
@click.option("--architecture", help="Such as Hopper, Ada or CDNA3.")
@click.option("--gpu", type=CatalogName(gpu_ids, "gpu"), help="An id or a family, such as H100.")
@click.option("--min-memory-gb", type=Count(), help="The least memory as sold, GB.")
@click.option("--cloud", help="Only GPUs of which that cloud has a price.")
def gpus_list(
    out: Output,
    output_format: Format,
    vendor: str | None,
    architecture: str | None,
    gpu: str | None,
    min_memory_gb: float | None,
    cloud: str | None,
) -> None:
    """Filter and print."""
    from homeport.catalog.gpus import gpus as all_gpus
    from homeport.catalog.gpus import gpus_matching
    from homeport.catalog.prices import instances
    from homeport.commands import catalog_rows as rows

    found = list(gpus_matching(gpu)) if gpu is not None else list(all_gpus().values())
    if vendor is not None:
        vendors = rows.pick("vendor", vendor, [g.vendor for g in all_gpus().values()])
        found = [g for g in found if g.vendor in vendors]
    if architecture is not None:
        kinds = rows.pick("architecture", architecture, [g.architecture for g in all_gpus().values()])
        found = [g for g in found if g.architecture in kinds]
    if min_memory_gb is not None:
        found = [g for g in found if g.memory_gb_sold is not None and g.memory_gb_sold >= min_memory_gb]
    if cloud is not None:
        offered = {row.gpu for row in instances(cloud)}
        found = [g for g in found if g.id in offered]
    columns = {
        "GB": "memory_gb_sold",
        "GiB": "memory_gib_usable",
        "GB/s": "memory_bandwidth_gb_s",
        "fp16": "dense_fp16_tflops",
        "bf16": "dense_bf16_tflops",
        "fp8": "dense_fp8_tflops",
        "link": "link_gb_s_per_direction",
    }
    # Where null can mean that there is none, the table has a dash and says so.
    dashed = {field for field in columns.values() if not field.startswith("memory_")}
    cells = [
        [g.id, rows.short(12)(g.architecture)]
        + [
            "-"
            if getattr(g, field) is None and (field in dashed or g.kind == "cpu")
            else rows.cell(g, field, rows.plain)
            for field in columns.values()
        ]
        for g in found
    ]
    rows.answer_list(
        out,
        output_format,
        "gpus",
        [rows.record(g, id=g.id) for g in found],
        ["gpu", "architecture", *columns],
        cells,
        range(2, 9),
        "GB as sold, GiB usable, GB/s of memory; dense TFLOPS; link GB/s in one direction",
        "- none, or unknown (CPU: the node's)",
    )


@subcommand(
    gpus,
    "show",
    "Show one GPU.",
    "homeport gpus show L40S",
    "homeport gpus show H100-SXM-80GB -o json",
)
@click.argument("name", type=CatalogName(gpu_ids, "gpu"))
def gpus_show(out: Output, output_format: Format, name: str) -> None:
    """Find and print."""
    from homeport.catalog.gpus import gpus_matching
    from homeport.catalog.names import AmbiguousNameError
    from homeport.commands import catalog_rows as rows

    found = gpus_matching(name)
    if len(found) > 1:
        raise AmbiguousNameError("GPU", name, [g.id for g in found])
    rows.answer_one(out, output_format, "gpu", rows.record(found[0], id=found[0].id))


@list_show_group(
    "engines",
    "List and show inference engines.",
    "homeport engines list",
    "homeport engines show vllm",
)
def engines() -> None:
    """Hold `engines list` and `engines show`."""


@subcommand(
    engines,
    "list",
    "List the engines and versions that homeport renders; the newest of each is the default.",
    "homeport engines list --vendor nvidia",
    "homeport engines list --quantization fp8 -o json",
)
@click.option("--engine", help="One engine, such as vllm.")
@click.option("--vendor", help="A GPU vendor that the pinned image serves.")
@click.option("--quantization", help="A method of storing weights that it serves, such as awq.")
def engines_list(
    out: Output, output_format: Format, engine: str | None, vendor: str | None, quantization: str | None
) -> None:
    """Filter and print."""
    from homeport.commands import catalog_rows as rows
    from homeport.engines.registry import releases

    found = _releases_by_id()
    if engine is not None:
        names = rows.pick("engine", engine, [r.engine for r in releases()])
        found = {id_: r for id_, r in found.items() if r.engine in names}
    if vendor is not None:
        vendors = rows.pick("vendor", vendor, [v for r in releases() for v in r.vendors])
        found = {id_: r for id_, r in found.items() if {*vendors} & {*r.vendors}}
    if quantization is not None:
        methods = rows.pick("quantization", quantization, [q for r in releases() for q in r.quantizations])
        found = {id_: r for id_, r in found.items() if {*methods} & {*r.quantizations}}
    cells = [
        [
            id_,
            rows.cell(r, "version"),
            rows.cell(r, "image"),
            rows.cell(r, "vendors", ", ".join),
            "legacy" if r.legacy else "",
        ]
        for id_, r in found.items()
    ]
    records = [rows.record(r, id=id_) for id_, r in found.items()]
    rows.answer_list(
        out, output_format, "engines", records, ["engine", "version", "image", "GPUs", ""], cells, ()
    )


@subcommand(
    engines,
    "show",
    "Show one engine: its newest version, or one that is named (vllm@0.32).",
    "homeport engines show sglang",
    "homeport engines show vllm@0.32 -o json",
)
@click.argument("name", type=CatalogName(lambda: _releases_by_id(), "engine"))
def engines_show(out: Output, output_format: Format, name: str) -> None:
    """Find and print."""
    from homeport.commands import catalog_rows as rows
    from homeport.engines.registry import release

    engine, _, version = name.partition("@")
    found = release(engine, version or None)
    id_ = next(id_ for id_, r in _releases_by_id().items() if r is found)
    rows.answer_one(out, output_format, "engine", rows.record(found, id=id_))


def _releases_by_id() -> dict[str, Any]:
    """Releases by the id that `show` takes: the engine's name for its newest, with `@version` for others."""
    from homeport.engines.registry import releases

    found: dict[str, Any] = {}
    for release in releases():
        found[release.engine if release.engine not in found else f"{release.engine}@{release.version}"] = (
            release
        )
    return found
