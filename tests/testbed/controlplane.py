"""etcd, the API server, the controller manager, the scheduler and kwok, as processes on loopback."""

import ssl
import urllib.error
import urllib.request
from pathlib import Path

from tests.testbed import access
from tests.testbed.build import ensure
from tests.testbed.processes import Process, free_port, until

NAMES = ("certificates", "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl",
         "kwok", "kwok-stages")  # fmt: skip
STAGES = ("node/fast/node-initialize.yaml", "node/heartbeat/node-heartbeat.yaml")
POD_STAGES = ("pod-ready.yaml", "pod-complete.yaml", "pod-delete.yaml")


class ControlPlane:
    """A control plane that runs in a folder of its own; `url`, `kubeconfig` and `token` are the administrator's."""

    def __init__(self, folder: Path) -> None:
        """Start everything and wait until the API server is ready. Raises TimeoutError or RuntimeError with a log's end."""
        self.folder = folder
        self.programs = ensure(*NAMES)
        self.pki = folder / "pki"
        access.certificates(self.pki)
        self.token = access.administrator(self.pki)
        self.port, self.etcd_url = free_port(), f"http://127.0.0.1:{free_port()}"
        self.url = f"https://127.0.0.1:{self.port}"
        self.kubeconfig = access.kubeconfig(folder / "kubeconfig", self.url, self.pki / "ca.crt", self.token)
        self.processes: dict[str, Process] = {}
        self._etcd()
        self._apiserver()
        self.wait_ready()
        self._controllers()
        self._kwok()

    def start(self, name: str, *arguments: str | Path, environment: dict[str, str] | None = None) -> Process:
        """Start a program of the testbed and keep it until the end; its log is NAME.log."""
        program = ensure(name)[name]
        process = Process([program, *arguments], self.folder / f"{name}.log", environment)
        self.processes[name] = process
        return process

    def _etcd(self) -> None:
        peer = f"http://127.0.0.1:{free_port()}"
        self.start(
            "etcd", "--name=testbed", f"--data-dir={self.folder / 'etcd'}", "--unsafe-no-fsync", "--log-level=warn",
            f"--listen-client-urls={self.etcd_url}", f"--advertise-client-urls={self.etcd_url}",
            f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=testbed={peer}",
        )  # fmt: skip

    def _apiserver(self) -> None:
        pki = self.pki
        self.start(
            "kube-apiserver", f"--etcd-servers={self.etcd_url}", "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1", f"--secure-port={self.port}", "--service-cluster-ip-range=10.0.0.0/16",
            f"--cert-dir={pki}", f"--tls-cert-file={pki / 'tls.crt'}", f"--tls-private-key-file={pki / 'tls.key'}",
            f"--client-ca-file={pki / 'ca.crt'}", f"--token-auth-file={pki / 'tokens.csv'}", "--authorization-mode=RBAC",
            f"--service-account-key-file={pki / 'accounts.key'}",
            f"--service-account-signing-key-file={pki / 'accounts.key'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--requestheader-client-ca-file={pki / 'ca.crt'}", "--requestheader-allowed-names=front-proxy",
            "--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={pki / 'tls.crt'}", f"--proxy-client-key-file={pki / 'tls.key'}",
            "--allow-privileged=true", "--profiling=false", "--endpoint-reconciler-type=none",
        )  # fmt: skip

    def wait_ready(self, seconds: float = 60) -> None:
        """Wait until the API server says that it is ready."""
        server = self.processes["kube-apiserver"]

        def ready() -> bool:
            server.check()
            self.processes["etcd"].check()
            return self.answers("/readyz")

        try:
            until(ready, seconds, "the API server is ready")
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{server.tail()}") from None

    def answers(self, path: str) -> bool:
        """Whether the API server answers a GET with 200."""
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {self.token}"})
        context = ssl.create_default_context(cafile=str(self.pki / "ca.crt"))
        try:
            with urllib.request.urlopen(request, timeout=2, context=context) as reply:
                return bool(reply.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _controllers(self) -> None:
        shared = (f"--kubeconfig={self.kubeconfig}", "--leader-elect=false", "--bind-address=127.0.0.1")
        self.start(
            "kube-controller-manager", *shared, f"--secure-port={free_port()}",
            f"--service-account-private-key-file={self.pki / 'accounts.key'}", f"--root-ca-file={self.pki / 'ca.crt'}",
            "--use-service-account-credentials=false", "--horizontal-pod-autoscaler-sync-period=2s",
            "--kube-api-qps=200", "--kube-api-burst=400", "--concurrent-gc-syncs=5",
        )  # fmt: skip
        self.start(
            "kube-scheduler", *shared, f"--secure-port={free_port()}", "--kube-api-qps=200", "--kube-api-burst=400"
        )  # fmt: skip

    def _kwok(self) -> None:
        stages = self.programs["kwok-stages"]
        texts = [(stages / name).read_text() for name in STAGES]
        texts += [(stages / "pod/fast" / name).read_text() for name in POD_STAGES]
        file = self.folder / "stages.yaml"
        file.write_text("\n---\n".join(texts))
        self.start(
            "kwok", f"--kubeconfig={self.kubeconfig}", "--manage-all-nodes=true", f"--config={file}",
            "--cidr=10.64.0.0/16", "--node-ip=10.63.0.1", "--node-lease-duration-seconds=200",
        )  # fmt: skip

    def stop(self) -> None:
        """End everything, the last started first."""
        for process in reversed(self.processes.values()):
            process.kill()
