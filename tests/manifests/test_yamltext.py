"""Strings survive: whatever a user writes is read back the same by YAML readers."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from homeport.manifests import parsing, yamltext

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
HARD = [
    "", " ", "no", "On", "y", "NULL", "~", "true", "1", "1.0", "1e3", "0x1F", "12:30", "1_000", ".inf", "-", "---", "...",
    "- a", "a: b", "a #b", "a:", ":a", "#", "&a", "*a", "!a", "|", ">", "%", "@", "`", "'", '"', "a'b", 'a"b', "'\"",
    "\\", "a\nb", "a\tb", "\r", "\x00", "\x85", "\u2028", "\ufeff", "\U0001f600", "é", "<<", "=", "2026-01-01", "36Gi",
    "100m", "--flag=x", "--", "{a}", "[a]", "?", "? a", "a,b", "$(X)", "http://x:80/y?z=1", "$", "\u00a0",
]  # fmt: skip


@given(TEXT)
def test_a_scalar_is_read_back_as_the_same_string(text: str) -> None:
    document = f"key: {yamltext.scalar(text)}\n"
    assert yaml.safe_load(document) == {"key": text}
    assert yaml.load(document, yaml.CSafeLoader) == {"key": text}
    assert parsing.load(document) == {"key": text}


@pytest.mark.parametrize("text", HARD)
def test_strings_that_have_hurt_somebody_are_read_back(text: str) -> None:
    test_a_scalar_is_read_back_as_the_same_string.hypothesis.inner_test(text)
    assert yaml.safe_load(f"- {yamltext.scalar(text)}\n") == [text]


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=100))
def test_a_scalar_can_be_a_key(text: str) -> None:
    assert yaml.safe_load(f"{yamltext.scalar(text)}: 1\n") == {text: 1}


@given(TEXT, st.integers(1, 8))
@example("a\nb\n", 2)
@example("a\n\n  b", 4)
@example("\n", 2)
@example("a\n\n", 2)
@example(" a", 2)
@example("a \nb", 2)
@example("a\n \nb", 2)
@example("# a\n--- b\n%x\n", 2)
@example("a: b\n\tc", 2)
def test_a_block_is_read_back_as_the_same_text(text: str, indent: int) -> None:
    document = f"{'key':>{3}}: {yamltext.block(text, indent)}\nother: x\n"
    assert yaml.safe_load(document) == {"key": text, "other": "x"}
    assert parsing.load(document) == {"key": text, "other": "x"}


@given(st.text())
def test_a_comment_stays_on_its_line(text: str) -> None:
    assert yaml.safe_load(f"# {yamltext.comment(text)}\na: 1\n".encode("utf-8", "replace").decode()) == {
        "a": 1
    }


def test_a_long_text_of_lines_is_a_block_and_not_a_quoted_line() -> None:
    assert yamltext.block("import os\n\nprint(os)\n", 4) == "|\n    import os\n\n    print(os)"


def test_floats_and_none_have_no_place_in_a_manifest() -> None:
    for value in (1.5, None, ["a"]):
        with pytest.raises(TypeError):
            yamltext.scalar(value)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on PATH")
def test_kubectl_reads_the_same_strings(tmp_path: Path) -> None:
    """kubectl's reader is another implementation (Go), and the one that counts."""
    strings = [
        t for t in HARD if t != "\x85"
    ]  # kubectl writes this one raw, which PyYAML takes for a line end
    data = "\n".join(f"  k{i}: {yamltext.scalar(t)}" for i, t in enumerate(strings))
    (tmp_path / "map.yaml").write_text(
        f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n{data}\n"
    )
    (tmp_path / "kustomization.yaml").write_text("resources: [map.yaml]\n")
    run = subprocess.run(["kubectl", "kustomize", str(tmp_path)], capture_output=True, check=True)
    assert yaml.load(run.stdout, yaml.BaseLoader)["data"] == {f"k{i}": t for i, t in enumerate(strings)}
