"""The choice is the cheapest there is: held to a search that tries everything."""

import math
from decimal import Decimal
from pathlib import Path

import pytest

from homeport.catalog.models import models
from homeport.engines import registry
from homeport.errors import SpecError
from homeport.planning import precision
from homeport.planning.hardware import HOURS_A_MONTH, offers
from homeport.planning.plan import Planner, plan
from homeport.planning.sources import Sources
from homeport.planning.workload import max_model_len, peak_requests_per_s
from homeport.sizing.memory import size
from homeport.sizing.throughput import capacity
from homeport.sizing.types import Load, Settings
from homeport.spec.models import Spec
from tests.planning.helpers import LLAMA_8B, LLAMA_70B, spec


def cheapest_by_brute_force(asked: Spec) -> Decimal | None:
    """The lowest monthly cost over GPUs x tensor parallel sizes x node types x replicas, each tried from one upwards."""
    model = asked.models[0]
    source = Sources(Path()).find(model, ("models", 0))
    arch = source.architecture
    release = registry.release("vllm")
    length, _, _ = max_model_len(model, source.context_tokens, ())
    peak = peak_requests_per_s(model)
    costs = []
    for rows in offers(asked.target).values():
        gpu = rows[0].gpu
        own = precision.asked("auto", arch, gpu)
        if registry.unsupported(release, arch, gpu, own.label) is not None:
            continue
        for tp in (1, 2, 4, 8, 16):
            settings = Settings(
                engine="vllm",
                engine_version=release.version,
                tensor_parallel_size=tp,
                weight_dtype=own.weight_dtype,
                gpu_memory_utilization=release.default_memory_fraction,
                max_model_len=length,
            )
            memory = size(arch, gpu, settings)
            if not memory.fits:
                continue
            held = capacity(
                arch,
                gpu,
                settings,
                Load(input_tokens=1000, output_tokens=500),
                ttft_ms=1000.0,
                tpot_ms=50.0,
                kv_cache_tokens=memory.kv_cache_tokens,
                percentile=0.5,
            )
            replicas = 1
            while held.requests_per_s and replicas * held.requests_per_s < peak * (1 - 1e-9):
                replicas += 1
            if not held.requests_per_s:
                continue
            for offer in rows:
                if offer.gpus < tp or offer.usd_per_hour is None:
                    continue
                nodes = math.ceil(replicas / (offer.gpus // tp))
                costs.append(offer.usd_per_hour * nodes * HOURS_A_MONTH)
    return min(costs, default=None)


@pytest.mark.parametrize("platform", ["gke", "eks", "aks", "generic"])
@pytest.mark.parametrize("model", [LLAMA_8B, LLAMA_70B, "google/gemma-3-27b-it", "Qwen/Qwen3-30B-A3B"])
@pytest.mark.parametrize("requests", [1_000, 300_000, 5_000_000])
def test_nothing_cheaper_is_missed(model: str, platform: str, requests: int) -> None:
    asked = spec(model, platform, requests=requests)
    cheapest = cheapest_by_brute_force(asked)
    assert cheapest is not None
    assert plan(asked, base_dir=Path()).models[0].usd_per_month == cheapest


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
