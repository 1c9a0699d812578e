"""What runs beside a control plane: KEDA, Prometheus, its operator and adapter, LWS, each as a process outside the cluster."""

import base64
import gzip
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import yaml

from tests.testbed.build import ensure
from tests.testbed.controlplane import ControlPlane
from tests.testbed.processes import Process, free_port, until

if TYPE_CHECKING:
    from tests.testbed.cluster import Testbed


class Prometheus:
    """A running Prometheus."""

    def __init__(self, process: Process, port: int, file: Path) -> None:
        """`file` is its configuration."""
        self.process, self.url, self.file = process, f"http://127.0.0.1:{port}", file
        self.at: float | None = None
        """Seconds since the epoch of the moment that queries ask for; None: now."""

    def query(self, query: str) -> list[tuple[dict[str, str], float]]:
        """The elements of an instant query: labels and value."""
        asked = {"query": query} | ({} if self.at is None else {"time": f"{self.at:.3f}"})
        with urlopen(f"{self.url}/api/v1/query?{urlencode(asked)}", timeout=10) as reply:
            data = json.load(reply)["data"]
        return [(one["metric"], float(one["value"][1])) for one in data["result"]]

    def targets(self) -> list[dict[str, Any]]:
        """The targets that it scrapes."""
        with urlopen(f"{self.url}/api/v1/targets?state=active", timeout=10) as reply:
            found: list[dict[str, Any]] = json.load(reply)["data"]["activeTargets"]
        return found

    def ready(self) -> bool:
        """Whether it answers."""
        self.process.check()
        try:
            with urlopen(f"{self.url}/-/ready", timeout=2) as reply:
                return bool(reply.status == 200)
        except (URLError, OSError):
            return False

    def configure(self, config: dict[str, Any]) -> None:
        """Run another configuration."""
        self.file.write_text(json.dumps(config))  # JSON is YAML
        with urlopen(f"{self.url}/-/reload", data=b"", timeout=10):
            pass

    def stop(self) -> None:
        """End it at once."""
        self.process.kill()


def prometheus(plane: ControlPlane, config: dict[str, Any], port: int | None = None) -> Prometheus:
    """Start one; a second one of the same testbed takes the place of the first in its log."""
    port = port or free_port()
    folder = plane.folder / f"prometheus-{port}"
    folder.mkdir(exist_ok=True)
    file = folder / "prometheus.yml"
    file.write_text(json.dumps(config))
    process = plane.start(
        "prometheus", f"--config.file={file}", f"--storage.tsdb.path={folder / f'data-{time.monotonic_ns()}'}",
        f"--web.listen-address=127.0.0.1:{port}", "--web.enable-lifecycle", "--log.level=warn",
    )  # fmt: skip
    running = Prometheus(process, port, file)
    until(running.ready, 30, "Prometheus is ready")
    return running


def keda(bed: "Testbed") -> Process:
    """Start KEDA and wait until the API server has its metrics API."""
    plane = bed.plane
    already = plane.processes.get("keda-operator")
    if already and already.alive():
        return already
    certificates = plane.folder / "keda-certificates"
    certificates.mkdir(exist_ok=True)
    for name in ("ca.crt", "tls.crt", "tls.key"):
        (certificates / name).write_bytes((plane.pki / name).read_bytes())
    environment = {"KEDA_CLUSTER_OBJECT_NAMESPACE": "keda", "POD_NAMESPACE": "keda", "WATCH_NAMESPACE": "",
                   "KUBERNETES_CLUSTER_DOMAIN": "cluster.local"}  # fmt: skip
    grpc, serving = free_port(), free_port()
    bed.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "keda"}})
    operator = plane.start(
        "keda-operator", f"--kubeconfig={bed.kubeconfig}", f"--cert-dir={certificates}", f"--ca-dir={certificates}",
        f"--metrics-bind-address=127.0.0.1:{free_port()}", f"--health-probe-bind-address=127.0.0.1:{free_port()}",
        f"--metrics-service-bind-address=127.0.0.1:{grpc}", "--enable-webhook-patching=false",
        "--enable-apiservice-patching=false", "--zap-log-level=info", environment=environment,
    )  # fmt: skip
    plane.start(
        "keda-adapter", f"--metrics-service-address=localhost:{grpc}", f"--cert-dir={certificates}",
        f"--secure-port={serving}", f"--port={free_port()}", "--bind-address=127.0.0.1",
        f"--kubeconfig={bed.kubeconfig}", f"--lister-kubeconfig={bed.kubeconfig}",
        f"--authentication-kubeconfig={bed.kubeconfig}", f"--authorization-kubeconfig={bed.kubeconfig}",
        environment=environment,
    )  # fmt: skip
    adapter = plane.processes["keda-adapter"]
    _api_service(bed, adapter, "v1beta1.external.metrics.k8s.io", "keda-metrics-apiserver", "keda", serving)
    return operator


