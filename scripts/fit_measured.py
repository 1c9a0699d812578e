"""Write the residuals of corrections by measured runs, from published measurements left out one by one.

    uv run python scripts/fit_measured.py

Run it again after scripts/fit_throughput.py: the predictions that are corrected are of its folds.
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.sizing.measured_accuracy import quantiles, residuals  # noqa: E402 - the path comes first

OUT = ROOT / "cli" / "homeport" / "sizing" / "data" / "measured_residuals.json"


def main() -> None:
    """Write the file."""
    runs = {f"{basis} {name}": len(found) for (basis, name), found in sorted(residuals().items())}
    made = {
        "source": "quantiles of log(measured / corrected): each run of tests/data/throughput_measurements.json.gz "
        "corrected by the others of its configuration (scripts/fit_measured.py)",
        "runs": runs,
        "residuals": quantiles(),
    }
    OUT.write_text(json.dumps(made, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
