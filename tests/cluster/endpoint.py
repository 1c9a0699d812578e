"""The simulator as an endpoint: a process on loopback whose time to first token and per token are known."""

import contextlib
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import homeport.engines

FILE = Path(homeport.engines.__file__).parent / "data" / "simulator.py"


@contextlib.contextmanager
def endpoint(*args: str, env: dict[str, str] | None = None) -> Iterator[str]:
    """Start it, yield its address, stop it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-I", str(FILE), "--host", "127.0.0.1", "--port", str(port), *args]
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(1200):
            with contextlib.suppress(OSError), urllib.request.urlopen(url + "/health"):
                break
            assert process.poll() is None
            time.sleep(0.05)
        else:
            raise AssertionError("the simulator did not start within 60 s")
        yield url
    finally:
        process.kill()
        process.wait()
