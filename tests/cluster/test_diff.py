"""`homeport diff` against a real API server: what it shows, what it does not, and how it exits."""

import json
import re
from typing import Any

import jsonschema
import msgspec
import pytest

from homeport.cluster.client import Cluster
from homeport.cluster.diff import compare
from tests.cluster.scene import Scene, by_title

pytestmark = pytest.mark.cluster
Capture = pytest.CaptureFixture[str]


def values(scene: Scene, capsys: Capture, code: int) -> dict[str, Any]:
    capsys.readouterr()
    assert scene.diff("-o", "json") == code, capsys.readouterr().err
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_what_is_not_there_is_missing_and_what_was_applied_is_the_same(scene: Scene, capsys: Capture) -> None:
    before = values(scene, capsys, 1)
    states = {one["state"] for one in before["objects"] if one["kind"] != "Namespace"}
    assert states == {"missing"}
    assert "kubectl" in before["apply"][0]
    scene.apply()
    after = values(scene, capsys, 0)
    assert {one["state"] for one in after["objects"]} == {"same"}
    assert after["apply"] == []
    assert scene.diff() == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "how", [("--server-side",), ("--server-side", "--field-manager=argocd"), ("--validate=true",)]
)
def test_the_same_is_seen_whoever_applied(scene: Scene, capsys: Capture, how: tuple[str, ...]) -> None:
    scene.apply(*how)
    assert {one["state"] for one in values(scene, capsys, 0)["objects"]} == {"same"}
    scene.write(replicas=(2, 2))
    found = by_title(values(scene, capsys, 1))
    fields = found["Deployment/tiny"]["fields"]
    assert [(one["path"], one["live"], one["rendered"], one["taken_by"]) for one in fields] == [
        ("spec.replicas", 1, 2, [])
    ]
    # A second replica may be disrupted: its budget is a new object.
    assert found["PodDisruptionBudget/tiny"]["state"] == "missing"
    scene.apply(*how)
    assert values(scene, capsys, 0)["apply"] == []
    scene.write()
    assert by_title(values(scene, capsys, 1))["PodDisruptionBudget/tiny"]["state"] == "left_over"


@pytest.mark.parametrize("how", [("--server-side",), ("--validate=true",)])
def test_a_field_that_is_rendered_no_more_is_removed(
    scene: Scene, capsys: Capture, how: tuple[str, ...]
) -> None:
    text = scene.rendered().replace(
        "enableServiceLinks: false",
        "enableServiceLinks: false\n      priorityClassName: system-node-critical",
    )
    assert "priorityClassName" in text
    text = text.replace("maxUnavailable: 1", "maxUnavailable: 1\n  paused: true")
    assert "paused" in text
    scene.kubectl("apply", *how, "-f", "-", stdin=text)
    fields = by_title(values(scene, capsys, 1))["Deployment/tiny"]["fields"]
    assert {(one["path"], one["change"]) for one in fields} == {
        ("spec.template.spec.priorityClassName", "remove"),
        ("spec.paused", "remove"),
    }
    scene.apply(*how)
    assert values(scene, capsys, 0)["apply"] == []


def test_what_others_add_is_not_ours(scene: Scene, capsys: Capture) -> None:
    scene.apply()
    scene.patch(
        "deployment", "tiny", '{"metadata":{"annotations":{"note":"x"}},"spec":{"revisionHistoryLimit":3}}'
    )
    scene.patch("service", "tiny", '{"spec":{"sessionAffinity":"ClientIP"}}')
    sidecar = '{"spec":{"template":{"spec":{"containers":[{"name":"mesh","image":"mesh"}]}}}}'
    scene.kubectl("-n", scene.namespace, "patch", "deployment", "tiny", "-p", sidecar)
    assert {one["state"] for one in values(scene, capsys, 0)["objects"]} == {"same"}


def test_what_another_took_is_named_with_its_taker(scene: Scene, capsys: Capture) -> None:
    scene.write(replicas=(2, 2))
    scene.apply()
    scene.kubectl("-n", scene.namespace, "scale", "deployment", "tiny", "--replicas=5")
    scene.patch(
        "deployment",
        "tiny",
        '{"spec":{"progressDeadlineSeconds":77}}',
        "--field-manager=kubectl-edit",
    )
    found = values(scene, capsys, 1)
    fields = {one["path"]: one for one in by_title(found)["Deployment/tiny"]["fields"]}
    assert fields["spec.replicas"]["live"] == 5
    assert [(o["manager"], o["subresource"]) for o in fields["spec.replicas"]["taken_by"]] == [
        ("kubectl", "scale")
    ]
    assert [o["manager"] for o in fields["spec.progressDeadlineSeconds"]["taken_by"]] == ["kubectl-edit"]
    assert "--force-conflicts" in found["apply"][-1]
    assert scene.diff() == 1
    out, err = capsys.readouterr()
    assert re.search(r"@@ spec\.progressDeadlineSeconds @@  taken by kubectl-edit at \d{4}-", out)
    assert "-77\n+" in out
    assert "takes back" in err


