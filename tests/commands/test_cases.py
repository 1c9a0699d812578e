"""`size`, `throughput` and `startup`: files of cases, and one case from flags."""

import io
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from homeport.catalog.models import config
from homeport.commands.main import run

LLAMA = config("meta-llama/Llama-3.1-8B-Instruct")
ONE = ["--model", "Llama-3.1-8B-Instruct", "--gpu", "H100-SXM-80GB"]
LOAD = ["--input-tokens", "1000", "--output-tokens", "500"]
COMMANDS = {"size": [], "throughput": LOAD, "startup": []}
# cases.md: the keys of an answer.
KEYS = {
    "size": {
        "id", "fits", "weights_gib_per_gpu", "activation_gib_per_gpu", "non_torch_gib_per_gpu", "kv_cache_gib_per_gpu",
        "kv_cache_tokens", "max_concurrency", "reason",
    },
    "throughput": {"id", "ttft_ms", "tpot_ms", "output_tokens_per_s"},
    "startup": {"id", "weights_load_s", "compile_s", "cuda_graph_capture_s", "init_engine_s", "ready_s"},
}  # fmt: skip
Capture = pytest.CaptureFixture[str]


def case(id_: str, **more: Any) -> str:
    """One line: cases.md's example with what differs."""
    fields = {
        "id": id_, "model_config": LLAMA, "engine": "vllm", "engine_version": "0.19.0", "gpu": "H100-SXM-80GB",
        "tensor_parallel_size": 1, "pipeline_parallel_size": 1, "weight_dtype": "bfloat16", "quantization": None,
        "kv_cache_dtype": "auto", "gpu_memory_utilization": 0.95, "max_model_len": 8192, "max_num_batched_tokens": None,
        "input_tokens": 1000, "output_tokens": 500, "concurrency": 8,
    }  # fmt: skip
    return json.dumps({**fields, **more})


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_line_is_answered_with_its_id(command: str, tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_text("\n".join([case("a"), "", case("b", tensor_parallel_size=2), case("c")]) + "\n")
    assert run([command, "--cases", str(file), "-o", "json"]) == 0
    out, err = capsys.readouterr()
    answers = [json.loads(line) for line in out.splitlines()]
    assert [a["id"] for a in answers] == ["a", "b", "c"]
    assert all(KEYS[command] <= a.keys() for a in answers)
    assert err == ""


def test_the_documented_example_is_answered_as_it_was_measured(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_text(case("a1") + "\n")
    assert run(["size", "--cases", str(file)]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["fits"] is True
    assert answer["weights_gib_per_gpu"] == pytest.approx(14.99, rel=0.003)
    assert answer["kv_cache_tokens"] == pytest.approx(476016, rel=0.02)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("not json", "not a case: JSON is malformed"),
        ('{"id": "x"}', "missing required field `model_config`"),
        (case("x", tensor_parallel_size="two"), "Expected `int | null`, got `str`"),
        (case("x", model_config={"model_type": "llama"}), "no num_hidden_layers"),
        (case("x", gpu="H100-SXM-81GB"), "did you mean H100-SXM-80GB"),
    ],
)
@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_a_bad_line_names_its_place_and_the_others_are_answered(
    command: str, line: str, message: str, tmp_path: Path, capsys: Capture
) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_text(f"{case('a')}\n{line}\n{case('b')}\n")
    assert run([command, "--cases", str(file)]) == 2
    out, err = capsys.readouterr()
    assert [json.loads(answer)["id"] for answer in out.splitlines()] == ["a", "b"]
    assert err.startswith(f"{file}:2: ")
    assert message in err
    assert len(err.splitlines()) == 1


def test_bytes_that_are_no_text_and_a_byte_order_mark(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + case("a").encode() + b"\r\n\xff\xfe\n")
    assert run(["size", "--cases", str(file)]) == 2
    out, err = capsys.readouterr()
    assert json.loads(out)["id"] == "a"
    assert err.startswith(f"{file}:2: not a case")


def test_an_empty_file_is_said_to_be_empty(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_text("\n")
    assert run(["size", "--cases", str(file)]) == 0
    assert capsys.readouterr() == ("", f"warning: {file} holds no cases\n")


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_cases_come_from_stdin_while_it_is_open(command: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "homeport", command, "--cases", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        killer = threading.Timer(60, process.kill)
        killer.start()
        for id_ in ("a", "b"):
            process.stdin.write(case(id_) + "\n")
            process.stdin.flush()
            assert f'"id":"{id_}"' in process.stdout.readline()
        process.stdin.close()
        assert process.wait(30) == 0
        killer.cancel()


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_text((case("a") + "\n") * 3000)
    found = subprocess.run(
        f"{sys.executable} -m homeport size --cases {file} | head -1",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert json.loads(found.stdout)["id"] == "a"
    assert found.stderr == ""


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["size"], "give --model and --gpu, or --cases FILE"),
        (["size", "--model", "x"], "give --gpu, or --cases FILE"),
        (["size", "--cases", "."], "--cases .: is a directory"),
        (["size", "--cases", "no.jsonl"], "--cases no.jsonl: no such file or directory"),
        (["size", "--cases", "-", *ONE], "give either --cases, or --model and --gpu"),
        (["size", "--cases", "-", "-o", "yaml"], "cases are answered as JSON lines"),
        (["throughput", *ONE], "give --input-tokens, or --cases FILE"),
        (["size", "--model", "Llama-3.1-8B-Instruct", "--gpu", "H101"], "no GPU 'H101'"),
        (["size", *ONE, "--engine", "vlm"], "did you mean 'vllm'"),
        (["startup", *ONE, "--storage", "nvm"], "did you mean 'nvme'"),
    ],
)
def test_mistakes_are_one_message_and_exit_2(args: list[str], message: str, capsys: Capture) -> None:
    assert run(args) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert "Traceback" not in err


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_one_case_from_flags_is_the_same_answer_in_json_and_yaml(command: str, capsys: Capture) -> None:
    args = [command, *ONE, *COMMANDS[command], "--engine-version", "0.19.0"]
    assert run([*args, "-o", "json"]) == 0
    as_json = json.loads(capsys.readouterr().out)
    assert run([*args, "-o", "yaml"]) == 0
    assert yaml.safe_load(capsys.readouterr().out) == as_json
    assert as_json["schema_version"] == 1
    assert as_json["model"] == "meta-llama/Llama-3.1-8B-Instruct"


def test_flags_and_a_line_ask_the_same(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    line = case("a", gpu_memory_utilization=None, weight_dtype="auto", storage="nvme", concurrency=8)
    for command, more in (
        ("size", []),
        ("throughput", [*LOAD, "--concurrency", "8"]),
        ("startup", ["--storage", "nvme"]),
    ):
        args = [command, *ONE, "--engine-version", "0.19.0", "--max-model-len", "8192", *more, "-o", "json"]
        assert run(args) == 0
        flags = json.loads(capsys.readouterr().out)
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(line.encode())))
        assert run([command, "--cases", "-"]) == 0
        answer = json.loads(capsys.readouterr().out)
        for key in KEYS[command] - {"id", "fits", "reason"}:
            assert flags[key] == pytest.approx(answer[key], rel=1e-3, abs=1e-3), (command, key)


