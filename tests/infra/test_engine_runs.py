"""The life of a stack on a real engine, state and API server: up, update, drift, replace, destroy, two stacks."""

import json
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pulumi")

from tests.commands.shell import EXAMPLES
from tests.infra.engine import Engine
from tests.testbed.cluster import Testbed
from tests.testbed.nodes import cpu

pytestmark = pytest.mark.cluster
NODE = "engine-cpu"


@pytest.fixture(scope="module")
def bed(cluster_under_test: Testbed) -> Iterator[Testbed]:
    if not isinstance(cluster_under_test, Testbed):
        pytest.skip("needs nodes that can be made")
    cluster_under_test.add_nodes(cpu(NODE, cpus=64, memory_gib=256))
    yield cluster_under_test
    cluster_under_test.remove_nodes(NODE)


@pytest.fixture
def engine(bed: Testbed, tmp_path: Path) -> Engine:
    return Engine(tmp_path, bed.kubeconfig)


@pytest.fixture
def name(bed: Testbed) -> Iterator[str]:
    """A namespace that no test shares."""
    made = f"stack-{secrets.token_hex(3)}"
    yield made
    bed.kubectl("delete", "namespace", made, "--wait=false", "--ignore-not-found")


def test_a_stack_lives(engine: Engine, bed: Testbed, name: str) -> None:
    """Up, up again, a change by hand, an update, and the end."""
    spec = str(engine.spec(name))
    lines = [json.loads(line) for line in engine.out("preview", "-f", spec, "-o", "jsonl").splitlines()]
    assert {line["operation"] for line in lines[:-1] if "operation" in line} == {"create"}
    assert any(line.get("resource") == f"Deployment {name}/tiny" for line in lines[:-1])
    assert lines[-1]["event"] == "answer"
    assert lines[-1]["bill"]["because"] == ["tiny: new, 1 replica"]
    table = engine.run("preview", "-f", spec)
    assert f"stack dev: {len(re.findall('^new ', table, re.M))} to create\n" in table
    made = engine.run("up", "-f", spec, "--yes")
    assert "created Deployment" in made
    assert f"next: homeport status -f {spec}\n" in made
    assert f"reach tiny: `kubectl --namespace {name} port-forward service/tiny 8000:80`" in made
    assert bed.json("get", "deployment", "tiny", "-n", name)["status"]["readyReplicas"] == 1

    again = engine.answer("up", "-f", spec, "--yes")
    assert set(again["changes"]) == {"same"}, "nothing changed, so nothing changes"
    assert again["bill"]["change_usd_per_month"] in (0, None)
    assert again["steps"] == []

    engine.run("diff", "-f", spec)
    bed.kubectl("scale", "deployment", "tiny", "-n", name, "--replicas=0")
    bed.kubectl("label", "service", "tiny", "-n", name, "app.kubernetes.io/part-of=mine", "--overwrite")
    assert "changed by others" not in engine.run("preview", "-f", spec)
    drift = engine.run("preview", "-f", spec, "--refresh")
    assert f"changed by others: Service {name}/tiny: metadata.labels" in drift
    refused = engine.run("up", "-f", spec, "--yes", "--refresh", code=3)
    assert "owned by 'kubectl" in refused
    assert "--adopt" in refused
    engine.run("up", "-f", spec, "--yes", "--refresh", "--adopt")
    assert (
        bed.json("get", "service", "tiny", "-n", name)["metadata"]["labels"]["app.kubernetes.io/part-of"]
        != "mine"
    )

    bed.kubectl("delete", "service", "tiny", "-n", name)
    assert f"removed by others: Service {name}/tiny" in engine.run("preview", "-f", spec, "--refresh")
    engine.run("up", "-f", spec, "--yes", "--refresh")
    assert bed.json("get", "service", "tiny", "-n", name)["spec"]["ports"][0]["port"] == 80

    spec = str(engine.spec(name, image="vllm/vllm-openai-cpu:v0.11.1"))
    text = engine.run("preview", "-f", spec)
    assert "image vllm/vllm-openai-cpu:v0.11.0 → vllm/vllm-openai-cpu:v0.11.1" in text
    assert "in place" in text
    assert "the only replica is away for about" in text
    engine.run("up", "-f", spec, "--yes")
    containers = bed.json("get", "deployment", "tiny", "-n", name)["spec"]["template"]["spec"]["containers"]
    assert containers[0]["image"] == "vllm/vllm-openai-cpu:v0.11.1"

    engine.run("destroy", "-f", spec, "--yes")
    assert bed.kubectl("get", "namespace", name, "--ignore-not-found") == ""
    assert engine.state().get("resources", []) in ([], None) or {
        r["type"] for r in engine.state()["resources"]
    } <= {"pulumi:pulumi:Stack"}


