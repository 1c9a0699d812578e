"""Every catalog model on every engine and target renders to valid objects, or says in one sentence why not."""

from pathlib import Path

import pytest

from homeport.catalog.models import models
from homeport.errors import SpecError
from homeport.manifests.parsing import load as parse
from homeport.manifests.render import documents
from homeport.manifests.validate import validate
from homeport.planning.plan import Planner
from homeport.spec.load import load

PLATFORMS = ("kind", "minikube", "generic", "gke", "eks", "aks")
ENGINES = ("vllm", "sglang", "trtllm", "tgi", "cpu", "simulator")
SERVER_KINDS = {"Deployment", "LeaderWorkerSet"}


@pytest.fixture(scope="module")
def planner() -> Planner:
    return Planner(Path())


def spec_text(model: str, engine: str, platform: str) -> str:
    return f"""version: 1
name: matrix
target: {{platform: {platform}}}
models:
  - name: served
    model: {model}
    engine: {engine}
    workload: {{requests_per_day: 20000, input_tokens: 500, output_tokens: 200}}
    latency: {{ttft_ms: 10000, tpot_ms: 500}}
"""


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("model", list(models()))
def test_renders_or_says_why_not(model: str, engine: str, planner: Planner) -> None:
    for platform in PLATFORMS:
        spec = load(spec_text(model, engine, platform), "matrix.yaml").spec
        try:
            rendered = documents(planner.plan(spec))
        except SpecError as error:
            for problem in error.problems:
                assert problem.message
                assert "\n" not in problem.message
                assert problem.path[:2] == ("models", 0)
            continue
        kinds = set()
        for document in rendered:
            value = parse(document.text)
            assert validate(value) == [], document.path
            kinds.add(value["kind"])
        assert kinds & SERVER_KINDS
        assert "Service" in kinds


def test_most_of_the_matrix_renders(planner: Planner) -> None:
    """A reason not to render must stay the exception: every model renders with vLLM on every cloud or on two of three."""
    for model in models():
        worked = 0
        for platform in ("gke", "eks", "aks"):
            try:
                planner.plan(load(spec_text(model, "vllm", platform), "matrix.yaml").spec)
            except SpecError:
                continue
            worked += 1
        assert worked >= 2, model
