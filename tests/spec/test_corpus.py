"""The corpus: specs by file name, `NAME.happy.yaml` and `NAME.error.REASON.yaml`.

An error's whole message stands beside it (`.txt`): adding a case is adding a file and running the test with
HOMEPORT_UPDATE_GOLDEN=1, then reading what it wrote as a user would. `plan.error.REASON.yaml` are well-formed and fail
in planning; all others fail in reading.
"""

import os
from pathlib import Path

import pytest

from homeport.errors import SpecError
from homeport.spec.load import load
from homeport.spec.problems import describe_all
from homeport.spec.source import Source

CORPUS = Path(__file__).parent.parent / "corpus"
HAPPY = sorted([*CORPUS.glob("*.happy.yaml"), *(CORPUS.parent.parent / "examples").glob("*.yaml")])
ERRORS = sorted(CORPUS.glob("*.error.*.yaml"))


def refused(path: Path) -> tuple[SpecError, Source | None]:
    """The error of a spec: of reading it, or (`plan.`) of planning it, with the source that it points into."""
    try:
        loaded = load(path.read_bytes(), path.name)
    except SpecError as error:
        return error, None
    assert path.name.startswith("plan."), "nothing is wrong with it as a spec"
    from homeport.planning.plan import Planner

    with pytest.raises(SpecError) as caught:
        Planner(CORPUS).plan(loaded.spec)
    return caught.value, loaded.source


def messages(path: Path) -> str:
    return "\n".join(describe_all(*refused(path))) + "\n"


@pytest.mark.parametrize("path", HAPPY, ids=lambda path: path.name)
def test_a_happy_spec_loads(path: Path) -> None:
    assert load(path.read_bytes(), path.name).spec.models


@pytest.mark.parametrize("path", ERRORS, ids=lambda path: path.name)
def test_an_error_is_told_in_these_words(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # what a message says must not depend on the network
    golden = path.with_suffix(".txt")
    text = messages(path)
    if os.environ.get("HOMEPORT_UPDATE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_the_corpus_is_whole() -> None:
    assert len(ERRORS) >= 60
    assert len(HAPPY) >= 5
    names = {path.with_suffix("").name for path in CORPUS.glob("*.yaml")}
    assert {path.stem for path in CORPUS.glob("*.txt")} <= names
