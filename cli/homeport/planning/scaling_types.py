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
    "reaction": "from rising load until one more replica serves",
    "headroom": "kept free for growth until then",
    "threshold": "load that each replica aims for",
    "at_peak": "replicas that the scaler asks for at the peak",
    "kv_cache": "KV cache that each replica aims for at most",
    "up_window": "how long the load is high before replicas are added",
    "up_step": "replicas added at once",
    "up_period": "how long until more are added",
    "down_window": "how long the load is low before replicas go",
    "down_step": "replicas taken away at once",
    "down_period": "how long until more go",
    "fallback_replicas": "replicas while Prometheus is gone",
    "fallback_failures": "failed readings before that",
    "polling": "time between two looks at zero replicas",
    "cooldown": "time without a request before the last replica goes",
    "idle": "cost of a replica too many, until it goes",
    "short": "cost of a replica too few at the peak, until it is there",
}
"""What each figure is called where a plan explains it."""


class Reasoned(Term, frozen=True, kw_only=True):
    """A step that is reasoned, not only computed: the parts of its formula are set off by `; `."""


def terms(made: Scaling) -> tuple[Reasoned, ...]:
    """The figures as the steps of an explanation, in the order in which they follow from each other."""
    found = []
    for field, name in NAMES.items():
        setting = getattr(made, field)
        if setting is not None:
            found.append(
                Reasoned(
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
