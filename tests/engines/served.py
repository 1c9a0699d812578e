"""A rendered pod without a cluster: its server as a process, looked after as a kubelet looks after a container.

What the documents say is done as they say it: command, arguments, environment, probes with their periods and
thresholds, the preStop sleep, SIGTERM and the grace period. Only places are mapped, because there is no container:
mounts to folders of the test (but /tmp and /dev/shm, which are the machine's), the address and the port.
"""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

ADDRESS = "127.0.0.1"
UNMAPPED = ("/tmp", "/dev/shm")


def free_port() -> int:
    with socket.socket() as s:
        s.bind((ADDRESS, 0))
        return int(s.getsockname()[1])


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """What stands for the container's image: its entrypoint, and the folders of its programs."""

    entrypoint: tuple[str, ...]
    path: str


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """An httpGet probe with Kubernetes' defaults; the port's name is resolved by the container."""

    path: str
    port: str
    initial_delay_s: int = msgspec.field(name="initialDelaySeconds", default=0)
    period_s: int = msgspec.field(name="periodSeconds", default=10)
    timeout_s: int = msgspec.field(name="timeoutSeconds", default=1)
    failures: int = msgspec.field(name="failureThreshold", default=3)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Probe":
        get = document["httpGet"]
        assert set(get) == {"path", "port"}, "the kubelet would do more than this test does"
        numbers = {k: v for k, v in document.items() if k != "httpGet"}
        return msgspec.convert({**numbers, **get}, cls, strict=True)


class End(msgspec.Struct, frozen=True, kw_only=True):
    """How a pod went: `killed` is a SIGKILL when the grace period was over, `seconds` the whole time from the deletion."""

    code: int
    killed: bool
    seconds: float
    in_flight_at_sigterm: int


