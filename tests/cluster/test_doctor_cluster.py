"""Doctor on a real API server: its real words, its real scheduler and quotas, and the commands that it prints, run.

Nodes and pods are kwok's; a crash and its log are written as a kubelet would (tests/cluster/ward.py).
"""

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import close_session

from homeport.cluster.client import connect
from homeport.cluster.doctor import diagnose
from homeport.commands.main import run
from tests.catalog.test_hub import Handler, HubServer, body, error
from tests.cluster.ward import Kubelet, Ward, found, spec
from tests.testbed.build import ensure
from tests.testbed.cluster import Testbed

pytestmark = pytest.mark.cluster


@pytest.fixture
def ward(testbed: Testbed, namespace: str) -> Iterator[Ward]:
    """A spec of one gated model on GKE, and no nodes."""
    made = Ward(connect(testbed.kubeconfig), namespace)
    yield made
    made.close()


@pytest.fixture
def kubelet(testbed: Testbed) -> Iterator[Kubelet]:
    """A stand-in for a kubelet's log endpoint."""
    made = Kubelet(testbed.plane.pki / "tls.crt", testbed.plane.pki / "tls.key")
    yield made
    made.close()


def shell(testbed: Testbed, command: str, **files: str) -> None:
    """Run a command of a finding as it stands, as the administrator; FILE is filled in."""
    for name, text in files.items():
        (testbed.folder / name).write_text(text)
        command = command.replace(name.upper(), str(testbed.folder / name))
    path = f"{ensure('kubectl')['kubectl'].parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "KUBECONFIG": str(testbed.kubeconfig)}
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, f"{command}\n{done.stderr}"


def test_before_anything_is_applied(ward: Ward, testbed: Testbed) -> None:
    report = ward.doctor(preflight_only=True)
    (nodes,) = found(report, "nodes")
    assert nodes.severity == "error"
    (secret,) = found(report, "secrets", "error")
    shell(testbed, secret.repair[-1], file="hf_not_a_token")
    ward.gpu_node(f"{ward.namespace}-gpu-1")
    ward.gpu_node(f"{ward.namespace}-gpu-2")
    report = ward.doctor(preflight_only=True)
    assert not found(report, "secrets", "error")
    assert not [f for f in found(report, "nodes") if f.severity != "ok"]
    assert not found(report, "kinds", "error")
    assert found(report, "metrics-api", "error"), "no KEDA runs here"
    assert not [f for f in report.findings if f.severity == "unknown"]


def test_no_value_of_a_secret_is_in_the_answer(
    ward: Ward, testbed: Testbed, capsys: pytest.CaptureFixture[str]
) -> None:
    ward.secret("hub-token", {"token": "hf_a_very_secret_value"})
    file = testbed.folder / f"{ward.namespace}.yaml"
    file.write_text(spec(ward.namespace))
    for how in ("table", "json"):
        assert run(["doctor", "-f", str(file), "--kubeconfig", str(testbed.kubeconfig), "-o", how, "-v"]) == 1
        said = capsys.readouterr()
        assert "hub-token" in said.out
        for form in ("hf_a_very_secret_value", "aGZfYV92ZXJ5X3NlY3JldF92YWx1ZQ"):
            assert form not in said.out + said.err


def test_who_may_not_read_gets_the_commands_and_they_work(ward: Ward, testbed: Testbed) -> None:
    weak = testbed.user("weak", [], ward.namespace)
    report = diagnose(ward.plan, connect(weak))
    unknown = {f.check for f in report.findings if f.severity == "unknown"}
    assert unknown >= {"reading", "nodes", "secrets", "quota", "pods", "workload"}
    assert not {f.check for f in report.findings if f.severity == "ok"} & unknown - {"versions"}
    assert len(found(report, "rights", "error")) == 2, "one role for the cluster, one for the namespace"
    commands = [c for f in found(report, "reading") for c in f.repair]
    try:
        for command in commands:
            shell(testbed, command)
        may = {"targets", "trigger"}

        def unknown_now() -> set[str]:
            return {f.check for f in diagnose(ward.plan, connect(weak)).findings if f.severity == "unknown"}

        ward.until(lambda: unknown_now() <= may)  # the API server learns of a role in a moment of its own
    finally:
        testbed.kubectl("delete", "clusterrole,clusterrolebinding", "homeport-doctor")


