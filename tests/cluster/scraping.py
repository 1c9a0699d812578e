"""A real Prometheus on loopback that scrapes what a test says; it needs no control plane."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.testbed.addons import Prometheus
from tests.testbed.build import ensure
from tests.testbed.cluster import Testbed
from tests.testbed.processes import Process, free_port, until


def target(port: int, path: str, **labels: str) -> dict[str, Any]:
    """A replica as the operator's scrape configuration would label it."""
    return {"targets": [f"127.0.0.1:{port}"], "labels": {"__metrics_path__": path, **labels}}


def configuration(targets: list[dict[str, Any]]) -> dict[str, Any]:
    """Scrape each target every second; `job` is what its labels say."""
    return {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [{"job_name": "replicas", "static_configs": targets}],
    }


def of_pods(bed: Testbed, namespace: str, job: str, address: str) -> dict[str, Any]:
    """Scrape each pod of a namespace that has a port `http`, labelled as the operator does, but at one address."""
    discovery = {
        "role": "pod",
        "namespaces": {"names": [namespace]},
        "api_server": bed.url,
        "tls_config": {"ca_file": str(bed.plane.pki / "ca.crt")},
        "authorization": {"type": "Bearer", "credentials": bed.token},
    }
    relabel = [
        {
            "source_labels": ["__meta_kubernetes_pod_container_port_name"],
            "regex": "http",
            "action": "keep",
        },
        {"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace"},
        {"source_labels": ["__meta_kubernetes_pod_name"], "target_label": "pod"},
        {"target_label": "job", "replacement": job},
        {"target_label": "__address__", "replacement": address},
    ]
    pods = {"job_name": job, "kubernetes_sd_configs": [discovery], "relabel_configs": relabel}
    return {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": [pods]}


@contextmanager
def prometheus(folder: Path, targets: list[dict[str, Any]]) -> Iterator[Prometheus]:
    """Run Prometheus until the block ends."""
    port = free_port()
    file = folder / "prometheus.yml"
    file.write_text(json.dumps(configuration(targets)))  # JSON is YAML
    process = Process(
        [
            ensure("prometheus")["prometheus"],
            f"--config.file={file}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        folder / "log",
    )
    running = Prometheus(process, port, file)
    try:
        until(running.ready, 90, f"Prometheus is ready; {folder / 'log'}")
        yield running
    finally:
        running.stop()
