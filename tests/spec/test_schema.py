"""The JSON Schema says what the loader does, as far as one field goes."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from homeport.spec.compose import compose
from homeport.spec.schema import json_schema

ROOT = Path(__file__).parent.parent.parent
CORPUS = ROOT / "tests" / "corpus"
HAPPY = sorted([*CORPUS.glob("*.happy.yaml"), *(ROOT / "examples").glob("*.yaml")])
# what a JSON Schema cannot say: YAML itself, and fields against each other
UNSAID = ("file.", "yaml.", "meaning.", "plan.")
EXPRESSED = [path for path in sorted(CORPUS.glob("*.error.*.yaml")) if not path.name.startswith(UNSAID)]


def tree(path: Path) -> Any:
    return compose(path.read_bytes().decode("utf-8-sig")).value


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("path", HAPPY, ids=lambda path: path.name)
def test_a_good_spec_is_valid(path: Path, validator: Any) -> None:
    assert [error.message for error in validator.iter_errors(tree(path))] == []


@pytest.mark.parametrize("path", EXPRESSED, ids=lambda path: path.name)
def test_an_error_of_a_field_is_an_error_of_the_schema(path: Path, validator: Any) -> None:
    assert not validator.is_valid(tree(path))


def test_every_field_is_described_and_no_other_is_allowed() -> None:
    schema = json_schema()
    for part in (schema, *schema["$defs"].values()):
        assert part["additionalProperties"] is False
        assert all(field["description"] for field in part["properties"].values())


def test_auto_stands_where_a_field_may_be_left_out() -> None:
    schema = json_schema()
    for part in (schema, *schema["$defs"].values()):
        check = jsonschema.Draft202012Validator({**part, "required": [], "$defs": schema["$defs"]})
        for name in part["properties"]:
            optional = name not in part.get("required", [])
            assert not check.is_valid({name: None})
            assert check.is_valid({name: "auto"}) or not optional, name


def test_choices_keep_the_order_of_the_format() -> None:
    target = json_schema()["$defs"]["Target"]["properties"]
    assert target["platform"]["enum"] == ["auto", "kind", "minikube", "gke", "eks", "aks", "generic"]


def test_defaults_are_valid_values() -> None:
    schema = json_schema()
    for part in (schema, *schema["$defs"].values()):
        for field in part["properties"].values():
            if "default" in field:
                check = jsonschema.Draft202012Validator({**field, "$defs": schema["$defs"]})
                assert check.is_valid(field["default"])
