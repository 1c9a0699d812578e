"""What is measured inside one process, after its start: run by the installed homeport's interpreter.

`python inside.py grid|distinct FOLDER` prints milliseconds, one line for each measurement.
"""

import gc
import sys
import time
from pathlib import Path

from homeport.planning.plan import Planner
from homeport.spec.load import load

# As in the command: nothing is collected in a short run.
gc.disable()


def timed(planner: Planner, text: str) -> float:
    """Milliseconds of planning one spec; reading it is not counted."""
    spec = load(text, "benchmark").spec
    before = time.perf_counter()
    planner.plan(spec)
    return (time.perf_counter() - before) * 1000


def main(task: str, folder: Path) -> None:
    """Warm up with one plan, then time each of the specs of the folder."""
    texts = [path.read_text() for path in sorted(folder.glob(f"{task}-*.yaml"))]
    here = Path()
    explore = task == "grid"
    timed(Planner(here, explore=explore), texts[0])
    if explore:
        for text in texts[1:]:
            print(timed(Planner(here, explore=True), text))
        return
    planner = Planner(here)
    for text in texts[1:]:
        print(timed(planner, text))


main(sys.argv[1], Path(sys.argv[2]))
