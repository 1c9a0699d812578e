"""Files into a folder: whole or not at all, whatever happens on the way."""

import errno
import json
import os
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from homeport.errors import EnvironmentProblem
from homeport.manifests import kustomize, writing
from homeport.manifests.writing import ForeignFilesError, write

OLD = {"base/a.yaml": "a: 1\n", "base/b.yaml": "b: 1\n", "gone/c.yaml": "c: 1\n", "same.yaml": "s: 1\n"}
NEW = {"base/a.yaml": "a: 2\n", "base/b.yaml": "b: 2\n", "new/d.yaml": "d: 1\n", "same.yaml": "s: 1\n"}


def content(folder: Path) -> dict[str, str]:
    """Every file of a folder but the marker."""
    return {
        str(p.relative_to(folder)): p.read_text()
        for p in folder.rglob("*")
        if p.is_file() and p.name != writing.MARKER
    }


def test_it_writes_then_changes_then_leaves_alone(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    first = write(folder, OLD)
    assert set(first.created) == set(OLD)
    second = write(folder, NEW)
    assert second.created == ("new/d.yaml",)
    assert set(second.changed) == {"base/a.yaml", "base/b.yaml"}
    assert second.removed == ("gone/c.yaml",)
    assert content(folder) == NEW
    assert not (folder / "gone").exists()
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    third = write(folder, NEW)
    assert set(third.unchanged) == set(NEW)
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*")} == before
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_it_knows_what_the_folder_held_before(tmp_path: Path) -> None:
    assert write(tmp_path, OLD).before is None
    assert write(tmp_path, OLD, "one").before is None, "nothing had been said"
    assert write(tmp_path, OLD, "one").before is None
    assert write(tmp_path, NEW, "two", dry_run=True).before == "one"
    assert write(tmp_path, NEW, "two").before == "one"
    assert write(tmp_path, NEW, "two").before is None


def test_the_same_files_make_the_same_bytes_in_any_order(tmp_path: Path) -> None:
    write(tmp_path / "a", NEW)
    write(tmp_path / "b", dict(reversed(NEW.items())))
    assert (tmp_path / "a" / writing.MARKER).read_bytes() == (tmp_path / "b" / writing.MARKER).read_bytes()


def test_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    assert set(write(folder, OLD, dry_run=True).created) == set(OLD)
    assert not folder.exists()
    write(folder, OLD)
    before = content(folder)
    assert write(folder, NEW, dry_run=True).removed == ("gone/c.yaml",)
    assert content(folder) == before


def test_a_dry_run_that_cannot_look_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, OLD)

    def failing(self: Path) -> bytes:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr(Path, "read_bytes", failing)
    with pytest.raises(EnvironmentProblem, match="Permission denied"):
        write(tmp_path, NEW, dry_run=True)


def test_what_homeport_did_not_write_stays(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    (folder / "gone").mkdir(parents=True)
    (folder / "gone/mine.txt").write_text("mine")
    (folder / "README.md").write_text("mine too")
    write(folder, OLD)
    write(folder, NEW)
    assert content(folder) == NEW | {"gone/mine.txt": "mine", "README.md": "mine too"}


@pytest.mark.parametrize("force", [False, True])
def test_a_file_that_homeport_did_not_write_is_never_overwritten(tmp_path: Path, force: bool) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base/a.yaml").write_text("mine")
    with pytest.raises(ForeignFilesError, match=r"did not write base/a\.yaml") as refused:
        write(tmp_path, OLD, force=force)
    assert refused.value.foreign == ["base/a.yaml"]
    assert content(tmp_path) == {"base/a.yaml": "mine"}


@pytest.mark.parametrize("path", ["base/a.yaml", "gone/c.yaml"])
def test_a_file_that_somebody_changed_is_refused_by_name_unless_forced(tmp_path: Path, path: str) -> None:
    write(tmp_path, OLD)
    (tmp_path / path).write_text("edited")
    with pytest.raises(ForeignFilesError) as refused:
        write(tmp_path, NEW)
    assert refused.value.edited == [path]
    assert content(tmp_path) == OLD | {path: "edited"}
    write(tmp_path, NEW, force=True)
    assert content(tmp_path) == NEW


def test_a_file_that_somebody_removed_comes_back(tmp_path: Path) -> None:
    write(tmp_path, OLD)
    (tmp_path / "same.yaml").unlink()
    assert write(tmp_path, OLD).created == ("same.yaml",)


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "same.yaml").mkdir()
    with pytest.raises(ForeignFilesError):
        write(tmp_path, OLD)


