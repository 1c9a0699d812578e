"""The engine's events as steps: what happens to which resource, which fields changed, and what is said meanwhile."""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from time import time
from typing import Any, Literal

import msgspec
from pulumi.automation import events

from homeport.errors import HomeportError

Verb = Literal["create", "update", "replace", "delete", "same", "read", "refresh", "import"]
VERBS: dict[str, Verb] = {
    "create": "create",
    "update": "update",
    "replace": "replace",
    "create-replacement": "replace",
    "delete-replaced": "replace",
    "delete": "delete",
    "same": "same",
    "read": "read",
    "read-replacement": "read",
    "refresh": "refresh",
    "discard": "delete",
    "discard-replaced": "replace",
    "remove-pending-replace": "replace",
    "import": "import",
    "import-replacement": "import",
}
EPILOGUES = ("update failed", "preview failed", "destroy failed")
"""What the engine says at the end of a run whose error it has told already."""
UNHANDLED = "an unhandled error occurred: "
"""How the language host repeats an error that ended the program."""
STATUS = "status"
COLOURS = re.compile(r"<\{%.*?%\}>")
"""How the engine writes colours into its messages."""
AMBIENT = "using pulumi-resource-"
"""A warning of the CLI about a plugin on PATH; it is there because somebody put it there."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to one resource. `changed` are the paths of fields, `forcing` those that make it be replaced.

    `old` and `new` are its inputs before and after, secrets left out by the engine; `id` is the provider's ("": not made yet).
    """

    verb: Verb
    urn: str
    token: str
    name: str
    changed: tuple[str, ...] = ()
    forcing: tuple[str, ...] = ()
    old: Mapping[str, Any] | None = None
    new: Mapping[str, Any] | None = None
    id: str = ""

    @property
    def label(self) -> str:
        """The resource for a person: `Deployment support/assistant`, or the kind and its Pulumi name."""
        kind = self.token.rpartition(":")[2]
        meta = (self.new or self.old or {}).get("metadata")
        if not isinstance(meta, Mapping) or "name" not in meta:
            return f"{kind} {self.name}"
        place = f"{meta['namespace']}/" if meta.get("namespace") else ""
        return f"{kind} {place}{meta['name']}"


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened: `event` is "start", "done", "failed" (of a step) or "message".

    A message of severity "status" is how far the waiting for its `step` has come.
    """

    event: Literal["start", "done", "failed", "message"]
    time: int
    step: Step | None = None
    severity: str | None = None
    text: str | None = None


class Recorder:
    """Takes the engine's events; keeps the steps and the errors, and tells a listener of each."""

    def __init__(self, listen: Callable[[Event], None]) -> None:
        """`listen` is called in the thread that reads the engine's log."""
        self._listen = listen
        self._steps: dict[str, Step] = {}
        self._status: dict[str, str] = {}
        self.drifted: list[Step] = []
        self.errors: list[str] = []
        self.wrong: list[HomeportError] = []
        """What the program raised: whoever runs it says that at the end, so the engine's own two sentences are left out."""

    @property
    def steps(self) -> tuple[Step, ...]:
        """What happens to each resource of the program, in the order of the engine."""
        return tuple(s for s in self._steps.values() if not s.token.startswith("pulumi:"))

    @property
    def changes(self) -> dict[str, int]:
        """How many of `steps` there are of each verb. (The engine's own summary counts the stack too.)"""
        return dict(Counter(step.verb for step in self.steps))

    def __call__(self, event: events.EngineEvent) -> None:
        """Take one event."""
        if event.resource_pre_event:
            self._step("start", event.timestamp, event.resource_pre_event.metadata)
        elif event.res_outputs_event:
            self._step("done", event.timestamp, event.res_outputs_event.metadata)
        elif event.res_op_failed_event:
            self._step("failed", event.timestamp, event.res_op_failed_event.metadata)
        elif event.diagnostic_event:
            self._message(event.timestamp, event.diagnostic_event)

    def say(self, text: str, severity: str = "notice") -> None:
        """Tell the listener something that the engine does not know."""
        self._listen(Event(event="message", time=int(time()), severity=severity, text=text))

    def _step(
        self, what: Literal["start", "done", "failed"], at: int, metadata: events.StepEventMetadata
    ) -> None:
        step = _step(metadata)
        if step.verb == "refresh":
            # What is gone has no new state once it was looked for.
            if step.changed or (what == "done" and step.new is None):
                self.drifted.append(step)
            return
        known = self._steps.get(step.urn)
        # A replacement is told in three steps; the one that knows the fields says most.
        if known is None or len(step.changed) >= len(known.changed):
            self._steps[step.urn] = step
        if step.verb != "same" and not step.token.startswith("pulumi:"):
            self._listen(Event(event=what, time=at, step=step))

    def _message(self, at: int, found: events.DiagnosticEvent) -> None:
        text = COLOURS.sub("", found.message).strip().expandtabs(4)
        if not text or text in EPILOGUES or found.severity == "debug" or AMBIENT in text:
            return
        if found.ephemeral:
            step = self._steps.get(found.urn or "")
            if step is not None and self._status.get(step.urn) != text:
                self._status[step.urn] = text
                self._listen(Event(event="message", time=at, step=step, severity=STATUS, text=text))
            return
        if any(str(one) in text for one in self.wrong):
            return
        if found.severity == "error":
            if any(text == f"{UNHANDLED}{told}" for told in self.errors):
                return
            self.errors.append(text)
        self._listen(Event(event="message", time=at, severity=found.severity, text=text))


def _step(metadata: events.StepEventMetadata) -> Step:
    detailed = metadata.detailed_diff or {}
    forcing = tuple(
        path
        for path, diff in detailed.items()
        if str(getattr(diff.diff_kind, "value", "")).endswith("replace")
    )
    operation = str(getattr(metadata.op, "value", metadata.op))
    return Step(
        verb=VERBS.get(operation, "update"),
        urn=metadata.urn,
        token=metadata.type,
        name=metadata.urn.rpartition("::")[2],
        changed=tuple(detailed) or tuple(metadata.diffs or ()),
        forcing=forcing or tuple(metadata.keys or ()),
        old=metadata.old.inputs if metadata.old else None,
        new=metadata.new.inputs if metadata.new else None,
        id=(metadata.old.id if metadata.old else "") or "",
    )
