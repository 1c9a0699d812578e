"""The testbed: a real control plane with fake nodes, and what tests do to it.

`Testbed` starts one; `Given` is the same for a cluster that HOMEPORT_TEST_KUBECONFIG names, which nothing here may
break or restart.
"""

import json
import os
import secrets
import subprocess
from pathlib import Path
from typing import Any

from tests.testbed import addons
from tests.testbed.build import ensure
from tests.testbed.controlplane import ControlPlane
from tests.testbed.nodes import Node
from tests.testbed.processes import Process, until

CRDS = ("keda-crds", "prometheus-operator-crds", "lws-crds", "gateway-api-crds")
UNUSED = ("alertmanager", "thanosruler", "prometheusagent", "scrapeconfig")
"""Kinds that nothing of homeport's uses, and without which the Prometheus operator runs."""


class Given:
    """A cluster by its kubeconfig: what works on any."""

    controlled = False
    """Whether the control plane may be stopped and nodes may be made."""

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        """`folder` is for files of the tests."""
        self.kubeconfig = kubeconfig
        self.folder = folder

    def kubectl(
        self, *arguments: str | Path, stdin: str | None = None, check: bool = True, seconds: float = 90
    ) -> str:
        """What kubectl prints. Raises AssertionError with what it says if it fails, unless `check` is False."""
        done = subprocess.run(
            [ensure_kubectl(), "--kubeconfig", self.kubeconfig, *arguments],
            input=stdin, capture_output=True, text=True, timeout=seconds, check=False,
            env={**os.environ, "KUBECACHEDIR": str(self.folder / "kubectl")},
        )  # fmt: skip
        assert not check or done.returncode == 0, f"kubectl {' '.join(map(str, arguments))}: {done.stderr}"
        return done.stdout if check else done.stdout + done.stderr

    def json(self, *arguments: str) -> Any:
        """What `kubectl … -o json` answers: `json("get", "pods", "-n", "x")["items"]`."""
        return json.loads(self.kubectl(*arguments, "-o", "json"))

    def apply(self, *documents: dict[str, Any], manager: str = "testbed") -> None:
        """Server-side apply."""
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(documents)})
        self.kubectl("apply", "--server-side", f"--field-manager={manager}", "-f", "-", stdin=text)

    def user(
        self, name: str, rules: list[dict[str, Any]], namespace: str, *, cluster_wide: bool = False
    ) -> Path:
        """The kubeconfig of a service account that may do what the RBAC `rules` say, in its namespace or everywhere."""
        scope = {} if cluster_wide else {"namespace": namespace}
        kind = "ClusterRole" if cluster_wide else "Role"
        rbac = "rbac.authorization.k8s.io"
        subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
        role = f"{namespace}-{name}"
        self.apply(
            {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {"name": name, "namespace": namespace},
            },
            {"apiVersion": f"{rbac}/v1", "kind": kind, "metadata": {"name": role, **scope}, "rules": rules},
            {
                "apiVersion": f"{rbac}/v1",
                "kind": f"{kind}Binding",
                "metadata": {"name": role, **scope},
                "subjects": [subject],
                "roleRef": {"apiGroup": rbac, "kind": kind, "name": role},
            },
        )
        token = self.kubectl("create", "token", name, "-n", namespace).strip()
        config = json.loads(self.kubectl("config", "view", "--raw", "--minify", "-o", "json"))
        config["users"][0]["user"] = {"token": token}
        config["contexts"][0]["context"]["namespace"] = namespace
        file = self.folder / f"{role}.kubeconfig"
        file.write_text(json.dumps(config))
        return file

    def crds(self) -> None:
        """Install the custom resource definitions of KEDA, the Prometheus operator, LWS and the Gateway API."""
        files = [
            argument
            for folder in ensure(*CRDS).values()
            for file in sorted(folder.glob("*.yaml"))
            if "kind: CustomResourceDefinition" in file.read_text()
            and not any(u in file.name for u in UNUSED)
            for argument in ("-f", file)
        ]
        self.kubectl("apply", "--server-side", "--force-conflicts", *files, seconds=180)
        self.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")

    def wait(self, what: str, condition: str, namespace: str, seconds: int = 60) -> None:
        """`kubectl wait`: `wait("deployment/x", "Available", "ns")`."""
        self.kubectl(
            "wait", f"--for=condition={condition}", what, "-n", namespace, f"--timeout={seconds}s", seconds=seconds + 30
        )  # fmt: skip

    def pods(self, namespace: str, selector: str = "") -> list[dict[str, Any]]:
        """The pods of a namespace."""
        found: list[dict[str, Any]] = self.json("get", "pods", "-n", namespace, "-l", selector)["items"]
        return found

    def stop(self) -> None:
        """Nothing of a cluster that was given."""


