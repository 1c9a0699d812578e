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


COSTS = """\
costs:
  headroom_nodes: 1
  storage_usd_per_gib_month: 0.1
  platform_usd_per_month: 300
  engineering_usd_per_hour: 95
"""


def written(tmp_path: Path, text: str, name: str = "homeport.yaml") -> str:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_costs_of_the_spec_fill_the_bill_and_flags_go_over_them(answer: Any, tmp_path: Path) -> None:
    spec = written(tmp_path, TWO_MODELS + COSTS)
    own = json.loads(answer("cost", "-f", spec, "-ojson"))["self_hosted"]
    assert not own["at_least"]
    assert {"nodes", "headroom", "storage", "platform", "engineering"} == {
        line["kind"] for line in own["lines"]
    }
    dearer = json.loads(answer("cost", "-f", spec, "--platform-usd-per-month=301.50", "-ojson"))[
        "self_hosted"
    ]
    assert dearer["usd_per_month"] == pytest.approx(own["usd_per_month"] + 1.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("costs: {egress: 1}", "costs.egress: unknown field"),
        ("costs: {scaled_share: 2}", "costs.scaled_share: 2 is too large: at most 1"),
        ("costs: {scaled_share: 0.5, replica_hours: always}", "replica_hours says always"),
        (
            "costs: {gpu_usd_per_hour: 2, hardware: {usd_per_gpu: 1, lifetime_years: 1}}",
            "hardware says that they are bought",
        ),
        ("costs: {hardware: {usd_per_gpu: 1}}", "costs.hardware.lifetime_years: missing"),
        (
            "costs: {api_prices: [{model: nope, input_usd_per_mtok: 1}]}",
            "needs input_usd_per_mtok and output",
        ),
        ("budget: {usd: 1}", "budget.usd: unknown field"),
    ],
)
def test_mistakes_about_money_are_named(failure: Any, tmp_path: Path, text: str, message: str) -> None:
    assert message in failure("cost", "-f", written(tmp_path, f"{TWO_MODELS}{text}\n"))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("day_profile: [1, 2]", "the list has 2 values; expected 24"),
        (f"day_profile: {[0] * 24}", "a day without a request"),
        (f"peak_to_mean: 2, day_profile: {[1] * 23 + [10]}", "2 is less than the day profile's busiest hour"),
        ("personal_data_share: 1.5", "1.5 is too large: at most 1"),
    ],
)
def test_mistakes_about_a_day_are_named(failure: Any, tmp_path: Path, more: str, message: str) -> None:
    text = TWO_MODELS.replace("output_tokens: 20}", f"output_tokens: 20, {more}}}")
    assert message in failure("cost", "-f", written(tmp_path, text))


def test_a_day_profile_plans_for_its_busiest_hour_and_bills_by_the_hour(answer: Any, tmp_path: Path) -> None:
    hours = [1.0] * 12 + [2.0] * 12
    base = """\
version: 1
name: support
target: {platform: gke}
models:
  - name: assistant
    model: meta-llama/Llama-3.1-8B-Instruct
    gpu: L4
    workload: {requests_per_day: 900000, input_tokens: 1000, output_tokens: 300MORE}
"""
    flat = written(tmp_path, base.replace("MORE", ", peak_to_mean: 1.3333333"))
    daily = written(tmp_path, base.replace("MORE", f", day_profile: {hours}"), "daily.yaml")
    one, other = (json.loads(answer("cost", "-f", spec, "-ojson")) for spec in (flat, daily))
    assert one["deployments"] == other["deployments"]
    assert one["deployments"][0]["replicas"] > 2
    paid = [bill["self_hosted"]["lines"][0]["quantity"] for bill in (one, other)]
    assert 0.7 < paid[1] / paid[0] < 0.8


