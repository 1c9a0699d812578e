"""`python -m benchmarks`: measure, and print how far each goal of speed is met."""

import argparse
import os
import platform
import sys
import tempfile
from pathlib import Path

from benchmarks import helm, report
from benchmarks.commands import commands, inside, preview_commands, pulumi_commands
from benchmarks.install import install
from benchmarks.measure import in_turns

FEWEST_ROUNDS = 9


def main() -> None:
    """Measure everything once, in a temporary folder, and print the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "-o",
        "--output",
        choices=("table", "markdown", "json"),
        default="table",
        help="how the report is printed",
    )
    parser.add_argument(
        "--rounds", type=int, default=FEWEST_ROUNDS, help=f"runs of each command, {FEWEST_ROUNDS} or more"
    )
    args = parser.parse_args()
    if args.rounds < FEWEST_ROUNDS:
        parser.error(
            f"--rounds: {args.rounds} is fewer than {FEWEST_ROUNDS}, and a median of few says little"
        )
    missing: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="homeport-benchmarks-") as name:
        work = Path(name)
        progress("building the wheel and installing it")
        installed = install(work)
        found_helm = helm.find(progress)
        if isinstance(found_helm, str):
            missing["helm"] = found_helm
            progress(f"the rows against helm are left out: {found_helm}")
        runs = commands(installed, work, found_helm if isinstance(found_helm, Path) else None)
        programs = pulumi_commands(installed, work)
        if isinstance(programs, str):
            missing["pulumi"] = programs
            progress(f"the Pulumi row is left out: {programs}")
        else:
            runs |= programs
        previews = preview_commands(installed.packages, work)
        if isinstance(previews, str):
            missing["engine"] = previews
            progress(f"the row of Pulumi's engine is left out: {previews}")
        else:
            runs |= previews
        busy = os.getloadavg()[0]
        took = in_turns(runs, args.rounds, progress)
        machine = (
            f"{platform.machine()}, {os.cpu_count()} cores, CPython {platform.python_version()}; processes that wanted to run "
            f"(load average): {busy:.1f} before, {os.getloadavg()[0]:.1f} after"
        )
        progress("inside one process")
        within = inside(installed, work)
    within |= {"install": installed.mib, "install with bytecode": installed.mib_with_bytecode}
    rows = report.rows(took, within, missing)
    if args.output == "json":
        print(report.as_json(rows, took, within, machine))
    else:
        print(machine + "\n")
        print((report.as_markdown if args.output == "markdown" else report.as_table)(rows, took))


def progress(text: str) -> None:
    """Say on stderr what goes on."""
    print(text, file=sys.stderr, flush=True)


main()
