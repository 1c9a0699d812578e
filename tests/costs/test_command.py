"""`homeport cost` as a user types it, on the real catalog and planner."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from homeport.commands.main import run

CASE = (
    "cost",
    "--model=meta-llama/Llama-3.1-70B-Instruct",
    "--requests-per-day=100000",
    "--input-tokens=1000",
    "--output-tokens=500",
    "--target=gke",
)
H100 = ("--gpu=H100-SXM-80GB", "--tensor-parallel-size=4")
TWO_MODELS = """\
version: 1
name: support
target: {platform: gke}
compare: [gpt-4.1, claude-sonnet-4-5]
models:
  - name: assistant
    model: meta-llama/Llama-3.1-70B-Instruct
    workload: {requests_per_day: 60000, input_tokens: 1000, output_tokens: 500}
  - name: sorter
    model: meta-llama/Llama-3.1-8B-Instruct
    workload: {requests_per_day: 40000, input_tokens: 400, output_tokens: 20}
"""


@pytest.fixture
def answer(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command that must succeed and return what it wrote to stdout."""

    def ask(*args: str) -> str:
        code = run(list(args))
        captured = capsys.readouterr()
        assert code == 0, captured.err
        return captured.out

    return ask


@pytest.fixture
def failure(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command that must fail with exit code 2 and return what it wrote to stderr."""

    def ask(*args: str) -> str:
        code = run(list(args))
        captured = capsys.readouterr()
        assert code == 2
        assert captured.out == ""
        return captured.err

    return ask


def test_the_guides_case(answer: Any) -> None:
    names = ("gpt-4.1-mini", "gpt-4.1", "claude-3-5-haiku", "claude-sonnet-4")
    compare = [f"--compare={name}" for name in names]
    bill = json.loads(answer(*CASE, *H100, *compare, "--method=guide", "-ojson"))
    assert bill["self_hosted"]["usd_per_month"] == 10514.40
    assert [api["usd_per_month"] for api in bill["api"]] == [3600, 18000, 8400, 31500]
    assert bill["deployments"][0]["replicas"] == 1


def test_the_breakeven_holds_when_asked_again(answer: Any) -> None:
    compare = "--compare=claude-sonnet-4"
    load = json.loads(answer(*CASE, compare, "-ojson"))["breakeven"][0]["requests_per_day"]
    assert load is not None

    def cheaper(requests: int) -> bool:
        bill = json.loads(answer(*CASE, compare, f"--requests-per-day={requests}", "-ojson"))
        return bool(bill["self_hosted"]["usd_per_month"] < bill["api"][0]["usd_per_month"])

    assert not cheaper(load - 1)
    assert all(cheaper(round(load * factor)) for factor in (1, 1.1, 1.5, 2, 3, 5, 10, 30))


def test_order_of_apis_is_the_users(answer: Any) -> None:
    bill = json.loads(
        answer(*CASE, "--compare=gpt-5", "--compare=claude-opus-5", "--compare=openai/gpt-5", "-ojson")
    )
    assert [api["model"] for api in bill["api"]] == ["openai/gpt-5", "anthropic/claude-opus-5"]


def test_several_models_are_summed(answer: Any, tmp_path: Path) -> None:
    spec = tmp_path / "homeport.yaml"
    spec.write_text(TWO_MODELS, encoding="utf-8")
    bill = json.loads(answer("cost", "-f", str(spec), "-ojson"))
    assert [api["model"] for api in bill["api"]] == ["openai/gpt-4.1", "anthropic/claude-sonnet-4-5"]
    first = bill["api"][0]
    assert [(line["models"], line["item"]) for line in first["lines"]] == [
        (["assistant"], "input tokens"),
        (["assistant"], "output tokens"),
        (["sorter"], "input tokens"),
        (["sorter"], "output tokens"),
    ]
    assert first["usd_per_month"] == pytest.approx(sum(line["usd_per_month"] for line in first["lines"]))
    own = bill["self_hosted"]
    assert {name for line in own["lines"] for name in line["models"]} == {"assistant", "sorter"}
    assert own["usd_per_month"] == pytest.approx(sum(line["usd_per_month"] or 0 for line in own["lines"]))
    assert bill["requests_per_day"] == 100_000
    table = answer("cost", "-f", str(spec))
    assert "cached" not in table
    assert "input tokens (sorter)" in table
    over = json.loads(answer("cost", "-f", str(spec), "--compare=gpt-5", "-ojson"))
    assert [api["model"] for api in over["api"]] == ["openai/gpt-5"]


def test_a_given_gpu_price_keeps_the_gpus(answer: Any) -> None:
    bill = json.loads(answer(*CASE, *H100, "--gpu-usd-per-hour=2.50", "--compare=gpt-4.1", "-ojson"))
    nodes = bill["self_hosted"]["lines"][0]
    assert (nodes["unit_price_usd"], nodes["usd_per_month"], nodes["source"]) == (10, 7300, "given by you")
    assert any("breakevens keep these GPUs" in text for text in bill["assumptions"])
    assert bill["breakeven"][0]["requests_per_day"] == 40_001


def test_csv_and_yaml(answer: Any) -> None:
    rows = list(csv.DictReader(io.StringIO(answer(*CASE, "--compare=gpt-4.1", "-ocsv"))))
    assert {row["section"] for row in rows} == {"self_hosted", "api", "breakeven"}
    assert "currency: USD" in answer(*CASE, "-oyaml")


def test_same_input_same_bytes(answer: Any) -> None:
    assert answer(*CASE, "--compare=gpt-4.1") == answer(*CASE, "--compare=gpt-4.1")


def test_a_model_without_a_gpu_has_no_price(answer: Any) -> None:
    args = (
        "--model=Qwen/Qwen2.5-0.5B-Instruct",
        "--requests-per-day=100",
        "--input-tokens=100",
        "--output-tokens=50",
    )
    text = answer("cost", *args, "--target=kind", "--compare=gpt-4.1")
    rows = [line.split() for line in text.splitlines()]
    assert ["total", "a", "month", "unknown"] in rows
    assert "your own machine" in text


def test_plot_and_sensitivity(answer: Any) -> None:
    text = answer(*CASE, *H100, "--compare=claude-sonnet-4", "--plot", "--sensitivity")
    assert "$ a month, against requests a day" in text
    assert "Own hosting less anthropic/claude-sonnet-4-20250514, $ a month" in text
    bill = json.loads(answer(*CASE, *H100, "--compare=claude-sonnet-4", "--sensitivity", "-ojson"))
    figures = [swing["figure"] for swing in bill["sensitivity"][0]["swings"]]
    assert sorted(figures) == [
        "API price",
        "GPU price",
        "engineering",
        "input tokens",
        "output tokens",
        "requests a day",
        "utilisation",
    ]


def test_a_simulated_model_is_billed_as_the_real_one(answer: Any) -> None:
    args = [arg for arg in CASE if not arg.startswith("--target")]
    simulated, real = (
        json.loads(answer(*args, f"--target={target}", "--compare=claude-sonnet-4", "-ojson"))
        for target in ("kind", "generic")
    )
    assert simulated["self_hosted"] == real["self_hosted"]
    assert simulated["breakeven"] == real["breakeven"]
    assert simulated["deployments"] == real["deployments"]
    assert "simulated here: " in simulated["assumptions"][0]


def test_unknown_apis_are_answered_with_the_nearest(failure: Any, tmp_path: Path) -> None:
    assert "did you mean" in failure(*CASE, "--compare=gpt-4.2")
    spec = tmp_path / "homeport.yaml"
    spec.write_text(TWO_MODELS.replace("gpt-4.1, claude-sonnet-4-5", "gpt-4.2, nonsense"), encoding="utf-8")
    text = failure("cost", "-f", str(spec))
    assert ":4:11: compare[0]: no API model 'gpt-4.2'" in text
    assert "compare[1]: no API model 'nonsense'" in text


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--growth-percent=x"], "'x' is not a valid float"),
        (["--retries-percent=1001"], "--retries-percent: 1001 is too large: at most 1000"),
        (["--gpu-usd-per-hour=-1"], "--gpu-usd-per-hour: -1 is too small: at least 0"),
        (["--gpu-usd-per-hour=NaN"], "--gpu-usd-per-hour: nan"),
        (["--scaled-share=2"], "--scaled-share: 2 is too large: at most 1"),
        (["--method=guide", "--egress-usd-per-month=1"], "take no --egress-usd-per-month"),
        (["--plot", "-ocsv"], "--plot has no place in -o csv"),
        (["-omarkdown"], "give that too"),
        (["--sensitivity", "-ocsv"], "-o json has it"),
        (["--method=gude"], "guide"),
        (["-oxml"], "xml"),
    ],
)
def test_mistakes(failure: Any, args: list[str], message: str) -> None:
    assert message in failure(*CASE, *args)
