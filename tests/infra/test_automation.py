"""Pulumi's surroundings: what is missing or in the way is said in a sentence, with exit code 3."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pulumi")

from homeport.errors import EnvironmentProblem
from homeport_infra import kept, reach, state
from homeport_infra.automation import target
from homeport_infra.failures import failure
from homeport_infra.state import environment
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


@pytest.mark.parametrize(
    ("output", "sentence", "advice"),
    [
        ("stdout: Updating\nerror: update failed\n\n", "pulumi up failed: error: update failed", "goes on from there"),
        ("error: constructing secrets manager: incorrect passphrase", "passphrase does not open stack prod", "PULUMI_CONFIG_PASSPHRASE"),
        (
            "error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or delete the lock "
            "file with `pulumi cancel`.\n  file:///state/.pulumi/locks/organization/homeport/prod/1.json: created by ada@box (pid 42) "
            "at 2026-08-03T10:00:00Z",
            "stack prod is locked by ada@box (process 42) since 2026-08-03T10:00:00Z",
            "pulumi cancel",
        ),
        ('resource "models/chat" already exists', "models/chat already exists in the cluster", "--adopt"),
        (
            'Apply failed with 1 conflict: conflict with "kubectl-edit" using apps/v1: .spec.replicas',
            "a field is owned by 'kubectl-edit'",
            "--adopt",
        ),
        (
            'deployments.apps is forbidden: User "ci" cannot create resource "deployments" in API group "apps" in the namespace "m"',
            'User "ci" may not create deployments',
            'apiGroups ["apps"], resources ["deployments"], verbs ["create"]',
        ),
        ('no matches for kind "ScaledObject" in version "keda.sh/v1alpha1"', "no kind ScaledObject", "--layer platform"),
        ("configured Kubernetes cluster is unreachable: bad certificate", "no cluster can be reached: bad certificate", "goes on"),
        ("failed to reach the API server https://127.0.0.1:1: [Errno 111] Connection refused", "stopped answering during up", "same command"),
        ("Deployment a/b did not become ready in time", "Deployment a/b did not become ready", "homeport doctor"),
        ("error: failed to load checkpoint: place 1: unexpected end of JSON input", "the state of stack prod cannot be read: unexpected end of JSON input", "prod.json.bak"),
        (
            "error: 2 errors occurred:\n    1) write /state/.pulumi/locks/organization/homeport/prod/1.json.18e.tmp: no space left on device\n"
            "    2) Unknown",
            "the state of stack prod cannot be written: no space left on device",
            "has room",
        ),
        (
            'pre-step event returned an error: failed to save snapshot: blob (key ".pulumi/stacks/homeport/prod.json") (code=Unknown): write '
            "/state/.pulumi/stacks/homeport/prod.json.18e.tmp: read-only file system\nerror: update failed",
            "the state of stack prod cannot be written: read-only file system",
            "has room",
        ),
        (
            'error: read ".pulumi/meta.yaml": blob (key ".pulumi/meta.yaml") (code=Unknown): operation error S3: GetObject, dial tcp '
            "127.0.0.1:1: connect: connection refused",
            "the state backend file:///state cannot be used",
            "--backend",
        ),
    ],
)  # fmt: skip
def test_what_the_engine_says_becomes_a_sentence(output: str, sentence: str, advice: str) -> None:
    problem = failure("up", output, stack="prod", backend="file:///state")
    assert sentence in str(problem)
    assert advice in str(problem.help)
    assert "\n" not in str(problem)
    assert problem.exit_code == 3


def test_the_password_of_a_backend_is_never_said() -> None:
    backend = "postgres://ada:s3cret@db.example.com:5432/state"
    for output in (
        f'error: unable to open state database "{backend}": failed to ping PostgreSQL: connection refused',
        "error: the stack is currently locked by 1 lock(s): created by ada@box (pid 42) at 2026-08-03T10:00:00Z",
        f"error: something else at {backend}",
    ):
        problem = failure("up", output, backend=backend)
        assert "s3cret" not in f"{problem} {problem.help}"
        assert "postgres://ada:…@db.example.com:5432/state" in f"{problem} {problem.help}"


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    for name in (
        "PULUMI_BACKEND_URL",
        "PULUMI_CONFIG_PASSPHRASE",
        "PULUMI_CONFIG_PASSPHRASE_FILE",
        "KUBECONFIG",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return monkeypatch


def test_state_is_local_and_private_and_never_without_a_passphrase(
    unset: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(EnvironmentProblem, match="passphrase"):
        environment("up")
    unset.setenv("PULUMI_CONFIG_PASSPHRASE", "secret")
    found = environment("up")
    folder = tmp_path / "homeport" / "pulumi"
    assert found["PULUMI_BACKEND_URL"] == folder.as_uri()
    assert folder.stat().st_mode & 0o077 == 0
    assert "secret" not in str(found)


def test_a_folder_that_cannot_be_made_is_a_sentence(unset: pytest.MonkeyPatch, tmp_path: Path) -> None:
    unset.setenv("PULUMI_CONFIG_PASSPHRASE", "x")
    (tmp_path / "homeport").write_text("a file")
    with pytest.raises(
        EnvironmentProblem, match="where the state goes, cannot be made: Not a directory"
    ) as stopped:
        environment("preview")
    assert "--backend" in str(stopped.value.help)


def test_another_backend_is_named_by_the_environment_or_the_option(unset: pytest.MonkeyPatch) -> None:
    unset.setenv("PULUMI_BACKEND_URL", "s3://bucket")
    with pytest.raises(EnvironmentProblem, match="passphrase"):
        environment("up")  # a bucket keeps no key
    unset.setenv("PULUMI_BACKEND_URL", "https://api.pulumi.com")
    assert environment("up")["PULUMI_BACKEND_URL"] == "https://api.pulumi.com"
    unset.setenv("PULUMI_CONFIG_PASSPHRASE", "x")
    assert environment("up", "gs://other")["PULUMI_BACKEND_URL"] == "gs://other"


def lock(folder: Path, pid: int, host: str) -> Path:
    file = folder / ".pulumi" / "locks" / "organization" / "homeport" / "dev" / f"{pid}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(
        json.dumps({"pid": pid, "username": "ada", "hostname": host, "timestamp": "2026-08-03T10:00:00Z"})
    )
    return file


def test_only_the_locks_of_dead_processes_here_are_removed(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead = lock(tmp_path, ended.pid, socket.gethostname())
    alive = lock(tmp_path, os.getpid(), socket.gethostname())
    elsewhere = lock(tmp_path, ended.pid + 1_000_000, "another-machine")
    assert state.break_dead_locks(tmp_path.as_uri(), "homeport", "dev") == [f"process {ended.pid}"]
    assert (dead.exists(), alive.exists(), elsewhere.exists()) == (False, True, True)
    assert state.break_dead_locks("s3://bucket", "homeport", "dev") == []


def test_what_a_full_disk_left_of_a_lock_is_removed(tmp_path: Path) -> None:
    """Pulumi reads it, and fails until it is gone; one that is being written is nobody's business."""
    folder = lock(tmp_path, os.getpid(), socket.gethostname()).parent
    left, written = folder / "1.json.18ec7e7d5b583e0b.tmp", folder / "2.json.18ec7e7d5b583e0c.tmp"
    left.touch()
    written.touch()
    os.utime(left, (0, 0))
    assert state.break_dead_locks(tmp_path.as_uri(), "homeport", "dev") == []
    assert (left.exists(), written.exists()) == (False, True)


