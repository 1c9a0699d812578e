"""The Pulumi parts of the how-tos: their commands, run on Pulumi's engine and a real API server, and what they show.

A page marks such a block with `<!-- stack -->`, and what its last command prints with `<!-- output of the stack -->`. The
clouds' providers are doubles that make nothing, the Kubernetes provider is one unless its plugin is here; the nodes are fake
ones of the plan; charts are recorded and not installed.
"""

import subprocess
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

pytest.importorskip("pulumi")

from homeport.planning.plan import Planner
from homeport.spec.load import load
from scripts.documents import BLOCK, ROOT
from tests.cluster.test_howtos import commands, compared
from tests.commands.shell import environment
from tests.infra.engine import PATIENCE_S, Engine
from tests.testbed.build import ensure
from tests.testbed.cluster import Testbed
from tests.testbed.fixtures import cluster_under_test, testbed
from tests.testbed.nodes import Node, cpu, named, of_plan

__all__ = ["cluster_under_test", "testbed"]
pytestmark = pytest.mark.cluster

PAGES = {"gke": "gcp", "eks": "aws", "aks": "azure-native", "kind": "", "existing-cluster": ""}
"""Page -> the cloud whose provider it needs."""
NOT_RUN = ("python -m pip", "export ")
"""The environment of the test has the package, and a passphrase."""
# What makes nodes in a real cluster: here nobody does, so that the API server only has to know the kinds.
KINDS = {
    "NodePool": ("karpenter.sh", "v1"),
    "EC2NodeClass": ("karpenter.k8s.aws", "v1"),
    "AKSNodeClass": ("karpenter.azure.com", "v1beta1"),
    "ComputeClass": ("cloud.google.com", "v1"),
}


@pytest.fixture(scope="module")
def bed(testbed: Testbed) -> Iterator[Testbed]:
    made = []
    for kind, (group, served) in KINDS.items():
        plural = f"{kind.lower()}{'es' if kind.endswith('s') else 's'}"
        if testbed.kubectl("get", "crd", f"{plural}.{group}", "--ignore-not-found"):
            continue
        schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        testbed.apply(
            {
                "apiVersion": "apiextensions.k8s.io/v1",
                "kind": "CustomResourceDefinition",
                "metadata": {"name": f"{plural}.{group}"},
                "spec": {
                    "group": group,
                    "scope": "Cluster",
                    "names": {"kind": kind, "plural": plural},
                    "versions": [
                        {
                            "name": served,
                            "served": True,
                            "storage": True,
                            "schema": {"openAPIV3Schema": schema},
                        }
                    ],
                },
            }
        )
        made.append(f"{plural}.{group}")
    yield testbed
    if made:
        testbed.kubectl("delete", "crd", *made, "--wait=false")


def nodes_of(spec: Path, page: str) -> list[Node]:
    """The nodes that a page's plan counts with, and one for what needs no GPU."""
    plan = Planner(spec.parent).plan(load(spec.read_bytes(), spec.name).spec)
    found = [] if page == "kind" else of_plan(plan)
    return [cpu(f"{page}-cpu", cpus=64, memory_gib=256), *(named(n, f"{page}-{n.name}") for n in found)]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_leads_to_a_stack(page: str, bed: Testbed, tmp_path: Path) -> None:
    text = (ROOT / "docs" / "how-to" / f"{page}.md").read_text("utf-8")
    engine = Engine(tmp_path, bed.kubeconfig)
    if PAGES[page]:
        engine.cloud(PAGES[page], version(f"pulumi-{PAGES[page]}"))
    kubectl = ensure("kubectl")["kubectl"]
    env = environment({**engine.env, "PATH": f"{kubectl.parent}:{engine.env['PATH']}"})
    spec = tmp_path / "homeport.yaml"
    spec.write_text(
        next(b["body"] for b in BLOCK.finditer(text) if b["mark"] == "file: homeport.yaml"), "utf-8"
    )
    plan = load(spec.read_bytes(), spec.name).spec
    machines = nodes_of(spec, page)
    bed.add_nodes(*machines)
    try:
        output, ran, shown = "", [], 0
        for block in BLOCK.finditer(text):
            if block["mark"] == "output of the stack":
                assert compared(block["body"], output) == [], output
                shown += 1
            elif block["mark"] == "stack":
                for command in commands(block["body"], 0):
                    if not command.text.startswith(NOT_RUN):
                        done = subprocess.run(
                            ["bash", "-eu", "-o", "pipefail", "-c", command.text],
                            cwd=tmp_path, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, timeout=PATIENCE_S, check=False,
                        )  # fmt: skip
                        output = done.stdout.decode()
                        assert done.returncode == 0, f"{command.text}\n{output}"
                        ran.append(command.text)
                        if command.text.startswith("homeport up"):
                            for model in plan.models:
                                served = bed.json(
                                    "get", "deployment", model.name, "-n", plan.namespace or plan.name
                                )
                                assert served["status"]["readyReplicas"] >= 1, model.name
        assert shown >= 2
        assert [c.split()[1] for c in ran if c.startswith("homeport")][:2] == ["preview", "up"]
    finally:
        bed.kubectl(
            "delete",
            "namespace",
            plan.namespace or plan.name,
            "--ignore-not-found",
            "--timeout=120s",
            seconds=150,
        )
        bed.remove_nodes(*(machine.name for machine in machines))