def test_budget_ends_with_1_and_still_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def ended(command: str, usd: float, *args: str) -> tuple[int, str, str]:
        spec = written(tmp_path, f"{TWO_MODELS}budget: {{usd_per_month: {usd}}}\n")
        code = run([command, "-f", spec, *args])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    for command in ("plan", "cost"):
        code, out, err = ended(command, 100, "-ojson")
        assert code == 1
        assert json.loads(out)
        assert "over budget: " in err
        code, out, err = ended(command, 1_000_000)
        assert (code, "over budget" in err) == (0, False)
        assert out
    code, _, err = ended("cost", 100)
    assert "over budget: at least $" in err


def test_an_unknown_cost_cannot_be_held_to_a_budget(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = """\
version: 1
name: small
target: {platform: kind}
budget: {usd_per_month: 1}
models:
  - name: small
    model: Qwen/Qwen2.5-0.5B-Instruct
    workload: {requests_per_day: 100, input_tokens: 100, output_tokens: 50}
"""
    assert run(["cost", "-f", written(tmp_path, text)]) == 0
    assert "cannot be checked: the cost is unknown" in capsys.readouterr().err


def test_old_prices_are_warned_of_and_new_ones_are_not(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import date

    from homeport.catalog import ages

    monkeypatch.setattr(ages, "STALE_DAYS", 10_000)
    assert run([*CASE, "--compare=gpt-4.1"]) == 0
    assert "days ago" not in capsys.readouterr().err
    days = (date.today() - date(2026, 8, 3)).days
    monkeypatch.setattr(ages, "STALE_DAYS", days - 1)
    for command in ("cost", "plan"):
        assert run([command, *CASE[1:]]) == 0
        assert "is of 2026-08-03, more than" in capsys.readouterr().err
        assert run([command, *CASE[1:], "-ojson"]) == 0
        assert any("2026-08-03" in text for text in json.loads(capsys.readouterr().out)["warnings"])


def test_against_a_spec_a_bill_and_a_plan(answer: Any, failure: Any, tmp_path: Path) -> None:
    old = written(tmp_path, TWO_MODELS, "old.yaml")
    new = written(tmp_path, TWO_MODELS.replace("requests_per_day: 60000", "requests_per_day: 600000"))
    bill = written(tmp_path, answer("cost", "-f", old, "-ojson"), "bill.json")
    plan = written(tmp_path, answer("plan", "-f", old, "-ojson"), "plan.json")
    changes = [
        json.loads(answer("cost", "-f", new, f"--against={file}", "-ojson"))["against"]
        for file in (old, bill, plan)
    ]
    assert changes[0]["lines"] == changes[1]["lines"]
    assert changes[0]["lines"][0] == changes[2]["lines"][0]
    assert [change["compared"] for change in changes] == ["bill", "bill", "plan"]
    total = changes[0]["total"]
    assert total["after_usd"] - total["before_usd"] == pytest.approx(total["difference_usd"])
    assert total["difference_usd"] > 0
    assert "### support: own hosting at least $" in answer(
        "cost", "-f", new, f"--against={old}", "-omarkdown"
    )
    assert f"Against {old}" in answer("cost", "-f", new, f"--against={old}")
    assert "cannot be read" in failure("cost", "-f", new, "--against=missing.yaml")


def test_hybrid_from_flags_and_from_the_spec(answer: Any, tmp_path: Path) -> None:
    flags = ("--personal-data-share=0.1", "--simple-share=0.4")
    compare = ("--compare=gpt-4.1-mini", "--compare=claude-haiku-4-5")
    made = json.loads(answer(*CASE, *compare, *flags, "-ojson"))["hybrid"]
    assert (made["primary"], made["fallback"]) == ("openai/gpt-4.1-mini", "anthropic/claude-haiku-4-5")
    allowed = [split for split in made["splits"] if split["allowed"]]
    cheapest = min(allowed, key=lambda split: split["usd_per_month"])
    assert made["cheapest"] == cheapest["name"]
    assert cheapest["cheapest"]
    assert not made["splits"][0]["allowed"]
    assert "Split of the requests" in answer(*CASE, *compare, *flags)
    assert json.loads(answer(*CASE, *compare, "-ojson"))["hybrid"] is None
    text = TWO_MODELS.replace("output_tokens: 20}", "output_tokens: 20, simple_share: 1}").replace(
        "output_tokens: 500}", "output_tokens: 500, personal_data_share: 0.5}"
    )
    both = json.loads(answer("cost", "-f", written(tmp_path, text), "-ojson"))["hybrid"]
    shares = {split["name"]: split["own_share"] for split in both["splits"]}
    # Half of 60,000 is private, all of 40,000 simple.
    assert shares["own: personal data"] == pytest.approx(0.3)
    assert shares["own: personal data and simple"] == pytest.approx(0.7)


def test_a_trace_is_the_workload(answer: Any, capsys: pytest.CaptureFixture[str]) -> None:
    trace = Path(__file__).parents[1] / "data" / "traces" / "azure_2023_conversation_excerpt.csv"
    args = ("--model=meta-llama/Llama-3.1-8B-Instruct", f"--trace={trace}")
    bill = json.loads(answer("cost", *args, "--compare=gpt-4.1", "-ojson"))
    assert bill["requests_per_day"] == 417_264
    lines = bill["api"][0]["lines"]
    assert lines[0]["quantity"] / lines[1]["quantity"] == pytest.approx(1073.4 / 260.1, rel=1e-4)
    assert json.loads(answer("cost", *args, "--requests-per-day=5", "-ojson"))["requests_per_day"] == 5
    assert run(["plan", *args]) == 0
    assert "the trace covers 5 minutes: a whole day like them is assumed" in capsys.readouterr().err
    assert run(["cost", "--model=x", "--trace=missing.csv"]) == 2


def test_curves_in_json(answer: Any) -> None:
    curves = json.loads(answer(*CASE, *H100, "--compare=gpt-4.1", "--plot", "-ojson"))["curves"]
    assert len(curves["requests_per_day"]) == len(curves["own_usd_per_month"]) == 61
    own = [usd for usd in curves["own_usd_per_month"] if usd is not None]
    assert own == sorted(own)
    at = curves["requests_per_day"].index(100_000)
    per_million = curves["own_usd_per_million_tokens"][at]
    assert per_million == pytest.approx(own[at] / (100_000 * 1500 * 730 / 24 / 1e6), rel=1e-4)
    assert json.loads(answer(*CASE, "-ojson"))["curves"] is None


def test_prices_of_the_spec_count(answer: Any, failure: Any, tmp_path: Path) -> None:
    prices = """\
costs:
  api_prices:
    - {model: gpt-4.1, input_usd_per_mtok: 1}
    - {model: house/llm, input_usd_per_mtok: 0.5, output_usd_per_mtok: 2}
"""
    text = TWO_MODELS.replace("[gpt-4.1, claude-sonnet-4-5]", "[gpt-4.1, house/llm]") + prices
    bill = json.loads(answer("cost", "-f", written(tmp_path, text), "-ojson"))
    first, second = bill["api"]
    assert [line["unit_price_usd"] for line in first["lines"][:2]] == [1, 8]
    assert (first["source"], first["as_of"]) == ("given by you", None)
    assert [line["unit_price_usd"] for line in second["lines"][:2]] == [0.5, 2]
    cheap = TWO_MODELS.replace(
        "{platform: gke}", "{platform: gke, prices: [{instance_type: a2-ultragpu-8g, usd_per_hour: 0.01}]}"
    )
    plan = json.loads(answer("plan", "-f", written(tmp_path, cheap), "-ojson"))
    pool = plan["node_pools"][0]
    assert (pool["instance_type"], pool["usd_per_hour_per_node"]) == ("a2-ultragpu-8g", 0.01)
    assert pool["price_source"] == "given by you"
    wrong = cheap.replace("a2-ultragpu-8g", "a2-ultragpu-9g")
    said = failure("plan", "-f", written(tmp_path, wrong))
    assert "target.prices[0].instance_type" in said
    assert "did you mean a2-ultragpu-8g" in said
