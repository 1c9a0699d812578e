"""What an autoscaler is told, as values: each figure with its unit, the arithmetic, and where that comes from."""

from typing import Literal

import msgspec

from homeport.sizing.types import Term

TOLERANCE = 1.1
"""The HPA acts once the metric is 10 % from its target (kube-controller-manager's default tolerance)."""


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of the autoscaler: its value and unit, the arithmetic, and where that comes from.

    `given` says that the spec wrote it; `assumption` that a part of it is assumed.
    """

    value: float
    unit: str
    why: str
    source: str
    given: bool = False
    assumption: bool = False


class Scaling(msgspec.Struct, frozen=True, kw_only=True):
    """What an autoscaler of one model is told. None: the engine or the scaler has no such figure.

    `signal` is what `threshold` counts: requests running and waiting on a replica, or requests a second. `headroom` is
    the share of a replica kept free for the load's growth while another starts.
    """

    by: Literal["keda", "hpa"]
    signal: Literal["in_flight", "rate"]
    least: int
    most: int
    threshold: Setting
    at_peak: Setting | None
    kv_cache: Setting | None
    up_window: Setting
    up_step: Setting
    up_period: Setting
    down_window: Setting
    down_step: Setting
    down_period: Setting
    fallback_replicas: Setting | None
    fallback_failures: Setting | None
    wake: str | None
    polling: Setting | None
    cooldown: Setting | None
    reaction: Setting
    headroom: Setting
    idle: Setting | None
    short: Setting | None


NAMES = {
    "reaction": "from rising load to a replica more",
    "headroom": "kept free for growth meanwhile",
    "threshold": "load a replica aims for",
    "at_peak": "replicas it asks for at the peak",
    "kv_cache": "KV cache a replica aims for at most",
    "up_window": "high before replicas are added",
    "up_step": "added at once",
    "up_period": "until more are added",
    "down_window": "low before replicas go",
    "down_step": "taken away at once",
    "down_period": "until more go",
    "fallback_replicas": "replicas while Prometheus is gone",
    "fallback_failures": "failed readings before that",
    "polling": "between two looks at zero replicas",
    "cooldown": "without a request before the last replica goes",
    "idle": "a replica too many, until it goes",
    "short": "a replica too few at the peak, until it is there",
}
"""What each figure is called where a plan explains it."""


def terms(made: Scaling) -> tuple[Term, ...]:
    """The figures as the steps of an explanation, in the order in which they follow from each other."""
    found = []
    for field, name in NAMES.items():
        setting = getattr(made, field)
        if setting is not None:
            found.append(
                Term(
                    name=name,
                    formula=setting.why,
                    value=setting.value,
                    unit=setting.unit,
                    source=setting.source + ("; assumed in part" if setting.assumption else ""),
                )
            )
    return tuple(found)


def number(value: float) -> str:
    """A figure as the autoscaler reads it: three decimals at most, never 0."""
    return f"{value:.3f}".rstrip("0").rstrip(".") if value >= 0.001 else "0.001"
