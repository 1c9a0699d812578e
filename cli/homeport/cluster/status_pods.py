"""What a pod does right now, in one word, and why it is not ready yet."""

from typing import Any

import msgspec

from homeport.cluster.status_time import seconds

Object = dict[str, Any]

PULL_REASONS = (
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
)
"""Waiting reasons of the kubelet that are about the image (pkg/kubelet/images/types.go)."""
CONFIG_REASONS = ("CreateContainerConfigError", "CreateContainerError")
SANDBOX_REASONS = ("RunContainerError", "CreatePodSandboxError", "FailedCreatePodSandBox")


class PodState(msgspec.Struct, frozen=True, kw_only=True):
    """One pod: `phase` is ready, unschedulable, waiting, pulling, preparing, loading, crashing, failed or ending.

    `why` is the cluster's own reason, `container` the one that it is about, `since_s` how long the state has lasted
    (seconds; None: unknown).
    """

    pod: str
    node: str
    phase: str
    why: str
    container: str = ""
    restarts: int = 0
    since_s: float | None = None


def pod_state(pod: Object, events: list[Object], now: float) -> PodState:
    """The state of one pod; `events` are those about it."""
    meta, status = pod["metadata"], pod.get("status", {})
    name, node = meta["name"], pod["spec"].get("nodeName", "")
    restarts = sum(int(c.get("restartCount", 0)) for c in status.get("containerStatuses", ()))

    def state(phase: str, why: str, container: str = "", since: str | None = None) -> PodState:
        start = seconds(since or meta.get("creationTimestamp"))
        age = None if start is None else max(0.0, now - start)
        return PodState(
            pod=name, node=node, phase=phase, why=why, container=container, restarts=restarts, since_s=age
        )

    if meta.get("deletionTimestamp"):
        return state("ending", "it is being deleted", since=meta["deletionTimestamp"])
    if status.get("phase") == "Failed":
        return state("failed", _failed(status))
    conditions = {c["type"]: c for c in status.get("conditions", ())}
    ready = conditions.get("Ready", {})
    if ready.get("status") == "True":
        return state("ready", "", since=ready.get("lastTransitionTime"))
    if not node:
        return _unplaced(state, pod, conditions, events)
    started = _unready(state, status, events)
    return started or state("waiting", _last(events) or "the kubelet has not said anything yet")


def _unplaced(state: Any, pod: Object, conditions: dict[str, Object], events: list[Object]) -> PodState:
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("reason") == "SchedulingGated":
        gates = ", ".join(g["name"] for g in pod["spec"].get("schedulingGates", ()))
        found: PodState = state("waiting", f"scheduling gates hold it: {gates}")
        return found
    if scheduled.get("status") == "False":
        growing = _of(events, "TriggeredScaleUp")
        refused = _of(events, "NotTriggerScaleUp")
        more = f"; {growing or refused}" if growing or refused else ""
        made: PodState = state(
            "unschedulable",
            f"{scheduled.get('message', scheduled.get('reason', ''))}{more}",
            since=scheduled.get("lastTransitionTime"),
        )
        return made
    waiting: PodState = state("waiting", "the scheduler has not looked at it yet")
    return waiting


