"""Every known message is recognised, in the engine's own words, and its arithmetic is that of the plan."""

import re

import msgspec
import pytest

from homeport.cluster.doctor_logs import Place, last_error, translate
from homeport.cluster.doctor_memory import counted
from homeport.cluster.doctor_patterns import PATTERNS
from homeport.planning.types import ModelPlan
from tests.cluster.ward import planned, spec

PLACE = Place(namespace="ns", pod="chat-1", container="server", node="gpu-1", file="my.yaml")

# Lines as they stand in logs: from issues, runbooks and the sources that say them.
SAMPLES: tuple[tuple[str, str, str], ...] = (
    (
        "gated-not-accepted",
        "vllm",
        "huggingface_hub.errors.GatedRepoError: 403 Client Error. (Request ID: Root=1-688b505e)\n\nCannot access gated repo for url "
        "https://huggingface.co/meta-llama/Llama-3.1-8B-Instruct/resolve/main/config.json.\nAccess to model "
        "meta-llama/Llama-3.1-8B-Instruct is restricted and you are not in the authorized list. Visit https://huggingface.co/meta-llama",
    ),
    (
        "gated",
        "vllm",
        "OSError: You are trying to access a gated repo.\nMake sure to have access to it at https://huggingface.co/google/gemma-3-1b-pt.\n"
        "401 Client Error. (Request ID: Root=1-6)",
    ),
    ("bad-token", "sglang", "httpx.LocalProtocolError: Illegal header value b'Bearer hf_xxx\\n'"),
    (
        "no-such-repository",
        "vllm",
        "OSError: acme/none is not a local folder and is not a valid model identifier listed on 'https://huggingface.co/models'",
    ),
    (
        "hub-rate-limit",
        "vllm",
        "huggingface_hub.errors.HfHubHTTPError: 429 Client Error: Too Many Requests for url",
    ),
    (
        "hub-unreachable",
        "vllm",
        "OSError: We couldn't connect to 'https://huggingface.co' to load the files, and couldn't find them in the cached files.",
    ),
    (
        "driver-too-old",
        "vllm",
        "RuntimeError: The NVIDIA driver on your system is too old (found version 12080). Please update your GPU driver",
    ),
    (
        "driver-too-old",
        "sglang",
        "nvidia-container-cli: requirement error: unsatisfied condition: cuda>=13.0, please update your driver to a newer version",
    ),
    (
        "driver-mismatch",
        "vllm",
        "Error 803: system has unsupported display driver / cuda driver combination",
    ),
    (
        "fabric-manager",
        "vllm",
        "RuntimeError: Unexpected error from cudaGetDeviceCount(). Error 802: system not yet initialized",
    ),
    (
        "no-gpu",
        "vllm",
        "RuntimeError: Failed to infer device type, please set the environment variable `VLLM_LOGGING_LEVEL=DEBUG`",
    ),
    ("no-gpu", "sglang", "RuntimeError: No CUDA GPUs are available"),
    ("gpu-broken", "vllm", "torch.AcceleratorError: CUDA error: uncorrectable ECC error encountered"),
    (
        "compute-capability",
        "vllm",
        "ValueError: The quantization method fp8 is not supported for the current GPU. Minimum capability: 89. Current capability: 86.",
    ),
    (
        "too-few-gpus",
        "vllm",
        "  Value error, World size (2) is larger than the number of available GPUs (1) in this node. If this is intentional",
    ),
    (
        "memory-taken",
        "vllm",
        "ValueError: Free memory on device cuda:0 (12.18/23.56 GiB) on startup is less than desired GPU memory utilization (0.92, 21.67 GiB). "
        "Decrease GPU memory utilization or reduce GPU memory used by other processes.",
    ),
    (
        "kv-cache-too-small",
        "vllm",
        "ValueError: To serve at least one request with the models's max seq len (131072), (4.00 GiB KV cache is needed, which is larger than "
        "the available KV cache memory (0.65 GiB). Based on the available memory, the estimated maximum model length is 21440. Try increasing",
    ),
    (
        "no-kv-cache",
        "vllm",
        "ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization`",
    ),
    (
        "no-kv-cache-sglang",
        "sglang",
        "RuntimeError: Not enough memory. Please try to increase --mem-fraction-static.",
    ),
    (
        "prefill-too-large",
        "tgi",
        "RuntimeError: Not enough memory to handle 4096 prefill tokens. You need to decrease `--max-batch-prefill-tokens`",
    ),
    (
        "trtllm-memory",
        "trtllm",
        "[TRT-LLM] [RANK 1] [E] Failed to initialize executor on rank 1: Executor creation failed due to insufficient GPU memory.",
    ),
    (
        "out-of-gpu-memory",
        "vllm",
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 22.19 GiB of which 1.50 MiB "
        "is free. Process 885415 has 22.18 GiB memory in use.",
    ),
    ("unknown-flag", "vllm", "vllm: error: unrecognized arguments: --rope-scaling"),
    ("unknown-flag", "tgi", "error: unexpected argument '--max-len' found"),
    (
        "context-too-long",
        "vllm",
        "  Value error, User-specified max_model_len (4096) is greater than the derived max_model_len (max_position_embeddings=2048.0)",
    ),
    (
        "unknown-architecture",
        "vllm",
        "ValueError: Model architectures ['Glm9ForCausalLM'] are not supported for now. Supported architectures: dict_keys(['AquilaModel'])",
    ),
    ("quantisation", "vllm", "ValueError: Unknown quantization method: exl9. Must be one of ['awq']."),
    ("incomplete-checkpoint", "vllm", "RuntimeError: Cannot find any model weights with `/models/chat`"),
    (
        "incomplete-checkpoint",
        "sglang",
        "safetensors_rust.SafetensorError: Error while deserializing header: HeaderTooLarge",
    ),
    (
        "heads-do-not-divide",
        "vllm",
        "ValueError: Total number of attention heads (64) must be divisible by tensor parallel size (3).",
    ),
    (
        "service-links",
        "vllm",
        "ValueError: VLLM_PORT 'tcp://172.20.1.1:8000' appears to be a URI. This may be caused by a Kubernetes service discovery issue",
    ),
    (
        "shared-memory",
        "vllm",
        "ncclSystemError: Error while creating shared memory segment /dev/shm/nccl-cjY8K5 (size 10617216), error: No space left on device (28)",
    ),
    ("port-taken", "vllm", "OSError: [Errno 98] Address already in use"),
    ("disk-full", "vllm", "OSError: [Errno 28] No space left on device: '/hub-cache/blobs/x.incomplete'"),
    (
        "not-writable",
        "vllm",
        "FileNotFoundError: [Errno 2] No usable temporary directory found in ['/tmp', '/var/tmp']",
    ),
    ("nccl", "sglang", "torch.distributed.DistBackendError: NCCL error in: NCCLUtils.cpp:94"),
    ("engine-died", "tgi", "Error: ShardCannotStart"),
)


