"""What stands in a config.json may be anything: a typed error that names the key, or a model of a possible size."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from homeport.catalog.architecture import architecture
from homeport.catalog.models import config, config_ids
from homeport.catalog.resolve import resolve
from homeport.errors import SpecError
from homeport.planning.plan import Planner
from homeport.spec.load import load

NAN, INF = float("nan"), float("inf")
JUNK = [
    NAN,
    INF,
    -INF,
    -1,
    0,
    1.5,
    1e308,
    1e30,
    10**30,
    1_000_000_000,
    [1, 2],
    [],
    [INF],
    "x",
    None,
    True,
    {},
]
LLAMA = config("meta-llama/Llama-3.1-8B-Instruct")


def places(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where the numbers of a config stand."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*path, key))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path


def changed(whole: dict[str, Any], path: tuple[str, ...], junk: Any) -> dict[str, Any]:
    made = json.loads(json.dumps(whole))
    inner = made
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = junk
    return made  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", sorted(config_ids()))
def test_every_number_of_every_config_may_be_junk(name: str) -> None:
    whole = config(name)
    least = architecture(whole).total_params / 2
    for path in places(whole):
        for junk in JUNK:
            try:
                read = architecture(changed(whole, path, junk))
            except SpecError:
                continue
            # A size that cannot be is never counted as a small one.
            assert least < read.total_params < 10**18, (path, junk)


@pytest.mark.parametrize(
    "key", ["hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size", "intermediate_size"]
)
@pytest.mark.parametrize("junk", JUNK)
def test_a_size_that_is_none_is_named(key: str, junk: Any) -> None:
    with pytest.raises(SpecError) as caught:
        architecture(LLAMA | {key: junk})
    (problem,) = caught.value.problems
    assert problem.path == ("config", key)
    assert problem.message.startswith(f"the model's config.json has {'no ' if junk is None else ''}{key}")
    with pytest.raises(SpecError, match=f"has no {key}"):
        architecture({k: v for k, v in LLAMA.items() if k != key})


def test_experts_that_tokens_visit_are_not_left_out() -> None:
    mixtral = config("mistralai/Mixtral-8x7B-Instruct-v0.1")
    for junk in (None, 0, -1, [1, 2]):
        with pytest.raises(SpecError, match="experts"):
            architecture(mixtral | {"num_local_experts": junk})


def test_widths_of_each_layer_are_read_and_others_are_not() -> None:
    layers = LLAMA["num_hidden_layers"]
    widths = [LLAMA["intermediate_size"]] * layers
    assert (
        architecture(LLAMA | {"intermediate_size": widths}).total_params == architecture(LLAMA).total_params
    )
    with pytest.raises(SpecError, match="intermediate_size"):
        architecture(LLAMA | {"intermediate_size": [*widths[1:], -1]})


def test_a_nested_language_model_takes_the_defaults_of_its_class() -> None:
    # google/gemma-3-4b-it's config.json leaves the vocabulary and the heads to Gemma3TextConfig.
    text = {
        "model_type": "gemma3_text", "hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34,
        "sliding_window": 1024,
    }  # fmt: skip
    read = architecture({"model_type": "gemma3", "text_config": text})
    assert (read.vocab_size, read.heads, read.kv_heads, read.head_dim) == (262_208, 8, 4, 256)
    with pytest.raises(SpecError, match="vocab_size"):
        architecture({"model_type": "gemma3", "text_config": text | {"vocab_size": None}})


def test_a_tower_of_no_size_is_named() -> None:
    gemma = config("google/gemma-3-27b-it")
    for junk in (-1, NAN, INF, 1e30, [1, 2], "x"):
        tower = gemma["vision_config"] | {"hidden_size": junk}
        with pytest.raises(SpecError, match=r"vision_config\.hidden_size"):
            architecture(gemma | {"vision_config": tower})


@pytest.mark.parametrize("stated", [10**30, -1, 0, True, NAN, "5"])
def test_bytes_that_no_checkpoint_has_are_unknown(tmp_path: Path, stated: Any) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA | {"weight_bytes": stated}))
    assert resolve(str(tmp_path), base_dir=tmp_path).weight_bytes is None
    (tmp_path / "config.json").write_text(json.dumps({k: v for k, v in LLAMA.items() if k != "weight_bytes"}))
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"metadata": {"total_size": stated}}))
    assert resolve(str(tmp_path), base_dir=tmp_path).weight_bytes is None


@pytest.mark.parametrize("key", ["num_hidden_layers", "head_dim", "max_position_embeddings", "rope_theta"])
def test_a_plan_of_junk_is_a_plan_or_a_spec_error(tmp_path: Path, key: str) -> None:
    text = f"""
version: 1
name: test
models:
  - {{name: a, model: {tmp_path}, workload: {{requests_per_day: 1000, input_tokens: 500, output_tokens: 100}}}}
"""
    spec = load(text, "test.yaml").spec
    for junk in JUNK:
        (tmp_path / "config.json").write_text(json.dumps(LLAMA | {key: junk}))
        try:
            made = Planner(tmp_path).plan(spec)
        except SpecError:
            continue
        memory = made.models[0].memory
        assert memory is not None
        assert 10 < memory.weights_gib < 20
