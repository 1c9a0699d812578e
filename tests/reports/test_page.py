"""What stands on the page: the bill's own figures, in valid HTML that needs nothing else."""

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from homeport.commands.main import run
from tests.commands.shell import ROOT, homeport
from tests.reports.conftest import SPECS

VOID = {"meta", "link", "br", "img", "input", "hr"}
NAMES = sorted(SPECS)


class Tree(HTMLParser):
    """Reads a page strictly: what is opened is closed in turn, and ids come once."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"an attribute twice in <{tag}>"
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def read(page: Path) -> Tree:
    return Tree(page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_it_is_well_formed_and_its_links_lead_somewhere(name: str, made: Callable[[str], Path]) -> None:
    tree = read(made(name))
    ids = [value for _, attributes in tree.tags if (value := attributes.get("id"))]
    assert len(ids) == len(set(ids))
    for link in tree.all("a"):
        assert str(link["href"]).removeprefix("#") in ids
    for svg in tree.all("svg"):
        if svg.get("role") == "img":
            assert all(name in ids for name in str(svg["aria-labelledby"]).split())
        else:  # a swatch of a legend, or the field inside a chart
            assert svg.get("aria-hidden") == "true" or svg.get("class") == "field"


@pytest.mark.parametrize("name", NAMES)
def test_it_asks_for_nothing_and_runs_nothing(name: str, made: Callable[[str], Path]) -> None:
    text = made(name).read_text(encoding="utf-8")
    tree = Tree(text)
    assert {tag for tag, _ in tree.tags} & {"script", "img", "iframe", "object", "embed", "form"} == set()
    loads = [
        v for _, attributes in tree.tags for k, v in attributes.items() if k in ("src", "srcset", "data")
    ]
    assert loads == []
    assert [link["href"] for link in tree.all("link")] == ["data:,"]
    assert re.findall(r"url\(|@import|@font-face", text) == []
    assert not [k for _, attributes in tree.tags for k in attributes if k.startswith("on")]


def bill_of(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    spec = folder / "spec.yaml"
    spec.write_text(SPECS[name], encoding="utf-8")
    assert run(["cost", "-q", "-f", str(spec), "--sensitivity", "-o", "json"]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


@pytest.mark.parametrize("name", ["support", "fleet"])
def test_the_figures_are_those_of_the_bill(
    name: str, made: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bill = bill_of(name, tmp_path, capsys)
    text = read(made(name)).text
    own = bill["self_hosted"]
    for line in own["lines"]:
        assert line["item"] in text
        if line["usd_per_month"] is not None:
            assert f"{line['usd_per_month']:,.2f}" in text
    assert f"{own['usd_per_month']:,.2f}" in text
    for api in bill["api"]:
        assert f"{api['usd_per_month']:,.2f}" in text
        assert api["as_of"] in text
    for found in bill["breakeven"]:
        if found["requests_per_day"] is not None:
            assert f"{found['requests_per_day']:,}" in text
        else:
            assert found["reason"] in text
    for against in bill["sensitivity"]:
        for swing in against["swings"]:
            assert swing["figure"] in text
            for side in ("lower", "higher"):
                if swing[side] is not None:
                    assert f"{abs(swing[side]):,.2f}" in text
    for made_of in bill["assumptions"]:
        assert made_of[1:] in text


def test_unknown_lines_are_named_and_make_the_total_at_least(
    made: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = bill_of("support", tmp_path, capsys)["self_hosted"]
    assert own["at_least"]
    text = read(made("support")).text
    assert f"at least {own['usd_per_month']:,.2f}" in text
    unknown = text[text.rindex("What is not known?") : text.rindex("What is assumed?")]
    for line in own["lines"]:
        assert (line["item"] in unknown) == (line["usd_per_month"] is None)


def test_with_every_price_given_nothing_is_at_least(made: Callable[[str], Path]) -> None:
    text = read(made("fleet")).text
    assert "What is not known?" not in text
    assert "Own hosting a month at least" not in text


def test_every_price_has_its_source_and_date(made: Callable[[str], Path]) -> None:
    tree = read(made("support"))
    text = tree.text[tree.text.rindex("Where do the figures come from?") :]
    assert re.search(r"litellm \S+ wheel, 20\d\d-\d\d : prices of openai/gpt-4.1", text)
    assert re.search(r"20\d\d-\d\d-\d\d : price of 1 × a\d", text)


def test_each_question_is_answered(made: Callable[[str], Path]) -> None:
    tree = read(made("support"))
    wanted = (
        "What is in the bill?", "From which load on is own hosting cheaper?", "What moves the answer most?",
        "What fills the memory of one GPU?", "What else was considered?", "What would run, and where?",
        "What is assumed?", "What is not known?",
    )  # fmt: skip
    for question in wanted:
        assert question in tree.text
    charts = [svg for svg in tree.all("svg") if svg.get("role") == "img"]
    # totals, items, the curve, one tornado an API, memory
    assert len(charts) == 4 + 3
    assert len(tree.all("table")) >= len(charts) - 2  # the tornadoes share one


def test_the_chosen_option_and_the_losers_with_their_reasons(made: Callable[[str], Path]) -> None:
    text = read(made("support")).text
    options = text[text.rindex("What else was considered?") :]
    assert options.count("✔") == 1
    assert "the cheapest that holds the limits" in options
    assert "do not fit" in options or "no room" in options


def test_without_an_api_there_is_a_bill_and_no_comparison(made: Callable[[str], Path]) -> None:
    text = read(made("alone")).text
    assert "How does the cost grow with the load?" in text
    assert "What moves the answer most?" not in text


def test_a_simulated_model_shows_the_real_one(made: Callable[[str], Path]) -> None:
    text = read(made("simulated")).text
    assert "it is simulated" in text
    assert "What fills the memory of one GPU?" in text


def test_a_fleet_tells_models_that_are_alike_once(made: Callable[[str], Path]) -> None:
    text = read(made("fleet")).text
    assert "sorter and sorter-two: Qwen/Qwen3-8B" in text


def test_a_large_fleet_has_a_chart_that_can_be_read(made: Callable[[str], Path]) -> None:
    page = made("many").read_text(encoding="utf-8")
    chart = page[page.index('id="items-1-chart-1-title"') :]
    assert chart[: chart.index("</figure>")].count("<rect") <= 30
    text = read(made("many")).text
    assert "weights, a volume for each replica: no price" in text, "one for all deployments"
    assert "homeport plan --all lists every one" in text
    assert all(f"model-{i}" in text for i in range(24))


def test_a_split_is_shown_with_the_cheapest_marked(
    made: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hybrid = bill_of("split", tmp_path, capsys)["hybrid"]
    text = read(made("split")).text
    assert "Would a split of both be cheaper?" in text
    for split in hybrid["splits"]:
        assert split["name"] in text
    assert hybrid["cheapest"] is not None
    assert f"✔ {hybrid['cheapest']}" in text


def test_a_page_does_not_change_with_the_day(made: Callable[[str], Path]) -> None:
    assert "days ago" not in read(made("support")).text


def test_the_same_spec_gives_the_same_bytes(tmp_path: Path, support: Path) -> None:
    (tmp_path / "s.yaml").write_text(SPECS["support"], encoding="utf-8")
    for seed in ("1", "77"):
        answer = homeport(
            "cost", "-f", "s.yaml", "--report", f"{seed}.html", cwd=tmp_path,
            env={"PYTHONHASHSEED": seed, "TZ": "Asia/Tokyo", "LC_ALL": "C"},
        )  # fmt: skip
        assert answer.returncode == 0, answer.stderr
        assert (tmp_path / f"{seed}.html").read_bytes() == support.read_bytes()


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_example_has_a_report(example: Path, tmp_path: Path) -> None:
    page = tmp_path / "out.html"
    assert run(["cost", "-q", "-f", str(example), "--compare", "gpt-4.1", "--report", str(page)]) == 0
    tree = read(page)
    assert "What would run, and where?" in tree.text
    assert "None" not in tree.text.replace("None,", "")


def test_where_own_hosting_has_no_price_it_is_unknown_and_not_compared(tmp_path: Path) -> None:
    page = tmp_path / "out.html"
    local = ROOT / "examples" / "local.yaml"
    assert run(["cost", "-q", "-f", str(local), "--compare", "gpt-4.1", "--report", str(page)]) == 0
    text = read(page).text
    assert "Own hosting a month unknown" in text
    assert "the month of own hosting is unknown." in text
    assert "There is none to be found: the price of own nodes is unknown." in text
    assert "What moves the answer most?" not in text
    assert "$0" not in text.replace("$0.", "")


def test_the_guides_method_has_a_report(tmp_path: Path) -> None:
    spec, page = tmp_path / "s.yaml", tmp_path / "out.html"
    spec.write_text(SPECS["support"], encoding="utf-8")
    assert run(["cost", "-q", "-f", str(spec), "--method", "guide", "--report", str(page)]) == 0
    text = read(page).text
    assert "by the guide's method" in text
    assert "the guide's formulas" in text.lower()
