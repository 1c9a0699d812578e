"""What homeport renders, run: the simulator on every change, a real vLLM on a CPU with `-m engine`.

Both go through the same tests. The servers are started with the rendered command, arguments and environment, and looked
after as the rendered probes and grace period say (served.py); a real Prometheus asks the rendered trigger's query.
"""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from homeport.engines.registry import release
from homeport.manifests.parsing import load as parse
from homeport.manifests.render import documents
from homeport.planning.plan import plan
from homeport.planning.types import ModelPlan
from homeport.spec.load import load
from tests.engines.scraped import prometheus, scrape_config
from tests.engines.served import Image, Kubelet
from tests.testbed import engine as real

SIMULATOR = "simulator"
CPU = pytest.param("cpu", marks=pytest.mark.engine)
both = pytest.mark.parametrize("served", [SIMULATOR, CPU], indirect=True)
# Building a Prometheus takes minutes where there is none.
both_scraped = pytest.mark.parametrize(
    "served", [pytest.param(SIMULATOR, marks=pytest.mark.cluster), CPU], indirect=True
)

KEY = "a-key-of-the-tests"
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 384,
    "hidden_size": 128,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,  # the least that vLLM's kernels for CPUs take
    "hidden_act": "silu",
    "max_position_embeddings": 32768,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}
# One request runs at a time, so that four make a queue of three. The limits give answers of 4,000 tokens minutes, and
# the drain follows them.
SPEC = """\
version: 1
name: try
target: {{platform: kind}}
models:
  - name: assistant
    model: {folder}
    engine: {engine}
    engine_version: "{version}"
    weights: {{source: local, path: /var/models/tiny, nodes: [kind-control-plane]}}
    workload: {{requests_per_day: 500, input_tokens: 20, output_tokens: 4000}}
    latency: {{ttft_ms: 5000, tpot_ms: 50}}
    max_model_len: 32768
    max_num_seqs: 1
    replicas: {{min: 1, max: 4}}
    api_key: {{secret: keys, key: chat}}
"""


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """A server that runs, and what it was rendered from. `tokens` are what an answer of a few seconds has."""

    engine: str
    plan: ModelPlan
    documents: list[dict[str, Any]]
    kubelet: Kubelet
    tokens: int

    def the(self, kind: str) -> dict[str, Any]:
        """The one document of a kind."""
        (found,) = (d for d in self.documents if d["kind"] == kind)
        return found

    def chat(self, tokens: int, **more: Any) -> tuple[int, str]:
        """Ask for an answer of so many tokens, with the key."""
        body = {
            "model": "assistant",
            "messages": [{"role": "user", "content": "hello"}],
            "max_tokens": tokens,
            "ignore_eos": True,
            **more,
        }
        return self.kubelet.ask("/v1/chat/completions", body, key=KEY)

    def stream(self, tokens: int) -> tuple[int, str]:
        return self.chat(tokens, stream=True, stream_options={"include_usage": True})

    def queue(self) -> tuple[float, float]:
        """Requests that run and wait, as the server counts them at one moment."""
        _, text = self.kubelet.ask("/metrics")
        running, waiting = (
            float(re.findall(rf"^vllm:num_requests_{name}{{.*}} (\S+)$", text, re.MULTILINE)[0])
            for name in ("running", "waiting")
        )
        return running, waiting

    def four(self, pool: ThreadPoolExecutor) -> list["Future[tuple[int, str]]"]:
        """Four long requests, two of them streams; returns when one runs and three wait."""
        asked = [pool.submit(ask, self.tokens) for ask in (self.chat, self.stream) * 2]
        seen: list[tuple[float, float]] = []
        begun = time.monotonic()
        while not any(future.done() for future in asked):
            seen.append(self.queue())
            if seen[-1] == (1, 3):
                return asked
            time.sleep(0.02)
        took = time.monotonic() - begun
        raise AssertionError(f"one was done after {took:.1f} s, and so many ran and waited before: {seen}")


def image(name: str) -> Image:
    """What stands for the engine's image: its environment, or this one's Python."""
    if name == SIMULATOR:
        return Image(entrypoint=(), path=f"{Path(sys.executable).parent}:/usr/bin:/bin")
    python = real.installed()
    if python is None:
        pytest.skip("no engine: `python -m tests.testbed.engine` installs one (6 GB)")
    entrypoint = release("cpu", real.VERSION).entrypoint
    assert entrypoint
    return Image(entrypoint=entrypoint, path=f"{python.parent}:/usr/bin:/bin")


@pytest.fixture(scope="module")
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    name: str = request.param
    stands_for = image(name)
    folder = tmp_path_factory.mktemp(name)
    model = folder / "model"
    model.mkdir()
    (model / "config.json").write_text(json.dumps(CONFIG))
    if name == "cpu":
        writes = Path(__file__).with_name("tiny_model.py")
        subprocess.run([str(real.ensure()), str(writes), str(model)], check=True, env={}, cwd="/")
    version = real.VERSION if name == "cpu" else release(name).version
    text = SPEC.format(folder=model, engine=name, version=version)
    made = plan(load(text, "spec.yaml").spec, base_dir=folder)
    rendered = [parse(d.text) for d in documents(made)]
    kubelet = Kubelet(
        rendered,
        stands_for,
        folder,
        claims={"assistant-weights": model},
        secrets={("keys", "chat"): KEY},
    )
    with kubelet.running():
        one = Served(engine=name, plan=made.models[0], documents=rendered, kubelet=kubelet, tokens=0)
        yield msgspec.structs.replace(one, tokens=_tokens_of(one, seconds=4 if name == SIMULATOR else 8))