class Testbed(Given):
    """A control plane of its own. Everything ends with `stop`, or with the process."""

    __test__ = False
    controlled = True

    def __init__(self, folder: Path) -> None:
        """Start it in `folder` and wait until it is ready: seconds."""
        self.plane = ControlPlane(folder)
        super().__init__(self.plane.kubeconfig, folder)
        self.url, self.token = self.plane.url, self.plane.token
        until(lambda: self.kubectl("get", "serviceaccount", "default", check=False).count("default  "), 30,
              "the controller manager makes service accounts")  # fmt: skip

    # -- nodes, volumes, pods

    def add_nodes(self, *nodes: Node) -> None:
        """Make fake nodes and wait until kwok says that they are ready."""
        items = [node.document() for node in nodes]
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        self.kubectl("create", "-f", "-", stdin=text)
        names = [f"node/{node.name}" for node in nodes]
        self.kubectl("wait", "--for=condition=Ready", "--timeout=90s", *names, seconds=120)

    def remove_nodes(self, *names: str) -> None:
        """Remove nodes and the pods on them; all nodes if none is named."""
        self.kubectl("delete", "node", *(names or ("--all",)), "--ignore-not-found", "--wait=false")

    def storage_class(self, name: str, *, default: bool = False) -> None:
        """A StorageClass without a provisioner: claims bind to the volumes that `volumes` makes."""
        note = {"storageclass.kubernetes.io/is-default-class": "true"} if default else {}
        self.apply(
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "StorageClass",
                "metadata": {"name": name, "annotations": note},
                "provisioner": "kubernetes.io/no-provisioner",
                "volumeBindingMode": "Immediate",
                "reclaimPolicy": "Delete",
            }
        )

    def volumes(self, storage_class: str, count: int, gib: int = 4096) -> None:
        """Volumes that claims of a class bind to. They stand in for a provisioner: no process runs behind them.

        Their names are new each time: one of an earlier test may be on its way out still.
        """
        self.storage_class(storage_class)
        prefix = f"{storage_class}-{secrets.token_hex(3)}"
        self.apply(
            *(
                {
                    "apiVersion": "v1",
                    "kind": "PersistentVolume",
                    "metadata": {"name": f"{prefix}-{number}"},
                    "spec": {
                        "capacity": {"storage": f"{gib}Gi"},
                        "accessModes": ["ReadWriteOnce", "ReadWriteMany", "ReadOnlyMany"],
                        "storageClassName": storage_class,
                        "persistentVolumeReclaimPolicy": "Retain",
                        "nfs": {"server": "127.0.0.1", "path": f"/{number}"},
                    },
                }
                for number in range(1, count + 1)
            )
        )

    def set_pod_status(self, namespace: str, pod: str, status: dict[str, Any]) -> None:
        """Write a pod's status, as the kubelet would: kwok leaves a running pod as it is."""
        self.kubectl(
            "patch", "pod", pod, "-n", namespace, "--subresource=status", "--type=merge",
            "-p", json.dumps({"status": status}),
        )  # fmt: skip

    def crash(
        self,
        namespace: str,
        pod: str,
        *,
        reason: str = "Error",
        code: int = 1,
        message: str = "",
        restarts: int = 5,
    ) -> None:
        """Let a pod's first container look as if it crashed again and again (`reason`: Error, OOMKilled, …)."""
        found = self.json("get", "pod", pod, "-n", namespace)
        container = found["spec"]["containers"][0]
        over = {"exitCode": code, "reason": reason, "message": message}
        waiting = {
            "reason": "CrashLoopBackOff",
            "message": f"back-off 5m0s restarting failed container={container['name']}",
        }
        statuses = [
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": "",
                "ready": False,
                "restartCount": restarts,
                "state": {"waiting": waiting},
                "lastState": {"terminated": over},
            }
        ]
        not_ready = [
            {"type": kind, "status": "False", "reason": "ContainersNotReady"}
            for kind in ("Ready", "ContainersReady")
        ]
        self.set_pod_status(
            namespace, pod, {"phase": "Running", "containerStatuses": statuses, "conditions": not_ready}
        )

    # -- faults

    def kill_apiserver(self) -> None:
        """Kill the API server at once, as a crash would."""
        self.plane.processes["kube-apiserver"].kill()

    def restart_apiserver(self) -> None:
        """Start it again on the same port and wait until it is ready. Only from the main thread: it dies with its starter."""
        self.plane.processes["kube-apiserver"].restart()
        self.plane.wait_ready()

    def stop_etcd(self) -> None:
        """Halt etcd: requests to the API server wait for it."""
        self.plane.processes["etcd"].pause()

    def continue_etcd(self) -> None:
        """Let etcd go on."""
        self.plane.processes["etcd"].resume()

    # -- what else runs in a cluster

    def start_keda(self) -> Process:
        """KEDA's operator and metrics adapter, outside the cluster, and their API service; the operator."""
        return addons.keda(self)

    def start_prometheus(self, config: dict[str, Any], port: int | None = None) -> addons.Prometheus:
        """A Prometheus that runs a configuration."""
        return addons.prometheus(self.plane, config, port)

    def start_prometheus_operator(self) -> Process:
        """The Prometheus operator, outside the cluster: it makes scrape configurations of PodMonitors."""
        return addons.prometheus_operator(self)

    def scrape_config(
        self,
        namespace: str,
        endpoints: dict[str, str],
        *,
        interval: str = "1s",
        match: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """The configuration that the operator makes of a namespace's PodMonitors, led to endpoints on loopback.

        `endpoints`: a regular expression of pods' names -> host:port.
        """
        return addons.scrape_config(self, namespace, endpoints, interval=interval, match=match)

    def start_lws(self) -> Process:
        """The LeaderWorkerSet controller with its webhooks, outside the cluster."""
        return addons.lws(self)

    def start_prometheus_adapter(self, prometheus_url: str, config: dict[str, Any]) -> Process:
        """prometheus-adapter, which answers custom.metrics.k8s.io and external.metrics.k8s.io from a Prometheus."""
        return addons.prometheus_adapter(self, prometheus_url, config)

    def stop(self) -> None:
        """End everything."""
        self.plane.stop()


def ensure_kubectl() -> Path:
    """Where kubectl lies; asked once."""
    if "kubectl" not in _FOUND:
        _FOUND.update(ensure("kubectl"))
    return _FOUND["kubectl"]


_FOUND: dict[str, Path] = {}
