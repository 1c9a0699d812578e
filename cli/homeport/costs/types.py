"""What a bill is made of. Money is Decimal, in USD; `None` is unknown, never zero."""

from decimal import Decimal
from typing import Literal

import msgspec

from homeport.spec.money import FineTuning, Hardware, Reserved

Method = Literal["load", "guide"]
Kind = Literal[
    "nodes",
    "hardware",
    "power",
    "colocation",
    "headroom",
    "storage",
    "load_balancer",
    "egress",
    "platform",
    "engineering",
    "fine_tuning",
    "network",
    "tokens",
]
"""What a line pays for: stable names, where the text of a line names counts that change."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the user says about money: the spec's `costs`, as exact numbers, and the method.

    `None` is "not said": the price table's figure counts, else it is unknown. `scaled_share` is the share of the month
    (0 to 1) that replicas above the minimum run. Growth raises the load; retries are requests sent again, which own
    servers and APIs both have to answer. Percent: 20 is one fifth more. Of an API, `batch_percent` of the requests are
    sent in batches, and its cache serves `cached_input_percent` of the other requests' input tokens.
    """

    method: Method = "load"
    gpu_usd_per_hour: Decimal | None = None
    reserved: Reserved | None = None
    hardware: Hardware | None = None
    replica_hours: Literal["always", "simulated"] | None = None
    scaled_share: Decimal | None = None
    headroom_nodes: int = 0
    growth_percent: Decimal = Decimal(0)
    retries_percent: Decimal = Decimal(0)
    cached_input_percent: Decimal = Decimal(0)
    batch_percent: Decimal = Decimal(0)
    fallback_percent: Decimal = Decimal(0)
    storage_usd_per_gib_month: Decimal | None = None
    load_balancer_usd_per_hour: Decimal | None = None
    egress_usd_per_month: Decimal | None = None
    platform_usd_per_month: Decimal | None = None
    engineering_usd_per_hour: Decimal | None = None
    engineering_hours_per_week: Decimal | None = None
    fine_tuning: FineTuning | None = None


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a bill: `quantity` of `unit` at `unit_price_usd` each, a month.

    `estimated` marks a figure that is an assumption; `note` says why. `models` are the deployments that it is for.
    """

    kind: Kind
    item: str
    quantity: Decimal | None
    unit: str
    unit_price_usd: Decimal | None
    usd_per_month: Decimal | None
    source: str | None
    as_of: str | None
    estimated: bool = False
    models: tuple[str, ...] = ()
    note: str | None = None


class SelfHosted(msgspec.Struct, frozen=True, kw_only=True):
    """The bill of own hosting. `usd_per_month` sums the known lines (None: none is known).

    `at_least` says that a line is unknown, so that the real total is higher. `usd_per_million_tokens` is the total
    over the tokens of the given load, input and output together: of the reserved capacity, not of a full one.
    """

    usd_per_month: Decimal | None
    at_least: bool
    usd_per_million_tokens: Decimal | None
    lines: tuple[Line, ...]
    idle_gpus: int


class ApiBill(msgspec.Struct, frozen=True, kw_only=True):
    """The bill of one API model at the same load. `unverified` are the price fields that nobody has checked."""

    model: str
    usd_per_month: Decimal | None
    source: str
    as_of: str | None
    retired: bool
    retires_on: str | None
    unverified: tuple[str, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()


class Crossing(msgspec.Struct, frozen=True, kw_only=True):
    """From `requests_per_day` on (upwards) own hosting is `becomes`, up to the next crossing."""

    requests_per_day: int
    becomes: Literal["cheaper", "dearer"]


class Breakeven(msgspec.Struct, frozen=True, kw_only=True):
    """The lowest load from which own hosting, re-planned at each load, stays cheaper up to the range's end.

    None has a `reason`. `at_least`: the own bill has unknown lines, so the real breakeven is higher. `crossings` are
    all changes in the range, lowest first; `crossings_complete` false means that some may be missing.
    """

    model: str
    requests_per_day: int | None
    reason: str | None
    at_least: bool = False
    crossings: tuple[Crossing, ...] = ()
    crossings_complete: bool = True


class Swing(msgspec.Struct, frozen=True, kw_only=True):
    """Own hosting's month less an API's, USD, with one figure a fifth `lower` and a fifth `higher`; None is unknown.

    `width` is the distance between the smallest and the largest of them and of the present difference.
    """

    figure: str
    lower: Decimal | None
    higher: Decimal | None
    width: Decimal


class Sensitivity(msgspec.Struct, frozen=True, kw_only=True):
    """What moves the difference between own hosting and one API, the widest swing first."""

    model: str
    swings: tuple[Swing, ...]


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """USD a month of one API model, at the loads of the curves that it belongs to."""

    model: str
    usd_per_month: tuple[Decimal, ...]


class Curves(msgspec.Struct, frozen=True, kw_only=True):
    """USD a month against requests a day; None where own hosting cannot carry the load or has no price.

    A month of one request a day has `mtok_of_one` million tokens: USD a month over load and `mtok_of_one` is the price
    of a million tokens of the capacity that is reserved at that load.
    """

    loads: tuple[int, ...]
    own: tuple[Decimal | None, ...]
    api: tuple[Curve, ...]
    mtok_of_one: Decimal

    def own_usd_per_million_tokens(self) -> tuple[Decimal | None, ...]:
        """Return what a million tokens cost on own GPUs at each load."""
        return tuple(
            None if usd is None else usd / (load * self.mtok_of_one)
            for usd, load in zip(self.own, self.loads, strict=True)
        )


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """What the bill of own hosting pays for: `replicas` of a model, each on `gpus_per_replica` GPUs (None: no GPU)."""

    name: str
    model: str
    precision: str
    gpu: str | None
    gpus_per_replica: int
    replicas: int


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """One way to share the requests between own GPUs and APIs.

    `own_share` of all requests run on own GPUs (0 to 1). `allowed` false: `reason` says which rule it breaks, or why
    it cannot be planned. `at_least`: a line of own hosting is unknown.
    """

    name: str
    own_share: Decimal
    own_requests_per_day: Decimal
    api_requests_per_day: Decimal
    own_usd_per_month: Decimal | None
    api_usd_per_month: Decimal | None
    usd_per_month: Decimal | None
    at_least: bool
    allowed: bool
    reason: str | None
    deployments: tuple[Deployment, ...] = ()
    cheapest: bool = False


class Hybrid(msgspec.Struct, frozen=True, kw_only=True):
    """The splits that were looked at. Shares are of all requests, `fallback_share` of those that APIs answer.

    `fallback` None: no second API is compared with. `complete` false: a cheaper split may lie between.
    """

    primary: str
    fallback: str | None
    fallback_share: Decimal
    personal_data_share: Decimal
    simple_share: Decimal
    splits: tuple[Split, ...]
    cheapest: str | None
    complete: bool


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of two bills. None is unknown, or absent where `before` or `after` (the item's name) is None too."""

    what: str
    before: str | None
    after: str | None
    before_usd: Decimal | None
    after_usd: Decimal | None
    difference_usd: Decimal | None


class Against(msgspec.Struct, frozen=True, kw_only=True):
    """What changed since another bill: deployments in words, lines and APIs in USD a month, breakevens in requests a day.

    `compared` says what the other file holds; of a saved plan only nodes can be compared.
    """

    file: str
    compared: Literal["bill", "plan"]
    deployments: tuple[str, ...]
    lines: tuple[Change, ...]
    total: Change
    at_least: bool
    api: tuple[Change, ...]
    breakeven: tuple[str, ...]


class Bill(msgspec.Struct, frozen=True, kw_only=True):
    """Own hosting next to the APIs, for one load."""

    name: str
    method: Method
    requests_per_day: Decimal
    tokens_per_month: Decimal
    range_requests_per_day: tuple[int, int]
    deployments: tuple[Deployment, ...]
    self_hosted: SelfHosted
    api: tuple[ApiBill, ...]
    breakeven: tuple[Breakeven, ...]
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]
    curves: Curves | None = None
    sensitivity: tuple[Sensitivity, ...] = ()
    hybrid: Hybrid | None = None
    against: Against | None = None
    currency: str = "USD"
