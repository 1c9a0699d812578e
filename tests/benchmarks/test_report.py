"""What the benchmarks compare, and what they say where something is missing. Nothing here is timed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import fleet, helm, report
from benchmarks.goals import GOALS
from benchmarks.measure import Command, FailedError, Took, environment, in_turns, once
from homeport.manifests.render import documents
from homeport.planning.plan import Planner
from homeport.spec.load import load


def test_a_fleet_has_twenty_different_models_and_eight_objects_or_more_each() -> None:
    spec = load(fleet.spec(40), "fleet.yaml").spec
    plan = Planner(Path()).plan(spec)
    different = {tuple(str(getattr(m, f)) for f in ("model", "workload")) for m in spec.models}
    made = [d for d in documents(plan) if d.model == "model-0"]
    chart = {
        kind
        for template in (helm.CHART / "templates").glob("*.yaml")
        for kind in re.findall(r"^kind: (\w+)$", template.read_text(), re.M)
    }
    assert len(different) == fleet.WORKLOADS
    assert {d.kind for d in made} == chart
    assert len(chart) == 8


def test_rows_without_helm_say_why_and_the_others_stand() -> None:
    took = {name: Took(0.1, 0.1, 20.0, 9) for name in ("python -c pass", "--version", "cost", "render 1")}
    rows = report.rows(took, {"grid": 0.5}, {"helm": "there is no Go"})
    by_goal = {row["goal"]: row for row in rows}
    assert len(rows) == len(GOALS)
    assert by_goal["`--version` / `python -c pass`"]["met"] == "moonshot"
    assert by_goal["plan one model over the whole catalog grid, after start-up"]["met"] == "bar"
    without = by_goal["`cost` with four APIs to compare with"]
    assert (without["measured"], without["met"]) == (0.1, "bar")
    render = by_goal["render 1 model / helm template, 1 model"]
    assert (render["measured"], render["met"], render["reason"]) == (None, "-", "there is no Go")
    size = next(row for row in rows if row["goal"].startswith("first `size`"))
    assert (size["measured"], size["reason"]) == (None, "not measured")


def test_a_command_that_fails_is_no_figure() -> None:
    bad = Command([sys.executable, "-c", "import sys; sys.exit('broken')"], environment())
    with pytest.raises(FailedError, match="broken"):
        once(bad)


def test_a_process_is_measured_by_what_it_used() -> None:
    burns = Command(
        [sys.executable, "-S", "-c", "sum(range(3_000_000)); x = bytearray(80 * 2**20)"], environment()
    )
    idle = Command([sys.executable, "-S", "-c", "pass"], environment())
    took = in_turns({"burns": burns, "idle": idle}, 3, lambda _: None)
    assert took["burns"].cpu_s > took["idle"].cpu_s
    assert took["burns"].peak_mib - took["idle"].peak_mib > 70
    assert took["idle"].peak_mib < 20


def test_too_few_rounds_are_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--rounds", "3"], capture_output=True, text=True, check=False,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 2
    assert "fewer than 9" in done.stderr
