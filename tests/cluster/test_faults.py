"""What goes wrong with clusters, done to a real API server: nothing is lost, and the message says what to do."""

import json
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from homeport.cluster import client as client_module
from homeport.cluster import diff as diff_module
from homeport.cluster.client import Cluster, connect
from homeport.cluster.client_poll import poll
from homeport.cluster.diff import compare
from homeport.cluster.diff_types import Comparison
from homeport.cluster.errors import ClusterProblem, CredentialsRefused, Taken
from homeport.commands.main import run
from tests.cluster.cutting import Cutter, address, through
from tests.cluster.scene import Scene, by_title
from tests.testbed.build import ensure
from tests.testbed.processes import until

pytestmark = pytest.mark.cluster
Capture = pytest.CaptureFixture[str]

MODELS = 6


@pytest.fixture
def cutter(testbed: Any) -> Iterator[Cutter]:
    made = Cutter(address(testbed.url))
    yield made
    made.close()


def values(scene: Scene, capsys: Capture, code: int) -> dict[str, Any]:
    capsys.readouterr()
    assert scene.diff("-o", "json") == code, capsys.readouterr().err
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def said(capsys: Capture) -> str:
    """The error and its help: two lines, and no traceback."""
    err = capsys.readouterr().err
    assert "Traceback" not in err
    return err


def many(scene: Scene, models: int = MODELS) -> None:
    """Make the spec one of many models."""
    text = scene.spec.read_text()
    head, model = text.split("models:\n")
    scene.spec.write_text(
        head + "models:\n" + "".join(model.replace("tiny", f"tiny-{i}") for i in range(models))
    )


def test_an_apply_that_the_server_did_not_survive_is_completed_by_the_next(
    testbed: Any, scene: Scene, capsys: Capture, tmp_path: Path
) -> None:
    many(scene, 20)  # so many that kubectl is not through before the server is gone
    folder = tmp_path / "manifests"
    assert run(["render", "-f", str(scene.spec), "-o", str(folder)]) == 0
    command = [ensure("kubectl")["kubectl"], "--kubeconfig", scene.kubeconfig]
    command += ["apply", "--server-side", "-k", folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as applying:
        assert applying.stdout is not None
        applied = [applying.stdout.readline() for _ in range(10)]
        testbed.kill_apiserver()
        try:
            applied += applying.stdout.readlines()
            assert applying.wait(120) != 0
            assert scene.diff() == 3
            assert "cannot be reached: it refuses the connection" in said(capsys)
        finally:
            testbed.restart_apiserver()
    between = values(scene, capsys, 1)
    states = {title: one["state"] for title, one in by_title(between).items()}
    assert set(states.values()) == {"same", "missing"}
    # What kubectl said it had applied is there; it may have been killed before it could say so.
    assert sum(state == "same" for state in states.values()) >= len(
        [line for line in applied if line.strip()]
    )
    scene.kubectl("apply", "--server-side", "-k", str(folder))
    assert {one["state"] for one in values(scene, capsys, 0)["objects"]} == {"same"}


def test_a_comparison_outlives_a_restart_of_the_server(testbed: Any, scene: Scene) -> None:
    many(scene)
    scene.apply()
    cluster = connect(scene.kubeconfig, patience_s=60)
    assert cluster.raw("/version")
    documents = scene.documents()
    ended = threading.Event()

    def rounds() -> list[Comparison]:
        found = []
        while not ended.is_set():
            found.append(compare(cluster, documents, scene.namespace))
        return found

    with ThreadPoolExecutor(1) as comparing:
        answer = comparing.submit(rounds)
        try:
            time.sleep(0.2)
            testbed.kill_apiserver()
            testbed.restart_apiserver()  # in this thread: the process ends with the thread that started it
        finally:
            ended.set()
        found = answer.result(120)
    assert found
    assert {one.state for comparison in found for one in comparison.objects} == {"same"}
    assert {comparison.not_looked_for for comparison in found} == {()}


def test_a_server_that_stays_away_is_one_sentence(
    testbed: Any, scene: Scene, cutter: Cutter, tmp_path: Path
) -> None:
    cluster = connect(through(scene.kubeconfig, cutter.port, tmp_path), patience_s=1.5)
    assert cluster.raw("/version")
    cutter.cut(down=True)
    began = time.monotonic()
    with pytest.raises(
        ClusterProblem, match=r"^the API server https://127\.0\.0\.1:\d+ cannot be reached: "
    ) as caught:
        compare(cluster, scene.documents(), scene.namespace)
    assert 1 < time.monotonic() - began < 30
    assert caught.value.exit_code == 3


def test_connections_that_break_all_the_time_lose_nothing(
    scene: Scene, cutter: Cutter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diff_module, "AT_A_TIME", 1)
    many(scene)
    scene.apply()
    cutter.cut_after = 200_000  # a list of all ConfigMaps fits in
    cluster = connect(through(scene.kubeconfig, cutter.port, tmp_path))
    found = compare(cluster, scene.documents(), scene.namespace)
    assert {one.state for one in found.objects} == {"same"}
    assert len(found.objects) == len(scene.documents())
    assert cutter.connections >= 2


def test_a_slow_etcd_is_a_sentence_and_costs_nothing(
    testbed: Any, scene: Scene, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.apply()
    monkeypatch.setattr(client_module, "SERVER_S", 2)
    monkeypatch.setattr(client_module, "READ_S", 5.0)
    testbed.stop_etcd()
    try:
        assert scene.diff() == 3
    finally:
        testbed.continue_etcd()
    err = said(capsys)
    assert "did not answer in time" in err
    assert "etcd may be slow" in err
    monkeypatch.undo()
    assert values(scene, capsys, 0)["apply"] == []


def test_who_took_a_field_is_named_when_it_is_not_forced(scene: Scene, cluster: Cluster) -> None:
    document = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "taken", "namespace": scene.namespace},
        "data": {"key": "ours"},
    }
    cluster.apply(document, manager="homeport")
    scene.patch("configmap", "taken", '{"data":{"key":"theirs"}}', "--field-manager=kubectl-edit")
    with pytest.raises(Taken) as caught:
        cluster.apply(document, manager="homeport")
    assert caught.value.managers == {"kubectl-edit": ["data.key"]}
    assert "kubectl-edit (data.key)" in str(caught.value)
    assert cluster.apply(document, manager="homeport", force=True)["data"] == {"key": "ours"}


