"""A real Prometheus that scrapes one server as a rendered PodMonitor says.

With a cluster, the Prometheus operator turns the PodMonitor into a scrape configuration that discovers pods. Here there
is no cluster to discover them in: this is a translation of our own, with the pod's address given, and the labels that
the operator's relabelling attaches (its `generatePodMonitorConfig`: namespace, pod, container, job, endpoint).
"""

import contextlib
import http.client
import json
import math
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml

from tests.engines.served import ADDRESS, Kubelet, free_port

POD = "assistant-0"


def scrape_config(monitor: dict[str, Any], server: Kubelet, *, interval: str | None = None) -> dict[str, Any]:
    """The configuration of one PodMonitor and one pod; `interval` replaces the rendered one, to wait less."""
    wanted = monitor["spec"]["selector"]["matchLabels"]
    assert wanted.items() <= server.labels.items(), "the PodMonitor does not select the pod"
    assert monitor["metadata"]["namespace"] == server.namespace
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] in server.ports
    namespace, name = monitor["metadata"]["namespace"], monitor["metadata"]["name"]
    return {
        "job_name": f"podMonitor/{namespace}/{name}/0",
        "metrics_path": endpoint["path"],
        "scrape_interval": interval or endpoint["interval"],
        "scrape_timeout": interval or endpoint["interval"],
        "static_configs": [
            {
                "targets": [f"{ADDRESS}:{server.port}"],
                "labels": {
                    "namespace": namespace,
                    "pod": POD,
                    "container": server.container["name"],
                    "job": f"{namespace}/{name}",
                    "endpoint": endpoint["port"],
                },
            }
        ],
    }


class Prometheus:
    """A Prometheus on loopback, asked as KEDA asks it."""

    def __init__(self, port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.port, self.process, self.log = port, process, log

    def get(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(ADDRESS, self.port, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def vector(self, query: str) -> list[float]:
        """The values of every element that a query has now."""
        status, text = self.get("/api/v1/query?" + urlencode({"query": query}))
        answer = json.loads(text)
        assert (status, answer["status"]) == (200, "success"), answer
        if answer["data"]["resultType"] == "scalar":
            return [float(answer["data"]["result"][1])]
        return [float(element["value"][1]) for element in answer["data"]["result"]]

    def one(self, query: str) -> float:
        """The value of a query that must have exactly one element, and a number."""
        values = self.vector(query)
        assert len(values) == 1, f"{query} has {len(values)} elements"
        assert not math.isnan(values[0]), f"{query} is not a number"
        return values[0]


@contextlib.contextmanager
def prometheus(program: Path, folder: Path, scrapes: list[dict[str, Any]]) -> Iterator[Prometheus]:
    """Run one with these scrape configurations until the block ends."""
    folder.mkdir()
    (folder / "prometheus.yml").write_text(yaml.safe_dump({"scrape_configs": scrapes}))
    port = free_port()
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={ADDRESS}:{port}",
            ],
            stdout=out,
            stderr=out,
        )
    made = Prometheus(port, process, log)
    try:
        for _ in range(300):
            with contextlib.suppress(OSError):
                if made.get("/-/ready")[0] == 200:
                    break
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        yield made
    finally:
        process.kill()
        process.wait()
