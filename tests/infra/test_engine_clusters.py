"""Clusters that the program makes, on Pulumi's real engine with doubles of their clouds: order, state, and no secret in clear."""

from importlib.metadata import version
from pathlib import Path

import pytest

pytest.importorskip("pulumi")

from tests.infra.engine import Engine

pytestmark = pytest.mark.cluster
SPEC = """version: 1
name: support
target: {{platform: {platform}, nodes: {{by: node_pools, cluster: ml}}}}
models:
  - name: assistant
    model: Qwen/Qwen2.5-7B-Instruct
    workload: {{requests_per_day: 2000, input_tokens: 500, output_tokens: 200}}
"""
CLUSTERS = {
    "gke": ("gcp", "gcp:container/cluster:Cluster", "gcp:container/nodePool:NodePool"),
    "aks": (
        "azure-native",
        "azure-native:containerservice:ManagedCluster",
        "azure-native:containerservice:AgentPool",
    ),
}


@pytest.mark.parametrize("platform", sorted(CLUSTERS))
def test_a_cluster_is_made_before_its_pools_and_goes_after_them(platform: str, tmp_path: Path) -> None:
    package, cluster, pool = CLUSTERS[platform]
    engine = Engine(tmp_path, tmp_path / "none")
    engine.cloud(package, version(f"pulumi-{package}"))
    spec = tmp_path / "support.yaml"
    spec.write_text(SPEC.format(platform=platform))
    flags = ("-f", str(spec), "--layer", "cluster", "--create-cluster")
    flags += ("--resource-group", "group") if platform == "aks" else ()
    answer = engine.answer("preview", *flags)
    assert answer["policies"] == []
    assert not engine.state_file().exists() or not engine.state().get("resources")

    engine.run("up", *flags, "--yes")
    resources = {r["urn"]: r for r in engine.state()["resources"]}
    (made,) = (urn for urn, r in resources.items() if r["type"] == cluster)
    pools = [r for r in resources.values() if r["type"] == pool]
    assert len(pools) == (2 if platform == "gke" else 1), (
        "the system's and the GPUs', which AKS has inside the cluster"
    )
    for one in pools:
        name = one["inputs"]["cluster" if platform == "gke" else "resourceName"]
        assert name == "ml"
    # The pools of the plan wait for the cluster, and so do their children, which need their parent.
    (component,) = (r for r in resources.values() if r["type"] == "homeport:index:GpuNodePool")
    assert made in component["dependencies"]
    stack = next(r for r in resources.values() if r["type"] == "pulumi:pulumi:Stack")
    assert "ciphertext" in stack["outputs"]["kubeconfig"]
    assert set(engine.answer("up", *flags, "--yes")["changes"]) == {"same"}
    text = engine.asked("destroy", *flags, answer="n", code=130)
    most = component["outputs"]["gpus"] // answer["node_pools"][0]["gpus_per_node"]
    assert text.count("GPU nodes go too") == 1, "not those of the system's pool"
    assert f"its GPU nodes go too, at most {most} of them" in text
    (line,) = answer["bill"]["lines"]
    assert component["outputs"]["usdPerMonth"] == line["usd_per_month"]
    mark = "*" if line["estimated"] else ""
    assert f"stops costing ${line['usd_per_month']:,.2f}{mark} a month: {line['item']}\n" in text
    assert f"prices of {line['as_of']}" in text
    assert {r["urn"] for r in engine.state()["resources"]} == set(resources)
    engine.run("destroy", *flags, "--yes")
    assert not [r for r in engine.state().get("resources", ()) if r["type"] in (cluster, pool)]


def test_a_cluster_of_eks_is_not_made_in_another_region(tmp_path: Path) -> None:
    """The double says what the provider is set to: us-east-1."""
    engine = Engine(tmp_path, tmp_path / "none")
    engine.cloud("aws", version("pulumi-aws"))
    spec = tmp_path / "support.yaml"
    spec.write_text(SPEC.format(platform="eks"))
    flags = ("-f", str(spec), "--layer", "cluster", "--create-cluster", "--location", "eu-west-1")
    for command in (("preview",), ("up", "--yes")):
        said = engine.run(*command, *flags, code=2)
        assert said.count("the cluster is wanted in eu-west-1, and the AWS provider is set to us-east-1") == 1
        assert "set aws:region or AWS_REGION to eu-west-1" in said
    assert not engine.state().get("resources")
