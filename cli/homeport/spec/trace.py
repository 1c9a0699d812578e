"""A workload measured: the requests of a trace file, as Azure publishes its LLM inference traces.

A CSV with the columns TIMESTAMP, ContextTokens and GeneratedTokens, one request a row (Azure public dataset, LLM
inference trace 2023).
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from msgspec import Struct

from homeport.errors import HomeportError

COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
SECONDS_A_DAY = 86_400
HOURS = 24
LEAST_REQUESTS = 100
LEAST_SECONDS = 300.0
"""Shorter traces say nothing about a day."""


class TraceError(HomeportError):
    """A trace that cannot be read, with the line that is wrong."""


class Trace(Struct, frozen=True, kw_only=True):
    """What a trace says of a workload. Rates are of the trace's own length, a day's requests extrapolated from it."""

    requests: int
    seconds: float
    requests_per_day: float
    input_tokens: float
    output_tokens: float
    total_tokens_p99: float
    peak_to_mean: float
    day_profile: tuple[float, ...] | None

    def workload(self) -> dict[str, Any]:
        """Return the values of a spec's workload."""
        values = {
            "requests_per_day": self.requests_per_day,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "total_tokens_p99": self.total_tokens_p99,
            "peak_to_mean": self.peak_to_mean,
        }
        return values if self.day_profile is None else values | {"day_profile": list(self.day_profile)}


def read_trace(lines: Iterable[str], name: str) -> Trace:
    """Read a trace from the lines of the CSV file `name`.

    The peak is the busiest minute. A trace of a day or more also gives the profile of a day, by the hour of its own
    clock. Raises TraceError for a file of another form, and for one of fewer than 100 requests or 5 minutes.
    """
    times, asked, answered = _columns(lines, name)
    if len(times) < LEAST_REQUESTS:
        raise TraceError(
            f"{name} has {len(times)} requests; at least {LEAST_REQUESTS} say something about a load"
        )
    start = min(times)
    offsets = [(time - start).total_seconds() for time in times]
    seconds = max(offsets)
    if seconds < LEAST_SECONDS:
        raise TraceError(
            f"{name} covers {seconds:.0f} s; at least {LEAST_SECONDS:.0f} s say something about a load"
        )
    minutes = Counter(int(offset // 60) for offset in offsets if offset < seconds // 60 * 60)
    a_minute = len(times) / (seconds / 60)
    totals = sorted(a + b for a, b in zip(asked, answered, strict=True))
    return Trace(
        requests=len(times),
        seconds=seconds,
        requests_per_day=round(len(times) / seconds * SECONDS_A_DAY),
        input_tokens=round(sum(asked) / len(asked), 1),
        output_tokens=round(sum(answered) / len(answered), 1),
        total_tokens_p99=totals[min(len(totals) - 1, len(totals) * 99 // 100)],
        peak_to_mean=round(max(1.0, max(minutes.values()) / a_minute), 3),
        day_profile=_profile(times) if seconds >= SECONDS_A_DAY else None,
    )


def read_requests(lines: Iterable[str], name: str) -> list[tuple[float, float, float]]:
    """Return each request of a trace: seconds from the first one, input tokens, output tokens; in the file's order.

    Raises TraceError for a file of another form or without a request.
    """
    times, asked, answered = _columns(lines, name)
    if not times:
        raise TraceError(f"{name} has no requests")
    start = min(times)
    return [((at - start).total_seconds(), a, b) for at, a, b in zip(times, asked, answered, strict=True)]


def _columns(lines: Iterable[str], name: str) -> tuple[list[datetime], list[float], list[float]]:
    reader = csv.DictReader(lines)
    missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
    if missing:
        raise TraceError(f"{name}: no column {' and '.join(missing)}; a trace has {', '.join(COLUMNS)}")
    times: list[datetime] = []
    asked: list[float] = []
    answered: list[float] = []
    for row in reader:
        try:
            # Seven digits of a second's fraction are one more than Python reads.
            times.append(datetime.fromisoformat(row["TIMESTAMP"].strip()[:26]))
            asked.append(float(row["ContextTokens"]))
            answered.append(float(row["GeneratedTokens"]))
        except (ValueError, TypeError, AttributeError):
            raise TraceError(f"{name}:{reader.line_num}: not a time and two numbers: {row}") from None
    return times, asked, answered


def _profile(times: list[datetime]) -> tuple[float, ...]:
    """Return the requests of each hour of the day, of whole days only."""
    start = min(times)
    days = int((max(times) - start).total_seconds() // SECONDS_A_DAY)
    whole = [time for time in times if (time - start).total_seconds() < days * SECONDS_A_DAY]
    counts = Counter(time.hour for time in whole)
    return tuple(float(counts.get(hour, 0)) for hour in range(HOURS))