def _unready(state: Any, status: Object, events: list[Object]) -> PodState | None:
    found: PodState
    for group in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(group, ()):
            one = container.get("state", {})
            before = container.get("lastState", {}).get("terminated")
            waiting = one.get("waiting") or {}
            reason = waiting.get("reason", "")
            if reason in PULL_REASONS:
                found = state("pulling", _why(reason, waiting, events, "Failed"), container["name"])
                return found
            if reason == "CrashLoopBackOff" or reason in SANDBOX_REASONS:
                found = state("crashing", _crash(before, waiting), container["name"])
                return found
            if reason in CONFIG_REASONS:
                found = state("waiting", _why(reason, waiting, events, "Failed"), container["name"])
                return found
            if group == "initContainerStatuses":
                if "running" in one:
                    if container.get("started") and container.get("ready"):
                        continue  # a sidecar
                    found = state(
                        "preparing", "it runs", container["name"], (one["running"] or {}).get("startedAt")
                    )
                    return found
                if one.get("terminated", {}).get("exitCode", 0) != 0:
                    found = state("crashing", _crash(one["terminated"], {}), container["name"])
                    return found
                if reason and reason != "PodInitializing":
                    found = state("pulling", _pulling(events) or reason, container["name"])
                    return found
                continue
            if one.get("terminated"):
                found = state("crashing", _crash(one["terminated"], {}), container["name"])
                return found
            if reason in ("ContainerCreating", "PodInitializing"):
                mount = _of(events, "FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox")
                if mount:
                    found = state("waiting", mount, container["name"])
                    return found
                found = state("pulling", _pulling(events) or "the kubelet prepares it", container["name"])
                return found
            if "running" in one and not container.get("ready"):
                probe = _of(events, "Unhealthy")
                word = "loading" if not container.get("started") else "not answering"
                if before is not None and container.get("restartCount"):
                    found = state("crashing", _crash(before, {}) + "; it starts anew", container["name"])
                    return found
                found = state(
                    "loading",
                    probe or ("the engine starts" if word == "loading" else "its readiness probe fails"),
                    container["name"],
                    (one["running"] or {}).get("startedAt"),
                )
                return found
    return None


def _crash(terminated: Object | None, waiting: Object) -> str:
    if not terminated:
        return str(waiting.get("message") or waiting.get("reason") or "it crashes")
    reason, code = terminated.get("reason", "Error"), terminated.get("exitCode")
    if reason == "OOMKilled":
        return "the kernel killed it: out of host memory (OOMKilled)"
    signal = {137: " (SIGKILL)", 139: " (segmentation fault)", 143: " (SIGTERM)", 134: " (aborted)"}.get(
        code or 0, ""
    )
    said = f": {terminated['message'].strip()}" if terminated.get("message") else ""
    return (
        f"it ended with exit code {code}{signal}{said}"
        if reason in ("Error", "Completed")
        else f"{reason}{said}"
    )


def _failed(status: Object) -> str:
    said = f"{status.get('reason', 'Failed')}: {status.get('message', '')}".strip(": ")
    return said or "Failed"


def _why(reason: str, waiting: Object, events: list[Object], kind: str) -> str:
    message = waiting.get("message") or ""
    if reason == "ImagePullBackOff":  # the first error tells more than the waiting
        message = _of(events, kind) or message
    return f"{reason}: {message}".strip(": ") if not message.startswith(reason) else message


def _pulling(events: list[Object]) -> str:
    last = _newest(e for e in events if e.get("reason") in ("Pulling", "Pulled"))
    return str(last["message"]) if last and last["reason"] == "Pulling" else ""


def _of(events: list[Object], *reasons: str) -> str:
    found = _newest(e for e in events if e.get("reason") in reasons and e.get("message"))
    return " ".join(str(found["message"]).split()) if found else ""


def _last(events: list[Object]) -> str:
    found = _newest(iter(events))
    return " ".join(str(found.get("message", "")).split()) if found else ""


def _newest(events: Any) -> Object | None:
    return max(events, key=lambda e: event_time(e) or 0.0, default=None)


def event_time(event: Object) -> float | None:
    """When an event happened last: its series, its count or its own time."""
    series = (event.get("series") or {}).get("lastObservedTime")
    for text in (
        series,
        event.get("lastTimestamp"),
        event.get("eventTime"),
        event.get("firstTimestamp"),
        event["metadata"].get("creationTimestamp"),
    ):
        found = seconds(text)
        if found is not None:
            return found
    return None


def events_of(events: list[Object], item: Object) -> list[Object]:
    """The events about one object (by its UID where both have one)."""
    uid, name, kind = item["metadata"].get("uid"), item["metadata"]["name"], item.get("kind")
    found = []
    for event in events:
        about = event.get("involvedObject") or event.get("regarding") or {}
        if about.get("uid") and uid:
            if about["uid"] == uid:
                found.append(event)
        elif about.get("name") == name and (kind is None or about.get("kind") == kind):
            found.append(event)
    return found
