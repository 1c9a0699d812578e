"""Asking Prometheus: directly, or through the API server where its address is one that only the cluster knows."""

import math
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from homeport.cluster.errors import NOT_JSON, ClusterProblem, Forbidden

TIMEOUT_S = 10.0
"""How long an answer may take, seconds."""
MOST_BYTES = 32 * 2**20
"""An answer that is longer is none of Prometheus to our questions, bytes."""

Ask = Callable[[str], Any]
"""Takes an API path of the Kubernetes API server, returns its JSON."""


class PrometheusError(ClusterProblem):
    """Prometheus cannot be asked, or does not answer the question."""


class Element(msgspec.Struct, frozen=True, kw_only=True):
    """One element of an answer: its labels and its value (which may be NaN)."""

    labels: dict[str, str]
    value: float


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint that is scraped. `pool` is the scrape configuration that found it, `error` why it is down."""

    pool: str
    url: str
    health: str
    error: str
    labels: dict[str, str]


class Prometheus:
    """A Prometheus server at `url`. `ask` reaches the API server's proxy (None: only direct addresses work).

    Its methods raise PrometheusError.
    """

    def __init__(self, url: str, ask: Ask | None = None) -> None:
        """Nothing is asked yet."""
        self.url = url.rstrip("/")
        self._ask = ask
        self._proxy = service_proxy(url)

    @property
    def way(self) -> str:
        """How it is reached, for a message."""
        if self._proxy and self._ask:
            return f"{self.url} (through the API server)"
        return self.url

    def query(self, text: str) -> list[Element]:
        """The elements of an instant query. A scalar is one element without labels."""
        data = self._get("/api/v1/query", {"query": text})
        kind, result = data.get("resultType"), data.get("result", [])
        if kind not in ("scalar", "vector"):
            raise PrometheusError(f"{self.way} answers the query with a {kind}, not with a vector", None)
        try:
            if kind == "scalar":
                return [Element(labels={}, value=number(result[1]))]
            return [Element(labels=dict(one["metric"]), value=number(one["value"][1])) for one in result]
        except (AttributeError, LookupError, TypeError, ValueError):
            raise self._another() from None

    def targets(self) -> list[Target]:
        """Every endpoint that is scraped now."""
        data = self._get("/api/v1/targets", {"state": "active"})
        try:
            return [
                Target(
                    pool=one.get("scrapePool", ""),
                    url=one.get("scrapeUrl", ""),
                    health=one.get("health", "unknown"),
                    error=one.get("lastError", ""),
                    labels=dict(one.get("labels") or {}),
                )
                for one in data.get("activeTargets") or ()
            ]
        except (AttributeError, TypeError, ValueError):
            raise self._another() from None

    def _get(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        answer = self._through(path, query) if self._proxy and self._ask else self._directly(path, query)
        if not isinstance(answer, dict) or answer.get("status") not in ("success", "error"):
            raise self._another()
        if answer["status"] == "error":
            raise PrometheusError(f"{self.way} refuses the query: {answer.get('error', '')}", None)
        data = answer.get("data") or {}
        if not isinstance(data, dict):
            raise self._another()
        return data

    def _another(self) -> PrometheusError:
        return PrometheusError(
            f"what answers at {self.way} is no Prometheus",
            "check observability.prometheus_url in the spec",
        )

    def _through(self, path: str, query: dict[str, str]) -> Any:
        assert self._proxy is not None
        assert self._ask is not None
        try:
            return self._ask(f"{self._proxy}{path}?{urlencode(query)}")
        except Forbidden:
            raise
        except ClusterProblem as problem:
            host = (urlsplit(self.url).hostname or "").split(".")
            if f'services "{host[0]}" not found' in str(problem):
                raise PrometheusError(
                    f"no Prometheus: the Service {host[1]}/{host[0]} does not exist",
                    "install it, or say where it is: observability.prometheus_url in the spec",
                ) from None
            raise PrometheusError(
                f"{self.way} does not answer: {problem}",
                f"kubectl --namespace {host[1]} get service,endpointslices",
            ) from None

    def _directly(self, path: str, query: dict[str, str]) -> Any:
        from http.client import HTTPException
        from urllib.error import HTTPError
        from urllib.request import Request, urlopen

        try:
            request = Request(f"{self.url}{path}?{urlencode(query)}", headers={"Accept": "application/json"})
            try:
                reply = urlopen(request, timeout=TIMEOUT_S)
            except HTTPError as error:
                reply = error  # a refused query has its reason in the body
            with reply:
                body = _read(reply)
        except (HTTPException, OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise PrometheusError(
                f"Prometheus does not answer at {self.url}: {reason}",
                "check observability.prometheus_url in the spec, or forward its port",
            ) from None
        try:
            return msgspec.json.decode(body)
        except NOT_JSON:
            raise self._another() from None


def _read(reply: Any) -> bytes:
    """The body, as long as it comes within TIMEOUT_S as a whole and is no longer than MOST_BYTES."""
    until = time.monotonic() + TIMEOUT_S
    parts, size = [], 0
    while part := reply.read1(65_536):
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES:
            raise ValueError(f"the answer is longer than {MOST_BYTES // 2**20} MiB")
        if time.monotonic() > until:
            raise TimeoutError(f"the answer is not complete after {TIMEOUT_S:g} s")
    return b"".join(parts)


def service_proxy(url: str) -> str | None:
    """The API server's proxy path of a cluster-internal address (None: the address is another).

    Internal are `NAME.NAMESPACE.svc` with or without the cluster's domain after it.
    """
    parts = urlsplit(url)
    names = (parts.hostname or "").split(".")
    if len(names) < 3 or names[2] != "svc":
        return None
    port = parts.port or (443 if parts.scheme == "https" else 80)
    scheme = "https:" if parts.scheme == "https" else "http:"
    name = f"{scheme}{names[0]}:{port}"
    return (
        f"/api/v1/namespaces/{quote(names[1])}/services/{quote(name, safe=':')}/proxy{parts.path.rstrip('/')}"
    )


def number(text: str) -> float:
    """A sample's value: Prometheus writes NaN, +Inf and -Inf as words."""
    words = {"NaN": math.nan, "+Inf": math.inf, "Inf": math.inf, "-Inf": -math.inf}
    return words[text] if text in words else float(text)
