"""Answers that no Prometheus, no endpoint and no cluster should give: each ends in an error that says so, or is escaped."""

import contextlib
import copy
import json
import socket
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from homeport.cluster import bench_endpoint, diff_view, prometheus
from homeport.cluster.client import Cluster, connect
from homeport.cluster.doctor_types import Case, Log
from homeport.cluster.errors import ClusterProblem, CredentialsRefused
from homeport.cluster.prometheus import Prometheus, PrometheusError
from homeport.commands.doctor import _details
from homeport.commands.output import Output
from homeport.engines import registry
from homeport.errors import EnvironmentProblem, NotFoundError
from tests.cluster.healthy import case, report, with_facts, with_list, with_pod
from tests.cluster.ward import planned, spec

NASTY = "out of memory \x1b[2J\x1b]0;owned\x07 \x9b31m \u202egnp.exe"


@contextlib.contextmanager
def answering(reply: bytes, *, drip: bool = False) -> Iterator[str]:
    """A server on loopback that gives one answer to everything; with `drip`, goes on with a byte at a time."""
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.1)
    ended = threading.Event()

    def one(way: socket.socket) -> None:
        with way, contextlib.suppress(OSError):
            way.recv(65_536)
            way.sendall(reply)
            for _ in range(1000 if drip else 0):
                if ended.wait(0.02):
                    return
                way.sendall(b" ")

    def serve() -> None:
        while not ended.is_set():
            with contextlib.suppress(TimeoutError):
                threading.Thread(target=one, args=(server.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
    finally:
        ended.set()
        thread.join()
        server.close()


def http(body: bytes, status: str = "200 OK", more: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


GARBAGE = {
    "html": http(b"<html>sign in</html>"),
    "failed": http(b"oops", "500 Internal Server Error"),
    "no http": b"SSH-2.0-OpenSSH_9.6\r\n",
    "cut short": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
    "nothing": b"",
    "a list": http(b"[]"),
    "no utf-8": http(b'{"status": "\xff"}'),
    "nested": http(b"[" * 100_000),
    "a redirect in a circle": http(b"", "302 Found", "Location: /\r\n"),
    "data of another form": http(b'{"status": "success", "data": [1]}'),
    "elements of another form": http(
        b'{"status": "success", "data": {"resultType": "vector", "result": [{}]}}'
    ),
    "a scalar without a value": http(
        b'{"status": "success", "data": {"resultType": "scalar", "result": null}}'
    ),
    "a value that is none": http(
        b'{"status": "success", "data": {"resultType": "scalar", "result": [0, "x"]}}'
    ),
}


@pytest.mark.parametrize("reply", GARBAGE.values(), ids=GARBAGE)
def test_garbage_instead_of_prometheus(reply: bytes) -> None:
    with answering(reply) as url, pytest.raises(PrometheusError):
        Prometheus(url).query("up")


def test_targets_of_another_form() -> None:
    reply = http(b'{"status": "success", "data": {"activeTargets": [1]}}')
    with answering(reply) as url, pytest.raises(PrometheusError, match="no Prometheus"):
        Prometheus(url).targets()


def test_a_prometheus_that_never_ends_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prometheus, "TIMEOUT_S", 0.3)
    since = time.monotonic()
    endless = answering(b"HTTP/1.1 200 OK\r\n\r\n{", drip=True)
    with endless as url, pytest.raises(PrometheusError, match="not complete"):
        Prometheus(url).query("up")
    assert time.monotonic() - since < 10


def test_an_answer_without_end_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prometheus, "MOST_BYTES", 2**20)
    with answering(http(b" " * 2**22)) as url, pytest.raises(PrometheusError, match="longer than 1 MiB"):
        Prometheus(url).query("up")


@pytest.mark.parametrize("reply", GARBAGE.values(), ids=GARBAGE)
def test_garbage_instead_of_an_endpoint(reply: bytes) -> None:
    release = registry.release("vllm", None)
    with answering(reply) as url, pytest.raises((EnvironmentProblem, NotFoundError)):
        bench_endpoint.ask(url, "chat", release, "sk-secret")


def test_an_endpoint_that_never_ends_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_endpoint, "SECONDS", 0.3)
    since = time.monotonic()
    endless = answering(b"HTTP/1.1 200 OK\r\n\r\n{", drip=True)
    with endless as url, pytest.raises(EnvironmentProblem, match="not complete"):
        bench_endpoint.ask(url, "chat", registry.release("vllm", None), None)
    assert time.monotonic() - since < 10


@pytest.mark.parametrize("key", ["sk-secret\n", "sk-secret\r\nX: y", "sk-secret…"])
def test_a_key_that_no_header_takes_is_not_repeated(key: str) -> None:
    with pytest.raises(EnvironmentProblem) as refused:
        bench_endpoint.ask("http://127.0.0.1:9", "chat", registry.release("vllm", None), key)
    assert "sk-secret" not in f"{refused.value} {refused.value.help}"
    assert "cannot be sent" in str(refused.value)


