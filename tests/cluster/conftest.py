"""What the tests against an API server share."""

from pathlib import Path

import pytest

from homeport.cluster.client import Cluster, connect
from tests.cluster.scene import Scene
from tests.testbed.build import ensure


@pytest.fixture
def scene(testbed, namespace: str, tmp_path: Path, crds: None) -> Scene:  # type: ignore[no-untyped-def]
    """A small spec, not applied yet."""
    return Scene(testbed.kubeconfig, tmp_path, namespace)


@pytest.fixture(scope="session")
def crds(testbed) -> None:  # type: ignore[no-untyped-def]
    """The kinds that the documents use, where nobody installed them."""
    folders = ensure("keda-crds", "prometheus-operator-crds")
    files = (
        folders["keda-crds"] / "keda.sh_scaledobjects.yaml",
        folders["prometheus-operator-crds"] / "monitoring.coreos.com_podmonitors.yaml",
    )
    for file in files:
        testbed.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(file))
        testbed.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(file))


@pytest.fixture
def cluster(testbed) -> Cluster:  # type: ignore[no-untyped-def]
    """The client, as the testbed's administrator."""
    return connect(testbed.kubeconfig)
