"""Run the commands of the tutorials and how-tos, and compare what they print with what the pages show.

    python scripts/documents.py [--check] [PAGE ...]

Without `--check`, shown lines that are stale are replaced with the lines of the output that are most like them. In a page

- a block ```` ```sh ```` is run in an empty folder that the page's blocks share, and has to succeed; with
  `<!-- exit: 2 -->` before it, it has to exit with that code;
- a block after `<!-- output -->` shows lines of the last run's output, in their order; a line `…` stands for any lines,
  and a line that ends with `…` for what begins like it;
- a block after `<!-- lines of PATH -->` shows lines of a file in that folder in the same way;
- a block after `<!-- file: PATH -->` is written to that file;
- any other block is for the reader: `console` for what needs a cluster or a network.
"""

import argparse
import difflib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("tutorials", "how-to")
ELLIPSIS = "…"
ALIKE = 0.6
BLOCK = re.compile(
    r"(?:<!-- (?P<mark>[^>]*?) -->\n)?(?P<open>```(?P<language>[a-z]*)\n)(?P<body>.*?)^```$", re.M | re.S
)


class Stale(NamedTuple):
    """A shown line that the output does not have. `instead` is the line most like it, "" where none is."""

    page: str
    line: str
    instead: str


class Failed(Exception):  # noqa: N818 - says what became of a command
    """A block exited with another code than it should."""


def pages() -> list[Path]:
    """Return the tutorials and how-tos."""
    return sorted(path for folder in FOLDERS for path in (ROOT / "docs" / folder).glob("*.md"))


def check(page: Path) -> tuple[str, list[Stale]]:
    """Run a page's blocks; return the page as it should be, and the lines that are stale.

    Raises Failed where a block exits with another code than it should.
    """
    text = page.read_text("utf-8")
    found: list[Stale] = []
    pieces: list[str] = []
    end = 0
    output = ""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        work = root / "work"
        work.mkdir()
        environment = _environment(root)
        for block in BLOCK.finditer(text):
            mark, body = block["mark"] or "", block["body"]
            name, _, value = mark.partition(": ")
            if block["language"] == "sh":
                output = _run(page.name, body, work, environment, int(value) if name == "exit" else 0)
            elif name == "file":
                path = work / value
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(body, "utf-8")
            elif mark == "output" or mark.startswith("lines of "):
                actual = (
                    output if mark == "output" else (work / mark.removeprefix("lines of ")).read_text("utf-8")
                )
                lines = list(_compared(page.name, body, actual, found))
                pieces += [text[end : block.start("body")], "".join(f"{line}\n" for line in lines)]
                end = block.end("body")
    return "".join([*pieces, text[end:]]), found


def _compared(page: str, body: str, actual: str, found: list[Stale]) -> Iterator[str]:
    """Yield the lines that a block should show; add those that are stale to `found`."""
    lines = actual.splitlines()
    start = 0
    for line in body.splitlines():
        if line.strip() in ("", ELLIPSIS):
            yield line
            continue
        at = next((i for i in range(start, len(lines)) if _same(line, lines[i])), None)
        if at is not None:
            start = at + 1
            yield line
            continue
        masked = [re.sub(r"\d", "0", text) for text in lines[start:]]
        close = difflib.get_close_matches(re.sub(r"\d", "0", line), masked, n=1, cutoff=ALIKE)
        instead = ""
        if close:
            at = start + masked.index(close[0])
            instead, start = lines[at].rstrip(), at + 1
            if line.endswith(ELLIPSIS):
                instead = instead[: len(line) - 1].rstrip() + ELLIPSIS
        found.append(Stale(page, line, instead))
        yield instead or line


def _same(shown: str, actual: str) -> bool:
    if shown.endswith(ELLIPSIS):
        return actual.startswith(shown.removesuffix(ELLIPSIS).rstrip())
    return actual.rstrip() == shown.rstrip()


def _run(page: str, script: str, work: Path, environment: dict[str, str], expected: int) -> str:
    ran = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", script],
        cwd=work,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        encoding="utf-8",
    )
    if ran.returncode != expected:
        raise Failed(f"{page}: exit code {ran.returncode} instead of {expected} of\n{script}\n{ran.stdout}")
    return ran.stdout


def _environment(root: Path) -> dict[str, str]:
    """Return what a new user's shell has: `homeport` on the PATH, an empty home, and here no network."""
    programs = root / "bin"
    programs.mkdir()
    program = programs / "homeport"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m homeport "$@"\n', "utf-8")
    program.chmod(0o755)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HOMEPORT_", "HF_"))}
    return kept | {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(root),
        "HF_HUB_OFFLINE": "1",
        "NO_COLOR": "1",
        "PYTHONUNBUFFERED": "1",  # stdout and stderr in the order in which they are written
    }


def main() -> int:
    """Check or rewrite; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a page is stale")
    parser.add_argument("pages", nargs="*", type=Path, metavar="PAGE")
    given = parser.parse_args()
    lost = False
    for page in given.pages or pages():
        text, found = check(page)
        for stale in found:
            lost = lost or given.check or not stale.instead
            print(f"{stale.page}\n- {stale.line}\n+ {stale.instead or '(no line is like it)'}")
        if found and not given.check:
            page.write_text(text, "utf-8")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
