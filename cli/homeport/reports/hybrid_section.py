"""The section that a hybrid split answers: some requests on own GPUs, the rest by API."""

from __future__ import annotations

from homeport.costs.hybrid import percent
from homeport.costs.table import number
from homeport.costs.types import Hybrid, Split
from homeport.reports.bars import Bar, bars
from homeport.reports.sources import cells
from homeport.reports.types import Column, Part, Row, Section, Table
from homeport.reports.words import usd, usd_exact


def splits(hybrid: Hybrid) -> Section:
    """Show every split that was looked at, the cheapest that holds the rules marked."""
    chart = bars(
        "US dollars a month of each split",
        " ".join(
            f"{split.name}: {_total(split)}{'' if split.allowed else ', not allowed'}."
            for split in hybrid.splits
        ),
        [
            Bar(
                label=split.name + ("" if split.allowed else " (not allowed)"),
                amount=split.usd_per_month,
                shown=_total(split),
                style="own" if split.cheapest else "other",
            )
            for split in hybrid.splits
        ],
    )
    table = Table(
        caption="Splits of the requests; the cheapest that holds the rules is marked",
        columns=(
            Column(title="Split"),
            Column(title="On own GPUs", number=True),
            Column(title="Own requests a day", number=True),
            Column(title="Own, $", number=True),
            Column(title="API, $", number=True),
            Column(title="$ a month", number=True),
            Column(title="Remarks"),
        ),
        rows=tuple(_row(split) for split in hybrid.splits),
    )
    points = [_who(hybrid)]
    if not hybrid.complete:
        points.append("A cheaper split may lie between these: it would take more plans than one run makes.")
    return Section(
        id="splits",
        question="Would a split of both be cheaper?",
        parts=(Part(says=(_says(hybrid),), charts=(chart,), points=tuple(points), tables=(table,)),),
    )


def _row(split: Split) -> Row:
    runs = "; ".join(
        f"{made.replicas} × {made.gpus_per_replica} {made.gpu}" for made in split.deployments if made.gpu
    )
    verdict = (split.reason or "") if split.allowed else f"not allowed: {split.reason}"
    return Row(
        cells=cells(
            f"{'✔ ' if split.cheapest else ''}{split.name}",
            percent(split.own_share),
            number(split.own_requests_per_day.quantize(1)),
            usd_exact(split.own_usd_per_month),
            usd_exact(split.api_usd_per_month),
            ("at least " if split.at_least and split.usd_per_month is not None else "")
            + usd_exact(split.usd_per_month),
            "; ".join(text for text in (verdict, runs) if text),
        ),
        kind="chosen" if split.cheapest else "",
    )


def _total(split: Split) -> str:
    return ("at least " if split.at_least and split.usd_per_month is not None else "") + usd(
        split.usd_per_month
    )


def _says(hybrid: Hybrid) -> str:
    cheapest = next((split for split in hybrid.splits if split.cheapest), None)
    if cheapest is None:
        return "No split that holds the rules has a known price."
    return f"The cheapest split that holds the rules: {cheapest.name}, {_total(cheapest)} a month."


def _who(hybrid: Hybrid) -> str:
    if hybrid.fallback is None:
        return f"By API: {hybrid.primary}, with no second API as fallback."
    return f"By API: {hybrid.primary}, with {hybrid.fallback} as fallback for {percent(hybrid.fallback_share)} of its requests."
