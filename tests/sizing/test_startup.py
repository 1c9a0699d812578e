"""What a start takes: the order of things that physics gives, and the steps that explain it."""

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.catalog.architecture import architecture
from homeport.catalog.gpus import gpu, gpus
from homeport.catalog.models import config, config_ids
from homeport.sizing.startup import explain_startup, predict_startup
from homeport.sizing.startup_load import FAMILIES
from homeport.sizing.startup_model import release_of, stored_bytes, traits_of
from homeport.sizing.types import Settings, Start

LLAMA = architecture(config("meta-llama/Llama-3.1-8B-Instruct"))
LARGE = architecture(config("meta-llama/Llama-3.1-70B-Instruct"))
H100 = gpu("H100-SXM-80GB")
STORAGES = ("hub", "nvme", "ssd", "pvc", "nfs", "object_store", "page_cache", "unknown")
ENGINES = ("vllm", "sglang", "trtllm", "tgi", "cpu", "simulator")
MEASURED = json.loads((Path(__file__).parents[1] / "data/startup_measurements.json").read_bytes())
NVME = Start(storage="nvme")
V19 = Settings(engine_version="0.19.0")


def record(id_: str) -> dict[str, object]:
    return next(r for r in MEASURED["records"] if r["id"] == id_)


def test_a_measured_start_is_met_step_by_step() -> None:
    seen = record("su018")
    found = predict_startup(LLAMA, H100, V19, Start(storage="pvc", compile_cached=False))
    assert found.compile_s == pytest.approx(seen["compile_s"], rel=0.12)
    assert found.init_engine_s == pytest.approx(seen["init_engine_s"], rel=0.12)
    assert found.ready_s == pytest.approx(seen["process_to_ready_s"], rel=0.15)


def test_a_cached_start_of_the_same_engine_compiles_four_times_as_fast() -> None:
    cold = predict_startup(LLAMA, H100, V19, Start(storage="pvc", compile_cached=False))
    warm = predict_startup(LLAMA, H100, V19, Start(storage="pvc", compile_cached=True))
    assert cold.compile_s
    assert warm.compile_s
    measured = record("su018")["compile_s"] / record("su012")["compile_s"]  # type: ignore[operator]
    assert cold.compile_s / warm.compile_s == pytest.approx(measured, rel=0.2)
    assert warm.ready_s < cold.ready_s


def test_nothing_is_compiled_or_captured_when_eager() -> None:
    found = predict_startup(LLAMA, H100, V19, Start(storage="nvme", eager=True))
    assert found.compile_s == 0
    assert found.cuda_graph_capture_s == 0


@pytest.mark.parametrize("engine", ["sglang", "trtllm", "tgi"])
def test_engines_that_compile_nothing_say_so(engine: str) -> None:
    found = predict_startup(LLAMA, H100, Settings(engine=engine), NVME)
    assert found.compile_s is None
    assert found.notes[0].startswith(engine)
    vllm = predict_startup(LLAMA, H100, V19, NVME)
    low, high = found.ready_s_interval
    assert (high - low) / found.ready_s > (vllm.ready_s_interval[1] - vllm.ready_s_interval[0]) / vllm.ready_s


def test_early_releases_do_not_compile() -> None:
    assert predict_startup(LLAMA, H100, Settings(engine_version="0.5.5"), NVME).compile_s == 0
    assert predict_startup(LLAMA, H100, Settings(engine_version="0.8.5"), NVME).compile_s


def test_a_stated_download_is_taken_as_it_is_and_narrows_the_interval() -> None:
    stated = predict_startup(LARGE, H100, V19, Start(storage="hub", download_s=200.0))
    guessed = predict_startup(LARGE, H100, V19, Start(storage="hub"))
    assert stated.download_s == 200.0
    width = stated.ready_s_interval[1] - stated.ready_s_interval[0]
    assert width < guessed.ready_s_interval[1] - guessed.ready_s_interval[0]
    assert any("network" in note for note in guessed.notes)
    assert not any("network" in note for note in stated.notes)


