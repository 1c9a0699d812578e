"""The way to a cluster: a few verbs over the Kubernetes client's connection, with typed errors.

Requests that change nothing when they are sent twice (all of them here: reads and server-side applies) are sent again
when the connection breaks. Nothing waits for ever.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from homeport.cluster import client_answers as answers
from homeport.cluster.client_config import Access, access
from homeport.cluster.client_retry import Outage
from homeport.cluster.errors import NOT_JSON, Unreachable

CONNECT_S = 5.0
"""How long a connection may take to open, seconds."""
SERVER_S = 10
"""How long the API server may take for an answer, seconds (its own `timeout` parameter)."""
READ_S = SERVER_S + 3.0
"""How long we wait for a byte, seconds: a little more, so that a slow server can say so itself."""
PATIENCE_S = 20.0
"""How long a connection that has worked before may stay broken, seconds: an API server restarts in about 3."""
FIRST_PATIENCE_S = 1.0
"""The same for a server that has not answered yet, seconds: it is more likely that the address is wrong."""
BUSY_TRIES = 5


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """How the API server names a kind: `plural` is what stands in its paths and in RBAC rules."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool


class Cluster:
    """One API server, as one user. Safe to use from several threads.

    Every method raises the errors of `homeport.cluster.errors`; those of the connection only after trying again for
    PATIENCE_S.
    """

    def __init__(self, way: Access, *, patience_s: float = PATIENCE_S) -> None:
        """`patience_s` bounds how long a broken connection is tried again, seconds."""
        from homeport.cluster.client_pool import Pool

        self.server = way.server
        self.context = way.context
        self.patience_s = patience_s
        try:
            self._pool = Pool(way.settings, way.plugin)
        finally:
            way.forget()
        self._has_answered = False
        self._resources: dict[str, dict[str, Resource]] = {}

    def kinds(self, api_version: str) -> dict[str, Resource]:
        """Return the kinds of an API version; none where the cluster does not serve it (which is asked anew each time)."""
        known = self._resources.get(api_version)
        if known is None:
            path = _group_path(api_version)
            listed = self.raw(path, missing_ok=True)
            try:
                known = {
                    one["kind"]: Resource(
                        api_version=api_version,
                        kind=one["kind"],
                        plural=one["name"],
                        namespaced=one["namespaced"],
                    )
                    for one in (listed or {}).get("resources") or []
                    if "/" not in one["name"]
                }
            except (AttributeError, LookupError, TypeError):
                raise answers.no_json(self.server, path) from None
            if known:
                self._resources[api_version] = known
        return known

    def resource(self, api_version: str, kind: str) -> Resource:
        """Return how the cluster names a kind. Raises KindMissing where it serves none."""
        found = self.kinds(api_version).get(kind)
        if found is None:
            raise answers.kind_missing(api_version, kind)
        return found

    def get(
        self, api_version: str, kind: str, name: str, namespace: str | None = None
    ) -> dict[str, Any] | None:
        """Return one object, without its nulls, or None where there is none."""
        path = self.path(self.resource(api_version, kind), namespace, name)
        found: dict[str, Any] | None = self.raw(path, missing_ok=True)
        return answers.without_nulls(found)

    def list(
        self, api_version: str, kind: str, namespace: str | None = None, labels: str = ""
    ) -> list[dict[str, Any]]:
        """Return all objects of a kind (of one namespace), without their nulls; `labels` is a selector."""
        resource = self.resource(api_version, kind)
        found: list[dict[str, Any]] = []
        query = {"limit": "500"} | ({"labelSelector": labels} if labels else {})
        path = self.path(resource, namespace)
        while True:
            page = self.raw(f"{path}?{urlencode(query)}")
            items = page.get("items") or [] if isinstance(page, dict) else None
            if not isinstance(items, list) or not all(isinstance(one, dict) for one in items):
                raise answers.no_json(self.server, path)
            found += answers.without_nulls(items)
            after = (page.get("metadata") or {}).get("continue")
            if not after:
                break
            query["continue"] = after
        for one in found:  # a list names the kind once, for all
            one.setdefault("apiVersion", resource.api_version)
            one.setdefault("kind", resource.kind)
        return found

    def apply(
        self,
        document: Mapping[str, Any],
        *,
        manager: str,
        force: bool = False,
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Apply an object on the server's side as field manager `manager`, and return what it is then.

        `force` takes fields that others own (else Taken says whose they are); `dry_run` changes nothing. Unknown
        fields are refused, not dropped.
        """
        metadata = document["metadata"]
        resource = self.resource(document["apiVersion"], document["kind"])
        query = {"fieldManager": manager, "fieldValidation": "Strict", "force": str(force).lower()}
        if dry_run:
            query["dryRun"] = "All"
        path = self.path(resource, metadata.get("namespace"), metadata["name"])
        found: dict[str, Any] = self.raw(
            f"{path}?{urlencode(query)}",
            "PATCH",
            document,
            content_type="application/apply-patch+yaml",  # JSON is YAML
        )
        return answers.without_nulls(found)

    def raw(
        self,
        path: str,
        method: str = "GET",
        body: Any = None,
        *,
        content_type: str = "application/json",
        missing_ok: bool = False,
    ) -> Any:
        """Return the JSON of any API path, a pod's or a service's proxy included; None for no content.

        `missing_ok` answers None where there is no such object or path (HTTP 404).
        """
        reply = self.request(path, method, body, content_type=content_type, missing_ok=missing_ok)
        if not reply:
            return None
        try:
            return msgspec.json.decode(reply)
        except NOT_JSON:
            raise answers.no_json(self.server, path) from None

    def text(self, path: str) -> str:
        """Return the answer of any API path as text: a pod's log, metrics through a proxy."""
        reply = self.request(path, accept="*/*")
        assert reply is not None, "only missing_ok answers None"
        return reply.decode(errors="replace")

    def request(
        self,
        path: str,
        method: str = "GET",
        body: Any = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
        missing_ok: bool = False,
    ) -> bytes | None:
        """Send one request, again where the connection breaks or the server is busy; the answer's bytes."""
        asked = answers.Asked(server=self.server, method=method, path=path, body=body)
        data = None if body is None else msgspec.json.encode(body)
        target = path + ("&" if "?" in path else "?") + f"timeout={SERVER_S}s"
        outage = Outage(self.patience_s if self._has_answered else min(FIRST_PATIENCE_S, self.patience_s))
        busy = 0
        while True:
            sent = time.monotonic()
            try:
                reply = self._pool.send(method, target, data, content_type, accept, CONNECT_S, READ_S)
            except answers.broken() as error:
                # At its deadline the API server just closes the connection of a read.
                late = time.monotonic() - sent >= SERVER_S - 0.5
                problem = answers.timed_out(asked) if late else answers.connection_problem(error, asked)
            else:
                self._has_answered = True
                if reply.status < 300:
                    return reply.data
                if reply.status == 404 and missing_ok and not answers.is_namespace_missing(reply.data, path):
                    return None
                wait_s = answers.retry_after_s(reply)
                if wait_s is not None and busy < BUSY_TRIES:
                    busy += 1
                    time.sleep(wait_s)
                    continue
                problem = answers.problem(reply, asked)
            pause_s = outage.pause(problem)
            if pause_s is None:
                raise problem
            time.sleep(pause_s)
            if isinstance(problem, Unreachable):
                self._wait_until_ready(outage.until)

    def _wait_until_ready(self, until: float) -> None:
        """Wait for a server that is there again until it knows its own roles: before that it forbids everything."""
        while time.monotonic() < until:
            try:
                if self._pool.send("GET", "/readyz", None, "", "*/*", CONNECT_S, READ_S).status != 500:
                    return
            except answers.broken():
                return  # the request itself finds out
            time.sleep(0.2)

    def path(self, resource: Resource, namespace: str | None = None, name: str | None = None) -> str:
        """The API path of a kind's objects, or of one of them."""
        parts = [_group_path(resource.api_version)]
        if resource.namespaced and namespace:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(resource.plural)
        if name is not None:
            parts.append(quote(name, safe=":"))
        return "/".join(parts)


def connect(
    kubeconfig: Path | None = None, context: str | None = None, *, patience_s: float = PATIENCE_S
) -> Cluster:
    """Return the cluster that the kubeconfig names; nothing is asked of it yet.

    Raises KubeconfigProblem, CredentialsRefused (a credential plugin failed) and EnvironmentProblem (no client installed).
    """
    return Cluster(access(kubeconfig, context), patience_s=patience_s)


def _group_path(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


__all__ = ["Cluster", "Resource", "connect"]
