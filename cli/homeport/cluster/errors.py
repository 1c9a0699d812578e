"""What goes wrong between homeport and a cluster, as typed errors: what, where, and what to do next.

All of them are of the environment (exit code 3). No message carries a token, a password or a Secret's value.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from homeport.errors import EnvironmentProblem

NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for an answer that is no JSON: broken text, no UTF-8, nested without end."""


class ClusterProblem(EnvironmentProblem):
    """The base of everything that a cluster, or the way to it, answers instead of what was asked."""


class KubeconfigProblem(ClusterProblem):
    """The kubeconfig is missing, unreadable, or has no such context."""


class Unreachable(ClusterProblem):
    """Nobody answers at the API server's address, or the connection broke and did not come back."""


class TimedOut(ClusterProblem):
    """The API server took the request and did not answer in time, as it does when etcd hangs."""


class CredentialsRefused(ClusterProblem):
    """The API server does not know who asks: credentials that are wrong or expired, or a failed plugin."""


class Forbidden(ClusterProblem):
    """RBAC does not let the user do it. `verb`, `group` and `resource` are those of the missing rule."""

    def __init__(
        self,
        message: str,
        help: str,  # noqa: A002
        *,
        verb: str,
        group: str,
        resource: str,
    ) -> None:
        """`help` carries the rule to add; `group` is empty for the core API."""
        super().__init__(message, help)
        self.verb = verb
        self.group = group
        self.resource = resource


class KindMissing(ClusterProblem):
    """The cluster serves no such kind: its CRD is not installed, or the cluster is too old for the version."""

    def __init__(self, message: str, help: str, *, api_version: str, kind: str) -> None:  # noqa: A002
        """`help` is the command that installs it, where homeport knows it."""
        super().__init__(message, help)
        self.api_version = api_version
        self.kind = kind


class Taken(ClusterProblem):
    """Another field manager owns fields that were to be set. `managers` maps each of them to its fields."""

    def __init__(self, message: str, help: str, managers: dict[str, list[str]]) -> None:  # noqa: A002
        """Keep who took what."""
        super().__init__(message, help)
        self.managers = managers


class NamespaceMissing(ClusterProblem):
    """The namespace that an object goes to does not exist (yet)."""


class NamespaceTerminating(ClusterProblem):
    """The namespace is being deleted: nothing can be made in it until that has ended."""


class QuotaExceeded(ClusterProblem):
    """A ResourceQuota does not leave room for the object."""


class Refused(ClusterProblem):
    """The API server understood the object and will not have it: invalid, immutable, or stopped by admission."""

    def __init__(self, message: str, help: str | None = None, causes: Sequence[str] = ()) -> None:  # noqa: A002
        """`causes` are the API server's own reasons, one for each field."""
        super().__init__(message, help)
        self.causes = tuple(causes)


class ServerFailed(ClusterProblem):
    """The API server answered with an error of its own, or with what is no answer of an API server."""


def managers_text(managers: dict[str, list[str]]) -> str:
    """`manager (field, field)` for each manager, in a sentence."""
    return "; ".join(f"{name} ({', '.join(fields)})" for name, fields in managers.items())


def rule(verb: str, group: str, resource: str) -> str:
    """The RBAC rule that would allow it, as it stands in a Role."""
    return f'- {{apiGroups: ["{group}"], resources: ["{resource}"], verbs: ["{verb}"]}}'


def status_of(body: bytes) -> dict[str, Any]:
    """Return the Status object of an error's body, or an empty dict where it is none."""
    try:
        found = msgspec.json.decode(body)
    except NOT_JSON:
        return {}
    return found if isinstance(found, dict) and found.get("kind") == "Status" else {}