def test_a_destroy_keeps_the_weights_until_it_is_told(engine: Engine, bed: Testbed, name: str) -> None:
    storage = f"class-{name}"
    bed.volumes(storage, 1)
    spec = str(engine.spec(name, weights=f"{{source: pvc, size_gib: 5, storage_class: {storage}}}"))
    engine.run("up", "-f", spec, "--yes")
    text = engine.run("destroy", "-f", spec, "--yes")
    assert f"kept  {name}/tiny-weights  5 GiB of weights, $1.00 a month" in text
    claims = bed.json("get", "pvc", "-n", name)["items"]
    assert [c["metadata"]["name"] for c in claims] == ["tiny-weights"]
    assert bed.json("get", "deployment", "-n", name)["items"] == []
    back = engine.answer("up", "-f", spec, "--yes")
    assert back["changes"]["same"] >= 3, "what was kept is taken up again"
    assert back["bill"]["because"] == ["tiny: new, 1 replica"], (
        "the bill of what was destroyed is not what it costs"
    )
    larger = str(engine.spec(name, weights=f"{{source: pvc, size_gib: 7, storage_class: {storage}}}"))
    text = engine.run("preview", "-f", larger)
    line = next(x for x in text.splitlines() if "PersistentVolumeClaim" in x and "replaced" in x)
    assert "size 5Gi → 7Gi" in line
    assert "its weights are fetched again" in line
    gone = engine.answer("destroy", "-f", spec, "--yes", "--delete-weights")
    assert gone["kept"] == []
    assert bed.kubectl("get", "namespace", name, "--ignore-not-found") == ""


def test_a_destroy_shows_what_goes_before_it_asks(engine: Engine, bed: Testbed, name: str) -> None:
    storage = f"class-{name}"
    bed.volumes(storage, 1)
    spec = str(engine.spec(name, weights=f"{{source: pvc, size_gib: 5, storage_class: {storage}}}"))
    assert "interrupted" in engine.asked("up", "-f", spec, answer="n", code=130)
    assert not engine.state().get("resources")
    engine.asked("up", "-f", spec, answer="y")
    before = engine.state_file().read_bytes()

    def said(*more: str, answer: str, code: int) -> str:
        return engine.asked("destroy", "-f", spec, *more, answer=answer, code=code)

    text = said(answer="n", code=130)
    claim = f"PersistentVolumeClaim {name}/tiny-weights"
    assert re.search(rf"^removed +Deployment {name}/tiny *$", text, re.M)
    assert claim not in text
    assert f"kept  {name}/tiny-weights  5 GiB of weights, $1.00 a month" in text
    assert "no GPU node goes" in text
    assert "goes on costing unknown a month: your own machine" in text
    text = said("--delete-weights", answer="n", code=130)
    assert re.search(rf"^removed +{claim} +5 GiB of weights, \$1\.00 a month$", text, re.M)
    assert "kept  " not in text
    assert engine.state_file().read_bytes() == before
    assert bed.json("get", "deployment", "tiny", "-n", name)["status"]["readyReplicas"] == 1

    text = said(answer="y", code=0)
    assert text.index("destroy tiny in stack dev?") < text.index(f"deleted Deployment {name}/tiny")
    assert bed.json("get", "deployment", "-n", name)["items"] == []
    text = said(answer="n", code=130)
    assert "removed" not in text
    assert "stops costing" not in text, "what ran is gone already"
    assert "the stack holds no bill" in said("--delete-weights", answer="n", code=130)