def as_user(scene: Scene, folder: Path, rules: list[str]) -> Path:
    """A kubeconfig of a service account that may do what `rules` say in the namespace."""
    scene.kubectl("-n", scene.namespace, "create", "serviceaccount", "dev")
    allow(scene, rules)
    binding = ("create", "rolebinding", "dev", "--role=dev", f"--serviceaccount={scene.namespace}:dev")
    scene.kubectl("-n", scene.namespace, *binding)
    effective(scene, rules[-1])
    token = scene.kubectl("-n", scene.namespace, "create", "token", "dev").strip()
    file = folder / "dev.yaml"
    file.write_text(scene.kubeconfig.read_text())
    configure = ("--kubeconfig", str(file), "config")
    scene.kubectl(*configure, "set-credentials", "dev", f"--token={token}")
    cluster = json.loads(scene.kubectl("config", "view", "--minify", "-o", "json"))["contexts"][0]["context"][
        "cluster"
    ]
    scene.kubectl(*configure, "set-context", "dev", f"--cluster={cluster}", "--user=dev")
    return file


def allow(scene: Scene, rules: list[str]) -> None:
    text = (
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: dev}\nrules:\n"
        + "\n".join(rules)
    )
    scene.kubectl("-n", scene.namespace, "apply", "-f", "-", stdin=text)


def effective(scene: Scene, rule: str) -> None:
    """Wait until the API server, which learns of roles in a moment of its own, lets the account do what a rule says."""
    (said,) = yaml.safe_load(rule)
    group, resource = said["apiGroups"][-1], said["resources"][0]
    name = "podmonitors" if resource == "*" and group == "monitoring.coreos.com" else resource
    what = f"{name.replace('*', 'pods')}{f'.{group}' if group not in ('', '*') else ''}"
    ask = ("auth", "can-i", said["verbs"][0], what, f"--as=system:serviceaccount:{scene.namespace}:dev")
    until(lambda: scene.kubectl("-n", scene.namespace, *ask, check=False).strip() == "yes", 60, rule, 0.2)


