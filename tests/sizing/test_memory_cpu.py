"""The memory of vLLM on a CPU, against what a running one said."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from homeport.catalog.architecture import architecture
from homeport.catalog.gpus import gpu
from homeport.sizing.memory import explain_memory, size
from homeport.sizing.memory_cpu import KV_GIB, cache
from homeport.sizing.types import Settings

# /metrics of vLLM 0.32.0 on a CPU, which served a model of this shape in float32 with 1 GiB of cache.
SAID = Path(__file__).parent.parent / "engines" / "data" / "vllm-0.32.0-metrics.txt"
CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 384,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_position_embeddings": 512,
    "tie_word_embeddings": False,
    "torch_dtype": "float32",
}
SETTINGS = Settings(engine="cpu", engine_version="0.32.0", weight_dtype="float32", max_model_len=512)


def test_the_tokens_are_those_that_a_running_engine_said() -> None:
    found = re.search(r"^vllm:cache_config_info{(.*)} ", SAID.read_text(), re.MULTILINE)
    assert found
    says = dict(re.findall(r'(\w+)="([^"]*)"', found[1]))
    made = cache(architecture(CONFIG), gpu("CPU"), SETTINGS)
    assert made.gib * 2**30 == int(says["kv_cache_memory_bytes"])
    assert made.blocks == int(says["num_gpu_blocks"])
    assert made.tokens == int(says["kv_cache_size_tokens"])
    memory = size(architecture(CONFIG), gpu("CPU"), SETTINGS)
    assert memory.kv_cache_tokens == made.tokens
    assert memory.max_concurrency == float(says["kv_cache_max_concurrency"])


def test_a_token_in_16_bit_takes_half() -> None:
    half = msgspec.structs.replace(SETTINGS, weight_dtype="auto")
    arch = architecture(CONFIG)
    # vLLM serves a checkpoint of 32 bit in 16, where nobody asks for more.
    assert cache(arch, gpu("CPU"), half).tokens == 2 * cache(arch, gpu("CPU"), SETTINGS).tokens


def test_one_request_of_full_length_always_fits() -> None:
    """vLLM refuses to start where its cache cannot hold one."""
    long = architecture(
        {**CONFIG, "num_hidden_layers": 32, "num_key_value_heads": 32, "max_position_embeddings": 65536}
    )
    for tokens in (512, 20_000, 65_536):
        made = cache(long, gpu("CPU"), msgspec.structs.replace(SETTINGS, max_model_len=tokens))
        assert made.tokens >= tokens
        assert KV_GIB[0] <= made.gib
        assert made.gib <= KV_GIB[1] or made.gib - 1 < made.request_gib
    assert made.request_gib > KV_GIB[1]


def test_the_parts_and_the_explanation_add_up() -> None:
    memory = size(architecture(CONFIG), gpu("CPU"), SETTINGS)
    assert memory.fits
    assert memory.total_gib == pytest.approx(memory.weights_gib + memory.non_torch_gib + memory.kv_cache_gib)
    assert memory.total_gib <= memory.usable_gib < memory.total_gib + 1
    said = {t.name: t.value for t in explain_memory(architecture(CONFIG), gpu("CPU"), SETTINGS)}
    assert said["KV tokens"] == memory.kv_cache_tokens
    assert said["weights"] == memory.weights_gib


def homeport(*args: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "homeport", *args], capture_output=True, text=True, check=False
    )


def test_the_command_answers_for_a_pod_and_sends_elsewhere_for_speed(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    asked = ("--engine", "cpu", "--model", str(tmp_path), "--max-model-len", "512")
    done = homeport("size", *asked, "--weight-dtype", "float32", "-o", "json")
    assert (done.returncode, json.loads(done.stdout)["kv_cache_tokens"]) == (0, 1_048_576)
    assert "the pod" in homeport("size", *asked).stdout
    done = homeport("size", *asked, "--gpu", "L40S")
    assert (done.returncode, done.stdout) == (2, "")
    assert "leave --gpu out" in done.stderr
    done = homeport("throughput", *asked, "--input-tokens", "10", "--output-tokens", "10")
    assert (done.returncode, done.stdout) == (2, "")
    assert "homeport bench" in done.stderr
