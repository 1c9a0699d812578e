import json
from functools import cache
from pathlib import Path

import pytest

from homeport.catalog.architecture import architecture
from homeport.catalog.architecture_types import Architecture
from homeport.catalog.gpus import gpu, gpus
from homeport.catalog.models import config, config_ids
from homeport.engines.registry import release, releases, unsupported

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"


@cache
def arch(model: str) -> Architecture:
    return architecture(config(model), model)


def why(
    engine: str, model: str, card: str | None, precision: str = "auto", version: str | None = None
) -> str | None:
    return unsupported(release(engine, version), arch(model), gpu(card) if card else None, precision)


@pytest.mark.parametrize("engine", ["vllm", "sglang", "trtllm", "tgi"])
def test_the_common_case_is_supported_everywhere(engine: str) -> None:
    for card in ("A100-SXM4-80GB", "L4", "H100-SXM-80GB", "B200-SXM-180GB"):
        assert why(engine, LLAMA, card) is None
        assert why(engine, LLAMA, card, "bf16") is None


@pytest.mark.parametrize(
    ("engine", "model", "card", "precision", "part"),
    [
        ("vllm", LLAMA, "V100-SXM2-32GB", "auto", "needs compute capability 7.5"),
        ("trtllm", LLAMA, "T4", "auto", "needs compute capability 8.0"),
        ("vllm", LLAMA, "MI300X-192GB", "auto", "vllm-openai-rocm"),
        ("vllm", LLAMA, "CPU", "auto", "use engine cpu or simulator"),
        ("cpu", LLAMA, "L4", "auto", "use engine vllm"),
        ("vllm", LLAMA, "T4", "bf16", "use fp16"),
        ("vllm", "google/gemma-3-1b-it", "T4", "auto", "unstable in float16"),
        ("trtllm", LLAMA, "H100-SXM-80GB", "fp8", "makes no fp8 on load"),
        ("sglang", LLAMA, "T4", "fp8", "needs compute capability 8.0"),
        ("vllm", LLAMA, "H100-SXM-80GB", "int4", "stored in int4"),
        ("vllm", LLAMA, "H100-SXM-80GB", "bitsandbytes", "does not take bitsandbytes"),
        ("vllm", "openai/gpt-oss-20b", "T4", "auto", "mxfp4"),
        ("trtllm", "openai/gpt-oss-20b", "A100-SXM4-80GB", "auto", "mxfp4"),
        ("trtllm", "deepseek-ai/DeepSeek-V3", "A100-SXM4-80GB", "auto", "needs compute capability 8.9"),
        ("tgi", "Qwen/Qwen3-8B", "L4", "auto", "does not serve models of type qwen3"),
        ("trtllm", "tiiuae/falcon-180B", "H100-SXM-80GB", "auto", "does not serve models of type falcon"),
        ("tgi", "mistralai/Mistral-Small-3.1-24B-Instruct-2503", "H100-SXM-80GB", "auto", "read images"),
        ("tgi", "amd/Meta-Llama-3.1-405B-Instruct-FP8-KV", "H100-SXM-80GB", "auto", "does not read quark"),
        ("cpu", LLAMA, "CPU", "fp8", "makes no fp8"),
        ("cpu", "openai/gpt-oss-20b", "CPU", "auto", "does not read mxfp4"),
    ],
)  # fmt: skip
def test_what_cannot_run_says_why(engine: str, model: str, card: str, precision: str, part: str) -> None:
    said = why(engine, model, card, precision)
    assert said is not None
    assert part in said


def test_fp8_on_older_cards_keeps_only_the_weights_in_fp8() -> None:
    # docs.vllm.ai v0.32.0: weight-only from compute capability 7.5 on.
    assert why("vllm", LLAMA, "A100-SXM4-80GB", "fp8") is None
    assert why("vllm", LLAMA, "T4", "fp8") is None
    assert why("sglang", LLAMA, "A10G", "fp8") is None


def test_a_card_without_bfloat16_runs_a_bfloat16_checkpoint_in_float16() -> None:
    assert why("vllm", LLAMA, "T4") is None
    assert why("vllm", LLAMA, "T4", "fp16") is None


def test_types_of_image_models_are_those_of_the_whole() -> None:
    assert why("tgi", "google/gemma-3-12b-it", "L40S") is None
    assert why("trtllm", "meta-llama/Llama-4-Scout-17B-16E-Instruct", "H200-SXM-141GB") is None


@pytest.mark.parametrize("one", releases(), ids=lambda r: f"{r.engine}-{r.version}")
def test_every_answer_is_one_sentence(one) -> None:  # type: ignore[no-untyped-def]
    for model in config_ids():
        for card in (None, *gpus().values()):
            for precision in ("auto", "fp8", "int4", "nvfp4"):
                said = unsupported(one, arch(model), card, precision)
                assert said is None or (said and "\n" not in said and not said.endswith("."))


def test_the_simulator_simulates_anything() -> None:
    assert all(why("simulator", m, None) is None for m in config_ids())


def test_what_was_measured_is_supported() -> None:
    """Models that ran on vLLM as they are stored, on NVIDIA cards that its newest image still serves."""
    records = json.loads((Path(__file__).parents[1] / "data" / "memory_measurements.json").read_text())[
        "records"
    ]
    seen = 0
    for record in records:
        model = str(record["config"]).removesuffix(".json").replace("__", "/", 1)
        if (
            record["engine"] != "vllm"
            or record["outcome"] != "fits"
            or record["gpu"] not in gpus()
            or model not in config_ids()
        ):
            continue
        card = gpu(record["gpu"])
        if card.vendor != "NVIDIA" or float(card.compute_capability or 0) < 7.5:
            continue
        seen += 1
        # Where the record's config is not the checkpoint's own, the precision was made on load or stands in another file.
        precision = "fp8" if record["quantization"] == "fp8" else "auto"
        assert unsupported(release("vllm"), arch(model), card, precision) is None, record["id"]
    assert seen >= 40
