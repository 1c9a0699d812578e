"""What the tests against an API server share."""

from pathlib import Path

import pytest

from homeport.cluster.client import Cluster, connect
from tests.cluster.scene import Scene
from tests.testbed.cluster import Given


@pytest.fixture
def scene(cluster_under_test: Given, namespace: str, tmp_path: Path) -> Scene:
    """A small spec, not applied yet."""
    return Scene(cluster_under_test.kubeconfig, tmp_path, namespace)


@pytest.fixture
def cluster(cluster_under_test: Given) -> Cluster:
    """The client, as the testbed's administrator."""
    return connect(cluster_under_test.kubeconfig)