def _api_service(
    bed: "Testbed", process: Process, name: str, service: str, namespace: str, port: int
) -> None:
    """Join an API server on loopback, which `process` is, to the testbed's."""
    version, group = name.split(".", 1)
    bed.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": service, "namespace": namespace},
            "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]},
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": name},
            "spec": {
                "group": group,
                "version": version,
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "insecureSkipTLSVerify": True,
                "service": {"name": service, "namespace": namespace, "port": port},
            },
        },
    )

    def available() -> bool:
        process.check()
        conditions = bed.json("get", "apiservice", name).get("status", {}).get("conditions", [])
        return any(c["type"] == "Available" and c["status"] == "True" for c in conditions)

    until(available, 60, f"{name} is available", 0.5)


def prometheus_operator(bed: "Testbed") -> Process:
    """Start the operator."""
    plane = bed.plane
    already = plane.processes.get("prometheus-operator")
    if already and already.alive():
        return already
    # It has no flag for a token: outside a cluster it reads KUBECONFIG.
    return plane.start(
        "prometheus-operator", f"--web.listen-address=127.0.0.1:{free_port()}",
        environment={"KUBECONFIG": str(bed.kubeconfig)},
    )  # fmt: skip


def scrape_config(
    bed: "Testbed", namespace: str, endpoints: dict[str, str], *, interval: str, match: dict[str, str] | None
) -> dict[str, Any]:
    """Let the operator make the configuration of a Prometheus, and lead its targets to loopback.

    Every container of a pod has its number of a shard in the environment, and the reloader beside Prometheus fills it in;
    here this does.
    """
    bed.apply(
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "Prometheus",
            "metadata": {"name": "testbed", "namespace": namespace},
            "spec": {
                "replicas": 0,
                "podMonitorSelector": {"matchLabels": match or {}},
                "podMonitorNamespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            },
        }
    )

    def made() -> str:
        data = bed.kubectl(
            "get", "secret", "prometheus-testbed", "-n", namespace, "-o", "jsonpath={.data.prometheus\\.yaml\\.gz}",
            check=False,
        )  # fmt: skip
        try:
            text = gzip.decompress(base64.b64decode(data, validate=True)).decode()
        except ValueError:
            return ""
        return text.replace("$(SHARD)", "0") if f"podMonitor/{namespace}/" in text else ""

    config: dict[str, Any] = yaml.safe_load(until(made, 60, "the operator makes a scrape configuration", 0.5))
    config["global"] = {
        "scrape_interval": interval,
        "evaluation_interval": interval,
        "scrape_timeout": interval,
    }
    config.pop("rule_files", None)
    config.pop("alerting", None)
    for scrape in config["scrape_configs"]:
        scrape.pop("scrape_timeout", None)
        scrape["scrape_interval"] = interval
        for discovery in scrape["kubernetes_sd_configs"]:
            discovery["api_server"] = bed.url
            discovery["tls_config"] = {"ca_file": str(bed.plane.pki / "ca.crt")}
            discovery["authorization"] = {"type": "Bearer", "credentials": bed.token}
        scrape["relabel_configs"] += [
            {
                "source_labels": ["__meta_kubernetes_pod_name"],
                "regex": pods,
                "target_label": "__address__",
                "replacement": address,
                "action": "replace",
            }
            for pods, address in endpoints.items()
        ]
    return config


