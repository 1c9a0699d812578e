"""What a plan says that it has not counted, and of models that nobody knows to be served."""

import json
from pathlib import Path

import pytest

from homeport.catalog.models import config
from homeport.planning.plan import Planner
from homeport.spec.load import load


def warnings(base: Path, model: str, engine: str, *args: str) -> tuple[str, ...]:
    text = f"""
version: 1
name: test
models:
  - name: a
    model: {model}
    engine: {engine}
    workload: {{requests_per_day: 1000, input_tokens: 500, output_tokens: 100}}
    extra_args: {json.dumps(args)}
"""
    return Planner(base).plan(load(text, "test.yaml").spec).models[0].warnings


@pytest.mark.parametrize(
    ("engine", "arg"),
    [
        ("vllm", "--cpu-offload-gb=10"),
        ("vllm", "-dcp=2"),
        ("sglang", "--attn-cp-size=2"),
        ("cpu", "--spec-tokens=2"),
    ],
)
def test_a_flag_that_the_plan_does_not_count_is_a_warning(tmp_path: Path, engine: str, arg: str) -> None:
    model = "microsoft/phi-2" if engine == "cpu" else "meta-llama/Llama-3.1-8B-Instruct"
    name = arg.partition("=")[0]
    expected = f"{name}: it changes the memory and speed, and the plan does not count with it"
    assert expected in warnings(tmp_path, model, engine, arg)
    assert not any("does not count" in w for w in warnings(tmp_path, model, engine))


@pytest.mark.parametrize(("engine", "shown"), [("vllm", "vLLM"), ("sglang", "SGLang")])
def test_a_type_that_nobody_knows_is_a_warning(tmp_path: Path, engine: str, shown: str) -> None:
    llama = config("meta-llama/Llama-3.1-8B-Instruct")
    said = f"homeport does not know whether {shown} serves models of type 'brand_new'"
    for model_type, expected in (("brand_new", True), ("llama", False)):
        (tmp_path / "config.json").write_text(json.dumps(llama | {"model_type": model_type}))
        assert (said in warnings(tmp_path, str(tmp_path), engine)) is expected
    (tmp_path / "config.json").write_text(json.dumps({k: v for k, v in llama.items() if k != "model_type"}))
    assert any("names no model_type" in w for w in warnings(tmp_path, str(tmp_path), engine))
