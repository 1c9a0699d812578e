"""The fixtures of the cluster tests: one testbed for the session, one namespace for each test."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.testbed.cluster import Given, Testbed

VARIABLE = "HOMEPORT_TEST_KUBECONFIG"


@pytest.fixture(scope="session")
def cluster_under_test(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Given]:
    """The cluster that HOMEPORT_TEST_KUBECONFIG names, or a testbed; the custom resource definitions are installed."""
    folder = tmp_path_factory.mktemp("testbed")
    given = os.environ.get(VARIABLE)
    bed = Given(Path(given), folder) if given else Testbed(folder)
    try:
        bed.crds()
        yield bed
    finally:
        bed.stop()


@pytest.fixture(scope="session")
def testbed(cluster_under_test: Given) -> Testbed:
    """The testbed with all its controls. Skips where a cluster was given: its control plane and nodes are not ours."""
    if not isinstance(cluster_under_test, Testbed):
        pytest.skip(f"{VARIABLE} names a cluster: this test needs control of nodes or of the control plane")
    return cluster_under_test


@pytest.fixture
def namespace(cluster_under_test: Given) -> Iterator[str]:
    """A namespace of the test's own, removed after it."""
    name = f"test-{secrets.token_hex(4)}"
    cluster_under_test.kubectl("create", "namespace", name)
    yield name
    cluster_under_test.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")
