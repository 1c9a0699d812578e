"""What changed between two bills, for the terminal and as a comment of a pull request."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from homeport.costs.table import Style, columns, money

if TYPE_CHECKING:
    from homeport.costs.types import Against, Bill, Change


def as_block(against: Against, bold: Style) -> str:
    """Return the changes as a block of the bill's table."""
    head = f"Against {against.file}" + (", nodes only" if against.compared == "plan" else "")
    if not _changed(against):
        return bold(head) + "\n  nothing changed"
    rows = [
        (f"  {_name(change)}", *_amounts(change)) for change in (*against.lines, against.total, *against.api)
    ]
    lines = [columns((head, "before", "after", "change"), rows, (1, 2, 3), bold)]
    lines += [f"  {text}" for text in against.deployments]
    lines += [f"  breakeven against {text}" for text in against.breakeven]
    if against.at_least:
        lines.append("  totals are at least: a line is unknown")
    return "\n".join(lines)


def as_markdown(bill: Bill) -> str:
    """Return the changes of a bill as Markdown, to be put under a pull request."""
    against = bill.against
    assert against is not None, "there is nothing to compare with"
    total = against.total
    least = "at least " if against.at_least else ""
    if not _changed(against):
        return f"### {bill.name}: own hosting still costs {least}${money(total.after_usd)} a month\n"
    text = (
        f"### {bill.name}: own hosting {least}${money(total.before_usd)} → {least}${money(total.after_usd)} a month "
        f"({_signed(total.difference_usd)})\n"
    )
    if against.deployments:
        text += "\n" + "".join(f"- {_escaped(line)}\n" for line in against.deployments)
    text += "\n| $ a month | before | after | change |\n|---|---:|---:|---:|\n"
    for change in against.lines:
        text += f"| {_escaped(_name(change))} | {' | '.join(_amounts(change))} |\n"
    text += f"| **{total.what}** | {' | '.join(f'**{cell}**' for cell in _amounts(total))} |\n"
    if against.api:
        text += "\n| API, $ a month | before | after | change |\n|---|---:|---:|---:|\n"
        text += "".join(f"| {_escaped(one.what)} | {' | '.join(_amounts(one))} |\n" for one in against.api)
    if against.breakeven:
        text += "\nBreakeven, requests a day:\n\n" + "".join(f"- {_escaped(x)}\n" for x in against.breakeven)
    if against.compared == "plan":
        text += "\nOf a saved plan only the nodes can be compared.\n"
    if against.at_least:
        text += "\nTotals are “at least”: a line has no known price.\n"
    return text


def _changed(against: Against) -> bool:
    return bool(against.lines or against.api or against.deployments or against.breakeven)


def _name(change: Change) -> str:
    before, after = change.before, change.after
    if before == after:
        return str(after) if after != "total" else change.what
    if before is None:
        return f"+ {after}"
    return f"- {before}" if after is None else f"{before} → {after}"


def _amounts(change: Change) -> tuple[str, str, str]:
    before = "-" if change.before is None else money(change.before_usd)
    after = "-" if change.after is None else money(change.after_usd)
    return before, after, _signed(change.difference_usd)


def _signed(amount: Decimal | None) -> str:
    return money(amount) if amount is None or amount == 0 else f"{amount:+,.2f}"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
