"""How a problem reads."""

import pytest

from homeport.errors import Problem, SpecError
from homeport.spec.load import load
from homeport.spec.overrides import and_also, from_flags, load_with
from homeport.spec.problems import MAX_LINE, describe, describe_all
from homeport.spec.source import Source

SPEC = """version: 1
name: support
models:
  - name: assistant
    model: Qwen/Qwen3-8B
    precision: fp8
    workload: {requests_per_day: 1000, input_tokens: 100, output_tokens: 10}
"""
MODEL = ("models", 0)


def messages(text: str, name: str = "homeport.yaml") -> list[str]:
    with pytest.raises(SpecError) as caught:
        load(text, name)
    return describe_all(caught.value)


def test_where_what_the_line_a_caret_and_what_to_do() -> None:
    [message] = messages(SPEC.replace("fp8", "bf15"))
    assert message.split("\n") == [
        "homeport.yaml:6:16: models[0].precision: 'bf15' is not one of auto, bf16, fp16, fp8, int8, int4, awq, gptq, "
        "fp8_block, nvfp4, mxfp4, smoothquant, bitsandbytes, compressed-tensors, quark",
        "      precision: bf15",
        "                 ^",
        "help: did you mean bf16?",
    ]


def test_a_problem_that_planning_finds_points_into_the_file_too() -> None:
    source = load(SPEC, "homeport.yaml").source
    text = describe(Problem(message="does not fit", path=(*MODEL, "tensor_parallel_size")), source)
    assert (
        text
        == "homeport.yaml:4:5: models[0].tensor_parallel_size: does not fit\n    - name: assistant\n      ^"
    )


def test_a_long_line_is_cut_around_the_place() -> None:
    text = SPEC.replace("fp8", "bf15").replace("    precision", f"    image: {'x' * 300}\n    precision")
    text = text.replace("workload: {", "workload: {" + " " * 500).replace("1000,", "-1,")
    [_, message] = messages(text)
    line, caret = message.split("\n")[1:3]
    assert len(line) <= MAX_LINE + 4
    assert line[caret.index("^")] == "-"


@pytest.mark.parametrize("word", ["日本語", "e\u0301", "ü"])
def test_the_caret_stands_under_the_value_after_wide_characters(word: str) -> None:
    import unicodedata

    [message] = messages(SPEC.replace("precision: fp8", f"weights: {{revision: {word}, storage_class: S}}"))
    line, caret = message.split("\n")[1:3]
    at = line.index("S}")
    width = sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in line[:at]
    )
    assert caret.index("^") == width


def test_what_a_terminal_would_act_on_is_escaped() -> None:
    [message] = messages(SPEC + "\x1b[31mred: 1\n", "a\x1b[2J.yaml")
    assert "\x1b" not in message
    assert message.startswith("a\\x1b[2J.yaml:8:1: ")


@pytest.mark.parametrize("field", ["api_key", "hub_token"])
def test_a_secret_in_the_file_is_not_repeated(field: str) -> None:
    [message] = messages(SPEC.replace("precision: fp8", f"{field}: hf_abcdef0123"))
    assert "hf_abcdef0123" not in message
    assert f"{field}: {{secret: NAME, key: KEY}}" in message


def test_a_spec_of_flags_names_the_flags_and_all_that_is_missing() -> None:
    with pytest.raises(SpecError) as caught:
        from_flags(
            {(*MODEL, "model"): ("qwen9", "--model"), (*MODEL, "precision"): ("bf15", "HOMEPORT_PRECISION")}
        )
    error = and_also(caught.value, [Problem(message="no model 'qwen9'", path=(*MODEL, "model"))])
    assert [message.split("\n")[0].partition(": ")[::2] for message in describe_all(error)] == [
        ("--model", "no model 'qwen9'"),
        ("HOMEPORT_PRECISION", describe_all(error)[1].split("\n")[0].partition(": ")[2]),
        ("--requests-per-day", "missing"),
        ("--input-tokens", "missing"),
        ("--output-tokens", "missing"),
    ]


def test_a_problem_of_the_only_model_is_said_without_its_number_where_there_is_no_file() -> None:
    workload = {"requests_per_day": 1000.0, "input_tokens": 100, "output_tokens": 10}
    flags = {
        (*MODEL, "workload", name): (value, f"--{name.replace('_', '-')}") for name, value in workload.items()
    }
    source = from_flags({(*MODEL, "model"): ("Qwen/Qwen3-8B", "--model"), **flags}).source
    assert describe(Problem(message="no", path=(*MODEL, "gpu")), source) == "gpu: no"
    assert describe(Problem(message="no", path=MODEL), source) == "no"


def test_flags_over_a_file_name_each_its_own_place() -> None:
    text = SPEC.replace("workload", "replicas: {min: 2, max: 1}\n    workload")
    with pytest.raises(SpecError) as caught:
        load_with(text, "homeport.yaml", {(*MODEL, "precision"): ("bf15", "--precision")})
    assert [m.split(": ")[0] for m in describe_all(caught.value)] == ["--precision", "homeport.yaml:7:21"]


def test_a_flag_mends_what_the_file_has_wrong() -> None:
    loaded = load_with(SPEC.replace("fp8", "bf15"), "x", {(*MODEL, "precision"): ("fp8", "--precision")})
    assert loaded.spec.models[0].precision == "fp8"


def test_a_flag_for_one_of_several_models_is_refused() -> None:
    second = SPEC[SPEC.index("  - name") :].replace("assistant", "second")
    with pytest.raises(SpecError, match="one of 2 models"):
        load_with(SPEC + second, "x", {(*MODEL, "precision"): ("fp8", "--precision")})


def test_an_error_without_a_source_still_says_what_is_wrong() -> None:
    error = SpecError([Problem(message="does not fit", path=MODEL, help="more GPUs")])
    assert describe_all(error) == ["models[0]: does not fit\nhelp: more GPUs"]
    assert describe(Problem(message="x"), Source(name="a.yaml")) == "a.yaml:1:1: x"


def test_flags_do_not_hide_that_a_file_is_no_utf_8() -> None:
    with pytest.raises(SpecError, match="0xe9"):
        load_with(SPEC.encode() + b"# caf\xe9\n", "x", {(*MODEL, "precision"): ("fp8", "--precision")})