def _tokens_of(one: Served, seconds: float) -> int:
    """How many tokens this machine makes in so many seconds."""
    one.chat(8)
    begun = time.monotonic()
    assert one.chat(400)[0] == 200
    return min(16_000, int(400 * seconds / (time.monotonic() - begun)))


def events(text: str) -> list[dict[str, Any]]:
    """What a stream sent; it must have ended."""
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line]
    assert lines[-1] == "[DONE]", lines[-1]
    return [json.loads(line) for line in lines[:-1]]


def whole(text: str, tokens: int, *, streamed: bool) -> None:
    """Assert that an answer is all that was asked for."""
    if streamed:
        *parts, last = events(text)
        assert last["usage"]["completion_tokens"] == tokens
        ends = [c["finish_reason"] for part in parts for c in part["choices"] if c["finish_reason"]]
        assert ends == ["length"]
    else:
        answer = json.loads(text)
        assert answer["usage"]["completion_tokens"] == tokens
        assert answer["choices"][0]["finish_reason"] == "length"


@both
def test_it_becomes_ready_by_the_rendered_probes(served: Served) -> None:
    """The kubelet of the test has given up where the startup probe's budget is too small."""
    assert served.kubelet.ready.is_set()
    assert not served.kubelet.unready


@both
def test_it_serves_what_the_plan_says_and_asks_for_the_key(served: Served) -> None:
    assert served.kubelet.ask("/v1/models")[0] == 401
    status, text = served.kubelet.ask("/v1/models", key=KEY)
    (model,) = json.loads(text)["data"]
    assert status == 200
    assert model["id"] == served.plan.launch.served_name
    assert model["max_model_len"] == served.plan.launch.max_model_len


@both
def test_it_answers_a_chat_and_a_stream(served: Served) -> None:
    status, text = served.chat(12)
    assert status == 200
    whole(text, 12, streamed=False)
    status, text = served.stream(12)
    assert status == 200
    whole(text, 12, streamed=True)


@both
def test_its_metrics_are_those_that_the_release_names(served: Served) -> None:
    metrics = served.plan.engine.metrics
    assert served.chat(2)[0] == 200
    for name in (metrics.waiting, metrics.running, metrics.kv_cache_usage, metrics.requests_total, metrics.prompt_tokens_total,
                 metrics.generation_tokens_total, f"{metrics.ttft}_bucket", f"{metrics.inter_token}_bucket", f"{metrics.e2e}_bucket"):  # fmt: skip
        assert name
        found = served.kubelet.series(name)
        assert found, name
        assert all(f'{metrics.model_label}="assistant"' in labels for labels in found), name


@both
def test_its_cache_is_what_its_labels_say(served: Served) -> None:
    (labels,) = served.kubelet.series("vllm:cache_config_info")
    says = dict(re.findall(r'(\w+)="([^"]*)"', labels))
    tokens = int(says["kv_cache_size_tokens"])
    assert int(says["num_gpu_blocks"]) * int(says["block_size"]) == tokens
    assert float(says["kv_cache_max_concurrency"]) == pytest.approx(tokens / 32768, rel=0.01)
    if served.engine == "cpu":
        # The simulator's cache is a setting; the engine's is what `size` says of the same model.
        model = Path(served.plan.spec.model)
        asked = ["size", "--engine=cpu", f"--engine-version={real.VERSION}", f"--model={model}", "--max-model-len=32768", "--output=json"]  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "homeport", *asked], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        size = json.loads(done.stdout)
        assert size["kv_cache_gib_per_gpu"] * 2**30 == int(says["kv_cache_memory_bytes"])
        assert size["kv_cache_tokens"] == pytest.approx(tokens, rel=0.01)


@both_scraped
def test_its_metrics_feed_the_rendered_trigger(served: Served, tmp_path: Path) -> None:
    from tests.testbed.build import ensure

    program = ensure("prometheus")["prometheus"]
    triggers = [t for t in served.the("ScaledObject")["spec"]["triggers"] if t["type"] == "prometheus"]
    queries = [t["metadata"]["query"] for t in triggers]
    (in_flight,) = (q for q in queries if served.plan.engine.metrics.waiting in q)
    # As rendered but for the interval: waiting for fifteen seconds again and again shows nothing more.
    scrape = scrape_config(served.the("PodMonitor"), served.kubelet, interval="1s")
    with prometheus(program, tmp_path / "prometheus", [scrape]) as asked, ThreadPoolExecutor(4) as pool:
        _until(lambda: asked.vector(f'up{{job="{served.kubelet.namespace}/assistant"}}') == [1.0])
        assert [asked.one(q) for q in queries][queries.index(in_flight)] == 0
        four = served.four(pool)
        _until(lambda: asked.one(in_flight) == 4)
        assert served.queue()[0] == 1
        for query in queries:
            asked.one(query)
        assert [f.result()[0] for f in four] == [200] * 4
        _until(lambda: asked.one(in_flight) == 0)


@both
def test_sigterm_with_requests_in_flight_loses_none(served: Served) -> None:
    """Last, because it ends the server."""
    with ThreadPoolExecutor(4) as pool:
        asked = served.four(pool)
        end = served.kubelet.delete(lambda: sum(not future.done() for future in asked))
        assert end.in_flight_at_sigterm > 0, "nothing was in flight any more: the answers were too short"
        for number, future in enumerate(asked):
            status, text = future.result()
            assert status == 200
            whole(text, served.tokens, streamed=number % 2 == 1)
    assert (end.code, end.killed) == (0, False)
    assert end.seconds < served.kubelet.pod["terminationGracePeriodSeconds"]
    assert not served.kubelet.unready, "a probe failed while it served"


def _until(true: Any, seconds: float = 30) -> None:
    for _ in range(int(seconds * 10)):
        if true():
            return
        time.sleep(0.1)
    raise AssertionError(f"it did not happen within {seconds} s")
