"""A plan whose pods are ill: nodes, pods and events of a real API server, put into the states that real ones get into.

kwok keeps fake nodes and pods alive; what only a kubelet would write (a crash, a back-off, its events) is written here,
and `Kubelet` stands in for the one thing that the API server asks a kubelet for: logs.
"""

import ssl
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from homeport.cluster.client import Cluster
from homeport.cluster.doctor import diagnose
from homeport.cluster.doctor_types import Finding, Report
from homeport.manifests.parsing import load as parsed
from homeport.manifests.render import documents
from homeport.planning.plan import Planner
from homeport.planning.types import Plan
from homeport.spec.load import load

Object = dict[str, Any]

SPEC = """version: 1
name: {name}
namespace: {name}
target: {{platform: gke, region: us-central1}}
models:
  - name: chat
    model: meta-llama/Llama-3.1-8B-Instruct
    workload: {{requests_per_day: 1000, input_tokens: 500, output_tokens: 200}}
    replicas: {{min: 1, max: 2}}
    hub_token: {{secret: hub-token, key: token}}
observability: {{prometheus_url: "{prometheus}"}}
"""


def spec(name: str, prometheus: str = "http://127.0.0.1:9") -> str:
    """The text of a spec of one gated model on GKE."""
    return SPEC.format(name=name, prometheus=prometheus)


def planned(text: str) -> Plan:
    """The plan of a spec's text."""
    return Planner(Path()).plan(load(text.encode(), "homeport.yaml").spec)


class Kubelet:
    """Stands in for a kubelet's log endpoint: HTTPS on loopback, `logs` maps (pod, container) to text."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Serve until `close`."""
        self.logs: dict[tuple[str, str], str] = {}
        self.asked: list[str] = []
        kubelet = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                kubelet.asked.append(self.path)
                parts = urlsplit(self.path).path.split("/")  # /containerLogs/NAMESPACE/POD/CONTAINER
                text = kubelet.logs.get((parts[3], parts[4]))
                body = (text or "no such container").encode()
                self.send_response(200 if text is not None else 404)
                self.send_header("Content-Type", "text/plain")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()

    def previous_was_asked(self) -> bool:
        """Say whether the log of the run before was asked for."""
        return any(parse_qs(urlsplit(path).query).get("previous") == ["true"] for path in self.asked)

    def close(self) -> None:
        """End."""
        self._server.shutdown()
        self._server.server_close()