def test_the_scheduler_s_own_words(ward: Ward) -> None:
    name = f"{ward.namespace}-cpu"
    ward.node(name, {"node.kubernetes.io/instance-type": "n2-standard-8"})
    ward.apply()
    ward.until(lambda: any("nodes are available" in str(p["status"]) for p in ward.pods()))
    report = ward.doctor()
    (pod,) = found(report, "pods")
    assert "nodes are available" in pod.evidence
    assert "no node has the label" in pod.advice
    (nodes,) = found(report, "nodes")
    assert "instance-type=n2-standard-8" in nodes.evidence


def test_an_engine_s_last_words_come_through_the_api_server(ward: Ward, kubelet: Kubelet) -> None:
    ward.gpu_node(f"{ward.namespace}-gpu", kubelet=kubelet)
    ward.apply()
    pod = ward.pod()
    ward.crash(pod)
    kubelet.logs[pod["metadata"]["name"], "server"] = (
        "INFO loading\ntorch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 22.19 GiB "
        "of which 1.50 MiB is free.\nRuntimeError: Engine core initialization failed. See root cause above.\n"
    )
    report = ward.doctor()
    (fault,) = found(report, "pods")
    assert fault.what == "the GPU's memory is full (4 restarts)"
    assert "gpu_memory_utilization to" in fault.advice
    assert kubelet.previous_was_asked(), "the run that crashed, not the one that starts now"


def test_a_log_that_cannot_be_read_is_no_silence(ward: Ward) -> None:
    ward.gpu_node(f"{ward.namespace}-gpu")  # no kubelet answers
    ward.apply()
    ward.crash(ward.pod())
    (fault,) = found(ward.doctor(), "pods")
    assert fault.severity == "error"
    assert fault.why == "its log could not be read"


def test_a_quota_is_seen_before_and_after_and_its_repair_works(ward: Ward, testbed: Testbed) -> None:
    ward.cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "gpus", "namespace": ward.namespace},
            "spec": {"hard": {"requests.nvidia.com/gpu": "1"}},
        },
        manager="test",
    )
    ward.gpu_node(f"{ward.namespace}-gpu")
    ward.apply()
    ward.until(lambda: "ReplicaFailure" in str(ward.cluster.list("apps/v1", "Deployment", ward.namespace)))
    report = ward.doctor()
    (quota,) = found(report, "quota")
    (workload,) = found(report, "workload")
    assert quota.severity == workload.severity == "error"
    assert "exceeded quota: gpus" in workload.evidence
    assert workload.advice == "see the check quota"
    for command in quota.repair:
        shell(testbed, command)
    ward.until(lambda: not found(ward.doctor(), "quota", "error"))  # the controller copies it into the status


def test_a_namespace_that_ends(ward: Ward) -> None:
    held = f"/api/v1/namespaces/{ward.namespace}"
    ward.cluster.raw(
        f"{held}/configmaps",
        "POST",
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "held", "finalizers": ["test/held"]}},
    )
    ward.cluster.raw(held, "DELETE")
    try:
        ward.until(lambda: "held" in str(ward.cluster.get("v1", "Namespace", ward.namespace)))
        (fault,) = found(ward.doctor(preflight_only=True), "namespace")
        assert fault.severity == "error"
        assert "finalizer" in fault.evidence
    finally:
        ward.patch(f"{held}/configmaps/held", {"metadata": {"finalizers": None}})


