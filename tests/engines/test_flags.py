import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from homeport.engines import secrets, unplanned
from homeport.engines.registry import arg_notes, check_args, flags, release, releases

VLLM = release("vllm")


def said(
    engine: str, *args: str, version: str | None = None
) -> list[tuple[tuple[str | int, ...], str, str | None]]:
    return [(p.path, p.message, p.help) for p in check_args(release(engine, version), args)]


@pytest.mark.parametrize(
    ("engine", "args"),
    [
        ("vllm", ("--enforce-eager",)),
        ("vllm", ("--seed", "5")),
        ("vllm", ("--seed=5",)),
        ("vllm", ("--block_size", "16")),
        ("vllm", ("--no-enable-prefix-caching",)),
        ("vllm", ("--disable-prefix-caching",)),
        ("vllm", ("--compilation-config", '{"mode": 3}')),
        ("vllm", ("--compilation-config.mode", "3")),
        ("vllm", ("--compilation-config.pass_config.fuse_norm_quant=true",)),
        ("vllm", ("--limit-mm-per-prompt", '{"image": 2}')),
        ("vllm", ("--moe-backend", "Deep-Gemm")),
        ("vllm", ("--hf-token",)),
        ("vllm", ("--hf-token", "$(HF_TOKEN)")),
        ("vllm", ("--cudagraph-capture-sizes", "1", "2", "4", "--enforce-eager")),
        ("vllm", ("--seed", "-1")),
        (
            "sglang",
            (
                "--attention-backend",
                "fa3",
                "--disable-radix-cache",
            ),
        ),
        ("sglang", ("--cuda-graph-bs-prefill", "1", "2")),
        ("tgi", ("--max-concurrent-requests=256", "--json-output")),
        ("tgi", ("--otlp-endpoint", "http://collector:4317")),
        ("trtllm", ("--ep_size", "4", "--trust_remote_code")),
        ("cpu", ("--block-size=16",)),
        ("simulator", ("--ttft-ms=200", "--startup-seconds", "3")),
    ],
)
def test_flags_of_the_version_pass(engine: str, args: tuple[str, ...]) -> None:
    assert said(engine, *args) == []


def test_an_unknown_flag_is_answered_with_the_nearest() -> None:
    ((path, message, help_),) = said("vllm", "--enforce-eager", "--max-num-batchd-tokens=5")
    assert path == ("extra_args", 1)
    assert message == "vllm 0.33.0 has no flag --max-num-batchd-tokens"
    assert help_ is not None
    assert "--max-num-batched-tokens" in help_


def test_an_abbreviation_is_answered_with_the_whole() -> None:
    assert said("sglang", "--attention-back=fa3")[0][2] == "write --attention-backend in full"


def test_flags_differ_between_versions() -> None:
    assert said("vllm", "--watchdog-config={}") == []
    assert "vllm 0.32.0 has no flag" in said("vllm", "--watchdog-config={}", version="0.32")[0][1]


@pytest.mark.parametrize(
    ("engine", "arg", "field"),
    [
        ("vllm", "--tensor-parallel-size=2", "tensor_parallel_size"),
        ("vllm", "-tp=2", "tensor_parallel_size"),
        ("vllm", "--tensor_parallel_size=2", "tensor_parallel_size"),
        ("vllm", "--device-memory-utilization=0.5", "gpu_memory_utilization"),
        ("vllm", "--api-key=x", "api_key"),
        ("vllm", "--no-enable-lora", "adapters"),
        ("sglang", "--tensor-parallel-size=2", "tensor_parallel_size"),
        ("sglang", "--context-length=2k", "max_model_len"),
        ("tgi", "--quantize=fp8", "precision"),
        ("trtllm", "--kv_cache_free_gpu_memory_fraction=0.8", "gpu_memory_utilization"),
        ("simulator", "--max-num-seqs=1", "max_num_seqs"),
    ],
)
def test_a_flag_that_homeport_renders_names_the_field(engine: str, arg: str, field: str) -> None:
    ((_, message, help_),) = said(engine, arg)
    assert message == f"{arg.partition('=')[0]} is homeport's to set"
    assert help_ == f"use `{field}:` of the spec instead"


