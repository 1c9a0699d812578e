"""A report takes the place of an older report, and of nothing else."""

import os
import stat
from pathlib import Path

import pytest

from homeport.commands.main import run
from homeport.errors import EnvironmentProblem, HomeportError
from homeport.files import write_whole
from homeport.reports.save import check, save

CASE = (
    "cost", "--model=Qwen/Qwen3-8B", "--requests-per-day=20000", "--input-tokens=1000", "--output-tokens=200",
    "--target=gke", "--compare=gpt-4.1",
)  # fmt: skip


def test_an_older_report_is_replaced_and_the_mode_of_a_new_one_is_usual(
    tmp_path: Path, support: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "out.html"
    page.write_bytes(support.read_bytes())
    assert run([*CASE, "--report", str(page)]) == 0
    assert b"Qwen" in page.read_bytes()
    assert f"wrote {page}" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["out.html"]
    (tmp_path / "plain").touch()
    assert stat.S_IMODE(page.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


@pytest.mark.parametrize("content", ["<!doctype html><title>mine</title>", "notes", "\x00\xff"])
def test_another_file_is_left_as_it_is(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "out.html"
    page.write_text(content, encoding="utf-8")
    assert run([*CASE, "--report", str(page)]) == 2
    said = capsys.readouterr()
    assert "is no report" in said.err
    assert said.out == "", "it is said before the work is done"
    assert page.read_text(encoding="utf-8") == content


def test_an_empty_file_may_become_a_report(tmp_path: Path) -> None:
    (tmp_path / "out.html").touch()
    assert run([*CASE, "--report", str(tmp_path / "out.html")]) == 0
    assert (tmp_path / "out.html").stat().st_size > 10_000


def test_a_folder_a_missing_folder_a_pipe_and_stdout_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, word in (
        (tmp_path, "folder"),
        (tmp_path / "no" / "out.html", "no folder"),
        (tmp_path / "pipe", "no ordinary file"),
        (Path("-"), "stdout"),
    ):
        with pytest.raises(HomeportError, match=word):
            check(path)


def test_a_link_is_followed_and_stays_a_link(tmp_path: Path, support: Path) -> None:
    (tmp_path / "real.html").touch()
    (tmp_path / "link.html").symlink_to("real.html")
    save(tmp_path / "link.html", support.read_text(encoding="utf-8"))
    assert (tmp_path / "link.html").is_symlink()
    assert (tmp_path / "real.html").read_bytes() == support.read_bytes()


def test_a_write_that_fails_leaves_the_old_report_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "out.html"
    write_whole(page, "old", replace=True)

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(EnvironmentProblem, match="No space left"):
        write_whole(page, "new", replace=True)
    assert page.read_text(encoding="utf-8") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out.html"]


def test_without_replace_a_taken_name_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine", encoding="utf-8")
    with pytest.raises(FileExistsError):
        write_whole(tmp_path / "a", "theirs", replace=False)
    assert (tmp_path / "a").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_the_answer_is_the_same_with_and_without_a_report(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*CASE, "-o", form]) == 0
    without = capsys.readouterr().out
    assert run([*CASE, "-o", form, "--report", str(tmp_path / "out.html")]) == 0
    assert capsys.readouterr().out == without
