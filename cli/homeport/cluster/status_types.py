"""What `status` says. Null is unknown, never zero: `unknown` then names the field and the reason."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

Usd = Annotated[float | None, Meta(description="USD; null: no price, or the nodes could not be read")]
Milliseconds = Annotated[
    float | None, Meta(description="95th percentile of the last 5 minutes, milliseconds")
]


class Waiting(Struct, frozen=True, kw_only=True):
    """A pod that is not ready."""

    pod: Annotated[str, Meta(description="Its name")]
    phase: Annotated[
        str,
        Meta(
            description="unschedulable, waiting, pulling, preparing (the weights are fetched), loading, crashing, failed or ending"
        ),
    ]
    why: Annotated[str, Meta(description="The scheduler's, the kubelet's or the engine's words")]
    since_s: Annotated[float | None, Meta(description="How long, seconds")]
    restarts: Annotated[int, Meta(description="How often its containers were started anew")]


class Replicas(Struct, frozen=True, kw_only=True):
    """How many replicas there are, and how many there shall be."""

    wanted: Annotated[int | None, Meta(description="What the workload says now; null: it does not exist")]
    ready: Annotated[int, Meta(description="Replicas that serve")]
    min: Annotated[int, Meta(description="The fewest that the plan allows")]
    max: Annotated[int, Meta(description="The most that the plan allows")]


class Load(Struct, frozen=True, kw_only=True):
    """What the engines say, all replicas together."""

    running: Annotated[float | None, Meta(description="Requests that are worked on")]
    waiting: Annotated[float | None, Meta(description="Requests in the queue")]
    kv_cache_use: Annotated[
        float | None, Meta(description="Share of the KV cache in use, 0 to 1, of the fullest replica")
    ]
    ttft_p95_ms: Milliseconds
    inter_token_p95_ms: Milliseconds


class Scaled(Struct, frozen=True, kw_only=True):
    """The last change of the number of replicas."""

    at: Annotated[str | None, Meta(description="UTC")]
    by: Annotated[str, Meta(description="The kind of object that tells of it")]
    why: Annotated[str, Meta(description="Its own words")]


class Spending(Struct, frozen=True, kw_only=True):
    """What runs now costs now."""

    usd_per_hour: Usd
    usd_per_month: Annotated[
        float | None, Meta(description="USD for 730 hours like this one; null as usd_per_hour")
    ]
    basis: Annotated[
        Literal["nodes", "replicas", "none"],
        Meta(
            description="nodes: those that hold the pods, shared by the GPUs that models ask for; replicas: those that "
            "run, at the plan's price; none: no price is known"
        ),
    ]
    price: Annotated[str, Meta(description="Where the price is from, and of which day")]
    price_assumption: Annotated[
        str | None, Meta(description="Why the price is an assumption; null: it is none")
    ]
    nodes: Annotated[int | None, Meta(description="Nodes that hold pods of it")]


class ModelStatus(Struct, frozen=True, kw_only=True):
    """One model."""

    name: Annotated[str, Meta(description="Its name in the spec")]
    workload: Annotated[str, Meta(description="Kind and name of what runs it")]
    ready: Annotated[bool, Meta(description="It exists, and as many replicas serve as are wanted")]
    replicas: Annotated[Replicas, Meta(description="How many there are, and how many there shall be")]
    pods: Annotated[tuple[Waiting, ...], Meta(description="Those that do not serve, and why")]
    load: Annotated[Load, Meta(description="What the engines say, all replicas together")]
    spending: Annotated[Spending, Meta(description="What runs now costs now")]
    last_scaled: Annotated[Scaled | None, Meta(description="Null: nothing that the cluster still tells of")]
    unknown: Annotated[dict[str, str], Meta(description="Why a figure is null, by its name")]


class Status(Struct, frozen=True, kw_only=True):
    """`homeport status -o json`."""

    schema_version: Annotated[
        int, Meta(description="Of this answer's format; a change that breaks readers raises it")
    ] = 1
    at: Annotated[str, Meta(description="When it was read, UTC")]
    namespace: Annotated[str, Meta(description="Where the models run")]
    context: Annotated[str, Meta(description="Of the kubeconfig")]
    models: Annotated[tuple[ModelStatus, ...], Meta(description="Every model of the spec")]
    usd_per_hour: Annotated[
        float | None, Meta(description="All models together; null: one of them is unknown")
    ]
    usd_per_month: Annotated[float | None, Meta(description="The same for 730 hours")]

    @property
    def ready(self) -> bool:
        """Say whether every model serves as it should."""
        return all(m.ready for m in self.models)
