"""The project in `infra/` with the CLI alone, as `pulumi up` by hand: Pulumi.yaml, the stacks' examples, the same program.

Where Pulumi's Python host is not installed, the SDK's own language server stands in for it (tests/infra/double/language.py).
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("pulumi")

from tests.commands.shell import ROOT
from tests.infra.engine import PATIENCE_S, Engine
from tests.testbed.cluster import Testbed
from tests.testbed.nodes import cpu

pytestmark = pytest.mark.cluster
NODE = "plain-cpu"
HOST = "pulumi-language-python"


class Project:
    """A copy of `infra/`'s project, with a state of its own."""

    def __init__(self, engine: Engine) -> None:
        self.folder = engine.folder / "infra"
        self.folder.mkdir()
        for file in (*(ROOT / "infra").glob("Pulumi*.yaml"), ROOT / "infra" / "__main__.py"):
            shutil.copy(file, self.folder)
        state = engine.folder / "plain"
        state.mkdir()
        self.env = {
            **os.environ,
            **engine.env,
            "PULUMI_BACKEND_URL": state.as_uri(),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PYTHONPATH": f"{ROOT / 'cli'}:{ROOT / 'infra'}",
        }
        if shutil.which(HOST) is None:
            launcher = engine.folder / "bin" / HOST
            launcher.write_text(
                f'#!/bin/sh\ncd {ROOT} && exec {sys.executable} -m tests.infra.double.language "$@"\n'
            )
            launcher.chmod(0o755)

    def pulumi(self, *args: str, code: int = 0) -> str:
        """Run the CLI, hold its exit code, and return what it said."""
        done = subprocess.run(
            ["pulumi", *args, "--non-interactive"],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + (done.stderr if code else "")


@pytest.fixture
def bed(testbed: Testbed) -> Iterator[Testbed]:
    testbed.add_nodes(cpu(NODE, cpus=64, memory_gib=256))
    yield testbed
    testbed.remove_nodes(NODE)


@pytest.fixture
def name(bed: Testbed) -> Iterator[str]:
    made = f"plain-{secrets.token_hex(3)}"
    yield made
    bed.kubectl("delete", "namespace", made, "--wait=false", "--ignore-not-found")


def test_a_stack_by_hand(bed: Testbed, tmp_path: Path, name: str) -> None:
    """Preview with the bill, up, up again, a spec that cannot work, and an end that keeps the weights."""
    engine = Engine(tmp_path, bed.kubeconfig)
    project = Project(engine)
    bed.volumes(f"class-{name}", 1)
    spec = engine.spec(name, weights=f"{{source: pvc, size_gib: 5, storage_class: class-{name}}}")
    project.pulumi("stack", "init", "dev")
    project.pulumi("config", "set", "homeport:spec", str(spec))
    text = project.pulumi("preview")
    assert "homeport:index:ModelServer tiny create your own machine unknown a month" in text
    assert 'usdPerMonth : "unknown"' in text
    project.pulumi("up", "--yes", "--skip-preview")
    assert bed.json("get", "deployment", "tiny", "-n", name)["status"]["readyReplicas"] == 1
    assert "unchanged" in project.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")
    state = json.loads(project.pulumi("stack", "export"))["deployment"]["resources"]
    (provider,) = [r for r in state if r["type"] == "pulumi:providers:kubernetes"]
    assert provider["inputs"]["enableConfigMapMutable"] == "true"
    assert provider["inputs"]["enableSecretMutable"] == "true"

    spec.write_text(spec.read_text().replace("engine: cpu", "engine: abacus"))
    wrong = project.pulumi("preview", code=1)
    assert "models[0].engine: 'abacus' is not one of" in wrong
    assert "Traceback" not in wrong

    # As docs/how-to/updates.md writes it.
    kept = [part for kind in KEPT for part in ("--exclude", kind)]
    project.pulumi("destroy", "--yes", "--skip-preview", *kept)
    assert [c["metadata"]["name"] for c in bed.json("get", "pvc", "-n", name)["items"]] == ["tiny-weights"]
    assert bed.json("get", "deployment", "-n", name)["items"] == []
    project.pulumi("destroy", "--yes", "--skip-preview")
    assert bed.kubectl("get", "namespace", name, "--ignore-not-found") == ""


KEPT = ("**PersistentVolumeClaim::**", "**Namespace::**", "**ModelServer::**", "**providers:kubernetes::**")


@pytest.mark.parametrize("stack", ["gke", "eks", "aks", "existing"])
def test_the_examples_of_stacks_are_read_by_the_cli(tmp_path: Path, stack: str) -> None:
    project = Project(Engine(tmp_path, tmp_path / "none"))
    project.pulumi("stack", "init", stack)
    found = json.loads(project.pulumi("config", "--stack", stack, "--json"))
    assert found["homeport:spec"]["value"] == "../homeport.yaml"
    assert "models" in found["homeport:layers"]["value"]
    assert found["kubernetes:enableConfigMapMutable"]["value"] == "true"
