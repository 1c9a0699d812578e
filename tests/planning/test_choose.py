"""The choice is the cheapest there is: held to a search that tries everything."""

import itertools
import json
import math
import random
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.catalog.models import models
from homeport.catalog.prices import instances
from homeport.engines import registry
from homeport.engines.requests import Requests, on_gpus
from homeport.errors import SpecError
from homeport.planning import precision
from homeport.planning.checkpoints import quantised
from homeport.planning.choose import SURE
from homeport.planning.hardware import HOURS_A_MONTH, Offer, offers
from homeport.planning.plan import Planner, plan
from homeport.planning.room import room
from homeport.planning.sources import Sources
from homeport.planning.workload import max_model_len, peak_requests_per_s
from homeport.sizing.memory import size, valid_tensor_parallel_sizes
from homeport.sizing.throughput import capacity
from homeport.sizing.types import Load, Settings
from homeport.spec.models import Spec, Workload
from tests.planning.helpers import LLAMA_8B, LLAMA_70B, Sizes, spec


class Cheapest(NamedTuple):
    """Lowest monthly costs: of what a plan may choose, and of pipelines within a node too."""

    eligible: Decimal | None
    with_pipelines: Decimal | None


def by_brute_force(asked: Spec) -> Cheapest:
    """Try GPUs x parallel sizes (TP x PP) x nodes x node types x replicas, each from one upwards; nothing is pruned.

    A replica spans nodes only where nothing works within one; then pipeline stages take whole nodes of the largest
    size. Within a node a pipeline is eligible only where no larger tensor parallel size divides the model.
    """
    model = asked.models[0]
    source = Sources(Path()).find(model, ("models", 0))
    arch = source.architecture
    release = registry.release(model.engine or "vllm")
    length, _, _ = max_model_len(model, source.context_tokens, ())
    peak = peak_requests_per_s(model)
    divides = set(valid_tensor_parallel_sizes(arch, release.engine))
    costs: dict[str, list[Decimal]] = {"eligible": [], "pipelines": [], "nodes": []}
    for rows in offers(asked.target).values():
        gpu = rows[0].gpu
        own = precision.asked(model.precision or "auto", arch, gpu)
        if registry.unsupported(release, arch, gpu, own.label) is not None:
            continue
        largest = max(offer.gpus for offer in rows)
        for tp, pp in itertools.product(sorted(divides & {1, 2, 4, 8, 16}), range(1, 17)):
            if tp * pp <= largest and tp * pp in (1, 2, 4, 8, 16):
                larger = any(size in divides for size in (2, 4, 8, 16) if tp < size <= tp * pp)
                kind = "pipelines" if pp > 1 and larger else "eligible"
                nodes = 1
            elif tp == largest and pp <= min(4, arch.layers):
                kind, nodes = "nodes", pp
            else:
                continue
            how = Settings(
                engine=release.engine,
                engine_version=release.version,
                tensor_parallel_size=tp,
                pipeline_parallel_size=pp,
                nodes=nodes,
                weight_dtype=own.weight_dtype,
                quantization=own.quantization,
                gpu_memory_utilization=release.default_memory_fraction,
                max_model_len=length,
            )
            memory = size(arch, gpu, how)
            if not memory.fits:
                continue
            held = capacity(
                arch,
                gpu,
                how,
                Load(input_tokens=model.workload.input_tokens, output_tokens=model.workload.output_tokens),
                ttft_ms=model.latency.ttft_ms,
                tpot_ms=model.latency.tpot_ms,
                kv_cache_tokens=memory.kv_cache_tokens,
                percentile=SURE[model.latency.percentile],
            )
            if not held.requests_per_s:
                continue
            replicas = 1
            while replicas * held.requests_per_s < peak * (1 - 1e-9):
                replicas += 1
            one = on_gpus(release.engine, tp * pp // nodes)
            for offer in rows:
                if offer.usd_per_hour is None or (offer.machine and crowded(offer, one, nodes, tp * pp)):
                    continue
                if nodes > 1:
                    if offer.gpus == largest:
                        costs[kind].append(offer.usd_per_hour * nodes * replicas * HOURS_A_MONTH)
                elif offer.gpus >= tp * pp:
                    count = math.ceil(replicas / (offer.gpus // (tp * pp)))
                    costs[kind].append(offer.usd_per_hour * count * HOURS_A_MONTH)
    eligible = min(costs["eligible"] or costs["nodes"], default=None)
    return Cheapest(eligible, min([*costs["pipelines"], *([eligible] if eligible else [])], default=None))


def crowded(offer: Offer, one: Requests, nodes: int, gpus: int) -> bool:
    """Whether the pods that a node's GPUs take need more CPUs or memory than it has left."""
    assert offer.machine is not None
    left = room(offer.machine)
    pods = 1 if nodes > 1 else offer.gpus // gpus
    return pods * one.cpus > left.cpus or pods * (one.processes_gib + one.shm_gib) > left.memory_gib


def held_to_brute_force(asked: Spec) -> None:
    found = by_brute_force(asked)
    if found.eligible is None:
        with pytest.raises(SpecError):
            plan(asked, base_dir=Path())
        return
    assert plan(asked, base_dir=Path()).models[0].usd_per_month == found.eligible
    made = plan(asked, base_dir=Path(), explore=True).models[0]
    assert made.usd_per_month == found.eligible
    # A cheaper pipeline within a node is not taken, and not kept silent either.
    pipelines = [
        option.usd_per_month
        for option in made.considered
        if option.usd_per_month is not None and "few measurements" in option.reason
    ]
    assert min([found.eligible, *pipelines]) == found.with_pipelines


@pytest.mark.parametrize("platform", ["gke", "eks", "aks", "generic"])
@pytest.mark.parametrize("model", [LLAMA_8B, LLAMA_70B, "google/gemma-3-27b-it", "Qwen/Qwen3-30B-A3B"])
@pytest.mark.parametrize("requests", [1_000, 300_000, 5_000_000])
def test_nothing_cheaper_is_missed(model: str, platform: str, requests: int) -> None:
    held_to_brute_force(spec(model, platform, requests=requests))


@pytest.mark.parametrize("engine", ["vllm", "sglang", "trtllm", "tgi"])
@pytest.mark.parametrize("stored", ["auto", "fp8"])
def test_nothing_cheaper_is_missed_on_any_engine_and_precision(engine: str, stored: str) -> None:
    more = f"engine: {engine}" + ("" if stored == "auto" else f"\nprecision: {stored}")
    held_to_brute_force(spec(LLAMA_70B, "eks", more=more))


@pytest.mark.parametrize("requests", [1_000, 100_000])
def test_nothing_cheaper_is_missed_where_replicas_span_nodes(requests: int) -> None:
    asked = spec("deepseek-ai/DeepSeek-V3", "generic", target="price_from: [aws]", requests=requests)
    held_to_brute_force(asked)
    held_to_brute_force(spec("deepseek-ai/DeepSeek-V3", "gke", requests=requests))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(("model", "requests"), [(LLAMA_8B, 400_000), (LLAMA_70B, 100_000)])
def test_nothing_cheaper_is_missed_where_nodes_lack_room(
    sizes: Sizes, model: str, requests: int, seed: int
) -> None:
    platform = ("gke", "eks", "aks")[seed % 3]
    cloud = {"gke": "gcp", "eks": "aws", "aks": "azure"}[platform]
    dice = random.Random(seed)
    sizes({row.instance_type: (dice.randint(2, 40), dice.uniform(8, 200)) for row in instances(cloud)})
    held_to_brute_force(spec(model, platform, requests=requests))


@settings(max_examples=25, deadline=None)
@given(
    model=st.sampled_from(
        [LLAMA_8B, LLAMA_70B, "Qwen/Qwen3-30B-A3B", "Qwen/Qwen2.5-7B-Instruct", "google/gemma-3-4b-it"]
    ),
    platform=st.sampled_from(["gke", "eks", "aks", "generic"]),
    engine=st.sampled_from(["vllm", "sglang", "trtllm"]),
    stored=st.sampled_from(["auto", "fp8"]),
    workload=st.fixed_dictionaries(
        {
            "requests_per_day": st.integers(10, 3_000_000),
            "input_tokens": st.integers(1, 6_000),
            "output_tokens": st.integers(1, 3_000),
            "peak_to_mean": st.sampled_from([1, 3, 10]),
        }
    ),
    latency=st.fixed_dictionaries(
        {
            "ttft_ms": st.sampled_from([200, 1000, 5000]),
            "tpot_ms": st.sampled_from([10, 50, 200]),
            "percentile": st.sampled_from(["mean", "p95"]),
        }
    ),
)
def test_nothing_cheaper_is_missed_whatever_is_asked(
    model: str,
    platform: str,
    engine: str,
    stored: str,
    workload: dict[str, float],
    latency: dict[str, object],
) -> None:
    more = f"engine: {engine}\nlatency: {json.dumps(latency)}"
    if stored != "auto":
        more += f"\nprecision: {stored}"
    asked = spec(model, platform, more=more)
    changed = msgspec.structs.replace(asked.models[0], workload=msgspec.convert(workload, Workload))
    held_to_brute_force(msgspec.structs.replace(asked, models=(changed,)))


def test_an_engine_that_nobody_names_is_vllm() -> None:
    """Engines are not traded for money: what serves a model is more than its speed."""
    made = plan(spec(LLAMA_8B), base_dir=Path(), explore=True).models[0]
    assert made.engine.engine == "vllm"
    assert ("engine", "vllm") in {(d.field, d.value) for d in made.decisions}


@pytest.mark.parametrize("model", list(models()))
def test_looking_at_everything_changes_no_choice(model: str) -> None:
    asked = spec(model, "eks")
    try:
        quick = plan(asked, base_dir=Path())
    except SpecError as error:
        quick_paths = [p.path for p in error.problems]
        with pytest.raises(SpecError) as again:
            plan(asked, base_dir=Path(), explore=True)
        full_paths = [p.path for p in again.value.problems]
        assert full_paths == quick_paths
        return
    full = plan(asked, base_dir=Path(), explore=True)
    assert full.models[0].gpu == quick.models[0].gpu
    assert full.models[0].settings == quick.models[0].settings
    assert full.models[0].usd_per_month == quick.models[0].usd_per_month


def test_every_option_has_a_reason_and_one_is_chosen() -> None:
    made = plan(spec(LLAMA_70B), base_dir=Path(), explore=True).models[0]
    assert sum(option.chosen for option in made.considered) == 1
    assert all(option.reason for option in made.considered)
    # What lost for a reason other than money is there too, without a made-up price.
    failed = [option for option in made.considered if option.replicas is None]
    assert failed
    assert all(option.usd_per_month is None for option in failed)


def test_fp8_made_on_load_is_compared_but_never_chosen_unasked() -> None:
    made = plan(spec(LLAMA_70B), base_dir=Path(), explore=True).models[0]
    assert made.precision == "bf16"
    fp8 = [option for option in made.considered if option.precision == "fp8"]
    assert fp8
    assert not any(option.chosen for option in fp8)
    asked = plan(spec(LLAMA_70B, more="precision: fp8"), base_dir=Path()).models[0]
    assert asked.precision == "fp8"
    assert asked.launch.quantization == "fp8"


def test_quantised_checkpoints_are_compared_and_never_chosen_unasked() -> None:
    made = plan(spec(LLAMA_8B), base_dir=Path(), explore=True).models[0]
    others = [option for option in made.considered if option.checkpoint]
    assert {option.checkpoint for option in others} == {
        "RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w4a16",
        "RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w8a8",
    }
    assert {option.precision for option in others} == {"int4", "int8"}
    assert made.source.checkpoint == LLAMA_8B
    for option in others:
        assert not option.chosen
        if option.usd_per_month is not None:
            assert "its effect on answers is unknown here" in option.reason
            assert f"checkpoint: {option.checkpoint}" in option.reason
    # Taken at its word, an option costs what the table said.
    best = min((o for o in others if o.usd_per_month is not None), key=lambda o: o.usd_per_month or 0)
    asked = plan(spec(LLAMA_8B, more=f"checkpoint: {best.checkpoint}"), base_dir=Path()).models[0]
    assert asked.usd_per_month == best.usd_per_month
    assert asked.precision == best.precision


@pytest.mark.parametrize(
    ("model", "other"),
    [
        (LLAMA_70B, "RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic"),  # built alike, another model
        ("deepseek-ai/DeepSeek-V3", "deepseek-ai/DeepSeek-V3.2"),  # the name's beginning, another model
    ],
)
def test_a_checkpoint_of_another_model_is_none_of_this_one(model: str, other: str) -> None:
    assert other not in quantised(Sources(Path()).find(spec(model).models[0], ()))


def test_more_load_never_costs_less() -> None:
    planner = Planner(Path())
    costs = [
        planner.plan(spec(LLAMA_70B, requests=load)).models[0].usd_per_month
        for load in (1e3, 1e4, 1e5, 1e6, 1e7)
    ]
    assert all(cost is not None for cost in costs)
    assert costs == sorted(costs)


def test_models_that_differ_in_name_only_are_decided_once(monkeypatch: pytest.MonkeyPatch) -> None:
    planner = Planner(Path())
    first = planner.plan(spec())
    monkeypatch.setattr("homeport.planning.plan.choose", None)
    again = planner.plan(spec())
    assert again.models[0].gpu == first.models[0].gpu
