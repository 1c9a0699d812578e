"""Image references and adapters' sources: what a registry, the Hub and a volume take, and nothing else."""

import re

import pytest
from msgspec import inspect

from homeport.spec.models import AdapterSource, ImageReference


def pattern(kind: object) -> str:
    found = inspect.type_info(kind)
    while isinstance(found, inspect.Metadata):
        found = found.type
    assert isinstance(found, inspect.StrType)
    assert found.pattern
    return found.pattern


DIGEST = "sha256:" + "0a" * 32


@pytest.mark.parametrize(
    "name",
    [
        "busybox", "busybox:1", "vllm/vllm-openai:v0.33.0", "registry.example.com/name:tag", "localhost/a", "localhost:5000/a/b:c",
        "myhost:5000/a", "Registry.Example.com:443/team/app__x/y.z-w:V1_2", f"ghcr.io/a/b@{DIGEST}", f"a/b:1@{DIGEST}",
        "[fe80::1]:5000/a", "10.0.0.1/a", "nvcr.io/nvidia/tensorrt-llm/release:1.2.1", "a---b",
    ],
)  # fmt: skip
def test_an_image_that_a_registry_takes(name: str) -> None:
    assert re.search(pattern(ImageReference), name)


@pytest.mark.parametrize(
    "name",
    [
        "", "https://a.b/c", "docker://a", "a b", "A/b", "a.b/C", "a:b:c", "a:", "a@", "a@sha256:abc", f"a@{DIGEST}0",
        f"a@{DIGEST.upper()}", "/a", "a/", "a//b", "a.b/c:-x", "me:pw@a.b/c", "a:1\n", "a..b", "-a", "a" * 513, "x:" + "t" * 129,
        "a" * 5000 + "!",
    ],
)  # fmt: skip
def test_an_image_that_none_takes(name: str) -> None:
    assert not re.search(pattern(ImageReference), name)


@pytest.mark.parametrize(
    "source", ["org/adapter", "Org-1/a.b_c", "/adapters/tone", "/tone", "/a/..b", "/a/.hidden/x@1+2"]
)
def test_a_source_of_an_adapter(source: str) -> None:
    assert re.search(pattern(AdapterSource), source)


@pytest.mark.parametrize(
    "source",
    [
        "", "../x", "a b/c", "http://x/y", "x/y@rev", ".", "..", "~/x", "/../etc/x", "/a/..", "/a/./b", "/", "//a", "/a/",
        "/a//b", "x", "x/y/z", "a/b--c", "a/b..c", "/a,b", "/a=b", "/a b", "org/adapter\n", "o/" + "a" * 96,
    ],
)  # fmt: skip
def test_what_is_no_source_of_an_adapter(source: str) -> None:
    assert not re.search(pattern(AdapterSource), source)
