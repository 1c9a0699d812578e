"""`homeport models|gpus|engines|prices list|show` as a user sees them."""

import json
import re
from typing import Any

import pytest
import yaml

from homeport.catalog.gpus import gpus
from homeport.catalog.models import models
from homeport.catalog.prices import api_prices, instances
from homeport.commands.main import run

GROUPS = ("models", "gpus", "engines", "prices")


@pytest.fixture(autouse=True)
def _no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def answer(capsys: pytest.CaptureFixture[str], *args: str, code: int = 0) -> str:
    assert run(list(args)) == code
    captured = capsys.readouterr()
    if code == 0:
        assert captured.err == ""
        return captured.out
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert "Traceback" not in captured.err
    return captured.err


def records(capsys: pytest.CaptureFixture[str], *args: str) -> list[dict[str, Any]]:
    decoded = json.loads(answer(capsys, *args, "-o", "json"))
    (key,) = decoded.keys() - {"schema_version"}
    assert decoded["schema_version"] == 1
    listed: list[dict[str, Any]] = decoded[key]
    return listed


@pytest.mark.parametrize("group", GROUPS)
def test_a_list_is_the_same_in_json_and_yaml(capsys: pytest.CaptureFixture[str], group: str) -> None:
    listed = records(capsys, group, "list")
    assert yaml.safe_load(answer(capsys, group, "list", "-o", "yaml"))[group] == listed
    assert next(iter(listed[0])) == "id"
    ids = [row["id"] for row in listed]
    assert len(ids) == len(set(ids)) > 5
    for row in listed:
        assert row["source"]
        assert row["as_of"]
        assert isinstance(row["unverified"], list)


@pytest.mark.parametrize("group", GROUPS)
def test_every_listed_id_can_be_shown(capsys: pytest.CaptureFixture[str], group: str) -> None:
    for row in records(capsys, group, "list"):
        shown = json.loads(answer(capsys, group, "show", row["id"], "-o", "json"))
        one = shown["prices"][0] if group == "prices" else shown[group.removesuffix("s")]
        assert one["id"] == row["id"]
        assert answer(capsys, group, "show", row["id"])


@pytest.mark.parametrize("group", ["models", "gpus", "engines", "prices"])
def test_tables_fit_a_hundred_columns_and_explain_their_marks(
    capsys: pytest.CaptureFixture[str], group: str
) -> None:
    table = answer(capsys, group, "list")
    assert max(map(len, table.splitlines())) <= 100
    assert "\x1b" not in table
    assert not re.search(r" $", table, re.MULTILINE)
    assert re.search(r"\w\?( |$)", table, re.MULTILINE)
    assert "? nobody has checked this" in table


def test_lists_are_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert [m["id"] for m in records(capsys, "models", "list")] == list(models())
    assert [g["id"] for g in records(capsys, "gpus", "list")] == list(gpus())
    assert len(records(capsys, "prices", "list", "--all-dates")) == len(api_prices())
    assert len(records(capsys, "prices", "list")) == len({p.id for p in api_prices()})
    assert len(records(capsys, "prices", "list", "--kind", "instance")) == len(instances())


@pytest.mark.parametrize(
    ("args", "holds"),
    [
        (["--family", "Llama 3.1"], lambda m: m["family"] == "Llama 3.1"),
        (["--family", "llama"], lambda m: m["family"].startswith("Llama")),
        (["--licence", "APACHE-2.0"], lambda m: m["licence"] == "apache-2.0"),
        (["--license", "mit"], lambda m: m["licence"] == "mit"),
        (["--gated"], lambda m: m["gated"] is True),
        (["--not-gated"], lambda m: m["gated"] is False),
        (["--max-params", "8.5B"], lambda m: m["total_params"] <= 8.5e9),
        (["--min-params", "70b", "--not-gated"], lambda m: m["total_params"] >= 70e9 and not m["gated"]),
        (["--min-context", "131,072"], lambda m: m["context_tokens"] >= 131072),
        (["--attention", "mla"], lambda m: m["attention"]["type"] == "mla"),
        (["--modality", "text+image"], lambda m: m["modality"] == "text+image"),
    ],
)
def test_filters_of_models(capsys: pytest.CaptureFixture[str], args: list[str], holds: Any) -> None:
    everything = records(capsys, "models", "list")
    assert records(capsys, "models", "list", *args) == [m for m in everything if holds(m)] != []


