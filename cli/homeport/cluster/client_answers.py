"""What an API server's answer, or its silence, means: from HTTP to typed errors."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from homeport.cluster.client_config import CONTEXTS, redacted, shown
from homeport.cluster.errors import (
    ClusterProblem,
    CredentialsRefused,
    Forbidden,
    KindMissing,
    KubeconfigProblem,
    NamespaceMissing,
    NamespaceTerminating,
    QuotaExceeded,
    Refused,
    ServerFailed,
    Taken,
    TimedOut,
    Unreachable,
    managers_text,
    rule,
    status_of,
)

T = TypeVar("T")

LONGEST_RETRY_AFTER_S = 5.0

_RBAC = re.compile(
    r'^(?:.*? is forbidden: )?User "(?P<user>[^"]*)" cannot (?P<verb>\S+) '
    r'(?:resource "(?P<resource>[^"]*)" in API group "(?P<group>[^"]*)"|path "(?P<path>[^"]*)")'
    r'(?: in the namespace "(?P<namespace>[^"]*)")?'
)
_QUOTA = re.compile(
    r"exceeded quota: (?P<name>[^,]+), requested: (?P<asked>.*), used: (?P<used>.*), limited: (?P<limit>.*)$"
)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The request that a message is about."""

    server: str
    method: str
    path: str
    body: Any

    @property
    def what(self) -> str:
        """The object that was sent, or the path that was read, for a sentence."""
        if isinstance(self.body, Mapping) and "kind" in self.body:
            metadata = self.body.get("metadata") or {}
            where = f" in the namespace {metadata['namespace']}" if metadata.get("namespace") else ""
            return f"{self.body['kind']} '{metadata.get('name', '')}'{where}"
        return f"{self.method} {shown(self.path)}"

    @property
    def namespace(self) -> str:
        """The namespace in the path, or an empty string."""
        found = re.search(r"/namespaces/([^/?]+)", self.path)
        return found.group(1) if found else ""


class Whole(msgspec.Struct, frozen=True):
    """An HTTP answer that was read to its end."""

    status: int
    data: bytes
    headers: Mapping[str, str]


def without_nulls(value: T) -> T:
    """`value` without the fields that are null, at any depth: to the API server null is the same as not there.

    What is read later needs one default for both. `value` itself is changed.
    """
    parts: Iterable[Any] = ()
    if isinstance(value, dict):
        for key in [key for key, one in value.items() if one is None]:
            del value[key]
        parts = value.values()
    elif isinstance(value, list):
        parts = value
    for part in parts:
        without_nulls(part)
    return value


def broken() -> type[Exception]:
    """What urllib3 raises where a connection fails."""
    from urllib3.exceptions import HTTPError

    return HTTPError


def connection_problem(error: Exception, asked: Asked) -> ClusterProblem:
    """Say why there was no answer."""
    from urllib3.exceptions import (
        ConnectTimeoutError,
        NameResolutionError,
        ProxyError,
        ReadTimeoutError,
        SSLError,
    )

    text = str(error)
    if isinstance(error, SSLError):
        return _tls_problem(text, asked.server)
    if isinstance(error, ReadTimeoutError):
        return timed_out(asked)
    if isinstance(error, NameResolutionError):
        why = "its name is not known to the DNS"
    elif "refused" in text:
        why = "it refuses the connection"
    elif isinstance(error, ProxyError):
        why = "the proxy does not let us through"
    elif isinstance(error, ConnectTimeoutError):
        why = "it does not take the connection (a firewall, a VPN that is off, a private endpoint)"
    else:
        why = "the connection broke"
    return Unreachable(
        f"the API server {asked.server} cannot be reached: {why}",
        help=f"is the cluster running, and is it the right one? {CONTEXTS}",
    )


_OF_CERTIFICATES = ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED", "HANDSHAKE_FAILURE")
"""What an alert by which a server refuses a client's certificate has in its name (RFC 8446, 6.2)."""


