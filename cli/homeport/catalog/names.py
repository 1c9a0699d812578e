"""Reading the rows of the data files, and finding the one that a name means."""

from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import TypeVar

import msgspec

from homeport.errors import NotFoundError
from homeport.text import nearest

DATA = Path(__file__).parent / "data"
RowT = TypeVar("RowT")


class AmbiguousNameError(NotFoundError):
    """A name that could mean several rows: `nearest` holds all candidates."""

    def __init__(self, what: str, name: str, candidates: list[str]) -> None:
        """`what` is the kind of thing, `candidates` the ids that the name could mean."""
        super().__init__(what, name, candidates)
        self.args = (f"{what} '{name}' is ambiguous: {', '.join(candidates)}",)


def one_name(what: str, name: str, known: Iterable[str], keys: Callable[[str], tuple[str, ...]]) -> str:
    """Return the one of the `known` ids that `name` means.

    `keys` gives what an id may be called, the strictest first; a name that meets a stricter key wins over looser ones.
    Case is ignored. Raises `AmbiguousNameError` when a key is met by several ids, and `NotFoundError` with the nearest ids.
    """
    ids = list(known)
    wanted = name.strip().lower()
    if wanted:
        for level in zip(*(keys(id_) for id_ in ids), strict=True):
            found = [id_ for id_, key in zip(ids, level, strict=True) if key.lower() == wanted]
            if len(found) == 1:
                return found[0]
            if found:
                raise AmbiguousNameError(what, name, found)
    raise NotFoundError(what, name, nearest(name, ids))


@cache
def rows(file: str, row: type[RowT]) -> tuple[RowT, ...]:
    """Read the rows of one of the package's data files."""
    return msgspec.json.decode((DATA / file).read_bytes(), type=tuple[row, ...])  # type: ignore[valid-type]
