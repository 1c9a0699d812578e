"""Names in specs and prices may be anything: on the page they are text, and nothing runs."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from homeport.commands.main import run
from homeport.reports import svg
from tests.reports.test_page import Tree

EVIL = "<script>alert(1)</script>&\"'<svg onload=x>"
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "num_hidden_layers": 32,
    "vocab_size": 128256,
    "max_position_embeddings": 8192,
    "torch_dtype": "bfloat16",
}


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """The report of a model, an API and a price whose names are markup."""
    folder = tmp_path / "<script>alert(1)<" / "script>"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    spec = {
        "version": 1,
        "name": "hostile",
        "target": {"platform": "gke"},
        "compare": [EVIL, "gpt-4.1"],
        "costs": {
            "api_prices": [{"model": EVIL, "input_usd_per_mtok": 3, "output_usd_per_mtok": 15}],
        },
        "models": [
            {
                "name": "assistant",
                "model": str(folder / "config.json"),
                "workload": {"requests_per_day": 50000, "input_tokens": 1000, "output_tokens": 200},
            }
        ],
    }
    file = tmp_path / "spec.json"
    file.write_text(json.dumps(spec), encoding="utf-8")
    page = tmp_path / "out.html"
    assert run(["cost", "-q", "-f", str(file), "--report", str(page)]) == 0
    return page


def test_markup_in_names_stays_text(hostile: Path) -> None:
    tree = Tree(hostile.read_text(encoding="utf-8"))
    assert EVIL in "".join(tree.texts)
    assert "<script>alert(1)<" in "".join(tree.texts)
    assert tree.all("script") == []
    assert not [key for _, attributes in tree.tags for key in attributes if key.startswith("on")]


def test_markup_in_a_chart_stays_text() -> None:
    drawn = svg.text(EVIL, 0.5, 10, style='x" onload="y') + svg.tag("rect", class_=EVIL)
    tree = Tree(drawn)
    assert tree.texts == [EVIL]
    assert [tag for tag, _ in tree.tags] == ["text", "rect"]
    assert tree.tags[1][1]["class"] == EVIL


@pytest.mark.parametrize("name", ["support", "fleet", "split"])
def test_no_text_is_escaped_twice(name: str, made: Callable[[str], Path]) -> None:
    assert not re.search(r"&amp;(amp|lt|gt|quot|#\d+);", made(name).read_text(encoding="utf-8"))
