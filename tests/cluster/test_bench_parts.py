"""The parts of a benchmark: which loads, which prompts, what an endpoint says, and what the generator's records mean."""

import random
from pathlib import Path

import msgspec
import pytest

from homeport.cluster import bench_endpoint, bench_prompts, bench_results, bench_stages
from homeport.cluster.bench_generator import config, of_stage
from homeport.cluster.bench_results import Record
from homeport.cluster.bench_types import Endpoint, Stage
from homeport.engines import registry
from homeport.errors import EnvironmentProblem, HomeportError, NotFoundError
from homeport.planning.plan import Planner
from homeport.planning.types import ModelPlan
from homeport.spec.load import load
from tests.cluster.endpoint import endpoint

RECORDED = Path(__file__).parent / "data" / "aiperf-0.13.0.jsonl"
"""Of aiperf 0.13.0 against the simulator (80 ms, 12 ms a token): a warm-up, twelve of four at once, two refused ones."""
VLLM = 'vllm:cache_config_info{block_size="16",engine="0",kv_cache_size_tokens="1048576",num_gpu_blocks="65536"} 1.0\n'
SPEC = b"""
version: 1
name: support
target: {platform: gke, region: us-central1}
models:
  - name: assistant
    model: Qwen/Qwen3-8B
    gpu: L4
    workload: {requests_per_day: 60000, input_tokens: 200, output_tokens: 50}
"""


def planned(text: bytes = SPEC) -> ModelPlan:
    return Planner(Path()).plan(load(text, "spec").spec).models[0]


@pytest.fixture(scope="module")
def plan() -> ModelPlan:
    return planned()


ANSWERING = Endpoint(
    url="http://127.0.0.1:8000", served_name="assistant", max_model_len=8192, engine_version="0.33.0",
    kv_cache_tokens=100_000, tokens_per_word=1.25, tokens_per_prompt=8.0, counts_tokens=True,
)  # fmt: skip


def test_stages_are_the_plans_mean_its_peak_and_steps_to_its_capacity(plan: ModelPlan) -> None:
    made, notes = bench_stages.stages(plan, replicas=1, seconds=60, most_requests=10_000)
    assert plan.capacity is not None
    assert not notes
    mean = 60_000 / 86_400 / plan.replicas_planned
    assert [stage.rate for stage in made[:2]] == pytest.approx([mean, 3 * mean])
    at_once = [stage.concurrency for stage in made[2:]]
    assert at_once[0] == 1
    assert at_once[-1] == plan.capacity.concurrency
    assert at_once == sorted(set(at_once), key=lambda n: n or 0)


def test_two_replicas_get_twice_the_load(plan: ModelPlan) -> None:
    one = bench_stages.stages(plan, replicas=1, seconds=60, most_requests=10_000)[0]
    two = bench_stages.stages(plan, replicas=2, seconds=60, most_requests=10_000)[0]
    assert [2 * (a.rate or a.concurrency or 0) for a in one] == [b.rate or b.concurrency for b in two]


def test_a_rate_too_low_for_its_time_is_left_out_and_named() -> None:
    rare = planned(SPEC.replace(b"60000", b"100"))
    made, notes = bench_stages.stages(rare, replicas=1, seconds=30, most_requests=1000)
    assert all(stage.kind == "concurrency" for stage in made)
    assert any("mean" in note and "0.0" in note for note in notes)


def test_no_stage_sends_more_than_it_may(plan: ModelPlan) -> None:
    made, _ = bench_stages.stages(plan, replicas=1, seconds=600, most_requests=50)
    assert max(stage.requests for stage in made) == 50


def test_a_stage_lasts_several_requests(plan: ModelPlan) -> None:
    long = planned(SPEC.replace(b"output_tokens: 50", b"output_tokens: 2000"))
    made, _ = bench_stages.stages(long, replicas=1, seconds=None, most_requests=1000)
    one = bench_stages.request_s(long)
    assert one is not None
    assert made[0].seconds == pytest.approx(min(4 * one, 300))


def test_the_busiest_time_of_a_trace(tmp_path: Path) -> None:
    calm = [f"2023-11-16 18:00:{s:02}.0000000,100,10" for s in range(0, 30, 5)]
    busy = [f"2023-11-16 18:01:{s:02}.0000000,{200 + s},20" for s in range(10)]
    file = tmp_path / "t.csv"
    file.write_text("\n".join(["TIMESTAMP,ContextTokens,GeneratedTokens", *calm, *busy]) + "\n")
    stage = Stage(name="trace", kind="trace", seconds=10, requests=100)
    assert bench_stages.busiest(file, stage, 1.0) == [(float(s), 200.0 + s, 20.0) for s in range(10)]
    half = bench_stages.busiest(file, stage, 0.5)
    assert [at for at, _, _ in half] == [1, 3, 5, 7, 9]


