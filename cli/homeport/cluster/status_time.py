"""Kubernetes' times as seconds since the epoch, and spans of time as people read them."""

from datetime import UTC, datetime


def seconds(text: str | None) -> float | None:
    """Seconds since the epoch of `2026-11-25T01:40:00Z`, with or without fractions; None for nothing or for no time."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None


def span(length_s: float | None) -> str:
    """`45 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`; "unknown" for None."""
    if length_s is None:
        return "unknown"
    whole = int(length_s)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        rest = whole % 60
        return f"{whole // 60} min" + (f" {rest} s" if rest else "")
    if whole < 86400:
        rest = whole % 3600 // 60
        return f"{whole // 3600} h" + (f" {rest} min" if rest else "")
    rest = whole % 86400 // 3600
    return f"{whole // 86400} d" + (f" {rest} h" if rest else "")


def stamp(at: float) -> str:
    """A time in UTC, as it stands in answers: `2026-11-25T01:40:00Z`."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
