"""The report: one line a goal, as a table for the terminal, as Markdown or as JSON."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.goals import GOALS, Goal, Inside, Processes

HEADERS = ("goal", "bar", "moonshot", "measured", "met", "by CPU time")


def rows(took: Processes, inside: Inside, missing: Mapping[str, str]) -> list[dict[str, Any]]:
    """One row a goal; `missing` says, by the first word of a command's name, why it was not measured."""
    found = []
    for goal in GOALS:
        try:
            figure: float | None = goal.figure(took, inside)
            by_cpu: float | None = goal.figure(_by_cpu(took), inside)
            why = None
        except KeyError as error:
            figure = by_cpu = None
            why = missing.get(str(error.args[0]).split()[0], "not measured")
        found.append(
            {
                "goal": goal.text,
                "unit": goal.unit,
                "bar": goal.bar,
                "moonshot": goal.moonshot,
                "measured": figure,
                "measured_by_cpu_time": by_cpu,
                "met": met(goal, figure),
                "reason": why,
            }
        )
    return found


def _by_cpu(took: Processes) -> Processes:
    """The same with CPU seconds in the place of wall seconds: steadier where the machine has other work."""
    return {name: t._replace(wall_s=t.cpu_s) for name, t in took.items()}


def met(goal: Goal, figure: float | None) -> str:
    """Say which of its limits a figure keeps: moonshot, bar, no, or a dash where there is nothing to compare."""
    if figure is None or (goal.bar is None and goal.moonshot is None):
        return "-"
    if goal.moonshot is not None and figure <= goal.moonshot:
        return "moonshot"
    if goal.bar is None:
        return "not the moonshot"
    return "bar" if figure <= goal.bar else "NO"


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    def number(value: float | None) -> str:
        return "-" if value is None else f"{value:.3g}"

    unit = "" if row["unit"] == "x" else f" {row['unit']}"
    measured = row["reason"] if row["measured"] is None else number(row["measured"]) + unit
    by_cpu = "" if row["measured_by_cpu_time"] == row["measured"] else number(row["measured_by_cpu_time"])
    return row["goal"], number(row["bar"]), number(row["moonshot"]), measured, row["met"], by_cpu


def as_markdown(found: list[dict[str, Any]], took: Processes) -> str:
    """Two Markdown tables: the goals, and what each process took."""
    lines = ["| " + " | ".join(HEADERS) + " |", "|---|---|---|---|---|---|"]
    lines += ["| " + " | ".join(_cells(row)) + " |" for row in found]
    lines += ["", "| process | wall ms | CPU ms | peak MiB |", "|---|---|---|---|"]
    lines += [
        f"| `{name}` | {t.wall_s * 1000:,.0f} | {t.cpu_s * 1000:,.0f} | {t.peak_mib:.0f} |"
        for name, t in took.items()
    ]
    return "\n".join(lines)


def as_table(found: list[dict[str, Any]], took: Processes) -> str:
    """The same, aligned for a terminal."""
    table: list[Sequence[str]] = [HEADERS, *(_cells(row) for row in found)]
    second: list[Sequence[str]] = [("process", "wall ms", "CPU ms", "peak MiB")]
    second.extend(
        (name, f"{t.wall_s * 1000:,.0f}", f"{t.cpu_s * 1000:,.0f}", f"{t.peak_mib:.0f}")
        for name, t in took.items()
    )
    return _aligned(table) + "\n\n" + _aligned(second)


def _aligned(table: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in table
    )


def as_json(found: list[dict[str, Any]], took: Processes, inside: Inside, machine: str) -> str:
    """Everything that was measured."""
    return json.dumps(
        {
            "schema_version": 1,
            "machine": machine,
            "goals": found,
            "processes": {name: t._asdict() for name, t in took.items()},
            "inside": dict(inside),
        },
        indent=2,
    )
