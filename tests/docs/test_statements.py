"""What the hand-written pages say about the code: constants, fields and answers are the code's."""

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from scripts.documents import ROOT

NUMBERS = ROOT / "docs" / "explanation" / "numbers.md"
CASES = ROOT / "docs" / "reference" / "cases.md"


def constants() -> dict[str, str]:
    """Sentences of numbers.md, with the code's own figures in them."""
    from homeport.manifests.pods import NODE_AND_IMAGE_S
    from homeport.planning import candidates, hardware, local, workload
    from homeport.sizing import throughput_work
    from homeport.spec.models import Latency

    limits = Latency()
    nodes = {4: "four"}[candidates.MOST_NODES]
    return {
        "peak": f"`workload.day_profile`, else {workload.PEAK_TO_MEAN:g} (assumed)",
        "p99": f"`workload.total_tokens_p99`; assumed {workload.P99_TO_MEAN:g} × (*i* + *o*)",
        "day": f"*λ* = *q* / {workload.SECONDS_A_DAY:,} s × *m*",
        "context": f"above *P*, at least {workload.LEAST_CONTEXT:,}, at most the model's own limit",
        "limits": f"{limits.ttft_ms:,.0f} ms to the first token and {limits.tpot_ms:g} ms for each token after it",
        "month": f"A month is {hardware.HOURS_A_MONTH} hours",
        "nodes": f"Up to {nodes} nodes a replica are looked at",
        "network": f"network of {throughput_work.NETWORK_GB_S * 8:g} Gbit/s (assumed) between nodes",
        "small": f"a model with at most {local.SMALL_GIB:g} GiB of 16-bit weights runs on vLLM's CPU build",
        "deadline": f"the Deployment's deadline adds {NODE_AND_IMAGE_S} s for both",
    }


@pytest.mark.parametrize("name", constants())
def test_numbers_states_the_code_s_constants(name: str) -> None:
    text = " ".join(NUMBERS.read_text("utf-8").split())
    assert constants()[name] in text


def fields_of(page: Path) -> set[str]:
    """The first cells of a page's tables, where they are code."""
    rows = (
        line.split("|")[1].strip() for line in page.read_text("utf-8").splitlines() if line.startswith("|")
    )
    return {cell.strip("`") for cell in rows if cell.startswith("`")}


def test_cases_lists_every_field_of_a_case() -> None:
    from homeport.sizing.cases import Case

    assert fields_of(CASES) == {field.name for field in msgspec.structs.fields(Case)}


CASE = {
    "id": "a",
    "model_config": {
        "model_type": "llama",
        "num_hidden_layers": 32,
        "hidden_size": 4096,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "intermediate_size": 14336,
        "vocab_size": 128256,
        "max_position_embeddings": 131072,
        "torch_dtype": "bfloat16",
    },
    "gpu": "L40S",
    "max_model_len": 8192,
    "input_tokens": 500,
    "output_tokens": 100,
    "concurrency": 4,
}


@pytest.mark.parametrize("command", ["size", "throughput", "startup"])
def test_cases_lists_every_key_of_an_answer(command: str) -> None:
    lines = json.dumps(CASE) + "\n\n{}\n" + json.dumps(CASE) + "\n"
    ran = subprocess.run(
        [sys.executable, "-m", "homeport", command, "--cases", "-"],
        input=lines,
        capture_output=True,
        text=True,
        check=False,
    )
    answers = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(answers) == 2
    paragraph = next(
        text for text in CASES.read_text("utf-8").split("\n\n") if text.startswith(f"**{command}**: ")
    )
    assert all(f"`{key}`" in paragraph for key in answers[0]), answers[0]
    assert ran.returncode == 2
    assert ran.stderr.startswith("<stdin>:3: ")
