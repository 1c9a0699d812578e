"""Whole outputs: what a user sees, kept as files under tests/golden.

HOMEPORT_UPDATE_GOLDEN=1 writes them anew; what changed is then read in the diff.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from homeport.commands.main import BY_NAME, cli
from tests.commands.shell import EXAMPLES, environment

GOLDEN = Path(__file__).parents[1] / "golden"
UPDATE = bool(os.environ.get("HOMEPORT_UPDATE_GOLDEN"))

# The command on a fixed day: prices are called old by their age.
ON_A_DAY = """
import datetime, sys

class Day(datetime.date):
    @classmethod
    def today(cls):
        return cls(2026, 12, 1)

datetime.date = Day
from homeport.__main__ import main
main()
"""

MISTAKES = """version: 1
name: Support
target: {platform: gek}
models:
  - name: assistant
    model: meta-llama/Llama-3.1-8B-Instruct
    precision: bf15
    workload: {requests_per_day: -5, input_tokens: many}
    replicas: {min: 3, max: 2}
  - name: assistant
    modle: Qwen/Qwen3-8B
    workload: {requests_per_day: 1000, input_tokens: 100, output_tokens: 100}
"""
KUBECONFIG = """apiVersion: v1
kind: Config
current-context: production
clusters: [{name: here, cluster: {server: "https://127.0.0.1:1"}}]
contexts: [{name: production, context: {cluster: here, user: me}}]
users: [{name: me, user: {token: tell-nobody}}]
"""
NO_YAML = "version: 1\nname: support\nmodels: [\n"
ONE = "--requests-per-day 100000 --input-tokens 1000 --output-tokens 500"

OUTPUTS = {
    "version": "--version",
    "plan": "plan -f support.yaml",
    "plan-explain": "plan -f support.yaml --explain",
    "plan-fleet": "plan -f fleet.yaml",
    "plan-kind": "plan -f local.yaml",
    "plan-flags": f"plan --model Qwen/Qwen3-32B {ONE} --target eks --gpu H100",
    "cost": "cost -f support.yaml",
    "cost-json": "cost -f support.yaml -o json",
    "cost-csv": "cost -f support.yaml -o csv",
    "cost-guide": f"cost --model meta-llama/Llama-3.1-70B-Instruct {ONE} --compare gpt-4.1 --method guide",
    "render": "render -f support.yaml -o -",
    "render-dry-run": "render -f fleet.yaml -o out --dry-run",
    "config": "config -f support.yaml --gpu L4",
    "size": "size --model Llama-3.1-8B-Instruct --gpu L40S --max-model-len 8192",
    "size-explain": "size --model Qwen3-32B --gpu H100-SXM-80GB --tensor-parallel-size 2 --explain",
    "throughput": "throughput --model Llama-3.1-8B-Instruct --gpu L40S --input-tokens 1000 --output-tokens 500",
    "startup": "startup --model Llama-3.1-8B-Instruct --gpu L40S --storage nvme",
    "models-list": "models list",
    "models-show": "models show Llama-3.1-8B-Instruct",
    "gpus-list": "gpus list",
    "gpus-show": "gpus show L40S",
    "engines-list": "engines list",
    "init": f"init --model Qwen/Qwen3-8B {ONE} --target gke -o -",
    "error-no-command": "",
    "error-command": "plna",
    "error-option": "plan --modle x",
    "error-value": "plan -f support.yaml --target gek",
    "error-nothing-to-read": "cost",
    "error-no-file": "render -f missing.yaml",
    "error-folder": "plan -f .",
    "error-spec": "plan -f mistakes.yaml",
    "error-yaml": "plan -f broken.yaml",
    "error-flags": "plan --model Llama-3.1-8B-Instruckt",
    "error-does-not-fit": f"plan --model meta-llama/Llama-3.1-405B-Instruct {ONE} --target gke --gpu L4",
    "error-too-slow": f"plan --model meta-llama/Llama-3.1-70B-Instruct {ONE} --target gke --tpot-ms 1",
    "error-engine-flag": "plan -f flag.yaml",
    "error-api": "cost -f support.yaml --compare gpt-4.11",
    "error-gpu": "gpus show H1000",
    "error-kubeconfig": "diff -f support.yaml --kubeconfig missing.yaml",
    "error-context": "diff -f support.yaml --kubeconfig config.yaml --context prodution",
    "error-unreachable": "diff -f support.yaml --kubeconfig config.yaml",
    "error-size": "size --model Llama-3.1-70B-Instruct --gpu L4",
}


def helps() -> dict[str, str]:
    """The help of every command, groups and what is in them."""
    found = {"help": "--help"}
    for name in BY_NAME:
        command = cli.get_command(click.Context(cli), name)
        found[f"help-{name}"] = f"{name} --help"
        if isinstance(command, click.Group):
            found |= {f"help-{name}-{sub}": f"{name} {sub} --help" for sub in command.commands}
    return found


CASES = helps() | OUTPUTS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("golden")
    for example in ("support.yaml", "fleet.yaml", "local.yaml"):
        shutil.copy(EXAMPLES / example, made)
    (made / "mistakes.yaml").write_text(MISTAKES)
    (made / "broken.yaml").write_text(NO_YAML)
    (made / "config.yaml").write_text(KUBECONFIG)
    text = (made / "support.yaml").read_text()
    (made / "flag.yaml").write_text(
        text.replace("    workload:", "    extra_args: [--enable-prefix-cachin]\n    workload:", 1)
    )
    return made


@pytest.mark.parametrize("name", list(CASES))
def test_what_a_user_sees(name: str, folder: Path) -> None:
    line = CASES[name]
    answer = subprocess.run(
        [sys.executable, "-c", ON_A_DAY, *line.split()],
        cwd=folder,
        env=environment({"COLUMNS": "100"}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
        check=False,
    )
    seen = f"$ {f'homeport {line}'.strip()}\n[exit code {answer.returncode}]\n"
    for stream, text in (("stdout", answer.stdout.decode()), ("stderr", answer.stderr.decode())):
        if text:
            seen += f"--- {stream}\n{text}"
    file = GOLDEN / f"{name}.txt"
    if UPDATE:
        file.write_text(seen, "utf-8")
    assert seen == file.read_text("utf-8"), (
        "if it is meant, run with HOMEPORT_UPDATE_GOLDEN=1 and read the diff"
    )
    assert "Traceback" not in seen
    assert (answer.returncode == 0) == (not name.startswith("error-"))


def test_no_golden_file_is_left_over() -> None:
    assert {file.stem for file in GOLDEN.glob("*.txt")} == set(CASES)
