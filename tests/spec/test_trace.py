"""A workload out of a trace: an excerpt of Azure's LLM inference trace 2023 (CC-BY-4.0), and traces made here."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from homeport.spec.trace import TraceError, read_trace

EXCERPT = Path(__file__).parents[1] / "data" / "traces" / "azure_2023_conversation_excerpt.csv"
HEAD = "TIMESTAMP,ContextTokens,GeneratedTokens"


def lines(times: list[datetime], asked: int = 1000, answered: int = 500) -> list[str]:
    return [HEAD, *(f"{time.isoformat(sep=' ')},{asked},{answered}" for time in times)]


def test_azures_trace_is_what_its_rows_say() -> None:
    text = EXCERPT.read_text("utf-8").splitlines()
    trace = read_trace(text, "azure")
    rows = [row.split(",") for row in text[1:]]
    assert trace.requests == len(rows) == 1591
    assert trace.input_tokens == pytest.approx(sum(int(row[1]) for row in rows) / len(rows), abs=0.05)
    assert trace.output_tokens == pytest.approx(sum(int(row[2]) for row in rows) / len(rows), abs=0.05)
    # 18:15:46.68 to 18:21:16.12: 329.4 s.
    assert trace.seconds == pytest.approx(329.4, abs=0.1)
    assert trace.requests_per_day == pytest.approx(1591 / 329.437 * 86_400, rel=1e-4)
    above = sum(int(row[1]) + int(row[2]) > trace.total_tokens_p99 for row in rows)
    assert above / len(rows) <= 0.01
    assert 1 < trace.peak_to_mean < 1.5
    assert trace.day_profile is None
    assert "day_profile" not in trace.workload()


def test_peak_is_the_busiest_minute() -> None:
    start = datetime(2026, 1, 1)
    times = [start + timedelta(seconds=second) for second in range(0, 601, 6)]
    times += [start + timedelta(seconds=120 + step) for step in range(0, 60, 6)]
    trace = read_trace(lines(times), "made")
    # 111 requests in 10 minutes, 20 in the third.
    assert trace.peak_to_mean == pytest.approx(20 / 11.1, rel=1e-3)


def test_whole_days_give_the_profile_of_a_day() -> None:
    start = datetime(2026, 1, 1, 6)
    times = [
        start + timedelta(hours=hour, minutes=minute)
        for hour in range(49)
        for minute in range(0, 60, 30 if (start.hour + hour) % 24 < 12 else 10)
    ]
    trace = read_trace(lines(times), "made")
    assert trace.day_profile == (*[4.0] * 12, *[12.0] * 12)


def test_a_file_without_the_columns() -> None:
    with pytest.raises(TraceError, match="no column GeneratedTokens"):
        read_trace(["TIMESTAMP,ContextTokens", "2026-01-01 00:00:00,1"], "made.csv")


@pytest.mark.parametrize("row", ["yesterday,1,2", "2026-01-01 00:00:00,x,2", "2026-01-01 00:00:00,1"])
def test_a_bad_row_is_named_with_its_line(row: str) -> None:
    with pytest.raises(TraceError, match=r"made\.csv:2: not a time and two numbers"):
        read_trace([HEAD, row], "made.csv")


def test_too_little_says_nothing() -> None:
    start = datetime(2026, 1, 1)
    with pytest.raises(TraceError, match="has 99 requests"):
        read_trace(lines([start + timedelta(minutes=minute) for minute in range(99)]), "made")
    with pytest.raises(TraceError, match="covers 99 s"):
        read_trace(lines([start + timedelta(seconds=second) for second in range(100)]), "made")
