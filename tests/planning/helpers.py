"""Specs for the planner's tests, and its search done by brute force."""

from collections.abc import Callable

from homeport.spec.load import load
from homeport.spec.models import Spec

Sizes = Callable[[dict[str, tuple[int, float]]], None]
"""Gives instance types their vCPUs and GiB (tests/planning/conftest.py)."""

LLAMA_70B = "meta-llama/Llama-3.1-70B-Instruct"
LLAMA_8B = "meta-llama/Llama-3.1-8B-Instruct"


def spec(
    model: str = LLAMA_8B,
    platform: str = "gke",
    *,
    requests: float = 100_000,
    target: str = "",
    more: str = "",
) -> Spec:
    """A spec of one model; `more` are further lines of the model, `target` further fields of the target."""
    text = f"""version: 1
name: support
target: {{platform: {platform}{target and ", " + target}}}
models:
  - name: assistant
    model: {model}
    workload: {{requests_per_day: {requests}, input_tokens: 1000, output_tokens: 500}}
"""
    for line in more.splitlines():
        text += f"    {line}\n"
    return load(text, "test.yaml").spec
