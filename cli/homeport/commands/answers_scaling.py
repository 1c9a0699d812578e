"""The part of `plan -o json` that says what the autoscaler is told."""

from typing import Annotated, Literal

from msgspec import Meta, Struct


class ScalingFigure(Struct):
    """One figure of the autoscaler, and the arithmetic that it comes from."""

    value: Annotated[float, Meta(description="The figure")]
    unit: Annotated[str, Meta(description="Its unit, in words")]
    because: Annotated[str, Meta(description="The formula, with its numbers filled in")]
    source: Annotated[str, Meta(description="Where the numbers come from")]
    given: Annotated[bool, Meta(description="The spec wrote it")]
    assumption: Annotated[bool, Meta(description="A part of it is assumed")]


Figure = Annotated[ScalingFigure | None, Meta(description="Null: this scaler or engine has none")]


class PlannedScaling(Struct):
    """What moves the replicas, on what signals, how far and how fast (docs/explanation/scaling.md)."""

    by: Annotated[Literal["keda", "hpa"], Meta(description="Who moves the replicas")]
    signal: Annotated[
        Literal["in_flight", "rate"],
        Meta(description="What the threshold counts: requests running and waiting, or requests a second"),
    ]
    wake: Annotated[
        str | None, Meta(description="PromQL of the signal that wakes the first replica, as written")
    ]
    reaction: Annotated[Figure, Meta(description="From rising load to a replica more")]
    headroom: Annotated[Figure, Meta(description="Share of a replica kept free for growth meanwhile")]
    threshold: Annotated[Figure, Meta(description="Load of a replica that the scaler aims for")]
    at_peak: Annotated[Figure, Meta(description="Replicas that it asks for at the peak; null: unknown")]
    kv_cache: Annotated[Figure, Meta(description="Share of its KV cache that a replica aims for at most")]
    up_window: Annotated[Figure, Meta(description="How long the load is high before replicas are added")]
    up_step: Annotated[Figure, Meta(description="Most replicas added within up_period")]
    up_period: Annotated[Figure, Meta(description="Time until more are added")]
    down_window: Annotated[Figure, Meta(description="How long the load is low before replicas go")]
    down_step: Annotated[Figure, Meta(description="Most replicas taken away within down_period")]
    down_period: Annotated[Figure, Meta(description="Time until more go")]
    fallback_replicas: Annotated[Figure, Meta(description="Least replicas while Prometheus is gone")]
    fallback_failures: Annotated[Figure, Meta(description="Failed readings before the fallback counts")]
    polling: Annotated[Figure, Meta(description="Time between two looks at zero replicas")]
    cooldown: Annotated[Figure, Meta(description="Time without a request before the last replica goes")]
    idle: Annotated[Figure, Meta(description="Cost of a replica too many, until it goes; null: unknown")]
    short: Annotated[
        Figure, Meta(description="Requests that are late if a replica is missing at the peak; null: unknown")
    ]