def test_what_rbac_forbids_is_named_and_the_named_rule_allows_it(
    scene: Scene, capsys: Capture, tmp_path: Path
) -> None:
    scene.spec.write_text(
        scene.spec.read_text().replace("    scaling: {by: none}\n", "").replace("max: 1", "max: 3")
    )
    scene.apply()
    rules = ['- {apiGroups: ["*"], resources: ["*"], verbs: ["get", "list"]}']
    rules.append(
        '- {apiGroups: ["", "apps", "policy", "networking.k8s.io", "monitoring.coreos.com"], '
        'resources: ["*"], verbs: ["patch"]}'
    )
    kubeconfig = as_user(scene, tmp_path, rules)
    arguments = [
        "diff",
        "-f",
        str(scene.spec),
        "--kubeconfig",
        str(kubeconfig),
        "--context",
        "dev",
        "-o",
        "json",
    ]
    capsys.readouterr()
    assert run(arguments) == 3
    found = json.loads(capsys.readouterr().out)
    scaler = by_title(found)["ScaledObject/tiny"]
    assert scaler["state"] == "unknown"
    assert scaler["message"] == (
        f"system:serviceaccount:{scene.namespace}:dev may not patch scaledobjects.keda.sh "
        f"in the namespace {scene.namespace}"
    )
    missing = re.search(r"this rule there: (- .*)$", scaler["help"])
    assert missing
    allow(scene, [*rules, missing[1]])
    effective(scene, missing[1])
    run(arguments)
    again = json.loads(capsys.readouterr().out)
    assert by_title(again)["ScaledObject/tiny"]["state"] == "same"
    # What belongs to the whole cluster a Role cannot allow, and the note says so.
    assert [text for text in again["not_looked_for"] if "ask for a ClusterRole with this rule: - {" in text]


def test_a_token_that_is_no_longer_good_is_said_and_not_shown(
    scene: Scene, capsys: Capture, tmp_path: Path
) -> None:
    kubeconfig = as_user(scene, tmp_path, ['- {apiGroups: [""], resources: ["pods"], verbs: ["get"]}'])
    token = re.search(r"token: (\S{100,})", kubeconfig.read_text())
    assert token
    scene.kubectl("-n", scene.namespace, "delete", "serviceaccount", "dev")
    with pytest.raises(CredentialsRefused):
        for _ in poll(lambda: connect(kubeconfig, "dev").raw("/apis"), 0.5):
            pass  # the server remembers a token's answer for some seconds
    assert run(["diff", "-f", str(scene.spec), "--kubeconfig", str(kubeconfig), "--context", "dev"]) == 3
    err = said(capsys)
    assert "does not accept the kubeconfig's credentials (wrong or expired)" in err
    assert token[1][:20] not in err


def test_a_namespace_that_is_being_deleted_is_said_so(scene: Scene, capsys: Capture) -> None:
    name = f"{scene.namespace}-ending"
    scene.kubectl("create", "namespace", name)
    held = (
        '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"held","finalizers":["example.org/hold"]}}'
    )
    scene.kubectl("-n", name, "apply", "-f", "-", stdin=held)
    scene.kubectl("delete", "namespace", name, "--wait=false")
    try:
        scene.namespace = name
        scene.write()

        def refused() -> dict[str, Any] | None:
            found = by_title(values(scene, capsys, 1))["ServiceAccount/tiny"]
            return found if found["state"] == "refused" else None

        account = until(refused, 60, "admission learns of the deletion through a watch, which may lag", 0.5)
        assert account is not None
        assert account["message"].startswith(f"the namespace {name} is being deleted")
        assert f"kubectl get namespace {name}" in account["help"]
    finally:
        scene.kubectl("-n", name, "patch", "configmap", "held", "-p", '{"metadata":{"finalizers":null}}')


def test_a_quota_without_room_says_how_much(scene: Scene, capsys: Capture) -> None:
    scene.kubectl("-n", scene.namespace, "create", "quota", "small", "--hard=services=0")
    # The controller that counts would write the same.
    counted = '{"status":{"hard":{"services":"0"},"used":{"services":"0"}}}'
    scene.kubectl(
        "-n",
        scene.namespace,
        "patch",
        "quota",
        "small",
        "--subresource=status",
        "--type=merge",
        "-p",
        counted,
    )

    def refused() -> dict[str, Any] | None:
        found = by_title(values(scene, capsys, 1))["Service/tiny"]
        return found if "leaves no room" in (found["message"] or "") else None

    service = until(refused, 60, "admission learns of the quota through a watch, which may lag", 0.5)
    assert service is not None
    assert service["message"] == (
        f"the quota small leaves no room for the Service 'tiny' in the namespace {scene.namespace}: "
        "it asks for services=1, services=0 is used, the limit is services=0"
    )
    assert "describe resourcequota small" in service["help"]


def test_polling_goes_on_when_the_connection_is_back(scene: Scene, cutter: Cutter, tmp_path: Path) -> None:
    far = connect(through(scene.kubeconfig, cutter.port, tmp_path), patience_s=0.1)
    lost: list[ClusterProblem] = []
    polling = poll(lambda: far.raw("/version"), 0.05, on_lost=lost.append)
    assert next(polling)["major"] == "1"
    cutter.cut(down=True)
    threading.Timer(1.5, cutter.up).start()
    assert next(polling)["major"] == "1"
    assert [type(problem).__name__ for problem in lost] == ["Unreachable"]