@pytest.mark.parametrize("at", ["base", "base/a.yaml"])
def test_nothing_is_written_through_a_symbolic_link(tmp_path: Path, at: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.yaml").write_text("theirs")
    folder = tmp_path / "out"
    (folder / at).parent.mkdir(parents=True)
    (folder / at).symlink_to(outside if at == "base" else outside / "a.yaml")
    with pytest.raises(EnvironmentProblem, match="symbolic link"):
        write(folder, OLD)
    assert content(outside) == {"a.yaml": "theirs"}


@pytest.mark.parametrize("listed", ["../outside.txt", "/etc/hostname", "a/../../outside.txt", ""])
def test_a_forged_list_cannot_remove_files_elsewhere(tmp_path: Path, listed: str) -> None:
    folder = tmp_path / "out"
    write(folder, OLD)
    (tmp_path / "outside.txt").write_text("theirs")
    marker = json.loads((folder / writing.MARKER).read_text())
    marker["files"][listed] = writing._sum(b"theirs")
    (folder / writing.MARKER).write_text(json.dumps(marker))
    with pytest.raises(EnvironmentProblem, match="damaged"):
        write(folder, NEW)
    assert (tmp_path / "outside.txt").read_text() == "theirs"


def test_a_damaged_list_is_said(tmp_path: Path) -> None:
    write(tmp_path, OLD)
    (tmp_path / writing.MARKER).write_text("{")
    with pytest.raises(EnvironmentProblem, match="damaged"):
        write(tmp_path, NEW)


def test_a_file_in_the_place_of_the_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(EnvironmentProblem, match="cannot write"):
        write(tmp_path / "out", OLD)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("operation", ["write_bytes", "replace", "mkdir"])
def test_a_disk_that_says_no_is_a_typed_error_and_no_half_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, operation: str
) -> None:
    folder = tmp_path / "out"
    write(folder, OLD)
    real = getattr(Path, operation)

    def failing(self: Path, *args: object, **kwargs: object) -> object:
        if "new" in self.parts:
            raise OSError(code, os.strerror(code), str(self))
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Path, operation, failing)
    with pytest.raises(EnvironmentProblem, match="cannot write"):
        write(folder, NEW)
    monkeypatch.undo()
    assert all(text in (OLD.get(path), NEW.get(path)) for path, text in content(folder).items())
    write(folder, NEW)
    assert content(folder) == NEW
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_without_rights_on_the_parent_it_stages_within(tmp_path: Path) -> None:
    folder = tmp_path / "parent" / "out"
    folder.mkdir(parents=True)
    folder.parent.chmod(0o500)
    try:
        write(folder, OLD)
    finally:
        folder.parent.chmod(0o700)
    assert content(folder) == OLD


def test_where_the_parent_cannot_be_written_it_stages_within(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out"
    write(folder, OLD)
    real = Path.mkdir
    staged = []

    def failing(self: Path, *args: object, **kwargs: object) -> None:
        if self.parent == tmp_path and self != folder:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))
        staged.append(self.name)
        real(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "mkdir", failing)
    write(folder, NEW)
    assert writing.STAGE in staged
    assert content(folder) == NEW


