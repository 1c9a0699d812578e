"""The command lines that are measured, by name, and the files that they read."""

import subprocess
import sys
from pathlib import Path

from benchmarks import fleet, helm
from benchmarks.install import Installed
from benchmarks.measure import Command, environment

HERE = Path(__file__).parent
RENDERED = (1, 100, 500, 1000)
AGAINST_HELM = (1, 100, 500)
DOUBLE = '#!/bin/sh\ncd "{}" && exec "{}" -m tests.infra.double "$@"\n'


def commands(installed: Installed, work: Path, helm_path: Path | None) -> dict[str, Command]:
    """Every command line; those of helm only where there is one. Writes the specs and cases into `work`."""
    env = {**environment(), "XDG_CACHE_HOME": str(work / "cache")}
    python = str(installed.python)

    def homeport(*args: str) -> Command:
        return Command([str(installed.homeport), *args], env)

    def case_file(count: int) -> str:
        return _file(work, f"cases-{count}.jsonl", fleet.cases(count))

    workload = ("--requests-per-day", "100000", "--input-tokens", "1000", "--output-tokens", "500")
    apis = ("gpt-4.1-mini", "gpt-4.1", "claude-3.5-haiku", "claude-sonnet-4")
    compared = (
        "--model",
        "meta-llama/Llama-3.1-70B-Instruct",
        *workload,
        *(word for api in apis for word in ("--compare", api)),
    )
    found = {
        "python -c pass": Command([python, "-c", "pass"], env),
        "--version": homeport("--version"),
        "--help": homeport("--help"),
        "plan --help": homeport("plan", "--help"),
        "models list --help": homeport("models", "list", "--help"),
        "status --help": homeport("status", "--help"),
        "preview --help": homeport("preview", "--help"),
        "size": homeport(
            "size", "--model", fleet.MODELS[0], "--gpu", "H100-SXM-80GB", "--max-model-len", "8192"
        ),
        "size, 1 case": homeport("size", "--cases", case_file(1)),
        "size, 1,000 cases": homeport("size", "--cases", case_file(1000)),
        "cost": homeport("cost", *compared),
        "cost --report": homeport("cost", *compared, "--report", str(work / "bill.html")),
    }
    for count in RENDERED:
        spec = _file(work, f"fleet-{count}.yaml", fleet.spec(count))
        found[f"render {count}"] = homeport("render", "-q", "-f", spec, "-o", "-")
    if helm_path is not None:
        found["helm --help"] = Command([str(helm_path), "--help"], env)
        for count in AGAINST_HELM:
            values = _file(work, f"values-{count}.yaml", helm.values(count))
            found[f"helm {count}"] = Command(
                [str(helm_path), "template", "fleet", str(helm.CHART), "-f", values], env
            )
    return found


def pulumi_commands(installed: Installed, work: Path) -> dict[str, Command] | str:
    """The two Pulumi programs, run by this interpreter (which has pulumi), or the reason why there are none."""
    from importlib.util import find_spec

    missing = [name for name in ("pulumi", "pulumi_kubernetes") if find_spec(name) is None]
    if missing:
        return f"{' and '.join(missing)} is not installed here"
    documents = _file(work, "objects.jsonl", _objects(installed, work, 25))
    # This environment may lack bytecode: it is kept for this run, and made by the round that is not counted.
    env = environment(installed.packages) | {"PYTHONPYCACHEPREFIX": str(work / "bytecode")}
    del env["PYTHONDONTWRITEBYTECODE"]
    program = str(HERE / "pulumi_program.py")
    return {
        f"pulumi {way}": Command([sys.executable, program, way, documents], env)
        for way in ("untyped", "typed")
    }


def preview_commands(packages: Path, work: Path, models: int = 50) -> dict[str, Command] | str:
    """A preview of so many models on Pulumi's engine, by homeport and of the same objects read; or the reason why not.

    Where the Kubernetes provider's plugin is not installed, its test double stands in: the same for both, so that the
    quotient means the same. There is no cluster, so the provider answers at once and homeport's share is at its largest.
    """
    import shutil

    if shutil.which("pulumi") is None:
        return "the pulumi program is not on PATH"
    env = environment(packages) | {
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "KUBECONFIG": str(work / "no-kubeconfig"),
        "PYTHONPYCACHEPREFIX": str(work / "bytecode"),
    }
    del env["PYTHONDONTWRITEBYTECODE"]
    if shutil.which("pulumi-resource-kubernetes") is None:
        double = Path(_file(work, "pulumi-resource-kubernetes", DOUBLE.format(HERE.parent, sys.executable)))
        double.chmod(0o755)
        env |= {"PATH": f"{work}:{env['PATH']}", "PULUMI_HOME": str(work / "pulumi")}
    program, spec = str(HERE / "pulumi_preview.py"), _file(work, "engine.yaml", fleet.spec(models))
    objects = str(work / "engine.jsonl")
    subprocess.run([sys.executable, program, "objects", spec, objects], env=env, check=True)
    return {
        f"engine {way}": Command([sys.executable, program, way, spec, objects, str(work / "state")], env)
        for way in ("ours", "dicts")
    }


def _objects(installed: Installed, work: Path, models: int) -> str:
    """Rendered objects of so many models, eight of each, one JSON object a line."""
    import json

    import yaml

    spec = _file(work, "objects.yaml", fleet.spec(models))
    done = subprocess.run(
        [str(installed.homeport), "render", "-q", "-f", spec, "-o", "-"],
        env={**environment(), "XDG_CACHE_HOME": str(work / "cache")},
        capture_output=True,
        check=True,
    )
    found = [d for d in yaml.safe_load_all(done.stdout) if d["kind"] != "Namespace"]
    return "".join(json.dumps(d) + "\n" for d in found[: models * 8])


def inside(installed: Installed, work: Path) -> dict[str, float]:
    """What is measured inside a process: seconds for the grid, milliseconds for a distinct plan (medians)."""
    from statistics import median

    specs = work / "inside"
    specs.mkdir()
    for number, model in enumerate(fleet.ALONE):
        _file(specs, f"grid-{number:02}.yaml", fleet.one(model, "generic", number))
    for number in range(fleet.WORKLOADS + 1):
        _file(specs, f"distinct-{number:02}.yaml", fleet.one(fleet.MODELS[number % 4], "gke", number))
    medians = {}
    for task in ("grid", "distinct"):
        done = subprocess.run(
            [str(installed.python), str(HERE / "inside.py"), task, str(specs)],
            env=environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        medians[task] = median(float(line) for line in done.stdout.split())
    return {"grid": medians["grid"] / 1000, "distinct": medians["distinct"]}


def _file(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text)
    return str(path)