class Ward:
    """A spec, its plan, and the cluster that it is for."""

    def __init__(self, cluster: Cluster, namespace: str, text: str | None = None) -> None:
        """Nothing is applied yet."""
        self.cluster = cluster
        self.namespace = namespace
        self.plan = planned(text or spec(namespace))
        self.nodes: list[str] = []

    def apply(self, *kinds: str) -> None:
        """Apply what is rendered (of some kinds)."""
        for document in documents(self.plan):
            if not kinds or document.kind in kinds:
                self.cluster.apply(parsed(document.text), manager="homeport-test", force=True)

    def node(
        self,
        name: str,
        labels: dict[str, str] | None = None,
        gpus: int = 0,
        taints: tuple[Object, ...] = (),
        kubelet: "Kubelet | None" = None,
    ) -> None:
        """Add a fake node, and wait until it is ready."""
        allocatable = {"cpu": "64", "memory": "512Gi", "ephemeral-storage": "2000Gi", "pods": "110"}
        if gpus:
            allocatable["nvidia.com/gpu"] = str(gpus)
        self.cluster.raw(
            "/api/v1/nodes",
            "POST",
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {
                    "name": name,
                    "labels": {"kubernetes.io/hostname": name, **(labels or {})},
                    "annotations": {"kwok.x-k8s.io/node": "fake"},
                },
                "spec": {"taints": list(taints)},
                "status": {"allocatable": allocatable, "capacity": allocatable},
            },
        )
        self.nodes.append(name)
        self.until(lambda: _ready(self.cluster.get("v1", "Node", name)))
        status: Object = {"allocatable": allocatable, "capacity": allocatable}
        if kubelet is not None:
            status["addresses"] = [{"type": "InternalIP", "address": "127.0.0.1"}]
            status["daemonEndpoints"] = {"kubeletEndpoint": {"Port": kubelet.port}}
        self.patch(f"/api/v1/nodes/{name}/status", {"status": status})

    def gpu_node(self, name: str, **more: Any) -> None:
        """Add a node of the plan's own instance type."""
        nodes = self.plan.models[0].nodes
        assert nodes is not None
        labels = {"node.kubernetes.io/instance-type": nodes.instance_types[0]}
        self.node(name, labels, nodes.gpus_per_node, **more)

    def patch(self, path: str, body: Object) -> None:
        """Merge into an object."""
        self.cluster.raw(path, "PATCH", body, content_type="application/merge-patch+json")

    def pods(self) -> list[Object]:
        """The model's pods."""
        return self.cluster.list("v1", "Pod", self.namespace)

    def pod(self, *, placed: bool = True) -> Object:
        """The first pod, once it is there (and has a node, and runs)."""
        self.until(
            lambda: any(
                not placed or (p["spec"].get("nodeName") and p["status"].get("phase") == "Running")
                for p in self.pods()
            )
        )
        return next(p for p in self.pods() if not placed or p["spec"].get("nodeName"))

    def ill(self, pod: Object, container: Object) -> None:
        """Write the status that a kubelet would: one container's, and that the pod is not ready."""
        name = pod["metadata"]["name"]
        status = {
            "phase": "Running",
            "conditions": [
                {"type": "PodScheduled", "status": "True"},
                {"type": "Ready", "status": "False", "reason": "ContainersNotReady"},
            ],
            "containerStatuses": [
                {
                    "name": "server",
                    "image": pod["spec"]["containers"][0]["image"],
                    "imageID": "",
                    "ready": False,
                    "restartCount": 0,
                    **container,
                }
            ],
        }
        self.patch(f"/api/v1/namespaces/{self.namespace}/pods/{name}/status", {"status": status})

    def crash(self, pod: Object, reason: str = "Error", code: int = 1, restarts: int = 4) -> None:
        """Let the server crash again and again."""
        then = _time()
        self.ill(
            pod,
            {
                "restartCount": restarts,
                "state": {
                    "waiting": {
                        "reason": "CrashLoopBackOff",
                        "message": "back-off 1m20s restarting failed container",
                    }
                },
                "lastState": {
                    "terminated": {"exitCode": code, "reason": reason, "startedAt": then, "finishedAt": then}
                },
            },
        )

    def event(self, about: Object, reason: str, message: str, kind: str = "Warning") -> None:
        """Write an event, as a controller or a kubelet would."""
        name = f"{about['metadata']['name']}.{time.monotonic_ns():x}"
        self.cluster.raw(
            f"/api/v1/namespaces/{self.namespace}/events",
            "POST",
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": name, "namespace": self.namespace},
                "involvedObject": {
                    "kind": about["kind"],
                    "namespace": self.namespace,
                    "name": about["metadata"]["name"],
                    "uid": about["metadata"].get("uid", ""),
                },
                "reason": reason,
                "message": message,
                "type": kind,
                "firstTimestamp": _time(),
                "lastTimestamp": _time(),
                "count": 1,
                "source": {"component": "test"},
            },
        )

    def secret(self, name: str, data: dict[str, str]) -> None:
        """Make a Secret."""
        self.cluster.raw(
            f"/api/v1/namespaces/{self.namespace}/secrets",
            "POST",
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data},
        )

    def doctor(self, **how: Any) -> Report:
        """Run doctor."""
        return diagnose(self.plan, self.cluster, **how)

    def until(self, true: Any, timeout_s: float = 90.0) -> None:
        """Wait until something is so."""
        end = time.monotonic() + timeout_s
        while not true():
            assert time.monotonic() < end, "it did not become so"
            time.sleep(0.2)

    def close(self) -> None:
        """Take the nodes away again: they belong to no namespace."""
        for name in self.nodes:
            self.cluster.raw(f"/api/v1/nodes/{name}", "DELETE", missing_ok=True)


def found(report: Report, check: str, severity: str | None = None) -> list[Finding]:
    """The findings of a check (of a severity)."""
    return [f for f in report.findings if f.check == check and severity in (None, f.severity)]


def _ready(node: Object | None) -> bool:
    conditions = (node or {}).get("status", {}).get("conditions", ())
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _time() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