@pytest.mark.parametrize(
    ("args", "holds"),
    [
        (["--vendor", "amd"], lambda g: g["vendor"] == "AMD"),
        (["--architecture", "hopper"], lambda g: g["architecture"] == "Hopper"),
        (["--min-memory-gb", "80"], lambda g: (g["memory_gb_sold"] or 0) >= 80),
        (["--gpu", "H100"], lambda g: g["id"].startswith("H100-")),
        (["--cloud", "lambda"], lambda g: g["id"] in ("A6000-48GB", "V100-SXM2-16GB")),
    ],
)
def test_filters_of_gpus(capsys: pytest.CaptureFixture[str], args: list[str], holds: Any) -> None:
    everything = records(capsys, "gpus", "list")
    assert records(capsys, "gpus", "list", *args) == [g for g in everything if holds(g)] != []


@pytest.mark.parametrize(
    ("args", "holds"),
    [
        (["--provider", "openai"], lambda p: p["provider"] == "openai"),
        (["--retired"], lambda p: p["retired"]),
        (
            ["--not-retired", "--provider", "Anthropic"],
            lambda p: not p["retired"] and p["provider"] == "anthropic",
        ),
    ],
)
def test_filters_of_api_prices(capsys: pytest.CaptureFixture[str], args: list[str], holds: Any) -> None:
    everything = records(capsys, "prices", "list")
    assert records(capsys, "prices", "list", *args) == [p for p in everything if holds(p)] != []


@pytest.mark.parametrize(
    ("args", "holds"),
    [
        (["--cloud", "aws"], lambda p: p["cloud"] == "aws"),
        (["--region", "europe-west4"], lambda p: p["region"] == "europe-west4"),
        (["--gpu", "A100-80GB"], lambda p: p["gpu"] in ("A100-SXM4-80GB", "A100-PCIe-80GB")),
        (
            ["--cloud", "gcp", "--gpu", "L4", "--region", "us-east4"],
            lambda p: (p["region"], p["gpu"]) == ("us-east4", "L4"),
        ),
    ],
)
def test_filters_of_instances(capsys: pytest.CaptureFixture[str], args: list[str], holds: Any) -> None:
    everything = records(capsys, "prices", "list", "--kind", "instance")
    found = records(capsys, "prices", "list", *args)
    assert found == [p for p in everything if holds(p)] != []
    costs = [p["on_demand_usd_per_gpu_hour"] for p in found]
    assert costs == sorted(costs)


def test_filters_of_engines(capsys: pytest.CaptureFixture[str]) -> None:
    assert {e["engine"] for e in records(capsys, "engines", "list", "--engine", "vllm")} == {"vllm"}
    assert all(
        "bitsandbytes" in e["quantizations"]
        for e in records(capsys, "engines", "list", "--quantization", "bitsandbytes")
    )
    assert all("NVIDIA" in e["vendors"] for e in records(capsys, "engines", "list", "--vendor", "nvidia"))
    newest, *older = [e["version"] for e in records(capsys, "engines", "list", "--engine", "vllm")]
    assert json.loads(answer(capsys, "engines", "show", "vllm", "-o", "json"))["engine"]["version"] == newest
    for version in older:
        assert (
            json.loads(answer(capsys, "engines", "show", f"vllm@{version}", "-o", "json"))["engine"][
                "version"
            ]
            == version
        )


