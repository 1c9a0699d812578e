"""The distribution that users install: built, installed into an empty environment, used from another folder."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
UV = shutil.which("uv")

pytestmark = pytest.mark.skipif(UV is None, reason="uv builds the wheel, and it is not on PATH")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [str(UV), "build", "--quiet", "--wheel", "--out-dir", str(out), str(ROOT)], check=True, timeout=300
    )
    return next(out.glob("homeport-*.whl"))


@pytest.fixture(scope="module")
def command(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    venv = tmp_path_factory.mktemp("venv") / "v"
    subprocess.run(
        [str(UV), "venv", "--quiet", "--python", sys.executable, str(venv)], check=True, timeout=120
    )
    subprocess.run(
        [str(UV), "pip", "install", "--quiet", "--python", str(venv / "bin" / "python"), str(wheel)],
        check=True,
        timeout=300,
    )
    return venv / "bin" / "homeport"


def run(command: Path, *args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return subprocess.run(
        [str(command), *args],
        cwd=cwd,
        env={**clean, "HF_HUB_OFFLINE": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_wheel_carries_templates_and_data_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert any(
        name.startswith("homeport/templates/") and name.endswith("deployment.yaml.j2") for name in names
    )
    assert "homeport/catalog/data/models.json" in names
    assert {"homeport/reports/report.html.j2", "homeport/reports/report.css"} <= set(names)
    assert "homeport_infra/__init__.py" in names
    strangers = [
        n for n in names if n.split("/")[0] not in ("homeport", "homeport_infra") and ".dist-info/" not in n
    ]
    assert strangers == []


def test_it_works_from_any_folder(command: Path, tmp_path: Path) -> None:
    shutil.copy(ROOT / "examples" / "support.yaml", tmp_path / "homeport.yaml")
    made = run(command, "render", "-o", "out", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "out" / "kustomization.yaml").is_file()
    here = run(Path(sys.executable).parent / "homeport", "render", "-o", "-", cwd=tmp_path)
    assert run(command, "render", "-o", "-", cwd=tmp_path).stdout == here.stdout


def test_the_core_works_without_any_extra(command: Path, tmp_path: Path) -> None:
    shutil.copy(ROOT / "examples" / "support.yaml", tmp_path / "homeport.yaml")
    for args in (
        ["plan"],
        ["cost", "--report", "report.html"],
        ["models", "list"],
        ["gpus", "list"],
        ["schema"],
        ["--version"],
    ):
        answer = run(command, *args, cwd=tmp_path)
        assert answer.returncode == 0, answer.stderr
        assert answer.stdout


def test_a_missing_extra_is_named_with_exit_3(command: Path, tmp_path: Path) -> None:
    shutil.copy(ROOT / "examples" / "support.yaml", tmp_path / "homeport.yaml")
    answer = run(command, "preview", cwd=tmp_path)
    assert answer.returncode == 3
    assert "pip install '.[pulumi]'" in answer.stderr
    # The plan, the bill and the objects are there all the same.
    assert "a month" in answer.stdout
    assert "apps/v1/Deployment" in answer.stdout
    assert run(command, "up", "--yes", cwd=tmp_path).returncode == 3
