"""A model in a namespace of the testbed, moved by what homeport rendered for it, under a load of the test's choosing."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from homeport.manifests.parsing import load as parsed
from homeport.manifests.render import documents
from homeport.planning.plan import Planner
from homeport.planning.types import Plan
from homeport.spec.load import load
from tests.cluster.engine_metrics import Endpoints, Load, endpoints, text
from tests.cluster.scraping import configuration, target
from tests.testbed.addons import Prometheus
from tests.testbed.cluster import Testbed
from tests.testbed.processes import free_port, until

SPEC = """version: 1
name: scaled
namespace: {namespace}
target: {{platform: kind}}
models:
  - name: assistant
    model: Qwen/Qwen2.5-0.5B-Instruct
    engine: simulator
    workload: {{requests_per_day: 500, input_tokens: 200, output_tokens: 100}}
    replicas: {replicas}
    scaling: {scaling}
observability: {{prometheus_url: '{url}'}}
"""
MODEL = "assistant"
GATEWAY = "gateway_requests_waiting"
"""The signal of the stand-in for a gateway: what Envoy says as envoy_http_downstream_rq_active."""


class Scaled:
    """The Deployment, what moves it, and what Prometheus sees of its replicas and of a gateway.

    The replicas that Prometheus scrapes are stand-ins on loopback: nothing runs in a pod of a fake node.
    """

    def __init__(self, bed: Testbed, namespace: str, served: Endpoints) -> None:
        """Nothing is applied yet."""
        self.bed = bed
        self.namespace = namespace
        self.served = served
        self.port = free_port()
        self.prometheus: Prometheus | None = None

    def plan(self, replicas: str, scaling: str) -> Plan:
        """The plan of the model with these replicas, scaled like this."""
        written = SPEC.format(
            namespace=self.namespace,
            replicas=replicas,
            scaling=scaling,
            url=f"http://127.0.0.1:{self.port}",
        )
        return Planner(Path()).plan(load(written, "homeport.yaml").spec)

    def apply(self, plan: Plan) -> None:
        """Apply all that is rendered, but the namespace."""
        self.bed.apply(*(parsed(d.text) for d in documents(plan) if d.kind != "Namespace"))

    def watch(self, config: dict[str, Any] | None = None) -> None:
        """Start Prometheus on its port, with two replicas and the gateway as targets."""
        labels = {"namespace": self.namespace, "job": f"{self.namespace}/{MODEL}"}
        targets = [
            target(self.served.port, f"/{number}", pod=f"{MODEL}-{number}", **labels) for number in range(2)
        ]
        targets.append(target(self.served.port, "/gateway", job="gateway"))
        self.prometheus = self.bed.start_prometheus(config or configuration(targets), self.port)

    def say(self, *replicas: Load | None, gateway: int | None = None) -> None:
        """What the replicas have to do from now on (None: one does not answer), and who waits at the gateway."""
        for number in range(2):
            load = replicas[number] if number < len(replicas) else None
            if load is None:
                self.served.texts.pop(f"/{number}", None)
            else:
                self.served.texts[f"/{number}"] = text("simulator", MODEL, load)
        self.served.texts["/gateway"] = f"{GATEWAY} {gateway or 0}\n"

    def replicas(self) -> int:
        """How many replicas the Deployment asks for."""
        found = self.bed.json("get", "deployment", MODEL, "-n", self.namespace)
        return int(found["spec"].get("replicas", 1))

    def becomes(self, wanted: int, seconds: float = 90) -> None:
        """Wait until the Deployment asks for so many."""
        try:
            until(lambda: self.replicas() == wanted, seconds, f"{wanted} replicas", 0.3)
        except TimeoutError as error:
            raise TimeoutError(f"{error}; {self.why()}") from None

    def heard(self) -> None:
        """Wait until Prometheus has asked every target since this was called."""
        assert self.prometheus is not None
        running, since = self.prometheus, datetime.now(UTC)

        def scraped() -> bool:
            return all(datetime.fromisoformat(t["lastScrape"]) > since for t in running.targets())

        until(scraped, 30, "all are scraped")

    def stays(self, seconds: float) -> set[int]:
        """All numbers of replicas that the Deployment asks for in that time."""
        end = time.monotonic() + seconds
        seen = set()
        while time.monotonic() < end:
            seen.add(self.replicas())
            time.sleep(0.3)
        return seen

    def why(self) -> str:
        """What the autoscaler says of itself."""
        return self.bed.kubectl("describe", "hpa", "-n", self.namespace, check=False)[-1500:]


@contextmanager
def scaled(bed: Testbed, namespace: str) -> Iterator[Scaled]:
    """A model without anything to do, whose Prometheus ends with the block."""
    with endpoints({"/gateway": f"{GATEWAY} 0\n"}) as served:
        made = Scaled(bed, namespace, served)
        try:
            yield made
        finally:
            bed.kubectl(
                "delete", "scaledobject,hpa,deployment", "--all", "-n", namespace, "--wait=false", check=False
            )
            if made.prometheus is not None:
                made.prometheus.stop()
