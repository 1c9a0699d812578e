"""`homeport init`: what it writes, what it asks, and what it never touches."""

import os
import pty
import select
import stat
import sys
from pathlib import Path

import pytest

from homeport.commands.main import run
from homeport.spec.load import load

FLAGS = [
    "--model",
    "Qwen/Qwen3-8B",
    "--requests-per-day",
    "20000",
    "--input-tokens",
    "800",
    "--output-tokens",
    "300",
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_flags_make_a_spec_that_loads(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", *FLAGS, "--target", "gke", "--precision", "fp8", "--compare", "gpt-4.1"]) == 0
    spec = load((folder / "homeport.yaml").read_bytes(), "homeport.yaml").spec
    assert (spec.name, spec.target.platform, spec.compare) == ("qwen3-8b", "gke", ("gpt-4.1",))
    assert (spec.models[0].model, spec.models[0].precision) == ("Qwen/Qwen3-8B", "fp8")
    assert spec.models[0].workload.requests_per_day == 20000
    output = capsys.readouterr()
    assert output.out == ""
    assert "homeport plan -f homeport.yaml" in output.err
    assert [path.name for path in folder.iterdir()] == ["homeport.yaml"]


def test_a_dash_prints_and_writes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", *FLAGS, "-o", "-"]) == 0
    assert load(capsys.readouterr().out, "x").spec.models[0].name == "qwen3-8b"
    assert [path.name for path in folder.iterdir()] == []


def test_a_file_that_exists_is_replaced_only_by_force(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "homeport.yaml").write_text("mine")
    assert run(["init", *FLAGS]) == 2
    assert "--force" in capsys.readouterr().err
    assert (folder / "homeport.yaml").read_text() == "mine"
    assert run(["init", *FLAGS, "--force"]) == 0
    assert load((folder / "homeport.yaml").read_bytes(), "x").spec.name == "qwen3-8b"


def test_a_file_that_appears_meanwhile_is_left_alone(folder: Path) -> None:
    import click

    from homeport.commands.init import write_new

    (folder / "a.yaml").write_text("mine")
    with pytest.raises(click.UsageError):
        write_new(folder / "a.yaml", "theirs", force=False)
    assert (folder / "a.yaml").read_text() == "mine"
    assert [path.name for path in folder.iterdir()] == ["a.yaml"]


def test_a_link_is_followed_and_stays_a_link(folder: Path) -> None:
    (folder / "real.yaml").write_text("old")
    (folder / "link.yaml").symlink_to("real.yaml")
    assert run(["init", *FLAGS, "--force", "-o", "link.yaml"]) == 0
    assert (folder / "link.yaml").is_symlink()
    assert load((folder / "real.yaml").read_bytes(), "x").spec


@pytest.mark.parametrize(("path", "word"), [(".", "folder"), ("no/where.yaml", "no folder")])
def test_where_nothing_can_be_written_is_said_first(
    path: str, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["init", "-o", path]) == 2
    assert word in capsys.readouterr().err


def test_every_missing_flag_and_a_bad_model_are_told_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", "--model", "qwen3-88", "--precision", "bf15"]) == 2
    message = capsys.readouterr().err
    for part in ("--model: no model 'qwen3-88'", "did you mean Qwen/Qwen3-8B", "--precision: 'bf15'"):
        assert part in message
    for flag in ("--requests-per-day", "--input-tokens", "--output-tokens"):
        assert f"{flag}: missing" in message
    assert not Path("homeport.yaml").exists()


def answer(answers: list[str], args: list[str]) -> tuple[str, int]:
    """Run the command on a terminal and type an answer at each question."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-m", "homeport", "init", *args])
    seen, waiting = "", list(answers)
    while select.select([terminal], [], [], 20)[0]:
        try:
            data = os.read(terminal, 4096)
        except OSError:
            break
        if not data:
            break
        seen += data.decode()
        if waiting and seen.endswith(": "):
            os.write(terminal, waiting.pop(0).encode() + b"\n")
    os.close(terminal)
    return seen, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_terminal_is_asked_and_a_bad_answer_asked_again(folder: Path) -> None:
    seen, code = answer(
        ["", "qwen9", "Qwen3-8B", "lots", "5000", "", "-3", "200", "gek", "gke", ""], ["-o", "t.yaml"]
    )
    assert code == 0, seen
    assert "no model 'qwen9'" in seen
    assert "'lots' is text; expected a number" in seen
    assert "did you mean gke?" in seen
    spec = load((folder / "t.yaml").read_bytes(), "t.yaml").spec
    workload = spec.models[0].workload
    assert (workload.requests_per_day, workload.input_tokens, workload.output_tokens) == (5000, 1000, 200)
    assert (spec.name, spec.target.platform) == ("qwen3-8b", "gke")


def test_a_terminal_is_not_asked_when_nothing_is_missing(folder: Path) -> None:
    seen, code = answer([], FLAGS)
    assert code == 0, seen
    assert "[" not in seen


def test_the_file_may_be_read_by_others_as_the_umask_says(folder: Path) -> None:
    before = os.umask(0o022)
    try:
        assert run(["init", *FLAGS]) == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE((folder / "homeport.yaml").stat().st_mode) == 0o644
