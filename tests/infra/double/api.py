"""The few calls of the Kubernetes API that the double makes, with nothing but the standard library."""

import base64
import http.client
import json
import os
import ssl
import tempfile
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import yaml


class ApiError(Exception):
    """An answer that is no success; `code` 0: there was no answer at all."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Api:
    """One cluster, from a kubeconfig. Every thread has its own connection."""

    def __init__(self, kubeconfig: str | None, context: str | None = None) -> None:
        text = kubeconfig or ""
        if "\n" not in text and "{" not in text:
            text = (
                Path(text or os.environ.get("KUBECONFIG") or str(Path.home() / ".kube/config"))
                .expanduser()
                .read_text()
            )
        config = yaml.safe_load(text)
        named = {
            kind: {entry["name"]: entry[kind] for entry in config[f"{kind}s"]}
            for kind in ("context", "cluster", "user")
        }
        chosen = named["context"][context or config["current-context"]]
        cluster, user = named["cluster"][chosen["cluster"]], named["user"][chosen["user"]]
        self.namespace: str = chosen.get("namespace", "default")
        self.address = urlsplit(cluster["server"])
        self.headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
        self.tls = self._tls(cluster, user) if self.address.scheme == "https" else None
        self._local = threading.local()
        self._kinds: dict[str, dict[str, tuple[str, bool]]] = {}

    def _tls(self, cluster: dict[str, Any], user: dict[str, Any]) -> ssl.SSLContext:
        made = ssl.create_default_context()
        if "certificate-authority-data" in cluster:
            made.load_verify_locations(
                cadata=base64.b64decode(cluster["certificate-authority-data"]).decode()
            )
        elif "certificate-authority" in cluster:
            made.load_verify_locations(cluster["certificate-authority"])
        elif cluster.get("insecure-skip-tls-verify"):
            made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
        if "client-certificate-data" in user:
            with tempfile.NamedTemporaryFile() as file:
                for key in ("client-certificate-data", "client-key-data"):
                    file.write(base64.b64decode(user[key]) + b"\n")
                file.flush()
                made.load_cert_chain(file.name)
        elif "client-certificate" in user:
            made.load_cert_chain(user["client-certificate"], user["client-key"])
        return made

    def call(
        self, method: str, path: str, body: Any = None, kind: str = "application/json", **query: str
    ) -> Any:
        """Make one request; return the parsed answer. Raises ApiError."""
        url = path + (f"?{urlencode(query)}" if query else "")
        data = None if body is None else json.dumps(body)
        for attempt in (1, 2):
            connection = self._connection()
            try:
                connection.request(method, url, data, {**self.headers, "Content-Type": kind})
                answer = connection.getresponse()
                text = answer.read()
                break
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                self._local.connection = None
                # A kept connection that the server closed meanwhile is no failure: once more, on a new one.
                if attempt == 2 or isinstance(error, ConnectionRefusedError):
                    raise ApiError(
                        0, f"failed to reach the API server {self.address.geturl()}: {error}"
                    ) from error
        found = json.loads(text) if text[:1] in (b"{", b"[") else {}
        if answer.status >= 400:
            raise ApiError(answer.status, found.get("message") or text.decode(errors="replace"))
        return found

    def _connection(self) -> http.client.HTTPConnection:
        if getattr(self._local, "connection", None) is None:
            host, port = self.address.hostname or "", self.address.port
            self._local.connection = (
                http.client.HTTPSConnection(host, port, timeout=30, context=self.tls)
                if self.tls
                else http.client.HTTPConnection(host, port, timeout=30)
            )
        connection: http.client.HTTPConnection = self._local.connection
        return connection

    def path(self, api_version: str, kind: str, namespace: str | None, name: str = "") -> str:
        """The path of an object or of its collection. Raises ApiError(404) for a kind that the server lacks."""
        base = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        if kind not in self._kinds.get(api_version, {}):
            # Looked up anew each time that it is missing: a CRD may just have been made.
            try:
                listed = self.call("GET", base)["resources"]
            except ApiError as error:
                if error.code != 404:
                    raise
                listed = []
            self._kinds[api_version] = {
                r["kind"]: (r["name"], r["namespaced"]) for r in listed if "/" not in r["name"]
            }
        if kind not in self._kinds[api_version]:
            raise ApiError(404, f'no matches for kind "{kind}" in version "{api_version}"')
        plural, namespaced = self._kinds[api_version][kind]
        inside = f"/namespaces/{namespace or self.namespace}" if namespaced else ""
        return f"{base}{inside}/{plural}" + (f"/{name}" if name else "")

    def get(self, document: dict[str, Any]) -> dict[str, Any] | None:
        """The live object of a document; None where there is none."""
        try:
            found: dict[str, Any] = self.call("GET", self.of(document))
        except ApiError as error:
            if error.code == 404:
                return None
            raise
        return found

    def of(self, document: dict[str, Any]) -> str:
        """The path of a document's object."""
        meta = document["metadata"]
        return self.path(document["apiVersion"], document["kind"], meta.get("namespace"), meta["name"])

    def apply(self, document: dict[str, Any], manager: str, *, force: bool, dry_run: bool) -> dict[str, Any]:
        """Server-side apply."""
        query = {"fieldManager": manager, "force": "true" if force else "false"}
        if dry_run:
            query["dryRun"] = "All"
        found: dict[str, Any] = self.call(
            "PATCH", self.of(document), document, "application/apply-patch+yaml", **query
        )
        return found


def wait_until(condition: Any, seconds: float, stop: threading.Event) -> Any:
    """Ask `condition` until it returns something true; None after `seconds`, or when told to stop."""
    end = time.monotonic() + seconds
    pause = 0.05
    while not stop.is_set():
        found = condition()
        if found or time.monotonic() > end:
            return found or None
        stop.wait(pause)
        pause = min(1.0, pause * 1.5)
    return None