def test_the_preview_says_of_each_change_what_it_does(engine: Engine, bed: Testbed, name: str) -> None:
    """Replica range, adapter and model change in place; what is scaled on is the autoscaler's, and no pod restarts for it."""
    text = (
        engine.spec(name).read_text().replace("    scaling: {by: none}\n", "").replace("max: 1}", "max: 2}")
    )
    spec = engine.folder / "changes.yaml"
    spec.write_text(text)
    engine.run("up", "-f", str(spec), "--yes")

    def steps(changed: str) -> dict[str, dict[str, Any]]:
        spec.write_text(changed)
        found = engine.answer("preview", "-f", str(spec))["stack"]["steps"]
        return {step["resource"].split()[0]: step for step in found}

    ranged = steps(text.replace("max: 2}", "max: 3}"))
    assert ranged["ScaledObject"]["change"] == "in place"
    assert "most replicas 2 → 3" in ranged["ScaledObject"]["why"]
    assert all(step["away"] is None for step in ranged.values())
    adapter = "    adapters: [{name: faq, source: example/faq-lora, rank: 16}]\n"
    adapted = steps(text.replace("    replicas:", f"{adapter}    replicas:"))["Deployment"]
    assert (adapted["operation"], adapted["change"]) == ("update", "in place")
    assert "the engine's arguments" in adapted["why"]
    assert adapted["away"].startswith("the only replica is away for about")
    assert adapted["away_s"] > 0
    model = steps(text.replace("Qwen2.5-0.5B-Instruct", "Qwen2.5-1.5B-Instruct"))["Deployment"]
    assert (model["operation"], model["change"]) == ("update", "in place")
    assert model["away_s"] > 0
    renamed = steps(text.replace("name: tiny", "name: small"))["Deployment"]
    assert renamed["change"] in ("new", "removed")


def test_a_part_of_a_stack_leaves_the_bill_to_the_whole(engine: Engine, bed: Testbed, name: str) -> None:
    text = engine.spec(name).read_text()
    (model,) = re.findall(r"  - name: tiny\n(?:    .*\n)+", text)
    spec = engine.folder / "two.yaml"
    spec.write_text(text.replace(model, model + model.replace("tiny", "small")))
    part = ("-f", str(spec), "--only", "tiny")
    assert "of the whole spec, though only tiny would be deployed" in engine.run("preview", *part)
    first = engine.answer("up", *part, "--yes")
    assert set(first["outputs"]) == {"tinyEndpoint"}
    assert first["bill"] is None
    assert bed.json("get", "deployment", "-n", name)["items"][0]["metadata"]["name"] == "tiny"
    whole = engine.answer("preview", "-f", str(spec))
    assert whole["bill"]["because"] == ["tiny: new, 1 replica", "small: new, 1 replica"]
    changes = whole["stack"]["changes"]
    assert changes["create"] == changes["same"] - 1, "the other half: the namespace is of both"

    engine.run("up", "-f", str(spec), "--yes")
    spec.write_text(spec.read_text().replace("max: 1}", "max: 2}").replace("min: 1", "min: 2"))
    said = engine.run("up", *part, "--yes")
    assert "only tiny was deployed: the stack's bill stays as it was" in said
    because = engine.answer("preview", "-f", str(spec))["bill"]["because"]
    assert because == ["tiny: 1 → 2 replicas", "small: 1 → 2 replicas"]


def test_two_stacks_do_not_touch_each_other(engine: Engine, bed: Testbed, name: str) -> None:
    one = str(engine.spec(name))
    engine.run("up", "-f", one, "--yes", "--stack", "one")
    refused = engine.run("up", "-f", one, "--yes", "--stack", "two", code=3)
    assert "already exists in the cluster, and stack two did not make it" in refused
    assert bed.json("get", "deployment", "tiny", "-n", name)["status"]["readyReplicas"] == 1
    assert set(engine.answer("up", "-f", one, "--yes", "--stack", "one")["changes"]) == {"same"}
    wrong = engine.run(
        "preview", "-f", one, "--stack", "one", code=3, env={"PULUMI_CONFIG_PASSPHRASE": "wrong"}
    )
    assert "the passphrase does not open stack one" in wrong
    assert "no stack three" in engine.run("destroy", "-f", one, "--yes", "--stack", "three", code=3)


