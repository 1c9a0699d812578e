"""A proxy that forwards bytes to an API server and cuts connections when it is told to: a bad network, for real."""

import contextlib
import select
import socket
import threading
from pathlib import Path

import yaml


class Cutter:
    """Listens on loopback and forwards to `to` (host, port), until it is cut."""

    def __init__(self, to: tuple[str, int]) -> None:
        """Start listening."""
        self.to = to
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.is_down = False
        self.connections = 0
        self.cut_after: int | None = None
        """Bytes from the server after which each connection is cut; None: never."""
        self._generation = 0
        self._closed = False
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def cut(self, *, down: bool = False) -> None:
        """Cut every connection; with `down`, new ones too until `up`."""
        self.is_down = down
        self._generation += 1

    def up(self) -> None:
        """Take connections again."""
        self.is_down = False

    def close(self) -> None:
        """Stop, and wait until every socket is closed."""
        self._closed = True
        self.cut(down=True)
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        with self.listener:
            while not self._closed:
                if not select.select([self.listener], [], [], 0.05)[0]:
                    continue
                client, _ = self.listener.accept()
                if self.is_down:
                    client.close()
                    continue
                self.connections += 1
                thread = threading.Thread(target=self._forward, args=(client, self._generation))
                self._threads.append(thread)
                thread.start()

    def _forward(self, client: socket.socket, generation: int) -> None:
        sent = 0
        # A server that is gone, or a client that is: both ends are closed.
        with client, contextlib.suppress(OSError), socket.create_connection(self.to) as server:
            while generation == self._generation and (self.cut_after is None or sent <= self.cut_after):
                for source in select.select([client, server], [], [], 0.05)[0]:
                    data = source.recv(65536)
                    if not data:
                        return
                    (client if source is server else server).sendall(data)
                    sent += len(data) if source is server else 0


def through(kubeconfig: Path, port: int, folder: Path) -> Path:
    """A kubeconfig for the same cluster by way of a port of ours; the certificate is still for 127.0.0.1."""
    config = yaml.safe_load(kubeconfig.read_text())
    for cluster in config["clusters"]:
        cluster["cluster"]["server"] = f"https://127.0.0.1:{port}"
    found = folder / "through.yaml"
    found.write_text(yaml.safe_dump(config))
    return found


def address(url: str) -> tuple[str, int]:
    """Host and port of an API server's URL."""
    host, _, port = url.removeprefix("https://").rstrip("/").partition(":")
    return host, int(port or 443)
