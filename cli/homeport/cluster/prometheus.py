"""Asking Prometheus: directly, or through the API server where its address is one that only the cluster knows."""

import math
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from homeport.cluster.errors import ClusterProblem, Forbidden

TIMEOUT_S = 10.0
"""How long an answer may take, seconds."""

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
        if kind == "scalar":
            return [Element(labels={}, value=number(result[1]))]
        if kind != "vector":
            raise PrometheusError(f"{self.way} answers the query with a {kind}, not with a vector", None)
        return [Element(labels=one["metric"], value=number(one["value"][1])) for one in result]

    def targets(self) -> list[Target]:
        """Every endpoint that is scraped now."""
        data = self._get("/api/v1/targets", {"state": "active"})
        return [
            Target(
                pool=one.get("scrapePool", ""),
                url=one.get("scrapeUrl", ""),
                health=one.get("health", "unknown"),
                error=one.get("lastError", ""),
                labels=one.get("labels", {}),
            )
            for one in data.get("activeTargets", ())
        ]

    def _get(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        answer = self._through(path, query) if self._proxy and self._ask else self._directly(path, query)
        if not isinstance(answer, dict) or answer.get("status") not in ("success", "error"):
            raise PrometheusError(
                f"what answers at {self.way} is no Prometheus",
                "check observability.prometheus_url in the spec",
            )
        if answer["status"] == "error":
            raise PrometheusError(f"{self.way} refuses the query: {answer.get('error', '')}", None)
        data: dict[str, Any] = answer.get("data") or {}
        return data

    def _through(self, path: str, query: dict[str, str]) -> Any:
        assert self._proxy is not None
        assert self._ask is not None
        try:
            return self._ask(f"{self._proxy}{path}?{urlencode(query)}")
        except Forbidden:
            raise
        except ClusterProblem as problem:
            raise PrometheusError(
                f"{self.way} does not answer: {problem}",
                f"kubectl --namespace {self._space()} get service,endpointslices",
            ) from None

    def _space(self) -> str:
        return (urlsplit(self.url).hostname or "").split(".")[1]

    def _directly(self, path: str, query: dict[str, str]) -> Any:
        from urllib.error import HTTPError, URLError
        from urllib.request import Request, urlopen

        request = Request(f"{self.url}{path}?{urlencode(query)}", headers={"Accept": "application/json"})
        try:
            with urlopen(request, timeout=TIMEOUT_S) as reply:
                body = reply.read()
        except HTTPError as error:
            body = error.read()
        except (URLError, OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise PrometheusError(
                f"Prometheus does not answer at {self.url}: {reason}",
                "check observability.prometheus_url in the spec, or forward its port",
            ) from None
        try:
            return msgspec.json.decode(body)
        except msgspec.DecodeError:
            raise PrometheusError(
                f"what answers at {self.url} is no Prometheus",
                "check observability.prometheus_url in the spec",
            ) from None


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
