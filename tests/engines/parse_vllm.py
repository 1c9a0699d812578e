"""Reads lists of arguments as `vllm serve` would: JSON on stdin, JSON on stdout, by the Python of vLLM's environment."""

import json
import sys
from importlib import import_module
from typing import Any


def parser() -> Any:
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
    raise SystemExit("vLLM has moved its parser: say where")


def main() -> None:
    """Answer with the version, every spelling of every flag, and what was read of each list."""
    asked: list[list[str]] = json.load(sys.stdin)
    made = parser()
    kept = ("model_tag", "served_model_name", "max_model_len", "shutdown_timeout", "enforce_eager")
    read = [{name: getattr(made.parse_args(args), name) for name in kept} for args in asked]
    names = [name for action in made._actions for name in action.option_strings]
    json.dump({"version": import_module("vllm").__version__, "names": names, "read": read}, sys.stdout)


if __name__ == "__main__":
    main()
