"""Watching a cluster across cut connections: nothing is missed, and nothing ends because the network did."""

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import urlencode

import msgspec

from homeport.cluster.errors import NOT_JSON, ClusterProblem, Gone, ServerFailed, TimedOut, Unreachable

if TYPE_CHECKING:
    from homeport.cluster.client import Cluster, Resource

T = TypeVar("T")

WATCH_S = 300
"""How long one watch request stays open before it is asked anew, seconds."""
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 15.0

PASSING = (Unreachable, TimedOut, ServerFailed)
"""What may be over the next time; anything else (credentials, RBAC) a person has to repair."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One change of one object."""

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    object: dict[str, Any]


def poll(
    read: Callable[[], T],
    every_s: float,
    *,
    on_lost: Callable[[ClusterProblem], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[T]:
    """Yield what `read` returns, every `every_s` seconds, for ever.

    While the cluster cannot be reached (or answers too late, or fails) `on_lost` is told, once for each outage, and the
    reading goes on with growing pauses of at most LONGEST_WAIT_S. Other errors of `read` are raised.
    """
    wait, lost = 0.0, False
    while True:
        try:
            found = read()
        except PASSING as problem:
            if on_lost is not None and not lost:
                on_lost(problem)
            lost = True
            wait = min(LONGEST_WAIT_S, max(FIRST_WAIT_S, wait * 2))
            sleep(wait)
            continue
        wait, lost = 0.0, False
        yield found
        sleep(every_s)


def watch(
    cluster: "Cluster",
    resource: "Resource",
    namespace: str | None,
    labels: str,
    timeout_s: float | None,
    on_lost: Callable[[ClusterProblem], None] | None,
) -> Iterator[Event]:
    """Yield what stands as ADDED, then every change, until `timeout_s` (None: for ever) has passed.

    A cut connection is opened again from the last change seen. Where the server no longer keeps that place, the objects
    are listed anew and what changed, came or went meanwhile is yielded, so that no change is lost (several changes of
    one object may become one). `on_lost` is told once for each outage.
    """
    until = None if timeout_s is None else time.monotonic() + timeout_s
    known: dict[str, dict[str, Any]] = {}
    version, wait, lost = "", 0.0, False
    while until is None or time.monotonic() < until:
        try:
            if not version:
                found, version = cluster.listed(resource, namespace, labels)
                yield from _changes(known, found)
            for event in _stream(cluster, resource, namespace, labels, version, until):
                wait, lost = 0.0, False
                version = event["object"]["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    _remember(known, event)
                    yield Event(type=event["type"], object=event["object"])
            wait, lost = 0.0, False
        except Gone:
            version = ""
        except PASSING as problem:
            if on_lost is not None and not lost:
                on_lost(problem)
            lost = True
            wait = min(LONGEST_WAIT_S, max(FIRST_WAIT_S, wait * 2))
            time.sleep(wait if until is None else max(0.0, min(wait, until - time.monotonic())))


def _stream(
    cluster: "Cluster",
    resource: "Resource",
    namespace: str | None,
    labels: str,
    version: str,
    until: float | None,
) -> Iterator[dict[str, Any]]:
    seconds = WATCH_S if until is None else max(1, min(WATCH_S, round(until - time.monotonic())))
    query = {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": version,
        "timeoutSeconds": str(seconds),
    }
    if labels:
        query["labelSelector"] = labels
    path = f"{cluster.path(resource, namespace)}?{urlencode(query)}"
    for line in cluster.stream(path, read_s=seconds + 10.0):
        try:
            event = msgspec.json.decode(line)
        except NOT_JSON:  # a line that the cut connection left unfinished
            return
        if event["type"] == "ERROR":
            status = event["object"]
            if status.get("code") == 410:
                raise Gone(str(status.get("message")))
            raise ServerFailed(f"the watch of {resource.plural} failed: {status.get('message')}")
        yield event


def _key(one: dict[str, Any]) -> str:
    return str(one["metadata"]["uid"])


def _remember(known: dict[str, dict[str, Any]], event: dict[str, Any]) -> None:
    if event["type"] == "DELETED":
        known.pop(_key(event["object"]), None)
    else:
        known[_key(event["object"])] = event["object"]


def _changes(known: dict[str, dict[str, Any]], found: list[dict[str, Any]]) -> Iterator[Event]:
    """What a new list says that was not known: `known` is what it says afterwards."""
    now = {_key(one): one for one in found}
    for uid in [uid for uid in known if uid not in now]:
        yield Event(type="DELETED", object=known.pop(uid))
    for uid, one in now.items():
        before = known.get(uid)
        known[uid] = one
        if before is None:
            yield Event(type="ADDED", object=one)
        elif before["metadata"]["resourceVersion"] != one["metadata"]["resourceVersion"]:
            yield Event(type="MODIFIED", object=one)
