"""The Hub's routes as a server of this machine speaks them: what is asked, what comes back, what is said when it fails."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from homeport.catalog import hub
from homeport.catalog.resolve import ModelNotFoundError, resolve

ID = "some-org/some-model"
CONFIG = {
    "model_type": "llama",
    "torch_dtype": "float16",
    "max_position_embeddings": 4096,
    "num_hidden_layers": 2,
}
CONFIG_PATH = f"/{ID}/resolve/main/config.json"
TOKEN = "hf_abcdefghijklmnopqrstuvwxyz"


Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    server: "HubServer"

    def do_GET(self) -> None:
        self.server.asked.append((self.path, dict(self.headers)))
        route = self.path.split("?")[0]
        answer = self.server.routes.get(route) or error(404, "RepoNotFound", "Repository not found")
        with suppress(BrokenPipeError, ConnectionResetError):
            answer(self)

    def log_message(self, *args: Any) -> None:
        pass


class HubServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.routes: dict[str, Answer] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]

    def model(
        self,
        id_: str,
        config: Any,
        info: dict[str, Any] | None = None,
        index: bytes | None = None,
        sha: str = "c0ffee",
    ) -> None:
        self.routes[f"/{id_}/resolve/main/config.json"] = body(
            json.dumps(config).encode(), {"X-Repo-Commit": sha}
        )
        if info is not None:
            self.routes[f"/api/models/{id_}"] = body(json.dumps(info).encode())
        if index is not None:
            self.routes[f"/{id_}/resolve/{sha}/model.safetensors.index.json"] = body(index)


def body(content: bytes, headers: dict[str, str] | None = None, status: int = 200) -> Answer:
    def answer(handler: Handler) -> None:
        handler.send_response(status)
        for key, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            handler.send_header(key, value)
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def error(status: int, code: str | None = None, message: str | None = None) -> Answer:
    headers = {"X-Error-Code": code, "X-Error-Message": message}
    text = json.dumps({"error": message or "no"}).encode()
    return body(text, {k: v for k, v in headers.items() if v}, status)


def redirect(to: str, status: int = 307) -> Answer:
    return body(b"", {"Location": to}, status)


def late(seconds: float, then: Answer) -> Answer:
    def answer(handler: Handler) -> None:
        time.sleep(seconds)
        then(handler)

    return answer


def endless(status: int = 200, piece: bytes = b" " * 65536, pause_s: float = 0.0) -> Answer:
    def answer(handler: Handler) -> None:
        handler.send_response(status)
        handler.end_headers()
        while True:
            handler.wfile.write(piece)
            handler.wfile.flush()
            time.sleep(pause_s)

    return answer


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    from huggingface_hub import close_session

    running = HubServer()
    monkeypatch.setenv("HF_ENDPOINT", running.url)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield running
    close_session()
    running.shutdown()
    running.server_close()


def failure(name: str = ID, **kwargs: bool) -> ModelNotFoundError:
    with pytest.raises(ModelNotFoundError) as caught:
        resolve(name, base_dir=Path("/"), **kwargs)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    assert TOKEN not in f"{caught.value} {caught.value.help}"
    return caught.value


def test_a_public_model(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    index = {
        "metadata": {"total_size": 123456},
        "weight_map": {f"model.layers.{i}.weight": "x" for i in range(9000)},
    }
    info = {
        "id": ID,
        "sha": "c0ffee",
        "gated": False,
        "cardData": {"license": "apache-2.0"},
        "siblings": [{"rfilename": "model.safetensors.index.json", "size": 300000}],
    }
    server.model(ID, CONFIG, info, json.dumps(index).encode())
    found = resolve(ID, base_dir=Path("/"))
    assert (found.id, found.origin, found.config) == (ID, "hub", CONFIG)
    assert (found.weight_bytes, found.dtype, found.context_tokens) == (123456, "float16", 4096)
    assert (found.licence, found.gated, found.revision) == ("apache-2.0", False, "c0ffee")
    assert found.source == f"{server.url}/{ID}@c0ffee"
    assert len(server.asked) == 3
    for _, headers in server.asked:
        assert "authorization" not in {name.lower() for name in headers}
        assert headers["user-agent"] == "homeport"


def test_a_gated_model_with_a_token_that_may(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    info = {"id": ID, "gated": "manual", "cardData": {"license": "other", "license_name": "mrl"}}
    server.model(ID, CONFIG, {**info, "siblings": [{"rfilename": "model.safetensors", "size": 4096}]})
    found = resolve(ID, base_dir=Path("/"))
    assert (found.licence, found.gated, found.weight_bytes) == ("mrl", True, 4096)
    assert {headers["authorization"] for _, headers in server.asked} == {f"Bearer {TOKEN}"}


def test_what_the_hub_does_not_say_is_unknown(server: HubServer) -> None:
    server.model(ID, CONFIG)
    found = resolve(ID, base_dir=Path("/"))
    assert (found.weight_bytes, found.licence, found.gated) == (None, None, None)


@pytest.mark.parametrize(
    "info",
    [
        {"id": "../../etc", "siblings": "no list", "cardData": 3, "tags": {"a": 1}},
        {"id": 7, "siblings": [None, {"rfilename": "model.safetensors", "size": "big"}], "tags": [1, None]},
        {"siblings": [{"rfilename": "model.safetensors.index.json"}]},
    ],
)
def test_a_strange_description_does_not_matter(server: HubServer, info: dict[str, object]) -> None:
    server.model(ID, CONFIG, info)
    found = resolve(ID, base_dir=Path("/"))
    assert (found.id, found.weight_bytes, found.licence) == (ID, None, None)


def test_the_licence_of_the_tags(server: HubServer) -> None:
    server.model(ID, CONFIG, {"tags": ["text-generation", "license:mit"]})
    assert resolve(ID, base_dir=Path("/")).licence == "mit"


@pytest.mark.parametrize("licence", ["\x1b]0;owned\x07mit", "x" * 5000, ["mit"], ""])
def test_a_licence_that_is_not_fit_to_print_is_unknown(server: HubServer, licence: object) -> None:
    server.model(ID, CONFIG, {"cardData": {"license": licence}, "tags": []})
    assert resolve(ID, base_dir=Path("/")).licence is None


@pytest.mark.parametrize(
    ("status", "code", "token", "kind", "says", "helps"),
    [
        (401, "GatedRepo", False, "gated", "it is gated on the Hub", "set HF_TOKEN"),
        (403, "GatedRepo", True, "gated", "has not been granted access", "accept its licence at"),
        (404, "RepoNotFound", False, "missing", "it is not on the Hub", "a private one needs HF_TOKEN"),
        (401, "RepoNotFound", False, "missing", "it is not on the Hub", "a private one needs HF_TOKEN"),
        (404, "RepoNotFound", True, "missing", "it is not on the Hub", "check the name"),
        (404, "EntryNotFound", False, "no_config", "has no config.json", "give a path"),
        (404, None, False, "missing", "it is not on the Hub", "check the name"),
        (401, "RepoNotFound", True, "denied", "refused the token (401)", "check HF_TOKEN"),
        (401, None, True, "denied", "refused the token (401)", "check HF_TOKEN"),
        (403, None, False, "denied", "refused a request without a token (403)", "check HF_TOKEN"),
        (429, None, False, "limited", "takes no more requests now", "try again later"),
        (500, None, False, "server", "answered 500", "try again later"),
        (503, None, False, "server", "answered 503", "try again later"),
    ],
)
def test_refusals_are_said_in_a_sentence_and_not_retried(
    server: HubServer,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    code: str | None,
    token: bool,
    kind: str,
    says: str,
    helps: str,
) -> None:
    if token:
        monkeypatch.setenv("HF_TOKEN", TOKEN)
    message = "Invalid credentials in Authorization header" if kind == "denied" and token else None
    server.routes[CONFIG_PATH] = error(status, code, message)
    started = time.monotonic()
    caught = failure()
    assert time.monotonic() - started < 2
    assert caught.kind == kind
    assert says in str(caught)
    assert helps in (caught.help or "")
    assert server.paths == [CONFIG_PATH]


def test_a_misspelt_catalog_id_is_answered_with_the_nearest(server: HubServer) -> None:
    caught = failure("meta-llama/Llama-3.1-70B-Instrct")
    assert caught.nearest[0] == "meta-llama/Llama-3.1-70B-Instruct"
    assert "did you mean meta-llama/Llama-3.1-70B-Instruct" in str(caught)


def test_a_slow_hub_is_left_after_five_seconds(server: HubServer) -> None:
    server.routes[CONFIG_PATH] = late(8, body(json.dumps(CONFIG).encode()))
    started = time.monotonic()
    caught = failure()
    assert 4.5 < time.monotonic() - started < 6
    assert caught.kind == "timeout"
    assert "did not answer within 5 s" in str(caught)


@pytest.mark.parametrize("answer", [endless(pause_s=0.1, piece=b" "), late(0.8, late(0.8, body(b"{}")))])
def test_slow_drops_do_not_move_the_deadline(
    server: HubServer, monkeypatch: pytest.MonkeyPatch, answer: object
) -> None:
    monkeypatch.setattr(hub, "DEADLINE_S", 1.0)
    server.routes[CONFIG_PATH] = answer  # type: ignore[assignment]
    started = time.monotonic()
    assert failure().kind == "timeout"
    assert time.monotonic() - started < 2


def test_a_slow_description_leaves_the_config(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "DEADLINE_S", 1.0)
    server.model(ID, CONFIG)
    server.routes[f"/api/models/{ID}"] = late(3, body(b"{}"))
    found = resolve(ID, base_dir=Path("/"))
    assert (found.config, found.licence) == (CONFIG, None)


def test_nobody_listens(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = HubServer()
    url = closed.url
    closed.shutdown()
    closed.server_close()
    monkeypatch.setenv("HF_ENDPOINT", url)
    started = time.monotonic()
    caught = failure()
    assert time.monotonic() - started < 2
    assert caught.kind == "unreachable"
    assert "cannot be reached" in str(caught)


@pytest.mark.parametrize(
    "content", [b"", b"<html>captive portal</html>", b"[1]", b"\xff\xfe", b"[" * 100_000, b'{"a": 1', b"null"]
)
def test_garbage_instead_of_a_config(server: HubServer, content: bytes) -> None:
    server.routes[CONFIG_PATH] = body(content)
    caught = failure()
    assert caught.kind == "invalid"
    assert "is not a JSON object" in str(caught)


@pytest.mark.parametrize(("status", "kind"), [(200, "invalid"), (500, "server"), (404, "missing")])
def test_an_endless_body_is_not_read(server: HubServer, status: int, kind: str) -> None:
    server.routes[CONFIG_PATH] = endless(status)
    started = time.monotonic()
    assert failure().kind == kind
    assert time.monotonic() - started < 3


def test_a_long_index_is_read_at_its_beginning_only(server: HubServer) -> None:
    server.model(ID, CONFIG, {"siblings": [{"rfilename": "model.safetensors.index.json"}]})

    def answer(handler: object) -> None:
        handler.wfile.write(b'HTTP/1.0 200 OK\r\n\r\n{"metadata": {"total_size": 77}, ')  # type: ignore[attr-defined]
        while True:
            handler.wfile.write(b" " * 65536)  # type: ignore[attr-defined]

    server.routes[f"/{ID}/resolve/c0ffee/model.safetensors.index.json"] = answer
    started = time.monotonic()
    assert resolve(ID, base_dir=Path("/")).weight_bytes == 77
    assert time.monotonic() - started < 3


def test_a_renamed_repository(server: HubServer) -> None:
    new = "new-org/new-name"
    server.model(new, CONFIG, {"id": new, "gated": False})
    server.routes[CONFIG_PATH] = redirect(f"/{new}/resolve/main/config.json")
    server.routes[f"/api/models/{ID}"] = redirect(f"/api/models/{new}")
    found = resolve(ID, base_dir=Path("/"))
    assert (found.id, found.config, found.gated) == (new, CONFIG, False)


def test_a_token_does_not_follow_a_redirect_to_another_host(
    server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    other = HubServer()
    other.routes["/elsewhere"] = body(json.dumps(CONFIG).encode())
    server.routes[CONFIG_PATH] = redirect(f"{other.url}/elsewhere", 302)
    assert resolve(ID, base_dir=Path("/")).config == CONFIG
    (_, headers), *_ = other.asked
    assert "authorization" not in {name.lower() for name in headers}
    other.shutdown()
    other.server_close()


def test_a_refusal_elsewhere_is_not_the_tokens(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    other = HubServer()
    other.routes["/elsewhere"] = error(401)
    server.routes[CONFIG_PATH] = redirect(f"{other.url.replace('127.0.0.1', 'localhost')}/elsewhere", 302)
    assert "refused a request without a token (401)" in str(failure())
    other.shutdown()
    other.server_close()


@pytest.mark.parametrize(("to", "kind"), [(CONFIG_PATH, "server"), ("file:///etc/passwd", "unreachable")])
def test_a_redirect_that_leads_nowhere(server: HubServer, to: str, kind: str) -> None:
    server.routes[CONFIG_PATH] = redirect(to)
    assert failure().kind == kind


@pytest.mark.parametrize("value", ["1", "true", "YES", "on"])
def test_the_environment_forbids_asking(
    server: HubServer, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", value)
    caught = failure()
    assert caught.kind == "offline"
    assert "HF_HUB_OFFLINE is set" in str(caught)
    assert server.asked == []


def test_the_caller_forbids_asking(server: HubServer) -> None:
    assert "--offline was given" in str(failure(offline=True))
    assert server.asked == []


@pytest.mark.parametrize(
    "name", ["nope", "a/b/c", "a/..b", "org/na me", "org/", "/", "", "org/na\x00me", "x" * 5000]
)
def test_what_cannot_be_a_hub_id_is_not_asked_for(server: HubServer, name: str) -> None:
    assert failure(name).kind in ("name", "file")
    assert server.asked == []


def test_the_catalog_is_not_asked_for(server: HubServer) -> None:
    for name in (
        "meta-llama/Llama-3.1-8B-Instruct",
        "llama-3.1-8b-instruct",
        "RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic",
    ):
        assert resolve(name, base_dir=Path("/")).origin == "catalog"
    assert server.asked == []


@pytest.mark.parametrize(
    "endpoint", ["huggingface.co", "ftp://x", "http://", "file:///x", "http://[::", "http://x:99999"]
)
def test_an_endpoint_that_is_none(server: HubServer, monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    assert "HF_ENDPOINT" in str(failure())


def test_a_password_in_the_endpoint_is_not_printed(
    server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server.url.replace("http://", "http://user:s3cret@"))
    server.routes[CONFIG_PATH] = error(401, "GatedRepo")
    caught = failure()
    assert "s3cret" not in f"{caught} {caught.help}"
    server.model(ID, CONFIG)
    assert "s3cret" not in resolve(ID, base_dir=Path("/")).source


def test_a_token_that_no_header_can_hold(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_ключ")
    server.routes[CONFIG_PATH] = error(401, None, "Invalid credentials in Authorization header")
    caught = failure()
    assert "HF_TOKEN" in str(caught)
    assert "ключ" not in f"{caught} {caught.help}"


@pytest.mark.parametrize("size", [10**30, 2**50 + 1, -1, 0, True])
def test_a_size_that_no_checkpoint_has_is_unknown(server: HubServer, size: int) -> None:
    server.model(ID, CONFIG)
    info = {"id": ID, "siblings": [{"rfilename": "model.safetensors", "size": size}]}
    server.routes[f"/api/models/{ID}?blobs=true"] = body(json.dumps(info).encode())
    assert resolve(ID, base_dir=Path("/")).weight_bytes is None


def test_a_process_ends_in_time_prints_no_token_and_writes_nothing(server: HubServer, tmp_path: Path) -> None:
    server.routes[CONFIG_PATH] = endless(pause_s=0.2, piece=b" ")
    env = {
        **os.environ,
        "HF_TOKEN": TOKEN,
        "HOME": str(tmp_path),
        "HF_HOME": str(tmp_path / "hf"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "homeport", "models", "show", ID, "--debug"],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert time.monotonic() - started < 9
    assert done.returncode == 2
    assert done.stdout == ""
    assert "did not answer within 5 s" in done.stderr
    assert TOKEN not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert list(tmp_path.iterdir()) == []
