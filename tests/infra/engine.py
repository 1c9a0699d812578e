"""Pulumi's real engine against a real API server, with the real provider where its plugin is installed.

Where it is not, a double of the provider stands in (tests/infra/double). Everything else is real: the CLI, the state in files,
the commands, the cluster.
"""

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.commands.shell import ROOT, environment
from tests.testbed.build import ensure

PLUGIN = "pulumi-resource-kubernetes"
PASSPHRASE = "correct horse"
PATIENCE_S = 300
"""A busy machine is slow, not wrong."""
SPEC = """version: 1
name: {name}
target: {{platform: kind}}
models:
  - name: tiny
    model: Qwen/Qwen2.5-0.5B-Instruct
    engine: cpu
    image: {image}
    workload: {{requests_per_day: 500, input_tokens: 200, output_tokens: 100}}
    replicas: {{min: {replicas}, max: {replicas}}}
    weights: {weights}
    scaling: {{by: none}}
costs: {{storage_usd_per_gib_month: 0.2}}
"""


def real_plugin() -> bool:
    """Whether the real provider is installed: on PATH, or among the user's plugins."""
    home = Path(os.environ.get("PULUMI_HOME", Path.home() / ".pulumi"))
    return shutil.which(PLUGIN) is not None or any(home.glob("plugins/resource-kubernetes-v*"))


class Engine:
    """One user with a cluster, a folder of specs and a state of their own."""

    def __init__(self, folder: Path, kubeconfig: Path) -> None:
        self.folder = folder
        programs = folder / "bin"
        programs.mkdir()
        (programs / "pulumi").symlink_to(ensure("pulumi")["pulumi"])
        self.env = {
            "KUBECONFIG": str(kubeconfig),
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            "XDG_STATE_HOME": str(folder / "state"),
            "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        if not real_plugin():
            self.env["PULUMI_HOME"] = str(folder / "home")
            launcher = programs / PLUGIN
            launcher.write_text(f'#!/bin/sh\ncd {ROOT} && exec {sys.executable} -m tests.infra.double "$@"\n')
            launcher.chmod(0o755)

    def cloud(self, name: str, version: str, without: str = "") -> None:
        """Let a double that makes nothing stand in for the provider of a cloud; it drops the input `without`."""
        launcher = self.folder / "bin" / f"pulumi-resource-{name}"
        launcher.write_text(
            f"#!/bin/sh\ncd {ROOT} && exec {sys.executable} -m tests.infra.double.recorded {version} {without}\n"
        )
        launcher.chmod(0o755)

    def spec(
        self,
        name: str,
        *,
        image: str = "vllm/vllm-openai-cpu:v0.11.0",
        replicas: int = 1,
        weights: str = "{source: hub}",
        more: str = "",
    ) -> Path:
        """Write a spec whose namespace is `name`."""
        file = self.folder / f"{name}.yaml"
        file.write_text(SPEC.format(name=name, image=image, replicas=replicas, weights=weights) + more)
        return file

    def asked(self, *args: str, answer: str, code: int = 0) -> str:
        """Run `homeport` with a terminal on which the user types one answer; return what it said."""
        ours, terminal = pty.openpty()
        try:
            os.write(ours, f"{answer}\n".encode())
            return finish(self.start(*args, stdin=terminal), code)
        finally:
            os.close(terminal)
            os.close(ours)

    def start(
        self, *args: str, env: dict[str, str] | None = None, stdin: int = subprocess.DEVNULL
    ) -> subprocess.Popen[bytes]:
        """Start `homeport` and return; its output is read by `finish`."""
        return subprocess.Popen(
            [sys.executable, "-m", "homeport", *args],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment({**self.env, **(env or {})}),
            cwd=self.folder,
        )

    def run(self, *args: str, code: int = 0, env: dict[str, str] | None = None) -> str:
        """Run `homeport` to its end, hold its exit code, and return what it said on both streams."""
        return finish(self.start(*args, env=env), code)

    def out(self, *args: str) -> str:
        """Run `homeport` to a good end; return what it wrote to stdout."""
        process = self.start(*args)
        out, said = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, said.decode()
        return out.decode()

    def answer(self, *args: str) -> dict[str, Any]:
        """Run `homeport … -o json`; return the answer."""
        found: dict[str, Any] = json.loads(self.out(*args, "-o", "json"))
        return found

    def state_file(self, stack: str = "dev") -> Path:
        """The file that holds a stack's state."""
        return self.folder / "state/homeport/pulumi/.pulumi/stacks/homeport" / f"{stack}.json"

    def state(self, stack: str = "dev") -> dict[str, Any]:
        """A stack's state."""
        found: dict[str, Any] = json.loads(self.state_file(stack).read_bytes())["checkpoint"]["latest"] or {}
        return found


def finish(process: subprocess.Popen[bytes], code: int) -> str:
    """Wait for a process, hold its exit code, and return what it said."""
    out, said = process.communicate(timeout=PATIENCE_S)
    text = out.decode() + said.decode()
    assert process.returncode == code, text
    assert "Traceback" not in text, text
    return text


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait for something to be true. Raises TimeoutError."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.05)


def cli_of(process: subprocess.Popen[bytes]) -> int:
    """The process id of the pulumi program that a running `homeport` waits for, once it deploys."""
    found: list[int] = []

    def look() -> bool:
        listed = subprocess.run(
            ["ps", "-o", "pid=,args=", "--ppid", str(process.pid)],
            capture_output=True,
            text=True,
            check=False,
        )
        found.extend(int(line.split()[0]) for line in listed.stdout.splitlines() if " up " in line)
        return bool(found)

    until(look)
    return found[0]


def kill(pid: int) -> None:
    """End a process as a crash would."""
    os.kill(pid, signal.SIGKILL)
