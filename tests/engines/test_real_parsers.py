"""The engines' own argument parsers take what homeport renders, where they are installed."""

import argparse
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest

from homeport.engines.registry import flags, release, server
from homeport.engines.types import Launch, Release
from homeport.errors import NotFoundError, SpecError

pytestmark = [
    pytest.mark.engine,
    # Theirs, while they import.
    pytest.mark.filterwarnings("ignore"),
]


def installed(engine: str) -> Release:
    """The release of the installed engine, or a reason to skip."""
    if find_spec(engine) is None:
        pytest.skip(f"{engine} is not installed")
    version = import_module(engine).__version__.partition("+")[0]
    try:
        return release(engine, version)
    except NotFoundError:
        pytest.skip(f"{engine} {version} is none of the releases that homeport knows")


def vllm_parser() -> Any:
    """The parser of `vllm serve`; it moved between versions."""
    for name in (
        "vllm.entrypoints.common.cli_args",
        "vllm.entrypoints.launchers.cli_args",
        "vllm.entrypoints.openai.cli_args",
    ):
        try:
            made = import_module(name).make_arg_parser
        except ImportError:
            continue
        for place in ("vllm.utils.argparse_utils", "vllm.utils"):
            try:
                return made(import_module(place).FlexibleArgumentParser())
            except (ImportError, AttributeError):
                continue
    raise AssertionError("vLLM has moved its parser: say where")


def every_args(one: Release, launches: list[Launch]) -> list[tuple[str, ...]]:
    found = []
    for launch in launches:
        try:
            made = server(one, launch)
        except SpecError:
            continue
        found += [made.args, *([made.worker_args] if made.worker_args else [])]
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


def test_vllm(launches: list[Launch]) -> None:
    one = installed("vllm")
    parser = vllm_parser()
    for args in every_args(one, launches):
        read = parser.parse_args(list(args))
        assert read.model_tag == args[0]
        assert read.served_model_name == ["assistant"]
        assert read.max_model_len == 8192
        assert read.shutdown_timeout >= 45


def test_vllm_has_no_other_flags() -> None:
    one = installed("vllm")
    theirs = {name for action in vllm_parser()._actions for name in action.option_strings} - {"-h", "--help"}
    ours = {name for flag in flags(one.flags_file).flags for name in (*flag.names, *flag.hidden)}
    assert theirs <= ours


def test_sglang(launches: list[Launch]) -> None:
    one = installed("sglang")
    parser = argparse.ArgumentParser()
    import_module("sglang.srt.server_args").ServerArgs.add_cli_args(parser)
    for args in every_args(one, launches):
        read = parser.parse_args(list(args))
        assert read.host == "0.0.0.0"
        assert read.context_length == 8192
        assert read.enable_metrics
