"""Files into a folder: whole or not at all, never over what somebody else wrote.

How it stands being killed: everything new is staged outside the folder, then a journal says what shall happen (from
here on the next run finishes it; before, the next run throws the stage away), then each file is moved in by one
rename, then what is no longer rendered is removed, and last the list of written files, with their checksums, is
replaced. It holds against SIGKILL at any moment; against a power cut only as far as the file system keeps renames
behind the data they move.

Whose a file is, the list in the folder says. A file that stood there before and happens to hold what homeport would
write is left alone and not listed: it stays somebody else's, and is refused once homeport wants something else there.
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


VERSION = 1
"""The version of that list."""


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """What every version of the marker has."""

    version: int


class Written(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of the marker: path -> SHA-256. `of` says what was rendered; it is empty where a folder is new."""

    version: int
    note: str
    of: str = ""
    files: dict[str, str]


class Journal(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is about to do: `before` has the checksum of what a path held (None: nothing)."""

    write: dict[str, str]
    before: dict[str, str | None]
    remove: dict[str, str]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to which path.

    `before` is what the folder held before, where that was something else. `recovered` says what was done about a run
    that was killed.
    """

    created: tuple[str, ...]
    changed: tuple[str, ...]
    unchanged: tuple[str, ...]
    removed: tuple[str, ...]
    before: str | None = None
    recovered: str | None = None


class ForeignFilesError(HomeportError):
    """What is in the way and homeport's not to change: files of others, changed ones, and what is no file at all."""

    def __init__(
        self, folder: Path, foreign: list[str], edited: list[str], obstacles: list[str] | None = None
    ) -> None:
        """`foreign` were never homeport's; `edited` were, and may be overwritten with force.

        `obstacles` say what stands where a file or a folder is needed; force does not help.
        """
        parts = list(obstacles or ())
        if foreign:
            parts.append(f"homeport did not write {', '.join(foreign)}")
        if edited:
            parts.append(f"changed since homeport wrote them: {', '.join(edited)} (--force overwrites them)")
        super().__init__(f"{folder}: nothing was written. " + "; ".join(parts))
        self.obstacles = obstacles or []
        self.foreign = foreign
        self.edited = edited


def write(
    folder: Path, files: Mapping[str, str], of: str = "", *, force: bool = False, dry_run: bool = False
) -> Outcome:
    """Make `folder` hold exactly `files` (path -> text) of homeport's; other files in it are left alone.

    `of` names what the files were made of, for whoever renders something else into the same folder. `force` overwrites files of homeport's that somebody changed. `dry_run` says what would happen. Raises
    ForeignFilesError, and EnvironmentProblem where the folder cannot be written, another run holds it, or what
    homeport itself left there is damaged. A file of somebody else's with the very content counts as unchanged.
    """
    for path in files:
        _check_path(path)
    try:
        if dry_run:
            return _compare(folder, files, of, force=force)[0]
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            recovered = _recover(folder, force=force)
            outcome, listed, journal = _compare(folder, files, of, force=force)
            if journal is not None:
                _apply(folder, _stage(folder, files, listed, journal), journal)
    except OSError as error:
        raise _explained(error, folder) from error
    return msgspec.structs.replace(outcome, recovered=recovered)


def _compare(
    folder: Path, files: Mapping[str, str], of: str, *, force: bool
) -> tuple[Outcome, Written, Journal | None]:
    """Compare the folder with what it shall hold.

    Returns what would happen, the marker as it is afterwards, and the journal (None: nothing is to do).
    """
    marker = _marker(folder)
    ours = marker.files
    sums = {path: _sum(text.encode()) for path, text in files.items()}
    looked = {path: _look(folder, path) for path in {**sums, **ours}}
    obstacles = [obstacle for p in sums if (obstacle := looked[p][1])]
    if obstacles:
        raise ForeignFilesError(folder, [], [], list(dict.fromkeys(obstacles)))
    found = {path: checksum for path, (checksum, _) in looked.items()}
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
        before=marker.of if marker.of not in ("", of) else None,
    )
    owned = {p: sums[p] for p in sorted(sums) if p in ours or found[p] is None}
    after = msgspec.structs.replace(marker, of=of, files=owned)
    todo = {p: sums[p] for p in (*outcome.created, *outcome.changed)}
    if not removed and not todo and after == marker:
        return outcome, after, None
    return outcome, after, Journal(write=todo, before={p: found[p] for p in todo}, remove=removed)


def _stage(folder: Path, files: Mapping[str, str], listed: Written, journal: Journal) -> Path:
    """Write everything that is new outside the folder, and the journal last: the point of no return."""
    stage = _make_stage(folder)
    try:
        for path in journal.write:
            target = stage / "files" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(files[path].encode())
        (stage / "marker").write_bytes(msgspec.json.format(msgspec.json.encode(listed), indent=1) + b"\n")
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
        target = folder / path
        if _obstacle(folder, path) is None:  # what took its place since is somebody else's
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
        journal = _read_stage(stage)
        if journal is not None and os.path.lexists(stage / "marker"):
            _check_unchanged(folder, stage, journal, force=force)
            _apply(folder, stage, journal)
        else:  # all was done but the tidying, or nothing was begun
            _discard(stage)
        done = "undone" if journal is None else "finished"
    return done


def _read_stage(stage: Path) -> Journal | None:
    """The journal of a stage, None where the killed run had not come to it. Believes nothing that cannot be."""
    try:
        content = _read(stage / "journal")
        if content is None:
            return None
        journal = msgspec.json.decode(content, type=Journal)
        for path in (*journal.write, *journal.remove):
            _check_path(path)
        if journal.before.keys() != journal.write.keys():
            raise HomeportError("its journal misses entries")
        for path, checksum in journal.write.items():
            staged, obstacle = _look(stage / "files", path)
            if obstacle or staged not in (None, checksum):
                raise HomeportError(obstacle or f"files/{path} is not what was to be written")
        marker = _read(stage / "marker")
        if marker is not None:
            _listed(marker)
    except (*_UNREADABLE, HomeportError) as error:
        raise _damaged(stage, str(error)) from error
    return journal


