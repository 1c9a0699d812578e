"""Files into a folder: whole or not at all, never over what somebody else wrote.

How it stands being killed: everything new is staged outside the folder, then a journal says what shall happen (from
here on the next run finishes it; before, the next run throws the stage away), then each file is moved in by one
rename, then what is no longer rendered is removed, and last the list of written files, with their checksums, is
replaced. It holds against SIGKILL at any moment; against a power cut only as far as the file system keeps renames
behind the data they move.
"""

import errno
import hashlib
import os
import shutil
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

import msgspec

from homeport.errors import EnvironmentProblem, HomeportError

MARKER = ".homeport.json"
"""The list of the files that homeport wrote into a folder, with their checksums: it makes the folder homeport's."""

STAGE = ".homeport-staged"
WAIT_S = 10.0
"""How long a run waits for another one that writes to the same folder, seconds."""


class Written(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of the marker: path -> SHA-256."""

    version: int
    note: str
    files: dict[str, str]


class Journal(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is about to do: `before` has the checksum of what a path held (None: nothing)."""

    write: dict[str, str]
    before: dict[str, str | None]
    remove: dict[str, str]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to which path. `recovered` says what was done about a run that was killed."""

    created: tuple[str, ...]
    changed: tuple[str, ...]
    unchanged: tuple[str, ...]
    removed: tuple[str, ...]
    recovered: str | None = None


class ForeignFilesError(HomeportError):
    """Files in the way that homeport did not write, or that somebody changed since."""

    def __init__(self, folder: Path, foreign: list[str], edited: list[str]) -> None:
        """`foreign` were never homeport's; `edited` were, and may be overwritten with force."""
        parts = []
        if foreign:
            parts.append(f"homeport did not write {', '.join(foreign)}")
        if edited:
            parts.append(f"changed since homeport wrote them: {', '.join(edited)} (--force overwrites them)")
        super().__init__(f"{folder}: nothing was written. " + "; ".join(parts))
        self.foreign = foreign
        self.edited = edited


def write(folder: Path, files: Mapping[str, str], *, force: bool = False, dry_run: bool = False) -> Outcome:
    """Make `folder` hold exactly `files` (path -> text) of homeport's; other files in it are left alone.

    `force` overwrites files of homeport's that somebody changed. `dry_run` says what would happen. Raises
    ForeignFilesError, and EnvironmentProblem where the folder cannot be written or another run holds it.
    """
    for path in files:
        _check_path(path)
    try:
        if dry_run:
            return _compare(folder, files, force=force)[0]
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            recovered = _recover(folder, force=force)
            outcome, journal = _compare(folder, files, force=force)
            if journal is not None:
                _apply(folder, _stage(folder, files, journal), journal)
    except OSError as error:
        raise _explained(error, folder) from error
    return msgspec.structs.replace(outcome, recovered=recovered)


def _compare(folder: Path, files: Mapping[str, str], *, force: bool) -> tuple[Outcome, Journal | None]:
    """Compare the folder with what it shall hold; the journal is None where nothing is to do."""
    ours = _marker(folder)
    sums = {path: _sum(text.encode()) for path, text in files.items()}
    found = {path: _sum_of(folder, path) for path in {**sums, **ours}}
    foreign = [p for p in sums if found[p] not in (None, sums[p]) and p not in ours]
    edited = [p for p in ours if found[p] not in (None, ours[p], sums.get(p))]
    if foreign or (edited and not force):
        raise ForeignFilesError(folder, foreign, [] if force else edited)
    removed = {p: found[p] or "" for p in ours if p not in sums and found[p] is not None}
    outcome = Outcome(
        created=tuple(p for p in sums if found[p] is None),
        changed=tuple(p for p in sums if found[p] not in (None, sums[p])),
        unchanged=tuple(p for p in sums if found[p] == sums[p]),
        removed=tuple(removed),
    )
    if not removed and sums == ours and len(outcome.unchanged) == len(sums):
        return outcome, None
    todo = {p: sums[p] for p in (*outcome.created, *outcome.changed)}
    return outcome, Journal(write=todo, before={p: found[p] for p in todo}, remove=removed)


def _stage(folder: Path, files: Mapping[str, str], journal: Journal) -> Path:
    """Write everything that is new outside the folder, and the journal last: the point of no return."""
    stage = _make_stage(folder)
    try:
        sums = {path: _sum(text.encode()) for path, text in files.items()}
        for path in journal.write:
            target = stage / "files" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(files[path].encode())
        note = "Written by `homeport render`, which touches no file that is not listed here."
        listed = msgspec.json.encode(Written(version=1, note=note, files=dict(sorted(sums.items()))))
        (stage / "marker").write_bytes(msgspec.json.format(listed, indent=1) + b"\n")
        (stage / "journal.new").write_bytes(msgspec.json.encode(journal))
        (stage / "journal.new").replace(stage / "journal")
    except BaseException:
        with suppress(OSError):
            _discard(stage)
        raise
    return stage


def _apply(folder: Path, stage: Path, journal: Journal) -> None:
    """Do what the journal says. Every step may have been done before: a killed run is finished by the same code."""
    for path in journal.write:
        staged = stage / "files" / path
        if staged.exists():
            target = _inside(folder, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            staged.replace(target)
    for path in journal.remove:
        target = _inside(folder, path)
        target.unlink(missing_ok=True)
        for parent in target.relative_to(folder).parents:
            if parent.parts:
                with suppress(OSError):  # not empty, or gone already
                    (folder / parent).rmdir()
    (stage / "marker").replace(folder / MARKER)
    _discard(stage)


def _recover(folder: Path, *, force: bool) -> str | None:
    """Finish or undo what a killed run left behind; say which."""
    done = None
    for stage in _stages(folder):
        if not os.path.lexists(stage):
            continue
        _check_stage(stage)
        try:
            journal = msgspec.json.decode((stage / "journal").read_bytes(), type=Journal)
        except FileNotFoundError:
            _discard(stage)
            done = "undone"
            continue
        for path in (*journal.write, *journal.remove):
            _check_path(path)
        if (stage / "marker").exists():
            _check_unchanged(folder, stage, journal, force=force)
            _apply(folder, stage, journal)
        else:  # all was done but the tidying
            _discard(stage)
        done = "finished"
    return done


def _check_unchanged(folder: Path, stage: Path, journal: Journal, *, force: bool) -> None:
    """Raise ForeignFilesError where somebody wrote to a file between the killed run and this one."""
    changed = []
    for path, new in journal.write.items():
        if (stage / "files" / path).exists() and _sum_of(folder, path) not in (journal.before[path], new):
            changed.append(path)
    changed += [p for p, old in journal.remove.items() if _sum_of(folder, p) not in (None, old)]
    if changed and not force:
        raise ForeignFilesError(folder, [], changed)


def _stages(folder: Path) -> tuple[Path, Path]:
    """Where things are staged: beside the folder, or within it where its parent cannot be written."""
    whole = folder.resolve()
    return whole.parent / f".{whole.name}{STAGE}", whole / STAGE


def _make_stage(folder: Path) -> Path:
    beside, within = _stages(folder)
    try:
        beside.mkdir(mode=0o700)
        if beside.stat().st_dev == folder.stat().st_dev:  # a rename cannot cross file systems
            return beside
        beside.rmdir()
    except PermissionError:
        pass
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
    within.mkdir(mode=0o700)
    return within


def _check_stage(stage: Path) -> None:
    """Refuse a stage that somebody else put there: what it says would be done."""
    status = stage.lstat()
    if not stat.S_ISDIR(status.st_mode) or (hasattr(os, "getuid") and status.st_uid != os.getuid()):
        raise EnvironmentProblem(
            f"{stage} is in the way, and it is not homeport's", help="remove it and try again"
        )


def _discard(stage: Path) -> None:
    """Remove a stage: the journal last but one, so that a half removed stage is still known for what it was."""
    if (stage / "files").exists():
        shutil.rmtree(stage / "files")
    for name in ("marker", "journal.new", "journal"):
        (stage / name).unlink(missing_ok=True)
    stage.rmdir()


def _marker(folder: Path) -> dict[str, str]:
    """The files that homeport wrote into the folder before, with their checksums."""
    try:
        written = msgspec.json.decode((folder / MARKER).read_bytes(), type=Written)
        for path in written.files:
            _check_path(path)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (msgspec.DecodeError, HomeportError) as error:
        raise EnvironmentProblem(
            f"{folder / MARKER} is damaged: {error}",
            help="restore it from version control, or render into a new folder",
        ) from error
    return written.files


def _check_path(path: str) -> None:
    parts = PurePosixPath(path).parts
    if (
        not parts
        or PurePosixPath(path).is_absolute()
        or ".." in parts
        or "\\" in path
        or parts[0] in (MARKER, STAGE)
    ):
        raise HomeportError(f"'{path}' is no path within the folder")


def _inside(folder: Path, path: str) -> Path:
    """The path in the folder; refuses symbolic links, which could lead out of it."""
    target = folder
    for part in PurePosixPath(path).parts:
        target = target / part
        if target.is_symlink():
            raise EnvironmentProblem(f"{target} is a symbolic link: nothing is written through it")
    return target


def _sum_of(folder: Path, path: str) -> str | None:
    """Checksum of a file in the folder, None where there is none."""
    target = _inside(folder, path)
    try:
        return _sum(target.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except IsADirectoryError:
        return "a folder"


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder: a second run waits, then gives up. The kernel lets go when a run is killed."""
    try:
        import fcntl
    except ImportError:  # Windows has no such lock
        yield
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        until = time.monotonic() + WAIT_S
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise EnvironmentProblem(
                        f"another homeport writes to {folder}", help="wait until it is done, then run again"
                    ) from None
                time.sleep(0.05)
        yield
    finally:
        os.close(handle)


def _explained(error: OSError, folder: Path) -> EnvironmentProblem:
    where = error.filename or folder
    what = error.strerror or str(error)
    help_ = {
        errno.ENOSPC: "make room and run again: what was begun is then finished",
        errno.EDQUOT: "make room and run again: what was begun is then finished",
        errno.EROFS: "choose a folder on a file system that can be written",
        errno.EACCES: "choose a folder that you may write to",
        errno.ENOTDIR: "choose a folder: a file of that name stands there",
        errno.EEXIST: "choose a folder: a file of that name stands there",
    }.get(error.errno or 0)
    return EnvironmentProblem(f"cannot write {where}: {what}", help=help_)
