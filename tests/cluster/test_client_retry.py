"""What is sent again, and for how long."""

import pytest
from urllib3.exceptions import SSLError

from homeport.cluster import client_retry
from homeport.cluster.client_answers import Asked, connection_problem
from homeport.cluster.client_retry import Outage
from homeport.cluster.errors import ClusterProblem, CredentialsRefused, TimedOut, Unreachable


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that the test moves: waiting 20 seconds for real shows nothing more."""
    now = [100.0]
    monkeypatch.setattr(client_retry.time, "monotonic", lambda: now[0])
    return now


def again(outage: Outage, problem: ClusterProblem, clock: list[float], each_s: float) -> int:
    """How often the request is sent again when it fails like this each time."""
    count = 0
    clock[0] += each_s
    while (pause := outage.pause(problem)) is not None:
        assert 0 < pause <= client_retry.LONGEST_WAIT_S
        clock[0] += pause + each_s
        count += 1
    return count


def test_a_broken_connection_is_tried_until_patience_ends(clock: list[float]) -> None:
    assert again(Outage(20), Unreachable("x"), clock, 0.0) > 10
    assert clock[0] == pytest.approx(120)


def test_a_server_that_hangs_is_asked_twice(clock: list[float]) -> None:
    assert again(Outage(20), TimedOut("x"), clock, 10.0) == 1


def test_a_server_that_came_back_may_be_late(clock: list[float]) -> None:
    outage = Outage(20)
    assert outage.pause(Unreachable("x")) is not None
    assert again(outage, TimedOut("x"), clock, 5.0) == 3


def test_what_a_person_has_to_repair_is_told_at_once(clock: list[float]) -> None:
    assert Outage(20).pause(CredentialsRefused("x")) is None


@pytest.mark.parametrize(
    ("alert", "kind", "word"),
    [
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", CredentialsRefused, "client certificate"),
        ("TLSV1_ALERT_UNKNOWN_CA", CredentialsRefused, "client certificate"),
        ("SSLV3_ALERT_BAD_RECORD_MAC", Unreachable, "bad record mac"),
        ("TLSV1_ALERT_INTERNAL_ERROR", Unreachable, "internal error"),
        ("UNEXPECTED_EOF_WHILE_READING", Unreachable, "the TLS connection broke"),
    ],
)
def test_only_an_alert_about_certificates_is_about_the_kubeconfig(
    alert: str, kind: type[ClusterProblem], word: str
) -> None:
    """Any other ends one connection, and is sent again."""
    asked = Asked(server="https://x", method="GET", path="/version", body=None)
    problem = connection_problem(SSLError(f"[SSL: {alert}] said so (_ssl.c:1006)"), asked)
    assert type(problem) is kind
    assert word in str(problem)
