"""A spec of one model from the flags of a command, so that a first try needs no file."""

import re
from collections.abc import Mapping
from typing import Any

from homeport.errors import Problem, SpecError
from homeport.spec.load import Loaded, to_spec
from homeport.spec.source import Path, Source, spec_error

_MODEL: Path = ("models", 0)
_WORKLOAD: Path = (*_MODEL, "workload")

# the flag without its dashes, as click names the parameter -> the field that it sets
FLAGS: dict[str, Path] = {
    "name": (*_MODEL, "name"),
    "model": (*_MODEL, "model"),
    "requests_per_day": (*_WORKLOAD, "requests_per_day"),
    "input_tokens": (*_WORKLOAD, "input_tokens"),
    "output_tokens": (*_WORKLOAD, "output_tokens"),
    "peak_to_mean": (*_WORKLOAD, "peak_to_mean"),
    "total_tokens_p99": (*_WORKLOAD, "total_tokens_p99"),
    "target": ("target", "platform"),
    "region": ("target", "region"),
    "capacity": ("target", "capacity"),
    "gpus_per_node": ("target", "gpus_per_node"),
    "namespace": ("namespace",),
    "engine": (*_MODEL, "engine"),
    "engine_version": (*_MODEL, "engine_version"),
    "precision": (*_MODEL, "precision"),
    "checkpoint": (*_MODEL, "checkpoint"),
    "kv_cache_dtype": (*_MODEL, "kv_cache_dtype"),
    "gpu": (*_MODEL, "gpu"),
    "tensor_parallel_size": (*_MODEL, "tensor_parallel_size"),
    "pipeline_parallel_size": (*_MODEL, "pipeline_parallel_size"),
    "max_model_len": (*_MODEL, "max_model_len"),
    "min_replicas": (*_MODEL, "replicas", "min"),
    "max_replicas": (*_MODEL, "replicas", "max"),
    "ttft_ms": (*_MODEL, "latency", "ttft_ms"),
    "tpot_ms": (*_MODEL, "latency", "tpot_ms"),
    "percentile": (*_MODEL, "latency", "percentile"),
    "compare": ("compare",),
}
# flag -> what to write, for a spec that lacks it
NEEDED = {
    "model": "--model meta-llama/Llama-3.1-8B-Instruct (`homeport models list` shows more)",
    "requests_per_day": "requests a day on average, for example --requests-per-day 100000",
    "input_tokens": "prompt tokens of an average request, for example --input-tokens 1000",
    "output_tokens": "generated tokens of an average request, for example --output-tokens 500",
}


def flag_name(parameter: str) -> str:
    """Return `--requests-per-day` for `requests_per_day`."""
    return "--" + parameter.replace("_", "-")


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the flags that set a field of the spec and were given (click passes None or () for the others)."""
    return {key: value for key, value in values.items() if key in FLAGS and value is not None and value != ()}


def missing_flags(values: Mapping[str, Any]) -> list[Problem]:
    """Return a problem for each flag that a spec needs and `values` lacks, in the order of NEEDED.

    A command that knows more (that `--model` names no model) puts its own problems beside them.
    """
    present = given(values)
    return [
        Problem(message="missing", path=FLAGS[flag], help=advice)
        for flag, advice in NEEDED.items()
        if flag not in present
    ]


def from_values(values: Mapping[str, Any], origin: str) -> Loaded:
    """Make a spec of one model from the flags of a command; `origin` names it where a source needs a name.

    Raises `SpecError` with every problem of the flags, those that are missing included: add what you know
    of the others (`missing_flags`) with `and_also`.
    """
    present = given(values)
    source = flag_source(present, origin)
    tree: dict[str, Any] = {"version": 1, "models": [{"workload": {}}]}
    for flag, value in present.items():
        _put(tree, FLAGS[flag], list(value) if isinstance(value, tuple) else value)
    model = tree["models"][0]
    model.setdefault("name", model_name(str(model.get("model", ""))))
    tree["name"] = model["name"]
    absent = missing_flags(values)
    try:
        return Loaded(spec=to_spec(tree, source, list(absent), rewrite=True), source=source)
    except SpecError as error:
        # the walker misses the same fields, and says of the spec's name what it says of the model's
        known = {("name",), *(problem.path for problem in absent)}
        others = [problem for problem in error.problems if problem.path not in known]
        raise spec_error([*absent, *others], source) from None


def flag_source(values: Mapping[str, Any], origin: str) -> Source:
    """Return the source of a spec made from flags: problems name `--model` instead of a line."""
    order = [*given(values), *(flag for flag in FLAGS if flag not in given(values))]
    return Source(name=origin, flags={FLAGS[flag]: flag_name(flag) for flag in order})


def and_also(error: SpecError, problems: list[Problem]) -> SpecError:
    """Return `error` with more problems among its own, in the order of its source."""
    everything = [*error.problems, *problems]
    return spec_error(everything, error.source) if isinstance(error.source, Source) else SpecError(everything)


def model_name(model: str) -> str:
    """Make the name of a Service from a model's: `meta-llama/Llama-3.1-8B-Instruct` -> `llama-3-1-8b-instruct`."""
    last = model.rstrip("/").removesuffix("/config.json").rsplit("/", 1)[-1].lower()
    name = re.sub(r"[^a-z0-9]+", "-", last).strip("-")[:40].strip("-")
    return name if name[:1].isalpha() else f"model-{name}"[:40].strip("-")


def _put(tree: Any, path: Path, value: Any) -> None:
    for step in path[:-1]:
        tree = tree[step] if isinstance(step, int) else tree.setdefault(step, {})
    tree[path[-1]] = value
