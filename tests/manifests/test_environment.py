"""The templates: found, strict, and a cache that may fail."""

from pathlib import Path

import jinja2
import pytest

from homeport.manifests import environment
from homeport.manifests.render import KINDS


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    environment.environment.cache_clear()
    environment.template.cache_clear()


def cached(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "homeport/templates").glob("*"))


def test_there_is_one_template_for_each_kind_and_none_besides() -> None:
    files = {p.name for p in environment.folder().glob("*.yaml.j2")}
    assert files == {f"{stem}.yaml.j2" for _, stem, _ in KINDS.values()}


def test_a_name_that_nobody_gave_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError):
        environment.template("namespace.yaml.j2").render()


def test_compiled_templates_are_kept_and_broken_ones_made_again(tmp_path: Path) -> None:
    environment.template("namespace.yaml.j2")
    (kept,) = cached(tmp_path)
    whole = kept.read_bytes()
    for broken in (whole[:30], b"", b"garbage"):
        kept.write_bytes(broken)
        environment.environment.cache_clear()
        environment.template.cache_clear()
        assert environment.template("namespace.yaml.j2") is not None
        assert cached(tmp_path) == [kept]
        assert kept.read_bytes() == whole


def test_a_cache_that_others_may_write_to_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "homeport/templates").mkdir(parents=True)
    (tmp_path / "homeport/templates").chmod(0o777)
    environment.template("namespace.yaml.j2")
    assert cached(tmp_path) == []


def test_without_a_place_for_a_cache_it_works_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert environment.template("namespace.yaml.j2") is not None