def test_what_kubectl_made_is_adopted(engine: Engine, bed: Testbed, name: str) -> None:
    spec = str(engine.spec(name))
    engine.run("render", "-f", spec, "-o", str(engine.folder / "out"))
    for _ in range(2):  # the namespace first, then what is in it
        bed.kubectl("apply", "-f", str(engine.folder / "out"), "-R", check=False)
    before = bed.json("get", "deployment", "tiny", "-n", name)["metadata"]["uid"]
    assert "already exists" in engine.run("up", "-f", spec, "--yes", code=3)
    adopted = engine.answer("up", "-f", spec, "--yes", "--adopt")
    assert adopted["bill"]["because"] == ["tiny: new, 1 replica"], (
        "a run that failed has not changed the bill"
    )
    assert bed.json("get", "deployment", "tiny", "-n", name)["metadata"]["uid"] == before


def test_a_preview_without_a_cluster_says_so(engine: Engine, name: str) -> None:
    spec = str(engine.spec(name))
    nowhere = {"KUBECONFIG": str(engine.folder / "none")}
    text = engine.run("preview", "-f", spec, env=nowhere)
    assert "no cluster can be reached: there is no kubeconfig at" in text
    assert "to create" in text
    assert "no cluster can be reached" in engine.run("up", "-f", spec, "--yes", code=3, env=nowhere)


def test_over_budget_ends_with_1_and_changes_nothing(engine: Engine, bed: Testbed, name: str) -> None:
    text = (EXAMPLES / "support.yaml").read_text().replace("name: support", f"name: {name}")
    file = engine.folder / "over.yaml"
    file.write_text(f"{text}budget: {{usd_per_month: 100}}\n")
    assert "policy budget: a month costs at least $" in engine.run("preview", "-f", str(file), code=1)
    assert "nothing was changed" in engine.run("up", "-f", str(file), "--yes", code=1)
    assert bed.kubectl("get", "namespace", name, "--ignore-not-found") == ""


def test_a_destroy_removes_what_a_cut_off_run_may_have_made(engine: Engine, bed: Testbed, name: str) -> None:
    """Its creation was asked for and never answered: it is in no state, stands in the cluster, and would hold a GPU for ever."""
    storage = f"class-{name}"
    bed.volumes(storage, 1)
    spec = str(engine.spec(name, weights=f"{{source: pvc, size_gib: 5, storage_class: {storage}}}"))
    engine.run("up", "-f", spec, "--yes")
    file = json.loads(engine.state_file().read_bytes())
    state = file["checkpoint"]["latest"]
    (lost,) = (r for r in state["resources"] if r["type"] == "kubernetes:apps/v1:Deployment")
    state["resources"] = [
        r for r in state["resources"] if r is not lost and lost["urn"] not in r.get("dependencies", ())
    ]
    begun = {key: value for key, value in lost.items() if key not in ("id", "outputs")}
    state["pending_operations"] = [{"type": "creating", "resource": begun}]
    engine.state_file().write_text(json.dumps(file))
    said = engine.run("destroy", "-f", spec, "--yes")
    assert "cut off while creating tiny-deployment-tiny" in said
    assert bed.json("get", "deployment", "-n", name)["items"] == []
    assert [c["metadata"]["name"] for c in bed.json("get", "pvc", "-n", name)["items"]] == ["tiny-weights"]
    # And where it was never made.
    begun |= {"dependencies": [], "propertyDependencies": {}}
    file["checkpoint"]["latest"]["resources"] = engine.state()["resources"]
    engine.state_file().write_text(json.dumps(file))
    engine.run("destroy", "-f", spec, "--yes", "--delete-weights")
    assert bed.kubectl("get", "namespace", name, "--ignore-not-found") == ""
