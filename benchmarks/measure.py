"""Whole processes, run in turns, and what they took."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

LAUNCH = Path(__file__).parent / "launch.py"


class Command(NamedTuple):
    """A command line; its first word is a path. `env` is the whole environment."""

    args: Sequence[str]
    env: Mapping[str, str]


class Took(NamedTuple):
    """Medians of several runs of one command."""

    wall_s: float
    cpu_s: float
    peak_mib: float
    runs: int


class FailedError(Exception):
    """A command that is measured ended badly: its time says nothing."""


def environment(python_path: Path | None = None) -> dict[str, str]:
    """The environment of what is measured: offline, nothing of the developer's settings, bytecode not rewritten."""
    drop = ("HOMEPORT_", "PULUMI_", "PYTHON", "COLUMNS", "FORCE_COLOR", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(drop)}
    kept |= {"HF_HUB_OFFLINE": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    if python_path is not None:
        kept["PYTHONPATH"] = str(python_path)
    return kept


def in_turns(
    commands: Mapping[str, Command], rounds: int, progress: Callable[[str], None]
) -> dict[str, Took]:
    """Run every command once a round, after one round that is not counted, so that all meet the same load.

    Raises FailedError for a command that does not exit with 0.
    """
    seen: dict[str, list[tuple[float, float, float]]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        progress(f"round {number} of {rounds}" if number else "a round to warm up")
        for name, command in commands.items():
            took = once(command)
            if number:
                seen[name].append(took)
    return {
        name: Took(median(r[0] for r in runs), median(r[1] for r in runs), median(r[2] for r in runs), rounds)
        for name, runs in seen.items()
    }


def once(command: Command) -> tuple[float, float, float]:
    """Run a command; return wall seconds, CPU seconds and peak MiB. Raises FailedError."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(LAUNCH), *command.args],
        env=dict(command.env),
        capture_output=True,
        text=True,
        check=True,
    )
    wall, cpu, peak, status = done.stdout.split()
    if status != "0":
        # Once more, to hear what it says.
        again = subprocess.run(
            command.args, env=dict(command.env), stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        raise FailedError(
            f"{' '.join(command.args)} exits with {status}:\n{again.stderr.decode(errors='replace')}"
        )
    return float(wall), float(cpu), int(peak) / 1024