@pytest.mark.parametrize("ratio", [1.0, 1.5, 2.0, 8.0])
def test_lengths_have_the_mean_and_the_percentile(ratio: float) -> None:
    found = bench_prompts.factors(2000, ratio, random.Random(1))
    assert sum(found) / len(found) == pytest.approx(1)
    assert sum(found[:20]) / 20 == pytest.approx(1)
    # Twenty slices: the highest stands for the 97.5th percentile, a little below the 99th.
    assert ratio * 0.6 < max(found) <= ratio * 1.05


def test_prompts_have_the_wanted_tokens_and_no_two_begin_alike(plan: ModelPlan) -> None:
    made = bench_prompts.prompts(plan.spec, ANSWERING, 200, 1)
    tokens = [8 + 1.25 * len(prompt.text.split()) for prompt in made]
    assert sum(tokens) / len(tokens) == pytest.approx(200, rel=0.01)
    assert sum(prompt.output_tokens for prompt in made) / len(made) == pytest.approx(50, rel=0.02)
    assert len({tuple(prompt.text.split()[:8]) for prompt in made}) == len(made)
    assert made == bench_prompts.prompts(plan.spec, ANSWERING, 200, 1)


def test_no_prompt_is_longer_than_the_endpoint_takes() -> None:
    long = planned(SPEC.replace(b"input_tokens: 200", b"input_tokens: 3000"))
    small = msgspec.structs.replace(ANSWERING, max_model_len=1000)
    for prompt in bench_prompts.prompts(long.spec, small, 100, 1):
        assert 8 + 1.25 * len(prompt.text.split()) + prompt.output_tokens < 1000


@pytest.mark.parametrize(
    ("metrics", "tokens"),
    [
        (VLLM, 1_048_576),
        (VLLM + VLLM.replace('engine="0"', 'engine="1"'), 2_097_152),
        ('vllm:cache_config_info{block_size="16",num_gpu_blocks="100"} 1.0\n', 1600),
        ('sglang:max_total_num_tokens{tp_rank="0"} 471258.0\nsglang:max_total_num_tokens{tp_rank="1"} 471258.0\n', 471_258),
        ("# HELP vllm:cache_config_info x\nprocess_open_fds 3\n", None),
        ('vllm:cache_config_info{num_gpu_blocks="None"} 1.0\n', None),
    ],
)  # fmt: skip
def test_the_size_of_the_cache_is_read_from_metrics(metrics: str, tokens: int | None) -> None:
    assert bench_endpoint.kv_cache_tokens(metrics) == tokens


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://h/v1/", "http://h"),
        ("https://h:8443/llm/v1?x=1", "https://h:8443/llm"),
    ],
)
def test_an_address_is_taken_with_or_without_v1(given: str, used: str) -> None:
    assert bench_endpoint.base_url(given) == used


@pytest.mark.parametrize("bad", ["127.0.0.1:8000", "ftp://h", "http://", "http://u:secret@h", "http://h:99999", "http://${X}"])  # fmt: skip
def test_no_address_and_no_password_in_one(bad: str) -> None:
    with pytest.raises(HomeportError) as caught:
        bench_endpoint.base_url(bad)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "own"), [("http://127.0.0.1:1", True), ("http://[::1]:1", True), ("http://localhost", True), ("http://10.0.0.1", False), ("https://localhost.example.com", False)]
)  # fmt: skip
def test_loopback(url: str, own: bool) -> None:
    assert bench_endpoint.is_loopback(url) is own


def test_the_endpoint_is_asked_for_itself() -> None:
    args = (
        "--served-model-name",
        "assistant",
        "--max-model-len",
        "4096",
        "--kv-cache-tokens",
        "50000",
        "--ttft-ms",
        "1",
    )
    with endpoint(*args) as url:
        found = bench_endpoint.ask(url, "assistant", registry.release("vllm"), None)
        # The simulator counts four characters as a token, and four tokens for each message.
        text = bench_prompts.text(bench_prompts.words_for(1000, found), random.Random(5))
        assert len(text) / 4 + 4 == pytest.approx(1000, rel=0.1)
        with pytest.raises(NotFoundError, match="assistant"):
            bench_endpoint.ask(url, "asistant", registry.release("vllm"), None)
    assert (found.max_model_len, found.kv_cache_tokens) == (4096, 50_000)
    assert found.engine_version == bench_endpoint.SIMULATOR
    assert found.counts_tokens


