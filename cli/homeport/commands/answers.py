"""The JSON that commands answer with `-o json`, as types: `homeport schema <command>` is made from them.

Keys are added, never renamed; a reader ignores those that it does not know. Null is unknown, never zero. The bill's
own schema stands with the bill (homeport.costs.output).
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, defstruct
from msgspec.structs import fields

from homeport.catalog.types import ApiPrice, Gpu, Instance, Model
from homeport.cluster.bench_answer import Bench
from homeport.cluster.doctor_types import Report
from homeport.cluster.status_types import Status
from homeport.commands.answers_diff import Diff
from homeport.commands.answers_scaling import PlannedScaling
from homeport.commands.output import SCHEMA_VERSION
from homeport.engines.types import Release
from homeport.sizing.types import Basis
from homeport.spec.schema import DIALECT

Version = Annotated[int, Meta(description="Of this answer's format; a change that breaks readers raises it")]
Gib = Annotated[float, Meta(description="GiB (2^30 bytes)")]
Seconds = Annotated[float, Meta(ge=0, description="Seconds")]
Interval = Annotated[tuple[float, float], Meta(description="The low and the high end of the estimate")]


class Engine(Struct):
    """The engine, its version, and the image that runs it."""

    name: str
    version: str | None
    image: str


class Target(Struct):
    """Where it shall run."""

    platform: str
    region: str | None


class Replicas(Struct):
    """How many replicas there may be, and how many the workload's peak needs."""

    min: int
    max: int
    planned: int


class Memory(Struct):
    """One GPU's memory: all of it, what the engine may use, and what takes it."""

    total: Gib
    usable: Gib
    weights: Gib
    adapters: Gib
    activation: Gib
    non_torch: Gib
    cuda_graphs: Gib
    kv_cache: Gib


class Capacity(Struct):
    """The largest load that one replica carries within the latency limits."""

    concurrency: Annotated[int, Meta(description="Requests in flight")]
    requests_per_s: Annotated[float, Meta(description="Requests a second")]
    limited_by: Annotated[
        str, Meta(description="What stops it from carrying more: ttft, tpot, kv_cache or max_num_seqs")
    ]


class NodePool(Struct):
    """Nodes of one kind that planned replicas share: what is billed."""

    gpu: str
    instance_type: Annotated[str | None, Meta(description="Of the cloud; null: a pool of the cluster's own")]
    region: str | None
    capacity: Annotated[str, Meta(description="How the nodes are bought: on_demand or spot")]
    gpus_per_node: Annotated[int, Meta(description="GPUs of one node")]
    nodes: Annotated[int, Meta(description="Whole nodes that hold all planned replicas")]
    idle_gpus: Annotated[int, Meta(description="GPUs of these nodes that no replica uses")]
    usd_per_hour_per_node: Annotated[float | None, Meta(description="USD an hour for one node")]
    price_source: Annotated[str | None, Meta(description="Where that price comes from")]
    price_as_of: Annotated[str | None, Meta(description="Its date")]
    price_assumption: Annotated[
        str | None, Meta(description="Why the price is an assumption; null: it is none")
    ]
    models: Annotated[list[str], Meta(description="Names of the models whose replicas stand there")]
    vcpus_per_node: Annotated[int | None, Meta(description="Virtual CPUs of one node; null: unknown")]
    memory_gib_per_node: Annotated[
        float | None, Meta(description="Main memory of one node as sold, GiB (2^30 bytes); null: unknown")
    ]
    machine_source: Annotated[str | None, Meta(description="Where these two come from")]
    machine_as_of: Annotated[str | None, Meta(description="Their date")]


class RefusedInstance(Struct):
    """An instance type whose GPUs would do, but which lacks CPUs or memory for the pods that share it."""

    instance_type: str
    reason: str


class Performance(Struct):
    """Of a replica at its share of the workload's peak."""

    ttft_ms: Annotated[float | None, Meta(description="Mean time to first token, ms")]
    tpot_ms: Annotated[float | None, Meta(description="Mean time per output token after the first, ms")]
    output_tokens_per_s: Annotated[float | None, Meta(description="Generated tokens a second, of a replica")]


