"""The load generator for the tests, in a virtual environment of its own: 140 packages that homeport does not need."""

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from homeport.cluster.bench_generator import PROGRAM

REQUIREMENTS = Path(__file__).with_name("aiperf.txt")


def aiperf() -> Path:
    """Its program: HOMEPORT_BENCH_GENERATOR's, else one that is installed once (840 MB) beside the testbed's programs.

    Raises CalledProcessError where the installation fails.
    """
    given = os.environ.get("HOMEPORT_BENCH_GENERATOR")
    if given:
        return Path(given)
    made_of = f"{REQUIREMENTS.read_text()} {platform.machine()} {sys.version_info[:2]}"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "homeport-testbed"
    cache.mkdir(parents=True, exist_ok=True)
    place = cache / f"aiperf-{hashlib.sha256(made_of.encode()).hexdigest()[:12]}"
    with (cache / "aiperf.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "complete").exists():
            print(f"testbed: install {PROGRAM} into {place}", file=sys.stderr, flush=True)
            shutil.rmtree(place, ignore_errors=True)
            _install(place)
            (place / "complete").touch()
    return place / "bin" / PROGRAM


def _install(place: Path) -> None:
    python = str(place / "bin" / "python")
    uv = shutil.which("uv")
    if uv:
        _run(uv, "venv", "--quiet", "--python", sys.executable, str(place))
        install = (uv, "pip", "install", "--quiet", "--no-deps", "--python", python)
        _run(*install, "-r", str(REQUIREMENTS))
    else:
        _run(sys.executable, "-m", "venv", str(place))
        _run(python, "-m", "pip", "install", "--quiet", "--no-deps", "-r", str(REQUIREMENTS))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=sys.stderr)
