"""`homeport render`: what it prints, what it writes, and what it leaves alone."""

import io
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from homeport.commands.main import run

EXAMPLE = Path(__file__).parents[2] / "examples" / "local.yaml"
TO_ZERO = """\
version: 1
name: try
target: {platform: kind}
models:
  - name: tiny
    model: Qwen/Qwen2.5-0.5B-Instruct
    engine: cpu
    workload: {requests_per_day: 500, input_tokens: 200, output_tokens: 100}
    replicas:
      min: 0
      max: 2
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copy(EXAMPLE, tmp_path / "homeport.yaml")
    return tmp_path


def files(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def test_a_folder_is_written_and_the_way_on_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["render", "-o", "out"]) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "wrote 6 objects to out: 9 new files" in printed.err
    assert "kubectl apply -k out" in printed.err
    assert "helm upgrade --install kube-prometheus-stack" in printed.err
    assert {"kustomization.yaml", "base/tiny/deployment.yaml", ".homeport.json"} <= files(folder / "out")


def test_written_again_nothing_changes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["render"]) == 0
    before = {p: p.stat().st_mtime_ns for p in (folder / "manifests").rglob("*")}
    capsys.readouterr()
    assert run(["render"]) == 0
    assert "9 unchanged" in capsys.readouterr().err
    assert {p: p.stat().st_mtime_ns for p in (folder / "manifests").rglob("*")} == before


def test_a_dash_prints_objects_only_and_writes_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["render", "--output", "-"]) == 0
    objects = list(yaml.safe_load_all(capsys.readouterr().out))
    assert [o["kind"] for o in objects][:2] == ["Namespace", "ServiceAccount"]
    assert all(o["apiVersion"] for o in objects)
    assert files(folder) == {"homeport.yaml"}


def test_stdin_gives_the_same_bytes(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["render", "-f", "homeport.yaml", "-o", "-"]) == 0
    from_file = capsys.readouterr().out
    monkeypatch.setattr(
        sys, "stdin", SimpleNamespace(buffer=io.BytesIO((folder / "homeport.yaml").read_bytes()))
    )
    assert run(["render", "-f", "-", "-o", "-"]) == 0
    assert capsys.readouterr().out == from_file


def test_a_dry_run_says_what_would_change_and_changes_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["render", "--dry-run", "-v"]) == 0
    printed = capsys.readouterr()
    assert "would write 6 objects to manifests: 9 new files" in printed.err
    assert "new      manifests/base/tiny/deployment.yaml" in printed.err
    assert files(folder) == {"homeport.yaml"}


def test_a_file_that_somebody_changed_is_named_and_kept(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["render"]) == 0
    edited = folder / "manifests/base/tiny/service.yaml"
    edited.write_text("mine")
    assert run(["render"]) == 2
    assert "base/tiny/service.yaml" in capsys.readouterr().err
    assert edited.read_text() == "mine"
    assert run(["render", "--force"]) == 0
    assert edited.read_text() != "mine"


def test_a_model_that_is_gone_takes_its_files_along(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["render"]) == 0
    spec = (folder / "homeport.yaml").read_text()
    (folder / "homeport.yaml").write_text(spec.replace("name: tiny", "name: other"))
    (folder / "manifests/notes.txt").write_text("mine")
    assert run(["render"]) == 0
    assert not (folder / "manifests/base/tiny").exists()
    assert (folder / "manifests/notes.txt").read_text() == "mine"
    warned = capsys.readouterr().err
    assert "manifests held what this spec does not render: it replaces base/tiny/" in warned
    assert "a cluster that has these objects keeps them until they are deleted there" in warned
    assert "notes.txt" not in warned
    assert run(["render"]) == 0
    assert "replaces" not in capsys.readouterr().err


def test_another_target_in_the_same_folder_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["render"]) == 0
    spec = (folder / "homeport.yaml").read_text()
    (folder / "homeport.yaml").write_text(spec.replace("platform: kind", "platform: minikube"))
    told = (
        "manifests held try for kind, in the namespace try; now it is try for minikube, in the namespace try"
    )
    for more in (["--dry-run"], []):
        capsys.readouterr()
        assert run(["render", *more]) == 0
        assert told in capsys.readouterr().err
    assert run(["render"]) == 0
    assert "held" not in capsys.readouterr().err


def test_what_cannot_be_rendered_is_shown_where_it_stands(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "zero.yaml").write_text(TO_ZERO)
    assert run(["render", "-f", "zero.yaml"]) == 2
    error = capsys.readouterr().err
    assert "zero.yaml:10:12: models[0].replicas.min: " in error
    assert "nothing would wake it" in error
    assert "scaling: {wake: QUERY}" in error
    assert not (folder / "manifests").exists()


def test_a_place_that_cannot_be_written_is_the_environments_fault(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "manifests").write_text("a file")
    assert run(["render"]) == 3
    assert "manifests" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--dry-run", "--force"])
def test_options_about_a_folder_do_not_go_with_a_dash(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["render", "-o", "-", option]) == 2
    assert "'-o -' prints" in capsys.readouterr().err


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["render", "-q"]) == 0
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "")


def test_an_empty_name_is_no_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`-o $UNSET` shall not write to the current folder."""
    assert run(["render", "-o", ""]) == 2
    assert "-o needs the name of a folder" in capsys.readouterr().err
    assert files(folder) == {"homeport.yaml"}
