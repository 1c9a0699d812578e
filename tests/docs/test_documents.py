"""The pages hold what they promise: their commands run, their outputs are still printed, their links lead somewhere."""

import re
from pathlib import Path

import pytest

from scripts.documents import BLOCK, ROOT, Failed, check, pages

PAGES = pages()
MARKDOWN = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```$", re.M | re.S)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_run_and_print_what_is_shown(page: Path) -> None:
    _, stale = check(page)
    assert not stale, "run `python scripts/documents.py`, and read what it changes"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_runs_something(page: Path) -> None:
    assert any(block["language"] == "sh" for block in BLOCK.finditer(page.read_text("utf-8")))


@pytest.mark.parametrize("page", MARKDOWN, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text("utf-8"))
    for link in LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        where, _, anchor = link.partition("#")
        target = (page.parent / where).resolve() if where else page
        assert target.exists(), f"{link}: no such file"
        if anchor:
            assert anchor in anchors(target), f"{link}: no such heading"


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    found: dict[str, int] = {}
    names = set()
    for heading in re.findall(r"^#+ +(.+?) *#*$", FENCE.sub("", page.read_text("utf-8")), re.M):
        text = LINK.sub(lambda m: m[0][1 : m[0].index("]")], heading)
        name = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        found[name] = found.get(name, -1) + 1
        names.add(f"{name}-{found[name]}" if found[name] else name)
    return names


def test_every_page_is_in_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {
        (index.parent / link.partition("#")[0]).resolve() for link in LINK.findall(index.read_text("utf-8"))
    }
    for page in (ROOT / "docs").rglob("*.md"):
        in_a_listed_folder = page.parent in linked
        assert page == index or page in linked or in_a_listed_folder, f"{page.name} is not in docs/README.md"


PAGE = """
<!-- file: name.txt -->
```text
7 birds
```

```sh
cat name.txt; echo and 3 fish
```

<!-- output -->
```text
{shown}
```
"""


def page_of(tmp_path: Path, text: str) -> Path:
    page = tmp_path / "page.md"
    page.write_text(text, "utf-8")
    return page


@pytest.mark.parametrize("shown", ["7 birds\nand 3 fish", "…\nand 3 fish", "7 bi…"])
def test_lines_that_are_printed_pass(tmp_path: Path, shown: str) -> None:
    text, stale = check(page_of(tmp_path, PAGE.format(shown=shown)))
    assert (text, stale) == (PAGE.format(shown=shown), [])


@pytest.mark.parametrize("shown", ["8 birds\nand 3 fish", "and 3 fish\n7 birds"])
def test_lines_that_are_not_printed_are_stale(tmp_path: Path, shown: str) -> None:
    assert check(page_of(tmp_path, PAGE.format(shown=shown)))[1]


def test_stale_lines_are_replaced_with_the_most_alike(tmp_path: Path) -> None:
    text, _ = check(page_of(tmp_path, PAGE.format(shown="8 birds\nand 4 f…")))
    assert text == PAGE.format(shown="7 birds\nand 3 f…")


def test_command_that_fails_is_found(tmp_path: Path) -> None:
    with pytest.raises(Failed):
        check(page_of(tmp_path, "```sh\nfalse\ntrue\n```\n"))
    check(page_of(tmp_path, "<!-- exit: 1 -->\n```sh\nfalse\n```\n"))
