"""The goals, each with its bar and its moonshot, and how its figure is made of what was measured."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from benchmarks.measure import Took

Processes = Mapping[str, Took]
"""What each command took, by its name in `commands.py`."""
Inside = Mapping[str, float]
"""What was measured inside a process or on the disk, by name."""

PLANNER_TO_PYTHON = 1040 / 12
"""llm-d-planner's plan took 1,040 ms where `python -c pass` took 12 (both published for one machine). It does not install
here, so its time on this machine is that many times this machine's `python -c pass`."""


class Goal(NamedTuple):
    """One line of the report. `figure` raises KeyError where something that it needs was not measured.

    `bar` and `moonshot` are the most that the figure may be; None: nobody has set one.
    """

    text: str
    unit: str
    bar: float | None
    moonshot: float | None
    figure: Callable[[Processes, Inside], float]


def _wall(of: str, against: str) -> Callable[[Processes, Inside], float]:
    return lambda took, _: took[of].wall_s / took[against].wall_s


def _inside(name: str) -> Callable[[Processes, Inside], float]:
    return lambda _, inside: inside[name]


HELPS = ("--help", "plan --help", "models list --help", "status --help", "preview --help")

GOALS = (
    Goal(
        "`--help`, the slowest of three levels / `helm --help`", "x", 1.5, 1.0,
        lambda took, _: max(took[name].wall_s for name in HELPS) / took["helm --help"].wall_s,
    ),
    Goal("`--version` / `python -c pass`", "x", 4, 1.6, _wall("--version", "python -c pass")),
    Goal("render 1 model / helm template, 1 model", "x", 3.5, 1.3, _wall("render 1", "helm 1")),
    Goal("render 100 / helm, 100", "x", 1.2, 0.9, _wall("render 100", "helm 100")),
    Goal("render 500, every object validated / helm, 500", "x", 0.6, 0.35, _wall("render 500", "helm 500")),
    Goal(
        "render 500 / helm, 500: peak memory", "x", 0.8, 0.55,
        lambda took, _: took["render 500"].peak_mib / took["helm 500"].peak_mib,
    ),
    Goal(
        "growth from 500 to 1,000 models", "ms a model", None, 0.15,
        lambda took, _: (took["render 1000"].wall_s - took["render 500"].wall_s) * 1000 / 500,
    ),
    Goal(
        "first `size` answer / llm-d-planner's plan (by its published ratio to `python -c pass`)", "x", 0.15, 0.06,
        lambda took, _: took["size"].wall_s / (took["python -c pass"].wall_s * PLANNER_TO_PYTHON),
    ),
    Goal("plan one model over the whole catalog grid, after start-up", "s", 1, 0.2, _inside("grid")),
    Goal("a distinct plan in a fleet, nothing pinned", "ms", 20, None, _inside("distinct")),
    Goal(
        "1,000 `size` cases, after start-up", "s", 1, None,
        lambda took, _: took["size, 1,000 cases"].wall_s - took["size, 1 case"].wall_s,
    ),
    Goal("`cost` with four APIs to compare with", "s", 1.5, None, lambda took, _: took["cost"].wall_s),
    Goal("the same with a report", "s", 1.5, None, lambda took, _: took["cost --report"].wall_s),
    Goal(
        "Pulumi program with 200 objects under mocks / the same with typed classes", "x", 0.6, 0.36,
        _wall("pulumi untyped", "pulumi typed"),
    ),
    Goal(
        "Pulumi preview of 50 models / of the same resources, read from a file", "x", 1.10, 1.05,
        _wall("engine ours", "engine dicts"),
    ),
    Goal("base install, without extras", "MB", 40, 25, _inside("install")),
)  # fmt: skip
