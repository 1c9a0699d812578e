"""The programs of the testbed: found on PATH, taken from the cache, or built once from pinned Go modules.

    python -m tests.testbed.build [NAME …]

builds what is missing. A cold build of everything takes about 40 minutes on 2 cores and 20 GB of disk while it runs;
what stays is 1.5 GB in ~/.cache/homeport-testbed (or under $XDG_CACHE_HOME). docs/reference/testbed.md has the times.
"""

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tests.testbed import toolchain

PROGRAMS = Path(__file__).parent / "programs"


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """A program: `module` is its folder under programs/, `asks` the arguments to which it answers its version `says`."""

    name: str
    module: str
    package: str
    ldflags: str = ""
    asks: tuple[str, ...] = ()
    says: str = ""


class Folder(msgspec.Struct, frozen=True, kw_only=True):
    """A folder of a Go module that is used as it is: `source` is the Go module, `folder` lies in it."""

    name: str
    module: str
    source: str
    folder: str


KUBERNETES = (
    "-X k8s.io/component-base/version.gitVersion=v1.37.2 -X k8s.io/component-base/version.gitMajor=1 "
    "-X k8s.io/component-base/version.gitMinor=37 -X k8s.io/client-go/pkg/version.gitVersion=v1.37.2"
)


def _kubernetes(name: str, *asks: str) -> Program:
    return Program(
        name=name,
        module="kubernetes",
        package=f"k8s.io/kubernetes/cmd/{name}",
        ldflags=KUBERNETES,
        asks=asks or ("--version",),
        says="v1.37.2",
    )


TABLE: dict[str, Program | Folder] = {
    item.name: item
    for item in (
        Program(name="certificates", module="certificates", package="."),
        Program(name="etcd", module="etcd", package=".", asks=("--version",), says="3.7.3"),
        _kubernetes("kube-apiserver"),
        _kubernetes("kube-controller-manager"),
        _kubernetes("kube-scheduler"),
        _kubernetes("kubectl", "version", "--client"),
        Program(name="kwok", module="kwok", package="sigs.k8s.io/kwok/cmd/kwok"),
        Folder(name="kwok-stages", module="kwok", source="sigs.k8s.io/kwok", folder="kustomize/stage"),
        Program(
            name="prometheus",
            module="prometheus",
            package="github.com/prometheus/prometheus/cmd/prometheus",
            ldflags="-X github.com/prometheus/common/version.Version=3.16.0",
            asks=("--version",),
            says="version 3.16.0",
        ),
        Program(
            name="promtool",
            module="prometheus",
            package="github.com/prometheus/prometheus/cmd/promtool",
            ldflags="-X github.com/prometheus/common/version.Version=3.16.0",
            asks=("--version",),
            says="version 3.16.0",
        ),
        Program(name="keda-operator", module="keda", package="github.com/kedacore/keda/v2/cmd/operator"),
        Program(name="keda-adapter", module="keda", package="github.com/kedacore/keda/v2/cmd/adapter"),
        Folder(
            name="keda-crds", module="keda", source="github.com/kedacore/keda/v2", folder="config/crd/bases"
        ),
        Program(
            name="prometheus-operator",
            module="prometheus-operator",
            package="github.com/prometheus-operator/prometheus-operator/cmd/operator",
        ),
        Folder(
            name="prometheus-operator-crds",
            module="prometheus-operator",
            source="github.com/prometheus-operator/prometheus-operator",
            folder="example/prometheus-operator-crd",
        ),
        Program(name="lws-manager", module="lws", package="sigs.k8s.io/lws/cmd"),
        Folder(name="lws-webhooks", module="lws", source="sigs.k8s.io/lws", folder="config/webhook"),
        Folder(name="lws-crds", module="lws", source="sigs.k8s.io/lws", folder="config/crd/bases"),
        Folder(
            name="gateway-api-crds",
            module="gateway-api",
            source="sigs.k8s.io/gateway-api",
            folder="config/crd/standard",
        ),
        Folder(
            name="karpenter-aws-crds",
            module="karpenter-aws",
            source="github.com/aws/karpenter-provider-aws",
            folder="pkg/apis/crds",
        ),
        Folder(
            name="karpenter-azure-crds",
            module="karpenter-azure",
            source="github.com/Azure/karpenter-provider-azure",
            folder="pkg/apis/crds",
        ),
        Program(
            name="prometheus-adapter",
            module="prometheus-adapter",
            package="sigs.k8s.io/prometheus-adapter/cmd/adapter",
        ),
        Program(
            name="helm",
            module="helm",
            package="helm.sh/helm/v4/cmd/helm",
            ldflags="-X helm.sh/helm/v4/internal/version.version=v4.3.1",
            asks=("version", "--short"),
            says="v4.3.1",
        ),
        Program(
            name="pulumi",
            module="pulumi",
            package="github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
            ldflags="-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v3.259.0",
            asks=("version",),
            says="v3.259.0",
        ),
    )
}


class ChangedError(RuntimeError):
    """A cached program is not what was built: the cache was touched."""


