"""Pulumi's surroundings: what is missing is said in a sentence, with exit code 3."""

import shutil
from pathlib import Path

import pytest

pytest.importorskip("pulumi")

from homeport.errors import EnvironmentProblem
from homeport_infra.automation import environment, failure
from tests.commands.shell import EXAMPLES, homeport

# As pulumi 3.259.0 printed it on a machine without the plugin and without a network.
NO_PLUGIN = """code: 255
stderr: error: Could not automatically download and install resource plugin 'pulumi-resource-kubernetes' at version \
v4.34.2, install the plugin using `pulumi plugin install resource kubernetes v4.34.2`: failed all 5 attempts
""".replace("\\\n", "")


def test_a_missing_plugin_is_named_with_its_command() -> None:
    problem = failure("preview", NO_PLUGIN)
    assert "plugin 'kubernetes' v4.34.2" in str(problem)
    assert problem.help == "pulumi plugin install resource kubernetes v4.34.2"
    assert problem.exit_code == 3


def test_another_failure_ends_with_the_engines_own_words() -> None:
    problem = failure("up", "stdout: Updating\nerror: update failed\n\n")
    assert str(problem) == "pulumi up failed: error: update failed"


def test_state_is_local_and_private_and_never_without_a_passphrase(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with pytest.raises(EnvironmentProblem, match="passphrase"):
        environment("up")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "secret")
    found = environment("up")
    folder = tmp_path / "homeport" / "pulumi"
    assert found["PULUMI_BACKEND_URL"] == folder.as_uri()
    assert folder.stat().st_mode & 0o077 == 0
    assert "secret" not in str(found)
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://bucket")
    assert "PULUMI_BACKEND_URL" not in environment("up")


@pytest.mark.skipif(shutil.which("pulumi") is not None, reason="the pulumi program is installed here")
def test_without_the_program_preview_prints_all_the_same_and_exits_3() -> None:
    answer = homeport("preview", "-f", str(EXAMPLES / "support.yaml"))
    assert answer.returncode == 3
    assert b"apps/v1/Deployment" in answer.stdout
    assert b"the pulumi program" in answer.stderr
    assert homeport("up", "-f", str(EXAMPLES / "support.yaml"), "--yes").returncode == 3


@pytest.mark.skipif(shutil.which("pulumi") is None, reason="needs the pulumi program")
def test_the_engine_runs_the_program(tmp_path: Path) -> None:
    """With the program but perhaps no plugin: the engine starts, and ends well or in a sentence."""
    answer = homeport(
        "preview",
        "-f",
        str(EXAMPLES / "support.yaml"),
        env={
            "PULUMI_CONFIG_PASSPHRASE": "x",
            "XDG_STATE_HOME": str(tmp_path),
            "PULUMI_HOME": str(tmp_path / "home"),
        },
    )
    text = answer.stderr.decode()
    assert answer.returncode in (0, 3), text
    assert "assistantEndpoint" in text
    assert "Traceback" not in text
