"""How rows of the catalog are shown: as records for JSON and YAML, as cells of tables with what is unverified marked."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from homeport.commands.output import SCHEMA_VERSION, Format, Output
from homeport.errors import NotFoundError
from homeport.text import nearest

UNKNOWN = "unknown"
# Fields of which null says that there is none, and beginnings of those of which it can mean either.
NONE = {
    "moe",
    "legacy",
    "notes",
    "image_note",
    "context_tokens_with_yarn",
    "window_tokens",
    "retires_on",
    "local_path",
}
EITHER = (
    "dense_",
    "link_",
    "spot_",
    "cached_",
    "batch_",
    "cache_",
    "input_above_",
    "output_above_",
    "compute_capability",
    "kubernetes_product_label",
    "needs_driver",
    "flags_file",
    "metrics.",
    "display_name",
)
FOOTNOTE = "? nobody has checked this against the vendor or the publisher"
LAST = ("source", "as_of", "unverified")


def record(row: msgspec.Struct, **first: Any) -> dict[str, Any]:
    """A row as JSON shows it: `first` and its own fields, then source, date and what is unverified."""
    fields = msgspec.to_builtins(row)
    own = {key: value for key, value in fields.items() if key not in LAST}
    return {**first, **own, **{key: fields[key] for key in LAST if key in fields}}


def pick(what: str, value: str, known: Iterable[str | None]) -> list[str]:
    """The known values that a filter means: the equal one in any case, else all that begin with it.

    Raises NotFoundError with the nearest values.
    """
    values = list(dict.fromkeys(v for v in known if v))
    wanted = value.strip().lower()
    if same := [v for v in values if v.lower() == wanted]:
        return same
    if beginning := [v for v in values if wanted and v.lower().startswith(wanted)]:
        return beginning
    help_ = f"known: {', '.join(sorted(values))}" if len(values) <= 24 else None
    raise NotFoundError(what, value, nearest(value, values), help=help_)


def cell(row: Any, field: str, show: Callable[[Any], str] = str) -> str:
    """One value of a row as text: "unknown" where it is None, with a `?` where nobody has checked it."""
    value = getattr(row, field)
    mark = "?" if any(name.split(".")[0] == field for name in row.unverified) else ""
    return (UNKNOWN if value is None else show(value)) + mark


def yes_no(value: bool) -> str:
    """A truth value in a table."""
    return "yes" if value else "no"


def plain(value: float) -> str:
    """A number without needless digits: 8, 0.125, 3,350."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.6g}"


def billions(value: int) -> str:
    """A number of parameters: 8.0B, 494M."""
    return f"{value / 1e9:.1f}B" if value >= 9.995e8 else f"{value / 1e6:.0f}M"


def tokens(value: int) -> str:
    """A number of tokens where 1,024 or its square divide it: 128K, 10M; else the number."""
    if value % 2**20 == 0:
        return f"{value // 2**20}M"
    return f"{value // 2**10}K" if value % 2**10 == 0 else f"{value:,}"


def gib(value: int) -> str:
    """Bytes in GiB (2^30)."""
    return f"{value / 2**30:,.1f}"


def usd(value: float, digits: int = 6) -> str:
    """An amount of dollars with two digits after the point, or as many as it has up to `digits`."""
    whole, _, rest = f"{value:.{digits}f}".rstrip("0").partition(".")
    return f"{int(whole):,}.{rest:0<2}"


def short(width: int) -> Callable[[str], str]:
    """Text cut to `width`."""
    return lambda text: text if len(text) <= width else text[: width - 1] + "…"


def answer_list(
    out: Output,
    output_format: Format,
    key: str,
    records: Sequence[dict[str, Any]],
    headers: Sequence[str],
    cells: Sequence[Sequence[str]],
    right: Sequence[int],
    *notes: str,
) -> None:
    """Print a list: `{"schema_version", key: [records]}`, or a table with `notes` and a footnote on `?` below it."""
    if output_format != "table":
        out.structured({"schema_version": SCHEMA_VERSION, key: records}, output_format)
        return
    if not cells:
        out.message(f"no {key} like that")
        return
    out.table(headers, cells, right)
    footnotes = [*notes, *([FOOTNOTE] if any(text.endswith("?") for line in cells for text in line) else [])]
    if footnotes:
        out.data("\n" + "\n".join(footnotes))


def answer_one(out: Output, output_format: Format, key: str, shown: dict[str, Any]) -> None:
    """Print one row: `{"schema_version", key: shown}`, or a line for each field that has a value or is unknown."""
    if output_format != "table":
        out.structured({"schema_version": SCHEMA_VERSION, key: shown}, output_format)
        return
    unverified = tuple(shown.get("unverified", ()))
    lines = []
    for field, value in shown.items():
        if field == "unverified" or value in ([], {}, ()):
            continue
        lines += list(_lines(field, value, unverified))
    width = max(len(name) for name, _ in lines)
    for name, text in lines:
        out.data(f"{out.style(name.ljust(width), bold=True)}  {text}".rstrip())
    if unverified:
        out.data(f"\n{FOOTNOTE}")


def _lines(field: str, value: Any, unverified: Sequence[str]) -> Iterable[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _lines(f"{field}.{key}", inner, unverified)
        return
    if isinstance(value, list | tuple):
        if not value:
            return
        texts = [_value(v) for v in value]
        yield field, ", ".join(texts) if all(len(t) < 30 for t in texts) else texts[0]
        if not all(len(t) < 30 for t in texts):
            yield from (("", text) for text in texts[1:])
        return
    mark = "?" if field in unverified or field.split(".")[0] in unverified else ""
    yield field, (_absent(field) if value is None else _value(value)) + mark


def _absent(field: str) -> str:
    """What null means in a field."""
    if field.split(".")[-1] in NONE:
        return "none"
    return "none or unknown" if field.startswith(EITHER) else UNKNOWN


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return yes_no(value)
    return plain(value) if isinstance(value, int | float) else str(value)
