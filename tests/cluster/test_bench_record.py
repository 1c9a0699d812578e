"""Measurements that a benchmark writes: a plan reads them, others' runs are kept, and what says nothing is left out."""

import json
from pathlib import Path

import msgspec
import pytest

from homeport.cluster import bench_record
from homeport.cluster.bench_answer import compare, findings
from homeport.cluster.bench_endpoint import SIMULATOR
from homeport.cluster.bench_types import Measured, Spread, Stage
from homeport.commands.bench_view import view
from homeport.commands.output import Output
from homeport.errors import HomeportError, SpecError
from homeport.planning.plan import Planner
from homeport.planning.types import ModelPlan
from homeport.spec.load import load
from tests.cluster.test_bench_parts import ANSWERING, SPEC, planned

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def plan() -> ModelPlan:
    return planned()


def spread(mean: float) -> Spread:
    return Spread(mean=mean, p50=mean, p90=mean * 1.5, p95=mean * 2, p99=mean * 3)


def at_once(count: int, **changed: object) -> Measured:
    """A stage of `count` requests in flight that went well."""
    made = Measured(
        stage=Stage(name=f"{count}-at-once", kind="concurrency", concurrency=count, seconds=60, requests=1000),
        requests=count * 10, failed=0, seconds=60, input_tokens=200.04, output_tokens=50.0, in_flight=float(count),
        requests_per_s=count / 2, ttft_ms=spread(100), tpot_ms=spread(30), output_tokens_per_s=count * 25.0,
    )  # fmt: skip
    return msgspec.structs.replace(made, **changed)


def made_of(
    plan: ModelPlan, *found: Measured, replicas: int = 1, version: str | None = None
) -> list[bench_record.Run]:
    return bench_record.runs(
        plan, ANSWERING, found, replicas=replicas, engine_version=version, generator="aiperf 0.13.0"
    )


def test_a_plan_takes_what_was_written_as_its_own_configuration(plan: ModelPlan, tmp_path: Path) -> None:
    file = tmp_path / "runs.json"
    bench_record.save(bench_record.target(file), made_of(plan, at_once(1), at_once(2), at_once(8)))
    spec = SPEC + f"measurements: {file}\n".encode()
    again = Planner(tmp_path).plan(load(spec, "spec").spec).models[0]
    basis = {taken.figure: taken.basis for taken in again.measured}
    assert basis["tpot_ms"] in ("measured", "between")
    assert basis["ttft_ms"] in ("measured", "between")
    assert again.memory is not None
    assert again.memory.kv_cache_tokens == ANSWERING.kv_cache_tokens
    assert again.performance is not None
    assert again.performance.tpot_ms == pytest.approx(30, rel=0.1)


@pytest.mark.parametrize("model", ["precision: fp8", "kv_cache_dtype: fp8", "max_model_len: 4096", "gpu_memory_utilization: 0.8", "max_num_seqs: 16", "model: meta-llama/Llama-3.1-8B-Instruct", "engine: sglang"])  # fmt: skip
def test_runs_are_of_the_plans_own_configuration_whatever_it_is(model: str, tmp_path: Path) -> None:
    text = SPEC.replace(b"    model: Qwen/Qwen3-8B\n", b"") if model.startswith("model:") else SPEC
    text = text.replace(b"    gpu: L4\n", f"    gpu: H100\n    {model}\n".encode())
    plan = planned(text)
    file = tmp_path / "runs.json"
    endpoint = msgspec.structs.replace(ANSWERING, engine_version=plan.engine.version, max_model_len=None)
    made = bench_record.runs(
        plan, endpoint, [at_once(4)], replicas=1, engine_version=None, generator="aiperf"
    )
    bench_record.save(bench_record.target(file), made)
    again = Planner(tmp_path).plan(load(text + f"measurements: {file}\n".encode(), "spec").spec).models[0]
    bases = {taken.basis for taken in again.measured if taken.figure in ("ttft_ms", "tpot_ms")}
    assert bases
    assert bases <= {"measured", "between", "beyond", "lengths"}
    assert again.memory is not None
    assert again.memory.kv_cache_tokens == ANSWERING.kv_cache_tokens, (
        "with the same settings, it replaces the figure"
    )


def test_what_two_replicas_did_is_recorded_of_one(plan: ModelPlan) -> None:
    run = made_of(plan, at_once(8), replicas=2)[0]
    assert run.workload is not None
    assert run.workload.concurrency == 4
    assert run.measured.output_tokens_per_s == 100
    assert run.measured.ttft_ms == 100


@pytest.mark.parametrize(
    "changed",
    [
        {"failed": 1},
        {"cut_short": True},
        {"requests": 3},
        {"ttft_ms": None},
        {"stage": Stage(name="peak", kind="rate", rate=2.0, seconds=60, requests=100)},
    ],
)
def test_what_says_nothing_of_a_replica_is_left_out(plan: ModelPlan, changed: dict[str, object]) -> None:
    made = made_of(plan, at_once(4, **changed))
    assert [run.workload for run in made] == [None], "only the KV cache is recorded"


def test_the_version_is_the_endpoints_unless_told_otherwise(plan: ModelPlan) -> None:
    assert made_of(plan, at_once(1))[0].engine_version == "0.33.0"
    assert made_of(plan, at_once(1), version="0.32.0")[0].engine_version == "0.32.0"


def test_the_simulator_is_no_measurement_unless_asked(plan: ModelPlan) -> None:
    pretended = msgspec.structs.replace(ANSWERING, engine_version=SIMULATOR)
    assert "simulator" in (bench_record.why_not(plan, pretended, None) or "")
    assert bench_record.why_not(plan, pretended, "0.33.0") is None
    made = bench_record.runs(
        plan, pretended, [at_once(1)], replicas=1, engine_version="0.33.0", generator="aiperf"
    )
    assert "simulator" in (made[0].tool or "")


