"""Where a stack's state lies, who holds its lock, and what a run that was cut off left behind."""

import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from homeport.errors import EnvironmentProblem

PASSPHRASES = ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE")
CLOUD_SCHEMES = ("http", "https")
"""Backends of Pulumi's service: it keeps the key of a stack's secrets itself."""

BEING_WRITTEN_S = 5
"""Seconds that an empty lock may still be one that another run is writing."""

WITH_PODS = ("Deployment", "LeaderWorkerSet", "Job")
"""Kinds whose objects hold nodes as long as they stand."""


class Interrupted(msgspec.Struct, frozen=True, kw_only=True):
    """What a cut-off run was doing to a resource when it ended: "creating", "updating", "deleting", "reading"."""

    operation: str
    urn: str
    token: str


def state_folder() -> Path:
    """Where state is kept unless another backend is named: a folder of the user."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "homeport" / "pulumi"


def environment(operation: str, backend: str = "") -> dict[str, str]:
    """What the CLI needs that the user has not set: a backend, local by default, and no question about updates.

    Raises EnvironmentProblem without a passphrase (the state's secrets are always encrypted), and where the folder of the
    state cannot be made.
    """
    url = backend or os.environ.get("PULUMI_BACKEND_URL", "")
    cloud = urlsplit(url).scheme in CLOUD_SCHEMES
    if not cloud and not any(os.environ.get(name) for name in PASSPHRASES):
        raise EnvironmentProblem(
            f"`homeport {operation}` needs a passphrase that encrypts the secrets in its state",
            help="set PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE, or name a backend that keeps the key itself",
        )
    if not url:
        folder = state_folder()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise EnvironmentProblem(
                f"the folder {folder}, where the state goes, cannot be made: {error.strerror}",
                help="set XDG_STATE_HOME to a folder of yours, or name a backend with --backend",
            ) from error
        url = folder.as_uri()
    return {"PULUMI_SKIP_UPDATE_CHECK": "true", "PULUMI_BACKEND_URL": url}


def break_dead_locks(backend: str, project: str, stack: str) -> list[str]:
    """Remove the locks that processes of this machine left which no longer run; return who held them.

    Only of a backend in a folder: a lock of another machine, or of a process that runs, is not touched. What a full disk
    left of a lock holds nobody, and Pulumi fails at it until it is gone.
    """
    parts = urlsplit(backend)
    if parts.scheme != "file":
        return []
    folder = Path(unquote(parts.netloc + parts.path)).expanduser()
    locks = folder / ".pulumi" / "locks" / "organization" / project / stack
    for file in locks.glob("*.json*.tmp"):
        with suppress(OSError):
            if not file.stat().st_size and time.time() - file.stat().st_mtime > BEING_WRITTEN_S:
                file.unlink()
    found = []
    for file in sorted(locks.glob("*.json")):
        try:
            lock = json.loads(file.read_bytes())
            here = lock["hostname"] == socket.gethostname()
            if here and not _runs(int(lock["pid"])):
                file.unlink()
                found.append(f"process {lock['pid']}")
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def cut_off(deployment: Mapping[str, Any]) -> list[Interrupted]:
    """What the last run of an exported stack was doing when it was cut off."""
    return [
        Interrupted(
            operation=pending["type"], urn=pending["resource"]["urn"], token=pending["resource"]["type"]
        )
        for pending in deployment.get("pending_operations") or []
    ]


def begun_pods(deployment: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The objects with pods whose creation was cut off, as resources that can be deleted: no answer told their id."""
    for pending in deployment.get("pending_operations") or []:
        found = pending["resource"]
        token, _, kind = found["type"].rpartition(":")
        if pending["type"] == "creating" and token.startswith("kubernetes:") and kind in WITH_PODS:
            metadata = found["inputs"]["metadata"]
            yield {**found, "id": f"{metadata['namespace']}/{metadata['name']}", "outputs": found["inputs"]}


def resources(deployment: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The resources of an exported stack, parents before children."""
    yield from deployment.get("resources") or []


def stack_outputs(deployment: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs that a stack has now, secrets still encrypted."""
    for resource in resources(deployment):
        if resource["type"] == "pulumi:pulumi:Stack":
            return dict(resource.get("outputs") or {})
    return {}


def salt(deployment: Mapping[str, Any]) -> str | None:
    """The salt of the passphrase that an exported stack's secrets are encrypted with; None without a passphrase."""
    provider = deployment.get("secrets_providers") or {}
    found = (provider.get("state") or {}).get("salt") if provider.get("type") == "passphrase" else None
    return str(found) if found else None
