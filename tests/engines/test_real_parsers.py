"""The engines' own argument parsers take what homeport renders, where they are installed."""

import argparse
import json
import subprocess
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from homeport.engines.registry import flags, release, server
from homeport.engines.types import Launch, Release
from homeport.errors import NotFoundError, SpecError
from tests.testbed import engine as real

pytestmark = [
    pytest.mark.engine,
    # Theirs, while they import.
    pytest.mark.filterwarnings("ignore"),
]


def every_args(one: Release, launches: list[Launch]) -> list[tuple[str, ...]]:
    """The arguments of every launch that the engine can do; not all can be done on a CPU."""
    found = []
    for launch in launches:
        try:
            made = server(one, launch)
        except SpecError:
            continue
        found += [made.args, *([made.worker_args] if made.worker_args else [])]
    assert found
    # LeaderWorkerSet's variables are numbers and names by the time the engine reads them.
    stands_for = {
        "$(LWS_GROUP_SIZE)": "2",
        "$(LWS_WORKER_INDEX)": "1",
        "$(LWS_LEADER_ADDRESS)": "leader",
        "$(SGLANG_API_KEY)": "k",
    }
    for variable, value in stands_for.items():
        found = [tuple(a.replace(variable, value) for a in args) for args in found]
    return found


@pytest.fixture(scope="module")
def vllm(launches: list[Launch]) -> dict[str, Any]:
    """What vLLM's parser makes of the arguments for a GPU and for a CPU, in the environment of the real engine."""
    python = real.installed()
    if python is None:
        pytest.skip("no engine: `python -m tests.testbed.engine` installs one (6 GB)")
    asked = [a for name in ("vllm", "cpu") for a in every_args(release(name, real.VERSION), launches)]
    reads = Path(__file__).with_name("parse_vllm.py")
    done = subprocess.run(
        [str(python), str(reads)], input=json.dumps(asked), capture_output=True, text=True, cwd="/", env={}
    )
    assert done.returncode == 0, done.stderr[-4000:]
    # Importing it may print, before the answer.
    answer: dict[str, Any] = json.loads(done.stdout[done.stdout.index('{"version"') :])
    return {**answer, "asked": asked}


def test_vllm_reads_what_is_rendered(vllm: dict[str, Any]) -> None:
    assert len(vllm["read"]) == len(vllm["asked"]) > 100
    for args, read in zip(vllm["asked"], vllm["read"], strict=True):
        assert read["model_tag"] == args[0]
        assert read["served_model_name"] == ["assistant"]
        assert read["max_model_len"] == 8192
        assert read["shutdown_timeout"] >= 45
        assert read["enforce_eager"] == ("--enforce-eager" in args)


def test_vllm_has_no_other_flags(vllm: dict[str, Any]) -> None:
    one = release("vllm", vllm["version"].partition("+")[0])
    theirs = set(vllm["names"]) - {"-h", "--help"}
    ours = {name for flag in flags(one.flags_file).flags for name in (*flag.names, *flag.hidden)}
    assert theirs <= ours


def test_sglang(launches: list[Launch]) -> None:
    """SGLang needs a GPU's libraries to import: this runs where somebody installed it beside the tests."""
    if find_spec("sglang") is None:
        pytest.skip("sglang is not installed")
    version = import_module("sglang").__version__.partition("+")[0]
    try:
        one = release("sglang", version)
    except NotFoundError:
        pytest.skip(f"sglang {version} is none of the releases that homeport knows")
    parser = argparse.ArgumentParser()
    import_module("sglang.srt.server_args").ServerArgs.add_cli_args(parser)
    for args in every_args(one, launches):
        read = parser.parse_args(list(args))
        assert read.host == "0.0.0.0"
        assert read.context_length == 8192
        assert read.enable_metrics
