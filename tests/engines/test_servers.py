import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from homeport.engines.flags import Reader
from homeport.engines.registry import flags, module, release, releases, server
from homeport.engines.types import AdapterMount, Launch, Release, Server
from homeport.errors import SpecError
from homeport.spec.models import ModelSpec

PLAIN = Launch(model="meta-llama/Llama-3.1-8B-Instruct", served_name="assistant", max_model_len=8192)
ADAPTERS = (
    AdapterMount(name="legal", path="/adapters/legal", rank=12),
    AdapterMount(name="sales", path="/adapters/sales", rank=64),
)
DATA = Path(__file__).parent / "data"
EACH = pytest.mark.parametrize("one", releases(), ids=lambda r: f"{r.engine}-{r.version}")
# vLLM and trtllm take the model as a positional argument, the first.
POSITIONAL = {"vllm", "cpu", "trtllm"}


def served(one: Release, launches: list[Launch]) -> list[tuple[Launch, Server]]:
    """The launches of the matrix that the engine can do."""
    found = []
    for launch in launches:
        try:
            found.append((launch, server(one, launch)))
        except SpecError:
            continue
    return found


def change(**changes: Any) -> Launch:
    return msgspec.structs.replace(PLAIN, **changes)


@EACH
def test_every_argument_stands_in_the_versions_flags(one: Release, launches: list[Launch]) -> None:
    made = served(one, launches)
    assert len(made) >= 16
    for launch, result in made:
        for args in (result.args, result.worker_args or ()):
            rest = args[1:] if one.engine in POSITIONAL and args else args
            reader = Reader(one, flags(one.flags_file), {}, quoted=one.engine != "tgi")
            reader.read(rest)
            assert not reader.problems, (launch, reader.problems)
            # What changes the sizing is noted too, and may be meant; a deprecated flag never is.
            assert all("does not count with it" in note for note in reader.notes)


@EACH
def test_flags_that_homeport_renders_are_its_own(one: Release, launches: list[Launch]) -> None:
    """Whatever a server is started with, a user cannot give a second time."""
    listed = flags(one.flags_file)
    owned = module(one.engine).OWNED
    known = {name for flag in listed.flags for name in (*flag.names, *flag.hidden)}
    unknown = {name for name in owned if name not in known}
    assert not unknown
    by_name = {name: flag for flag in listed.flags for name in flag.names}
    for _, result in served(one, launches):
        for arg in result.args:
            name = arg.partition("=")[0]
            if name.startswith("--"):
                flag = by_name[name]
                # What must be there for metrics and privacy may be repeated: it changes nothing.
                assert any(n in owned for n in flag.names), name


@EACH
def test_what_an_engine_cannot_do_is_an_error_with_a_field(one: Release, launches: list[Launch]) -> None:
    names = {f.name for f in msgspec.structs.fields(ModelSpec)}
    for launch in launches:
        try:
            server(one, launch)
        except SpecError as error:
            for problem in error.problems:
                assert problem.path[0] in names
                assert problem.message


@EACH
def test_a_drain_outlasts_the_longest_request(one: Release) -> None:
    for seconds in (1.0, 44.9, 60.0, 299.5):
        drain = server(one, change(longest_request_s=seconds)).drain
        assert drain.pre_stop_s >= 5
        assert drain.grace_s >= max(60, drain.pre_stop_s + seconds + 5)
        if drain.shutdown_s is not None:
            assert drain.shutdown_s >= seconds
            assert drain.grace_s >= drain.pre_stop_s + drain.shutdown_s + 5


@EACH
def test_nothing_is_written_outside_writable_folders(one: Release) -> None:
    for launch in (PLAIN, change(model="/models")):
        result = server(one, launch)
        writable = [w.path for w in result.writable]
        assert "/tmp" in writable
        for name in ("HOME", "HF_HOME", "TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "XDG_CACHE_HOME", "VLLM_CACHE_ROOT",
                     "VLLM_CONFIG_ROOT", "SGLANG_CACHE_DIR"):  # fmt: skip
            if name in result.env:
                assert any(result.env[name] == p or result.env[name].startswith(p + "/") for p in writable), (
                    name
                )
        if one.engine != "simulator":
            assert {"HOME", "HF_HOME"} <= set(result.env)
            memory = [w for w in result.writable if w.memory_backed]
            assert [w.path for w in memory] == ["/dev/shm"]
            assert result.shm_gib > 0