def test_the_hpa_is_called_by_its_name(scene: Scene, cluster: Cluster, capsys: Capture) -> None:
    scene.write(replicas=(2, 2))
    scene.apply()
    path = f"/apis/apps/v1/namespaces/{scene.namespace}/deployments/tiny/scale?fieldManager=kube-controller-manager"
    scale = cluster.raw(path.split("?")[0])
    scale["spec"]["replicas"] = 4
    del scale["metadata"][
        "resourceVersion"
    ]  # the Deployment's controller may have written its status meanwhile
    cluster.raw(path, "PUT", scale)  # what the HPA controller sends
    assert scene.diff() == 1
    assert "@@ spec.replicas @@  taken by the HPA (through scale)" in capsys.readouterr().out


def test_a_command_that_the_diff_names_brings_the_cluster_there(scene: Scene, capsys: Capture) -> None:
    scene.write(replicas=(2, 2))
    scene.apply()
    scene.kubectl("-n", scene.namespace, "scale", "deployment", "tiny", "--replicas=5")
    scene.write(replicas=(1, 1))
    for command in values(scene, capsys, 1)["apply"]:
        words = command.split(" | ")[-1].split()
        if words[-2:] == ["-f", "-"]:
            scene.kubectl(*words[3:], stdin=scene.rendered())
        else:
            scene.kubectl(*words[3:])
    assert values(scene, capsys, 0)["apply"] == []


def test_quantities_and_defaults_are_the_servers(scene: Scene, capsys: Capture) -> None:
    text = scene.rendered()
    for memory in set(re.findall(r'memory: "?(\d+)Gi"?', text)):
        text = re.sub(rf'memory: "?{memory}Gi"?', f"memory: {int(memory) * 1024}Mi", text)
    assert "Mi" in text
    scene.kubectl("apply", "--server-side", "-f", "-", stdin=text)
    assert {one["state"] for one in values(scene, capsys, 0)["objects"]} == {"same"}


def test_what_cannot_be_changed_says_so(scene: Scene, capsys: Capture) -> None:
    text = scene.rendered().replace(
        "app.kubernetes.io/component: model-server", "app.kubernetes.io/component: other"
    )
    scene.kubectl("apply", "--server-side", "-f", "-", stdin=text)
    deployment = by_title(values(scene, capsys, 1))["Deployment/tiny"]
    assert deployment["state"] == "refused"
    assert "immutable" in deployment["message"]
    assert "delete the object" in deployment["help"]


def test_the_values_of_a_secret_are_never_shown(scene: Scene, cluster: Cluster) -> None:
    document = scene.documents()[1]
    text = (
        f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: token\n  namespace: {scene.namespace}\n"
        "  labels:\n    app.kubernetes.io/managed-by: homeport\ndata:\n  key: VALUE\n"
    )
    secret = msgspec.structs.replace(
        document,
        kind="Secret",
        api_version="v1",
        name="token",
        text=text.replace("VALUE", "c2Vjb25kLXNlY3JldA=="),
    )
    scene.kubectl("apply", "--server-side", "-f", "-", stdin=text.replace("VALUE", "Zmlyc3Qtc2VjcmV0"))
    found = compare(cluster, [secret], scene.namespace)
    assert [one.state for one in found.objects if one.kind == "Secret"] == ["differs"]
    shown = msgspec.json.encode(found).decode()
    assert "(hidden)" in shown
    for value in ("Zmlyc3Qtc2VjcmV0", "c2Vjb25kLXNlY3JldA"):
        assert value not in shown


def test_a_namespace_that_is_not_there_yet_is_no_error(scene: Scene, capsys: Capture) -> None:
    scene.namespace += "-new"
    scene.write()
    found = values(scene, capsys, 1)
    assert {one["state"] for one in found["objects"]} == {"missing"}
    assert found["objects"][0]["kind"] == "Namespace"


def test_a_kind_that_is_not_installed_is_a_row_with_the_command(scene: Scene, cluster: Cluster) -> None:
    document = msgspec.structs.replace(scene.documents()[1], kind="ScaledObject", api_version="keda.sh/v9")
    (row,) = (
        one for one in compare(cluster, [document], scene.namespace).objects if one.kind == "ScaledObject"
    )
    assert row.state == "missing"
    assert row.message == "the cluster serves no ScaledObject of keda.sh/v9: its CRD is not installed"
    assert row.help is not None
    assert row.help.startswith("helm upgrade --install keda keda ")


def test_the_text_is_a_unified_diff(scene: Scene, capsys: Capture) -> None:
    scene.apply()
    scene.write(more="    max_model_len: 4096\n")
    assert scene.diff() == 1
    out, err = capsys.readouterr()
    assert f"--- cluster  Deployment {scene.namespace}/tiny  (applied by kubectl)" in out
    assert f"+++ spec     Deployment {scene.namespace}/tiny" in out
    assert re.search(r"^@@ spec\.template\.spec\.containers\[\S+\]\.\w+ @@$", out, re.M)
    assert re.search(r"^-.*\d", out, re.M)
    assert re.search(r"^\+.*4096", out, re.M)
    assert "homeport render -f" in err


def test_the_answer_is_what_its_schema_says(scene: Scene, capsys: Capture) -> None:
    from homeport.commands.schema import schema_of

    scene.write(replicas=(2, 2))
    scene.apply()
    scene.kubectl("-n", scene.namespace, "scale", "deployment", "tiny", "--replicas=5")
    scene.write()
    jsonschema.Draft202012Validator(schema_of("diff")).validate(values(scene, capsys, 1))
