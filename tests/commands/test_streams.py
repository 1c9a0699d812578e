"""Streams that a shell, a locale or a disk has spoilt: a sentence and an exit code, never a traceback."""

import subprocess
import sys

import pytest

from tests.commands.shell import EXAMPLES, environment

HOMEPORT = f"{sys.executable} -m homeport"
PLAN = f"{HOMEPORT} plan -f {EXAMPLES / 'support.yaml'}"


def shell(line: str, **env: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["bash", "-c", line], capture_output=True, env=environment(env), timeout=120, check=False
    )


@pytest.mark.parametrize(
    "command", [PLAN, f"{HOMEPORT} --help", f"{HOMEPORT} --version", f"{HOMEPORT} schema"]
)
def test_a_full_disk_is_said_with_exit_3(command: str) -> None:
    done = shell(f"{command} > /dev/full")
    assert done.returncode == 3
    assert b"No space left on device" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_closed_stdout_is_said_with_exit_3() -> None:
    done = shell(f"{PLAN} >&-")
    assert done.returncode == 3
    assert b"cannot write the answer" in done.stderr


def test_a_closed_stdin_reads_as_empty() -> None:
    done = shell(f"{HOMEPORT} plan -f - <&-")
    assert done.returncode == 2
    assert b"the file is empty" in done.stderr


def test_an_error_keeps_its_exit_code_when_nobody_reads_it() -> None:
    done = shell(f"{HOMEPORT} plan --modle x 2>&1 | true; exit ${{PIPESTATUS[0]}}")
    assert done.returncode == 2


@pytest.mark.parametrize(
    "env",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
)
def test_a_pipe_gets_the_same_bytes_under_every_encoding(env: dict[str, str]) -> None:
    assert shell(PLAN, **env).stdout == shell(PLAN).stdout


def test_an_empty_file_name_is_named() -> None:
    done = shell(f"{HOMEPORT} plan -f ''")
    assert done.returncode == 2
    assert b"-f needs the name of a file" in done.stderr
