"""The accuracy page says what the code does today, and no figure on it has become worse than the record holds."""

import importlib.util
import json
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@cache
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("accuracy", ROOT / "scripts/accuracy.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["accuracy"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def figures() -> list[Any]:
    found: list[Any] = script().all_figures()
    return found


def test_no_figure_is_worse_than_the_record(figures: list[Any]) -> None:
    assert script().worse(figures, json.loads(script().RECORD.read_bytes())) == []


def test_the_page_is_what_the_script_writes(figures: list[Any]) -> None:
    assert script().DOCUMENT.read_text() == script().document(figures), "run python scripts/accuracy.py"


def test_every_bar_is_met_or_its_miss_is_on_the_page(figures: list[Any]) -> None:
    page = script().DOCUMENT.read_text()
    for figure in figures:
        if figure.met is False:
            assert f"- {figure.title} (left out: {figure.left_out})" in page


@pytest.mark.parametrize("change", [0.01, -1])
def test_the_guard_sees_a_worse_figure_and_a_lost_record(figures: list[Any], change: float) -> None:
    held = script().record(figures)
    assert script().worse(figures, held) == []
    if change > 0:
        held["memory.weights.median"]["value"] -= change
        held["startup.inside"]["value"] += change
    else:
        held["memory.weights.median"]["count"] += 1
        held["gone"] = {"value": 0.0, "count": 1, "at_least": False}
    assert len(script().worse(figures, held)) == 2
