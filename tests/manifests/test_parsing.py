"""Rendered text back to data."""

import pytest
import yaml

from homeport.manifests import parsing
from homeport.manifests.render import PLACEHOLDER, documents


def test_every_document_is_read_as_pyyaml_reads_it(plans) -> None:
    for made in (
        plans.spec("gke"),
        plans.spec("kind", {"engine": "simulator", "model": "Qwen/Qwen2.5-0.5B-Instruct"}),
    ):
        for document in documents(plans.plan(made)):
            assert parsing.load(document.text) == yaml.safe_load(document.text)


@pytest.mark.parametrize("name", ["assistant", "e", "kind", "null", "true", PLACEHOLDER])
def test_a_document_knows_its_object_without_its_text(plans, name: str) -> None:
    """Also where a name stands for something else in YAML, or for itself while documents are rendered."""
    made = plans.spec(
        "gke", {"name": name, "weights": {"source": "pvc"}, "extra_args": ["--x", f"{name}: 1"]}
    )
    found = documents(plans.plan(made))
    assert len(found) > 5
    for document in found:
        assert document.object() == parsing.load(document.text)
        assert document.object() is not document.object()


@pytest.mark.parametrize(
    "text",
    ["a: &x 1\n", "a: *x\n", "a: !!str 1\n", "a: 1\na: 2\n", "a: 1\n---\nb: 2\n"],
    ids=["anchor", "alias", "tag", "duplicate key", "two documents"],
)
def test_what_is_never_rendered_is_refused(text: str) -> None:
    with pytest.raises((ValueError, yaml.YAMLError)):
        parsing.load(text)


def test_broken_yaml_is_refused() -> None:
    with pytest.raises(yaml.YAMLError):
        parsing.load("a: [1\n")