@pytest.mark.parametrize(
    ("args", "near"),
    [
        (["models", "list", "--family", "lama 3.1"], "Llama 3.1"),
        (["models", "list", "--licence", "apache2.0"], "apache-2.0"),
        (["models", "list", "--attention", "gqaa"], "gqa"),
        (["models", "show", "Llama-3.1-8B-Instrct"], "meta-llama/Llama-3.1-8B-Instruct"),
        (["models", "lst"], "list"),
        (["gpus", "list", "--vendor", "nvida"], "NVIDIA"),
        (["gpus", "list", "--cloud", "asw"], "aws"),
        (["gpus", "show", "H100-SMX-80GB"], "H100-SXM-80GB"),
        (["gpus", "show", "H100"], "H100-PCIe-80GB"),
        (["engines", "show", "vlm"], "vllm"),
        (["engines", "show", "vllm@9"], "0.3"),
        (["engines", "list", "--quantization", "awqq"], "awq"),
        (["prices", "list", "--provider", "opnai"], "openai"),
        (["prices", "list", "--region", "us-centrl1"], "us-central1"),
        (["prices", "list", "--kind", "instances"], "instance"),
        (["prices", "list", "--gpu", "H10O"], "H100"),
        (["prices", "show", "gpt4.1"], "openai/gpt-4.1"),
        (["prices", "show", "p5.48xlrge"], "p5.48xlarge"),
        (["prices", "show", "p5.48xlarge", "--region", "us-est-1"], "us-east-1"),
    ],
)
def test_a_mistake_is_answered_with_the_nearest_value(
    capsys: pytest.CaptureFixture[str], args: list[str], near: str
) -> None:
    assert near in answer(capsys, *args, code=2)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["models"], "Missing command"),
        (["models", "show"], "Missing argument"),
        (["models", "list", "--max-params", "many"], "is not a number such as 70B"),
        (["models", "list", "--max-params", "-5"], "is not a number such as 70B"),
        (["prices", "list", "--kind", "api", "--cloud", "gcp"], "--cloud filters instance prices"),
        (["prices", "list", "--provider", "openai", "--gpu", "L4"], "--provider filters API prices"),
        (["prices", "show", "gpt-4.1", "--region", "us-east-1"], "--region is for instances"),
        (["models", "show", "some-org/some-model"], "the Hub was not asked: HF_HUB_OFFLINE is set"),
        (["models", "show", "./nowhere"], "there is no such file"),
    ],
)
def test_a_mistake_is_said_in_a_line(capsys: pytest.CaptureFixture[str], args: list[str], says: str) -> None:
    assert says in answer(capsys, *args, code=2).splitlines()[0]


def test_an_instance_is_shown_by_its_type_and_by_its_id(capsys: pytest.CaptureFixture[str]) -> None:
    of_type = json.loads(answer(capsys, "prices", "show", "A3-HIGHGPU-8G", "-o", "json"))["prices"]
    assert {row["instance_type"] for row in of_type} == {"a3-highgpu-8g"}
    assert len(of_type) == len([row for row in instances() if row.instance_type == "a3-highgpu-8g"]) > 1
    assert json.loads(answer(capsys, "prices", "show", of_type[1]["id"], "-o", "json"))["prices"] == [
        of_type[1]
    ]


def test_nothing_like_that(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "list", "--max-params", "1M"]) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "no models like that\n")
    assert records(capsys, "models", "list", "--max-params", "1M") == []


def test_a_model_of_the_catalog_shows_what_is_unverified_and_how_it_scores(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = answer(capsys, "models", "show", "llama-3.1-70b-instruct")
    assert re.search(r"^licence +llama3\.1\?$", text, re.MULTILINE)
    assert re.search(r"^gated +yes\?$", text, re.MULTILINE)
    assert re.search(r"^moe +none$", text, re.MULTILINE)
    assert re.search(r"^benchmarks\.mmlu_pct +82\b", text, re.MULTILINE)


def test_unknown_is_said_and_is_not_zero(capsys: pytest.CaptureFixture[str]) -> None:
    assert re.search(
        r"^weight_bytes_native +unknown$", answer(capsys, "models", "show", "deepseek-v3"), re.MULTILINE
    )
    assert re.search(r"command-a-plus-05-2026 +unknown +unknown", answer(capsys, "prices", "list"))


def test_a_model_outside_the_catalog_is_counted_from_its_config(
    capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    from homeport.catalog.models import config

    path = tmp_path / "config.json"
    path.write_text(json.dumps(config("Qwen/Qwen3-8B")))
    shown = json.loads(answer(capsys, "models", "show", str(path), "-o", "json"))["model"]
    row = models()["Qwen/Qwen3-8B"]
    assert (shown["origin"], shown["licence"], shown["gated"]) == ("file", None, None)
    assert shown["counted_from_config"]["total_params"] == row.total_params
    assert shown["counted_from_config"]["kv_bytes_per_token_16bit"] == row.kv_bytes_per_token_16bit


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("command", ["list", "show"])
def test_the_examples_of_help_run(capsys: pytest.CaptureFixture[str], group: str, command: str) -> None:
    text = answer(capsys, group, command, "--help") + answer(capsys, group, "--help")
    lines = re.findall(r"^    homeport (.+)$", text, re.MULTILINE)
    assert len(lines) >= 4
    for line in lines:
        import shlex

        assert answer(capsys, *shlex.split(line))