@pytest.fixture(scope="module")
def chat() -> ModelPlan:
    return planned(spec("ward")).models[0]


def of_engine(chat: ModelPlan, engine: str) -> ModelPlan:
    return msgspec.structs.replace(chat, engine=msgspec.structs.replace(chat.engine, engine=engine))


@pytest.mark.parametrize(
    ("known", "engine", "line"), SAMPLES, ids=[f"{s[0]}-{i}" for i, s in enumerate(SAMPLES)]
)
def test_recognises(chat: ModelPlan, known: str, engine: str, line: str) -> None:
    log = f"INFO 10-08 20:33:48 starting\n{line}\nRuntimeError: Engine core initialization failed. See root cause above."
    said = translate(log, of_engine(chat, engine), PLACE)
    assert said is not None
    assert said.id == known
    assert said.advice
    assert said.source
    assert " ".join(line.split()).startswith(said.line[:40].strip()) or said.line[:40] in " ".join(
        line.split()
    )
    for text in (said.what, said.advice, *said.repair):
        assert "{" not in text.replace("{source:", "").replace("{.spec", ""), "a value that was not filled in"


def test_every_pattern_has_a_sample() -> None:
    assert {s[0] for s in SAMPLES} == {p.id for p in PATTERNS}


def test_healthy_logs_mean_nothing(chat: ModelPlan) -> None:
    log = (
        "INFO Starting vLLM API server on http://0.0.0.0:8000\nINFO Available KV cache memory: 10.8 GiB\n"
        "INFO Maximum concurrency for 8,192 tokens per request: 21.5x\nWARNING The tokenizer has no chat template\n"
        'INFO 10.0.0.1:52 - "GET /health HTTP/1.1" 200 OK\n'
    )
    assert translate(log, chat, PLACE) is None


