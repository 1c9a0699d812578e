"""Reports of a few specs, each made once by the command that users run."""

from collections.abc import Callable
from pathlib import Path

import pytest

from homeport.commands.main import run

LLAMA = """\
version: 1
name: support
target: {platform: gke, region: us-central1}
compare: [gpt-4.1-mini, gpt-4.1, claude-sonnet-4]
models:
  - name: assistant
    model: meta-llama/Llama-3.1-70B-Instruct
    workload: {requests_per_day: 100000, input_tokens: 1000, output_tokens: 500}
"""
FLEET = """\
version: 1
name: fleet
target: {platform: eks}
compare: [gpt-4.1, claude-sonnet-4-5]
costs:
  storage_usd_per_gib_month: 0.1
  platform_usd_per_month: 400
  engineering_usd_per_hour: 90
models:
  - name: assistant
    model: meta-llama/Llama-3.1-70B-Instruct
    workload: {requests_per_day: 60000, input_tokens: 1000, output_tokens: 500}
  - name: sorter
    model: Qwen/Qwen3-8B
    workload: {requests_per_day: 200000, input_tokens: 400, output_tokens: 20}
  - name: sorter-two
    model: Qwen/Qwen3-8B
    workload: {requests_per_day: 200000, input_tokens: 400, output_tokens: 20}
"""
ALONE = """\
version: 1
name: alone
target: {platform: generic}
models:
  - name: assistant
    model: Qwen/Qwen3-32B
    workload: {requests_per_day: 20000, input_tokens: 1000, output_tokens: 500}
"""
SIMULATED = ALONE.replace("generic", "kind").replace("alone", "simulated")
SPLIT = LLAMA.replace("name: support", "name: split").replace(
    "output_tokens: 500", "output_tokens: 500, personal_data_share: 0.3, simple_share: 0.4"
)

MODELS = ("Qwen/Qwen3-8B", "Qwen/Qwen3-32B", "meta-llama/Llama-3.1-8B-Instruct")
MANY = "version: 1\nname: many\ntarget: {platform: gke}\ncompare: [gpt-4.1]\nmodels:\n" + "".join(
    f"  - {{name: model-{i}, model: {MODELS[i % 3]}, "
    f"workload: {{requests_per_day: {10000 + 7000 * i}, input_tokens: 800, output_tokens: 200}}}}\n"
    for i in range(24)
)

SPECS = {
    "support": LLAMA,
    "fleet": FLEET,
    "many": MANY,
    "alone": ALONE,
    "simulated": SIMULATED,
    "split": SPLIT,
}


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function that gives the report of one of SPECS."""
    folder = tmp_path_factory.mktemp("reports")

    def report(name: str) -> Path:
        page = folder / f"{name}.html"
        if not page.exists():
            spec = folder / f"{name}.yaml"
            spec.write_text(SPECS[name], encoding="utf-8")
            assert run(["cost", "-q", "-f", str(spec), "--report", str(page)]) == 0
        return page

    return report


@pytest.fixture(scope="session")
def support(made: Callable[[str], Path]) -> Path:
    """The report of one model next to three APIs."""
    return made("support")
