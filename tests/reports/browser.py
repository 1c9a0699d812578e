"""A headless Chromium, spoken to over its own protocol (DevTools, through two pipes): no driver and no package."""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PROGRAM = next((path for name in NAMES if (path := shutil.which(name))), None)
QUIET = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
CONNECT = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""Gives a browser the two pipes: it reads commands from descriptor 3 and answers on 4."""
ANSWERS_WITHIN_S = 60.0


def _moved(fd: int) -> int:
    """Move a descriptor out of the way of 3 and 4."""
    moved = fcntl.fcntl(fd, fcntl.F_DUPFD, 10)
    os.close(fd)
    return moved


class Browser:
    """One browser with one page. Use it as a context manager."""

    def __init__(self) -> None:
        assert PROGRAM is not None, "a test that needs a browser is skipped where there is none"
        self._profile = tempfile.mkdtemp(prefix="chromium-")
        there, self._to = os.pipe()
        self._from, back = os.pipe()
        there, back = _moved(there), _moved(back)
        sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                CONNECT,
                str(there),
                str(back),
                PROGRAM,
                *QUIET,
                *sandbox,
                f"--user-data-dir={self._profile}",
                "about:blank",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(there, back),
        )
        os.close(there)
        os.close(back)
        self._rest = b""
        self._count = 0
        self.events: list[dict[str, Any]] = []
        page = next(t for t in self._call("Target.getTargets")["targetInfos"] if t["type"] == "page")
        self._session = self._call("Target.attachToTarget", targetId=page["targetId"], flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Network", "Log", "Runtime", "Accessibility", "DOM"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._to)
        os.close(self._from)
        self._process.terminate()
        self._process.wait(timeout=30)
        shutil.rmtree(self._profile, ignore_errors=True)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Ask the page."""
        return self._call(method, self._session, **params)

    def _call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        self._count += 1
        asked: dict[str, Any] = {"id": self._count, "method": method, "params": params}
        if session is not None:
            asked["sessionId"] = session
        data = json.dumps(asked).encode() + b"\0"
        while data:
            data = data[os.write(self._to, data) :]
        while True:
            said = self._read()
            if said.get("id") == self._count:
                assert "error" not in said, f"{method}: {said['error']}"
                result: dict[str, Any] = said["result"]
                return result
            self.events.append(said)

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            assert select.select([self._from], [], [], ANSWERS_WITHIN_S)[0], "the browser says nothing"
            more = os.read(self._from, 1 << 16)
            assert more, "the browser is gone"
            self._rest += more
        message, _, self._rest = self._rest.partition(b"\0")
        said: dict[str, Any] = json.loads(message)
        return said

    def open(
        self, file: Path, *, width: int = 1000, height: int = 800, dark: bool = False, media: str = ""
    ) -> None:
        """Open a file in a window of a size, in light or dark mode, and wait until it is loaded."""
        scheme = "dark" if dark else "light"
        self.call(
            "Emulation.setEmulatedMedia",
            media=media,
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        self.events.clear()
        self.call("Page.navigate", url=file.resolve().as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._read())

    def run(self, script: str) -> Any:
        """Return the value of an expression in the page."""
        said = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in said, said.get("exceptionDetails")
        return said["result"].get("value")

    def requests(self) -> list[str]:
        """Return the addresses that the page asked for since it was opened, its own and inlined data left out."""
        sent = [e["params"] for e in self.events if e.get("method") == "Network.requestWillBeSent"]
        return [
            s["request"]["url"]
            for s in sent
            if s["type"] != "Document" and s["request"]["url"][:5] != "data:"
        ]

    def complaints(self) -> list[str]:
        """Return what stands on the page's console since it was opened."""
        said = []
        for event in self.events:
            if event.get("method") == "Log.entryAdded":
                said.append(event["params"]["entry"]["text"])
            elif event.get("method") in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown"):
                said.append(json.dumps(event["params"]))
        return said

    def accessible(self) -> list[dict[str, Any]]:
        """Return what a screen reader is told: role, name and properties of each node, in the page's order."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        by_id = {node["nodeId"]: node for node in nodes}
        found: list[dict[str, Any]] = []

        def walk(node: dict[str, Any]) -> None:
            if not node.get("ignored"):
                properties = {p["name"]: p["value"].get("value") for p in node.get("properties", [])}
                found.append(
                    {
                        "role": node["role"]["value"],
                        "name": node.get("name", {}).get("value", ""),
                        "description": node.get("description", {}).get("value", ""),
                        **properties,
                    }
                )
            for child in node.get("childIds", []):
                if child in by_id:
                    walk(by_id[child])

        walk(nodes[0])
        return found

    def pdf(self) -> bytes:
        """Print the page as its style sheet wants, with its headings as the PDF's outline."""
        printed = self.call("Page.printToPDF", preferCSSPageSize=True, generateDocumentOutline=True)
        return base64.b64decode(printed["data"])

    def screenshot(self) -> bytes:
        """Return the whole page as a PNG."""
        height = self.run("document.documentElement.scrollHeight")
        width = self.run("document.documentElement.clientWidth")
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        return base64.b64decode(shot["data"])