def _tls_problem(text: str, server: str) -> ClusterProblem:
    if "CERTIFICATE_VERIFY_FAILED" in text:
        if "Hostname mismatch" in text or "IP address mismatch" in text:
            why = "its certificate is for another name"
        elif "expired" in text:
            why = "its certificate has expired"
        else:
            why = "its certificate is not signed by the kubeconfig's certificate authority"
        return KubeconfigProblem(
            f"the API server {server} is not trusted: {why}",
            help="the cluster was made anew, or something stands between: fetch its kubeconfig again",
        )
    if "WRONG_VERSION_NUMBER" in text or "HTTP_REQUEST" in text:
        return KubeconfigProblem(
            f"{server} does not speak TLS", help="is `server` in the kubeconfig an API server's address?"
        )
    alert = re.search(r"ALERT_(\w+)", text)
    if alert and any(word in alert[1] for word in _OF_CERTIFICATES):
        return CredentialsRefused(
            f"the API server {server} refuses the client certificate", help="fetch the kubeconfig again"
        )
    # Any other alert ends this one connection: a new one may do.
    why = f" ({alert[1].lower().replace('_', ' ')})" if alert else ""
    return Unreachable(
        f"the API server {server} cannot be reached: the TLS connection broke{why}", help=CONTEXTS
    )


def timed_out(asked: Asked) -> TimedOut:
    """Say that the server took the request and gave no answer."""
    return TimedOut(
        f"the API server {asked.server} did not answer in time ({asked.what})",
        help="its etcd may be slow or down: `kubectl get --raw '/readyz?verbose'` says; nothing is lost, run it again",
    )


def retry_after_s(reply: Whole) -> float | None:
    """How long a busy server wants us to wait, seconds; None where it did not ask for it."""
    if reply.status not in (429, 503):
        return None
    asked = reply.headers.get("Retry-After", "")
    return min(float(asked), LONGEST_RETRY_AFTER_S) if asked.isdigit() else None


def is_namespace_missing(body: bytes, path: str) -> bool:
    """Whether a 404 speaks of the namespace that the object is in, not of the object."""
    if re.search(r"/namespaces/[^/?]+(\?|$)", path):
        return False  # the namespace is the object
    details = status_of(body).get("details") or {}
    return details.get("kind") == "namespaces"


def no_json(server: str, path: str) -> ServerFailed:
    """The answer was no JSON, or none of an API server: a login page, a proxy, another program."""
    return ServerFailed(
        f"{server} answered GET {shown(path)} with what is no JSON of an API server",
        help="is `server` in the kubeconfig an API server's address?",
    )


def problem(reply: Whole, asked: Asked) -> ClusterProblem:
    """Make the typed error of an HTTP answer that is no success."""
    status = status_of(reply.data)
    message = redacted(str(status.get("message") or ""))
    reason = status.get("reason", "")
    if reply.status == 401:
        return CredentialsRefused(
            f"the API server {asked.server} does not accept the kubeconfig's credentials (wrong or expired)",
            help="log in again, or fetch the kubeconfig again",
        )
    if reply.status == 403:
        return _forbidden(message, status, asked)
    if reply.status == 404 and is_namespace_missing(reply.data, asked.path):
        return _namespace_missing(asked)
    if reply.status == 409 and _causes(status, "FieldManagerConflict"):
        return _taken(status, asked)
    if reply.status in (500, 504) and ("Timeout" in reason or "timed out" in message or reply.status == 504):
        return timed_out(asked)
    # A field that the schema does not know comes back as the server's own failure.
    if (
        reply.status in (400, 404, 405, 409, 413, 415, 422)
        or "failed to create typed patch object" in message
    ):
        return _refused(message, status, reply.status, asked)
    return ServerFailed(
        f"the API server {asked.server} failed with HTTP {reply.status} ({asked.what})"
        + (f": {message}" if message else ""),
        help="`kubectl get --raw '/readyz?verbose'` says what it lacks",
    )


