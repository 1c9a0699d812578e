"""`homeport throughput` answers every measurement that it is asked for, with the fields of cases.md."""

import json
from typing import Any

import pytest

from homeport.errors import NotFoundError, SpecError
from homeport.sizing.cases import case
from homeport.sizing.throughput_cases import answer_throughput
from tests.sizing.throughput_accuracy import CONFIGS, measurements

KEYS = ("id", "engine", "engine_version", "gpu", "tensor_parallel_size", "pipeline_parallel_size", "weight_dtype",
        "quantization", "kv_cache_dtype", "input_tokens", "output_tokens", "concurrency")  # fmt: skip


def line(record: dict[str, Any], **changes: Any) -> str:
    asked = {key: record[key] for key in KEYS} | {
        "model_config": json.loads((CONFIGS / record["config"]).read_text())
    }
    return json.dumps(asked | changes)


def test_every_measurement_gets_an_answer() -> None:
    for record in measurements()[::7]:
        answer = answer_throughput(case(line(record)))
        assert list(answer) == ["id", "ttft_ms", "tpot_ms", "output_tokens_per_s"]
        assert answer["id"] == record["id"]
        assert all(answer[key] > 0 for key in ("ttft_ms", "tpot_ms", "output_tokens_per_s"))


def test_unknown_settings_are_answered() -> None:
    record = measurements()[0]
    answer = answer_throughput(
        case(
            line(
                record,
                engine="tgi",
                engine_version=None,
                quantization="quark",
                kv_cache_dtype=None,
                gpu="A30-24GB",
            )
        )
    )
    assert answer["output_tokens_per_s"] > 0
    later = answer_throughput(
        case(line(record, engine="vllm", engine_version="0.99.1", gpu="B300-SXM-288GB"))
    )
    assert later["tpot_ms"] > 0


def test_a_run_of_varied_lengths_ends_slower_than_a_steady_one() -> None:
    record = measurements()[0]
    steady = answer_throughput(case(line(record, input_tokens=215, output_tokens=200, concurrency=None)))
    run = answer_throughput(case(line(record, input_tokens=215.4, output_tokens=200.2, concurrency=None)))
    assert run["output_tokens_per_s"] < steady["output_tokens_per_s"]


def test_what_cannot_be_answered_says_why() -> None:
    record = measurements()[0]
    with pytest.raises(SpecError, match="input_tokens"):
        answer_throughput(case(line(record, input_tokens=None)))
    with pytest.raises(SpecError, match="output_tokens"):
        answer_throughput(case(line(record, output_tokens=0)))
    with pytest.raises(NotFoundError):
        answer_throughput(case(line(record, gpu="H1000")))