CLAIM = {
    "urn": "urn:c",
    "type": kept.CLAIM,
    "id": "ns/weights",
    "parent": "urn:server",
    "provider": "urn:p::id",
    "dependencies": ["urn:ns"],
    "retainOnDelete": True,
    "inputs": {"spec": {"resources": {"requests": {"storage": "20Gi"}}}},
}
DEPLOYMENT = {
    "resources": [
        {"urn": "urn:stack", "type": "pulumi:pulumi:Stack", "outputs": {"gpus": 1}},
        {"urn": "urn:p", "type": "pulumi:providers:kubernetes"},
        {"urn": "urn:ns", "type": "kubernetes:core/v1:Namespace", "parent": "urn:stack"},
        {"urn": "urn:server", "type": "homeport:index:ModelServer", "parent": "urn:stack", "dependencies": ["urn:ns"]},
        {"urn": "urn:pods", "type": "kubernetes:apps/v1:Deployment", "parent": "urn:server", "dependencies": ["urn:c"]},
        CLAIM,
    ],
    "pending_operations": [{"type": "creating", "resource": {"urn": "urn:x", "type": "kubernetes:core/v1:Service"}}],
}  # fmt: skip


def test_a_destroy_spares_claims_and_what_they_stand_on() -> None:
    (volume,) = kept.volumes(DEPLOYMENT)
    assert (volume.name, volume.size_gib) == ("ns/weights", 20)
    assert set(kept.spared(DEPLOYMENT)) == {"urn:c", "urn:server", "urn:ns", "urn:p", "urn:stack"}
    copy = json.loads(json.dumps(DEPLOYMENT))
    assert kept.release(copy)
    assert not kept.release(copy)
    assert state.stack_outputs(DEPLOYMENT) == {"gpus": 1}
    assert [(c.operation, c.urn) for c in state.cut_off(DEPLOYMENT)] == [("creating", "urn:x")]