def test_a_flag_without_a_field_says_why_it_is_not_the_users() -> None:
    assert said("vllm", "--port", "9000") == [
        (("extra_args", 0), "--port is homeport's to set: the probes and the Service need it", None)
    ]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--seed",), "--seed needs a value"),
        (("--seed", "--enforce-eager"), "--seed needs a value"),
        (("--seed=x",), "--seed: 'x' is no whole number"),
        (("--seed=1.5",), "--seed: '1.5' is no whole number"),
        (("--enforce-eager=true",), "--enforce-eager takes no value"),
        (("--allowed-origins", "*"), "--allowed-origins: '*' is no JSON"),
        (("--enforce-eager", "true"), "'true' belongs to no flag"),
        (("model",), "'model' belongs to no flag"),
        (("",), "'' belongs to no flag"),
        (("--",), "vllm 0.33.0 has no flag --"),
        (("--seed 5",), "'--seed 5' is one argument for vllm 0.33.0, blank included"),
        (("--cudagraph-capture-sizes", "1", "two"), "--cudagraph-capture-sizes: 'two' is no whole number"),
        (("--chat-template=a\nb",), "'--chat-template=a\\nb' has a control character"),
    ],
)
def test_bad_values_are_named(args: tuple[str, ...], message: str) -> None:
    assert [m for _, m, _ in said("vllm", *args)] == [message]


def test_a_bad_choice_lists_the_choices() -> None:
    ((_, message, help_),) = said("vllm", "--uvicorn-log-level=inf")
    assert message == "--uvicorn-log-level: 'inf' is not one of critical, debug, error, info, trace, warning"
    assert help_ == "did you mean 'info'?"


def test_all_problems_at_once_in_order() -> None:
    paths = [p for p, _, _ in said("vllm", "--nope", "1", "x", "--seed=y", "--dtype", "half")]
    assert paths == [("extra_args", 0), ("extra_args", 3), ("extra_args", 4)]


def test_tgi_takes_no_blanks() -> None:
    assert "unquoted" in said("tgi", "--tokenizer-config-path=/a b")[0][1]
    assert "unquoted" in said("tgi", "--tokenizer-config-path", "/a*")[0][1]
    assert said("sglang", "--chat-template=/a b") == []


def test_a_count_is_not_negative() -> None:
    assert (
        said("tgi", "--max-stop-sequences=-1")[0][1]
        == "--max-stop-sequences: '-1' is no whole number from 0 on"
    )


def test_parallelism_that_the_plan_does_not_count_is_refused() -> None:
    for arg in ("--data-parallel-size=2", "--data-parallel-rank=1", "--prefill-context-parallel-size=2"):
        assert "homeport's to set" in said("vllm", arg)[0][1]


def test_a_list_by_hand_says_so() -> None:
    assert "by hand" in said("trtllm", "--served_model_name=x")[0][1]


def test_deprecated_flags_pass_with_a_note() -> None:
    args = ("--disable-cuda-graph",)
    assert said("sglang", *args) == []
    assert arg_notes(release("sglang"), args) == (
        "--disable-cuda-graph: Deprecated. Use --cuda-graph-backend-{decode,prefill}=disabled instead.",
        "--disable-cuda-graph: it changes the speed, and the plan does not count with it",
    )
    assert arg_notes(VLLM, ("--enable-auto-tool-choice",)) == ()


@pytest.mark.parametrize(
    ("engine", "arg", "what"),
    [
        ("vllm", "--cpu-offload-gb=10", "memory and speed"),
        ("vllm", "--cpu_offload_gb=10", "memory and speed"),
        ("vllm", '--speculative-config={"method": "ngram"}', "memory and speed"),
        ("vllm", "--speculative-config.method=ngram", "memory and speed"),
        ("vllm", '--hf-overrides={"a": 1}', "model"),
        ("vllm", "--num-gpu-blocks-override=5", "memory"),
        ("vllm", "--mm-processor-cache-gb=5", "host memory"),
        ("vllm", "-dcp=2", "memory and speed"),
        ("sglang", "--attn-cp-size=2", "memory and speed"),
        ("sglang", "--attention-context-parallel-size=2", "memory and speed"),
        ("tgi", "--speculate=2", "memory and speed"),
        ("trtllm", "--ep_size=2", "memory and speed"),
    ],
)
def test_what_a_plan_does_not_count_is_said(engine: str, arg: str, what: str) -> None:
    assert said(engine, arg) == []
    name = arg.partition("=")[0]
    assert arg_notes(release(engine), (arg,)) == (
        f"{name}: it changes the {what}, and the plan does not count with it",
    )


@pytest.mark.parametrize(
    ("engine", "arg"),
    [
        ("vllm", "--device-ids=0"),
        ("vllm", "-dpa=10.0.0.1"),
        ("sglang", "--base-gpu-id=1"),
        ("sglang", "--disaggregation-mode=prefill"),
    ],
)
def test_what_breaks_the_rendered_pod_is_refused(engine: str, arg: str) -> None:
    assert "is homeport's to set" in said(engine, arg)[0][1]


