"""A command imports what it needs and no more: what takes long to import is there for the commands that use it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Asks each command for its help in one process, so that a heavy import shows at the first command that makes it.
HELPS = """
import contextlib, io, sys
from homeport.commands.main import BY_NAME, cli
heavy = {"pulumi", "pulumi_kubernetes", "kubernetes", "huggingface_hub", "jinja2", "yaml", "grpc", "ssl", "asyncio",
         "msgspec"}
for name in [None, *BY_NAME]:
    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):
        cli.main([*([name] if name else []), "--help"], standalone_mode=False)
    assert "Usage: " in said.getvalue(), name
    print(name, *sorted(heavy & set(sys.modules)))
"""


def test_no_help_imports_anything_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", HELPS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    asked = [line[0] for line in lines]
    assert {"None", "plan", "render", "status", "doctor", "diff", "bench", "preview", "up"} <= set(asked)
    assert not [line for line in lines if line[1:]]


# A plain spec, and one whose nodes the stack makes.
SPECS = ["examples/support.yaml", "tests/corpus/nodes.happy.yaml"]


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("command", [["plan"], ["render", "-o", "-"]], ids=["plan", "render"])
def test_planning_and_rendering_import_neither_pulumi_nor_kubernetes(command: list[str], spec: str) -> None:
    args = ["-m", "homeport", *command, "-f", str(ROOT / spec)]
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *args], capture_output=True, text=True, check=True
    )
    assert done.stdout
    tops = {name.partition(".")[0] for name in re.findall(r"\| +([\w.]+)$", done.stderr, re.MULTILINE)}
    assert "homeport" in tops
    assert not tops & {"pulumi", "pulumi_kubernetes", "kubernetes", "huggingface_hub", "jinja2", "grpc"}
    assert not {name for name in tops if name.startswith(("pulumi", "homeport_infra"))}
