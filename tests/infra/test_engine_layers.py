"""Layers in stacks of their own, on a real engine: references, what is missing, and that no credential is ever in clear."""

import secrets
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

pytest.importorskip("pulumi")

from tests.infra.engine import Engine
from tests.testbed.cluster import Testbed
from tests.testbed.nodes import cpu, of_instance

pytestmark = pytest.mark.cluster
CPU, GPU = "layers-cpu", "layers-gpu"
SPEC = """version: 1
name: {name}
target: {{platform: gke, region: us-central1, nodes: {{by: node_pools, cluster: ml}}}}
models:
  - name: assistant
    model: Qwen/Qwen2.5-7B-Instruct
    gpu: L4
    workload: {{requests_per_day: 2000, input_tokens: 500, output_tokens: 200}}
    replicas: {{min: 1, max: 2}}
"""
EXPORT = """import sys, pulumi
from pulumi import automation

def program():
    pulumi.export("kubeconfig", pulumi.Output.secret(open(sys.argv[1]).read()))

automation.create_or_select_stack("made", "homeport", program).up()
"""


@pytest.fixture(scope="module")
def bed(testbed: Testbed) -> Iterator[Testbed]:
    testbed.add_nodes(
        cpu(CPU, cpus=64, memory_gib=256),
        of_instance("gke", "g2-standard-24", name=GPU, zone="us-central1-a"),
    )
    yield testbed
    testbed.remove_nodes(CPU, GPU)


@pytest.fixture
def engine(bed: Testbed, tmp_path: Path) -> Engine:
    return Engine(tmp_path, bed.kubeconfig)


@pytest.fixture
def name(bed: Testbed) -> Iterator[str]:
    made = f"layers-{secrets.token_hex(3)}"
    yield made
    bed.kubectl("delete", "namespace", made, "--wait=false", "--ignore-not-found")


def written(engine: Engine, name: str) -> str:
    file = engine.folder / f"{name}.yaml"
    file.write_text(SPEC.format(name=name))
    return str(file)


def test_three_stacks_of_one_spec(engine: Engine, bed: Testbed, name: str) -> None:
    engine.cloud("gcp", version("pulumi-gcp"))
    spec = written(engine, name)
    nodes = ("up", "-f", spec, "--yes", "--stack", "nodes", "--layer", "cluster")
    models = ("up", "-f", spec, "--yes", "--stack", "models", "--layer", "models", "--platform-stack", "platform", "--cluster-stack", "nodes")  # fmt: skip
    engine.run(*nodes, env={"KUBECONFIG": str(engine.folder / "none")})
    (pool,) = [
        r for r in engine.state("nodes")["resources"] if r["type"] == "gcp:container/nodePool:NodePool"
    ]
    assert pool["inputs"]["autoscaling"]["totalMaxNodeCount"] >= 1

    nothing = engine.run(*models, code=3)
    assert "there is no stack organization/homeport/platform" in nothing
    engine.run(
        "up", "-f", str(engine.spec(f"{name}-other")), "--yes", "--stack", "platform", "--layer", "platform"
    )
    lacking = engine.run(*models, code=3)
    assert "the stack platform has not installed keda" in lacking
    assert "homeport up --layer platform --stack platform" in lacking
    assert bed.kubectl("get", "deployment", "assistant", "-n", name, "--ignore-not-found") == ""

    engine.run("up", "-f", spec, "--yes", "--stack", "platform", "--layer", "platform")
    answer = engine.answer(*models)
    assert "keda" in answer["outputs"]["platform"]
    assert bed.json("get", "deployment", "assistant", "-n", name)["status"]["readyReplicas"] == 1
    assert set(engine.answer(*models)["changes"]) == {"same"}


def test_a_chart_goes_after_the_objects_that_its_controller_ends(engine: Engine, name: str) -> None:
    """KEDA's controller takes its finalizer from a ScaledObject: without it the object, and its namespace, stay for ever."""
    spec = written(engine, name)
    layers = ("--layer", "platform", "--layer", "models")
    engine.run("up", "-f", spec, "--yes", *layers)
    file = Path(spec)
    file.write_text(file.read_text().replace("replicas: {min: 1, max: 2}", "scaling: {by: none}"))
    text = engine.run("up", "-f", spec, "--yes", *layers)
    assert 0 < text.index("deleted ScaledObject") < text.index("deleting Release keda")


def test_policies_see_the_pools_of_a_cloud_before_anything_is_changed(engine: Engine, name: str) -> None:
    """No rendered object shows a pool: here its provider loses the taints that the program asks for."""
    engine.cloud("gcp", version("pulumi-gcp"), without="taints")
    spec = written(engine, name)
    text = engine.run("up", "-f", spec, "--yes", "--stack", "nodes", "--layer", "cluster", code=1)
    assert "policy gpu-needs-taint-and-limit: NodePool " in text
    assert "GPU nodes without the taint" in text
    assert "nothing was changed" in text
    assert not engine.state("nodes").get("resources")


def test_a_kubeconfig_that_another_stack_holds_is_never_in_clear(
    engine: Engine, bed: Testbed, name: str
) -> None:
    import yaml

    (user,) = yaml.safe_load(bed.kubeconfig.read_text())["users"]
    token = user["user"]["token"]
    folder = engine.folder / "state/homeport/pulumi"
    folder.mkdir(parents=True)
    env = {**engine.env, "PULUMI_BACKEND_URL": folder.as_uri(), "PULUMI_SKIP_UPDATE_CHECK": "true"}
    subprocess.run(
        [sys.executable, "-c", EXPORT, str(bed.kubeconfig)], env=env, check=True, capture_output=True
    )
    spec = str(engine.spec(name))
    flags = ("-f", spec, "--cluster-stack", "made", "--layer", "models", "-o", "jsonl", "-v")
    nowhere = {"KUBECONFIG": str(engine.folder / "none")}
    said = engine.run("preview", *flags, env=nowhere)
    said += engine.run("up", *flags, "--yes", env=nowhere)
    assert bed.json("get", "deployment", "tiny", "-n", name)["status"]["readyReplicas"] == 1
    said += engine.run("up", *flags, "--yes", "--refresh", env=nowhere)
    assert token not in said
    files = [file for file in engine.folder.rglob("*") if file.is_file() and not file.is_symlink()]
    assert [str(file) for file in files if token.encode() in file.read_bytes()] == []
    (provider,) = [r for r in engine.state()["resources"] if r["type"] == "pulumi:providers:kubernetes" and "kubeconfig" in r["inputs"]]  # fmt: skip
    assert "ciphertext" in provider["inputs"]["kubeconfig"]