def test_the_tables_name_flags_that_exist() -> None:
    for engine, by_effect in unplanned.CHANGES.items():
        known = {
            n for r in releases() if r.engine == engine for f in flags(r.flags_file).flags for n in f.names
        }
        named = {n for names in by_effect.values() for n in names} | set(unplanned.BREAKS.get(engine, ()))
        assert named <= known, engine
    known = {n for r in releases() for f in flags(r.flags_file).flags for n in f.names}
    assert set(secrets.INSTEAD) <= known


def test_every_flag_that_takes_a_secret_is_known_as_one() -> None:
    found = {
        n
        for r in releases()
        for f in flags(r.flags_file).flags
        for n in f.names
        if f.takes != "none" and secrets.NAME.search(n)
    }
    assert found == set(secrets.INSTEAD)


@pytest.mark.parametrize(
    ("engine", "args", "advice"),
    [
        ("vllm", ("--hf-token=s3cret",), "hub_token"),
        ("vllm", ("--hf_token=s3cret",), "hub_token"),
        ("vllm", ("--hf-token", "s3cret"), "hub_token"),
        ("vllm", ("--hf-token s3cret",), "hub_token"),
        ("vllm", ("--api-key=s3cret",), "api_key"),
        ("vllm", ("--api-key", "s3cret", "other"), "api_key"),
        ("vllm", ("--hf-tokn=1", "HF_TOKEN=s3cret"), "hub_token"),
        ("vllm", ("--otlp-traces-endpoint=http://me:s3cret@collector:4317",), "hub_token"),
        ("vllm", ('--kv-transfer-config={"extra": {"password": "s3cret"}}',), "hub_token"),
        ("vllm", ("--kv-transfer-config.password=s3cret",), "hub_token"),
        ("vllm", ("--served-model-name", "hf_s3cretAbcdefghijklmnop"), "name"),
        ("sglang", ("--admin-api-key=s3cret",), "api_key"),
        ("sglang", ("--ssl-keyfile-password", "s3cret"), "expose"),
        ("tgi", ("--ngrok-authtoken=s3cret",), "expose"),
        ("tgi", ("--ngrok-authtoken", "s3cret *"), "expose"),
        ("simulator", ("--api-key=s3cret",), "hub_token"),
    ],
)
def test_a_secret_is_refused_and_not_repeated(engine: str, args: tuple[str, ...], advice: str) -> None:
    problems = check_args(release(engine), args)
    assert problems[-1].value is UNSET
    assert advice in str(problems[-1].help)
    assert not any("s3cret" in str(p) for p in problems)


@pytest.mark.parametrize("arg", ["-O3", "-O=3", "-O"])
def test_a_short_flag_takes_its_value_glued(arg: str) -> None:
    assert said("vllm", arg, *(["3"] if arg == "-O" else [])) == []
    assert said("vllm", "-qfp8")[0][1:] == ("-q is homeport's to set", "use `precision:` of the spec instead")
    assert "has no flag -X3" in said("vllm", "-X3")[0][1]


words = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            "--",
            "-",
            "--=",
            "=",
            "--seed",
            "-tp",
            "--compilation-config.",
            "--a.b=c",
            "1",
            "-1",
            "--max-model-len",
            "x y",
        ]
    ),
    st.sampled_from(sorted(n for r in releases() for f in flags(r.flags_file).flags for n in f.names)),
    st.builds(
        "{}={}".format,
        st.sampled_from(sorted(n for f in flags(VLLM.flags_file).flags for n in f.names)),
        st.text(max_size=6),
    ),
)


# Nearest names among 500 flags take some milliseconds each.
@settings(deadline=None)
@given(st.sampled_from(releases()), st.lists(words, max_size=8))
def test_no_argument_brings_it_down(one, args) -> None:  # type: ignore[no-untyped-def]
    problems = check_args(one, tuple(args))
    positions = [p.path[1] for p in problems]
    assert positions == sorted(positions)
    assert all(p.path[0] == "extra_args" and p.value in (args[int(p.path[1])], UNSET) for p in problems)
    assert check_args(one, tuple(args)) == problems
    # An argument that belongs to nothing, or is a flag of no list, never passes.
    known = {n for f in flags(one.flags_file).flags for n in (*f.names, *f.hidden)}
    for at, arg in enumerate(args):
        name = arg.partition("=")[0].partition(".")[0].replace("_", "-")
        if arg.startswith("--") and name not in {k.replace("_", "-") for k in known}:
            assert at in positions or "=" in arg
