"""Every example, on every target, is taken by a real API server: strictly, restricted, with the real kinds, and once."""

import json
import secrets
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.testbed import specs
from tests.testbed.cluster import Given, Testbed, ensure_kubectl
from tests.testbed.processes import until

pytestmark = pytest.mark.cluster

# Kinds whose pods another object makes, and the label by which the pods are found.
SERVERS = ("Deployment", "LeaderWorkerSet", "Job")


@pytest.fixture
def namespaces(cluster_under_test: Given) -> Iterator[dict[str, str]]:
    """A namespace for each platform, which applying makes; they and what they don't take with them are removed."""
    prefix = f"test-{secrets.token_hex(4)}"
    found = {platform: f"{prefix}-{platform}" for platform in specs.PLATFORMS}
    yield found
    cluster_under_test.kubectl(
        "delete", "persistentvolume", "-l", "app.kubernetes.io/managed-by=homeport", "--wait=false"
    )
    cluster_under_test.kubectl("delete", "namespace", *found.values(), "--wait=false", "--ignore-not-found")


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
        # The webhook of LWS writes empty fields anew at each update: the API server counts it, and drops them.
        generation = None if item["kind"] == "LeaderWorkerSet" else meta.get("generation")
        objects[f"{meta.get('namespace')}/{item['kind']}/{meta['name']}"] = {
            "uid": meta["uid"],
            "generation": generation,
            "labels": meta.get("labels"),
            "ours": [without_time(f) for f in meta["managedFields"] if f["manager"] == "kubectl"],
            "body": without_binding({k: v for k, v in item.items() if k not in ("metadata", "status")}),
        }
    return objects


def without_binding(body: dict[str, Any]) -> dict[str, Any]:
    """A body without what the controller of volumes writes into its spec at a moment of its own."""
    spec = dict(body.get("spec", {}))
    if body["kind"] == "PersistentVolumeClaim":
        spec.pop("volumeName", None)
    if body["kind"] == "PersistentVolume" and "claimRef" in spec:
        spec["claimRef"] = {k: spec["claimRef"].get(k) for k in ("namespace", "name")}
    return {**body, "spec": spec}


def without_time(fields: dict[str, Any]) -> dict[str, Any]:
    """Which fields a manager has; the time says when it last applied."""
    return {key: value for key, value in fields.items() if key != "time"}


@pytest.mark.parametrize("name", specs.NAMES)
def test_applies_strictly_and_a_second_time_changes_nothing(
    name: str, cluster_under_test: Given, namespaces: dict[str, str]
) -> None:
    """On every platform, in a namespace each."""
    made = {platform: specs.example(name, there, platform) for platform, there in namespaces.items()}
    text = "\n---\n".join(one.text for one in made.values())
    count = sum(len(one.documents) for one in made.values())
    first = apply(cluster_under_test, text)
    assert first.returncode == 0, first.stderr
    # PodSecurity and deprecated fields speak up as warnings.
    assert "Warning" not in first.stderr
    assert len(first.stdout.splitlines()) == count
    before = state(cluster_under_test, text)
    assert len(before) == count
    second = apply(cluster_under_test, text)
    assert second.returncode == 0, second.stderr
    assert state(cluster_under_test, text) == before


def pods_of(server: dict[str, Any]) -> int:
    """How many pods an object of SERVERS makes before any of them runs: a group's workers come after its leader."""
    group = server["spec"].get("leaderWorkerTemplate", {})
    return int(server["spec"].get("replicas", 1)) * int(group.get("size", 1))


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
    wanted = {document.name: pods_of(yaml.safe_load(document.text)) for document in made.of(*SERVERS)}

    def all_there() -> bool:
        # name-hash-hash of a Deployment, name-hash of a Job, name-index and name-index-index of a group
        pods = [pod["metadata"]["name"] for pod in testbed.pods(namespace)]
        return all(sum(pod.startswith(f"{name}-") for pod in pods) >= count for name, count in wanted.items())

    try:
        until(all_there, 90, f"pods of {wanted}", every=0.5)
        uids = {pod["metadata"]["uid"] for pod in testbed.pods(namespace)}
        assert apply(testbed, made.text).returncode == 0
        time.sleep(1)  # what shall not happen has no moment to wait for
        # Others may have come: an HPA keeps its least number of replicas.
        after = {pod["metadata"]["uid"] for pod in testbed.pods(namespace)}
        assert uids <= after, "a second apply makes none anew"
    except TimeoutError as error:
        events = testbed.kubectl("get", "events", "-n", namespace, "--field-selector=type=Warning")
        pytest.fail(f"{error}\n{events}")


def test_a_pod_that_is_not_restricted_is_refused(testbed: Testbed, namespace: str) -> None:
    """The test above would see nothing if PodSecurity did not work here."""
    apply(testbed, specs.example("local", namespace).text)
    said = testbed.kubectl("run", "root", "--image=busybox", "-n", namespace, check=False)
    assert 'violates PodSecurity "restricted' in said