class StartupSteps(Struct):
    """The steps of a start; a step that an engine does not have, or that is unknown, is null."""

    download_s: Seconds | None
    weights_load_s: Seconds | None
    compile_s: Seconds | None
    cuda_graph_capture_s: Seconds | None
    rest_s: Seconds | None
    ready_s: Seconds | None
    ready_s_interval: Interval


class Considered(Struct):
    """An option: the one that was chosen, or one that lost and why."""

    gpu: str
    precision: str
    tensor_parallel_size: int
    pipeline_parallel_size: int
    replicas: int | None
    usd_per_month: float | None
    chosen: bool
    reason: str
    checkpoint: Annotated[
        str | None, Meta(description="A quantised checkpoint instead of the spec's; null: the spec's")
    ]
    measured: Annotated[bool, Meta(description="Measured runs of this very option corrected it")]


class MeasuredFigure(Struct):
    """A figure that measured runs changed, beside what was predicted."""

    figure: Annotated[
        str,
        Meta(
            description="ttft_ms, tpot_ms, output_tokens_per_s, kv_cache_tokens, weights_gib_per_gpu or ready_s"
        ),
    ]
    unit: str
    used: Annotated[float, Meta(description="What the plan counts with")]
    used_interval: Interval | None
    predicted: Annotated[float, Meta(description="What it would have counted with")]
    predicted_interval: Interval | None
    basis: Annotated[
        Basis,
        Meta(
            description="measured: at this very load or with these settings; between, beyond: of the measured loads; "
            "lengths: of requests of other lengths; settings: with other settings; version: of another version of the engine; others: drawn towards runs of other "
            "configurations on this GPU"
        ),
    ]
    runs: Annotated[int, Meta(description="How many runs it rests on")]
    measured_on: Annotated[str, Meta(description="Day of the last of them")]
    at_roofline: Annotated[bool, Meta(description="Held at what the GPU's data sheet allows")]


class Measured(Struct):
    """What a plan took from measured runs (docs/reference/measurements.md)."""

    file: Annotated[str, Meta(description="The file, as the spec names it")]
    figures: Annotated[list[MeasuredFigure], Meta(description="Every figure that they changed")]


class Fallback(Struct):
    """An instance type that replicas as planned run on as well."""

    instance_type: str
    gpu: str
    gpus_per_node: Annotated[int, Meta(description="GPUs of one node")]
    nodes: Annotated[int, Meta(description="Whole nodes that hold all planned replicas")]
    usd_per_month: Annotated[
        float | None, Meta(description="USD a month of these nodes, 730 h; null: no price is known")
    ]
    price_assumption: Annotated[
        str | None, Meta(description="Why the price is an assumption; null: it is none")
    ]
    same_gpu: Annotated[bool, Meta(description="It has the planned GPU, in another number or size of node")]


class Decision(Struct):
    """A value that homeport computed, and why."""

    field: str
    value: Any
    because: str
    assumption: bool


class PlannedModel(Struct):
    """What one model runs on."""

    name: Annotated[str, Meta(description="Name in the spec")]
    model: Annotated[str, Meta(description="Catalog id, Hub id or path")]
    checkpoint: Annotated[
        str, Meta(description="What is loaded: the model itself, or a quantised checkpoint")
    ]
    engine: Engine
    precision: Annotated[str, Meta(description="Of the weights")]
    kv_cache_dtype: str
    gpu: Annotated[str, Meta(description="GPU id; CPU where the engine uses none")]
    gpus_per_replica: int
    tensor_parallel_size: int
    pipeline_parallel_size: int
    nodes_per_replica: int
    instance_types: Annotated[
        list[str], Meta(description="Nodes that the pods accept; empty where no cloud names them")
    ]
    refused_instance_types: Annotated[
        list[RefusedInstance],
        Meta(description="Nodes that lack CPUs or memory for the pods that would share them"),
    ]
    max_model_len: Annotated[int, Meta(description="Most tokens of a request, input + output")]
    replicas: Replicas
    memory_gib_per_gpu: Memory | None
    kv_cache_tokens: Annotated[int | None, Meta(description="Tokens of a replica's KV cache")]
    performance: Performance
    capacity: Annotated[Capacity | None, Meta(description="Of one replica")]
    peak_requests_per_s: Annotated[float, Meta(description="Of the whole workload, at its peak")]
    startup_seconds: Annotated[
        float | None, Meta(description="Process start to readiness, download included")
    ]
    startup: StartupSteps | None
    scaling: Annotated[
        PlannedScaling | None,
        Meta(description="What the autoscaler is told; null: the number of replicas is fixed"),
    ]
    measured: Annotated[
        Measured | None, Meta(description="What measured runs changed; null: nothing was taken from any")
    ]
    usd_per_month: float | None
    considered: list[Considered]
    fallbacks: Annotated[
        list[Fallback],
        Meta(description="Instance types that could stand in, in the order in which to try them"),
    ]
    decisions: list[Decision]
    licence: str | None
    gated: Annotated[bool | None, Meta(description="The Hub asks for a login and a licence's acceptance")]
    unverified: Annotated[list[str], Meta(description="Fields of the model that nobody has checked")]


