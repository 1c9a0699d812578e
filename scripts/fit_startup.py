"""Fit the constants of start-up time on the measurements and write `sizing/data/startup_constants.json`.

Run it from the repository's root: `python scripts/fit_startup.py`. Each step (loading, compilation, graphs,
initialisation, the rest) has its own constants and is fitted on the records that measured that step: coordinate
descent on the mean absolute logarithm of prediction over measurement, which outliers move little, with a light pull
towards priors, so that a constant without evidence stays at its prior. A base model weighs by the square root of its
number of records. The spreads of the interval come from base models that were left out of the fit.
"""

import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from homeport.sizing.startup_load import download, load
from homeport.sizing.startup_model import compilation, interval, release_of, steps, traits_of
from homeport.sizing.startup_types import Constants, Fit, Situation, Spreads, Traits, Width

ROOT = Path(__file__).resolve().parents[1]
MEASUREMENTS = ROOT / "tests/data/startup_measurements.json"
TARGET = ROOT / "cli/homeport/sizing/data/startup_constants.json"
FOLDS = 9
COVERAGE = 0.9
# Engines whose own start was not measured: the logarithm of a factor of two, an assumption.
FOREIGN = 0.7

# Where the search starts and what it is pulled to: orders of magnitude from vLLM's own logs (a layer compiles in a
# fraction of a second), from PCIe 4/5 host copies, and from the nominal rates of disks and networks.
PRIORS = Constants(
    compile_base_old_s=5.0, compile_base_new_s=5.0, compile_layer_old_s=0.5, compile_layer_new_s=0.2,
    cached_base_old_s=0.7, cached_base_new_s=0.7, cached_layer_old_s=0.25, cached_layer_mid_s=0.2, cached_layer_new_s=0.07,
    layer_tensor_parallel=0.4, layer_query_norm=0.5, layer_extra_norms=0.3, layer_windowed_query_norm=0.3,
    layer_latent=0.5, layer_moe=-0.1, layer_state=-0.4, layer_quantised_weights=0.4, layer_quantised_activations=0.5,
    host_slow=1.3, unknown_release=0.25,
    graph_layer_old_s=0.03, graph_layer_new_s=0.09, graph_passes=40.0, graph_moe_old_s=1.0, graph_moe_new_s=5.0,
    graph_sglang_layer_s=0.5,
    init_base_s=1.0, init_layer_s=0.03, init_cold_old_s=2.0, init_cold_new_s=5.0, init_moe_s=1.0,
    rest_offline_s=11.0, rest_server_s=22.0, rest_workers_s=14.0, rest_vision_s=10.0, rest_hub_s=8.0,
    copy_gib_s=7.0, read_nvme_gib_s=3.0, read_ssd_gib_s=0.5, read_pvc_gib_s=1.2, read_nfs_gib_s=0.5,
    read_hub_gib_s=1.2, read_unknown_gib_s=2.0,
    prefetch_nvme_gib_s=6.0, prefetch_cache_gib_s=12.0, prefetch_ranks=0.2,
    streamer_cache_gib_s=12.0, streamer_disk_gib_s=5.0, streamer_block_gib_s=1.5, streamer_object_gib_s=1.5,
    sharded_cache_gib_s=5.0, sharded_disk_gib_s=2.0, sharded_object_gib_s=1.2,
    tensorizer_cache_gib_s=8.0, tensorizer_block_gib_s=1.2, tensorizer_object_gib_s=0.5,
    image_disk_gib_s=15.0, image_cache_gib_s=30.0,
    download_hub_gib_s=0.5, download_object_gib_s=1.5,
)  # fmt: skip
BLOCKS = {
    "compile": [n for n in Constants.__struct_fields__ if n.startswith(("compile_", "cached_", "layer_", "host_", "unknown_"))],
    "cuda_graph": [n for n in Constants.__struct_fields__ if n.startswith("graph_")],
    "init_other": [n for n in Constants.__struct_fields__ if n.startswith("init_")],
    "rest": [n for n in Constants.__struct_fields__ if n.startswith("rest_")],
    "weights_load": [n for n in Constants.__struct_fields__
                     if n.startswith(("copy_", "read_", "prefetch_", "streamer_", "sharded_", "tensorizer_", "image_"))],
    "download": [n for n in Constants.__struct_fields__ if n.startswith("download_")],
}  # fmt: skip


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """One measured start: what a prediction is given, and what was seen (seconds by quantity)."""

    id: str
    base_model: str
    traits: Traits
    situation: Situation
    seen: dict[str, float]
    record: dict[str, Any]
    attention: str = "not stated"
    quantization: str = "none"


def examples() -> list[Example]:
    """The measurements as questions and answers, only the quantities that can be compared."""
    data = json.loads(MEASUREMENTS.read_bytes())
    return [_example(record, data["configs"]) for record in data["records"]]


def _config(record: dict[str, Any], inline: dict[str, Any]) -> dict[str, Any] | None:
    if record["config"] != "unknown":
        from homeport.catalog.models import config

        return config(record["config"].removesuffix(".json").replace("__", "/", 1))
    return inline.get(record["base_model"])


