"""Which cluster, and as whom: the kubeconfig, read as kubectl reads it.

`--kubeconfig` names one file; else KUBECONFIG lists files that are merged; else ~/.kube/config; else, inside a pod, its
service account.
"""

import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from homeport.cluster.errors import CredentialsRefused, KubeconfigProblem
from homeport.errors import EnvironmentProblem, how_to_install
from homeport.text import nearest, one_of

CONTEXTS = "`kubectl config get-contexts` lists the contexts"


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """Where the API server is and how it is asked. `settings` is the Kubernetes client's own Configuration."""

    server: str
    context: str
    settings: Any
    plugin: str = ""
    """The command that gives the credentials; empty where the kubeconfig names none."""
    files: Path | None = None
    """A private folder with the certificates and keys that the client wrote out of the kubeconfig."""

    def forget(self) -> None:
        """Remove the certificates and keys from the disk: they have been read."""
        if self.files is not None:
            shutil.rmtree(self.files, ignore_errors=True)


def access(kubeconfig: Path | None, context: str | None) -> Access:
    """Read the kubeconfig and make the client's settings.

    Raises KubeconfigProblem for a file that is missing or makes no sense and for an unknown context, CredentialsRefused
    where the plugin that gives the credentials failed, EnvironmentProblem where the client is not installed.
    """
    try:
        from kubernetes.client import Configuration
    except ImportError:
        raise EnvironmentProblem(
            "talking to a cluster needs the extra 'cluster', which is not installed",
            help=how_to_install("cluster"),
        ) from None

    settings = Configuration()
    files = _files(kubeconfig)
    if not files:
        return _in_pod(settings, context)
    merged, paths = _merged(files)
    name = _context_name(merged, context, paths)
    entry = _entry(merged, "contexts", name, paths)
    cluster = _entry(merged, "clusters", str(entry.get("cluster", "")), paths)
    if not cluster.get("server"):
        raise KubeconfigProblem(
            f"the cluster '{entry.get('cluster')}' has no server in {paths}", help="write the kubeconfig anew"
        )
    plugin = _plugin(merged["users"].get(str(entry.get("user", "")), {}).get("user"))
    private = Path(tempfile.mkdtemp(prefix="homeport-"))
    try:
        _load(settings, files, name, paths, private, plugin)
    except BaseException:
        shutil.rmtree(private, ignore_errors=True)
        raise
    return Access(
        server=shown(str(settings.host)),
        context=name,
        settings=settings,
        plugin=plugin,
        files=private,
    )


def _files(kubeconfig: Path | None) -> list[Path]:
    """The files to merge, best first. Raises KubeconfigProblem where one that was named is missing."""
    if kubeconfig is not None:
        if not kubeconfig.is_file():
            raise KubeconfigProblem(
                f"there is no kubeconfig '{kubeconfig}'",
                help="leave --kubeconfig out to use KUBECONFIG or ~/.kube/config",
            )
        return [kubeconfig]
    named = os.environ.get("KUBECONFIG", "")
    if named:
        listed = [Path(part).expanduser() for part in named.split(os.pathsep) if part]
        found = [path for path in listed if path.is_file()]
        if not found:
            raise KubeconfigProblem(
                f"KUBECONFIG names no file that exists: {named}",
                help="set it to your kubeconfig, or give --kubeconfig",
            )
        return found
    own = Path("~/.kube/config").expanduser()
    return [own] if own.is_file() else []


def _in_pod(settings: Any, context: str | None) -> Access:
    """The service account of the pod that homeport runs in."""
    from kubernetes import config

    if context is None and os.environ.get("KUBERNETES_SERVICE_HOST"):
        try:
            config.load_incluster_config(client_configuration=settings)
        except config.ConfigException as error:
            raise KubeconfigProblem(f"the pod's service account cannot be used: {error}") from None
        return Access(server=shown(str(settings.host)), context="in-cluster", settings=settings)
    raise KubeconfigProblem(
        "no kubeconfig: there is no ~/.kube/config, and KUBECONFIG is not set",
        help="give --kubeconfig FILE, or let your cloud's CLI write one "
        "(gcloud container clusters get-credentials, aws eks update-kubeconfig, az aks get-credentials)",
    )