class Plan(Struct):
    """`homeport plan -o json`: what it takes, and why."""

    schema_version: Version
    name: str
    target: Target
    models: list[PlannedModel]
    node_pools: list[NodePool]
    warnings: list[str]


class Asked(Struct):
    """What a case asked for, with what was filled in."""

    schema_version: Version
    model: str
    gpu: str
    engine: str
    engine_version: str | None
    tensor_parallel_size: int
    pipeline_parallel_size: int
    nodes: Annotated[int, Meta(description="Nodes of a replica")]
    weight_dtype: Annotated[str, Meta(description="Of what is not quantised; auto: the config's")]
    kv_cache_dtype: str
    max_model_len: Annotated[
        int | None, Meta(description="Most tokens of a request; null: the engine's default")
    ]
    adapters: Annotated[int, Meta(description="LoRA adapters that are counted")]
    adapter_rank: Annotated[int, Meta(description="Their largest rank")]


class Size(Asked):
    """`homeport size -o json`: what fits into a GPU's memory (of the fullest GPU)."""

    fits: Annotated[bool, Meta(description="The engine comes up with exactly these settings")]
    weights_gib_per_gpu: Gib | None
    activation_gib_per_gpu: Gib | None
    non_torch_gib_per_gpu: Gib | None
    cuda_graph_gib_per_gpu: Gib | None
    kv_cache_gib_per_gpu: Gib | None
    usable_gib_per_gpu: Annotated[float, Meta(description="All that the engine sees of the GPU, GiB")]
    short_gib_per_gpu: Annotated[
        float | None, Meta(description="What one GPU lacks, GiB; null: memory did not decide")
    ]
    notes: Annotated[list[str], Meta(description="What was estimated")]
    kv_cache_tokens: Annotated[int | None, Meta(description="Of the whole replica")]
    max_concurrency: Annotated[float | None, Meta(description="kv_cache_tokens / max_model_len")]
    reason: Annotated[str, Meta(description="What decided, in one sentence")]


class Throughput(Asked):
    """`homeport throughput -o json`: how fast a replica serves."""

    input_tokens: Annotated[float, Meta(description="Prompt tokens of a request (mean)")]
    output_tokens: Annotated[float, Meta(description="Generated tokens of a request (mean)")]
    concurrency: Annotated[int | None, Meta(description="Requests in flight; null: all at once")]
    ttft_ms: Annotated[float | None, Meta(description="Mean time to first token, ms")]
    tpot_ms: Annotated[float | None, Meta(description="Mean time per output token after the first, ms")]
    output_tokens_per_s: Annotated[
        float | None, Meta(description="Generated tokens a second, all GPUs together")
    ]
    ttft_ms_interval: Interval | None
    tpot_ms_interval: Interval | None
    output_tokens_per_s_interval: Interval | None
    measured_gpu: Annotated[bool, Meta(description="The GPU was measured; if not, the intervals are wider")]
    notes: Annotated[list[str], Meta(description="What was estimated")]


class Startup(Asked):
    """`homeport startup -o json`: how long a replica takes to start."""

    storage: Annotated[str, Meta(description="Where the weights lie when the process starts")]
    loader: Annotated[str, Meta(description="How they are read")]
    download_s: Seconds | None
    weights_load_s: Seconds | None
    compile_s: Seconds | None
    cuda_graph_capture_s: Seconds | None
    init_engine_s: Seconds | None
    rest_s: Seconds | None
    ready_s: Annotated[float | None, Meta(description="Process start to readiness, a download included")]
    ready_s_interval: Interval
    notes: Annotated[list[str], Meta(description="What was estimated")]


