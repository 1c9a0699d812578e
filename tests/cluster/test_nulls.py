"""Fields that are null where they may be left out: some clients and controllers write them, and nothing trips over it."""

import copy
from collections.abc import Iterator
from functools import cache
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.cluster.client_answers import without_nulls
from homeport.cluster.diff import compare
from homeport.cluster.doctor import diagnose
from homeport.cluster.doctor_types import Case
from homeport.cluster.status import read_status
from tests.cluster.canned import Canned, fields_of
from tests.cluster.healthy import case, pod
from tests.cluster.ward import planned, spec

Path = tuple[Any, ...]

REQUIRED = {
    "apiVersion", "kind", "metadata", "name", "namespace", "spec", "type", "key", "operator", "effect", "values",
    "containers", "template", "image", "group", "manager", "operation",
}  # fmt: skip
"""Keys without which the API server takes no object, or makes one up itself."""


@cache
def healthy() -> Case:
    """A plan on a cluster in which nothing is wrong."""
    return case(planned(spec("ward", "http://prometheus-operated.monitoring.svc:9090")))


def ill(name: str, status: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """A pod of the model that does not serve."""
    made = pod(healthy().facts.lists["Deployment"][0], name, "ward")
    return {**made, "spec": {**made["spec"], **spec}, "status": status}


def server(**status: Any) -> dict[str, Any]:
    conditions = [
        {"type": "Ready", "status": "False", "reason": "ContainersNotReady", "lastTransitionTime": "x"}
    ]
    one = {"name": "server", "ready": False, "started": True, "restartCount": 3, **status}
    return {"phase": "Running", "conditions": conditions, "containerStatuses": [one]}


TERMINATED = {"terminated": {"exitCode": 1, "reason": "Error", "message": "it ends"}}
NO_NODE = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2 nodes"}]
PULL = {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off"}}
SPACED = {"namespace": "ward", "labels": {"app.kubernetes.io/instance": "chat"}}
MORE: list[dict[str, Any]] = [
    {
        "kind": "Event",
        "apiVersion": "v1",
        "metadata": {"name": "a", "namespace": "ward", "creationTimestamp": "2025-10-09T08:00:00Z"},
        "involvedObject": {"kind": "Pod", "name": "pulling", "uid": "pulling"},
        "reason": "Pulling",
        "message": "Pulling image",
        "lastTimestamp": "2025-10-09T08:00:00Z",
        "series": {"lastObservedTime": "2025-10-09T08:00:00Z"},
    },
    {
        "kind": "Event",
        "apiVersion": "v1",
        "metadata": {"name": "b", "namespace": "ward"},
        "involvedObject": {"kind": "HorizontalPodAutoscaler", "name": "keda-hpa-chat"},
        "reason": "SuccessfulRescale",
        "message": "New size: 2",
        "eventTime": "2025-10-09T08:00:00Z",
    },
    {
        "kind": "ResourceQuota",
        "apiVersion": "v1",
        "metadata": {"name": "gpus", **SPACED},
        "spec": {"hard": {"requests.nvidia.com/gpu": "8"}},
        "status": {"hard": {"requests.nvidia.com/gpu": "8"}, "used": {"requests.nvidia.com/gpu": "1"}},
    },
    {
        "kind": "LimitRange",
        "apiVersion": "v1",
        "metadata": {"name": "limits", **SPACED},
        "spec": {"limits": [{"type": "Container", "max": {"memory": "900Gi"}, "default": {"cpu": "60"}}]},
    },
    {
        "kind": "PersistentVolumeClaim",
        "apiVersion": "v1",
        "metadata": {"name": "weights", **SPACED},
        "spec": {"storageClassName": "standard-rwo", "resources": {"requests": {"storage": "20Gi"}}},
        "status": {"phase": "Pending"},
    },
    {
        "kind": "ServiceAccount",
        "apiVersion": "v1",
        "metadata": {"name": "chat", **SPACED},
        "imagePullSecrets": [{"name": "registry"}],
    },
    {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "hub-token", **SPACED}, "data": {"token": "eA=="}},
    {
        "kind": "ReplicaSet",
        "apiVersion": "apps/v1",
        "metadata": {"name": "chat-1", **SPACED, "ownerReferences": [{"kind": "Deployment", "name": "chat"}]},
        "spec": {},
        "status": {"conditions": [{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}]},
    },
]  # fmt: skip


@cache
def objects() -> list[dict[str, Any]]:
    """A cluster with what is rendered, applied by kubectl, one replica that serves and others that do not."""
    facts = healthy().facts
    versions = {kind: version for version, there in facts.served.items() for kind in there}
    lists = [one for kind, some in facts.lists.items() if kind != "pods_anywhere" for one in some]
    pods = [
        ill("crashing", server(state={"waiting": {"reason": "CrashLoopBackOff"}}, lastState=TERMINATED)),
        ill("ended", server(state=TERMINATED)),
        ill("pulling", server(state=PULL)),
        ill("loading", server(state={"running": {"startedAt": "2025-10-09T08:00:00Z"}}, restartCount=0)),
        ill("pending", {"phase": "Pending", "conditions": NO_NODE}, nodeName=""),
        ill("failed", {"phase": "Failed", "reason": "Evicted", "message": "low on ephemeral storage"}),
    ]
    found = [{"apiVersion": versions.get(one["kind"], "v1"), **one} for one in (*lists, *pods, *MORE)]
    there = {(one["kind"], one["metadata"]["name"]) for one in found}
    found += [dict(one) for one in healthy().objects if (one["kind"], one["metadata"]["name"]) not in there]
    for one in found:
        one["metadata"] = {**one["metadata"], "managedFields": [fields_of(one, "kubectl")]}
    return found


def keys(value: Any, path: Path = ()) -> Iterator[Path]:
    """The way to every key that may be left out."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from keys(one, (*path, key))
            if key not in REQUIRED and not (key == "status" and "conditions" in path):
                yield (*path, key)
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from keys(one, (*path, number))


def optional() -> st.SearchStrategy[Path]:
    """One key that may be left out."""
    return st.sampled_from([path for path in keys(objects()) if "fieldsV1" not in path[:-1]])


def nulled(paths: set[Path]) -> list[dict[str, Any]]:
    """The objects with these keys null."""
    made = copy.deepcopy(objects())
    for path in paths:
        inner: Any = made
        for step in path[:-1]:
            inner = None if inner is None else inner[step]
        if inner is not None:
            inner[path[-1]] = None
    return made


def check(paths: set[Path]) -> None:
    cluster = Canned(nulled(paths))
    assert read_status(healthy().plan, cluster).models
    odd = [
        f
        for f in diagnose(healthy().plan, cluster).findings
        if "form that this check does not know" in f.what
    ]
    assert not odd, odd
    assert compare(cluster, healthy().documents, "ward").objects


def test_without_nulls_all_is_read() -> None:
    check(set())


@settings(max_examples=60, deadline=None)
@given(st.sets(st.deferred(optional), min_size=1, max_size=8))
def test_nothing_trips_over_a_null(paths: set[Path]) -> None:
    check(paths)


def test_a_null_is_the_same_as_nothing() -> None:
    assert without_nulls({"a": None, "b": [{"c": None, "d": 0}, None], "e": {}}) == {
        "b": [{"d": 0}, None],
        "e": {},
    }
