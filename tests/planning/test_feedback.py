"""Plans with measured runs: what they override, what they pull at, and that the plan says so."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from homeport.errors import SpecError
from homeport.planning.explain import explain
from homeport.planning.output import plan_values
from homeport.planning.plan import Planner
from homeport.planning.types import ModelPlan
from homeport.sizing.types import Load
from homeport.spec.models import Spec
from tests.planning.helpers import LLAMA_8B, spec

QWEN = "Qwen/Qwen3-8B"
L4 = "gpu: L4\ntensor_parallel_size: 2"


def run(**changes: Any) -> dict[str, Any]:
    made = {
        "model": LLAMA_8B,
        "engine": "vllm",
        "engine_version": "0.33.0",
        "gpu": "L4",
        "tensor_parallel_size": 2,
        "measured_on": "2026-08-01",
        "workload": {"input_tokens": 1000, "output_tokens": 500, "concurrency": 8},
    }
    return made | changes


def planned(
    tmp_path: Path, *runs: dict[str, Any], asked: Spec | None = None, explore: bool = False
) -> ModelPlan:
    (tmp_path / "runs.json").write_text(json.dumps({"schema_version": 1, "runs": runs}), "utf-8")
    whole = asked or spec(more=L4, requests=20_000)
    whole = msgspec.structs.replace(whole, measurements="runs.json")
    return Planner(tmp_path, explore=explore).plan(whole).models[0]


def without(asked: Spec | None = None) -> ModelPlan:
    return Planner(Path()).plan(asked or spec(more=L4, requests=20_000)).models[0]


def used(plan: ModelPlan) -> dict[str, tuple[float, str]]:
    return {taken.figure: (taken.used, taken.basis) for taken in plan.measured}


def at_peak(plan: ModelPlan) -> int:
    """Requests in flight on a replica at the peak, by Little's law."""
    done = plan.performance
    assert done is not None
    assert done.ttft_ms is not None
    assert done.tpot_ms is not None
    seconds = (done.ttft_ms + done.tpot_ms * 500) / 1000
    return -int(-plan.peak_requests_per_s / plan.replicas_planned * seconds // 1)


def test_a_run_at_the_planned_load_is_the_plan(tmp_path: Path) -> None:
    slow = {"ttft_ms": 444.0, "tpot_ms": 44.0}
    runs = [
        run(measured=slow, workload={"input_tokens": 1000, "output_tokens": 500, "concurrency": n})
        for n in range(4, 33)
    ]
    made = planned(tmp_path, *runs)
    assert made.performance is not None
    assert made.performance.ttft_ms == pytest.approx(444.0)
    assert made.performance.tpot_ms == pytest.approx(44.0)
    figures = used(made)
    assert figures["tpot_ms"] == (pytest.approx(44.0), "measured")
    # The rate was not measured: it follows from the latencies.
    n = at_peak(made)
    assert figures["output_tokens_per_s"][0] == pytest.approx(n * 500 / (0.444 + 0.044 * 499))
    assert not any("never measured" in text for text in made.warnings)


def test_a_rate_alone_gives_the_time_per_token(tmp_path: Path) -> None:
    plain = without()
    assert plain.performance is not None
    measured = {"output_tokens_per_s": 150.0}
    made = planned(tmp_path, run(measured=measured))
    assert used(made)["tpot_ms"][0] > plain.performance.tpot_ms  # type: ignore[operator]


def test_memory_and_start_up_are_taken(tmp_path: Path) -> None:
    plain = without()
    assert plain.memory is not None
    assert plain.startup is not None
    same = {"max_model_len": 8192}
    figures = {"kv_cache_tokens": 150_000, "weights_gib_per_gpu": 8.25, "ready_s": 200.0}
    made = planned(tmp_path, run(measured=figures, settings=same, storage="hub"))
    assert made.memory is not None
    assert made.startup is not None
    assert made.memory.kv_cache_tokens == 150_000
    assert made.memory.weights_gib == 8.25
    assert made.startup.ready_s == pytest.approx(200.0)
    assert sum(
        s or 0
        for s in (
            made.startup.download_s,
            made.startup.weights_load_s,
            made.startup.init_engine_s,
            made.startup.rest_s,
        )
    ) == pytest.approx(200.0)
    assert {basis for _, basis in used(made).values()} == {"measured"}
    # A larger share of memory leaves the difference as it is.
    more = {"gpu_memory_utilization": 0.95, "max_model_len": 8192}
    other = planned(tmp_path, run(measured={"kv_cache_tokens": 150_000}, settings=more))
    assert other.memory is not None
    assert other.memory.kv_cache_tokens < 150_000
    assert used(other)["kv_cache_tokens"][1] == "settings"
    # Another kind of storage says nothing of this start.
    elsewhere = planned(tmp_path, run(measured={"ready_s": 200.0}, storage="nvme"))
    assert elsewhere.startup == plain.startup


@pytest.mark.parametrize(
    "changes",
    [
        {"model": QWEN},
        {"tensor_parallel_size": 1},
        {"kv_cache_dtype": "fp8"},
        {"precision": "fp8"},
        {"checkpoint": "RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w8a8"},
    ],
)
def test_other_configurations_only_pull(tmp_path: Path, changes: dict[str, Any]) -> None:
    plain = without()
    made = planned(tmp_path, run(measured={"tpot_ms": 70.0, "ttft_ms": 2000.0}, **changes))
    figures = used(made)
    assert figures["tpot_ms"][1] == "others"
    assert "ttft_ms" not in figures
    assert plain.performance is not None
    assert plain.performance.tpot_ms is not None
    assert plain.performance.tpot_ms < figures["tpot_ms"][0] < plain.performance.tpot_ms * 1.2


def test_another_version_counts_for_its_lengths_with_a_wide_interval(tmp_path: Path) -> None:
    patient = spec(more=f"{L4}\nlatency: {{tpot_ms: 90}}", requests=20_000)
    plain = without(patient)
    assert plain.performance is not None
    assert plain.performance.tpot_ms is not None
    wide = plain.performance.tpot_ms_interval
    assert wide is not None
    figures = {"tpot_ms": 60.0, "kv_cache_tokens": 100_000}
    made = planned(tmp_path, run(engine_version="0.32.0", measured=figures), asked=patient)
    taken = {figure.figure: figure for figure in made.measured}
    tpot = taken["tpot_ms"]
    assert tpot.basis == taken["kv_cache_tokens"].basis == "version"
    assert tpot.used > plain.performance.tpot_ms * 1.3
    assert tpot.used_interval is not None
    assert tpot.used_interval[1] / tpot.used_interval[0] == pytest.approx(wide[1] / wide[0])
    # With other lengths it is one configuration among others.
    longer = {"input_tokens": 4000, "output_tokens": 500, "concurrency": 8}
    other = planned(tmp_path, run(engine_version="0.32.0", measured=figures, workload=longer))
    assert used(other)["tpot_ms"][1] == "others"


@pytest.mark.parametrize(
    "changes",
    [{"gpu": "L40S"}, {"engine": "sglang", "engine_version": "0.5.23"}, {"model": "nobody/knows-this"}],
)
def test_what_says_nothing_changes_nothing_and_the_plan_says_so(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    made = planned(tmp_path, run(measured={"tpot_ms": 70.0, "kv_cache_tokens": 9000}, **changes))
    plain = without()
    assert made.measured == ()
    assert (made.performance, made.memory, made.startup) == (plain.performance, plain.memory, plain.startup)
    said = [text for text in made.warnings if text.startswith("runs.json")]
    assert any("predicted, not measured" in text for text in said)
    assert any("nobody/knows-this" in text for text in said) == (changes.get("model") is not None)


def test_measured_slowness_changes_the_choice(tmp_path: Path) -> None:
    free = spec(requests=20_000)
    assert without(free).gpu is not None
    first = without(free)
    assert first.gpu is not None
    slow = run(
        gpu=first.gpu.id,
        tensor_parallel_size=first.settings.tensor_parallel_size,
        measured={"tpot_ms": 400.0, "ttft_ms": 400.0},
    )
    made = planned(tmp_path, slow, asked=free, explore=True)
    assert (made.gpu, made.settings) != (first.gpu, first.settings)
    (lost,) = (o for o in made.considered if o.measured)
    assert lost.gpu == first.gpu.id
    assert not lost.chosen
    assert "over the limit" in lost.reason


def test_a_run_of_a_quantised_checkpoint_corrects_that_option(tmp_path: Path) -> None:
    checkpoint = "RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w8a8"
    made = planned(
        tmp_path, run(checkpoint=checkpoint, measured={"tpot_ms": 20.0, "ttft_ms": 100.0}), explore=True
    )
    assert [o.checkpoint for o in made.considered if o.measured] == [checkpoint]


def test_planned_and_measured_stand_side_by_side(tmp_path: Path) -> None:
    made = planned(tmp_path, run(measured={"tpot_ms": 44.0, "ttft_ms": 444.0, "kv_cache_tokens": 150_000}))
    section = explain(made)[0]
    assert section.title == "Measured against predicted"
    by_name = {term.name: term for term in section.terms}
    assert by_name.keys() == {"tpot_ms", "ttft_ms", "output_tokens_per_s", "kv_cache_tokens"}
    for taken in made.measured:
        term = by_name[taken.figure]
        assert term.value == taken.used
        assert f"{taken.predicted:,.4g}" in term.formula
        assert "runs.json" in term.source
        assert "2026-08-01" in term.source
        assert "one run" in term.source


def test_json_says_what_was_taken(tmp_path: Path) -> None:
    (tmp_path / "runs.json").write_text(
        json.dumps({"schema_version": 1, "runs": [run(measured={"tpot_ms": 44.0})]}), "utf-8"
    )
    whole = msgspec.structs.replace(spec(more=L4, requests=20_000), measurements="runs.json")
    values = plan_values(Planner(tmp_path).plan(whole))["models"][0]["measured"]
    assert values["file"] == "runs.json"
    (figure,) = (f for f in values["figures"] if f["figure"] == "tpot_ms")
    assert figure["runs"] == 1
    assert figure["measured_on"] == "2026-08-01"
    assert figure["used_interval"][0] < figure["used"] < figure["used_interval"][1]
    assert plan_values(Planner(tmp_path).plan(spec()))["models"][0]["measured"] is None


def test_fleets_read_the_file_once_and_errors_keep_their_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planner = Planner(tmp_path)
    path = tmp_path / "runs.json"
    path.write_text(json.dumps({"schema_version": 1, "runs": [run(measured={"tpot_ms": 44.0})]}), "utf-8")
    whole = msgspec.structs.replace(spec(), measurements="runs.json")
    planner.plan(whole)
    path.unlink()
    planner.plan(whole)
    with pytest.raises(SpecError, match="there is no such file"):
        Planner(tmp_path).plan(whole)
    path.write_text('{"schema_version": 1, "runs": [{}]}', "utf-8")
    with pytest.raises(SpecError) as caught:
        Planner(tmp_path).plan(whole)
    assert caught.value.source is not None


def test_without_a_file_nothing_of_it_is_imported() -> None:
    code = (
        "import sys; from pathlib import Path; from tests.planning.helpers import spec\n"
        "from homeport.planning.plan import Planner; Planner(Path(), explore=True).plan(spec())\n"
        "assert not {'homeport.planning.feedback', 'homeport.sizing.measured', 'homeport.sizing.measurements'}"
        " & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_the_option_s_path_starts_where_the_command_does(tmp_path: Path) -> None:
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "homeport.yaml").write_text(
        "version: 1\nname: a\ntarget: {platform: gke}\nmeasurements: none.json\nmodels:\n"
        f"  - {{name: m, model: {LLAMA_8B}, gpu: L4, tensor_parallel_size: 2,\n"
        "     workload: {requests_per_day: 20000, input_tokens: 1000, output_tokens: 500}}\n",
        "utf-8",
    )
    (tmp_path / "runs.json").write_text(
        json.dumps({"schema_version": 1, "runs": [run(measured={"tpot_ms": 44.0})]}), "utf-8"
    )
    for command in ("plan", "cost", "render"):
        form = ["-o", "-"] if command == "render" else []
        ran = subprocess.run(
            [sys.executable, "-m", "homeport", command, "-f", "specs/homeport.yaml", "--measurements", "runs.json", *form],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        if command == "plan":
            assert "runs.json" in ran.stdout
            assert str(tmp_path) not in ran.stdout


def test_predictions_of_runs_are_those_of_plans(tmp_path: Path) -> None:
    """A run that measured exactly what is predicted changes no figure."""
    plain = without()
    from homeport.sizing.throughput import predict

    assert plain.gpu is not None
    assert plain.memory is not None
    load = Load(input_tokens=1000, output_tokens=500, concurrency=8)
    expected = predict(
        plain.source.architecture, plain.gpu, plain.settings, load, plain.memory.kv_cache_tokens
    )
    made = planned(
        tmp_path,
        run(
            measured={
                "ttft_ms": expected.ttft_ms,
                "tpot_ms": expected.tpot_ms,
                "output_tokens_per_s": expected.output_tokens_per_s,
                "kv_cache_tokens": plain.memory.kv_cache_tokens,
            },
            settings={"max_model_len": 8192},
        ),
    )
    for taken in made.measured:
        assert taken.used == pytest.approx(taken.predicted, rel=1e-6)
    assert made.usd_per_month == plain.usd_per_month


def test_runs_that_no_such_gpu_can_have_done_are_held_and_named(tmp_path: Path) -> None:
    made = planned(tmp_path, run(measured={"tpot_ms": 1.0, "ttft_ms": 5.0}))
    assert made.measured
    assert all(taken.capped for taken in made.measured)
    assert any("data sheet" in text for text in made.warnings)
    for taken in made.measured:
        assert taken.used_interval is not None
        fastest = taken.used_interval[taken.figure == "output_tokens_per_s"]
        assert fastest == taken.used
