"""`doctor --hub`: whether the Hub lets a Secret's token read the model, as a server of this machine speaks the Hub's route.

The statuses and headers are the Hub's own; where a token may go, and that it is never shown, is looked at here too.
"""

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import close_session

from homeport.catalog import hub
from homeport.cluster import doctor_hub
from homeport.cluster.doctor import diagnose
from homeport.cluster.doctor_types import Finding, Missing, Question
from homeport.commands.main import run
from homeport.manifests.parsing import load as parsed
from homeport.manifests.render import documents
from homeport.planning.types import Plan
from tests.catalog.test_hub import TOKEN, Answer, Handler, HubServer, body, error, late, redirect
from tests.cluster.canned import Canned
from tests.cluster.healthy import case, with_facts, with_list
from tests.cluster.ward import planned, spec

ID = "meta-llama/Llama-3.1-8B-Instruct"
OTHERS = ("Qwen/Qwen3-8B", "mistralai/Mistral-7B-Instruct-v0.3")
ENCODED = base64.b64encode(TOKEN.encode()).decode()
BAD_TOKEN = "Invalid credentials in Authorization header"
FINE_GRAINED = "Please enable access to public gated repositories in your fine-grained token settings to view this repository."


def route(id_: str = ID) -> str:
    return f"/api/models/{id_}/auth-check"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    running = HubServer()
    for name in ("HF_TOKEN", "HF_ENDPOINT", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running.routes[route()] = body(b"OK")
    yield running
    close_session()
    running.shutdown()
    running.server_close()


def canned(plan: Plan, endpoint: str | None = None, value: str = TOKEN) -> Canned:
    """A cluster with the Secret, and, where `endpoint` says which Hub its pods ask, with the workloads."""
    objects: list[dict[str, Any]] = [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "hub-token"},
            "data": {"token": base64.b64encode(value.encode()).decode()},
        }
    ]
    if endpoint is not None:
        for item in (parsed(d.text) for d in documents(plan)):
            if item["kind"] in ("Deployment", "Job"):
                (container,) = item["spec"]["template"]["spec"]["containers"]
                if endpoint:
                    container.setdefault("env", []).append({"name": "HF_ENDPOINT", "value": endpoint})
                objects.append(item)
    return Canned(objects)


def told(cluster: Canned, plan: Plan | None = None, *, ask_hub: bool = True) -> list[Finding]:
    report = diagnose(plan or planned(spec("ward")), cluster, preflight_only=True, ask_hub=ask_hub)
    return [f for f in report.findings if f.check == "hub-token"]


def said(cluster: Canned) -> Finding:
    (found,) = told(cluster)
    return found


@pytest.mark.parametrize(
    ("answer", "severity", "what", "evidence", "advice", "repair"),
    [
        (body(b"OK"), "ok", "lets the token of Secret 'hub-token' read", "", "", ""),
        (error(401, None, BAD_TOKEN), "error", "refuses the token", "(401)", "make a new one", "create secret"),
        (
            error(401, "RepoNotFound", "Invalid username or password."),
            "error",
            "refuses the token",
            "(401)",
            "/settings/tokens",
            "create secret",
        ),
        (
            error(403, "GatedRepo", f"Access to model {ID} is restricted and you are not in the authorized list."),
            "error",
            "is gated, and the account",
            "has not been granted access",
            f"/{ID} with the account",
            "hf auth whoami",
        ),
        (error(403, None, FINE_GRAINED), "error", "refuses the token", "(403)", "fine-grained", "create secret"),
        (
            error(404, "RepoNotFound", "Repository not found"),
            "error",
            f"has no {ID} that the token",
            "not on the Hub",
            "private repository",
            "hf auth whoami",
        ),
        (error(404), "unknown", "is not known", "does not know the question (404)", "ask again", "--hub"),
        (body(b"<html>log in</html>"), "unknown", "is not known", "a web page", "ask again", "--hub"),
        (error(304), "unknown", "is not known", "answered 304", "ask again", "--hub"),
        (error(429), "unknown", "is not known", "no more requests now (429)", "ask again", "--hub"),
        (error(503), "unknown", "is not known", "answered 503", "ask again", "--hub"),
    ],
)  # fmt: skip
def test_what_the_hub_answers(
    server: HubServer, answer: Answer, severity: str, what: str, evidence: str, advice: str, repair: str
) -> None:
    server.routes[route()] = answer
    plan = planned(spec("ward"))
    found = said(canned(plan, server.url))
    assert (found.severity, found.model, found.where) == (severity, "chat", "Secret ward/hub-token")
    assert what in found.what
    assert evidence in found.evidence
    assert advice in found.advice
    assert repair in " ".join(found.repair)
    assert [(p, h["authorization"]) for p, h in server.asked] == [(route(), f"Bearer {TOKEN}")]


