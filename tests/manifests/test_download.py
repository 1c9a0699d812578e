"""The script that fetches weights, run against a server that speaks the Hub's routes."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from homeport.manifests.weights import DOWNLOAD

FILES = {
    "config.json": b"{}",
    "model-00001-of-00001.safetensors": b"weights",
    "original/consolidated.00.pth": b"the same again",
    "model.gguf": b"and again",
}
SHA = "c0ffee" * 6 + "c0ff"


class Hub(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        name = path.partition(f"/resolve/{SHA}/")[2]
        if path == "/api/models/org/model/revision/v1":
            siblings = [{"rfilename": f, "size": len(c)} for f, c in FILES.items()]
            content = json.dumps({"id": "org/model", "sha": SHA, "siblings": siblings}).encode()
        elif path.startswith("/api/models/org/model/tree/"):
            content = json.dumps(
                [{"type": "file", "path": f, "size": len(c), "oid": SHA} for f, c in FILES.items()]
            ).encode()
        elif name in FILES:
            content = FILES[name]
        else:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{SHA}"')
        self.send_header("X-Repo-Commit", SHA)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def fetch(tmp_path: Path, hub: str, **env: str) -> subprocess.CompletedProcess[str]:
    base = {
        "HOME": str(tmp_path),
        "HF_HOME": str(tmp_path / "hf"),
        "HF_ENDPOINT": hub,
        "PATH": os.environ["PATH"],
    }
    return subprocess.run(
        [sys.executable, "-c", DOWNLOAD], env=base | env, capture_output=True, text=True, timeout=60
    )


def test_it_fetches_the_weights_once_and_says_when_it_is_done(tmp_path: Path, hub: str) -> None:
    target = tmp_path / "models"
    run = fetch(
        tmp_path,
        hub,
        REPOSITORY="org/model",
        REVISION="v1",
        TARGET=str(target),
        MARKER=str(target / ".homeport-1"),
    )
    assert run.returncode == 0, run.stderr
    files = {str(p.relative_to(target)) for p in target.rglob("*") if p.is_file() and ".cache" not in p.parts}
    assert files == {"config.json", "model-00001-of-00001.safetensors", ".homeport-1"}
    assert (target / "model-00001-of-00001.safetensors").read_bytes() == b"weights"


def test_a_download_that_fails_leaves_no_mark(tmp_path: Path, hub: str) -> None:
    target = tmp_path / "models"
    run = fetch(tmp_path, hub, REPOSITORY="org/other", TARGET=str(target), MARKER=str(target / ".homeport-1"))
    assert run.returncode != 0
    assert not (target / ".homeport-1").exists()