def lws(bed: "Testbed") -> Process:
    """Start the LWS controller; the API server calls its webhooks by their address on loopback."""
    plane = bed.plane
    already = plane.processes.get("lws-manager")
    if already and already.alive():
        return already
    port, health = free_port(), free_port()
    config = {
        "apiVersion": "config.lws.x-k8s.io/v1alpha1",
        "kind": "Configuration",
        "webhook": {"port": port, "host": "127.0.0.1", "certDir": str(plane.pki)},
        "health": {"healthProbeBindAddress": f"127.0.0.1:{health}"},
        "metrics": {"bindAddress": "0"},
        "leaderElection": {"leaderElect": False},
        "internalCertManagement": {"enable": False},
    }
    file = plane.folder / "lws.yaml"
    file.write_text(json.dumps(config))
    process = plane.start(
        "lws-manager", f"--kubeconfig={bed.kubeconfig}", f"--config={file}", "--leader-elect=false",
        "--metrics-bind-address=0",
    )  # fmt: skip

    def ready() -> bool:
        process.check()
        try:
            with urlopen(f"http://127.0.0.1:{health}/readyz", timeout=2) as reply:
                return bool(reply.status == 200)
        except (URLError, OSError):
            return False

    until(ready, 30, "the LWS controller is ready")
    authority = base64.b64encode((plane.pki / "ca.crt").read_bytes()).decode()
    text = (ensure("lws-webhooks")["lws-webhooks"] / "manifests.yaml").read_text()
    documents = [document for document in yaml.safe_load_all(text) if document]
    for document in documents:
        document["metadata"]["name"] = f"lws-{document['metadata']['name']}"
        for hook in document["webhooks"]:
            path = hook["clientConfig"].pop("service")["path"]
            hook["clientConfig"] = {"url": f"https://127.0.0.1:{port}{path}", "caBundle": authority}
            if path.endswith("-pod"):  # as the kustomization of the release does
                key = {"key": "leaderworkerset.sigs.k8s.io/name", "operator": "Exists"}
                hook["objectSelector"] = {"matchExpressions": [key]}
    bed.apply(*documents)
    return process


def prometheus_adapter(bed: "Testbed", prometheus_url: str, config: dict[str, Any]) -> Process:
    """Start the adapter; which APIs it serves depends on the rules of its configuration."""
    plane = bed.plane
    serving = free_port()
    file = plane.folder / "prometheus-adapter.yaml"
    file.write_text(json.dumps(config))
    process = plane.start(
        "prometheus-adapter", f"--prometheus-url={prometheus_url}", f"--config={file}", f"--secure-port={serving}",
        "--bind-address=127.0.0.1", f"--tls-cert-file={plane.pki / 'tls.crt'}",
        f"--tls-private-key-file={plane.pki / 'tls.key'}",
        f"--lister-kubeconfig={bed.kubeconfig}", f"--authentication-kubeconfig={bed.kubeconfig}",
        f"--authorization-kubeconfig={bed.kubeconfig}", "--metrics-relist-interval=1s", "--metrics-max-age=1m",
    )  # fmt: skip
    bed.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "monitoring"}})
    if config.get("rules"):
        _api_service(
            bed, process, "v1beta1.custom.metrics.k8s.io", "prometheus-adapter", "monitoring", serving
        )
    if config.get("externalRules"):
        _api_service(
            bed, process, "v1beta1.external.metrics.k8s.io", "prometheus-adapter", "monitoring", serving
        )
    return process
