"""What makes nodes, held to the CRDs of Karpenter and its providers by a real API server, with the rules that no schema tells."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from homeport.manifests import provisioning
from homeport.manifests.parsing import load
from homeport.manifests.render import documents
from homeport.planning.plan import Planner
from homeport.spec.models import Spec
from tests.testbed.build import ensure
from tests.testbed.cluster import Testbed

pytestmark = pytest.mark.cluster

CRDS = {
    "eks": ("karpenter-aws-crds", ("karpenter.sh_nodepools.yaml", "karpenter.k8s.aws_ec2nodeclasses.yaml")),
    "aks": (
        "karpenter-azure-crds",
        ("karpenter.sh_nodepools.yaml", "karpenter.azure.com_aksnodeclasses.yaml"),
    ),
}
WAYS: dict[str, dict[str, Any]] = {
    "eks": {"by": "karpenter", "cluster": "ml"},
    "aks": {"by": "auto_provisioning"},
}
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "eks": [
        {},
        {"capacity": "spot"},
        {"fallbacks": "any"},
        {"zones": ["us-east-1a"]},
        {"reservation": "cr-0123456789abcdef0"},
        {"role": "gpu", "image": "al2023@latest"},
    ],
    "aks": [{}, {"capacity": "spot"}, {"fallbacks": "any"}, {"zones": ["1"]}],
}


def objects(platform: str, **nodes: Any) -> list[dict[str, Any]]:
    """The objects that make nodes, of a plan with these fields of `target.nodes` (and `capacity`, of the target)."""
    target = {"platform": platform, "capacity": nodes.pop("capacity", "on_demand")}
    spec = {
        "version": 1,
        "name": "support",
        "target": target | {"nodes": WAYS[platform] | nodes},
        "models": [
            {
                "name": "assistant",
                "model": "meta-llama/Llama-3.1-8B-Instruct",
                "workload": {"requests_per_day": 20000, "input_tokens": 1000, "output_tokens": 300},
            }
        ],
    }
    plan = Planner(Path()).plan(msgspec.convert(spec, Spec))
    return [load(d.text) for d in documents(plan) if d.component == provisioning.NODES]


@pytest.fixture(params=sorted(CRDS))
def platform(request: pytest.FixtureRequest, testbed: Testbed) -> Iterator[str]:
    name, files = CRDS[request.param]
    folder = ensure(name)[name]
    for file in files:
        testbed.kubectl("apply", "--server-side", "-f", folder / file)
    for file in files:
        testbed.kubectl("wait", "--for=condition=Established", "-f", folder / file)
    yield request.param
    for file in files:
        testbed.kubectl("delete", "-f", folder / file)


def refused(testbed: Testbed, *made: dict[str, Any]) -> str:
    """What the API server says against objects, "" where it takes them; nothing is stored."""
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(made)})
    said = testbed.kubectl(
        "apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-", stdin=text, check=False
    )
    return "" if all(line.endswith("(server dry run)") for line in said.splitlines()) else said


def test_the_api_server_takes_what_is_rendered_and_its_rules_are_at_work(
    platform: str, testbed: Testbed
) -> None:
    for variant in VARIANTS[platform]:
        made = objects(platform, **variant)
        assert len(made) == 2
        assert refused(testbed, *made) == "", variant

    def broken(kind: str, change: Callable[[dict[str, Any]], object]) -> str:
        (one,) = (o for o in objects(platform) if o["kind"] == kind)
        change(one["spec"])
        return refused(testbed, one)

    def label(spec: dict[str, Any], name: str) -> None:
        spec["template"]["metadata"]["labels"][name] = "x"

    if platform == "eks":
        alias = [{"alias": "ubuntu@v1"}]
        assert "family is not supported" in broken("EC2NodeClass", lambda s: s.update(amiSelectorTerms=alias))
    else:
        assert "is restricted" in broken("NodePool", lambda s: label(s, "kubernetes.azure.com/mine"))
    assert "is restricted" in broken("NodePool", lambda s: label(s, "karpenter.sh/mine"))
    assert "misspelt" in broken("NodePool", lambda s: s.update(misspelt=1))
