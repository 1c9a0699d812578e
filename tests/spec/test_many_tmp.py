"""What holds for every spec: no input crashes the loader, and what the fast path refuses the walker explains."""

import json
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homeport.errors import SpecError
from homeport.spec.compose import parser
from homeport.spec.load import Loaded, load
from homeport.spec.models import Spec
from homeport.spec.problems import describe_all
from homeport.spec.rewrite import rewritten
from homeport.spec.semantics import check_spec
from homeport.spec.source import Source, lines_of, position
from homeport.spec.starter import starter
from homeport.spec.walk import check

from .strategies import ANYTHING, SPECS, broken

SLOW = settings(
    max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


def outcome(text: str | bytes) -> Loaded | SpecError:
    """Load, and hold an error to its promises: it says something, in order, about places that exist."""
    try:
        return load(text, "x.yaml")
    except SpecError as raised:
        error = raised
    source = error.source
    assert error.problems
    assert isinstance(source, Source)
    places = [position(problem, source) for problem in error.problems]
    assert places == sorted(places)
    for line, column in places:
        assert 1 <= line <= len(lines_of(source.text))
        assert 1 <= column <= len(source.line(line)) + 1
    for message in describe_all(error):
        assert all(part.isprintable() for part in message.split("\n"))
    return error


@SLOW
@given(st.one_of(st.text(max_size=200), st.binary(max_size=200)))
def test_any_text_or_bytes_are_read_or_explained(text: str | bytes) -> None:
    outcome(text)


@SLOW
@given(
    st.lists(
        st.sampled_from(
            ["version: 1\n", "name: ", "a", "models:\n", "  - ", "    ", "model: ", "{", "}", "[", "]", ": ", "&x ", "*x ", "!t ",
             "<<: ", "- ", "\n", "\t", '"', "'", "|\n", ">-\n", "#", "---\n", "...\n", "? ", "1_000", "~", "%YAML 1.1\n", "é", ", "]
        ),
        max_size=25,
    ).map("".join)
)  # fmt: skip
def test_any_pieces_of_yaml_are_read_or_explained(text: str) -> None:
    outcome(text)


@SLOW
@given(st.one_of(broken(), ANYTHING))
def test_what_convert_refuses_the_walker_explains(value: Any) -> None:
    if not isinstance(value, dict):
        value = {"version": value}
    value = rewritten(value)
    try:
        spec = msgspec.convert(value, Spec)
    except msgspec.ValidationError:
        assert check(value, Source(name="x"))
    else:
        told = {(problem.path, problem.message) for problem in check(value, Source(name="x"))}
        unseen = {
            pair
            for pair in told
            if "cannot be seen" in pair[1] or "finite" in pair[1] or "no value" in pair[1]
        }
        assert told - unseen == {(problem.path, problem.message) for problem in check_spec(spec)}


@SLOW
@given(broken())
def test_a_broken_spec_as_a_file_is_explained_or_right(value: dict[str, Any]) -> None:
    result = outcome(json.dumps(value, ensure_ascii=False))
    if isinstance(result, Loaded):
        assert result.spec == msgspec.convert(rewritten(value), Spec)


@SLOW
@given(SPECS)
def test_a_good_spec_is_read_as_it_is_written(value: dict[str, Any]) -> None:
    expected = msgspec.convert(value, Spec)
    for text in (json.dumps(value, ensure_ascii=False), starter(value)):
        assert load(text, "x.yaml").spec == expected


@SLOW
@given(SPECS)
def test_both_parsers_read_the_same(value: dict[str, Any]) -> None:
    text = starter(value)
    expected = load(text, "x.yaml")
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(yaml, "CSafeLoader")
        assert isinstance(parser(text), yaml.SafeLoader)
        assert load(text, "x.yaml").spec == expected.spec
