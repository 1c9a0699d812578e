"""Every step of a plan as formulas with their numbers filled in, and where each number comes from."""

import math

import msgspec

from homeport.catalog.types import Machine
from homeport.engines.requests import on_gpus
from homeport.planning.decide import STORAGE
from homeport.planning.hardware import HOURS_A_MONTH
from homeport.planning.room import DAEMON_CPUS, DAEMON_GIB, RESERVED_SOURCE, allocatable, room
from homeport.planning.scaling import scaling
from homeport.planning.scaling_types import terms
from homeport.planning.types import ModelPlan
from homeport.planning.workload import SECONDS_A_DAY, peak_to_mean
from homeport.sizing.types import Load, Start, Term
from homeport.text import counted


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """One part of the explanation."""

    title: str
    terms: tuple[Term, ...]


def explain(model: ModelPlan) -> tuple[Section, ...]:
    """Explain the numbers of one model: peak, memory, speed, replicas, start-up, scaling, cost.

    Where no GPU is used, only the scaling has numbers.
    """
    real = model.stands_for or model
    if real.gpu is None or real.memory is None or real.capacity is None:
        return _scaling(model)
    from homeport.sizing.memory import explain_memory
    from homeport.sizing.startup import explain_startup
    from homeport.sizing.throughput import explain_performance

    arch, work = real.source.architecture, real.spec.workload
    load = Load(
        input_tokens=work.input_tokens,
        output_tokens=work.output_tokens,
        concurrency=real.capacity.concurrency,
    )
    start = Start(
        storage=STORAGE[real.spec.weights.source], weights_gib_total=real.source.weight_bytes / 2**30
    )
    before = ", before what was measured" if real.measured else ""
    return (
        *_measured(real),
        Section(
            title=f"Memory of one GPU{before}", terms=tuple(explain_memory(arch, real.gpu, real.settings))
        ),
        Section(
            title=f"Speed of one replica at its largest load within the limits{before}",
            terms=tuple(
                explain_performance(arch, real.gpu, real.settings, load, real.memory.kv_cache_tokens)
            ),
        ),
        Section(title="Replicas", terms=tuple(_replicas(real))),
        Section(title="Room on a node, beside its GPUs", terms=tuple(_room(real))),
        Section(
            title=f"Start-up{before}", terms=tuple(explain_startup(arch, real.gpu, real.settings, start))
        ),
        *_scaling(model),
        Section(title="Cost", terms=tuple(_cost(real))),
    )


def _scaling(model: ModelPlan) -> tuple[Section, ...]:
    """What the autoscaler is told; nothing where the number of replicas is fixed."""
    made = scaling(model)
    if made is None:
        return ()
    by = "KEDA" if made.by == "keda" else "a HorizontalPodAutoscaler"
    title = f"Scaling by {by}, {made.least} to {made.most} replicas"
    return (Section(title=title, terms=terms(made)),)


def _measured(model: ModelPlan) -> tuple[Section, ...]:
    """What was measured next to what was predicted, of each figure that runs changed."""
    if not model.measured:
        return ()
    terms = tuple(
        Term(
            name=taken.figure,
            formula=f"predicted {taken.predicted:,.4g} {taken.unit} x {taken.used / taken.predicted:.3f}"
            if taken.predicted
            else "predicted 0",
            value=taken.used,
            unit=taken.unit,
            source=f"{model.measurements}: {taken.how}",
        )
        for taken in model.measured
    )
    return (Section(title="Measured against predicted", terms=terms),)


def _replicas(model: ModelPlan) -> list[Term]:
    work = model.spec.workload
    assert model.capacity is not None
    needed = max(1, math.ceil(model.peak_requests_per_s / model.capacity.requests_per_s - 1e-9))
    return [
        Term(
            name="peak",
            formula=f"{work.requests_per_day:,.0f} requests a day / {SECONDS_A_DAY:,} s x peak_to_mean {peak_to_mean(work):g}",
            value=model.peak_requests_per_s,
            unit="requests/s",
            source="the spec's workload",
        ),
        Term(
            name="one replica",
            formula=f"{model.capacity.concurrency} requests in flight, then limited by {model.capacity.limited_by}",
            value=model.capacity.requests_per_s,
            unit="requests/s",
            source="the speed above, within the latency limits",
        ),
        Term(
            name="planned replicas",
            formula=f"max(ceil({model.peak_requests_per_s:.3g} / {model.capacity.requests_per_s:.3g}) = {needed}, "
            f"least {max(1, model.replicas_min)})",
            value=model.replicas_planned,
            unit="replicas",
            source="the two rates above",
        ),
    ]


def _room(model: ModelPlan) -> list[Term]:
    """What the pods on one node ask for, and what the node has left for them where its size is known."""
    nodes = model.nodes
    if nodes is None:
        return []
    gpus = model.gpus_per_replica // model.nodes_per_replica
    one = on_gpus(model.engine.engine, gpus)
    pods = max(1, nodes.gpus_per_node // model.gpus_per_replica)
    count = counted(pods, "pod")
    terms = [
        Term(
            name="CPUs asked for",
            formula=f"{count} x {one.cpus}",
            value=pods * one.cpus,
            unit="CPUs",
            source="assumption: one a GPU and one beside",
        ),
        Term(
            name="memory asked for",
            formula=f"{count} x ({one.processes_gib} for the processes + {one.shm_gib} for /dev/shm)",
            value=pods * one.memory_gib,
            unit="GiB",
            source=f"assumption: 4 a GPU and 4 beside; {model.engine.engine}'s own documents on /dev/shm",
        ),
    ]
    if nodes.machine is not None:
        terms += _left(nodes.machine)
    return terms


def _left(machine: Machine) -> list[Term]:
    given, left = allocatable(machine.vcpus, machine.memory_gib), room(machine)
    mark = " (unverified)" if machine.unverified else ""
    source = f"{machine.source}, {machine.as_of}{mark}; reserved: {RESERVED_SOURCE}; daemons: assumption"
    sources = {"CPUs": source, "memory": "the same"}
    return [
        Term(
            name=f"{what} left for pods",
            formula=f"{has:g} of {machine.instance_type} - {has - rest:.2f} reserved - {daemons:g} for the node's daemons",
            value=value,
            unit=unit,
            source=sources[what],
        )
        for what, has, rest, daemons, value, unit in (
            ("CPUs", machine.vcpus, given.cpus, DAEMON_CPUS, left.cpus, "CPUs"),
            ("memory", machine.memory_gib, given.memory_gib, DAEMON_GIB, left.memory_gib, "GiB"),
        )
    ]


def _cost(model: ModelPlan) -> list[Term]:
    nodes = model.nodes
    if nodes is None or nodes.price is None or model.usd_per_month is None:
        return []
    name = nodes.instance.instance_type if nodes.instance else f"node of {nodes.gpus_per_node} GPUs"
    assumed = f"; assumed: {nodes.price.assumed}" if nodes.price.assumed else ""
    return [
        Term(
            name="nodes",
            formula=f"{counted(model.replicas_planned, 'replica')} x {counted(model.gpus_per_replica, 'GPU')}, "
            f"{counted(nodes.gpus_per_node, 'GPU')} a node",
            value=model.node_count,
            unit=f"x {name}",
            source="whole instances are billed",
        ),
        Term(
            name="a month",
            formula=f"{model.node_count} x ${nodes.price.usd_per_hour} an hour x {HOURS_A_MONTH} h",
            value=float(model.usd_per_month),
            unit="USD",
            source=", ".join(part for part in (nodes.price.source, nodes.price.as_of) if part) + assumed,
        ),
    ]
