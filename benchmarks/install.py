"""homeport as a user installs it: a wheel of this checkout, in a fresh environment, its bytecode compiled."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]


class Installed(NamedTuple):
    """The environment: its interpreter, the command, its packages, and what those take on disk."""

    python: Path
    homeport: Path
    packages: Path
    mib: float
    mib_with_bytecode: float


def install(folder: Path) -> Installed:
    """Build the wheel and install it with what it needs, without extras, into `folder`.

    Raises FileNotFoundError where uv is missing, subprocess.CalledProcessError where it fails.
    """
    uv = shutil.which("uv")
    if uv is None:
        raise FileNotFoundError("uv is not on PATH: it builds the wheel and installs it")
    here = folder / "installed"
    python = here / "bin" / "python"

    def run(*args: object) -> None:
        subprocess.run([uv, *map(str, args)], check=True, capture_output=True, cwd=ROOT)

    run("build", "--wheel", "-o", folder / "dist")
    run("venv", "--python", sys.executable, here)
    packages = next((here / "lib").glob("python3*/site-packages"))
    before = _mib(packages)
    wheel = next((folder / "dist").glob("*.whl"))
    run("pip", "install", "--python", python, wheel)
    plain = _mib(packages) - before
    subprocess.run([python, "-m", "compileall", "-q", packages], check=True, capture_output=True)
    return Installed(python, here / "bin" / "homeport", packages, plain, _mib(packages) - before)


def _mib(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20
