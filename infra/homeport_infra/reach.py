"""Whether a cluster answers at all, said before the engine starts: one sentence, without a client of Kubernetes."""

import os
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PATIENCE_S = 3.0


def kubeconfig_file(given: str = "") -> Path | None:
    """The kubeconfig that Pulumi's provider reads: the given one, the first of KUBECONFIG, or ~/.kube/config."""
    names = [given] if given else [n for n in os.environ.get("KUBECONFIG", "").split(os.pathsep) if n]
    files = [Path(name).expanduser() for name in names] or [Path.home() / ".kube" / "config"]
    return next((file for file in files if file.is_file()), None)


class NoContextError(ValueError):
    """A kubeconfig lacks the context that was asked for."""


def unreachable(given: str = "", context: str = "") -> str | None:
    """Why no cluster can be reached, in a sentence; None where something answers at its address.

    Inside a pod, where the cluster is known without a kubeconfig, nothing is asked.
    """
    file = kubeconfig_file(given)
    if file is None:
        if "KUBERNETES_SERVICE_HOST" in os.environ and not given:
            return None
        return f"there is no kubeconfig at {given or os.environ.get('KUBECONFIG') or '~/.kube/config'}"
    try:
        name, server = _server(file.read_text(encoding="utf-8"), context)
    except NoContextError as error:
        return f"{file} {error}"
    except Exception as error:  # what a broken file raises is as many things as there are ways to break one
        return f"{file} cannot be read as a kubeconfig: {type(error).__name__}: {str(error).splitlines()[0]}"
    parts = urlsplit(server)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), PATIENCE_S).close()
    except OSError as error:
        return f"the cluster of context '{name}' ({server}) does not answer: {error.strerror or error}"
    return None


def _server(text: str, context: str) -> tuple[str, str]:
    import yaml

    config: dict[str, Any] = yaml.safe_load(text)
    name = context or config.get("current-context") or ""
    contexts = {entry["name"]: entry["context"] for entry in config.get("contexts") or []}
    if name not in contexts:
        there = f" (it has {', '.join(contexts)})" if contexts else ""
        raise NoContextError(f"has no context '{name}'{there}" if name else f"has no current context{there}")
    clusters = {entry["name"]: entry["cluster"] for entry in config.get("clusters") or []}
    return name, str(clusters[contexts[name]["cluster"]]["server"])
