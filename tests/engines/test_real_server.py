"""A real vLLM on a CPU, started with what homeport renders for the cpu engine; a minute, where vLLM is installed."""

import contextlib
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from homeport.engines import common
from homeport.engines.registry import release, server
from homeport.engines.types import Launch, Server

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore")]


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


PORT = free_port()


def tiny_model(folder: Path) -> None:
    """A model of two layers with random weights; vLLM's CPU kernels want heads of at least 32."""
    transformers = import_module("transformers")
    tokenizers = import_module("tokenizers")
    torch = import_module("torch")
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=384, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        head_dim=32, max_position_embeddings=512, bos_token_id=0, eos_token_id=1,
    )  # fmt: skip
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        ["hello"],
        tokenizers.trainers.BpeTrainer(
            vocab_size=384, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet
        ),
    )
    wrapped = transformers.PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token="</s>")
    wrapped.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    wrapped.save_pretrained(folder)


def get(path: str, body: object = None, key: str | None = None) -> tuple[int, str]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{PORT}{path}", json.dumps(body).encode() if body else None
    )
    request.add_header("Content-Type", "application/json")
    if key:
        request.add_header("Authorization", f"Bearer {key}")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, "subprocess.Popen[bytes]"]]:
    program = shutil.which("vllm", path=str(Path(sys.executable).parent))
    if find_spec("vllm") is None or program is None:
        pytest.skip("vllm is not installed")
    folder = tmp_path_factory.mktemp("vllm")
    tiny_model(folder / "model")
    made = server(
        release("cpu"),
        Launch(model=str(folder / "model"), served_name="assistant", max_model_len=256, weight_dtype="float32", offline=True,
               cpu_kv_cache_gib=1, api_key_env=True, max_num_seqs=8),
    )  # fmt: skip
    env = {k: v.replace(common.CACHE, str(folder / "cache"), 1) for k, v in made.env.items()}
    assert made.api_key_variable
    env |= {made.api_key_variable: "secret", "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    args = [f"--port={PORT}" if a.startswith("--port=") else a for a in made.args]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "serve", *args], env=env, stdout=log, stderr=log, cwd="/")
        try:
            for _ in range(600):
                with contextlib.suppress(OSError):
                    if get(made.startup.path)[0] == 200:
                        break
                assert process.poll() is None, (folder / "log").read_text()[-4000:]
                time.sleep(0.5)
            yield made, process
        finally:
            process.kill()
            process.wait()


def test_it_serves_under_the_name_and_asks_for_the_key(
    running: tuple[Server, "subprocess.Popen[bytes]"],
) -> None:
    made, _ = running
    assert get(made.readiness.path)[0] == 200
    assert get("/v1/models")[0] == 401
    (model,) = json.loads(get("/v1/models", key="secret")[1])["data"]
    assert (model["id"], model["max_model_len"]) == ("assistant", 256)
    asked = {
        "model": "assistant",
        "messages": [{"role": "user", "content": "hello"}],
        "max_tokens": 8,
        "ignore_eos": True,
    }
    status, answer = get("/v1/chat/completions", asked, key="secret")
    assert status == 200
    assert json.loads(answer)["usage"]["completion_tokens"] == 8


def test_its_metrics_are_those_named(running: tuple[Server, "subprocess.Popen[bytes]"]) -> None:
    metrics = running[0].metrics
    _, text = get(metrics.path)
    for name in (metrics.waiting, metrics.running, metrics.kv_cache_usage, metrics.requests_total, metrics.prompt_tokens_total,
                 metrics.generation_tokens_total, f"{metrics.ttft}_bucket", f"{metrics.inter_token}_bucket", f"{metrics.e2e}_bucket"):  # fmt: skip
        assert re.search(rf'^{name}{{.*{metrics.model_label}="assistant"', text, re.M), name
    assert re.search(r'kv_cache_memory_bytes="1073741824"', text)


def test_it_stops_by_itself_within_the_grace_period(
    running: tuple[Server, "subprocess.Popen[bytes]"],
) -> None:
    made, process = running
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=made.drain.grace_s) == 0
    assert time.monotonic() - begun < made.drain.grace_s - made.drain.pre_stop_s
