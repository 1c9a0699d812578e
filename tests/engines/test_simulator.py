"""The simulator, started as in a pod: a process of its own, with the arguments that homeport renders."""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from homeport.engines.registry import DATA, flags, release, server
from homeport.engines.types import AdapterMount, Launch

FILE = DATA / "simulator.py"
LAUNCH = Launch(
    model="org/model",
    served_name="assistant",
    max_model_len=1000,
    max_num_seqs=4,
    simulated_ttft_ms=20,
    simulated_tpot_ms=5,
    longest_request_s=10,
)


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


class Running:
    """A simulator, and a client of it."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process, self.port = process, port

    def ask(self, method: str, path: str, body: Any = None, key: str | None = None) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
            connection.request(method, path, data, {"Authorization": f"Bearer {key}"} if key else {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def chat(self, **more: Any) -> tuple[int, Any]:
        body = {"model": "assistant", "messages": [{"role": "user", "content": "hello"}], **more}
        status, text = self.ask("POST", "/v1/chat/completions", body)
        return status, json.loads(text)

    def metric(self, name: str, **labels: str) -> float:
        """One series, by its name and some of its labels."""
        _, text = self.ask("GET", "/metrics")
        for line in text.splitlines():
            if re.match(rf"{re.escape(name)}[{{ ]", line) and all(
                f'{k}="{v}"' in line for k, v in labels.items()
            ):
                return float(line.rsplit(" ", 1)[1])
        raise AssertionError(f"no {name} {labels}")

    def until(self, true: Callable[[], bool]) -> None:
        for _ in range(400):
            with contextlib.suppress(OSError):
                if true():
                    return
            time.sleep(0.02)
        raise AssertionError("it did not happen within 8 seconds")


@contextlib.contextmanager
def simulator(
    *more: str,
    launch: Launch = LAUNCH,
    env: dict[str, str] | None = None,
    prefix: tuple[str, ...] = (),
    python: str = sys.executable,
) -> Iterator[Running]:
    port = free_port()
    made = server(release("simulator"), launch)
    args = [a for a in made.args if not a.startswith("--port=")]
    process = subprocess.Popen(
        [*prefix, python, "-I", str(FILE), *args, f"--port={port}", "--host=127.0.0.1", *more],
        env={**made.env, **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        running = Running(process, port)
        running.until(lambda: process.poll() is not None or running.ask("GET", "/health")[0] == 200)
        assert process.poll() is None, process.stdout.read() if process.stdout else ""
        yield running
    finally:
        process.kill()
        process.communicate()


def everybodys(path: Path) -> bool:
    """Whether a user that is nobody can reach a file."""
    whole = path.resolve()
    return all(p.stat().st_mode & 0o005 == 0o005 for p in whole.parents) and bool(
        whole.stat().st_mode & 0o004
    )


def modern(python: str) -> bool:
    """Whether an interpreter is as new as homeport asks for."""
    code = "import sys; sys.exit(sys.version_info < (3, 11))"
    return Path(python).exists() and subprocess.run([python, "-c", code]).returncode == 0


@pytest.fixture(scope="module")
def one() -> Iterator[Running]:
    with simulator(
        launch=msgspec.structs.replace(LAUNCH, adapters=(AdapterMount(name="legal", path="/x", rank=8),))
    ) as s:
        yield s


def events(text: str) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def test_it_lists_the_model_and_its_adapters(one: Running) -> None:
    listed = json.loads(one.ask("GET", "/v1/models")[1])["data"]
    assert [(m["id"], m["root"], m["parent"], m["max_model_len"]) for m in listed] == [
        ("assistant", "org/model", None, 1000),
        ("legal", "legal", "assistant", None),
    ]


def test_a_chat_has_text_usage_and_an_end(one: Running) -> None:
    status, answer = one.chat(max_tokens=5)
    assert status == 200
    assert answer["object"] == "chat.completion"
    assert answer["choices"][0]["finish_reason"] == "length"
    assert len(answer["choices"][0]["message"]["content"].split()) == 5
    usage = answer["usage"]
    assert usage["completion_tokens"] == 5
    assert usage["total_tokens"] == usage["prompt_tokens"] + 5
    assert one.chat()[1]["choices"][0]["finish_reason"] == "stop"
    assert one.chat(ignore_eos=True, max_tokens=90)[1]["usage"]["completion_tokens"] == 90


def test_a_stream_comes_token_by_token(one: Running) -> None:
    begun = time.monotonic()
    _, text = one.ask("POST", "/v1/chat/completions", {
        "messages": [{"role": "user", "content": "hello"}], "max_tokens": 4, "stream": True,
        "stream_options": {"include_usage": True},
    })  # fmt: skip
    took = time.monotonic() - begun
    assert took >= 0.02 + 3 * 0.005
    first, *rest, last = events(text)
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert "".join(c["choices"][0]["delta"]["content"] for c in rest).split() == [
        "this",
        "answer",
        "was",
        "made",
    ]
    assert [c["choices"][0]["finish_reason"] for c in rest] == [None, None, None, "length"]
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == 4
    assert len({c["id"] for c in (first, *rest, last)}) == 1


def test_completions_take_texts_and_tokens(one: Running) -> None:
    for prompt, answers in (("hello", 1), (["a", "b"], 2), ([1, 2, 3], 1), ([[1], [2, 3]], 2)):
        status, text = one.ask(
            "POST", "/v1/completions", {"model": "assistant", "prompt": prompt, "max_tokens": 2}
        )
        assert status == 200
        assert [c["text"] for c in json.loads(text)["choices"]] == ["this answer"] * answers
    _, text = one.ask("POST", "/v1/completions", {"prompt": "x", "max_tokens": 2, "stream": True})
    assert [e["choices"][0]["text"] for e in events(text)] == ["this", " answer"]


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b"{bad", 400, "Bad Request"),
        (b"[]", 400, "Bad Request"),
        ({}, 400, "Bad Request"),
        ({"messages": []}, 400, "Bad Request"),
        ({"messages": ["x"]}, 400, "Bad Request"),
        ({"model": "other", "messages": [{"role": "user", "content": "x"}]}, 404, "NotFoundError"),
        ({"messages": [{"role": "user", "content": "x"}], "max_tokens": 0}, 400, "BadRequestError"),
        ({"messages": [{"role": "user", "content": "x"}], "max_tokens": "9"}, 400, "BadRequestError"),
        ({"messages": [{"role": "user", "content": "x"}], "n": 1000000}, 400, "BadRequestError"),
        ({"messages": [{"role": "user", "content": "x" * 4000}]}, 400, "BadRequestError"),
        ({"messages": [{"role": "user", "content": "x"}], "max_tokens": 1000}, 400, "BadRequestError"),
    ],
)
def test_errors_look_like_vllms(one: Running, body: Any, status: int, kind: str) -> None:
    got, text = one.ask("POST", "/v1/chat/completions", body)
    error = json.loads(text)["error"]
    assert (got, error["code"], error["type"]) == (status, status, kind)
    assert error["message"]


def test_other_paths_and_methods_are_refused(one: Running) -> None:
    assert one.ask("GET", "/nope") == (404, '{"detail": "Not Found"}')
    assert one.ask("GET", "/v1/completions") == (405, '{"detail": "Method Not Allowed"}')
    assert one.ask("GET", "/health")[0] == 200
    assert one.ask("GET", "/ping")[0] == 200


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"POST /v1/completions HTTP/1.1\r\ncontent-length: x\r\n\r\n",
        b"POST /v1/completions HTTP/1.1\r\ncontent-length: -5\r\n\r\n",
        b"POST /v1/completions HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"\x00" * 70000,
    ],
)
def test_broken_requests_do_not_break_it(one: Running, raw: bytes) -> None:
    with socket.create_connection(("127.0.0.1", one.port), timeout=5) as s:
        s.sendall(raw)
        s.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError):
            while s.recv(4096):
                pass
    assert one.chat(max_tokens=1)[0] == 200


def test_a_body_in_chunks_is_read(one: Running) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", one.port, timeout=5)
    connection.request("POST", "/v1/completions", iter([b'{"prompt": ', b'"hi", "max_tokens": 1}']), encode_chunked=True,
                       headers={"Transfer-Encoding": "chunked"})  # fmt: skip
    assert connection.getresponse().status == 200
    connection.close()


def test_it_has_vllms_series_and_labels_from_the_start() -> None:
    names = release("vllm").metrics
    real = (Path(__file__).parent / "data" / "vllm-0.32.0-metrics.txt").read_text()
    with simulator() as s:
        _, text = s.ask("GET", "/metrics")
    for name in (names.waiting, names.running, names.kv_cache_usage, names.requests_total, names.prompt_tokens_total,
                 names.generation_tokens_total, f"{names.ttft}_bucket", f"{names.inter_token}_count", f"{names.e2e}_sum",
                 "vllm:cache_config_info"):  # fmt: skip
        assert re.search(rf"^{name}{{", text, re.M), name

    def shape(exposition: str) -> dict[str, set[frozenset[str]]]:
        found: dict[str, set[frozenset[str]]] = {}
        for name, labels in re.findall(r"^(vllm:\w+){(.*)} ", exposition, re.M):
            found.setdefault(name, set()).add(frozenset(re.findall(r'(\w+)="', labels)))
        return found

    ours, theirs = shape(text), shape(real)
    for name, labels in ours.items():
        if name == "vllm:cache_config_info":
            assert next(iter(labels)) <= next(iter(theirs[name]))
        else:
            assert labels == theirs[name], name
    # The buckets are vLLM's too: dashboards and rules that name one find it.
    for name in ("time_to_first_token_seconds", "inter_token_latency_seconds", "e2e_request_latency_seconds"):
        bounds = [re.findall(rf'^vllm:{name}_bucket{{.*le="(.*?)"', t, re.M) for t in (text, real)]
        assert bounds[0] == bounds[1]


def test_traffic_is_counted() -> None:
    with simulator() as s:
        used = s.chat(max_tokens=7)[1]["usage"]
        label = {"model_name": "assistant", "engine": "0"}
        assert s.metric("vllm:prompt_tokens_total", **label) == used["prompt_tokens"]
        assert s.metric("vllm:generation_tokens_total", **label) == 7
        assert s.metric("vllm:request_success_total", finished_reason="length") == 1
        assert s.metric("vllm:time_to_first_token_seconds_count") == 1
        assert 0.02 <= s.metric("vllm:time_to_first_token_seconds_sum") < 2
        assert s.metric("vllm:inter_token_latency_seconds_count") == 6
        assert s.metric("vllm:num_requests_running") == 0
        assert s.metric("vllm:kv_cache_usage_perc") == 0
        assert s.metric("http_requests_total", handler="/v1/chat/completions", status="2xx") == 1


def test_an_adapter_is_served_under_its_name(one: Running) -> None:
    status, answer = one.chat(model="legal", max_tokens=1)
    assert (status, answer["model"]) == (200, "legal")
    assert one.metric("vllm:lora_requests_info", max_lora="1") > 1e9


def test_requests_queue_and_sigterm_loses_none() -> None:
    """Four requests where one may run at once: three wait, and all four are answered though SIGTERM comes."""
    with (
        simulator("--tpot-ms=10", launch=msgspec.structs.replace(LAUNCH, max_num_seqs=1)) as s,
        ThreadPoolExecutor(5) as pool,
    ):
        asked = [pool.submit(s.chat, max_tokens=40) for _ in range(3)]
        asked.append(pool.submit(s.ask, "POST", "/v1/chat/completions",
                                 {"messages": [{"role": "user", "content": "x"}], "max_tokens": 40, "stream": True}))  # fmt: skip
        s.until(lambda: s.metric("vllm:num_requests_waiting") == 3)
        assert s.metric("vllm:num_requests_running") == 1
        assert s.metric("vllm:num_requests_waiting_by_reason", reason="capacity") == 3
        assert s.metric("vllm:kv_cache_usage_perc") > 0
        s.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        # While it drains it is healthy, as vLLM is, and takes no new request.
        assert s.ask("GET", "/health")[0] == 200
        refused = s.chat(max_tokens=1)
        assert refused[0] == 500
        assert "shutdown" in refused[1]["error"]["message"]
        for future in asked[:3]:
            status, answer = future.result(timeout=20)
            assert status == 200
            assert answer["usage"]["completion_tokens"] == 40
        assert len(events(asked[3].result(timeout=20)[1])) == 41
        assert s.process.wait(timeout=10) == 0


def test_a_drain_that_runs_out_says_how_many_were_lost() -> None:
    with simulator("--tpot-ms=100", "--shutdown-timeout=1") as s, ThreadPoolExecutor(2) as pool:
        asked = pool.submit(
            s.ask, "POST", "/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}]}
        )
        s.until(lambda: s.metric("vllm:num_requests_running") == 1)
        begun = time.monotonic()
        s.process.send_signal(signal.SIGTERM)
        assert s.process.wait(timeout=10) == 1
        assert 0.9 < time.monotonic() - begun < 5
        with pytest.raises((OSError, http.client.HTTPException)):
            asked.result(timeout=10)
        assert s.process.stdout is not None
        assert "1 requests lost" in s.process.stdout.read()


def test_an_idle_server_stops_at_once() -> None:
    with simulator() as s:
        kept = socket.create_connection(("127.0.0.1", s.port))
        begun = time.monotonic()
        s.process.send_signal(signal.SIGTERM)
        assert s.process.wait(timeout=10) == 0
        assert time.monotonic() - begun < 3
        kept.close()


def test_a_client_that_leaves_makes_room() -> None:
    with simulator("--tpot-ms=50", launch=msgspec.structs.replace(LAUNCH, max_num_seqs=1)) as s:
        body = json.dumps({"prompt": "x", "max_tokens": 900, "stream": True}).encode()
        with socket.create_connection(("127.0.0.1", s.port)) as gone:
            gone.sendall(b"POST /v1/completions HTTP/1.1\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
            s.until(lambda: s.metric("vllm:num_requests_running") == 1)
        s.until(lambda: s.metric("vllm:num_requests_running") == 0)
        assert s.metric("vllm:request_success_total", finished_reason="abort") == 1


def test_the_kv_cache_limits_what_runs() -> None:
    with simulator("--kv-cache-tokens=1000", "--tpot-ms=20") as s, ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(s.chat, max_tokens=900, ignore_eos=True)]
        s.until(lambda: s.metric("vllm:num_requests_running") == 1)
        # There are places free, but not as many tokens.
        asked.append(pool.submit(s.chat, max_tokens=200, ignore_eos=True))
        s.until(lambda: s.metric("vllm:num_requests_waiting") == 1)
        s.process.kill()
        for future in asked:
            with contextlib.suppress(OSError, http.client.HTTPException):
                future.result(timeout=10)


def test_only_v1_asks_for_the_key() -> None:
    with simulator(env={"VLLM_API_KEY": "secret"}) as s:
        assert s.ask("GET", "/v1/models") == (401, '{"error": "Unauthorized"}')
        assert s.ask("GET", "/v1/models", key="wrong")[0] == 401
        assert s.ask("GET", "/v1/models", key="secret")[0] == 200
        assert s.ask("GET", "/health")[0] == 200
        assert s.ask("GET", "/metrics")[0] == 200


def test_it_can_take_its_time_to_start() -> None:
    begun = time.monotonic()
    with simulator("--startup-seconds=1"):
        assert time.monotonic() - begun > 1


def test_it_runs_as_nobody_on_a_read_only_root() -> None:
    """As PodSecurity `restricted` has it: a number for a user, no HOME, nothing writable but /tmp."""
    if os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("setpriv"):
        pytest.skip("needs root, unshare and setpriv")
    python = next(
        (p for p in (sys.executable, "/usr/bin/python3") if modern(p) and everybodys(Path(p))), None
    )
    if python is None or not everybodys(FILE):
        pytest.skip("nobody but root may read this interpreter, or this checkout")
    # `exit 9` if the root can be written to in spite of it all.
    read_only = 'mount -o remount,ro,bind / || exit 8; touch /usr/written 2>/dev/null && exit 9; exec "$@"'
    prefix = ["unshare", "--mount", "sh", "-c", read_only, "sh"]
    if subprocess.run([*prefix, "true"], capture_output=True).returncode:
        pytest.skip("mount namespaces are not allowed here")
    prefix += ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", "--no-new-privs"]
    with simulator(prefix=tuple(prefix), python=python) as s:
        assert s.chat(max_tokens=1)[0] == 200
        s.process.send_signal(signal.SIGTERM)
        assert s.process.wait(timeout=10) == 0


def test_it_needs_nothing_but_the_standard_library_and_fits_a_config_map() -> None:
    text = FILE.read_text()
    assert len(text.encode()) < 64 * 2**10
    assert server(release("simulator"), LAUNCH).files == {"/etc/homeport/simulator.py": text}
    imported = set(re.findall(r"^(?:import|from) (\w+)", text, re.M))
    assert imported <= sys.stdlib_module_names


def test_its_flag_list_is_its_parsers() -> None:
    done = subprocess.run(
        [sys.executable, "-I", str(FILE), "--help"], capture_output=True, text=True, check=True
    )
    theirs = set(re.findall(r"^  (--[a-z-]+)", done.stdout, re.M))
    assert theirs == {n for f in flags("simulator-1.0.0.json").flags for n in f.names}