class Kubelet:
    """Runs the one container of a rendered pod."""

    def __init__(
        self,
        documents: list[dict[str, Any]],
        image: Image,
        folder: Path,
        *,
        claims: Mapping[str, Path],
        secrets: Mapping[tuple[str, str], str],
    ) -> None:
        """`claims` are the folders of PersistentVolumeClaims, `secrets` the values by (name, key)."""
        self.documents, self.image, self.folder = documents, image, folder
        (workload,) = (d for d in documents if d["kind"] == "Deployment")
        self.namespace = str(workload["metadata"]["namespace"])
        self.labels: dict[str, str] = workload["spec"]["template"]["metadata"]["labels"]
        self.pod: dict[str, Any] = workload["spec"]["template"]["spec"]
        assert "initContainers" not in self.pod
        (self.container,) = self.pod["containers"]
        self.ports = {p["name"]: p["containerPort"] for p in self.container["ports"]}
        self.port = free_port()
        self.claims, self.secrets = claims, secrets
        self.places = {m["mountPath"]: self._volume(m["name"]) for m in self.container["volumeMounts"]}
        self.log = folder / "log"
        self.ready = threading.Event()
        self.unready: list[str] = []
        self.stopping = threading.Event()
        self.startup_probes = 0
        self.process: subprocess.Popen[bytes] | None = None

    def _volume(self, name: str) -> Path:
        (volume,) = (v for v in self.pod["volumes"] if v["name"] == name)
        if "persistentVolumeClaim" in volume:
            return self.claims[volume["persistentVolumeClaim"]["claimName"]]
        place = self.folder / "volumes" / name
        place.mkdir(parents=True)
        if "configMap" in volume:
            files = self._one("ConfigMap", volume["configMap"]["name"])["data"]
            for item in volume["configMap"]["items"]:
                (place / item["path"]).write_text(files[item["key"]])
        else:
            assert "emptyDir" in volume
        return place

    def _one(self, kind: str, name: str) -> dict[str, Any]:
        (found,) = (d for d in self.documents if d["kind"] == kind and d["metadata"]["name"] == name)
        return found

    def mapped(self, text: str) -> str:
        """A path below a mount, or a text with such paths, as it is without a container."""
        places = {k: str(v) for k, v in self.places.items() if k not in UNMAPPED}
        longest = sorted(places, key=len, reverse=True)
        pattern = "|".join(rf"(?<![\w./-]){re.escape(p)}(?=$|[/,:])" for p in longest)
        return re.sub(pattern, lambda m: places[m[0]], text) if longest else text

    def command(self) -> list[str]:
        """The program and its arguments."""
        first, *rest = self.container.get("command") or self.image.entrypoint
        program = shutil.which(first, path=self.image.path)
        assert program, f"no {first} in {self.image.path}"
        port = self.ports["http"]
        args = [*rest, *self.container["args"]]
        args = [f"--port={self.port}" if a == f"--port={port}" else self.mapped(a) for a in args]
        assert f"--port={self.port}" in args, "the port is not said, so it cannot be mapped"
        kept = [a for a in args if not a.startswith("--host=")]
        return [program, *kept, f"--host={ADDRESS}"]

    def environment(self) -> dict[str, str]:
        """The rendered variables, and the image's PATH: nothing of this process's own."""
        env = {"PATH": self.image.path}
        for variable in self.container.get("env", []):
            if "value" in variable:
                env[variable["name"]] = self.mapped(variable["value"])
            else:
                wanted = variable["valueFrom"]["secretKeyRef"]
                env[variable["name"]] = self.secrets[wanted["name"], wanted["key"]]
        return env

    @contextlib.contextmanager
    def running(self) -> Iterator["Kubelet"]:
        """Start, wait until it is ready by its probes, and leave nothing behind."""
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.command(),
                env=self.environment(),
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
            )
        watching = threading.Thread(target=self._watch_readiness, daemon=True)
        try:
            self._start()
            watching.start()
            assert self.ready.wait(60), f"not ready: {self.unready}"
            yield self
        finally:
            self.stopping.set()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def _start(self) -> None:
        """The startup probe: the container is killed when it failed as often as its threshold says."""
        probe = Probe.of(self.container["startupProbe"])
        time.sleep(probe.initial_delay_s)
        for _ in range(probe.failures):
            self.startup_probes += 1
            if self.answers(probe) is None:
                return
            assert self.alive(), f"it ended while it started:\n{self.log.read_text()[-4000:]}"
            time.sleep(probe.period_s)
        raise AssertionError(f"the startup probe gave up:\n{self.log.read_text()[-4000:]}")

    def _watch_readiness(self) -> None:
        """The readiness probe, and the liveness probe where there is one, until the pod is deleted."""
        probes = [Probe.of(self.container["readinessProbe"])]
        if "livenessProbe" in self.container:
            probes.append(Probe.of(self.container["livenessProbe"]))
        failed = [0] * len(probes)
        while not self.stopping.is_set():
            for number, probe in enumerate(probes):
                why = self.answers(probe)
                failed[number] = 0 if why is None else failed[number] + 1
                if why is not None:
                    self.unready.append(why)
                if number == 0 and failed[0] == 0:
                    self.ready.set()
                elif failed[number] >= probe.failures:
                    self.ready.clear()
            self.stopping.wait(min(p.period_s for p in probes))

    def answers(self, probe: Probe) -> str | None:
        """Make one probe; what is wrong, or None."""
        assert probe.port in self.ports
        connection = http.client.HTTPConnection(ADDRESS, self.port, timeout=probe.timeout_s)
        try:
            connection.request("GET", probe.path)
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            return f"{probe.path}: {error!r}"
        finally:
            connection.close()
        return None if 200 <= status < 400 else f"{probe.path}: {status}"

    def delete(self, in_flight: Callable[[], int]) -> End:
        """Delete the pod: the preStop sleep and SIGTERM to process 1, both within the grace period, then SIGKILL.

        `in_flight` counts the clients that still wait: they know at once, a busy server may be slow to say it.
        """
        assert self.process is not None
        self.stopping.set()
        begun = time.monotonic()
        grace = self.pod["terminationGracePeriodSeconds"]
        time.sleep(self.container["lifecycle"]["preStop"]["sleep"]["seconds"])
        waiting = in_flight()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout=grace - (time.monotonic() - begun))
            killed = False
        except subprocess.TimeoutExpired:
            self.process.kill()
            code, killed = self.process.wait(), True
        took = time.monotonic() - begun
        return End(code=code, killed=killed, seconds=took, in_flight_at_sigterm=waiting)

    def ask(
        self, path: str, body: Any = None, *, key: str | None = None, timeout: float = 300
    ) -> tuple[int, str]:
        """One request; `key` is the clients' key."""
        connection = http.client.HTTPConnection(ADDRESS, self.port, timeout=timeout)
        headers = {"Content-Type": "application/json"}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        try:
            data = None if body is None else json.dumps(body)
            connection.request("GET" if body is None else "POST", path, data, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def series(self, name: str) -> dict[str, float]:
        """The values of a metric by the text of their labels."""
        _, text = self.ask("/metrics")
        rows = re.findall(rf"^{re.escape(name)}(?:{{(.*)}})? (\S+)$", text, re.MULTILINE)
        return {labels: float(value) for labels, value in rows}