def _example(record: dict[str, Any], inline: dict[str, Any]) -> Example:
    from homeport.catalog.architecture import architecture

    config = _config(record, inline)
    arch = architecture(config) if config is not None else None
    if arch is not None:
        traits = msgspec.structs.replace(traits_of(arch), checkpoint_gib=record["weights_gib_total"])
    else:
        traits = Traits(layers=record["layers"], checkpoint_gib=record["weights_gib_total"])
    gpu = gpu_facts(record["gpu"])
    situation = Situation(
        engine=record["engine"],
        release=release_of(record["engine_version"]),
        gpu_architecture=gpu[0],
        bandwidth_gb_s=gpu[1],
        tensor_parallel_size=record["tensor_parallel_size"],
        pipeline_parallel_size=record["pipeline_parallel_size"],
        storage=record["storage"],
        loader=record["loader"],
        compile_cached=record["compile_cached"],
        eager=bool(record["eager"]),
        download_s=record["download_s"],
    )
    keys = {
        "download": "download_s",
        "weights_load": "weights_load_s",
        "compile": "compile_s",
        "cuda_graph": "cuda_graph_capture_s",
        "init_engine": "init_engine_s",
        "ready": "process_to_ready_s",
    }
    seen = {
        q: float(record[k]) for q, k in keys.items() if q in record["comparable"] and record[k] is not None
    }
    if {"init_engine", "cuda_graph", "compile"} <= seen.keys():
        seen["init_other"] = seen["init_engine"] - seen["compile"] - seen["cuda_graph"]
    if {"ready", "init_engine", "weights_load"} <= seen.keys():
        seen["rest"] = (
            seen["ready"] - seen["init_engine"] - seen["weights_load"] - (record["download_s"] or 0.0)
        )
    return Example(
        id=record["id"],
        base_model=record["base_model"],
        traits=traits,
        situation=situation,
        seen=seen,
        record=record,
        attention=arch.attention_type if arch else "not stated",
        quantization=arch.quantization.method if arch and arch.quantization else "none",
    )


def gpu_facts(gpu: str | None) -> tuple[str | None, float | None]:
    """A GPU's architecture and memory bandwidth from the catalog."""
    from homeport.catalog.gpus import gpu as find

    if gpu is None:
        return None, None
    row = find(gpu)
    return row.architecture.lower(), row.memory_bandwidth_gb_s


def predicted(t: Traits, s: Situation, quantity: str, c: Constants) -> float:
    """What the model says for one quantity of a record, in seconds."""
    if quantity == "weights_load":
        return load(t, s, c).seconds
    if quantity == "compile":
        found = compilation(t, s, c)
        return found.seconds if found else 0.0
    if quantity == "download":
        return download(t, msgspec.structs.replace(s, download_s=None), c)
    found_steps = steps(t, s, c)
    return {
        "cuda_graph": found_steps.graph_s,
        "init_other": found_steps.init_other_s,
        "init_engine": found_steps.init_s,
        "rest": found_steps.rest_s,
        "ready": found_steps.ready_s,
    }[quantity]


def residual(e: Example, quantity: str, c: Constants) -> float:
    """Logarithm of prediction over measurement."""
    return math.log(max(predicted(e.traits, e.situation, quantity, c), 0.05) / max(e.seen[quantity], 0.05))


def _weights(data: Sequence[Example]) -> list[float]:
    """A base model counts by the square root of its records: many runs of one model teach little more than a few."""
    count = Counter(e.base_model for e in data)
    return [1 / math.sqrt(count[e.base_model]) for e in data]


def _is_share(name: str) -> bool:
    """Whether a constant is a share (searched by adding) and not a rate or a time (searched by multiplying)."""
    return name.startswith("layer_") or name in ("prefetch_ranks", "unknown_release")


def _pull(name: str, value: float) -> float:
    """How far a constant lies from its prior."""
    prior: float = getattr(PRIORS, name)
    return 0.002 * (abs(value - prior) if _is_share(name) else abs(math.log(value / prior)))


def _moved(name: str, value: float, delta: float) -> float:
    new = value + delta if _is_share(name) else value * math.exp(delta)
    return min(max(new, 0.0), 1.0) if name == "unknown_release" else new


def _fit_block(
    quantity: str, names: list[str], part: list[Example], c: Constants, sweeps: int = 30
) -> Constants:
    """Coordinate descent with step sizes that grow on success and halve on failure.

    A constant is tried only on the examples that it touches: most rates belong to one kind of storage.
    """
    weights = _weights(part)
    total = math.fsum(weights) or 1.0
    shares = [weight / total for weight in weights]
    now = [abs(residual(e, quantity, c)) for e in part]
    touched = {}
    for name in names:
        other = msgspec.structs.replace(c, **{name: _moved(name, getattr(c, name), 0.4)})
        touched[name] = [i for i, e in enumerate(part) if abs(residual(e, quantity, other)) != now[i]]
    step = dict.fromkeys(names, 0.3)
    for _ in range(sweeps):
        gained = 0.0
        for name in names:
            old = getattr(c, name)
            for sign in (1, -1):
                new = _moved(name, old, sign * step[name])
                trial = msgspec.structs.replace(c, **{name: new})
                found = [abs(residual(part[i], quantity, trial)) for i in touched[name]]
                change = _pull(name, new) - _pull(name, old)
                change += math.fsum(
                    shares[i] * (f - now[i]) for i, f in zip(touched[name], found, strict=True)
                )
                if change < -1e-9:
                    c, gained = trial, gained - change
                    for i, f in zip(touched[name], found, strict=True):
                        now[i] = f
                    step[name] *= 1.3
                    break
            else:
                step[name] *= 0.5
        if gained < 1e-6 and max(step.values()) < 0.01:
            break
    return c


