"""The engine's events become steps, counts and lines, from events as its log holds them."""

from typing import Any

import pytest

pytest.importorskip("pulumi")

from pulumi.automation import events

from homeport.commands.deploy_view import listener
from homeport.commands.output import Output
from homeport_infra.events import Event, Recorder

STACK = "urn:pulumi:dev::homeport::pulumi:pulumi:Stack::homeport-dev"
URN = "urn:pulumi:dev::homeport::kubernetes:apps/v1:Deployment::assistant-deployment-assistant"


def step(what: str, urn: str, operation: str, time: int = 0, **more: Any) -> events.EngineEvent:
    token = urn.split("::")[2].rpartition("$")[2]
    new = {"type": token, "urn": urn, "inputs": {"metadata": {"name": "assistant", "namespace": "support"}}}
    metadata = {"op": operation, "urn": urn, "type": token, "provider": "", "new": new, **more}
    return events.EngineEvent.from_json({"sequence": 1, "timestamp": time, what: {"metadata": metadata}})


def said(text: str, severity: str = "info", time: int = 0, **more: Any) -> events.EngineEvent:
    message = {"message": text, "color": "never", "severity": severity, **more}
    return events.EngineEvent.from_json({"sequence": 1, "timestamp": time, "diagnosticEvent": message})


def recorded(*found: events.EngineEvent) -> tuple[Recorder, list[Event]]:
    heard: list[Event] = []
    recorder = Recorder(heard.append)
    for event in found:
        recorder(event)
    return recorder, heard


def test_counts_are_of_the_resources_that_are_shown() -> None:
    recorder, _ = recorded(
        step("resourcePreEvent", STACK, "create"),
        step("resourcePreEvent", URN, "create-replacement"),
        step("resourcePreEvent", URN, "replace"),
        step("resOutputsEvent", URN, "delete-replaced"),
        step("resourcePreEvent", f"{URN}-2", "same"),
    )
    assert [s.urn for s in recorder.steps] == [URN, f"{URN}-2"]
    assert recorder.changes == {"replace": 1, "same": 1}


def test_drift_is_what_a_refresh_finds_changed() -> None:
    recorder, _ = recorded(
        step("resOutputsEvent", URN, "refresh", detailedDiff={"spec.replicas": {"diffKind": "update", "inputDiff": True}}),
        step("resOutputsEvent", f"{URN}-2", "refresh"),
    )  # fmt: skip
    assert [(s.label, s.changed) for s in recorder.drifted] == [("Deployment support/assistant", ("spec.replicas",))]  # fmt: skip
    assert recorder.changes == {}
    gone = step("resOutputsEvent", URN, "refresh", new=None, old={"type": "x", "urn": URN, "inputs": {}})
    recorder, _ = recorded(step("resourcePreEvent", URN, "refresh", new=None), gone)
    assert [s.new for s in recorder.drifted] == [None]


def test_how_far_the_waiting_has_come_is_told_once_each() -> None:
    waits = "<{%reset%}>[1/2] Waiting for app ReplicaSet to be available<{%reset%}>"
    _, heard = recorded(
        step("resourcePreEvent", URN, "create"),
        said(waits, urn=URN, ephemeral=True),
        said(waits, urn=URN, ephemeral=True),
        said("of nothing that is known", urn="urn:other", ephemeral=True),
        said("update failed", "error"),
        said("boom", "error"),
    )
    told = [(e.severity, e.text) for e in heard if e.event == "message"]
    assert told == [("status", "[1/2] Waiting for app ReplicaSet to be available"), ("error", "boom")]


def test_progress_says_what_is_waited_for_and_how_long_it_took(capsys: pytest.CaptureFixture[str]) -> None:
    show = listener(Output(), "up", "table")
    recorder = Recorder(show)
    for event in (
        step("resourcePreEvent", URN, "create", 100),
        said("[1/2] Waiting", urn=URN, ephemeral=True, time=110),
        step("resOutputsEvent", URN, "create", 352),
    ):
        recorder(event)
    assert capsys.readouterr().err.splitlines() == [
        "  creating Deployment support/assistant …",
        "    Deployment support/assistant: [1/2] Waiting",
        "  created Deployment support/assistant (4 min 12 s)",
    ]


def test_an_error_that_ends_the_program_is_told_once() -> None:
    again, other = "an unhandled error occurred: unknown stack", "an unhandled error occurred: another"
    recorder, heard = recorded(said("unknown stack", "error"), said(again, "error"), said(other, "error"))
    assert [event.text for event in heard] == recorder.errors == ["unknown stack", other]


def test_tabs_of_a_provider_are_spaces() -> None:
    _, heard = recorded(said("1 error occurred:\n\t* it did not start", "error"))
    assert heard[0].text == "1 error occurred:\n    * it did not start"