def test_the_key_is_asked_for_and_not_repeated() -> None:
    with endpoint("--served-model-name", "a", "--ttft-ms", "1", env={"VLLM_API_KEY": "right"}) as url:
        assert bench_endpoint.ask(url, "a", registry.release("vllm"), "right").served_name == "a"
        with pytest.raises(EnvironmentProblem, match="asks for a key"):
            bench_endpoint.ask(url, "a", registry.release("vllm"), None)
        with pytest.raises(EnvironmentProblem, match="refuses the key") as caught:
            bench_endpoint.ask(url, "a", registry.release("vllm"), "wrong-one")
    assert "wrong-one" not in f"{caught.value} {caught.value.help}"


def test_nobody_answers() -> None:
    with endpoint() as url:
        pass
    with pytest.raises(EnvironmentProblem, match="nobody answers"):
        bench_endpoint.ask(url, "a", registry.release("vllm"), None)


FOUR = Stage(name="c4", kind="concurrency", concurrency=4, seconds=30, requests=30)


def recorded() -> list[Record]:
    return bench_results.read_records(RECORDED)


def test_recorded_output_of_the_generator_is_read() -> None:
    records = recorded()
    assert len(records) == 14, "the warm-up's is left out"
    refused = [record for record in records if record.error]
    assert len(refused) == 2
    assert all("`wrong` does not exist" in (record.error or "") for record in refused)
    found = bench_results.measured(FOUR, [record for record in records if not record.error])
    assert (found.requests, found.failed) == (12, 0)
    assert found.ttft_ms is not None
    assert found.tpot_ms is not None
    assert found.ttft_ms.mean == pytest.approx(80, rel=0.2)
    assert found.tpot_ms.mean == pytest.approx(12, rel=0.2)
    assert found.ttft_ms.p50 <= found.ttft_ms.p90 <= found.ttft_ms.p95 <= found.ttft_ms.p99
    assert found.input_tokens == pytest.approx(225, rel=0.05)


def test_failures_are_counted_and_named() -> None:
    found = bench_results.measured(FOUR, recorded())
    assert (found.requests, found.failed) == (12, 2)
    assert found.first_error is not None
    assert "does not exist" in found.first_error


def test_nothing_measured_is_unknown_and_never_zero() -> None:
    found = bench_results.measured(FOUR, [record for record in recorded() if record.error])
    assert found.requests == 0
    assert (found.ttft_ms, found.tpot_ms, found.output_tokens_per_s, found.in_flight) == (None,) * 4


def steady(users: int, ttft: float, tpot: float, tokens: int, rounds: int) -> list[Record]:
    """`users` who each send one request after the other, all alike."""
    whole = ttft + tpot * (tokens - 1)
    return [
        Record(
            stage="s", start=user * whole / users + turn * whole, first=user * whole / users + turn * whole + ttft,
            end=user * whole / users + (turn + 1) * whole, input_tokens=100, output_tokens=tokens, error=None,
        )
        for user in range(users)
        for turn in range(rounds)
    ]  # fmt: skip


def test_a_steady_load_gives_its_own_rate_whatever_its_end() -> None:
    # Little's law: users / seconds of a request x its tokens. The last round ends with fewer and fewer in flight.
    found = bench_results.measured(FOUR, steady(8, 0.2, 0.02, 51, 12))
    assert found.in_flight is not None
    assert found.in_flight == pytest.approx(8, rel=0.06)
    assert found.output_tokens_per_s == pytest.approx(8 * 51 / 1.2, rel=0.06)


def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    lines = RECORDED.read_text("utf-8")
    file.write_text(lines + lines.splitlines()[1][:300], "utf-8")
    assert len(bench_results.read_records(file)) == 14


def test_records_of_another_form_are_said_to_be(tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    file.write_text('{"latency": 3}\n' + RECORDED.read_text("utf-8"), "utf-8")
    with pytest.raises(EnvironmentProblem, match="line 1 of the load generator's records"):
        bench_results.read_records(file)


def test_the_generators_configuration_carries_no_key_and_keeps_answers_long(tmp_path: Path) -> None:
    stages = [FOUR, Stage(name="rate-0.5", kind="rate", rate=0.5, seconds=9, requests=9)]
    made = config(ANSWERING, "vllm", stages, tmp_path, with_key=True)["benchmark"]
    assert made["endpoint"]["api_key"] == "${HOMEPORT_BENCH_KEY}"
    assert made["endpoint"]["extra"] == {"ignore_eos": True}
    phases = made["phases"]
    assert [p["kind"] for p in phases] == ["warmup", "profiling", "profiling"]
    assert phases[2]["type"] == "poisson"
    name = phases[2]["name"]
    assert of_stage([Record(stage=name, start=0, end=1, first=None, input_tokens=None, output_tokens=None, error=None)], stages[1])  # fmt: skip
    assert config(ANSWERING, "tgi", stages, tmp_path, with_key=False)["benchmark"]["endpoint"]["extra"] == {}
