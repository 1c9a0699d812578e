"""From text to a Spec: what words mean, where things stand, and how much is read."""

from pathlib import Path

import pytest
import yaml

from homeport.errors import Problem, SpecError
from homeport.spec import compose as composing
from homeport.spec.load import load
from homeport.spec.models import Replicas, Weights
from homeport.spec.source import MAX_PROBLEMS, position

CORPUS = Path(__file__).parent.parent / "corpus"
HEAD = "version: 1\nname: support\n"
MODEL = """models:
  - name: assistant
    model: Qwen/Qwen3-8B
    workload: {requests_per_day: 1000, input_tokens: 100, output_tokens: 10}
"""


def problems(text: str) -> list[Problem]:
    with pytest.raises(SpecError) as caught:
        load(text, "x.yaml")
    return caught.value.problems


def test_the_least_spec_leaves_everything_else_to_homeport() -> None:
    spec = load(HEAD + MODEL, "x.yaml").spec
    model = spec.models[0]
    assert (spec.target.platform, spec.namespace, model.engine, model.gpu, model.precision) == (
        "generic",
        None,
        None,
        None,
        None,
    )
    assert (model.workload.peak_to_mean, model.latency.ttft_ms, model.latency.tpot_ms) == (None, 1000.0, 50.0)


def test_auto_is_the_same_as_leaving_the_field_out() -> None:
    said = load((CORPUS / "auto.happy.yaml").read_bytes(), "a").spec
    left_out = load((CORPUS / "least.happy.yaml").read_bytes(), "b").spec
    assert said == left_out
    assert (said.models[0].replicas, said.models[0].weights) == (Replicas(), Weights())


def test_auto_stays_text_where_a_value_is_needed() -> None:
    assert load(HEAD.replace("support", "auto") + MODEL, "x").spec.name == "auto"


def test_an_engines_other_name_becomes_its_own() -> None:
    assert load((CORPUS / "alias.happy.yaml").read_bytes(), "x").spec.models[0].engine == "trtllm"


def test_words_and_numbers_follow_yaml_1_2() -> None:
    spec = load((CORPUS / "yaml12.happy.yaml").read_bytes(), "x").spec
    assert (spec.name, spec.namespace, spec.models[0].engine_version, spec.models[0].image) == (
        "on",
        "no",
        "0.10",
        "12:30",
    )
    workload = load((CORPUS / "flow.happy.yaml").read_bytes(), "x").spec.models[0].workload
    assert (workload.requests_per_day, workload.input_tokens, workload.output_tokens) == (100000, 10, 16)


def test_windows_line_ends_a_byte_order_mark_and_document_marks_change_nothing() -> None:
    loaded = load((CORPUS / "windows.happy.yaml").read_bytes(), "x")
    assert loaded.spec == load((CORPUS / "least.happy.yaml").read_bytes(), "x").spec
    assert loaded.source.locate(("name",)) == (4, 7)


def test_the_source_knows_where_each_value_stands() -> None:
    source = load(HEAD + MODEL, "x.yaml").source
    assert source.locate(("name",)) == (2, 7)
    assert source.locate(("models", 0, "model")) == (5, 12)
    assert source.locate(("models", 0, "workload", "input_tokens")) == (6, 54)
    # a block starts below its key: the key is what a reader looks for
    assert source.locate(("models",)) == (3, 1)
    assert source.locate(("models", 0)) == (4, 5)
    # what is not there: the nearest that is around it
    assert source.locate(("models", 0, "replicas", "min")) == (4, 5)
    assert source.locate(("target", "region")) == (1, 1)


def test_problems_come_in_the_order_of_the_file_whatever_found_them() -> None:
    text = (
        HEAD.replace("support", "S")
        + MODEL
        + "    gpu: &g L4\n    replicas: {min: 3, max: 1}\ncompare: [a, a]\nx: 1\n"
    )
    found = problems(text)
    assert [p.path for p in found] == [
        ("name",),
        ("models", 0, "gpu"),
        ("models", 0, "replicas", "min"),
        ("x",),
    ]


def test_a_written_zero_keeps_its_digits_in_the_advice() -> None:
    [problem] = problems(HEAD + MODEL + "    engine_version: 0.30\n")
    assert problem.help == 'put it in quotes: "0.30"'


def test_a_duplicate_names_the_line_of_the_first() -> None:
    [problem] = problems(HEAD + MODEL + "    gpu: L4\n    engine: vllm\n    gpu: T4\n")
    assert problem.message.endswith("(first on line 7)")
    assert problem.path == ("models", 0, "gpu")


def test_a_billion_laughs_is_refused_at_the_first_anchor() -> None:
    text = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n"
    assert all(
        "refused" in p.message or "unknown" in p.message or p.message == "missing" for p in problems(text)
    )


def test_huge_and_deep_files_are_refused() -> None:
    [problem] = problems("x" * (composing.MAX_CHARACTERS + 1))
    assert "MiB" in problem.message
    [problem] = problems("[" * 500)
    assert "levels deep" in problem.message
    [problem] = problems("[" * 100_000)  # libyaml's own limit comes first
    assert "too deeply" in problem.message
    [problem] = problems("a:\n" + "".join(" " * depth + "a:\n" for depth in range(1, 900)))
    assert "levels deep" in problem.message


def test_a_file_of_far_too_many_values_is_left_early() -> None:
    [problem] = problems("- a\n" * (composing.MAX_VALUES + 10))
    assert "values" in problem.message
    assert position(problem, load(HEAD + MODEL, "x").source)[0] == composing.MAX_VALUES + 1


def test_of_very_many_problems_the_first_are_told() -> None:
    repeated = problems("a: 1\n" * 100_000)
    unknown = problems(HEAD + MODEL + "".join(f"x{i}: 1\n" for i in range(10_000)))
    assert len(repeated) == len(unknown) == MAX_PROBLEMS + 1
    assert unknown[-1].message == "and 9800 more problems from here on"


def test_a_spec_of_many_models_keeps_their_order() -> None:
    entry = MODEL.removeprefix("models:\n")
    text = HEAD + "models:\n" + "".join(entry.replace("assistant", f"m{i}") for i in range(500))
    assert [m.name for m in load(text, "x").spec.models] == [f"m{i}" for i in range(500)]


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(CORPUS.glob("*.error.*.yaml")) if not path.name.startswith(("file.", "plan."))],
    ids=lambda path: path.name,
)
def test_pyyamls_own_parser_finds_the_same(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where PyYAML was built without libyaml the words of a syntax error may differ, its line may not."""
    text = path.read_text(encoding="utf-8")
    with pytest.raises(SpecError) as fast:
        load(text, "x.yaml")
    monkeypatch.delattr(yaml, "CSafeLoader")
    with pytest.raises(SpecError) as pure:
        load(text, "x.yaml")

    def places(error: SpecError) -> list[int]:
        return [position(problem, error.source)[0] for problem in error.problems]  # type: ignore[arg-type]

    assert places(pure.value) == places(fast.value)