def _merged(files: list[Path]) -> tuple[dict[str, Any], str]:
    """The entries of all files, those of the first file winning, and the files' names for messages."""
    import yaml

    merged: dict[str, Any] = {}
    paths = ", ".join(map(str, files))
    for path in files:
        try:
            with path.open(encoding="utf-8") as stream:
                one = yaml.load(stream, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        except (yaml.YAMLError, UnicodeDecodeError):
            # The parser's own message quotes the text, and a kubeconfig's text is secret.
            raise KubeconfigProblem(f"the kubeconfig {path} is no YAML", help="write it anew") from None
        except OSError as error:
            raise KubeconfigProblem(f"the kubeconfig {path} cannot be read: {error.strerror}") from None
        if not isinstance(one, dict):
            raise KubeconfigProblem(
                f"the kubeconfig {path} is {'empty' if one is None else 'no kubeconfig'}",
                help="give another one with --kubeconfig",
            )
        for section in ("contexts", "clusters", "users"):
            known = merged.setdefault(section, {})
            entries = one.get(section)
            for entry in entries if isinstance(entries, list) else ():
                if isinstance(entry, dict) and "name" in entry:
                    known.setdefault(str(entry["name"]), entry)
        if one.get("current-context"):
            merged.setdefault("current-context", str(one["current-context"]))
    return merged, paths


def _context_name(merged: dict[str, Any], context: str | None, paths: str) -> str:
    name = context or merged.get("current-context")
    if not name:
        raise KubeconfigProblem(
            f"no context is chosen in {paths}", help="give --context; " + _known(merged["contexts"])
        )
    if name not in merged["contexts"]:
        close = nearest(str(name), merged["contexts"])
        raise KubeconfigProblem(
            f"there is no context '{name}' in {paths}",
            help=f"did you mean {' or '.join(close)}?" if close else _known(merged["contexts"]),
        )
    return str(name)


def _known(contexts: dict[str, Any]) -> str:
    return f"it knows {one_of(contexts)}" if contexts else "it knows none"


def _entry(merged: dict[str, Any], section: str, name: str, paths: str) -> dict[str, Any]:
    kind = section.removesuffix("s")
    found = merged[section].get(name)
    if found is None:
        raise KubeconfigProblem(
            f"the context names the {kind} '{name}', which {paths} does not have", help=CONTEXTS
        )
    inside = found.get(kind) or {}
    if not isinstance(inside, dict):
        raise KubeconfigProblem(f"the {kind} '{name}' in {paths} makes no sense", help="write it anew")
    return inside


def _plugin(user: Any) -> str:
    """The command of a user's credential plugin; empty where none is named."""
    asked = user.get("exec") if isinstance(user, dict) else None
    return str(asked.get("command") or "") if isinstance(asked, dict) else ""


class _Kept(logging.Handler):
    """Keeps what the client logs."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == "root":
            self.lines.append(record.getMessage())


@contextmanager
def running(plugin: str) -> Iterator[None]:
    """Raise CredentialsRefused where the kubeconfig's credential plugin fails in this block.

    The client swallows the failure and logs it, with all that the plugin wrote to stderr, which may hold a token: only
    the kind of failure is told.
    """
    root, kept = logging.getLogger(), _Kept()
    root.addHandler(kept)
    try:
        yield
    finally:
        root.removeHandler(kept)
    if kept.lines:
        raise _plugin_failed(plugin, kept.lines[-1])


def _plugin_failed(plugin: str, line: str) -> CredentialsRefused:
    code = re.match(r"exec: process returned (-?\d+)", line)
    named = "the kubeconfig's credential plugin" + (f" '{plugin}'" if plugin else "")
    if code is None and "No such file or directory" in line:
        return CredentialsRefused(
            f"{named} is not there",
            help="install it (it comes with your cloud's CLI), and look whether it is on PATH",
        )
    return CredentialsRefused(
        f"{named} " + (f"ended with exit code {code[1]}" if code else "gave no credentials"),
        help="`kubectl get namespaces` runs it too, and shows what it says; most often, log in again with your cloud's CLI",
    )


def _load(settings: Any, files: list[Path], context: str, paths: str, private: Path, plugin: str) -> None:
    """Let the Kubernetes client make its settings: certificates, tokens, plugins, proxies."""
    from kubernetes import config

    try:
        with running(plugin):
            config.load_kube_config(
                os.pathsep.join(map(str, files)),
                context=context,
                client_configuration=settings,
                temp_file_path=str(private),
            )
    except config.ConfigException as error:
        raise KubeconfigProblem(
            f"the kubeconfig {paths} cannot be used: {error}", help="write it anew"
        ) from None
    except (ValueError, TypeError, KeyError, AttributeError):
        # Base64 that is none, a list where a mapping belongs: the exception's text may quote a key.
        raise KubeconfigProblem(
            f"the context '{context}' in {paths} makes no sense (broken base64, or a field of the wrong type)",
            help="write the kubeconfig anew",
        ) from None


def shown(url: str) -> str:
    """A URL without what may be secret in it: user, password, query."""
    return re.sub(r"//[^/@]*@", "//", url).split("?")[0]


def redacted(text: str) -> str:
    """`text` without what looks like a token: long runs of base64 or of hex, and whole JWTs."""
    return re.sub(r"[A-Za-z0-9+/=_.-]{40,}", "(hidden)", text)
