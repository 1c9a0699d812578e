"""What a spec may say about money: prices that no table knows, how GPUs are bought, and the budget.

What is left out is unknown in the bill, never zero.
"""

from typing import Annotated, Literal

from msgspec import Meta

from homeport.spec.part import Count, Part, Text

Usd = Annotated[float, Meta(ge=0, le=1e12)]
Percent = Annotated[float, Meta(ge=0, le=100)]
Share = Annotated[float, Meta(ge=0, le=1)]


class InstancePrice(Part, frozen=True, kw_only=True):
    """Your price of one instance type, which then counts wherever instances are compared."""

    instance_type: Annotated[Text, Meta(description="Name of the instance type, as `prices list` shows it")]
    usd_per_hour: Annotated[
        Annotated[float, Meta(gt=0, le=1e6)], Meta(description="Price of the instance, USD an hour")
    ]


class ApiModelPrice(Part, frozen=True, kw_only=True):
    """Your prices of one API model, USD per million tokens; what is left out stays the price table's."""

    model: Annotated[
        Text, Meta(description="API model; one that the price table lacks needs input and output")
    ]
    input_usd_per_mtok: Annotated[Usd | None, Meta(description="Input tokens")] = None
    output_usd_per_mtok: Annotated[Usd | None, Meta(description="Output tokens")] = None
    cached_input_usd_per_mtok: Annotated[
        Usd | None, Meta(description="Input tokens that the cache serves")
    ] = None
    batch_input_usd_per_mtok: Annotated[Usd | None, Meta(description="Input tokens of batches")] = None
    batch_output_usd_per_mtok: Annotated[Usd | None, Meta(description="Output tokens of batches")] = None


class Reserved(Part, frozen=True, kw_only=True):
    """GPUs that are paid around the clock, used or not, at a price of their own."""

    usd_per_gpu_hour: Annotated[Usd, Meta(description="Reserved or committed price of a GPU hour, USD")]
    gpus: Annotated[
        Count | None, Meta(description="GPUs that are reserved, in whole nodes; auto: all that are planned")
    ] = None


class Hardware(Part, frozen=True, kw_only=True):
    """GPUs that you buy, with their share of the servers, instead of renting them."""

    usd_per_gpu: Annotated[Usd, Meta(description="Price of a GPU with its share of the server, USD")]
    lifetime_years: Annotated[
        Annotated[float, Meta(gt=0, le=50)], Meta(description="Years that they are written off over")
    ]
    kw_per_gpu: Annotated[
        Annotated[float, Meta(gt=0, le=100)] | None,
        Meta(description="Power of a GPU with its share of the server, kW; auto: unknown"),
    ] = None
    pue: Annotated[
        Annotated[float, Meta(ge=1, le=10)] | None,
        Meta(
            description="Power of the data centre over that of its servers (power usage effectiveness); auto: unknown"
        ),
    ] = None
    usd_per_kwh: Annotated[Usd | None, Meta(description="Price of electricity, USD a kWh; auto: unknown")] = (
        None
    )
    colocation_usd_per_gpu_month: Annotated[
        Usd | None,
        Meta(description="Rack space, network and hands, USD a GPU and month; auto: unknown"),
    ] = None


class FineTuning(Part, frozen=True, kw_only=True):
    """Training runs on own GPUs."""

    runs_per_month: Annotated[Annotated[float, Meta(gt=0, le=10_000)], Meta(description="Runs a month")]
    gpu_hours: Annotated[Annotated[float, Meta(gt=0, le=1e7)], Meta(description="GPU hours of one run")]
    usd_per_gpu_hour: Annotated[
        Usd | None, Meta(description="Price of a GPU hour, USD; auto: what a planned GPU costs")
    ] = None


class Costs(Part, frozen=True, kw_only=True):
    """What you pay, where no price table knows it. What is left out is unknown, never zero."""

    gpu_usd_per_hour: Annotated[
        Usd | None,
        Meta(description="Your price of a GPU hour, USD; auto: the price table's"),
    ] = None
    reserved: Annotated[
        Reserved | None, Meta(description="GPUs that are paid around the clock at a price of their own")
    ] = None
    hardware: Annotated[
        Hardware | None, Meta(description="GPUs that you buy, instead of renting them by the hour")
    ] = None
    replica_hours: Annotated[
        Literal["always", "simulated"] | None,
        Meta(
            description="always: planned replicas run around the clock; simulated: as many in each hour of a day as "
            "it needs, between the limits; auto: simulated where workload.day_profile is given"
        ),
    ] = None
    scaled_share: Annotated[
        Share | None,
        Meta(
            description="Share of the month that replicas above the minimum run; auto: see replica_hours",
            examples=[0.4],
        ),
    ] = None
    headroom_nodes: Annotated[
        Annotated[int, Meta(ge=0, le=4096)],
        Meta(description="Nodes of each kind that are kept free for failures and rollouts, and billed"),
    ] = 0
    storage_usd_per_gib_month: Annotated[
        Usd | None, Meta(description="Your price of a GiB of disk and month, USD")
    ] = None
    egress_usd_per_month: Annotated[
        Usd | None, Meta(description="Your bill of outgoing traffic at this load, USD a month")
    ] = None
    load_balancer_usd_per_hour: Annotated[
        Usd | None, Meta(description="Your price of a load balancer, USD an hour")
    ] = None
    platform_usd_per_month: Annotated[
        Usd | None, Meta(description="Your price of the cluster and its system nodes, USD a month")
    ] = None
    engineering_usd_per_hour: Annotated[
        Usd | None, Meta(description="What an hour of your engineers costs, USD")
    ] = None
    engineering_hours_per_week: Annotated[
        Annotated[float, Meta(ge=0, le=10_000)] | None,
        Meta(description="Hours a week that own hosting takes; auto: 15, the middle of the guide's 10 to 20"),
    ] = None
    fine_tuning: Annotated[FineTuning | None, Meta(description="Training runs on own GPUs")] = None
    growth_percent: Annotated[
        Annotated[float, Meta(ge=0, le=10_000)], Meta(description="How much the load has grown")
    ] = 0.0
    retries_percent: Annotated[
        Annotated[float, Meta(ge=0, le=1000)], Meta(description="Requests that are sent again")
    ] = 0.0
    cached_input_percent: Annotated[
        Percent, Meta(description="Input tokens that the APIs' caches serve at their price")
    ] = 0.0
    batch_percent: Annotated[
        Percent, Meta(description="Requests that can wait for the APIs' batches, at their prices")
    ] = 0.0
    fallback_percent: Annotated[
        Percent,
        Meta(description="Requests of the hybrid split's API part that the second API of `compare` answers"),
    ] = 0.0
    api_prices: Annotated[
        tuple[ApiModelPrice, ...], Meta(description="Your prices of API models, over the price table's")
    ] = ()


class Budget(Part, frozen=True, kw_only=True):
    """What a month may cost."""

    usd_per_month: Annotated[
        Usd,
        Meta(
            description="Most that own hosting may cost, USD a month; `plan` and `cost` exit with 1 above it"
        ),
    ]