def test_the_last_error_is_the_reason_that_nobody_knows() -> None:
    assert last_error("a\nValueError: something new\nbye") == "ValueError: something new"
    assert last_error("a\nb\n\n") == "b"
    assert last_error("") == ""


def advice(chat: ModelPlan, line: str) -> str:
    said = translate(line, chat, PLACE)
    assert said is not None
    return said.advice


def test_out_of_memory_takes_what_was_lacking_off_the_fraction(chat: ModelPlan) -> None:
    memory = chat.memory
    assert memory is not None
    text = advice(
        chat,
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 22.19 GiB of which "
        "1.50 MiB is free.",
    )
    assert counted(chat) in text
    found = re.search(r"gpu_memory_utilization to ([\d.]+) \(now ([\d.]+)\)", text)
    assert found is not None
    lower, now = float(found[1]), float(found[2])
    assert (now - lower) * memory.usable_gib >= 2.0, "what was asked for fits into what is given back"
    assert (now - lower) * memory.usable_gib < 2.0 + 0.02 * memory.usable_gib, "and hardly more is given back"


def test_out_of_memory_shortens_requests_where_the_cache_gets_too_small(chat: ModelPlan) -> None:
    assert chat.memory is not None
    small = msgspec.structs.replace(
        chat, memory=msgspec.structs.replace(chat.memory, kv_cache_gib=1.0, max_model_len=8192)
    )
    text = advice(small, "CUDA out of memory. Tried to allocate 600.00 MiB.")
    found = re.search(r"max_model_len to (\d+) \(now 8192\)", text)
    assert found is not None, text
    left = re.search(r"([\d.]+) GiB of KV cache stay", text)
    assert left is not None
    assert int(found[1]) * chat.memory.kv_bytes_per_token / 2**30 <= float(left[1]) + 0.05


def test_a_cache_too_small_names_the_engine_s_own_estimate(chat: ModelPlan) -> None:
    text = advice(
        chat,
        "max seq len (131072), (4.00 GiB KV cache is needed, which is larger than the available KV cache memory (0.65 GiB). Based on the "
        "available memory, the estimated maximum model length is 21440.",
    )
    assert "max_model_len to 21248 or less" in text, "rounded down to 256"
    older = advice(
        chat,
        "max seq len (32768), (2.00 GB KV cache is needed, which is larger than the available KV cache memory (0.78 GB). Try increasing",
    )
    assert f"max_model_len to {int(32768 * 0.78 / 2.0) // 256 * 256} or less" in older


def test_a_gated_model_names_the_secret_of_the_spec(chat: ModelPlan) -> None:
    said = translate("GatedRepoError: 401 Client Error.", chat, PLACE)
    assert said is not None
    assert "meta-llama/Llama-3.1-8B-Instruct" in said.what
    assert "create secret generic hub-token --from-file=token=FILE" in said.repair[0]