def test_a_cpu_is_not_recorded() -> None:
    local = planned(
        b"version: 1\nname: a\ntarget: {platform: kind}\nmodels:\n  - name: b\n    model: Qwen/Qwen3-0.6B\n"
        b"    workload: {requests_per_day: 1000, input_tokens: 100, output_tokens: 50}\n"
    )
    assert local.engine.engine == "cpu"
    assert "CPU" in (bench_record.why_not(local, ANSWERING, None) or "")


def test_runs_of_others_are_kept_and_own_ones_replaced(plan: ModelPlan, tmp_path: Path) -> None:
    file = tmp_path / "runs.json"
    bench_record.save(bench_record.target(file), made_of(plan, at_once(1), at_once(8)))
    value = json.loads(file.read_text())
    theirs = value["runs"][0] | {"tool": "vllm bench serve"}
    file.write_text(json.dumps(value | {"runs": [theirs, *value["runs"]]}))
    into = bench_record.target(file)
    assert into.foreign == 1
    assert bench_record.save(into, made_of(plan, at_once(8, ttft_ms=spread(77)))) == 2
    runs = json.loads(file.read_text())["runs"]
    found = [(run["tool"].split()[0], run.get("workload", {}).get("concurrency"), run["measured"].get("ttft_ms")) for run in runs]  # fmt: skip
    assert found == [("vllm", 1, 100), ("homeport", 1, 100), ("homeport", 8, 77), ("homeport", None, None)]


def test_a_file_that_is_none_of_ours_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    file = tmp_path / "notes.json"
    file.write_text('{"groceries": ["milk"]}')
    with pytest.raises(SpecError):
        bench_record.target(file)
    with pytest.raises(HomeportError, match="folder"):
        bench_record.target(tmp_path)
    with pytest.raises(HomeportError, match="folder"):
        bench_record.target(tmp_path / "no" / "runs.json")
    with pytest.raises(HomeportError, match="cannot be written"):
        bench_record.target(Path("/proc/runs.json"))  # a folder that takes no file, not even root's
    assert file.read_text() == '{"groceries": ["milk"]}'


def test_a_file_that_appeared_meanwhile_is_not_overwritten(plan: ModelPlan, tmp_path: Path) -> None:
    file = tmp_path / "runs.json"
    into = bench_record.target(file)
    file.write_text("mine")
    with pytest.raises(FileExistsError):
        bench_record.save(into, made_of(plan, at_once(1)))
    assert file.read_text() == "mine"


def test_planned_stands_next_to_measured(plan: ModelPlan) -> None:
    assert plan.capacity is not None
    answer = compare(
        plan, ANSWERING, [at_once(1), at_once(4)], replicas=1, generator="aiperf", interrupted=False
    )
    assert answer.requests_at_once.planned == plan.capacity.concurrency
    assert answer.requests_at_once.measured == 4
    assert answer.kv_cache_tokens.measured == 100_000
    planned_tpot = [stage.planned.tpot_ms for stage in answer.stages]
    assert planned_tpot[0] is not None
    assert planned_tpot[1] is not None
    assert planned_tpot[0] < planned_tpot[1], "more requests at once are slower"
    assert findings(answer) == []


def test_limits_are_held_to_the_specs_percentile() -> None:
    strict = planned(SPEC + b"    latency: {percentile: p95}\n")
    assert compare(planned(), ANSWERING, [at_once(1)], replicas=1, generator="a", interrupted=False).stages[0].within_limits  # fmt: skip
    answer = compare(strict, ANSWERING, [at_once(1)], replicas=1, generator="a", interrupted=False)
    assert answer.stages[0].within_limits is False, "30 ms on average, 60 at the 95th percentile, at most 50"
    assert answer.requests_at_once.measured == 0
    assert "the plan says" in findings(answer)[0]


def test_requests_at_once_end_where_fewer_already_broke_the_limits(plan: ModelPlan) -> None:
    found = [at_once(2), at_once(4, tpot_ms=spread(80)), at_once(8)]
    assert (
        compare(
            plan, ANSWERING, found, replicas=1, generator="a", interrupted=False
        ).requests_at_once.measured
        == 2
    )


def test_one_slow_answer_is_no_verdict(plan: ModelPlan) -> None:
    answer = compare(plan, ANSWERING, [at_once(1, requests=2, ttft_ms=spread(5000))], replicas=1, generator="a", interrupted=False)  # fmt: skip
    assert answer.stages[0].within_limits is False
    assert answer.requests_at_once.measured is None
    assert findings(answer) == []


def test_failed_requests_are_a_finding(plan: ModelPlan) -> None:
    failed = at_once(4, failed=3, first_error="429 slow down")
    found = findings(compare(plan, ANSWERING, [failed], replicas=1, generator="a", interrupted=False))
    assert found == ["4-at-once: 3 of 43 requests failed: 429 slow down"]


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (at_once(4), "at once     at least 4 measured, {planned} planned"),
        (
            at_once(1, requests=2),
            "at once     not measured (fewer than 5 requests were answered: give --seconds more), ",
        ),
        (
            at_once(4, stage=Stage(name="mean", kind="rate", rate=1.5, seconds=60, requests=99)),
            "at once     not measured (no load kept requests in flight: --concurrency N does), ",
        ),
    ],
)
def test_what_was_not_measured_says_how_it_is(
    plan: ModelPlan, found: Measured, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan.capacity is not None
    view(compare(plan, ANSWERING, [found], replicas=1, generator="a", interrupted=False), Output())
    assert line.format(planned=plan.capacity.concurrency) in capsys.readouterr().out
