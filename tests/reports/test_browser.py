"""The page in a real browser: on a phone, in dark mode, printed, and as a screen reader is told it."""

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.reports.browser import PROGRAM, Browser
from tests.reports.conftest import SPECS

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(PROGRAM is None, reason="no Chromium on PATH (Debian: apt-get install chromium)"),
]

NAMES = sorted(SPECS)
PHONE, DESK = 360, 1000

CONTRASTS = """
(() => {
  const rgb = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ratio = (a, b) => {
    const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
    return (x + 0.05) / (y + 0.05);
  };
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const color = rgb(getComputedStyle(at).backgroundColor);
      if (color.length < 4 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || ["TITLE", "title", "desc", "STYLE"].includes(element.tagName)) continue;
    const style = getComputedStyle(element);
    const ink = element.namespaceURI.endsWith("svg") ? style.fill : style.color;
    found.push(["text", walker.currentNode.data.trim().slice(0, 40), ratio(rgb(ink), behind(element))]);
  }
  for (const mark of document.querySelectorAll("figure rect, figure path, .legend rect, .legend path, circle")) {
    const style = getComputedStyle(mark);
    const paper = behind(mark);
    const inks = [style.fill, style.stroke].filter(ink => ink !== "none").map(rgb);
    found.push(["mark", mark.getAttribute("class"), Math.max(...inks.map(ink => ratio(ink, paper)))]);
  }
  return found;
})()
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as opened:
        yield opened


def test_the_browser_tells_of_requests_and_errors(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    page.write_text(
        '<!doctype html><img src="http://127.0.0.1:9/x.png"><script>console.error("no"); throw 1</script>'
    )
    browser.open(page)
    assert browser.requests() == ["http://127.0.0.1:9/x.png"]
    assert len(browser.complaints()) >= 2


@pytest.mark.parametrize("name", NAMES)
def test_it_loads_without_a_request_or_a_complaint(
    name: str, browser: Browser, made: Callable[[str], Path]
) -> None:
    browser.open(made(name))
    assert browser.run("document.readyState") == "complete"
    assert browser.requests() == []
    assert browser.complaints() == []
    assert browser.run("document.querySelectorAll('h2').length") >= 5


@pytest.mark.parametrize("width", [320, PHONE, 600, 700, DESK])
@pytest.mark.parametrize("name", NAMES)
def test_nothing_scrolls_sideways(
    name: str, width: int, browser: Browser, made: Callable[[str], Path]
) -> None:
    browser.open(made(name), width=width)
    browser.run("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert browser.run("document.documentElement.scrollWidth") <= width
    if width <= PHONE:  # a table may scroll in its own box on a desk, never on a phone
        wide = "[...document.querySelectorAll('.scroll')].filter(b => b.scrollWidth > b.clientWidth).length"
        assert browser.run(wide) == 0


@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("name", NAMES)
def test_words_of_charts_stay_on_the_page_and_apart(
    name: str, width: int, browser: Browser, made: Callable[[str], Path]
) -> None:
    browser.open(made(name), width=width)
    outside = browser.run(
        "[...document.querySelectorAll('figure text')].map(t => [t.textContent, t.getBoundingClientRect()])"
        f".filter(([_, b]) => b.left < 0 || b.right > {width}).map(([t]) => t)"
    )
    assert outside == []
    bars = browser.run(
        "[...document.querySelectorAll('#totals ~ figure text, #items ~ figure text')]"
        ".map(t => [t.textContent, t.getBoundingClientRect()]).map(([t, b]) => [t, b.left, b.right, b.top, b.bottom])"
    )
    for i, (one, left, right, top, bottom) in enumerate(bars):
        for other, left2, right2, top2, bottom2 in bars[i + 1 :]:
            apart = right <= left2 or right2 <= left or bottom <= top2 + 3 or bottom2 <= top + 3
            assert apart, f"{one!r} lies over {other!r}"


def test_letters_keep_their_size_on_a_phone(browser: Browser, support: Path) -> None:
    browser.open(support, width=PHONE)
    sizes = browser.run(
        "[...document.querySelectorAll('main p, main td, figure text')].map(e => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert min(sizes) >= 12
    scale = browser.run("[...document.querySelectorAll('figure text')].map(t => t.getScreenCTM().a)")
    assert set(scale) == {1}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["support", "split"])
def test_contrast(name: str, dark: bool, browser: Browser, made: Callable[[str], Path]) -> None:
    browser.open(made(name), dark=dark)
    browser.run("document.querySelectorAll('details').forEach(d => d.open = true)")
    paper = browser.run("getComputedStyle(document.body).backgroundColor")
    assert (sum(int(c) for c in re.findall(r"\d+", paper)) < 150) == dark
    found: list[tuple[str, str, float]] = browser.run(CONTRASTS)
    assert len(found) > 200
    poor = [(kind, what, ratio) for kind, what, ratio in found if ratio < (4.5 if kind == "text" else 3.0)]
    assert poor == []


@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("name", NAMES)
def test_what_a_screen_reader_is_told(
    name: str, width: int, browser: Browser, made: Callable[[str], Path]
) -> None:
    browser.open(made(name), width=width)
    browser.run("document.querySelectorAll('details').forEach(d => d.open = true)")
    told = browser.accessible()
    roles = [node["role"] for node in told]
    for landmark in ("banner", "navigation", "main", "contentinfo"):
        assert roles.count(landmark) == 1, landmark
    _headings_in_order([node["level"] for node in told if node["role"] == "heading"])
    assert browser.run("document.documentElement.lang") == "en"
    regions = [node for node in told if node["role"] == "region"]
    assert len(regions) == browser.run("document.querySelectorAll('h2').length")
    assert all(node["name"] for node in regions)
    images = [node for node in told if node["role"] in ("image", "img")]
    assert len(images) == browser.run("document.querySelectorAll('figure > svg').length")
    assert all(len(node["name"]) > 20 for node in images)
    tables = [node for node in told if node["role"] == "table"]
    assert len(tables) == browser.run("document.querySelectorAll('table').length")
    assert all(node["name"] for node in tables), "each has its caption"
    count = browser.run("document.querySelectorAll('table tr').length")
    assert roles.count("row") == count
    assert roles.count("columnheader") == browser.run("document.querySelectorAll('thead th').length")
    assert roles.count("rowheader") == browser.run("document.querySelectorAll('tbody th').length")
    assert all(node["name"] for node in told if node["role"] in ("link", "DisclosureTriangle"))


def _headings_in_order(levels: list[int]) -> None:
    assert levels[0] == 1
    assert levels.count(1) == 1
    for before, after in pairwise(levels):
        assert after <= before + 1, "no level is left out"


def test_every_link_and_fold_is_reached_by_the_keyboard(browser: Browser, support: Path) -> None:
    browser.open(support)
    browser.run("document.querySelectorAll('details').forEach(d => d.open = true)")
    count = browser.run("document.querySelectorAll('a, summary').length")
    reached: list[Any] = []
    for _ in range(count):
        for kind in ("keyDown", "keyUp"):
            browser.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        reached.append(browser.run("document.activeElement.tagName + document.activeElement.textContent"))
    assert [one for one in reached if not one.startswith(("A", "SUMMARY"))] == []
    outline = browser.run("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


@pytest.mark.parametrize("name", ["support", "split"])
def test_print_has_every_section_and_the_folded_figures(
    name: str, browser: Browser, made: Callable[[str], Path]
) -> None:
    browser.open(made(name), dark=True)
    headings = browser.run("[...document.querySelectorAll('h1, h2, h3')].map(h => h.textContent)")
    printed = browser.pdf()
    titles = {title.decode("latin-1") for title in re.findall(rb"/Title \((.*?)(?<!\\)\)", printed)}
    assert {heading for heading in headings if heading.isascii() and "(" not in heading} <= titles
    sizes = {tuple(float(n) for n in box.split()) for box in re.findall(rb"/MediaBox \[([^\]]*)\]", printed)}
    assert {(round(right), round(top)) for _, _, right, top in sizes} == {(595, 842)}, "A4"
    browser.open(made(name), dark=True, media="print")
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    hidden = browser.run(
        "[...document.querySelectorAll('main h2, main figure, .figures table')]"
        ".filter(e => !e.checkVisibility({contentVisibilityAuto: true})).length"
    )
    assert hidden == 0
    assert browser.run("document.querySelectorAll('.figures table').length") >= 3


@pytest.mark.parametrize(("width", "dark"), [(PHONE, False), (PHONE, True), (DESK, False), (DESK, True)])
def test_charts_are_drawn(width: int, dark: bool, browser: Browser, support: Path) -> None:
    browser.open(support, width=width, dark=dark)
    sizes = browser.run(
        "[...document.querySelectorAll('figure > svg')].map(s => s.getBoundingClientRect()).map(b => [b.width, b.height])"
    )
    assert len(sizes) >= 7
    assert all(across > width * 0.8 and down > 40 for across, down in sizes)
    own = browser.run("document.querySelector('figure .line.own').getBoundingClientRect().width")
    assert own > width * 0.8
    assert browser.screenshot().startswith(b"\x89PNG")
