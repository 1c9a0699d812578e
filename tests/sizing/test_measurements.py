"""Files of measurements: what is read, and how what is wrong is said."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.errors import SpecError
from homeport.sizing.measurements import Run, RunFigures, read_measurements
from homeport.spec.problems import describe_all

RUN: dict[str, Any] = {
    "model": "meta-llama/Llama-3.1-8B-Instruct",
    "engine": "vllm",
    "engine_version": "0.33.0",
    "gpu": "L4",
    "measured": {"kv_cache_tokens": 100_000},
    "measured_on": "2026-08-01",
}
LOAD = {"input_tokens": 100, "output_tokens": 100, "concurrency": 4}


def written(tmp_path: Path, value: Any) -> Path:
    path = tmp_path / "runs.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value, indent=1), "utf-8")
    return path


def problems(tmp_path: Path, value: Any) -> list[str]:
    with pytest.raises(SpecError) as caught:
        read_measurements(written(tmp_path, value), "runs.json")
    return describe_all(caught.value)


def of(**changes: Any) -> dict[str, Any]:
    return {"schema_version": 1, "runs": [RUN | changes]}


def test_a_run_is_read_with_defaults_and_null_is_unknown(tmp_path: Path) -> None:
    (run,) = read_measurements(written(tmp_path, of(checkpoint=None, settings={"max_num_seqs": None})), "r")
    assert run.tensor_parallel_size == 1
    assert run.checkpoint is None
    assert run.measured == RunFigures(kv_cache_tokens=100_000)


def test_published_runs_can_be_read(tmp_path: Path) -> None:
    import gzip

    folder = Path(__file__).parents[1] / "data"
    speeds = json.loads(gzip.decompress((folder / "throughput_measurements.json.gz").read_bytes()))["records"]
    names = ("model", "engine", "engine_version", "gpu", "tensor_parallel_size", "pipeline_parallel_size")
    runs = [
        {name: record[name] for name in names}
        | {
            "measured": {"ttft_ms": record["ttft_ms"], "output_tokens_per_s": record["output_tok_s"]},
            "workload": {k: record[k] for k in ("input_tokens", "output_tokens", "concurrency")},
            "measured_on": "2026-01-01",
        }
        for record in speeds
        if record["comparable"] and record["output_tok_s"] and record["engine_version"]
    ]
    read = read_measurements(written(tmp_path, {"schema_version": 1, "runs": runs}), "runs.json")
    assert len(read) == len(runs) > 1000


@pytest.mark.parametrize(
    ("changes", "place", "says"),
    [
        ({"gpu": "H100-SMX-80GB"}, "runs[0].gpu: ", "did you mean H100-SXM-80GB"),
        ({"gpu": "CPU"}, "runs[0].gpu: ", "of GPUs"),
        ({"engine": "vlm"}, "runs[0].engine: ", "did you mean vllm?"),
        ({"tp": 2}, "runs[0].tp: unknown field", "did you mean tensor_parallel_size?"),
        ({"measured": {"tpot": 3}}, "runs[0].measured.tpot: unknown field", "did you mean tpot_ms?"),
        ({"measured": {}}, "runs[0].measured: nothing was measured", "kv_cache_tokens"),
        ({"measured": {"tpot_ms": 3}}, "runs[0].workload: missing", "concurrency"),
        ({"measured": {"ready_s": 3}}, "runs[0].storage: missing", "hub"),
        ({"measured": {"kv_cache_tokens": -1}}, "runs[0].measured.kv_cache_tokens: ", "too small"),
        ({"measured_on": "2026-02-30"}, "runs[0].measured_on: ", "no day of the calendar"),
        ({"measured_on": "1 May"}, "runs[0].measured_on: ", "a date, such as"),
        ({"engine_version": 0.33}, "runs[0].engine_version: ", "in quotes"),
        (
            {"measured": {"tpot_ms": 40, "output_tokens_per_s": 3000}, "workload": LOAD},
            "runs[0].measured: ",
            "119 requests in flight, not 4",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_line(
    tmp_path: Path, changes: dict[str, Any], place: str, says: str
) -> None:
    (text,) = problems(tmp_path, of(**changes))
    head = text.splitlines()[0]
    name, line, _, rest = head.split(":", 3)
    assert name == "runs.json"
    assert int(line) > 1
    assert rest.strip().startswith(place)
    assert says in text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "schema_version"),
        ("[1]", "expected a mapping"),
        ('{"schema_version": 1,', "not valid JSON"),
        ('{"schema_version": 2, "runs": []}', "only one that this homeport knows"),
        ('{"schema_version": 1, "runs": [], "runs": []}', "stands twice"),
        ('{"schema_version": 1, "runs": [NaN]}', "NaN"),
        (f"schema_version: 1\nruns: [{json.dumps(RUN)}]", "this is no JSON"),
    ],
)
def test_what_is_no_such_file_is_an_error(tmp_path: Path, text: str, says: str) -> None:
    assert says in "\n".join(problems(tmp_path, text))


def test_a_file_that_is_not_there_is_a_problem_of_the_spec(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(SpecError) as caught:
            read_measurements(path, "none.json")
        assert caught.value.problems[0].path == ("measurements",)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**20) | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*Run.__struct_fields__, "x"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*Run.__struct_fields__, "x"]), ANYTHING, max_size=4))
def test_anything_is_read_or_refused_with_reasons(
    tmp_path_factory: pytest.TempPathFactory, changes: dict[str, Any]
) -> None:
    path = written(tmp_path_factory.mktemp("runs"), of(**changes))
    said: list[str] = []
    try:
        read_measurements(path, "runs.json")
    except SpecError as error:
        said = describe_all(error)
        if not said:
            raise
    assert all(text.startswith("runs.json:") for text in said)
