"""The sources that a page rests on, each numbered once."""

from __future__ import annotations

from homeport.reports.types import Cell, Source


class Sources:
    """Numbers sources in the order in which they come up, and keeps what each is the source of."""

    def __init__(self) -> None:
        """Start with none."""
        self._found: dict[tuple[str, str | None], dict[str, None]] = {}

    def cite(self, of: str | None, source: str | None, as_of: str | None) -> tuple[int, ...]:
        """Return the number of a source; none where none is known. `of` is what it is the source of, if that is new."""
        if source is None:
            return ()
        known = self._found.setdefault((source, as_of), {})
        if of is not None:
            known[of] = None
        return (list(self._found).index((source, as_of)) + 1,)

    def listed(self) -> tuple[Source, ...]:
        """Return all sources by number."""
        return tuple(
            Source(text=text, as_of=as_of, of=tuple(of)) for (text, as_of), of in self._found.items()
        )


def cells(*texts: str, sources: tuple[int, ...] = ()) -> tuple[Cell, ...]:
    """Return the cells of a row; `sources` are those of the last one."""
    return (*(Cell(text=text) for text in texts[:-1]), Cell(text=texts[-1], sources=sources))
