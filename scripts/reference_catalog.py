"""The references of targets, engines and the catalog, from their data."""

from typing import Any

from scripts.reference_tables import HEAD, code, number, table

TARGETS = """# Targets and engines

## Targets

`target.platform` in the spec. The clouds' nodes are chosen by their instance type, others by the label that the NVIDIA GPU
operator puts on nodes.

"""

ENGINES = """
kind and minikube have no GPU: a small model runs on the `cpu` engine, anything else on the `simulator`; see
[Try it on kind](../how-to/kind.md).

## Engines

`engine` and `engine_version` in the spec; the newest version of each is the default. Images are pinned by version, and
`image` in the spec replaces them. `extra_args` are checked against the flag list of the version, which was taken from the
engine's own argument parser unless marked. `homeport engines show ENGINE` prints everything that is known.

"""

METRICS = """
## Metrics

What each engine version calls its Prometheus series. The autoscaler asks for the waiting and running requests, and for the
request rate where an engine has no queue metric.

"""

CATALOG = """# The catalog

Everything that homeport knows without a network. Every row has a source and a date, and says what nobody has checked (`?`).
`homeport models|gpus|engines|prices list` prints more columns, `show` prints whole rows, sources in full included, and
`-o json` has all of it. A model that is not here is found by its Hub id or its `config.json`: see
[a model outside the catalog](../how-to/model-outside-the-catalog.md).

"""


def targets_page() -> str:
    """Return `docs/reference/targets-and-engines.md`."""
    return "".join((HEAD, TARGETS, _targets(), ENGINES, _engines(), METRICS, _metrics())).rstrip() + "\n"


def catalog_page() -> str:
    """Return `docs/reference/catalog.md`."""
    return "".join((HEAD, CATALOG, _models(), _gpus(), _instances(), _machines(), _apis())).rstrip() + "\n"


def _targets() -> str:
    from homeport.manifests.targets import PLATFORMS
    from homeport.planning.hardware import CLOUD_OF, DEFAULT_REGION

    rows = []
    for name, platform in PLATFORMS.items():
        cloud = CLOUD_OF.get(name)
        assumed = "the cheapest of gcp, aws and azure, marked"
        if platform.one_node:
            assumed += "; for what a simulator stands for"
        spot = [f"{label.key}={'|'.join(label.values)}" for label in platform.spot_labels]
        rows.append(
            (
                code(name),
                f"{cloud}, {DEFAULT_REGION[cloud]} unless `region` says otherwise" if cloud else assumed,
                code(platform.shared_class) if platform.shared_class else "yours",
                ", ".join(code(taint.key) for taint in platform.taints) or "none",
                " or ".join(code(label) for label in spot) or "none",
            )
        )
    headers = (
        "platform",
        "prices",
        "StorageClass of shared volumes",
        "taints besides the GPU's",
        "labels of spot nodes",
    )
    return table(headers, rows)


def _engines() -> str:
    from homeport.engines.registry import ALIASES, flags, releases

    aliases = {engine: alias for alias, engine in ALIASES.items()}
    parts = []
    for release in releases():
        listed = flags(release.flags_file)
        marks = set(release.unverified)
        least = release.least_compute_capability
        rows = [
            ("image", code(release.image) + (f" ({release.image_note})" if release.image_note else "")),
            *(
                (f"image for {name}", code(image) + ("?" if f"other_images.{name}" in marks else ""))
                for name, image in release.other_images.items()
            ),
            ("GPUs", ", ".join(release.vendors) or "none"),
            ("least compute capability", "any" if least is None else f"{least}"),
            ("driver", release.needs_driver or "as the image says"),
            ("quantised checkpoints", ", ".join(code(q) for q in release.quantizations) or "none"),
            ("KV cache", ", ".join(code(d) for d in release.kv_cache_dtypes)),
            (
                "model types",
                f"{len(release.model_types)} are served; a model of another type is refused"
                if release.model_types
                else "no closed list",
            ),
            (
                "share of GPU memory, default",
                "none" if release.default_memory_fraction is None else f"{release.default_memory_fraction:g}",
            ),
            ("port", str(release.port)),
            (
                "flags",
                f"{len(listed.flags)} of `{listed.command}`, {'by hand, ' if listed.by_hand else ''}in `{release.flags_file}`",
            ),
            ("source", f"{release.source}, {release.as_of}"),
        ]
        if release.engine in aliases:
            rows.insert(0, ("also called", code(aliases[release.engine])))
        if release.legacy:
            rows.insert(0, ("legacy", release.legacy))
        if marks:
            rows.append(("unverified", ", ".join(code(m) for m in release.unverified)))
        parts.append(f"### {release.engine} {release.version}\n\n" + table(("", ""), rows) + "\n")
    return "".join(parts)


def _metrics() -> str:
    from homeport.engines.registry import releases

    names = ("waiting", "running", "kv_cache_usage", "ttft", "inter_token", "requests_total")
    rows = [
        (
            f"{release.engine} {release.version}",
            code(release.metrics.path),
            code(release.metrics.model_label) if release.metrics.model_label else "none",
            *(code(value) if (value := getattr(release.metrics, name)) else "none" for name in names),
        )
        for release in releases()
    ]
    return table(("engine", "path", "label of the model", *names), rows)


