"""What a spec may say about the number of replicas: who changes it, on what signals, how far and how fast.

Every figure that is left out is computed from the plan (`homeport.planning.scaling`).
"""

from typing import Annotated, Literal

from msgspec import Meta

from homeport.spec.part import Count, Part, Text

Scaler = Literal["keda", "hpa", "none"]
Window = Annotated[int, Meta(ge=0, le=3600)]
LEAST = 0.001
"""The least target of an HPA: Kubernetes counts metrics in thousandths (resource.Quantity)."""


class Scaling(Part, frozen=True, kw_only=True):
    """What changes the number of replicas, between `replicas.min` and `replicas.max`."""

    by: Annotated[
        Scaler,
        Meta(
            description="keda: a ScaledObject; hpa: a HorizontalPodAutoscaler on metrics that prometheus-adapter serves; "
            "none: as many replicas as planned, and no scaler"
        ),
    ] = "keda"
    threshold: Annotated[
        Annotated[float, Meta(ge=LEAST, le=1e6)] | None,
        Meta(
            description="Load of a replica that the scaler aims for: requests running and waiting, or requests a second "
            "where the engine has no series of its queue; auto: from what a replica carries within the latency limits"
        ),
    ] = None
    kv_cache_usage: Annotated[
        Annotated[float, Meta(ge=LEAST, le=1)] | None,
        Meta(
            description="Share of its KV cache that a replica may use on average before one is added; auto: near full"
        ),
    ] = None
    scale_up_stabilization_s: Annotated[
        Window | None,
        Meta(
            description="Seconds that the load must stay high before replicas are added; auto: a tenth of the start-up time"
        ),
    ] = None
    scale_up_step: Annotated[
        Count | None,
        Meta(description="Most replicas that are added within one start-up time; auto: as many as planned"),
    ] = None
    scale_down_stabilization_s: Annotated[
        Window | None,
        Meta(
            description="Seconds that the load must stay low before replicas are taken away; auto: the slowest start-up time"
        ),
    ] = None
    scale_down_step: Annotated[
        Count | None,
        Meta(
            description="Most replicas that are taken away within the scale-down window; auto: as the load falls"
        ),
    ] = None
    fallback_replicas: Annotated[
        Count | None,
        Meta(description="keda: least replicas while Prometheus cannot be asked; auto: as many as planned"),
    ] = None
    fallback_failures: Annotated[
        Annotated[int, Meta(ge=0, le=1000)] | None,
        Meta(description="keda: failed readings in a row before the fallback counts; auto: a minute of them"),
    ] = None
    wake: Annotated[
        Text | None,
        Meta(
            description="keda with replicas.min 0: PromQL of a signal that is above 0 while somebody waits for the model, "
            "and that exists while no replica runs: a gateway's requests in flight or retries"
        ),
    ] = None
    polling_interval_s: Annotated[
        Annotated[int, Meta(ge=1, le=3600)] | None,
        Meta(
            description="keda with replicas.min 0: seconds between two looks at zero replicas; auto: a tenth of the start-up time"
        ),
    ] = None
    cooldown_s: Annotated[
        Annotated[int, Meta(ge=0, le=604_800)] | None,
        Meta(
            description="keda with replicas.min 0: seconds without a request before the last replica goes; auto: the "
            "scale-down window"
        ),
    ] = None


# by -> (fields that belong to it, fields that it needs)
FIGURES = (
    "threshold",
    "kv_cache_usage",
    "scale_up_stabilization_s",
    "scale_up_step",
    "scale_down_stabilization_s",
    "scale_down_step",
)
FALLBACK = ("fallback_replicas", "fallback_failures")
ZERO = ("wake", "polling_interval_s", "cooldown_s")
SCALING_FIELDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "keda": ((*FIGURES, *FALLBACK, *ZERO), ()),
    "hpa": (FIGURES, ()),
    "none": ((), ()),
}
