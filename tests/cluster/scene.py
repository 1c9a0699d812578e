"""A small spec in a namespace of its own, applied to a real API server by kubectl, and looked at by homeport."""

import subprocess
from pathlib import Path
from typing import Any

from homeport.commands.main import run
from homeport.manifests.render import documents
from homeport.manifests.types import Document
from homeport.planning.plan import Planner
from homeport.spec.load import load
from tests.testbed.build import ensure

SPEC = """version: 1
name: {name}
namespace: {namespace}
target: {{platform: kind}}
models:
  - name: tiny
    model: Qwen/Qwen2.5-0.5B-Instruct
    engine: simulator
    workload: {{requests_per_day: 500, input_tokens: 200, output_tokens: 100}}
    replicas: {{min: {min}, max: {max}}}
    scaling: {{by: none}}
"""


class Scene:
    """A spec, what it renders, and the cluster that it is for."""

    def __init__(self, kubeconfig: Path, folder: Path, namespace: str) -> None:
        """Write the spec to `folder`."""
        self.kubeconfig = kubeconfig
        self.namespace = namespace
        self.spec = folder / "homeport.yaml"
        self.write()

    def write(self, name: str = "", replicas: tuple[int, int] = (1, 1), more: str = "") -> None:
        """Write the spec anew, with other replicas or more fields of the model."""
        text = SPEC.format(
            name=name or self.namespace, namespace=self.namespace, min=replicas[0], max=replicas[1]
        )
        self.spec.write_text(text + more, "utf-8")

    def documents(self) -> list[Document]:
        """What the spec renders."""
        spec = load(self.spec.read_bytes(), str(self.spec)).spec
        return documents(Planner(self.spec.parent).plan(spec))

    def kubectl(self, *args: str, stdin: str | None = None, check: bool = True) -> str:
        """Run kubectl against the cluster; its output."""
        done = subprocess.run(
            [ensure("kubectl")["kubectl"], "--kubeconfig", self.kubeconfig, *args],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stdout + ("" if check else done.stderr)

    def rendered(self) -> str:
        """The stream that `homeport render -o -` prints."""
        return "---\n".join(document.text for document in self.documents())

    def apply(self, *how: str) -> None:
        """Apply what is rendered; on the server's side unless `how` says otherwise."""
        self.kubectl("apply", *(how or ("--server-side",)), "-f", "-", stdin=self.rendered())

    def diff(self, *more: str) -> int:
        """Run `homeport diff`; its exit code."""
        return run(["diff", "-f", str(self.spec), "--kubeconfig", str(self.kubeconfig), *more])

    def patch(self, kind: str, name: str, patch: str, *more: str) -> None:
        """Change an object as somebody else would."""
        self.kubectl("-n", self.namespace, "patch", kind, name, "--type=merge", "-p", patch, *more)


def by_title(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The objects of `diff -o json`, by kind and name."""
    return {f"{one['kind']}/{one['name']}": one for one in values["objects"]}