def test_a_token_is_only_sent_where_that_was_asked_for(server: HubServer) -> None:
    (found,) = told(canned(planned(spec("ward")), server.url), ask_hub=False)
    assert found.severity == "ok"
    assert found.what.endswith("was not asked: homeport doctor --hub")
    assert server.asked == []


@pytest.mark.parametrize("name", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_asks_nobody(server: HubServer, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "1")
    found = said(canned(planned(spec("ward")), server.url))
    assert (found.severity, "HF_HUB_OFFLINE is set" in found.evidence) == ("unknown", True)
    assert server.asked == []


def test_a_hub_that_cannot_be_reached_leaves_it_open(server: HubServer) -> None:
    closed = HubServer()
    url = closed.url
    closed.shutdown()
    closed.server_close()
    found = said(canned(planned(spec("ward")), url))
    assert (found.severity, "cannot be reached" in found.evidence) == ("unknown", True)


@pytest.mark.parametrize("endpoint", ["hub.example", "http://[", "file:///etc"])
def test_an_address_of_the_pods_that_is_none(server: HubServer, endpoint: str) -> None:
    found = said(canned(planned(spec("ward")), endpoint))
    assert (found.severity, "not an http(s) address" in found.evidence) == ("unknown", True)


def test_the_line_break_at_a_files_end_is_not_sent(server: HubServer) -> None:
    assert said(canned(planned(spec("ward")), server.url, TOKEN + "\n")).severity == "ok"
    assert server.asked[0][1]["authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    ("value", "why"),
    [(" \n", "the token is empty"), (f"{TOKEN} x", "characters that"), ("hf_\x00", "charac")],
)
def test_what_can_be_no_token_is_not_sent(server: HubServer, value: str, why: str) -> None:
    found = said(canned(planned(spec("ward")), server.url, value))
    assert (found.severity, why in found.evidence) == ("error", True)
    assert server.asked == []


def test_a_token_does_not_follow_a_redirect_to_another_host(server: HubServer) -> None:
    other = HubServer()
    other.routes[route()] = body(b"OK")
    server.routes[route()] = redirect(other.url.replace("127.0.0.1", "localhost") + route())
    found = said(canned(planned(spec("ward")), server.url))
    assert (found.severity, "the token was not sent" in found.evidence) == ("unknown", True)
    assert other.asked == []
    other.shutdown()
    other.server_close()


def test_a_renamed_repository_is_asked_under_its_new_name(server: HubServer) -> None:
    server.routes[route()] = redirect(route("new/name"))
    server.routes[route("new/name")] = body(b"OK")
    assert said(canned(planned(spec("ward")), server.url)).severity == "ok"
    server.routes[route("new/name")] = redirect(route())
    found = said(canned(planned(spec("ward")), server.url))
    assert (found.severity, "redirects without end" in found.evidence) == ("unknown", True)


def fleet(models: list[tuple[str, str]], more: str = "") -> Plan:
    """A plan of some models with the same token."""
    head, _, rest = spec("ward").partition("  - name: chat")
    one = ("  - name: chat" + rest).partition("observability")[0]
    text = "".join(one.replace("chat", n).replace(ID, m) + more for n, m in models)
    return planned(f"{head}{text}observability{rest.partition('observability')[2]}")


def test_models_of_one_token_and_checkpoint_are_one_question(server: HubServer) -> None:
    plan = fleet([("a", ID), ("b", ID), ("c", OTHERS[0])])
    server.routes[route(OTHERS[0])] = error(401, None, BAD_TOKEN)
    found = {f.model: f.severity for f in told(canned(plan, server.url), plan)}
    assert found == {"a, b": "ok", "c": "error"}
    assert sorted(server.paths) == sorted([route(), route(OTHERS[0])])


def test_questions_are_asked_side_by_side(server: HubServer) -> None:
    plan = fleet([("a", ID), ("b", OTHERS[0]), ("c", OTHERS[1])])
    for id_ in (ID, *OTHERS):
        server.routes[route(id_)] = late(1.0, body(b"OK"))
    started = time.monotonic()
    assert [f.severity for f in told(canned(plan, server.url), plan)] == ["ok"] * 3
    assert time.monotonic() - started < 2.5


def test_all_questions_share_one_deadline(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "DEADLINE_S", 1.0)
    asked = [
        hub.Access(id=f"org/m{n}", endpoint=server.url, token=TOKEN) for n in range(3 * hub.ASKED_AT_ONCE)
    ]
    for one in asked:
        server.routes[route(one.id)] = late(3.0, body(b"OK"))
    server.routes[route(asked[0].id)] = body(b"OK")
    started = time.monotonic()
    first, *others = hub.may_read(asked)
    assert time.monotonic() - started < 2
    assert first is None
    assert {f.kind for f in others if f is not None} == {"timeout"}
    assert None not in others


# Which Hub


def one_question(cluster_like: Any) -> Question:
    (found,) = doctor_hub.questions(cluster_like)
    return found


def test_pods_without_an_endpoint_ask_the_public_hub_whatever_is_set_here(
    server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    question = one_question(case(planned(spec("ward"))))
    assert (question.endpoint, question.pods_say) == ("https://huggingface.co", True)


def test_the_job_that_downloads_says_which_hub(server: HubServer) -> None:
    plan = planned(spec("ward").replace("hub_token:", "weights: {source: pvc}\n    replicas: {min: 1, max: 1}\n    hub_token:")
                   .replace("    replicas: {min: 1, max: 2}\n", ""))  # fmt: skip
    cluster = canned(plan, server.url)
    for item in cluster.objects:
        if item["kind"] == "Deployment":
            item["spec"]["template"]["spec"]["containers"][0]["env"] = []
    (found,) = told(cluster, plan)
    assert (found.severity, server.paths) == ("ok", [route()])


def test_before_there_are_pods_the_hub_of_this_machine_is_asked_and_that_is_said(
    server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    found = said(canned(planned(spec("ward"))))
    assert (found.severity, server.paths) == ("warning", [route()])
    assert "the pods will ask https://huggingface.co" in found.what
    server.routes[route()] = error(401, None, BAD_TOKEN)
    assert said(canned(planned(spec("ward")))).severity == "error"


def test_weights_from_elsewhere_are_no_question_for_the_hub() -> None:
    store = spec("ward").replace(
        "hub_token", "weights: {source: object_store, uri: 's3://b/m'}\n    hub_token"
    )
    assert doctor_hub.questions(case(planned(store))) == {}


def test_a_secret_that_may_not_be_read_is_never_ok(server: HubServer) -> None:
    healthy = case(planned(spec("ward")))
    lack = Missing(why="weak may not get secrets", rule=("get", "secrets"))
    locked = with_facts(healthy, secrets={}, missing={"Secret hub-token": lack})
    (found,) = doctor_hub.hub_tokens(with_facts(locked, hub={}))
    assert (found.severity, found.evidence) == ("unknown", lack.why)
    assert list(doctor_hub.hub_tokens(locked)) == [], "the check secrets says it"
    assert doctor_hub.ask_hub(locked, canned(locked.plan)) == {}


def test_a_secret_that_is_not_there_is_told_once(server: HubServer) -> None:
    gone = with_list(
        with_facts(case(planned(spec("ward"))), secrets={"hub-token": None}, hub={}), "Deployment"
    )
    assert list(doctor_hub.hub_tokens(gone)) == []


# The token is nowhere


def echo(status: int, code: str | None = None) -> Answer:
    """A Hub that sends what it got back in every header that something could print."""

    def answer(handler: Handler) -> None:
        got = handler.headers["authorization"]
        headers = {
            "X-Error-Message": got,
            "X-HF-Warning": f"all; {got}",
            "X-Request-Id": got,
            "X-Repo-Commit": got,
            "Server": got,
        }
        body(json.dumps({"error": got}).encode(), headers | ({"X-Error-Code": code} if code else {}), status)(
            handler
        )

    return answer


@pytest.mark.parametrize("how", [["-o", "table"], ["-o", "json"], ["-o", "yaml"], ["-v", "--debug"]])
@pytest.mark.parametrize(
    "answer",
    [
        echo(200),
        echo(401),
        echo(403, "GatedRepo"),
        echo(403),
        echo(404, "RepoNotFound"),
        echo(404, "EntryNotFound"),
        echo(400),
        echo(429),
        echo(500),
        redirect(f"/{TOKEN}"),
        redirect(f"file:///{TOKEN}"),
        redirect(f"http://{TOKEN}.invalid/"),
        redirect(route(f"org/{TOKEN}")),
    ],
)
def test_the_token_is_in_no_output(
    server: HubServer,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    answer: Answer,
    how: list[str],
) -> None:
    server.routes[route()] = answer
    cluster = canned(planned(spec("ward")), server.url)
    monkeypatch.setattr("homeport.cluster.client.connect", lambda *_: cluster)
    file = tmp_path / "homeport.yaml"
    file.write_text(spec("ward"))
    with caplog.at_level("DEBUG", "huggingface_hub"):
        assert run(["doctor", "-f", str(file), "--hub", *how]) == 1
    assert server.asked, "the token was sent"
    out, err = capfd.readouterr()
    assert "hub-token" in out
    assert "values are not looked at" not in out
    for form in (TOKEN, ENCODED):
        assert form not in out + err + caplog.text


def test_a_question_does_not_show_its_token(server: HubServer) -> None:
    question = hub.Access(id=ID, endpoint="https://me:password@hub.example", token=TOKEN)
    assert repr(question) == f"Access('{ID}', 'https://hub.example')"
    answer = hub.may_read(
        [hub.Access(id=ID, endpoint=server.url.replace("//", "//me:password@"), token=TOKEN)]
    )
    assert "password" not in f"{answer!r} {answer[0]}"


def test_the_commands_speak_of_the_same_cluster(
    server: HubServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    cluster = canned(planned(spec("ward")), server.url)
    monkeypatch.setattr("homeport.cluster.client.connect", lambda *_: cluster)
    file = tmp_path / "homeport.yaml"
    file.write_text(spec("ward"))
    repairs = []
    for answer in (error(403, "GatedRepo"), error(401, None, BAD_TOKEN)):
        server.routes[route()] = answer
        run(["doctor", "-f", str(file), "--hub", "--preflight", "--context", "prod", "-o", "json"])
        findings = json.loads(capsys.readouterr().out)["findings"]
        repairs += next(f["repair"] for f in findings if f["check"] == "hub-token")
    whoami, again, replace, _ = repairs
    assert whoami == (
        f'HF_ENDPOINT={server.url} HF_TOKEN="$(kubectl --context prod --namespace ward get secret hub-token '
        "--output jsonpath='{.data.token}' | base64 --decode)\" hf auth whoami"
    )
    assert again == f"homeport doctor --context prod -f {file} --hub"
    assert replace == (
        "kubectl --context prod --namespace ward create secret generic hub-token --from-file=token=FILE "
        "--dry-run=client --output yaml | kubectl --context prod apply --server-side --force-conflicts --filename -"
    )
