"""Status on a real API server with a real Prometheus; pods are kwok's, the engine's metrics those of a real vLLM."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import IO

import pytest

from homeport.cluster.client import connect
from homeport.cluster.doctor_types import Finding
from homeport.cluster.status import read_status
from tests.cluster.engine_metrics import Load, endpoints, text
from tests.cluster.scraping import prometheus, target
from tests.cluster.ward import Ward, found, spec
from tests.testbed.cluster import Testbed

pytestmark = pytest.mark.cluster

BUCKETS = """vllm:time_to_first_token_seconds_bucket{{model_name="chat",le="0.1"}} 0
vllm:time_to_first_token_seconds_bucket{{model_name="chat",le="0.5"}} {count}
vllm:time_to_first_token_seconds_bucket{{model_name="chat",le="+Inf"}} {count}
"""


def metrics(load: Load, answered: int) -> str:
    """A replica's metrics under a load; `answered` requests got their first token within 0.1 to 0.5 s."""
    lines = text("vllm", "chat", load).split("\n")
    kept = [line for line in lines if "time_to_first_token_seconds" not in line]
    return "\n".join([*kept, BUCKETS.format(count=answered)])


@pytest.fixture
def ward(testbed: Testbed, namespace: str) -> Iterator[Ward]:
    """A spec of one model on GKE, with a node that holds two replicas."""
    made = Ward(connect(testbed.kubeconfig), namespace)
    made.gpu_node(f"{namespace}-gpu")
    yield made
    made.close()


def test_load_and_cost_of_what_runs_and_the_queries_of_the_autoscaler(ward: Ward, tmp_path: Path) -> None:
    load = Load(running=4, waiting=3, kv_cache=0.5)
    with endpoints({"/metrics": metrics(load, 0)}) as engine:
        job = f"{ward.namespace}/chat"
        labels = {"namespace": ward.namespace, "pod": "chat-1", "job": job}
        with prometheus(tmp_path, [target(engine.port, "/metrics", **labels)]) as server:
            ward = Ward(ward.cluster, ward.namespace, spec(ward.namespace, server.url))
            ward.apply()
            ward.pod()
            none_yet = "no requests in the last 5 minutes"
            ward.until(
                lambda: read_status(ward.plan, ward.cluster).models[0].unknown.get("ttft_p95_ms") == none_yet
            )
            engine.texts["/metrics"] = metrics(load, 100)
            ward.until(lambda: read_status(ward.plan, ward.cluster).models[0].load.ttft_p95_ms is not None)
            ward.until(lambda: read_status(ward.plan, ward.cluster).ready)
            state = read_status(ward.plan, ward.cluster)
            (model,) = state.models
            assert model.load.ttft_p95_ms == pytest.approx(480, abs=0.1), "0.1 s + 95 % of 0.4 s"
            assert (model.load.running, model.load.waiting, model.load.kv_cache_use) == (4, 3, 0.5)
            assert (model.replicas.wanted, model.replicas.ready, model.ready) == (1, 1, True)
            price = ward.plan.models[0].nodes
            assert price is not None
            assert price.price is not None
            assert model.spending.usd_per_hour == pytest.approx(float(price.price.usd_per_hour))
            assert (model.spending.basis, model.spending.nodes) == ("nodes", 1)
            assert model.last_scaled is not None
            assert "from 0 to 1" in model.last_scaled.why
            _judged(ward, tmp_path)


def _judged(ward: Ward, tmp_path: Path) -> None:
    """The same Prometheus, asked by doctor: the rendered queries are right, and a wrong label is found."""
    report = ward.doctor()
    assert [f.severity for f in found(report, "prometheus")] == ["ok"]
    triggers = found(report, "trigger")
    assert triggers
    assert [f.severity for f in triggers] == ["ok"] * len(triggers), [f.what for f in triggers]
    path = f"/apis/keda.sh/v1alpha1/namespaces/{ward.namespace}/scaledobjects/chat"
    (item,) = ward.cluster.list("keda.sh/v1alpha1", "ScaledObject", ward.namespace)
    wrong = [
        {
            **one,
            "metadata": {
                **one["metadata"],
                "query": one["metadata"]["query"].replace('model_name="chat"', 'model_name="other"'),
            },
        }
        for one in item["spec"]["triggers"]
    ]
    ward.patch(path, {"spec": {"triggers": wrong}})
    faults: list[Finding] = found(ward.doctor(), "trigger", "error")
    assert faults
    assert 'model_name="other" (there is: chat)' in faults[0].evidence


def test_why_a_replica_does_not_serve(ward: Ward) -> None:
    ward.apply()
    pod = ward.pod()
    ward.until(lambda: read_status(ward.plan, ward.cluster).ready)
    waiting = {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}
    ward.ill(pod, {"state": {"waiting": waiting}})  # a Pending one kwok would make run
    ward.event(pod, "Failed", "Failed to pull image: manifest unknown")
    ward.until(lambda: not read_status(ward.plan, ward.cluster).ready)
    (model,) = read_status(ward.plan, ward.cluster).models
    assert (model.pods[0].phase, "manifest unknown" in model.pods[0].why) == ("pulling", True)


def lines(stream: IO[str]) -> "Queue[str]":
    """The lines of a stream, as they come."""
    queue: Queue[str] = Queue()

    def read() -> None:
        for line in stream:
            queue.put(line)

    threading.Thread(target=read, daemon=True).start()
    return queue


def test_watching_survives_a_cut_connection_and_ends_with_ctrl_c(
    ward: Ward, testbed: Testbed, tmp_path: Path
) -> None:
    file = tmp_path / "homeport.yaml"
    file.write_text(spec(ward.namespace))
    ward.apply()
    ward.pod()
    ward.until(lambda: read_status(ward.plan, ward.cluster).ready)
    command = [sys.executable, "-m", "homeport", "status", "-f", file, "--kubeconfig", testbed.kubeconfig]
    watching = subprocess.Popen(
        [*command, "--watch", "--every", "1", "-o", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert watching.stdout is not None
    assert watching.stderr is not None
    try:
        said, told = lines(watching.stdout), lines(watching.stderr)
        assert json.loads(said.get(timeout=90))["models"][0]["ready"] is True
        testbed.kill_apiserver()
        try:
            assert "the cluster does not answer, trying again" in told.get(timeout=90)
        finally:
            testbed.restart_apiserver()
        assert "the cluster answers again" in told.get(timeout=90)
        assert json.loads(said.get(timeout=60))["namespace"] == ward.namespace
        watching.send_signal(signal.SIGINT)
        assert watching.wait(60) == 0, "the exit code of the last reading"
        assert told.empty(), "no traceback"
    finally:
        watching.kill()
        watching.wait()
        watching.stdout.close()
        watching.stderr.close()