def test_the_table_of_a_size_adds_up_to_the_card(capsys: Capture) -> None:
    assert run(["size", *ONE, "--max-model-len", "8192"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("meta-llama/Llama-3.1-8B-Instruct on H100-SXM-80GB · vllm ")
    start = next(i for i, line in enumerate(lines) if line.startswith("one GPU"))
    usable = float(lines[start].split(" of ")[1].split()[0])
    parts = [float(line[12:].split()[0]) for line in lines[start + 1 : start + 7]]
    assert sum(parts) == pytest.approx(usable, abs=0.05)
    assert any(line.startswith("fits: ") for line in lines)


def test_what_does_not_fit_is_a_finding(capsys: Capture) -> None:
    args = ["size", "--model", "Llama-3.1-70B-Instruct", "--gpu", "L40S"]
    assert run(args) == 1
    assert "does not fit: " in capsys.readouterr().out
    assert run([*args, "-o", "json"]) == 1
    assert json.loads(capsys.readouterr().out)["fits"] is False


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_explain_shows_formulas_with_sources(command: str, capsys: Capture) -> None:
    args = [command, *ONE, *COMMANDS[command], "--explain"]
    assert run(args) == 0
    assert "formula" in capsys.readouterr().out
    assert run([*args, "-o", "json"]) == 0
    terms = json.loads(capsys.readouterr().out)["explanation"]
    assert len(terms) >= 3
    assert all(term["source"] for term in terms)


def test_a_model_from_a_config_file(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(LLAMA))
    assert run(["startup", "--model", str(file), "--gpu", "L40S", "--storage", "nvme", "-o", "json"]) == 0
    own = json.loads(capsys.readouterr().out)
    assert (
        run(
            [
                "startup",
                "--model",
                "Llama-3.1-8B-Instruct",
                "--gpu",
                "L40S",
                "--storage",
                "nvme",
                "-o",
                "json",
            ]
        )
        == 0
    )
    catalog = json.loads(capsys.readouterr().out)
    assert own["ready_s"] == pytest.approx(catalog["ready_s"])