def _forbidden(message: str, status: Mapping[str, Any], asked: Asked) -> ClusterProblem:
    if _causes(status, "NamespaceTerminating") or "because it is being terminated" in message:
        name = asked.namespace
        return NamespaceTerminating(
            f"the namespace {name} is being deleted: nothing can be made in it until that has ended",
            help=f"`kubectl get namespace {name} -o yaml` says what it waits for; then run it again",
        )
    quota = _QUOTA.search(message)
    if quota:
        return QuotaExceeded(
            f"the quota {quota['name']} leaves no room for the {asked.what}: it asks for {quota['asked']}, "
            f"{quota['used']} is used, the limit is {quota['limit']}",
            help=f"raise it, or free some: `kubectl -n {asked.namespace} describe resourcequota {quota['name']}`",
        )
    found = _RBAC.search(message)
    if not found:
        return _refused(message, status, 403, asked)
    verb, namespace = found["verb"], found["namespace"] or ""
    if found["resource"] is None:
        return Forbidden(
            f"{found['user']} may not {verb} {found['path']}",
            f'ask for a ClusterRole with this rule: - {{nonResourceURLs: ["{found["path"]}"], verbs: ["{verb}"]}}',
            verb=verb,
            group="",
            resource=found["path"],
        )
    group, resource = found["group"], found["resource"]
    named = f"{resource}.{group}" if group else resource
    where = f"in the namespace {namespace}" if namespace else "in the cluster"
    kind = "Role" if namespace else "ClusterRole"
    return Forbidden(
        f"{found['user']} may not {verb} {named} {where}",
        f"ask for a {kind} with this rule{' there' if namespace else ''}: {rule(verb, group, resource)}",
        verb=verb,
        group=group,
        resource=resource,
    )


def _namespace_missing(asked: Asked) -> NamespaceMissing:
    return NamespaceMissing(
        f"there is no namespace {asked.namespace}",
        help="it is made with the other objects: `kubectl apply --server-side -k` of the rendered folder",
    )


def _taken(status: Mapping[str, Any], asked: Asked) -> Taken:
    managers: dict[str, list[str]] = {}
    for cause in _causes(status, "FieldManagerConflict"):
        named = re.search(r'conflict with "([^"]+)"', str(cause.get("message", "")))
        managers.setdefault(named.group(1) if named else "another", []).append(
            str(cause.get("field", "")).lstrip(".")
        )
    return Taken(
        f"the {asked.what} has fields that others manage: {managers_text(managers)}",
        "take them with --force-conflicts, or leave them to the other and take them out of the spec",
        managers,
    )


def _refused(message: str, status: Mapping[str, Any], code: int, asked: Asked) -> Refused:
    causes = [f"{c.get('field')}: {c.get('message')}" for c in _causes(status) if c.get("field")]
    immutable = "field is immutable" in message or any("immutable" in cause for cause in causes)
    return Refused(
        f"the API server refuses the {asked.what}: {message or f'HTTP {code}'}",
        help="a field that cannot be changed: delete the object, then apply it anew" if immutable else None,
        causes=causes,
    )


def _causes(status: Mapping[str, Any], reason: str = "") -> list[Mapping[str, Any]]:
    found = (status.get("details") or {}).get("causes") or []
    return [cause for cause in found if not reason or cause.get("reason") == reason]


def kind_missing(api_version: str, kind: str) -> KindMissing:
    """Say that the cluster serves no such kind, and how to install it where homeport knows."""
    from homeport.manifests import prerequisites

    group = api_version.rpartition("/")[0]
    gateway = (
        "https://github.com/kubernetes-sigs/gateway-api/releases/download/"
        f"{prerequisites.GATEWAY_API}/standard-install.yaml"
    )
    install: Callable[[], str] | None = {
        "keda.sh": prerequisites.KEDA.command,
        "monitoring.coreos.com": prerequisites.PROMETHEUS.command,
        "leaderworkerset.x-k8s.io": prerequisites.LWS.command,
        "gateway.networking.k8s.io": lambda: f"kubectl apply --server-side -f {gateway}",
    }.get(group)
    return KindMissing(
        f"the cluster serves no {kind} of {api_version}: "
        + (
            "its CRD is not installed"
            if "." in group.removesuffix(".k8s.io") or install
            else "it is too old for it"
        ),
        install() if install else f"`kubectl api-resources --api-group={group}` lists what it serves",
        api_version=api_version,
        kind=kind,
    )