def cache() -> Path:
    """The folder outside the checkout where everything lies."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "homeport-testbed"


def ensure(*names: str) -> dict[str, Path]:
    """Where each named program or folder lies (all, if none is named); what is missing is built, with progress on stderr.

    A program on PATH is taken if it answers with the pinned version. Raises KeyError for an unknown name, ChangedError
    for a cached program whose checksum differs from the one noted when it was built, and CalledProcessError if a build
    fails.
    """
    wanted = {name: TABLE[name] for name in names or TABLE}
    found = {name: path for name, item in wanted.items() if (path := _find(item))}
    missing = [item for name, item in wanted.items() if name not in found]
    if missing:
        with _lock():
            _build(missing)
        found |= {item.name: _find(item) or _target(item) for item in missing}
    return {name: found[name] for name in wanted}


def missing(*names: str) -> list[str]:
    """The names that `ensure` would build."""
    return [name for name in names or TABLE if _find(TABLE[name]) is None]


def _find(item: Program | Folder) -> Path | None:
    if isinstance(item, Program) and item.asks:
        on_path = shutil.which(item.name)
        if on_path and item.says in _answer(on_path, item.asks):
            return Path(on_path)
    target = _target(item)
    noted = target.parent / "sha256"
    if not noted.exists():
        return None
    if noted.read_text() != _digest(target):
        raise ChangedError(f"{target} is not what was built; remove {target.parent} to build it again")
    return target


def _answer(program: str, asks: tuple[str, ...]) -> str:
    done = subprocess.run([program, *asks], capture_output=True, text=True, check=False, timeout=20)
    return done.stdout + done.stderr


def _target(item: Program | Folder) -> Path:
    return cache() / f"{item.name}-{_key(item)}" / item.name


def _key(item: Program | Folder) -> str:
    """Names what is built: its sources, how, and for which machine."""
    digest = hashlib.sha256(msgspec.json.encode(item))
    digest.update(f"{platform.system()} {platform.machine()}".encode())
    for file in sorted((PROGRAMS / item.module).iterdir()):
        digest.update(f"{file.name}\n".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def _digest(path: Path) -> str:
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    whole = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file():
            whole.update(f"{file.relative_to(path)}\n".encode() + file.read_bytes())
    return whole.hexdigest()


def _build(items: list[Program | Folder]) -> None:
    """Build what no other process built meanwhile."""
    go = toolchain.find(cache(), _least_go(), _say)
    started = time.monotonic()
    for number, item in enumerate(items, 1):
        if _find(item) is None:
            _say(f"{number} of {len(items)}: {item.name} …")
            begun = time.monotonic()
            _make(item, go)
            now = time.monotonic()
            _say(
                f"{number} of {len(items)}: {item.name} took {now - begun:.0f} s, {now - started:.0f} s in all"
            )
    if not missing():
        toolchain.drop_caches(go, cache(), _say)


def _make(item: Program | Folder, go: Path) -> None:
    """Build in a folder of its own, note the checksum, and put the folder in its place in one step."""
    place = _target(item).parent
    fresh = place.with_name(f"{place.name}.{os.getpid()}")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    where, variables = PROGRAMS / item.module, toolchain.environment(cache())
    if isinstance(item, Program):
        flags = ["-trimpath", "-ldflags", f"-s -w {item.ldflags}".strip(), "-o", str(fresh / item.name)]
        subprocess.run([go, "build", *flags, item.package], cwd=where, env=variables, check=True)
    else:
        subprocess.run([go, "mod", "download", item.source], cwd=where, env=variables, check=True)
        listed = subprocess.run(
            [go, "list", "-m", "-f", "{{.Dir}}", item.source],
            cwd=where, env=variables, check=True, capture_output=True, text=True,
        )  # fmt: skip
        shutil.copytree(Path(listed.stdout.strip()) / item.folder, fresh / item.name, copy_function=_copy)
        for folder in (fresh / item.name, *(fresh / item.name).rglob("*")):
            folder.chmod(0o755 if folder.is_dir() else 0o644)
    (fresh / "sha256").write_text(_digest(fresh / item.name))
    shutil.rmtree(place, ignore_errors=True)
    fresh.rename(place)


def _copy(source: str, target: str) -> str:
    # The module cache is read-only; copies are not.
    return str(shutil.copyfile(source, target))


def _least_go() -> tuple[int, ...]:
    found = [
        re.search(r"^go ([\d.]+)$", file.read_text(), re.MULTILINE) for file in PROGRAMS.glob("*/go.mod")
    ]
    return max(tuple(int(part) for part in match[1].split(".")) for match in found if match)


@contextmanager
def _lock() -> Iterator[None]:
    """One process builds at a time: a build takes all cores anyway, and another may want the same."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("another process builds; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _say(text: str) -> None:
    print(f"testbed: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    if unknown := [name for name in sys.argv[1:] if name not in TABLE]:
        sys.exit(f"testbed: no {', '.join(unknown)}; there are {', '.join(TABLE)}")
    for found_name, found_path in ensure(*sys.argv[1:]).items():
        print(f"{found_name}\t{found_path}")
