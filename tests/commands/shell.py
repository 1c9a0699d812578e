"""Running `homeport` as a user's shell does: a process of its own, its streams, its exit code."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """A quiet environment: offline, no colour settings, no HOMEPORT_ variables and no cluster of the developer."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HOMEPORT_", "PULUMI_"))}
    for name in ("NO_COLOR", "TERM", "FORCE_COLOR", "COLUMNS", "HF_TOKEN", "HF_ENDPOINT", "KUBECONFIG"):
        kept.pop(name, None)
    return {
        **kept,
        "HF_HUB_OFFLINE": "1",
        "PATH": f"{Path(sys.executable).parent}:{kept['PATH']}",
        **(extra or {}),
    }


def homeport(
    *args: str, cwd: Path | None = None, stdin: bytes | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run `python -m homeport` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "homeport", *args],
        input=stdin,
        stdin=None if stdin is not None else subprocess.DEVNULL,
        capture_output=True,
        cwd=cwd,
        env=environment(env),
        timeout=120,
        check=False,
    )