@EACH
def test_no_secret_is_rendered(one: Release) -> None:
    if one.engine == "trtllm":
        with pytest.raises(SpecError) as refused:
            server(one, change(api_key_env=True))
        assert refused.value.problems[0].path == ("api_key",)
        return
    result = server(one, change(api_key_env=True))
    assert result.api_key_variable
    assert result.api_key_variable not in result.env
    keyed = [a for a in result.args if a.startswith("--api-key")]
    assert all(a == f"--api-key=$({result.api_key_variable})" for a in keyed)
    assert server(one, PLAIN).api_key_variable is None


@EACH
def test_nobody_is_told_that_it_runs(one: Release) -> None:
    result = server(one, PLAIN)
    if one.engine != "simulator":
        assert result.env["DO_NOT_TRACK"] == "1"
        assert result.env["HF_HUB_DISABLE_TELEMETRY"] == "1"
    expected = {"vllm": {"VLLM_NO_USAGE_STATS": "1"}, "trtllm": {"TRTLLM_NO_USAGE_STATS": "1"}}.get(
        one.engine, {}
    )
    assert expected.items() <= result.env.items()
    assert ("--usage-stats=off" in result.args) == (one.engine == "tgi")


@EACH
def test_offline_means_that_the_hub_is_not_asked(one: Release) -> None:
    if one.engine == "simulator":
        return
    assert server(one, change(model="/models", offline=True)).env["HF_HUB_OFFLINE"] == "1"
    assert "HF_HUB_OFFLINE" not in server(one, PLAIN).env


@EACH
def test_every_server_can_be_reached_from_other_pods(one: Release) -> None:
    result = server(one, PLAIN)
    assert f"--port={result.port}" in result.args
    # Ports below 1024 are closed to a container that is not root.
    assert result.port >= 1024
    # These listen on localhost, or on what HOSTNAME says, unless told.
    told = {"sglang": "--host=0.0.0.0", "trtllm": "--host=0.0.0.0", "tgi": "--hostname=0.0.0.0"}.get(
        one.engine
    )
    assert told is None or told in result.args
    # The images of SGLang and TensorRT-LLM start nothing that serves.
    assert (result.command is None) == (one.engine in ("vllm", "cpu", "tgi"))


@EACH
def test_users_arguments_come_last(one: Release) -> None:
    result = server(one, change(extra_args=("--seed=1", "--verbose")))
    assert result.args[-2:] == ("--seed=1", "--verbose")


def test_vllm_on_two_nodes() -> None:
    result = server(
        release("vllm"),
        change(tensor_parallel_size=8, pipeline_parallel_size=2, nodes=2, extra_args=("--seed=1",)),
    )
    assert result.worker_args is not None
    assert set(result.worker_args) - set(result.args) == {"--headless"}
    for arg in (
        "--nnodes=$(LWS_GROUP_SIZE)",
        "--node-rank=$(LWS_WORKER_INDEX)",
        "--master-addr=$(LWS_LEADER_ADDRESS)",
    ):
        assert arg in result.args
    # A headless node has no HTTP port.
    assert not result.worker_has_http
    assert any("TCP" in w for w in result.warnings)
    assert server(release("vllm"), PLAIN).worker_args is None


def test_sglang_on_two_nodes() -> None:
    result = server(release("sglang"), change(tensor_parallel_size=16, nodes=2))
    assert result.worker_args == result.args
    assert "--dist-init-addr=$(LWS_LEADER_ADDRESS):5000" in result.args
    assert result.worker_has_http


def test_sglang_generates_a_token_only_where_the_probe_waits_for_it() -> None:
    result = server(release("sglang"), PLAIN)
    assert result.env["SGLANG_ENABLE_HEALTH_ENDPOINT_GENERATION"] == "false"
    assert result.liveness is not None
    assert result.liveness.path == "/health"
    assert result.readiness.path == "/health_generate"
    assert result.readiness.timeout_s > 20
    assert result.readiness.period_s >= result.readiness.timeout_s


def test_liveness_only_where_it_helps() -> None:
    alive = {r.engine for r in releases() if server(r, PLAIN).liveness is not None}
    assert alive == {"sglang", "trtllm"}