KILLED = textwrap.dedent(
    """
    import os, signal, sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[4])
    from homeport.manifests import writing
    import json
    files = json.loads(sys.argv[2])
    deadly = int(sys.argv[3])
    steps = 0
    def counted(real):
        def step(*args, **kwargs):
            global steps
            steps += 1
            if steps == deadly:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)
        return step
    for owner, names in ((os, ("mkdir", "rmdir", "unlink", "replace", "rename")),):
        for name in names:
            setattr(owner, name, counted(getattr(owner, name)))
    real_write = Path.write_bytes
    def write_bytes(self, data):
        # killed in the middle of a write: half of it is on the disk
        global steps
        steps += 1
        if steps == deadly:
            real_write(self, data[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return real_write(self, data)
    Path.write_bytes = write_bytes
    writing.write(Path(sys.argv[1]), files)
    print(steps)
    """
)


def killed_at(step: int, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a write to NEW in another process that SIGKILL ends at its n-th change of the disk."""
    return subprocess.run(
        [sys.executable, "-c", KILLED, str(folder), json.dumps(NEW), str(step), str(Path(writing.__file__).parents[2])],
        capture_output=True, text=True,
    )  # fmt: skip


def test_killed_at_any_moment_every_file_is_whole_and_the_next_run_finishes_or_undoes(tmp_path: Path) -> None:
    write(tmp_path / "count/out", OLD)
    steps = int(killed_at(0, tmp_path / "count/out").stdout)
    assert steps > 15
    recoveries = set()
    for step in range(1, steps + 1):
        folder = tmp_path / str(step) / "out"
        write(folder, OLD)
        (folder / "mine.txt").write_text("mine")
        assert killed_at(step, folder).returncode == -9
        for path, text in content(folder).items():
            assert text in (OLD.get(path), NEW.get(path)) or path == "mine.txt", (step, path, text)
        recoveries.add(write(folder, NEW).recovered)
        assert content(folder) == NEW | {"mine.txt": "mine"}, step
        assert [p.name for p in folder.parent.iterdir()] == ["out"]
        assert not write(folder, NEW).changed
    assert recoveries >= {"undone", "finished"}


def test_a_killed_run_is_finished_even_if_other_files_are_wanted_now(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    write(folder, OLD)
    steps = 0
    while not (tmp_path / ".out.homeport-staged/journal").exists():
        steps += 1
        killed_at(steps, folder)
    outcome = write(folder, OLD)
    assert outcome.recovered == "finished"
    assert content(folder) == OLD


def test_a_file_that_was_changed_after_a_run_was_killed_is_not_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    write(folder, OLD)
    steps = 0
    while not (tmp_path / ".out.homeport-staged/journal").exists():
        steps += 1
        killed_at(steps, folder)
    (folder / "base/b.yaml").write_text("edited")
    with pytest.raises(ForeignFilesError, match=r"base/b\.yaml"):
        write(folder, NEW)
    assert (folder / "base/b.yaml").read_text() == "edited"
    write(folder, NEW, force=True)
    assert content(folder) == NEW


def test_two_runs_at_once_do_not_mix(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    many = [{f"f{i}.yaml": f"v: {version}\n" for i in range(150)} for version in range(4)]
    script = (
        "import json, sys; from pathlib import Path; from homeport.manifests.writing import write\n"
        "write(Path(sys.argv[1]), json.loads(sys.stdin.read()))"
    )
    runs = [
        subprocess.Popen([sys.executable, "-c", script, str(folder)], stdin=subprocess.PIPE, text=True)
        for _ in many
    ]
    for run, files in zip(runs, many, strict=True):
        assert run.stdin is not None
        run.stdin.write(json.dumps(files))
        run.stdin.close()
    assert [run.wait() for run in runs] == [0, 0, 0, 0]
    assert content(folder) in many
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_run_that_waits_in_vain_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "WAIT_S", 0.2)
    holder = subprocess.Popen(
        [sys.executable, "-c", "import fcntl, os, sys, time; fcntl.flock(os.open(sys.argv[1], 0), 2); print(flush=True); time.sleep(30)", str(tmp_path)],
        stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        started = time.monotonic()
        with pytest.raises(EnvironmentProblem, match="another homeport"):
            write(tmp_path, OLD)
        assert time.monotonic() - started < 5
    finally:
        holder.kill()
        holder.wait()
        assert holder.stdout is not None
        holder.stdout.close()


def test_a_stage_that_is_not_homeports_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/journal").write_text('{"write": {}, "before": {}, "remove": {"x": ""}}')
    (tmp_path / ".out.homeport-staged").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EnvironmentProblem, match="not homeport's"):
        write(tmp_path / "out", OLD)


def paths(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*")}


@pytest.mark.parametrize("options", [{}, {"dry_run": True}, {"force": True}])
def test_a_file_where_a_folder_is_needed_is_refused_before_anything_is_written(
    tmp_path: Path, options: dict[str, bool]
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "base").write_text("mine")
    with pytest.raises(ForeignFilesError, match="base is a file, and a folder is needed there") as refused:
        write(folder, OLD, **options)
    assert refused.value.exit_code == 2
    assert paths(tmp_path) == {"out", "out/base"}
    (folder / "base").unlink()
    write(folder, OLD)
    assert content(folder) == OLD


@pytest.mark.parametrize("at", ["base/a.yaml", writing.MARKER])
@pytest.mark.parametrize("kind", ["pipe", "socket", "folder"])
@pytest.mark.parametrize("dry_run", [False, True])
def test_what_is_no_file_is_refused_by_name_and_never_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str, kind: str, dry_run: bool
) -> None:
    (tmp_path / "base").mkdir()
    if kind == "pipe":
        os.mkfifo(tmp_path / at)  # to open it would be to wait for ever
    elif kind == "socket":
        monkeypatch.chdir((tmp_path / at).parent)  # a socket's path is short
        with socket.socket(socket.AF_UNIX) as made:
            made.bind((tmp_path / at).name)
    else:
        (tmp_path / at).mkdir()
    before = paths(tmp_path)
    with pytest.raises(ForeignFilesError, match=f"{at} is a {kind}, and a file is needed there"):
        write(tmp_path, OLD, dry_run=dry_run)
    assert paths(tmp_path) == before


def test_what_took_the_place_of_a_file_that_is_no_longer_needed_stays(tmp_path: Path) -> None:
    write(tmp_path, OLD)
    (tmp_path / "gone/c.yaml").unlink()
    (tmp_path / "gone/c.yaml").mkdir()
    write(tmp_path, NEW)
    assert content(tmp_path) == NEW
    assert (tmp_path / "gone/c.yaml").is_dir()


def test_a_file_in_the_place_of_the_folder_is_said_by_a_dry_run_too(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(EnvironmentProblem, match="Not a directory"):
        write(tmp_path / "out", OLD, dry_run=True)


def killed_in_the_middle(folder: Path) -> Path:
    """Kill a run to NEW right after its journal stands; returns the stage."""
    write(folder, OLD)
    stage = folder.parent / f".{folder.name}{writing.STAGE}"
    steps = 0
    while not (stage / "journal").exists():
        steps += 1
        killed_at(steps, folder)
    return stage


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("journal", b"junk"),
        ("journal", b'"\xff"'),
        ("journal", b"[" * 100_000),
        ("journal", b'{"write": {"base/a.yaml": "x"}, "before": {}, "remove": {}}'),
        ("journal", b'{"write": {}, "before": {}, "remove": {"../mine": "x"}}'),
        ("files/base/a.yaml", b"a: "),
        ("marker", b"{"),
        ("more", b"not homeport's"),
        ("files", None),
        ("journal", None),
    ],
)
def test_a_damaged_stage_is_said_and_can_be_removed(tmp_path: Path, name: str, damage: bytes | None) -> None:
    import shutil

    folder = tmp_path / "out"
    stage = killed_in_the_middle(folder)
    if damage is not None:
        (stage / name).write_bytes(damage)
    elif name == "files":
        shutil.rmtree(stage / name)
        (stage / name).write_bytes(b"")
    else:
        (stage / name).unlink()
        os.mkfifo(stage / name)
    with pytest.raises(EnvironmentProblem, match=r"\.out\.homeport-staged.* is damaged") as said:
        write(folder, NEW)
    assert said.value.exit_code == 3
    assert "remove it" in (said.value.help or "")
    shutil.rmtree(stage)
    write(folder, NEW, force=True)
    assert content(folder) == NEW


def test_a_killed_run_waits_for_what_came_into_its_way(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    killed_in_the_middle(folder)
    (folder / "new").write_text("mine")
    with pytest.raises(ForeignFilesError, match="new is a file"):
        write(folder, NEW, force=True)
    assert content(folder) == OLD | {"new": "mine"}
    (folder / "new").unlink()
    assert write(folder, NEW).recovered == "finished"
    assert content(folder) == NEW


@pytest.mark.parametrize("more", ["", ', "signed": true'])
def test_a_list_of_a_newer_homeport_is_not_rewritten(tmp_path: Path, more: str) -> None:
    write(tmp_path, OLD)
    newer = f'{{"version": 99, "note": "", "files": {{}}{more}}}'
    (tmp_path / writing.MARKER).write_text(newer)
    with pytest.raises(EnvironmentProblem, match="written by a newer homeport") as said:
        write(tmp_path, OLD)
    assert "update homeport" in (said.value.help or "")
    assert (tmp_path / writing.MARKER).read_text() == newer


@pytest.mark.parametrize(
    ("operation", "says", "recovered"),
    [("write_bytes", "nothing was changed", None), ("replace", "what was begun is finished", "finished")],
)
def test_a_full_disk_says_what_became_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operation: str, says: str, recovered: str | None
) -> None:
    folder = tmp_path / "out"
    write(folder, OLD)
    real = getattr(Path, operation)

    def full(self: Path, *args: object) -> object:
        if "new" in self.parts:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))
        return real(self, *args)

    monkeypatch.setattr(Path, operation, full)
    with pytest.raises(EnvironmentProblem, match="No space left") as said:
        write(folder, NEW)
    assert says in (said.value.help or "")
    monkeypatch.undo()
    assert write(folder, NEW).recovered == recovered
    assert content(folder) == NEW


def test_a_file_that_happens_to_be_the_same_stays_somebody_elses(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base/a.yaml").write_text(OLD["base/a.yaml"])
    assert "base/a.yaml" in write(tmp_path, OLD).unchanged
    assert "base/a.yaml" not in json.loads((tmp_path / writing.MARKER).read_text())["files"]
    before = (tmp_path / writing.MARKER).stat().st_mtime_ns
    assert set(write(tmp_path, OLD).unchanged) == set(OLD)
    assert (tmp_path / writing.MARKER).stat().st_mtime_ns == before
    with pytest.raises(ForeignFilesError, match=r"did not write base/a\.yaml"):
        write(tmp_path, NEW, force=True)
    write(tmp_path, {"same.yaml": "s: 1\n"})
    assert content(tmp_path) == {"base/a.yaml": OLD["base/a.yaml"], "same.yaml": "s: 1\n"}


@pytest.mark.parametrize("folder", ["out", "my out; echo $HOME", "-k", "it's", "/", "a/"])
@pytest.mark.parametrize("below", ["", "base/namespace.yaml"])
def test_a_path_to_paste_arrives_as_it_is(folder: str, below: str) -> None:
    text = kustomize.shell_path(folder, below)
    done = subprocess.run(["sh", "-c", f"printf %s {text}"], capture_output=True, text=True, check=True)
    assert Path(done.stdout) == Path(folder, below)
    assert not done.stdout.startswith("-")
