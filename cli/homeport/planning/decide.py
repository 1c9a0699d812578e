"""From the best candidate to a plan of one model: every number that the documents and the bill need."""

import math
from decimal import Decimal
from typing import TYPE_CHECKING

from homeport.engines.requests import on_gpus
from homeport.engines.types import AdapterMount, Launch
from homeport.planning.candidates import Candidate, Question
from homeport.planning.choose import Verdict, idle_share
from homeport.planning.hardware import LOCAL, Offer, Placement, cloud_of, region_of
from homeport.planning.types import Considered, Decision, ModelPlan, ModelSource, NodeChoice
from homeport.planning.workload import longest_request_s, peak_to_mean
from homeport.sizing.types import Load, Performance, Settings, Start, Startup
from homeport.spec.models import Latency, ModelSpec, Target

if TYPE_CHECKING:
    from homeport.sizing.measured import Taken

WEIGHTS_DIR = "/weights"
"""Where a volume with weights is mounted in the container."""
ADAPTERS_DIR = "/adapters"
STORAGE = {"hub": "hub", "pvc": "pvc", "oci": "ssd", "object_store": "object_store", "local": "nvme"}
"""Where weights lie when the process starts, as the start-up model names it."""


def decide(
    target: Target,
    model: ModelSpec,
    source: ModelSource,
    question: Question,
    best: Verdict,
    options: tuple[Considered, ...],
    refusals: dict[str, str],
    decisions: list[Decision],
) -> ModelPlan:
    """Make the plan of the best candidate. `refusals` are GPUs that the engine does not serve, by id."""
    candidate, placed = best.candidate, best.placement
    assert placed is not None, "a candidate that works has its place"
    assert best.capacity is not None, "a candidate that works has its capacity"
    planned = best.replicas or 1
    least = planned if model.replicas.min is None and model.scaling.by == "none" else model.replicas.min
    lowest = 1 if least is None else least
    most = model.replicas.max if model.replicas.max is not None else max(planned + 1, lowest)
    fixed = model.scaling.by == "none" or lowest == most
    performance, speeds = at_peak(question, candidate, best, planned)
    startup, starts = starting(model, source, best)
    one = on_gpus(question.release.engine, candidate.gpus_per_replica // candidate.settings.nodes)
    all_options = options and (*options, *(_refused(gpu, why, candidate) for gpu, why in refusals.items()))
    return ModelPlan(
        spec=model,
        source=source,
        engine=question.release,
        image=model.image or question.release.image,
        launch=launch(model, source, candidate.settings),
        settings=candidate.settings,
        gpu=candidate.gpu,
        precision=candidate.precision.label,
        kv_cache_dtype=question.kv_cache_dtype,
        gpus_per_replica=candidate.gpus_per_replica,
        nodes_per_replica=candidate.settings.nodes,
        replicas_min=lowest,
        replicas_max=planned if model.scaling.by == "none" else most,
        replicas_planned=planned,
        fixed_replicas=fixed,
        nodes=nodes(target, candidate, placed),
        node_count=placed.node_count,
        idle_gpus=placed.idle_gpus,
        usd_per_month=placed.usd_per_month,
        memory=best.memory,
        performance=performance,
        capacity=best.capacity,
        peak_requests_per_s=question.peak_requests_per_s,
        startup=startup,
        cpu_request=str(one.cpus),
        memory_request_gib=one.processes_gib,
        considered=all_options or (),
        decisions=(*decisions, *_decisions(target, model, question, candidate, placed, planned)),
        warnings=_warnings(target, source, question, candidate, placed, performance),
        measured=(*best.taken, *speeds, *starts),
    )


def _refused(gpu: str, why: str, candidate: Candidate) -> Considered:
    return Considered(
        gpu=gpu,
        precision=candidate.precision.label,
        tensor_parallel_size=1,
        pipeline_parallel_size=1,
        replicas=None,
        usd_per_month=None,
        chosen=False,
        reason=why,
    )


def at_peak(
    question: Question, candidate: Candidate, best: Verdict, replicas: int
) -> "tuple[Performance, tuple[Taken, ...]]":
    """What one replica does when the peak is spread over `replicas`: requests in flight by Little's law.

    Also what of it was taken from measured runs.
    """
    assert best.capacity is not None, "asked only of candidates that work"
    work = question.spec.workload
    rate = question.peak_requests_per_s / replicas
    concurrency = best.capacity.concurrency
    result = best.capacity.performance
    taken: tuple[Taken, ...] = ()
    for _ in range(4):
        seconds = ((result.ttft_ms or 0.0) + (result.tpot_ms or 0.0) * work.output_tokens) / 1000
        settled = min(best.capacity.concurrency, max(1, math.ceil(rate * seconds)))
        load = Load(input_tokens=work.input_tokens, output_tokens=work.output_tokens, concurrency=settled)
        result, taken = _under(question, candidate, best, load)
        if settled == concurrency:
            break
        concurrency = settled
    return result, taken


def _under(
    question: Question, candidate: Candidate, best: Verdict, load: Load
) -> "tuple[Performance, tuple[Taken, ...]]":
    arch, tokens = question.architecture, best.memory.kv_cache_tokens
    if best.correction is None:
        from homeport.sizing.throughput import predict

        return predict(arch, candidate.gpu, candidate.settings, load, tokens), ()
    from homeport.sizing.measured import perform

    return perform(arch, candidate.gpu, candidate.settings, load, tokens, best.correction.trends)


def starting(model: ModelSpec, source: ModelSource, best: Verdict) -> "tuple[Startup, tuple[Taken, ...]]":
    """Seconds until a replica is ready, with the weights where the spec says that they lie; and what was measured of it."""
    from homeport.sizing.startup import predict_startup

    plain = predict_startup(
        source.architecture,
        best.candidate.gpu,
        best.candidate.settings,
        Start(storage=STORAGE[model.weights.source], weights_gib_total=source.weight_bytes / 2**30),
    )
    if best.correction is None or best.correction.start is None:
        return plain, ()
    from homeport.sizing import measured

    made, taken = measured.startup(plain, best.correction.start)
    return made, (taken,)


def launch(model: ModelSpec, source: ModelSource, chosen: Settings) -> Launch:
    """What the engine is asked to run. Weights on a volume are mounted at `WEIGHTS_DIR`, adapters at `ADAPTERS_DIR`."""
    on_volume = model.weights.source != "hub"
    return Launch(
        model=WEIGHTS_DIR if on_volume else source.checkpoint,
        served_name=model.name,
        revision=None if on_volume else model.weights.revision,
        tensor_parallel_size=chosen.tensor_parallel_size,
        pipeline_parallel_size=chosen.pipeline_parallel_size,
        nodes=chosen.nodes,
        max_model_len=chosen.max_model_len or source.context_tokens,
        weight_dtype=chosen.weight_dtype,
        quantization=chosen.quantization,
        kv_cache_dtype=chosen.kv_cache_dtype,
        memory_fraction=chosen.gpu_memory_utilization,
        max_num_seqs=chosen.max_num_seqs,
        max_num_batched_tokens=chosen.max_num_batched_tokens,
        adapters=tuple(
            AdapterMount(
                name=a.name,
                path=WEIGHTS_DIR + a.source if a.source.startswith("/") else f"{ADAPTERS_DIR}/{a.name}",
                rank=a.rank,
            )
            for a in model.adapters
        ),
        api_key_env=model.api_key is not None,
        offline=on_volume,
        longest_request_s=longest_request_s(model),
        extra_args=model.extra_args,
    )


def nodes(target: Target, candidate: Candidate, placed: Placement) -> NodeChoice:
    """The nodes that replicas run on. On a cloud every type with as many of the GPU at about the price is allowed."""
    offer = placed.offer
    allowed: tuple[str, ...] = ()
    if cloud_of(target) and offer.instance is not None:
        allowed = tuple(
            dict.fromkeys(
                o.instance.instance_type
                for o in (offer, *candidate.offers)
                if o.instance is not None and o.gpus == offer.gpus and _costs_alike(o, offer)
            )
        )
    return NodeChoice(
        instance=offer.instance,
        gpus_per_node=offer.gpus,
        instance_types=allowed,
        region=_region(target, offer),
        price=offer.price,
        machine=offer.machine,
        refused=candidate.refused,
    )


ALIKE = Decimal("1.25")
"""A node may cost a quarter more than the one that the bill counts with: other sizes of CPU and memory, no more."""


def _costs_alike(other: Offer, chosen: Offer) -> bool:
    mine, its = chosen.usd_per_hour, other.usd_per_hour
    return mine is None or its is None or its <= mine * ALIKE


def _region(target: Target, offer: Offer) -> str | None:
    """Where the nodes run: the target's own region on a cloud, else where the assumed price comes from."""
    return region_of(target) or (offer.instance.region if offer.instance else None)


def _decisions(
    target: Target,
    model: ModelSpec,
    question: Question,
    candidate: Candidate,
    placed: Placement,
    planned: int,
) -> list[Decision]:
    made: list[Decision] = []

    def add(field: str, value: object, because: str, *, assumption: bool = False) -> None:
        made.append(Decision(field=field, value=str(value), because=because, assumption=assumption))

    if model.workload.peak_to_mean is None:
        profile = model.workload.day_profile is not None
        add(
            "workload.peak_to_mean",
            f"{peak_to_mean(model.workload):g}",
            "that of the day profile's busiest hour" if profile else "assumed: nothing was said",
            assumption=not profile,
        )
    if model.latency == Latency():
        limits = model.latency
        add(
            "latency",
            f"{limits.ttft_ms:g} ms to the first token, {limits.tpot_ms:g} ms a token",
            "assumed: nothing was said",
            assumption=True,
        )
    if cloud_of(target) and target.region is None:
        add("target.region", region_of(target), f"the default of {target.platform}")
    if model.engine_version is None:
        add(
            "engine_version",
            question.release.version,
            f"the newest {question.release.engine} that homeport knows",
        )
    if model.precision is None:
        add("precision", candidate.precision.label, "the checkpoint's own")
    if model.gpu is None or model.tensor_parallel_size is None:
        add(
            "gpu",
            f"{candidate.gpus_per_replica} x {candidate.gpu.id}",
            "the cheapest that fits and holds the latency limits",
        )
    if model.gpu_memory_utilization is None and candidate.settings.gpu_memory_utilization is not None:
        add(
            "gpu_memory_utilization",
            candidate.settings.gpu_memory_utilization,
            f"the default of {question.release.engine} {question.release.version}",
        )
    if model.replicas.max is None and model.scaling.by != "none":
        add("replicas.max", planned + 1, "planned + 1, so that there is something to scale")
    if placed.offer.machine is None:
        name = (
            placed.offer.instance.instance_type if cloud_of(target) and placed.offer.instance else "the nodes"
        )
        add(
            "room on a node", "unknown", f"CPUs and memory of {name} are not known: none was refused for them"
        )
    if placed.offer.price and placed.offer.price.assumed:
        add(
            "price",
            f"${placed.offer.price.usd_per_hour} a node and hour",
            placed.offer.price.assumed,
            assumption=True,
        )
    return made


def _warnings(
    target: Target,
    source: ModelSource,
    question: Question,
    candidate: Candidate,
    placed: Placement,
    performance: Performance,
) -> tuple[str, ...]:
    found: list[str] = []
    if question.release.legacy:
        found.append(question.release.legacy)
    if source.gated and question.spec.weights.source in ("hub", "pvc") and question.spec.hub_token is None:
        found.append(
            f"{source.checkpoint} is gated: accept its licence on the Hub, create a Secret with a token, and name it "
            "in hub_token"
        )
    if target.platform in LOCAL:
        found.append(f"{target.platform} has no GPU unless you pass one through to its node")
    if idle := idle_share(placed):
        found.append(idle)
    if not performance.measured_gpu:
        found.append(f"{candidate.gpu.id} was never measured: its speed is an estimate with a wider interval")
    if candidate.settings.nodes > 1:
        found.append(
            "a replica spans nodes: they talk over TCP unless the cluster's fabric (EFA, RDMA) is set up, so expect less"
        )
    if candidate.precision.on_load:
        found.append(
            f"{candidate.precision.label} is made on load, its effect on answers is unknown here: measure yours"
        )
    if source.checkpoint != source.id and source.architecture.quantization is not None:
        found.append(
            f"{source.checkpoint} is a quantised checkpoint, its effect on answers is unknown here: measure yours"
        )
    if source.licence is None:
        found.append(f"the licence of {source.id} is not known here: read it before you serve it")
    elif "licence" in source.unverified:
        found.append(
            f"licence {source.licence or 'unknown'} of {source.id} is unverified: read it before you serve it"
        )
    return tuple(found)
