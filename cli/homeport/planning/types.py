"""What a plan says. The JSON keys of docs/reference are made from these in `planning/output.py`."""

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from homeport.catalog.architecture import Architecture
from homeport.catalog.types import Gpu, Instance, Machine
from homeport.engines.types import Launch, Release
from homeport.planning.room import Refused
from homeport.sizing.types import Capacity, Memory, Performance, Settings, Startup
from homeport.spec.models import ModelSpec, Spec

if TYPE_CHECKING:
    from homeport.sizing.measured import Taken


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """What one node costs an hour, USD. `assumed` says why the price is an assumption (None: it is not)."""

    usd_per_hour: Decimal
    source: str
    as_of: str
    capacity: str
    assumed: str | None = None


class NodeChoice(msgspec.Struct, frozen=True, kw_only=True):
    """The nodes that replicas run on. `instance_types` are all that the plan allows, the chosen one first.

    `instance` None: an existing pool of a cluster that is no cloud's (the price is then another cloud's, assumed).
    `machine` has its CPUs and memory (None: unknown); `refused` are types whose GPUs would do, but which lack either.
    """

    instance: Instance | None
    gpus_per_node: int
    instance_types: tuple[str, ...]
    region: str | None
    price: Price | None
    machine: Machine | None = None
    refused: tuple[Refused, ...] = ()


class Considered(msgspec.Struct, frozen=True, kw_only=True):
    """One option that was looked at, and the reason it lost (or that it was chosen).

    `checkpoint` is a quantised one instead of the spec's; `measured` says that runs of this very option corrected it.
    """

    gpu: str
    precision: str
    tensor_parallel_size: int
    pipeline_parallel_size: int
    replicas: int | None
    usd_per_month: Decimal | None
    chosen: bool
    reason: str
    checkpoint: str | None = None
    measured: bool = False


class Fallback(msgspec.Struct, frozen=True, kw_only=True):
    """An instance type that a replica as planned runs on as well. `node_count` of them hold all planned replicas.

    `usd_per_month` is of these nodes, all month (730 h); None where the price is unknown. `price_assumption` says why it
    is assumed; None: it is not.
    """

    instance_type: str
    gpu: str
    gpus_per_node: int
    node_count: int
    usd_per_month: Decimal | None
    same_gpu: bool
    price_assumption: str | None = None


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """One value that nobody wrote: what was decided, how, and whether it is an assumption."""

    field: str
    value: str
    because: str
    assumption: bool = False


class ModelSource(msgspec.Struct, frozen=True, kw_only=True):
    """The model that a spec names, found: in the catalog, on the Hub or in a local file.

    `checkpoint` is what is downloaded (the model's own id, or a quantised one), `weight_bytes` its size as stored.
    """

    id: str
    checkpoint: str
    config: dict[str, object]
    architecture: Architecture
    weight_bytes: int
    context_tokens: int
    licence: str | None
    gated: bool | None
    origin: str
    as_of: str | None
    unverified: tuple[str, ...] = ()
    local_path: str | None = None


class ModelPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One model, every number decided.

    `gpu`, `memory`, `nodes` are None where no GPU is used (engines cpu and simulator). `stands_for` is what a
    simulator imitates: the plan of the same model on real GPUs. `considered` is empty unless it was asked for.
    `measured` are the figures that measured runs of the file `measurements` changed. `fallbacks` are other instance
    types, in the order in which they should be tried; looked for where somebody asks.
    """

    spec: ModelSpec
    source: ModelSource
    engine: Release
    image: str
    launch: Launch
    settings: Settings
    gpu: Gpu | None
    precision: str
    kv_cache_dtype: str
    gpus_per_replica: int
    nodes_per_replica: int
    replicas_min: int
    replicas_max: int
    replicas_planned: int
    fixed_replicas: bool
    nodes: NodeChoice | None
    node_count: int
    idle_gpus: int
    usd_per_month: Decimal | None
    memory: Memory | None
    performance: Performance | None
    capacity: Capacity | None
    peak_requests_per_s: float
    startup: Startup | None
    cpu_request: str
    memory_request_gib: int
    considered: tuple[Considered, ...]
    decisions: tuple[Decision, ...]
    warnings: tuple[str, ...]
    stands_for: "ModelPlan | None" = None
    measured: "tuple[Taken, ...]" = ()
    measurements: str | None = None
    fallbacks: tuple[Fallback, ...] = ()


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """Nodes of one kind that the planned replicas of one or more models share. This is what is billed.

    `node_count` whole nodes hold all planned replicas; `idle_gpus` of them nobody uses. `models` are names. `machine` has
    a node's CPUs and memory; None: unknown.
    """

    gpu: str
    instance_type: str | None
    region: str | None
    capacity: str
    gpus_per_node: int
    node_count: int
    used_gpus: int
    idle_gpus: int
    price: Price | None
    models: tuple[str, ...]
    machine: Machine | None = None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A whole spec, planned. The bill is made of `pools`, not of the models' own node counts."""

    spec: Spec
    models: tuple[ModelPlan, ...]
    pools: tuple[Pool, ...]
    warnings: tuple[str, ...]