def _models() -> str:
    from homeport.catalog.models import models

    rows = [
        (
            code(row.id),
            _marked(row, "total_params", _scaled(row.total_params, 1e9)),
            _marked(row, "active_params", _scaled(row.active_params, 1e9)),
            _marked(row, "weight_bytes_native", _scaled(row.weight_bytes_native, 2**30)),
            row.attention.type,
            number(row.context_tokens),
            _marked(row, "licence", row.licence),
            _marked(row, "gated", None if row.gated is None else "yes" if row.gated else "no"),
            row.as_of,
        )
        for row in models().values()
    ]
    headers = (
        "model",
        "billion parameters",
        "active",
        "GiB as published",
        "attention",
        "context, tokens",
        "licence",
        "gated",
        "as of",
    )
    return (
        f"## Models\n\n{len(rows)} open-weight models. Each has a source of its own: `homeport models show MODEL` names it.\n\n"
        + table(headers, rows)
        + "\n"
    )


def _gpus() -> str:
    from homeport.catalog.gpus import gpu_families, gpus

    fields = (
        "memory_gb_sold",
        "memory_gib_usable",
        "memory_bandwidth_gb_s",
        "dense_bf16_tflops",
        "dense_fp8_tflops",
        "link_gb_s_per_direction",
    )
    found = [row for row in gpus().values() if row.kind == "gpu"]
    sources = Sources()
    rows = [
        (
            code(row.id),
            row.architecture,
            row.compute_capability or "",
            *(
                _marked(row, field, None if (value := getattr(row, field)) is None else f"{value:g}")
                for field in fields
            ),
            row.as_of,
            sources.number(row.source),
        )
        for row in found
    ]
    headers = (
        "GPU",
        "architecture",
        "compute capability",
        "GB sold",
        "GiB usable",
        "GB/s of memory",
        "dense bf16 TFLOPS",
        "dense fp8 TFLOPS",
        "link, GB/s in one direction",
        "as of",
        "source",
    )
    families = ", ".join(code(family) for family in gpu_families())
    return (
        f'## GPUs\n\n{len(rows)} GPUs. TFLOPS are dense. "unknown" of fp8 and of the link can mean that there is none. Families that '
        f"`gpu` in the spec takes as well: {families}.\n\n" + table(headers, rows) + sources.listed() + "\n"
    )


def _instances() -> str:
    from homeport.catalog.prices import CLOUDS, instances

    rows = []
    for cloud in CLOUDS:
        found = instances(cloud)
        regions = {row.region for row in found if row.region}
        dates = sorted({row.as_of for row in found})
        rows.append(
            (
                cloud,
                next((row.kubernetes for row in found if row.kubernetes), "none"),
                number(len(found)),
                number(len({row.instance_type for row in found})),
                number(len(regions)) if regions else "not by region",
                number(sum(row.spot_usd_per_hour is not None for row in found)),
                f"{dates[0]} to {dates[-1]}" if len(dates) > 1 else dates[0],
                "; ".join(dict.fromkeys(row.source for row in found)),
            )
        )
    headers = (
        "cloud",
        "Kubernetes",
        "prices",
        "instance types",
        "regions",
        "with a spot price",
        "as of",
        "source",
    )
    return "## Prices of instances\n\n" + table(headers, rows) + "\n"


def _machines() -> str:
    from homeport.catalog.machines import machines
    from homeport.catalog.prices import CLOUDS, instances

    rows, sources = [], Sources()
    for cloud in CLOUDS:
        if not (known := machines(cloud)):
            continue
        unknown = sorted({row.instance_type for row in instances(cloud)} - known.keys())
        dates = sorted({row.as_of for row in known.values()})
        rows.append(
            (
                cloud,
                number(len(known)),
                ", ".join(unknown) or "none",
                ", ".join(n for n, row in known.items() if row.unverified) or "none",
                f"{dates[0]} to {dates[-1]}" if len(dates) > 1 else dates[0],
                ", ".join(dict.fromkeys(sources.number(row.source) for row in known.values())),
            )
        )
    return (
        "## CPUs and memory of instances\n\nThose of the clouds with a managed Kubernetes. Where they are unknown, no plan refuses the "
        "type for them "
        "([the numbers](../explanation/numbers.md)).\n\n"
        + table(("cloud", "known", "unknown", "unverified", "as of", "sources"), rows)
        + sources.listed()
        + "\n"
    )


def _apis() -> str:
    from homeport.catalog.prices import api_prices

    providers: dict[str, list[Any]] = {}
    for row in api_prices():
        providers.setdefault(row.provider, []).append(row)
    rows = []
    for provider, found in providers.items():
        dates = sorted({row.as_of for row in found})
        rows.append(
            (
                provider,
                number(len({row.id for row in found})),
                number(len({row.id for row in found if row.retired})),
                f"{dates[0]} to {dates[-1]}" if len(dates) > 1 else dates[0],
                "; ".join(dict.fromkeys(row.source for row in found)),
            )
        )
    return (
        "## Prices of APIs\n\nUSD per million tokens; an id has a row for each date, and the newest counts.\n\n"
        + table(("provider", "models", "of these retired", "as of", "source"), rows)
        + "\n"
    )


def _scaled(value: int | None, unit: float) -> str | None:
    return None if value is None else f"{value / unit:.1f}"


def _marked(row: Any, field: str, shown: str | None) -> str:
    mark = "?" if any(name.split(".")[0] == field for name in row.unverified) else ""
    return ("unknown" if shown is None else shown) + mark


class Sources:
    """The sources of a table's rows, numbered as they come."""

    def __init__(self) -> None:
        """Start without any."""
        self._numbers: dict[str, int] = {}

    def number(self, source: str) -> str:
        """Return the number of a source."""
        return str(self._numbers.setdefault(source, len(self._numbers) + 1))

    def listed(self) -> str:
        """Return all sources as a numbered list."""
        return "\nSources:\n\n" + "".join(f"{n}. {text}\n" for text, n in self._numbers.items())
