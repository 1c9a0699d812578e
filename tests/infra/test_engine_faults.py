"""What a run survives: a killed CLI, Ctrl-C, a lock, an API server that dies. The same command goes on from there."""

import json
import os
import secrets
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("pulumi")

from tests.infra.engine import Engine, cli_of, finish, kill, until
from tests.testbed.cluster import Testbed
from tests.testbed.nodes import cpu

pytestmark = pytest.mark.cluster
NODE = "fault-cpu"


@pytest.fixture
def bed(testbed: Testbed) -> Iterator[Testbed]:
    """A testbed without a node: a Deployment waits for its pods, so that there is a middle to break in."""
    testbed.remove_nodes()
    yield testbed
    testbed.remove_nodes(NODE)


@pytest.fixture
def engine(bed: Testbed, tmp_path: Path) -> Engine:
    return Engine(tmp_path, bed.kubeconfig)


@pytest.fixture
def name(bed: Testbed) -> Iterator[str]:
    made = f"fault-{secrets.token_hex(3)}"
    yield made
    bed.kubectl("delete", "namespace", made, "--wait=false", "--ignore-not-found")


def in_the_middle(bed: Testbed, name: str) -> None:
    """Wait until the Deployment is there, and `up` waits for its pods."""
    until(
        lambda: bed.kubectl("get", "deployment", "tiny", "-n", name, "--ignore-not-found", check=False).count(
            "tiny "
        )
    )
    time.sleep(0.5)


def completes(engine: Engine, bed: Testbed, spec: str, name: str) -> str:
    """With a node to run on, the same command ends well, and a second one changes nothing."""
    bed.add_nodes(cpu(NODE, cpus=64, memory_gib=256))
    text = engine.run("up", "-f", spec, "--yes")
    assert bed.json("get", "deployment", "tiny", "-n", name)["status"]["readyReplicas"] == 1
    assert set(engine.answer("up", "-f", spec, "--yes")["changes"]) == {"same"}
    assert not engine.state().get("pending_operations")
    return text


def test_a_killed_run_is_taken_up(engine: Engine, bed: Testbed, name: str) -> None:
    spec = str(engine.spec(name))
    process = engine.start("up", "-f", spec, "--yes")
    in_the_middle(bed, name)
    kill(cli_of(process))
    finish(process, 3)
    assert engine.state()["pending_operations"], "the state tells what was being made"
    assert "the last run was cut off while creating" in engine.run("preview", "-f", spec)
    text = completes(engine, bed, spec, name)
    assert "is gone: the lock is removed" in text or "cut off while creating" in text
    # A later change meets fields that belong to the killed run's field manager: nobody's any more.
    engine.run("up", "-f", str(engine.spec(name, image="vllm/vllm-openai-cpu:v0.11.1")), "--yes")


def test_ctrl_c_keeps_the_state_and_the_same_command_goes_on(engine: Engine, bed: Testbed, name: str) -> None:
    spec = str(engine.spec(name))
    process = engine.start("up", "-f", spec, "--yes")
    in_the_middle(bed, name)
    process.send_signal(signal.SIGINT)
    text = finish(process, 130)
    assert "stopping after the steps that are running" in text
    assert "the same command goes on from there" in text
    completes(engine, bed, spec, name)


def test_a_second_ctrl_c_stops_at_once_and_the_same_command_goes_on(
    engine: Engine, bed: Testbed, name: str
) -> None:
    spec = str(engine.spec(name))
    process = engine.start("up", "-f", spec, "--yes")
    in_the_middle(bed, name)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    started = time.monotonic()
    assert "the same command goes on from there" in finish(process, 130)
    assert time.monotonic() - started < 30, "a Deployment without a node is waited for ten minutes"
    completes(engine, bed, spec, name)


def test_an_api_server_that_dies_in_the_middle(engine: Engine, bed: Testbed, name: str) -> None:
    spec = str(engine.spec(name))
    process = engine.start("up", "-f", spec, "--yes")
    in_the_middle(bed, name)
    bed.kill_apiserver()
    try:
        process.send_signal(signal.SIGINT)
        finish(process, 130)
        assert "does not answer" in engine.run("up", "-f", spec, "--yes", code=3)
    finally:
        bed.restart_apiserver()
    completes(engine, bed, spec, name)


def test_a_locked_stack_is_named(engine: Engine, bed: Testbed, name: str) -> None:
    spec = str(engine.spec(name))
    folder = engine.state_file().parents[2] / "locks/organization/homeport/dev"
    folder.mkdir(parents=True, exist_ok=True)
    lock = {
        "pid": os.getpid(),
        "username": "ada",
        "hostname": socket.gethostname(),
        "timestamp": "2026-08-03T10:00:00Z",
    }
    (folder / "11111111-2222-3333-4444-555555555555.json").write_text(json.dumps(lock))
    text = engine.run("up", "-f", spec, "--yes", code=3)
    assert f"stack dev is locked by ada@{socket.gethostname()} (process {os.getpid()})" in text
    assert "pulumi cancel" in text