@pytest.mark.parametrize("version", ["0.32.0", "0.33.0"])
def test_vllm_adapters(version: str) -> None:
    args = server(release("vllm", version), change(adapters=ADAPTERS)).args
    assert "--max-lora-rank=64" in args
    assert "--max-loras=2" in args
    at = args.index("--lora-modules")
    assert args[at + 1 : at + 3] == ("legal=/adapters/legal", "sales=/adapters/sales")
    with pytest.raises(SpecError):
        server(release("vllm", version), change(adapters=(msgspec.structs.replace(ADAPTERS[0], rank=600),)))


def test_trtllm_gets_its_options_as_a_file() -> None:
    result = server(release("trtllm"), change(kv_cache_dtype="fp8", memory_fraction=0.8, max_model_len=32768))
    ((path, text),) = result.files.items()
    assert f"--extra_llm_api_options={path}" in result.args
    assert yaml.safe_load(text) == {
        "return_perf_metrics": True,
        "enable_chunked_prefill": True,
        "kv_cache_config": {"free_gpu_memory_fraction": 0.8, "dtype": "fp8"},
    }
    assert result.metrics.path == "/prometheus/metrics"
    assert yaml.safe_load(next(iter(server(release("trtllm"), PLAIN).files.values()))) == {
        "return_perf_metrics": True
    }


def test_trtllm_says_under_what_name_it_answers() -> None:
    assert "'meta-llama/Llama-3.1-8B-Instruct'" in server(release("trtllm"), PLAIN).warnings[0]
    assert not server(release("trtllm"), change(model="/models/assistant")).warnings


def test_tgi_refuses_what_its_entrypoint_would_split() -> None:
    with pytest.raises(SpecError, match="unquoted"):
        server(release("tgi"), change(extra_args=("--tokenizer-config-path=/a b",)))
    with pytest.raises(SpecError, match="unquoted"):
        server(release("tgi"), change(model="/models/my model"))


def test_the_cpu_engine_sizes_its_cache_by_a_variable() -> None:
    result = server(release("cpu"), change(cpu_kv_cache_gib=2, memory_fraction=0.9))
    assert result.env["VLLM_CPU_KVCACHE_SPACE"] == "2"
    assert not any(a.startswith("--gpu-memory-utilization") for a in result.args)
    assert "cpu" in result.image


def test_metric_names_stand_in_the_engines_source() -> None:
    facts = json.loads((DATA / "metrics_in_source.json").read_text())
    for version, known in facts.items():
        engine, number = version.split()
        metrics = msgspec.to_builtins(release(engine, number).metrics)
        named = {v for v in metrics.values() if isinstance(v, str) and ":" in v}
        assert named == set(known)
        for field, kind in (("waiting", "gauge"), ("running", "gauge"), ("ttft", "histogram"), ("inter_token", "histogram"),
                            ("e2e", "histogram"), ("prompt_tokens_total", "counter"), ("requests_total", "counter")):  # fmt: skip
            assert known[metrics[field]]["type"] == kind


def test_a_running_vllm_shows_the_series_and_labels() -> None:
    text = (DATA / "vllm-0.32.0-metrics.txt").read_text()
    metrics = release("vllm", "0.32.0").metrics
    for name in (metrics.waiting, metrics.running, metrics.kv_cache_usage, metrics.prompt_tokens_total,
                 metrics.generation_tokens_total, metrics.requests_total):  # fmt: skip
        assert re.search(rf'^{name}\{{.*{metrics.model_label}="tiny".*\}} ', text, re.M), name
    for name in (metrics.ttft, metrics.inter_token, metrics.e2e):
        assert re.search(rf'^{name}_bucket\{{.*{metrics.model_label}="tiny".*\}} ', text, re.M), name


def test_trtllm_has_no_queue_to_scale_on() -> None:
    metrics = release("trtllm").metrics
    assert metrics.waiting is None
    assert metrics.running is None
    assert metrics.kv_cache_usage is None
    assert metrics.model_label is None


def test_the_simulator_keeps_the_time_of_the_planned_model() -> None:
    args = server(release("simulator"), change(simulated_ttft_ms=233.5240752, simulated_tpot_ms=24.0)).args
    assert "--ttft-ms=233.5" in args
    assert "--tpot-ms=24.0" in args
    assert not any(a.startswith("--ttft-ms") for a in server(release("simulator"), PLAIN).args)


@EACH
def test_one_rank_leaves_a_small_machine_its_memory(one: Release) -> None:
    """8 GiB for the processes of one GPU and /dev/shm must fit the 16 GiB of the smallest GPU machines."""
    assert server(one, PLAIN).shm_gib <= 2
