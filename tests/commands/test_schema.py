"""`homeport schema`: what it prints describes what the commands really answer."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from homeport.commands.main import run
from homeport.commands.schema import schema_of, schemas
from homeport.spec.schema import json_schema
from tests.commands.shell import EXAMPLES, homeport

CASE = {
    "id": "a1",
    "model_config": {
        "model_type": "llama",
        "num_hidden_layers": 32,
        "hidden_size": 4096,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "intermediate_size": 14336,
        "vocab_size": 128256,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
    },
    "engine": "vllm",
    "engine_version": "0.19.0",
    "gpu": "H100-SXM-80GB",
    "tensor_parallel_size": 1,
    "pipeline_parallel_size": 1,
    "max_model_len": 8192,
    "input_tokens": 1000,
    "output_tokens": 500,
    "concurrency": 8,
}
ONE = ("--model", "Llama-3.1-8B-Instruct", "--gpu", "L40S", "--max-model-len", "8192", "-o", "json")
WORKLOAD = ("--requests-per-day", "5000", "--input-tokens", "300", "--output-tokens", "200")
ANSWERS: dict[str, tuple[str, ...]] = {
    "plan": ("plan", "--model", "Qwen/Qwen3-8B", *WORKLOAD, "--target", "gke", "-o", "json"),
    "cost": ("cost", "--model", "Qwen/Qwen3-8B", *WORKLOAD, "--compare", "gpt-4.1", "-o", "json"),
    "advise": (
        "advise",
        "--model",
        "Qwen/Qwen3-8B",
        *WORKLOAD,
        "--regime",
        "financial_pci_gdpr",
        "-o",
        "json",
    ),
    "config": ("config", "-f", str(EXAMPLES / "fleet.yaml"), "-o", "json"),
    "size": ("size", *ONE),
    "size cases": ("size", "--cases", "-", "-o", "json"),
    "throughput": ("throughput", *ONE, "--input-tokens", "1000", "--output-tokens", "500"),
    "throughput cases": ("throughput", "--cases", "-", "-o", "json"),
    "startup": ("startup", *ONE),
    "startup cases": ("startup", "--cases", "-", "-o", "json"),
    "models list": ("models", "list", "-o", "json"),
    "gpus list": ("gpus", "list", "-o", "json"),
    "gpus show": ("gpus", "show", "L4", "-o", "json"),
    "engines list": ("engines", "list", "-o", "json"),
    "prices list": ("prices", "list", "-o", "json"),
    "prices show": ("prices", "show", "gpt-4.1", "-o", "json"),
}
NEED_A_CLUSTER = {"bench", "diff", "doctor", "status"}
"""Their answers are held to their schemas in tests/cluster."""


def test_the_specs_schema_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == json_schema()


def test_a_name_that_has_none_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schema", "plna"]) == 2
    assert "did you mean 'plan'" in capsys.readouterr().err


def test_each_schema_has_an_answer_to_describe() -> None:
    assert set(schemas()) == {"spec", "measurements", *ANSWERS, *NEED_A_CLUSTER}


@pytest.mark.parametrize("name", ANSWERS)
def test_what_a_command_answers_is_what_its_schema_says(name: str) -> None:
    answer = homeport(*ANSWERS[name], stdin=json.dumps(CASE).encode() + b"\n" if "cases" in name else None)
    assert answer.returncode == 0, answer.stderr.decode()
    value: Any = json.loads(answer.stdout)
    schema = schema_of(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(value)


RUN = {
    "model": "Qwen/Qwen3-8B",
    "engine": "vllm",
    "engine_version": "0.33.0",
    "gpu": "L4",
    "tensor_parallel_size": 2,
    "workload": {"input_tokens": 300, "output_tokens": 200, "concurrency": 8},
    "measured": {"ttft_ms": 200, "tpot_ms": 35.0},
    "measured_on": "2026-08-01",
}


def test_a_plan_with_measurements_is_what_its_schema_says(tmp_path: Path) -> None:
    runs = {"schema_version": 1, "runs": [RUN]}
    (tmp_path / "runs.json").write_text(json.dumps(runs), "utf-8")
    schema = schema_of("measurements")
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(runs)
    wrong = {"schema_version": 1, "runs": [RUN | {"tp": 2}]}
    assert not jsonschema.Draft202012Validator(schema).is_valid(wrong)
    arguments = (*ANSWERS["plan"], "--gpu", "L4", "--measurements", str(tmp_path / "runs.json"))
    answer = homeport(*arguments)
    assert answer.returncode == 0, answer.stderr.decode()
    value: Any = json.loads(answer.stdout)
    assert value["models"][0]["measured"]["figures"]
    jsonschema.Draft202012Validator(schema_of("plan")).validate(value)


@pytest.mark.parametrize("name", ["plan", "size"])
def test_an_answer_without_a_key_is_refused(name: str) -> None:
    schema = schema_of(name)
    missing = jsonschema.Draft202012Validator(schema).iter_errors({"schema_version": 1})
    assert {error.validator for error in missing} == {"required"}
