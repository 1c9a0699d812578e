"""What the page is made of. Everything here is plain text but `Chart.svg`, which is made (and escaped) in this room."""

import msgspec


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One cell of a table: its text, and the numbers of the sources that it rests on."""

    text: str
    sources: tuple[int, ...] = ()


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One column of a table: numbers are set to the right."""

    title: str
    number: bool = False


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One row; the first cell is its header. `kind` is a class of the style sheet: "total", "chosen" or none."""

    cells: tuple[Cell, ...]
    kind: str = ""


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A table with its caption. `more` are rows that most readers don't need; `more_title` says what they are.

    `folded`: a chart shows the same, so the table is opened by who wants the figures (and always printed).
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    more: tuple[Row, ...] = ()
    more_title: str = ""
    folded: bool = False


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a legend: `style` is the class of the marks it explains; `letter` stands at them in the chart."""

    style: str
    text: str
    letter: str = ""
    line: bool = False


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """A chart: `title` and `description` are for who cannot see it, `svg` is markup, `note` says how to read it."""

    title: str
    description: str
    svg: str
    height: int
    keys: tuple[Key, ...] = ()
    note: str = ""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a section, with a heading of its own where it has a title."""

    title: str = ""
    says: tuple[str, ...] = ()
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()
    points: tuple[str, ...] = ()


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A question, and the parts of its answer. `id` is the anchor."""

    id: str
    question: str
    parts: tuple[Part, ...]


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of the summary."""

    name: str
    value: str
    note: str = ""


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where a figure comes from, its date (None: none is known), and what it is the source of."""

    text: str
    as_of: str | None
    of: tuple[str, ...]


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """The whole page."""

    title: str
    lead: tuple[str, ...]
    facts: tuple[Fact, ...]
    sections: tuple[Section, ...]
    sources: tuple[Source, ...]
