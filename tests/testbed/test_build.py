"""Where programs come from, that a touched one is noticed, and that nothing outlives the tests."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.testbed import build, toolchain
from tests.testbed.processes import until

ROOT = Path(__file__).parents[2]
PROGRAM = build.Program(
    name="etcd", module="etcd", package=".", asks=("--version",), says="3.7.3"
)  # fmt: skip


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, and nothing on PATH."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


def script(file: Path, says: str) -> Path:
    """A program that answers everything with one line."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\necho '{says}'\n")
    file.chmod(0o755)
    return file


def test_a_program_on_the_path_counts_only_at_the_pinned_version(cache: Path) -> None:
    script(cache / "bin" / "etcd", "etcd Version: 3.5.1")
    assert build.missing("etcd") == ["etcd"]
    right = script(cache / "bin" / "etcd", "etcd Version: 3.7.3")
    assert build.ensure("etcd") == {"etcd": right}


def test_a_cached_program_that_was_touched_is_refused(cache: Path) -> None:
    target = script(build._target(PROGRAM), "etcd Version: 3.7.3")
    (target.parent / "sha256").write_text(build._digest(target))
    assert build.ensure("etcd") == {"etcd": target}
    target.write_text("something else")
    with pytest.raises(build.ChangedError, match="is not what was built"):
        build.ensure("etcd")


def test_a_build_is_of_its_sources_and_flags(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = cache / "programs"
    (sources / "etcd").mkdir(parents=True)
    (sources / "etcd" / "go.sum").write_text("one")
    monkeypatch.setattr(build, "PROGRAMS", sources)
    first = build._key(PROGRAM)
    assert build._key(PROGRAM) == first
    assert build._key(msgspec.structs.replace(PROGRAM, ldflags="-X a=b")) != first
    (sources / "etcd" / "go.sum").write_text("two")
    assert build._key(PROGRAM) != first


def test_every_program_has_a_pinned_module_with_checksums() -> None:
    for item in build.TABLE.values():
        module = build.PROGRAMS / item.module
        assert (module / "go.mod").exists(), item.name
        if "require" in (module / "go.mod").read_text():
            assert (module / "go.sum").stat().st_size > 0, item.name
    assert build._least_go() >= (1, 26)


def test_go_never_changes_what_is_pinned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GOFLAGS", "-mod=mod")
    monkeypatch.setenv("GONOSUMDB", "*")
    made = toolchain.environment(tmp_path)
    assert "-mod=readonly" in made["GOFLAGS"]
    assert "GONOSUMDB" not in made


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills children with their parent")
def test_a_crash_of_the_tests_leaves_no_process(tmp_path: Path) -> None:
    code = (
        "import os; from pathlib import Path; from tests.testbed.processes import Process\n"
        f"print(Process(['sleep', '60'], Path({str(tmp_path / 'log')!r})).process.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    pid = int(done.stdout)
    until(lambda: not running(pid), 10, "the child is gone")


def running(pid: int) -> bool:
    """Whether a process runs: one that only waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_plain_run_says_what_it_left_out() -> None:
    """The words stand at the end, whichever way the tests are spread."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/cluster/test_apply.py", "-p", "no:cacheprovider"],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 5, done.stdout
    assert "tests against a real control plane: uv run pytest -m cluster" in done.stdout.splitlines()[-2]
