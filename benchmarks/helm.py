"""The yardstick for rendering: helm, from PATH or built once from its Go module, and a chart that does like work."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

MODULE = "helm.sh/helm/v4/cmd/helm"
VERSION = "v4.3.1"
CHART = Path(__file__).parent / "chart"


def cache_folder() -> Path:
    """Where what was built is kept between runs: outside the checkout."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "homeport" / "benchmarks"


def find(progress: Callable[[str], None]) -> Path | str:
    """Return helm's path, or the reason why there is none."""
    if (found := shutil.which("helm")) is not None:
        return Path(found)
    built = cache_folder() / f"helm-{VERSION}"
    if built.is_file():
        return built
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        return f"helm is not on PATH, and there is no Go to build {MODULE}@{VERSION} with"
    progress(f"building helm {VERSION} from its Go module, once (about two minutes)")
    return _build(go, built)


def _build(go: str, target: Path) -> Path | str:
    work = target.with_name("build")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    env = {**os.environ, "GOFLAGS": "-mod=mod", "GOWORK": "off"}
    steps = (
        ["mod", "init", "homeport/benchmarks"],
        ["get", "-tool", f"{MODULE}@{VERSION}"],
        ["build", "-trimpath", "-ldflags", "-s -w", "-o", str(work / "helm"), MODULE],
    )
    try:
        for step in steps:
            done = subprocess.run([go, *step], cwd=work, env=env, capture_output=True, text=True, check=False)
            if done.returncode:
                return f"`go {' '.join(step)}` failed: {done.stderr.strip().splitlines()[-1:] or '?'}"
        (work / "helm").replace(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return target


def values(models: int) -> str:
    """Values of the chart for so many models."""
    rows = "".join(
        f"  - {{name: model-{i}, model: meta-llama/Llama-3.1-8B-Instruct, gpus: 1, replicas: {i % 20 + 1}}}\n"
        for i in range(models)
    )
    return f"models:\n{rows}"
