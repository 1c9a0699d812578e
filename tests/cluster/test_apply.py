"""Every example, on every target, is taken by a real API server: strictly, restricted, with the real kinds, and once."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from homeport.errors import SpecError
from tests.testbed import specs
from tests.testbed.cluster import Given, Testbed, ensure_kubectl
from tests.testbed.processes import until

pytestmark = pytest.mark.cluster

# Kinds whose pods another object makes, and the label by which the pods are found.
SERVERS = ("Deployment", "LeaderWorkerSet", "Job")


@pytest.fixture(autouse=True)
def cluster_wide(cluster_under_test: Given) -> Iterator[None]:
    """Remove what the namespace does not take with it."""
    yield
    cluster_under_test.kubectl(
        "delete", "persistentvolume", "-l", "app.kubernetes.io/managed-by=homeport", "--wait=false"
    )


def apply(cluster: Given, text: str) -> "subprocess.CompletedProcess[str]":
    """As the docs say it: server-side, strictly."""
    command = [
        ensure_kubectl(),
        "--kubeconfig",
        cluster.kubeconfig,
        "apply",
        "--server-side",
        "--validate=strict",
    ]
    return subprocess.run(
        [*command, "-f", "-"], input=text, capture_output=True, text=True, timeout=120, check=False
    )


def state(cluster: Given, text: str) -> dict[str, Any]:
    """What applying may not change a second time: each object without its status and others' notes about it."""
    found = cluster.kubectl("get", "-f", "-", "-o", "json", "--show-managed-fields", stdin=text)
    objects = {}
    for item in json.loads(found)["items"]:
        meta = item["metadata"]
        objects[f"{item['kind']}/{meta['name']}"] = {
            "uid": meta["uid"],
            "generation": meta.get("generation"),
            "labels": meta.get("labels"),
            "ours": [f for f in meta["managedFields"] if f["manager"] == "kubectl"],
            "body": {k: v for k, v in item.items() if k not in ("metadata", "status")},
        }
    return objects


@pytest.mark.parametrize("platform", specs.PLATFORMS)
@pytest.mark.parametrize("name", specs.NAMES)
def test_applies_strictly_and_a_second_time_changes_nothing(
    name: str, platform: str, cluster_under_test: Given, namespace: str
) -> None:
    try:
        made = specs.example(name, namespace, platform)
    except SpecError as error:
        pytest.skip(f"{name} cannot be on {platform}: {error.problems[0].message}")
    first = apply(cluster_under_test, made.text)
    assert first.returncode == 0, first.stderr
    # PodSecurity and deprecated fields speak up as warnings.
    assert "Warning" not in first.stderr
    assert len(first.stdout.splitlines()) == len(made.documents)
    before = state(cluster_under_test, made.text)
    assert len(before) == len(made.documents)
    second = apply(cluster_under_test, made.text)
    assert second.returncode == 0, second.stderr
    assert state(cluster_under_test, made.text) == before


@pytest.mark.parametrize("name", specs.NAMES)
def test_pods_are_admitted_where_only_restricted_ones_are(
    name: str, testbed: Testbed, namespace: str
) -> None:
    """The controllers make the pods: a ReplicaSet, a Job or a group whose pods are refused has none."""
    made = specs.example(name, namespace)
    if made.of("LeaderWorkerSet"):
        testbed.start_lws()
    done = apply(testbed, made.text)
    assert done.returncode == 0, done.stderr
    labels = testbed.json("get", "namespace", namespace)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    wanted = {document.name for document in made.of(*SERVERS)}

    def all_there() -> bool:
        # name-hash-hash of a Deployment, name-hash of a Job, name-index of a group's leader
        pods = [pod["metadata"]["name"] for pod in testbed.pods(namespace)]
        return all(any(pod.startswith(f"{name}-") for pod in pods) for name in wanted)

    try:
        until(all_there, 30, f"pods of {wanted}", every=0.5)
    except TimeoutError as error:
        events = testbed.kubectl("get", "events", "-n", namespace, "--field-selector=type=Warning")
        pytest.fail(f"{error}\n{events}")


def test_a_pod_that_is_not_restricted_is_refused(testbed: Testbed, namespace: str) -> None:
    """The test above would see nothing if PodSecurity did not work here."""
    apply(testbed, specs.example("local", namespace).text)
    said = testbed.kubectl("run", "root", "--image=busybox", "-n", namespace, check=False)
    assert 'violates PodSecurity "restricted' in said
