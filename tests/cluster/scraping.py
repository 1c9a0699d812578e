"""A real Prometheus on loopback, as a process of its own, that scrapes what a test says."""

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

from tests.testbed.build import ensure


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def until(what: Callable[[], Any], seconds: float, says: str, every: float = 0.2) -> Any:
    """What a question answers once it is true; fails with a word after so many seconds."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, f"not within {seconds:g} s: {says}"
        time.sleep(every)
    return found


class Prometheus:
    """A running Prometheus."""

    def __init__(self, port: int, process: "subprocess.Popen[bytes]") -> None:
        """Remember where it listens and what runs it."""
        self.url = f"http://127.0.0.1:{port}"
        self.process = process

    def query(self, query: str) -> list[tuple[dict[str, str], float]]:
        """The elements of an instant query: labels and value."""
        with urlopen(f"{self.url}/api/v1/query?{urlencode({'query': query})}", timeout=10) as reply:
            data = json.load(reply)["data"]
        return [(one["metric"], float(one["value"][1])) for one in data["result"]]

    def ready(self) -> bool:
        """Whether it answers."""
        try:
            with urlopen(f"{self.url}/-/ready", timeout=2) as reply:
                return bool(reply.status == 200)
        except (URLError, OSError):
            return False

    def stop(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()


def target(port: int, path: str, **labels: str) -> dict[str, Any]:
    """A replica as the operator's scrape configuration would label it."""
    return {"targets": [f"127.0.0.1:{port}"], "labels": {"__metrics_path__": path, **labels}}


@contextmanager
def prometheus(folder: Path, targets: list[dict[str, Any]], port: int | None = None) -> Iterator[Prometheus]:
    """Run Prometheus until the block ends; each target is scraped every second, and `job` is what its labels say."""
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [{"job_name": "replicas", "static_configs": targets}],
    }
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "prometheus.yml"
    file.write_text(json.dumps(config))  # JSON is YAML
    port = port or free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                ensure("prometheus")["prometheus"],
                f"--config.file={file}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
    running = Prometheus(port, process)
    try:
        until(running.ready, 30, f"Prometheus is ready; {folder / 'log'}")
        yield running
    finally:
        running.stop()
