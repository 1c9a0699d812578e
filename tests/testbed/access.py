"""Who may talk to the testbed's API server, and how: certificates, tokens, kubeconfigs."""

import base64
import json
import secrets
import subprocess
from pathlib import Path

from tests.testbed.build import ensure


def certificates(folder: Path) -> None:
    """Write ca.crt, tls.crt and tls.key (for localhost, servers and clients) and accounts.key."""
    folder.mkdir()
    subprocess.run([ensure("certificates")["certificates"], folder], check=True)


def administrator(folder: Path) -> str:
    """Write the API server's token file with one administrator; their token."""
    token = secrets.token_hex(16)
    (folder / "tokens.csv").write_text(f'{token},admin,admin,"system:masters"\n')
    return token


def kubeconfig(file: Path, url: str, authority: Path, token: str, namespace: str = "default") -> Path:
    """Write a kubeconfig with one context, `testbed`."""
    cluster = {"server": url, "certificate-authority-data": base64.b64encode(authority.read_bytes()).decode()}
    context = {"cluster": "testbed", "user": "testbed", "namespace": namespace}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "testbed",
        "clusters": [{"name": "testbed", "cluster": cluster}],
        "users": [{"name": "testbed", "user": {"token": token}}],
        "contexts": [{"name": "testbed", "context": context}],
    }
    file.write_text(json.dumps(config))  # JSON is YAML
    file.chmod(0o600)
    return file
