"""From the generator's records, one line of JSON a request, to what each stage measured."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from homeport.cluster.bench_types import Measured, Spread, Stage
from homeport.errors import EnvironmentProblem

PERCENTILES = (50, 90, 95, 99)
ERROR_TEXT = 200


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One request as it went. Times are s of one clock; `error` None: it was answered."""

    stage: str
    start: float
    end: float
    first: float | None
    input_tokens: float | None
    output_tokens: float | None
    error: str | None


def read_records(path: Path) -> list[Record]:
    """Read the generator's records; a last line that was cut off is left out.

    Raises EnvironmentProblem where the file is not as the pinned version of the generator writes it.
    """
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    found = []
    for number, line in enumerate(lines, 1):
        try:
            record = _record(msgspec.json.decode(line))
        except (msgspec.DecodeError, KeyError, TypeError) as error:
            if number == len(lines) and isinstance(error, msgspec.DecodeError):
                break
            raise EnvironmentProblem(
                f"line {number} of the load generator's records is not as expected: {type(error).__name__}: {error}",
                help="install the version that `homeport bench --help` names",
            ) from None
        if record is not None:
            found.append(record)
    return found


def _record(value: dict[str, Any]) -> Record | None:
    about, metrics = value["metadata"], value["metrics"]
    if about["phase_kind"] != "profiling" or about.get("was_cancelled"):
        return None
    start = about["request_start_ns"] / 1e9
    error = value.get("error")
    ttft = _number(metrics, "time_to_first_token")
    return Record(
        stage=about["phase_name"],
        start=start,
        end=about["request_end_ns"] / 1e9,
        first=None if ttft is None else start + ttft / 1e3,
        input_tokens=_number(metrics, "input_sequence_length"),
        output_tokens=_number(metrics, "output_sequence_length"),
        error=None if error is None else str(error.get("message", error))[:ERROR_TEXT],
    )


def _number(metrics: dict[str, Any], name: str) -> float | None:
    found = metrics.get(name)
    return None if found is None else float(found["value"])


def measured(stage: Stage, records: Sequence[Record], *, cut_short: bool = False) -> Measured:
    """What the records of one stage say. Percentiles are of the nearest rank."""
    good = [record for record in records if record.error is None]
    failed = len(records) - len(good)
    begun = min((r.start for r in records), default=0.0)
    sending = max((r.start for r in records), default=0.0) - begun
    ended = max((r.end for r in records), default=0.0) - begun
    # One request alone, or one burst: there is no time in which others were still being sent.
    window = sending if sending > ended / 2 else ended
    tokens = [r.output_tokens for r in good if r.output_tokens]
    tpots = [t for r in good if (t := _tpot_ms(r)) is not None]
    return Measured(
        stage=stage,
        requests=len(good),
        failed=failed,
        seconds=ended,
        input_tokens=_mean([r.input_tokens for r in good if r.input_tokens]),
        output_tokens=_mean(tokens),
        in_flight=_in_flight(good, begun, window) if good and window > 0 else None,
        requests_per_s=sum(1 for r in good if r.start < begun + window) / window if good and window else None,
        ttft_ms=_spread([(r.first - r.start) * 1e3 for r in good if r.first is not None]),
        tpot_ms=_spread(tpots),
        output_tokens_per_s=_rate(good, begun, window) if tokens and window > 0 else None,
        first_error=next((r.error for r in records if r.error is not None), None),
        cut_short=cut_short,
    )


def _tpot_ms(record: Record) -> float | None:
    if record.first is None or record.output_tokens is None or record.output_tokens < 2:
        return None
    return (record.end - record.first) / (record.output_tokens - 1) * 1e3


def _in_flight(records: Sequence[Record], begun: float, window: float) -> float:
    end = begun + window
    return sum(max(min(r.end, end) - max(r.start, begun), 0.0) for r in records) / window


def _rate(records: Sequence[Record], begun: float, window: float) -> float:
    """Tokens that came within the window, a second: the first at its time, the others evenly until the end."""
    end = begun + window
    made = 0.0
    for r in records:
        if r.output_tokens is None or r.first is None or r.first > end:
            continue
        lasted = r.end - r.first
        share = 1.0 if lasted <= 0 else min((end - r.first) / lasted, 1.0)
        made += 1 + (r.output_tokens - 1) * share
    return made / window


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _spread(values: Sequence[float]) -> Spread | None:
    if not values:
        return None
    ordered = sorted(values)
    ranks = {f"p{p}": ordered[max(math.ceil(len(ordered) * p / 100) - 1, 0)] for p in PERCENTILES}
    return Spread(mean=sum(ordered) / len(ordered), **ranks)