def fit_constants(data: Sequence[Example]) -> Constants:
    """The constants that fit `data`, block by block."""
    c = PRIORS
    for quantity, names in BLOCKS.items():
        part = [
            e for e in data if quantity in e.seen and (quantity != "download" or e.situation.storage == "hub")
        ]
        c = _fit_block(quantity, names, part, c)
    return c


def folds(
    data: Sequence[Example], key: Callable[[Example], str] = lambda e: e.base_model, n: int = FOLDS
) -> list[set[str]]:
    """Groups of whole `key`s, of about equal numbers of records, made the same way every time."""
    count = Counter(key(e) for e in data)
    groups: list[set[str]] = [set() for _ in range(n)]
    load = [0] * n
    for name, number in sorted(count.items(), key=lambda kv: (-kv[1], kv[0])):
        i = load.index(min(load))
        groups[i].add(name)
        load[i] += number
    return [g for g in groups if g]


def left_out(
    data: Sequence[Example], key: Callable[[Example], str] = lambda e: e.base_model, n: int = FOLDS
) -> list[tuple[Example, Constants]]:
    """Every example with the constants fitted without its group."""
    out = []
    for group in folds(data, key, n):
        c = fit_constants([e for e in data if key(e) not in group])
        out += [(e, c) for e in data if key(e) in group]
    return sorted(out, key=lambda pair: pair[0].id)


def _far(values: Sequence[float], share: float) -> float:
    """The value that `share` of the values stay below."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _widths(pairs: Sequence[tuple[Example, Constants]], quantity: str, share: float = 0.95) -> Width:
    """How far `share` of the measurements stay above and below their predictions, at least a tenth."""
    gaps = [-residual(e, quantity, c) for e, c in pairs if quantity in e.seen]
    return Width(
        up=round(max(_far(gaps, share), 0.1), 3), down=round(max(_far([-g for g in gaps], share), 0.1), 3)
    )


def spreads_of(pairs: Sequence[tuple[Example, Constants]]) -> Spreads:
    """The interval's widths, from base models that the constants did not know.

    A kind of storage with fewer than five records takes at least the widths of network volumes, which are the widest
    that were measured often. `scale` widens all steps alike until nine measured totals in ten lie inside.
    """
    by_class: dict[str, list[tuple[Example, Constants]]] = {}
    for e, c in pairs:
        if "weights_load" in e.seen:
            by_class.setdefault(steps(e.traits, e.situation, c).load_class, []).append((e, c))
    load = {k: _widths(v, "weights_load") for k, v in sorted(by_class.items())}
    for kind, width in load.items():
        if len(by_class[kind]) < 5:
            load[kind] = Width(up=max(width.up, load["pvc"].up), down=max(width.down, load["pvc"].down))
    first = Spreads(
        load=load,
        # Of 13 downloads one was throttled to 0.04 GiB/s: a time-out of an hour for everybody would hide dead servers.
        download=_widths([p for p in pairs if p[0].situation.storage == "hub"], "download", share=0.9),
        init=_widths(pairs, "init_engine"),
        rest=_widths(pairs, "rest"),
        foreign=FOREIGN,
        scale=1.0,
    )
    totals = [(e, c) for e, c in pairs if "ready" in e.seen]

    def covered(scale: float) -> float:
        trial = msgspec.structs.replace(first, scale=scale)
        inside = 0
        for e, c in totals:
            low, high = interval(steps(e.traits, e.situation, c), e.situation, trial)
            inside += low <= e.seen["ready"] <= high
        return inside / len(totals)

    scale = 0.5
    while covered(scale) < COVERAGE and scale < 3:
        scale = round(scale + 0.05, 2)
    return msgspec.structs.replace(first, scale=scale)


def main() -> None:
    """Fit on everything, take the spreads from left-out base models, write the file."""
    data = examples()
    constants = fit_constants(data)
    rounded = {n: float(f"{getattr(constants, n):.4g}") for n in Constants.__struct_fields__}
    out = Fit(
        as_of=json.loads(MEASUREMENTS.read_bytes())["as_of"],
        source="fitted by scripts/fit_startup.py on tests/data/startup_measurements.json",
        records=len(data),
        base_models=len({e.base_model for e in data}),
        constants=Constants(**rounded),
        spreads=spreads_of(left_out(data)),
    )
    TARGET.write_bytes(msgspec.json.format(msgspec.json.encode(out), indent=2) + b"\n")
    print(f"wrote {TARGET.relative_to(ROOT)}", file=sys.stderr)


if __name__ == "__main__":
    main()