_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding damaged JSON raises."""


def _damaged(stage: Path, why: str) -> EnvironmentProblem:
    return EnvironmentProblem(
        f"the stage {stage}, which a killed run left, is damaged: {why}",
        help="remove it and run again; what the killed run had replaced already may then count as changed (--force)",
    )


def _check_unchanged(folder: Path, stage: Path, journal: Journal, *, force: bool) -> None:
    """Raise ForeignFilesError where somebody wrote to a file between the killed run and this one."""
    changed, obstacles = [], []
    for path, new in journal.write.items():
        if (stage / "files" / path).exists():
            found, obstacle = _look(folder, path)
            if obstacle:
                obstacles.append(obstacle)
            elif found not in (journal.before[path], new):
                changed.append(path)
    changed += [p for p, old in journal.remove.items() if _look(folder, p)[0] not in (None, old)]
    if obstacles or (changed and not force):
        raise ForeignFilesError(folder, [], [] if force else changed, list(dict.fromkeys(obstacles)))


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


NOTE = "Written by `homeport render`, which touches no file that is not listed here."


def _marker(folder: Path) -> Written:
    """What homeport wrote into the folder before."""
    obstacle = _obstacle(folder, MARKER)
    if obstacle:
        raise ForeignFilesError(folder, [], [], [obstacle])
    content = _read(folder / MARKER)
    if content is None:
        return Written(version=VERSION, note=NOTE, files={})
    try:
        return _listed(content)
    except _NewerError as error:
        raise EnvironmentProblem(
            f"{folder / MARKER} {error}", help="update homeport, or render into a new folder"
        ) from None
    except (*_UNREADABLE, HomeportError) as error:
        raise EnvironmentProblem(
            f"{folder / MARKER} is damaged: {error}",
            help="restore it from version control, or render into a new folder",
        ) from error


class _NewerError(HomeportError):
    """A list of files of a version that this homeport does not know."""


def _listed(content: bytes) -> Written:
    """What a marker says."""
    version = msgspec.json.decode(content, type=Version).version
    if version > VERSION:
        raise _NewerError(
            f"was written by a newer homeport: it has version {version}, this one knows {VERSION}"
        )
    if version < VERSION:
        raise HomeportError(f"there is no version {version}")
    found = msgspec.json.decode(content, type=Written)
    for path in found.files:
        _check_path(path)
    return found


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
    """The path in the folder, where a file may be put; raises EnvironmentProblem where something came into the way."""
    obstacle = _obstacle(folder, path)
    if obstacle:
        raise EnvironmentProblem(
            f"{folder}: {obstacle}, since a moment ago",
            help="remove it and run again: what was begun is then finished",
        )
    return folder / path


_KINDS = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def _obstacle(folder: Path, path: str) -> str | None:
    """What stands where a folder or the file is needed ("base is a file, …"), None where nothing is wrong.

    Looks before anything is opened: to open a pipe is to wait. Raises EnvironmentProblem for symbolic links, which
    could lead out of the folder.
    """
    parts = PurePosixPath(path).parts
    target = folder
    for depth, part in enumerate(parts, 1):
        target = target / part
        try:
            kind = stat.S_IFMT(target.lstat().st_mode)
        except FileNotFoundError:
            return None
        if kind == stat.S_IFLNK:
            raise EnvironmentProblem(f"{target} is a symbolic link: nothing is written through it")
        needed = stat.S_IFREG if depth == len(parts) else stat.S_IFDIR
        if kind != needed:
            is_ = _KINDS.get(kind, "something else")
            return f"{'/'.join(parts[:depth])} is {is_}, and {_KINDS[needed]} is needed there"
    return None


def _look(folder: Path, path: str) -> tuple[str | None, str | None]:
    """Checksum of a file in the folder (None: there is none), and what is in its way (None: nothing)."""
    obstacle = _obstacle(folder, path)
    content = None if obstacle else _read(folder / path)
    return None if content is None else _sum(content), obstacle


def _read(path: Path) -> bytes | None:
    """The content of a file, None where there is nothing; raises HomeportError for what is no file."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise HomeportError(f"{path.name} is not a file")
        return path.read_bytes()
    except FileNotFoundError:
        return None


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
    if STAGE in str(where) and error.errno in (errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR, errno.EEXIST):
        stage = next((s for s in _stages(folder) if os.path.lexists(s)), Path(where))
        return _damaged(stage, f"{where}: {what}")
    help_ = {
        errno.ENOSPC: "make room and run again",
        errno.EDQUOT: "make room and run again",
        errno.EROFS: "choose a folder on a file system that can be written",
        errno.EACCES: "choose a folder that you may write to",
        errno.ENOTDIR: "choose a folder: a file of that name stands there",
        errno.EEXIST: "choose a folder: a file of that name stands there",
    }.get(error.errno or 0, "run again")
    if _begun(folder):
        help_ += "; what was begun is finished by the next run that can write here"
    else:
        help_ += "; nothing was changed"
    return EnvironmentProblem(f"cannot write {where}: {what}", help=help_)


def _begun(folder: Path) -> bool:
    """Whether a journal says that files are being moved in."""
    with suppress(OSError, RuntimeError):  # RuntimeError: symbolic links in a circle
        return any(os.path.lexists(stage / "journal") for stage in _stages(folder))
    return False
