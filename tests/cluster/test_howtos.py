"""The how-tos that need a cluster, run against one: each command of their `console` blocks, in their order.

What needs containers, a cloud, charts from the internet or a replica that really answers cannot run on the testbed. A
page names the beginnings of such commands itself ("Not run when this page is tested: `kind`, `curl`."), and only those
of NOT_HERE may be named. Everything else has to succeed, or to exit with the code of an `<!-- exit: N -->` before it.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from scripts.documents import BLOCK, ELLIPSIS, ROOT
from tests.testbed import nodes
from tests.testbed.build import ensure
from tests.testbed.cluster import Testbed
from tests.testbed.nodes import Node

pytestmark = pytest.mark.cluster

NOT_HERE = {
    "kind": "makes a cluster of containers",
    "minikube": "makes a cluster in a virtual machine or a container",
    "helm upgrade": "downloads charts",
    "curl": "asks a replica, and those of the testbed run no container",
    "promtool": "asks a Prometheus in the cluster",
    "kubectl port-forward": "leads to a container",
}
SAYS = re.compile(r"Not run when this page is tested: (.*?)\.\n", re.S)
SHELL_SECONDS = 240
WATCH_SECONDS = 8

PAGES: dict[str, Callable[[], list[Node]]] = {
    "kind": lambda: [nodes.cpu("kind-worker")],
    "minikube": lambda: [nodes.cpu("minikube")],
    "existing-cluster": lambda: [nodes.cpu(), nodes.bare_metal("L40S", 4, name="gpu-1")],
    "read-doctor": lambda: [nodes.cpu(), nodes.of_instance("gke", "g2-standard-24", name="pool-1")],
    "scale-to-zero": lambda: [nodes.cpu(), nodes.of_instance("gke", "g2-standard-24", name="pool-1")],
}


class Command(NamedTuple):
    """One command of a console block, with its continued lines and the lines of its here-document."""

    text: str
    expected: int


def commands(body: str, expected: int) -> Iterator[Command]:
    """The commands of a `console` block: each begins with `$ `; other lines are output, or the end of one."""
    lines: list[str] = []
    more = False
    for line in body.splitlines():
        if line.startswith("$ "):
            if lines:
                yield Command("\n".join(lines), expected)
            lines, more = [line[2:]], True
        elif lines and more:
            lines.append(line)
        more = bool(lines) and (lines[-1].endswith("\\") or "<<" in "".join(lines))
    if lines:
        yield Command("\n".join(lines), expected)


def beginning(text: str) -> str:
    """The program and, for kubectl and helm, what it is asked to do: `kubectl --namespace x logs y` is `kubectl logs`."""
    words = shlex.split(text.splitlines()[0].rstrip("\\"), comments=True)
    program = words[0]
    if program not in ("kubectl", "helm"):
        return program
    rest = iter(words[1:])
    for word in rest:
        if word in ("-n", "--namespace", "--context", "--kubeconfig"):
            next(rest)
        elif not word.startswith("-"):
            return f"{program} {word}"
    return program


def left_out(page: str) -> set[str]:
    """The beginnings that the page says are not run."""
    found = SAYS.search(page)
    return set(re.findall(r"`([^`]+)`", found[1])) if found else set()


@pytest.fixture
def shell(testbed: Testbed, tmp_path: Path) -> Iterator[Callable[[str], tuple[int, str]]]:
    """Runs what a reader would type, in a folder of the page's own; namespaces that it makes are removed after it."""
    programs = {path.parent for path in ensure("kubectl", "helm").values()}
    work = tmp_path / "work"
    work.mkdir()
    env = {
        **{k: v for k, v in os.environ.items() if not k.startswith("HOMEPORT_")},
        "PATH": ":".join([str(Path(sys.executable).parent), *map(str, programs), os.environ["PATH"]]),
        "KUBECONFIG": str(testbed.kubeconfig),
        "KUBECACHEDIR": str(tmp_path / "cache"),
        "HOME": str(tmp_path),
        "HF_HUB_OFFLINE": "1",
        "NO_COLOR": "1",
    }

    def run(text: str) -> tuple[int, str]:
        try:
            done = subprocess.run(
                ["bash", "-eu", "-o", "pipefail", "-c", text],
                cwd=work, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True, timeout=WATCH_SECONDS if watches(text) else SHELL_SECONDS, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as late:
            assert watches(text), f"{text}: not done after {SHELL_SECONDS} s"
            return 0, (late.stdout or b"").decode()
        return done.returncode, done.stdout

    before = set(names(testbed, "namespace"))
    yield run
    made = set(names(testbed, "namespace")) - before
    if made:
        # Their nodes are gone, and no kubelet would say that they ended.
        for one in made:
            where = one.removeprefix("namespace/")
            testbed.kubectl(
                "delete", "pods", "--all", "-n", where, "--force", "--grace-period=0", check=False
            )
        # The next page may use the name again: a namespace that is still ending takes nothing.
        testbed.kubectl("delete", *sorted(made), "--timeout=120s", "--ignore-not-found", seconds=150)


def watches(text: str) -> bool:
    """Whether a command goes on until somebody ends it."""
    return bool(re.search(r"(--watch|\s-w)(\s|$)", text))


def names(testbed: Testbed, kind: str) -> list[str]:
    return testbed.kubectl("get", kind, "-o", "name").split()


def compared(shown: str, actual: str) -> list[str]:
    """Lines that a page shows and a command did not print, in order; `…` stands for any."""
    lines = iter(actual.splitlines())
    missing = []
    for line in shown.splitlines():
        if line.strip() in ("", ELLIPSIS):
            continue
        start = line.removesuffix(ELLIPSIS).rstrip()
        whole = not line.endswith(ELLIPSIS)
        if not any(said.rstrip() == start if whole else said.startswith(start) for said in lines):
            missing.append(line)
            lines = iter(())
    return missing


@pytest.mark.parametrize("page", PAGES)
def test_a_readers_commands_work(
    page: str, testbed: Testbed, shell: Callable[[str], tuple[int, str]], tmp_path: Path
) -> None:
    text = (ROOT / "docs" / "how-to" / f"{page}.md").read_text("utf-8")
    skipped = left_out(text)
    unknown = skipped - set(NOT_HERE)
    assert not unknown, f"{unknown} could run here"
    machines = PAGES[page]()
    testbed.add_nodes(*machines)
    try:
        ran, output = 0, ""
        for block in BLOCK.finditer(text):
            mark, body = block["mark"] or "", block["body"]
            if mark == "stack":  # tests/infra/test_howtos.py runs it
                continue
            name, _, value = mark.partition(": ")
            expected = int(value) if name == "exit" else 0
            if name == "file":
                file = tmp_path / "work" / value
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(body, "utf-8")
            elif mark == "output of the cluster":
                assert compared(body, output) == [], output
            elif block["language"] in ("sh", "console"):
                pieces = (
                    [Command(body, expected)] if block["language"] == "sh" else list(commands(body, expected))
                )
                for command in pieces:
                    if block["language"] == "console" and beginning(command.text) in skipped:
                        continue
                    code, output = shell(command.text)
                    assert code == command.expected, f"{command.text}\n{output}"
                    ran += block["language"] == "console"
        assert ran, "the page runs nothing on a cluster"
    finally:
        testbed.remove_nodes(*(machine.name for machine in machines))


def test_every_reason_not_to_run_is_needed() -> None:
    named: set[str] = set()
    for page in PAGES:
        text = (ROOT / "docs" / "how-to" / f"{page}.md").read_text("utf-8")
        blocks = (block["body"] for block in BLOCK.finditer(text) if block["language"] == "console")
        begun = {beginning(command.text) for body in blocks for command in commands(body, 0)}
        assert left_out(text) <= begun, "the page has no such command"
        named |= left_out(text)
    assert named == set(NOT_HERE)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("kubectl --namespace local port-forward service/small 8000:80", "kubectl port-forward"),
        ("kubectl -n x logs deployment/y --tail=5", "kubectl logs"),
        ("kubectl apply -k manifests/base", "kubectl apply"),
        ("kind create cluster --name homeport", "kind"),
        ("helm upgrade --install keda kedacore/keda", "helm upgrade"),
        ("homeport doctor -o json", "homeport"),
    ],
)
def test_a_command_is_known_by_its_beginning(text: str, found: str) -> None:
    assert beginning(text) == found


def test_commands_are_read_from_a_block() -> None:
    body = "$ curl x \\\n    -d '{}'\n{\"answer\": 1}\n$ kubectl get pods\nNAME\n$ cat <<E\na\nE\n"
    assert [c.text for c in commands(body, 0)] == [
        "curl x \\\n    -d '{}'",
        "kubectl get pods",
        "cat <<E\na\nE",
    ]