def test_a_key_that_the_endpoint_repeats_is_not_shown() -> None:
    reply = http(b"bad header: Bearer sk-secret", "400 Bad Request")
    with answering(reply) as url, pytest.raises(EnvironmentProblem, match="hidden") as refused:
        bench_endpoint.ask(url, "chat", registry.release("vllm", None), "sk-secret")
    assert "sk-secret" not in str(refused.value)


@pytest.mark.parametrize("value", ["NaN", "+Inf", "many", "-Inf"])
def test_metrics_that_count_nothing(value: str) -> None:
    assert bench_endpoint.kv_cache_tokens(f"sglang:max_total_num_tokens{{}} {value}\n") is None
    assert bench_endpoint.kv_cache_tokens('vllm:cache_config_info{kv_cache_size_tokens="²"} 1\n') is None


# -- an API server that is none

TOKEN = "tell-nobody"
KINDS = b'{"resources": [{"kind": "Pod", "name": "pods", "namespaced": true}], "items": [null]}'


def asked(url: str, folder: Path, token: str = TOKEN) -> Cluster:
    file = folder / "config"
    file.write_text(
        json.dumps(
            {
                "current-context": "here",
                "clusters": [{"name": "c", "cluster": {"server": url}}],
                "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
                "users": [{"name": "u", "user": {"token": token}}],
            }
        ),
        "utf-8",
    )
    return connect(file, patience_s=0)


@pytest.mark.parametrize(
    "reply",
    [*GARBAGE.values(), http(b'"text"'), http(b"7"), http(b'{"resources": [{"kind": "Pod"}]}'), http(KINDS)],
)
def test_garbage_instead_of_an_api_server(reply: bytes, tmp_path: Path) -> None:
    with answering(reply) as url, pytest.raises(ClusterProblem):
        asked(url, tmp_path).list("v1", "Pod")


@pytest.mark.parametrize("token", [f"{TOKEN}\n", f"a\n{TOKEN}", f"{TOKEN}…"])
def test_a_token_that_no_header_takes_is_not_repeated(token: str, tmp_path: Path) -> None:
    with pytest.raises(CredentialsRefused, match="cannot be sent") as refused:
        asked("http://127.0.0.1:9", tmp_path, token).list("v1", "Pod")
    assert TOKEN not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize("code", [400, 403, 409, 422, 500])
def test_a_token_that_the_server_repeats_is_not_shown(code: int, tmp_path: Path) -> None:
    status = json.dumps({"kind": "Status", "message": f"no: Authorization: Bearer {TOKEN}"}).encode()
    with answering(http(status, f"{code} No")) as url, pytest.raises(ClusterProblem) as refused:
        asked(url, tmp_path).list("v1", "Pod")
    assert TOKEN not in f"{refused.value} {refused.value.help}"


# -- what a terminal would act on


@pytest.fixture(scope="module")
def healthy() -> Case:
    return case(planned(spec("ward", "http://prometheus-operated.monitoring.svc:9090")))


def test_a_log_cannot_write_on_the_terminal(healthy: Case, capsys: pytest.CaptureFixture[str]) -> None:
    status = {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "False"}],
        "containerStatuses": [
            {
                "name": "server",
                "ready": False,
                "restartCount": 3,
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}},
            }
        ],
    }
    ill = with_facts(
        with_pod(healthy, status=status),
        logs={("chat-1", "server"): Log(text=f"RuntimeError: {NASTY}\n", previous=True)},
    )
    (fault,) = [f for f in report(ill).findings if f.check == "pods"]
    assert "\x1b" in fault.evidence, "what was said is kept for JSON"
    _details(Output(), fault)
    said = capsys.readouterr().out
    assert "\\x1b[2J" in said
    assert all(c.isprintable() or c == "\n" for c in said)


def test_messages_cannot_write_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    out = Output()
    out.error(NASTY, help=NASTY)
    out.warn(NASTY)
    assert all(c.isprintable() or c == "\n" for c in capsys.readouterr().err)


def test_a_difference_cannot_write_on_the_terminal() -> None:
    for value in (NASTY, f"a\n{NASTY}\n", {"a": [NASTY]}):
        assert all(line.isprintable() for line in diff_view.value_lines(value))
    assert diff_view.value_lines("a\u2028b\nc") == ["a\\u2028b", "c"]
    assert diff_view.value_lines("a\n") != diff_view.value_lines("a")


# -- objects in a form that nobody expects


def without(value: Any, *path: Any) -> Any:
    made = copy.deepcopy(value)
    inner = made
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = None
    return made


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("Pod", ("status", "containerStatuses")),
        ("Node", ("status", "conditions", 0)),
        ("ScaledObject", ("status", "conditions")),
        ("HorizontalPodAutoscaler", ("status", "conditions", 0)),
    ],
)
def test_an_odd_object_is_unknown_and_hides_nothing_else(
    healthy: Case, kind: str, path: tuple[Any, ...]
) -> None:
    odd = without(healthy.facts.lists[kind][0], *path)
    found = report(with_list(healthy, kind, odd, *healthy.facts.lists[kind][1:])).findings
    (unknown, *_) = [f for f in found if f.severity == "unknown"]
    assert "a form that this check does not know" in unknown.what
    assert {f.check for f in report(healthy).findings} <= {f.check for f in found}