def test_a_faster_network_and_disk_shorten_what_they_carry() -> None:
    slow = predict_startup(LARGE, H100, V19, Start(storage="hub", network_gib_s=0.1))
    fast = predict_startup(LARGE, H100, V19, Start(storage="hub", network_gib_s=1.0))
    assert slow.download_s == pytest.approx(10 * (fast.download_s or 0))
    assert slow.weights_load_s == fast.weights_load_s
    disk = predict_startup(LARGE, H100, V19, Start(storage="pvc", storage_gib_s=8.0))
    typical = predict_startup(LARGE, H100, V19, Start(storage="pvc"))
    assert (disk.weights_load_s or 0) < (typical.weights_load_s or 0)
    assert disk.ready_s_interval[1] < typical.ready_s_interval[1]


@given(
    engine=st.sampled_from(ENGINES),
    version=st.sampled_from([None, "0.6", "0.10.1", "0.12.0", "0.19.0", "0.33.0", "main"]),
    card=st.sampled_from(sorted(gpus())),
    tensor=st.sampled_from([1, 2, 4, 8]),
    pipeline=st.sampled_from([1, 2]),
    storage=st.sampled_from(STORAGES),
    loader=st.sampled_from([*FAMILIES, "multithread_8", "something_new"]),
    cached=st.sampled_from([None, True, False]),
    eager=st.sampled_from([None, True, False]),
    name=st.sampled_from(config_ids()),
)
def test_every_start_has_an_answer_whose_steps_add_up(
    engine: str,
    version: str | None,
    card: str,
    tensor: int,
    pipeline: int,
    storage: str,
    loader: str,
    cached: bool | None,
    eager: bool | None,
    name: str,
) -> None:
    arch = architecture(config(name))
    settings = Settings(
        engine=engine, engine_version=version, tensor_parallel_size=tensor, pipeline_parallel_size=pipeline
    )
    start = Start(storage=storage, loader=loader, compile_cached=cached, eager=eager)
    found = predict_startup(arch, gpu(card), settings, start)
    parts = [found.download_s, found.weights_load_s, found.init_engine_s, found.rest_s]
    assert all(part is not None and part >= 0 for part in parts)
    assert sum(part or 0 for part in parts) == pytest.approx(found.ready_s)
    low, high = found.ready_s_interval
    assert 0 <= low <= found.ready_s <= high
    terms = explain_startup(arch, gpu(card), settings, start)
    assert (
        sum(term.value for term in terms[:-1])
        == pytest.approx(terms[-1].value)
        == pytest.approx(found.ready_s)
    )


@given(
    gib=st.floats(0.5, 2000),
    more=st.floats(1.0, 10),
    storage=st.sampled_from(STORAGES),
    loader=st.sampled_from(list(FAMILIES)),
)
def test_more_bytes_never_load_faster(gib: float, more: float, storage: str, loader: str) -> None:
    start = Start(storage=storage, loader=loader, weights_gib_total=gib)
    larger = msgspec.structs.replace(start, weights_gib_total=gib * more)
    assert (
        predict_startup(LLAMA, H100, V19, larger).ready_s >= predict_startup(LLAMA, H100, V19, start).ready_s
    )


@pytest.mark.parametrize("cached", [True, False])
def test_newer_releases_never_compile_slower(cached: bool) -> None:
    seconds = [
        predict_startup(
            LLAMA, H100, Settings(engine_version=f"0.{minor}.0"), Start(compile_cached=cached)
        ).compile_s
        or 0
        for minor in range(8, 40)
    ]
    assert seconds == sorted(seconds, reverse=True)


@pytest.mark.parametrize(
    ("version", "release"),
    [
        ("0.19.0", 19),
        ("v0.10.1.1", 10),
        ("0.11 (dev10446+g2dcd12d35)", 11),
        ("1.2.1", 102),
        (None, None),
        ("main", None),
    ],
)
def test_releases_are_read_from_versions(version: str | None, release: int | None) -> None:
    assert release_of(version) == release


def test_the_size_of_a_checkpoint_follows_from_the_architecture() -> None:
    sizes = {
        "RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic": 67.76,
        "RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w4a16": 5.38,
    }
    for name, measured_gib in sizes.items():
        assert stored_bytes(architecture(config(name))) / 2**30 == pytest.approx(measured_gib, rel=0.02)


def test_weights_that_are_quantised_while_loading_are_read_whole_and_cost_the_compiler_more() -> None:
    plain, on_load = traits_of(LLAMA), traits_of(LLAMA, "fp8")
    assert on_load.checkpoint_gib == plain.checkpoint_gib
    assert on_load.quantised_activations
    assert not plain.quantised_activations