class SizeCase(Struct):
    """A line of `homeport size --cases`."""

    id: Annotated[str, Meta(description="Of the case")]
    fits: bool | None
    weights_gib_per_gpu: Gib | None
    activation_gib_per_gpu: Gib | None
    non_torch_gib_per_gpu: Gib | None
    kv_cache_gib_per_gpu: Gib | None
    kv_cache_tokens: int | None
    max_concurrency: float | None
    reason: str


class ThroughputCase(Struct):
    """A line of `homeport throughput --cases`."""

    id: Annotated[str, Meta(description="Of the case")]
    ttft_ms: float | None
    tpot_ms: float | None
    output_tokens_per_s: float | None


class StartupCase(Struct):
    """A line of `homeport startup --cases`."""

    id: Annotated[str, Meta(description="Of the case")]
    weights_load_s: Seconds | None
    compile_s: Seconds | None
    cuda_graph_capture_s: Seconds | None
    init_engine_s: Seconds | None
    ready_s: Seconds | None


class EngineRow(Release, frozen=True, kw_only=True):
    """One version of an engine."""

    id: str


class MachineSize(Struct):
    """What an instance has beside its GPUs. Null: unknown, or the row is no instance."""

    vcpus: Annotated[int, Meta(description="Virtual CPUs")]
    memory_gib: Annotated[float, Meta(description="Main memory as sold, GiB (2^30 bytes)")]
    source: str
    as_of: str
    unverified: list[str]


def _row_of(name: str, *rows: type[Struct]) -> type[Struct]:
    """A row that may be of several kinds: the fields of all of them, each null where its kind has none."""
    found: dict[str, Any] = {}
    for row in rows:
        for field in fields(row):
            found.setdefault(field.name, field.type)
    own = [("id", str), ("kind", Literal["api", "instance"])]
    found["machine"] = MachineSize
    others = [(key, kind | None, None) for key, kind in found.items() if key not in ("id", "kind")]
    return defstruct(name, [*own, *others])


PriceRow = _row_of("PriceRow", ApiPrice, Instance)


class ModelsList(Struct):
    """`homeport models list -o json`."""

    schema_version: Version
    models: list[Model]


class GpusList(Struct):
    """`homeport gpus list -o json`."""

    schema_version: Version
    gpus: list[Gpu]


class GpusShow(Struct):
    """`homeport gpus show -o json`."""

    schema_version: Version
    gpu: Gpu


class EnginesList(Struct):
    """`homeport engines list -o json`."""

    schema_version: Version
    engines: list[EngineRow]


class PricesList(Struct):
    """`homeport prices list -o json` and `prices show`: prices of API models (per million tokens) and instances."""

    schema_version: Version
    prices: list[PriceRow]  # type: ignore[valid-type]


class Setting(Struct, rename={"origin": "from"}):
    """A field of the spec, its value (null: homeport computes it), and what sets it."""

    field: str
    value: Any
    origin: Annotated[str, Meta(description="A flag, an environment variable, the file, or the default")]


class Config(Struct):
    """`homeport config -o json`."""

    schema_version: Version
    values: list[Setting]


ANSWERS: dict[str, type[Struct]] = {
    "plan": Plan,
    "config": Config,
    "status": Status,
    "doctor": Report,
    "bench": Bench,
    "size": Size,
    "size cases": SizeCase,
    "throughput": Throughput,
    "throughput cases": ThroughputCase,
    "startup": Startup,
    "startup cases": StartupCase,
    "models list": ModelsList,
    "gpus list": GpusList,
    "gpus show": GpusShow,
    "engines list": EnginesList,
    "prices list": PricesList,
    "prices show": PricesList,
    "diff": Diff,
}


def answer_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of an answer of ANSWERS."""
    import msgspec

    made = msgspec.json.schema(ANSWERS[name])
    definitions = made["$defs"]
    whole = definitions.pop(ANSWERS[name].__name__)
    if "schema_version" in whole["properties"]:
        whole["properties"]["schema_version"] |= {"const": SCHEMA_VERSION}
    return {"$schema": DIALECT, **whole, "$defs": definitions}