def test_a_cluster_that_is_not_there_is_of_the_environment(
    tmp_path: Path, testbed: Testbed, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "homeport.yaml"
    file.write_text(spec("ward"))
    config = tmp_path / "kubeconfig"
    config.write_text(testbed.kubeconfig.read_text().replace(testbed.url, "https://127.0.0.1:9"))
    for command in ("doctor", "status"):
        assert run([command, "-f", str(file), "--kubeconfig", str(config)]) == 3
        assert "error:" in capsys.readouterr().err


def test_both_answers_hold_their_schemas(
    ward: Ward, testbed: Testbed, capsys: pytest.CaptureFixture[str]
) -> None:
    import msgspec

    from homeport.cluster.doctor_types import Report
    from homeport.cluster.status_types import Status

    file = testbed.folder / f"{ward.namespace}.yaml"
    file.write_text(spec(ward.namespace))
    for command, kind in (("doctor", Report), ("status", Status)):
        assert run([command, "-f", str(file), "--kubeconfig", str(testbed.kubeconfig), "-o", "json"]) == 1
        msgspec.json.decode(capsys.readouterr().out, type=kind)


def test_the_hub_is_asked_about_a_token_and_the_repairs_work(
    ward: Ward, testbed: Testbed, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_ENDPOINT", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = HubServer()
    old, new = "hf_the_old_secret_value", "hf_the_new_secret_value"

    def answer(handler: Handler) -> None:
        if handler.headers["authorization"] == f"Bearer {new}":
            body(b"OK")(handler)
        else:
            error(401, None, "Invalid credentials in Authorization header")(handler)

    route = "/api/models/meta-llama/Llama-3.1-8B-Instruct/auth-check"
    server.routes[route] = answer
    ward.secret("hub-token", {"token": old, "other": "kept"})
    ward.apply()
    shell(testbed, f"kubectl --namespace {ward.namespace} set env deployment/chat HF_ENDPOINT={server.url}")
    file = testbed.folder / f"{ward.namespace}.yaml"
    file.write_text(spec(ward.namespace))

    def doctor(*how: str) -> dict[str, Any]:
        argv = [
            "doctor",
            "-f",
            str(file),
            "--kubeconfig",
            str(testbed.kubeconfig),
            "--preflight",
            "-o",
            "json",
        ]
        run([*argv, *how])
        said = capsys.readouterr()
        for value in (old, new):
            assert value not in said.out + said.err
        findings: list[dict[str, Any]] = json.loads(said.out)["findings"]
        return next(f for f in findings if f["check"] == "hub-token")

    try:
        unasked = doctor()
        assert (unasked["severity"], server.asked) == ("ok", [])
        refused = doctor("--hub")
        assert (refused["severity"], server.paths) == ("error", [route])
        shell(testbed, refused["repair"][0], file=new + "\n")
        assert doctor("--hub")["severity"] == "ok"
        secret = ward.cluster.get("v1", "Secret", "hub-token", ward.namespace)
        assert secret is not None
        assert base64.b64decode(secret["data"]["other"]) == b"kept"
        assert new not in str(secret["metadata"]), "no annotation holds it"
        server.routes[route] = error(403, "GatedRepo", "Access to the model is restricted")
        gated = doctor("--hub")
        whoami = gated["repair"][0]
        assert whoami.endswith("hf auth whoami")
        read = whoami.partition("$(")[2].partition(")")[0]
        shell(testbed, f'test "$({read})" = {new}')
    finally:
        server.shutdown()
        server.server_close()
        close_session()


@pytest.mark.parametrize("count", [1, 2])
def test_one_default_storage_class_is_left_by_the_commands(ward: Ward, testbed: Testbed, count: int) -> None:
    names = [f"{ward.namespace}-{n}" for n in range(count)]
    note = {"storageclass.kubernetes.io/is-default-class": "true"} if count == 2 else {}
    claims = ward_of_claims(testbed, ward.namespace)
    there = {c["metadata"]["name"] for c in ward.cluster.list("storage.k8s.io/v1", "StorageClass")}
    assert not there, "the testbed has none of its own"
    try:
        for name in names:
            ward.cluster.apply(
                {
                    "apiVersion": "storage.k8s.io/v1",
                    "kind": "StorageClass",
                    "metadata": {"name": name, "annotations": note},
                    "provisioner": "efs.csi.aws.com",
                },
                manager="test",
            )
        (fault,) = [f for f in found(claims.doctor(preflight_only=True), "storage") if f.severity != "ok"]
        for command in fault.repair:
            shell(testbed, command)
        assert {f.severity for f in found(claims.doctor(preflight_only=True), "storage")} == {"ok"}
    finally:
        testbed.kubectl("delete", "storageclass", *names, "--ignore-not-found")
        claims.close()


def ward_of_claims(testbed: Testbed, namespace: str) -> Ward:
    """The same model with its weights on a volume of the default class."""
    text = (
        spec(namespace)
        .replace("hub_token:", "weights: {source: pvc}\n    hub_token:")
        .replace("max: 2", "max: 1")
    )
    return Ward(connect(testbed.kubeconfig), namespace, text)
