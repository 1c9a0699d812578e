"""The kubeconfig as kubectl reads it, and what is said where it is wrong. No cluster is needed."""

import base64
import copy
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from homeport.cluster.client import connect
from homeport.cluster.client_config import access
from homeport.cluster.errors import ClusterProblem, CredentialsRefused, KubeconfigProblem, Unreachable

TOKEN = "tell-nobody-about-this-token"


def kubeconfig(path: Path, server: str = "http://127.0.0.1:1", **user: Any) -> Path:
    """One context `here`, with a user."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "ns"}}],
        "users": [{"name": "u", "user": user or {"token": TOKEN}}],
    }
    path.write_text(yaml.safe_dump(config), "utf-8")
    return path


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def test_the_named_file_goes_over_the_variable_and_that_over_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home" / ".kube").mkdir(parents=True)
    kubeconfig(tmp_path / "home" / ".kube" / "config", "http://home:1")
    assert access(None, None).server == "http://home:1"
    first = kubeconfig(tmp_path / "first", "http://first:1")
    # Of two files the first one's entries win; one that does not exist is left out.
    monkeypatch.setenv(
        "KUBECONFIG", f"{tmp_path / 'none'}:{first}:{kubeconfig(tmp_path / 'second', 'http://b:1')}"
    )
    found = access(None, None)
    assert (found.server, found.context) == ("http://first:1", "here")
    assert access(kubeconfig(tmp_path / "named", "http://named:1"), None).server == "http://named:1"


def test_entries_are_merged_across_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = kubeconfig(tmp_path / "other", "http://other:1")
    config = yaml.safe_load(other.read_text())
    config["clusters"][0]["name"] = config["contexts"][0]["context"]["cluster"] = "d"
    config["contexts"][0]["name"] = "there"
    other.write_text(yaml.safe_dump(config))
    monkeypatch.setenv("KUBECONFIG", f"{kubeconfig(tmp_path / 'one', 'http://one:1')}:{other}")
    assert access(None, "there").server == "http://other:1"
    assert access(None, None).server == "http://one:1"


@pytest.mark.parametrize(
    ("text", "context", "said", "help_"),
    [
        ("", None, "is empty", "--kubeconfig"),
        ("- a", None, "is no kubeconfig", "--kubeconfig"),
        (f"users: [{{token: {TOKEN}}}", None, "is no YAML", "write it anew"),
        (
            "current-context: x\ncontexts: [{name: y, context: {}}]",
            None,
            "there is no context 'x'",
            "it knows y",
        ),
        (
            "contexts: [{name: production, context: {}}]",
            "prodution",
            "no context 'prodution'",
            "did you mean production?",
        ),
        ("contexts: [{name: y, context: {}}]", None, "no context is chosen", "it knows y"),
        (
            "current-context: y\ncontexts: [{name: y, context: {cluster: z}}]",
            None,
            "cluster 'z', which",
            "get-contexts",
        ),
    ],
)
def test_a_file_that_is_wrong_is_told_with_the_way_out(
    tmp_path: Path, text: str, context: str | None, said: str, help_: str
) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    with pytest.raises(KubeconfigProblem) as caught:
        access(file, context)
    assert said in str(caught.value)
    assert help_ in str(caught.value.help)
    assert TOKEN not in str(caught.value)
    assert caught.value.exit_code == 3


def ways(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every part of a value."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield (*way, key)
        yield from ways(part, (*way, key))


def test_no_part_of_another_type_is_a_traceback(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    right = yaml.safe_load(kubeconfig(tmp_path / "right", exec=plugin("true")).read_text())
    file = tmp_path / "wrong"
    others: tuple[Any, ...] = ("text", 7, None, [1], {}, True)
    refused = 0
    for *way, last in ways(right):
        for wrong in others:
            made = copy.deepcopy(right)
            inner = made
            for step in way:
                inner = inner[step]
            inner[last] = wrong
            file.write_text(yaml.safe_dump(made), "utf-8")
            try:
                access(file, None)
            except ClusterProblem:
                refused += 1
    assert refused > 100
    assert capfd.readouterr() == ("", "")


def test_no_file_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KubeconfigProblem, match=r"no kubeconfig: there is no ~/\.kube/config"):
        access(None, None)
    with pytest.raises(KubeconfigProblem, match="there is no kubeconfig '"):
        access(tmp_path / "missing", None)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    with pytest.raises(KubeconfigProblem, match="KUBECONFIG names no file that exists"):
        access(None, None)


def plugin(script: str) -> dict[str, Any]:
    """A credential plugin that is a shell script."""
    version = "client.authentication.k8s.io/v1"
    return {"apiVersion": version, "command": "sh", "args": ["-c", script], "interactiveMode": "Never"}


@pytest.mark.parametrize(
    ("script", "how"),
    [
        (f"echo 'cannot renew {TOKEN}' >&2; exit 3", "'sh' ended with exit code 3"),
        (f"echo {TOKEN}", "'sh' gave no credentials"),
        (f"""echo '{{"kind": "{TOKEN}"}}'""", "'sh' gave no credentials"),
    ],
)
def test_of_a_credential_plugin_that_fails_nothing_is_repeated(
    tmp_path: Path, script: str, how: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CredentialsRefused, match=how) as caught:
        access(kubeconfig(tmp_path / "config", exec=plugin(script)), None)
    assert "`kubectl get namespaces` runs it too" in str(caught.value.help)
    assert TOKEN not in f"{caught.value} {caught.value.help} {capfd.readouterr()}"


def test_a_credential_plugin_that_is_not_there(tmp_path: Path) -> None:
    none = {**plugin(""), "command": "no-such-plugin"}
    with pytest.raises(CredentialsRefused, match="'no-such-plugin' is not there"):
        access(kubeconfig(tmp_path / "config", exec=none), None)


def test_a_credential_plugin_that_fails_later_is_told_the_same_way(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its first token has expired when the first request is sent: it is asked again."""
    status = '{"token": "old", "expirationTimestamp": "2020-01-01T00:00:00Z"}'
    answer = (
        f'{{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {status}}}'
    )
    script = f"cd {tmp_path}; test -e asked && echo {TOKEN} >&2 && exit 4; touch asked; echo '{answer}'"
    cluster = connect(kubeconfig(tmp_path / "config", exec=plugin(script)))
    with pytest.raises(CredentialsRefused, match="'sh' ended with exit code 4"):
        cluster.raw("/version")
    assert TOKEN not in str(capfd.readouterr())


