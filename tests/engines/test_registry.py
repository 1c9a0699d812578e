import re

import pytest

from homeport.engines.registry import DATA, flags, release, releases, server
from homeport.engines.types import Launch
from homeport.errors import NotFoundError


def test_the_newest_release_is_the_default() -> None:
    for engine in ("vllm", "sglang", "trtllm", "tgi", "cpu", "simulator"):
        versions = [tuple(int(n) for n in r.version.split(".")) for r in releases() if r.engine == engine]
        assert versions == sorted(versions, reverse=True)
        assert release(engine).version == ".".join(map(str, versions[0]))


def test_aliases_and_short_versions_are_understood() -> None:
    assert release("tensorrt-llm").engine == "trtllm"
    assert release("VLLM", "v0.32").version == "0.32.0"
    assert release("vllm", "0.33.0") is release("vllm")


def test_unknown_names_are_answered_with_the_nearest() -> None:
    with pytest.raises(NotFoundError) as engine:
        release("sglan")
    assert engine.value.nearest[0] == "sglang"
    with pytest.raises(NotFoundError) as version:
        release("vllm", "0.3")
    assert "0.33.0" in version.value.nearest
    assert "0.32.0" in (version.value.help or "")


def test_every_release_says_where_it_is_from() -> None:
    for one in releases():
        assert one.source
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", one.as_of)
        # A tag that moves would make two clusters of the same plan differ.
        assert re.search(r":v?\d+\.\d+", one.image)


def test_every_flag_list_belongs_to_its_release() -> None:
    named = {r.flags_file for r in releases()}
    assert named == {p.name for p in (DATA / "flags").iterdir()}
    for one in releases():
        listed = flags(one.flags_file)
        assert listed.version == one.version
        spellings = [n for f in listed.flags for n in f.names]
        assert len(spellings) == len(set(spellings)), "a flag stands twice"


def test_the_archived_engine_says_so() -> None:
    assert [r.engine for r in releases() if r.legacy] == ["tgi"]


def test_an_engine_of_cuda_13_names_the_driver_and_the_image_for_older_ones() -> None:
    one = release("vllm")
    assert one.needs_driver == ">= 580"
    assert one.other_images["cu129"] == one.image + "-cu129"


def test_serving_imports_only_the_engine_that_serves() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from homeport.engines.registry import release, server; from homeport.engines.types import Launch; "
        "from homeport.engines.registry import check_args; check_args(release('vllm'), ()); "
        "server(release('vllm'), Launch(model='a/b', served_name='x', max_model_len=8192)); "
        "print([m for m in sys.modules if m.startswith('homeport.engines.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(re.findall(r"homeport\.engines\.(\w+)", done.stdout))
    assert loaded == {"registry", "types", "requests", "vllm", "common"}


def test_data_files_are_read_once() -> None:
    assert releases() is releases()
    one = server(release("vllm"), Launch(model="a/b", served_name="x", max_model_len=16))
    assert one == server(release("vllm"), Launch(model="a/b", served_name="x", max_model_len=16))
