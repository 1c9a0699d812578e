"""What `auto` means, what cannot work and by how much, and plans without a GPU."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from homeport.catalog.architecture import architecture
from homeport.catalog.models import config
from homeport.errors import SpecError
from homeport.planning.explain import explain
from homeport.planning.output import plan_values
from homeport.planning.plan import plan
from homeport.planning.precision import own_label
from homeport.spec.load import load
from tests.planning.helpers import LLAMA_70B, spec


def problem_of(text: str, platform: str = "gke", model: str = LLAMA_70B, requests: float = 100_000) -> str:
    with pytest.raises(SpecError) as caught:
        plan(spec(model, platform, more=text, requests=requests), base_dir=Path())
    found = caught.value.problems[0]
    return f"{'.'.join(map(str, found.path))}: {found.message} | {found.help}"


def test_context_is_the_next_power_of_two_never_just_the_limit() -> None:
    made = plan(spec(LLAMA_70B), base_dir=Path()).models[0]
    assert made.launch.max_model_len == 8192
    longer = plan(spec(LLAMA_70B, more=""), base_dir=Path())
    assert longer.models[0].source.context_tokens == 131072
    wide = load(
        "version: 1\nname: a\nmodels:\n  - name: m\n    model: Qwen/Qwen2.5-7B-Instruct\n"
        "    workload: {requests_per_day: 10, input_tokens: 9000, output_tokens: 500}\n",
        "wide.yaml",
    ).spec
    assert plan(wide, base_dir=Path()).models[0].launch.max_model_len == 32768


def test_a_workload_beyond_the_context_is_an_error() -> None:
    long = load(
        "version: 1\nname: a\nmodels:\n  - name: m\n    model: Qwen/Qwen2.5-7B-Instruct\n"
        "    workload: {requests_per_day: 10, input_tokens: 30000, output_tokens: 500}\n",
        "long.yaml",
    ).spec
    with pytest.raises(SpecError, match="the model's limit is 32,768"):
        plan(long, base_dir=Path())


def test_int4_needs_a_checkpoint_that_exists() -> None:
    text = problem_of("precision: int4")
    assert text.startswith("models.0.precision: int4 needs a checkpoint that exists")
    assert "checkpoint: ORG/NAME" in text
    made = plan(
        spec(
            "meta-llama/Llama-3.1-8B-Instruct",
            more="precision: int4\ncheckpoint: RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w4a16",
        ),
        base_dir=Path(),
    ).models[0]
    assert made.precision == "int4"
    assert made.launch.model == "RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w4a16"
    assert made.memory is not None
    assert made.memory.weights_gib < 7


def test_a_quantised_checkpoint_is_not_called_bf16() -> None:
    assert "is stored in fp8" in problem_of("precision: bf16", model="deepseek-ai/DeepSeek-V3")


def test_what_cannot_fit_says_by_how_much_and_what_would() -> None:
    text = problem_of("gpu: L4\ntensor_parallel_size: 1")
    assert text.startswith("models.0.gpu: ")
    assert "GiB" in text
    assert "precision: fp8" in text


def test_limits_that_nothing_holds_say_what_would_be_held() -> None:
    text = problem_of("gpu: H100\nlatency: {tpot_ms: 1}")
    assert text.startswith("models.0.latency.tpot_ms: no GPU")
    assert "or more would be held" in text


def test_too_few_replicas_allowed_is_an_error_with_the_number_needed() -> None:
    text = problem_of("gpu: H100\nreplicas: {max: 1}", requests=20_000_000)
    assert text.startswith("models.0.replicas.max: the peak needs")
    assert "replicas.max: " in text.split("|")[1]


def test_a_gpu_that_the_cloud_does_not_have_is_an_error_with_what_it_has() -> None:
    text = problem_of("gpu: RTX-4090")
    assert text.startswith("models.0.gpu: gke in us-central1 has no priced instance with RTX-4090")
    assert "L4" in text


def test_problems_of_all_models_come_at_once_in_order() -> None:
    both = load(
        "version: 1\nname: a\nmodels:\n"
        "  - {name: one, model: nobody-has-this, workload: {requests_per_day: 1, input_tokens: 1, output_tokens: 1}}\n"
        "  - {name: two, model: Qwen/Qwen2.5-7B-Instruct, precision: int4, "
        "workload: {requests_per_day: 1, input_tokens: 1, output_tokens: 1}}\n",
        "both.yaml",
    ).spec
    with pytest.raises(SpecError) as caught:
        plan(both, base_dir=Path())
    assert [p.path for p in caught.value.problems] == [("models", 0, "model"), ("models", 1, "precision")]


def test_replicas_are_never_stuck_at_the_planned_number_unless_written_so() -> None:
    free = plan(spec(), base_dir=Path()).models[0]
    assert free.replicas_max == free.replicas_planned + 1
    assert not free.fixed_replicas
    fixed = plan(spec(more="replicas: {min: 3, max: 3}"), base_dir=Path()).models[0]
    assert (fixed.replicas_min, fixed.replicas_max, fixed.replicas_planned) == (3, 3, 3)
    assert fixed.fixed_replicas


def test_kind_runs_a_small_model_on_the_cpu_and_simulates_a_large_one() -> None:
    small = plan(spec("Qwen/Qwen2.5-0.5B-Instruct", "kind"), base_dir=Path())
    assert small.models[0].engine.engine == "cpu"
    assert small.models[0].launch.cpu_kv_cache_gib == 1
    assert small.pools == ()
    large = plan(spec(LLAMA_70B, "kind"), base_dir=Path())
    assert large.models[0].engine.engine == "simulator"
    real = large.models[0].stands_for
    assert real is not None
    assert real.engine.engine == "vllm"
    assert large.models[0].launch.simulated_tpot_ms == real.performance.tpot_ms if real.performance else False
    assert large.pools[0].price is not None
    assert large.pools[0].price.assumed


def test_deepseek_on_two_nodes_of_eight() -> None:
    made = plan(
        spec("deepseek-ai/DeepSeek-V3", "eks", more="gpu: H100", requests=10_000), base_dir=Path()
    ).models[0]
    assert made.nodes_per_replica == 2
    assert (made.settings.tensor_parallel_size, made.settings.pipeline_parallel_size) == (8, 2)
    assert made.node_count == 2 * made.replicas_planned
    assert any("spans nodes" in text for text in made.warnings)


def test_two_models_share_a_node_and_it_is_billed_once() -> None:
    text = (
        "version: 1\nname: a\ntarget: {platform: eks}\nmodels:\n"
        + "  - {{name: {0}, model: meta-llama/Llama-3.1-70B-Instruct, gpu: H100, tensor_parallel_size: 4, "
        "workload: {{requests_per_day: 1000, input_tokens: 1000, output_tokens: 500}}}}\n" * 1
    )
    line = text.splitlines()[-1]
    both = "\n".join(text.splitlines()[:-1]) + "\n" + line.format("one") + "\n" + line.format("two") + "\n"
    made = plan(load(both, "two.yaml").spec, base_dir=Path())
    assert len(made.pools) == 1
    assert made.pools[0].node_count == 1
    assert made.pools[0].idle_gpus == 0
    assert made.pools[0].models == ("one", "two")


def test_json_has_the_fixed_keys() -> None:
    values = plan_values(plan(spec(LLAMA_70B), base_dir=Path(), explore=True))
    assert {"schema_version", "name", "models", "warnings"} <= values.keys()
    model = values["models"][0]
    assert {
        "name", "model", "engine", "precision", "kv_cache_dtype", "gpu", "gpus_per_replica", "tensor_parallel_size",
        "pipeline_parallel_size", "nodes_per_replica", "max_model_len", "replicas", "memory_gib_per_gpu",
        "kv_cache_tokens", "performance", "startup_seconds", "considered", "fallbacks",
    } <= model.keys()  # fmt: skip
    assert {"name", "version", "image"} <= model["engine"].keys()
    assert {"min", "max", "planned"} <= model["replicas"].keys()
    assert {"total", "usable", "weights", "activation", "non_torch", "kv_cache"} <= model[
        "memory_gib_per_gpu"
    ].keys()
    assert {"ttft_ms", "tpot_ms", "output_tokens_per_s"} <= model["performance"].keys()
    option = model["considered"][0]
    assert {
        "gpu", "precision", "tensor_parallel_size", "replicas", "usd_per_month", "chosen", "reason",
    } <= option.keys()  # fmt: skip
    assert isinstance(model["usd_per_month"], Decimal)
    json.dumps(values, default=float)


def test_every_step_is_explained_with_a_source() -> None:
    made = plan(spec(LLAMA_70B), base_dir=Path()).models[0]
    sections = explain(made)
    assert sections[0].title == "Memory of one GPU"
    assert all(term.source for section in sections for term in section.terms)
    cost = sections[-1].terms[-1]
    assert cost.value == pytest.approx(float(made.usd_per_month or 0))


def test_an_unknown_engine_flag_names_the_nearest() -> None:
    text = problem_of("extra_args: [--max-num-seq=8]")
    assert text.startswith("models.0.extra_args")
    assert "max_num_seqs" in text or "--max-num-seqs" in text


@pytest.mark.parametrize(
    ("checkpoint", "label"),
    [
        ("RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic", "fp8"),
        ("RedHatAI/Llama-3.3-70B-Instruct-quantized.w8a8", "int8"),
        ("RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w4a16", "int4"),
        ("Qwen/Qwen2-72B-Instruct-GPTQ-Int8", "int8"),
        ("deepseek-ai/DeepSeek-V3", "fp8"),
        ("openai/gpt-oss-120b", "mxfp4"),
        ("cyankiwi/gemma-4-31B-it-AWQ-4bit", "int4"),
        ("meta-llama/Llama-3.1-8B-Instruct", "bf16"),
    ],
)
def test_a_checkpoints_precision_has_its_usual_name(checkpoint: str, label: str) -> None:
    assert own_label(architecture(config(checkpoint), checkpoint)) == label


def test_quantised_weights_are_never_silent() -> None:
    checkpoint = "RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w4a16"
    for more, name in ((f"checkpoint: {checkpoint}", checkpoint), ("precision: fp8", "fp8")):
        made = plan(spec("meta-llama/Llama-3.1-8B-Instruct", more=more), base_dir=Path()).models[0]
        (said,) = (text for text in made.warnings if "effect on answers is unknown" in text)
        assert said.startswith(name)


def test_what_does_not_fit_names_the_quantised_checkpoints_that_exist() -> None:
    assert "checkpoint: neuralmagic/Meta-Llama-3.1-70B-Instruct-quantized.w8a8" in problem_of(
        "gpu: L4\ntensor_parallel_size: 1"
    )