def test_a_target_is_a_model_or_a_urn() -> None:
    assert list(target("urn:pulumi:dev::homeport::a")) == ["urn:pulumi:dev::homeport::a"]
    assert "**homeport:index:ModelServer::chat" in list(target("chat"))


def kubeconfig(folder: Path, server: str) -> Path:
    file = folder / "config"
    file.write_text(
        f"current-context: one\nclusters: [{{name: c, cluster: {{server: '{server}'}}}}]\n"
        "contexts: [{name: one, context: {cluster: c}}]\n"
    )
    return file


def test_a_cluster_that_does_not_answer_is_named(unset: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        server = f"https://127.0.0.1:{taken.getsockname()[1]}"
        file = str(kubeconfig(tmp_path, server))
        assert f"the cluster of context 'one' ({server}) does not answer" in str(reach.unreachable(file))
        taken.listen()
        assert reach.unreachable(file) is None
        assert f"{file} has no context 'two' (it has one)" == reach.unreachable(file, "two")
    assert "no kubeconfig at" in str(reach.unreachable(str(tmp_path / "none")))
    (tmp_path / "broken").write_text("{")
    assert "cannot be read as a kubeconfig" in str(reach.unreachable(str(tmp_path / "broken")))


@pytest.mark.skipif(shutil.which("pulumi") is not None, reason="the pulumi program is installed here")
def test_without_the_program_preview_prints_all_the_same_and_exits_3() -> None:
    answer = homeport("preview", "-f", str(EXAMPLES / "support.yaml"))
    assert answer.returncode == 3
    assert b"apps/v1/Deployment" in answer.stdout
    assert b"assistant: new, 1 replica" in answer.stdout
    assert b"the pulumi program" in answer.stderr
    assert homeport("up", "-f", str(EXAMPLES / "support.yaml"), "--yes").returncode == 3


def test_up_refuses_what_is_over_budget_before_anything_else(tmp_path: Path) -> None:
    """With a program of that name that fails when it is started: it is not."""
    fake = tmp_path / "pulumi"
    fake.write_text("#!/bin/sh\nexit 9\n")
    fake.chmod(0o755)
    spec = tmp_path / "homeport.yaml"
    spec.write_text((EXAMPLES / "support.yaml").read_text() + "\nbudget: {usd_per_month: 100}\n")
    answer = homeport("up", "-f", str(spec), "--yes", env={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert answer.returncode == 1
    assert b"policy budget: a month costs at least $" in answer.stderr
    assert b"nothing was changed" in answer.stderr