def test_a_credential_plugin_gives_the_token(tmp_path: Path) -> None:
    answer = '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"from-plugin"}}'
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "echo", "args": [answer]}
    settings = access(kubeconfig(tmp_path / "config", exec=plugin), None).settings
    assert settings.get_api_key_with_prefix("BearerToken", alias="authorization") == "Bearer from-plugin"


def test_a_server_that_is_not_there_is_one_sentence_soon(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    cluster = connect(kubeconfig(tmp_path / "config", f"http://admin:{TOKEN}@127.0.0.1:{port}"))
    began = time.monotonic()
    with pytest.raises(Unreachable) as caught:
        cluster.raw("/version")
    assert time.monotonic() - began < 10
    assert str(caught.value) == (
        f"the API server http://127.0.0.1:{port} cannot be reached: it refuses the connection"
    )


def test_what_is_no_api_server_is_said_so(tmp_path: Path) -> None:
    import http.server
    import threading

    class Silent(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Silent) as server:
        threading.Thread(target=server.serve_forever).start()
        url = f"127.0.0.1:{server.server_port}"
        with pytest.raises(ClusterProblem, match="with what is no JSON"):
            connect(kubeconfig(tmp_path / "a", f"http://{url}")).raw("/")
        with pytest.raises(KubeconfigProblem, match="does not speak TLS"):
            connect(kubeconfig(tmp_path / "b", f"https://{url}")).raw("/version")
        server.shutdown()


def test_keys_do_not_stay_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    broken = base64.b64encode(b"no certificate").decode()
    user = {"client-certificate-data": broken, "client-key-data": broken}
    file = kubeconfig(tmp_path / "config", "https://127.0.0.1:1", **user)
    with pytest.raises(KubeconfigProblem, match="certificate"):
        connect(file)
    assert list((tmp_path / "tmp").iterdir()) == []
