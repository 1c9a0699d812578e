"""Write the pages of docs/reference that are made from the code; `--check` only says which are stale.

python scripts/reference.py [--check]
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts import reference_catalog, reference_commands, reference_measurements, reference_schemas  # noqa: E402 - the path comes first

FOLDER = ROOT / "docs" / "reference"
PAGES: dict[str, Callable[[], str]] = {
    "commands.md": reference_commands.page,
    "spec.md": reference_schemas.spec_page,
    "measurements.md": reference_measurements.page,
    "json.md": reference_schemas.json_page,
    "targets-and-engines.md": reference_catalog.targets_page,
    "catalog.md": reference_catalog.catalog_page,
}


def stale() -> list[str]:
    """Return the names of the pages that differ from what the code says."""
    return [
        name
        for name, page in PAGES.items()
        if not (FOLDER / name).is_file() or (FOLDER / name).read_text("utf-8") != page()
    ]


def main() -> int:
    """Write or check; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a page is stale")
    check = parser.parse_args().check
    found = stale()
    for name in found:
        print(f"{'stale' if check else 'wrote'} docs/reference/{name}")
        if not check:
            (FOLDER / name).write_text(PAGES[name](), "utf-8")
    return 1 if found and check else 0


if __name__ == "__main__":
    sys.exit(main())
