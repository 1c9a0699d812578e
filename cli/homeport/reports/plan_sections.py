"""The sections that a plan answers: memory of one GPU, the considered options, and the plan in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from homeport.costs.lines import billed
from homeport.planning.types import Considered, ModelPlan, Plan
from homeport.reports.bars import Piece, stack
from homeport.reports.sources import Sources, cells
from homeport.reports.types import Chart, Column, Part, Row, Section, Table
from homeport.reports.words import count, duration, milliseconds, several, usd, usd_exact
from homeport.sizing.types import Memory

SHOWN = 10
"""Options that work and stand in the table; the rest can be unfolded."""
MANY = 5
"""Models planned differently, above which a report has only the nearest options of each: a page has to open."""
LISTED = "The nearest stand here; homeport plan --all lists every one."


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Models of a fleet whose plans differ in their name only; `model` is the first, as it is billed."""

    names: tuple[str, ...]
    model: ModelPlan


def groups(plan: Plan) -> list[Group]:
    """Return the models of a plan, those that are planned alike together, in the plan's order."""
    found: list[tuple[ModelPlan, list[str], ModelPlan]] = []
    for model in plan.models:
        spec = msgspec.structs.replace(model.spec, name="model")
        launch = msgspec.structs.replace(model.launch, served_name="model")
        nameless = msgspec.structs.replace(model, spec=spec, launch=launch)
        for known, names, _ in found:
            if known.spec == nameless.spec and known == nameless:
                names.append(model.spec.name)
                break
        else:
            found.append((nameless, [model.spec.name], model))
    return [Group(names=tuple(names), model=billed(model)) for _, names, model in found]


def memory(grouped: Sequence[Group]) -> Section | None:
    """One GPU's memory as a bar, for each kind of replica; None where no GPU is used."""
    parts = [
        Part(
            title=f"{several(group.names)}: {group.model.gpu.id}" if len(grouped) > 1 else "",
            says=(_memory_says(group.model, group.model.memory),),
            charts=(_memory_chart(group.model, group.model.memory),),
            tables=(_memory_table(group.model, group.model.memory),),
        )
        for group in grouped
        if group.model.memory is not None and group.model.gpu is not None
    ]
    if not parts:
        return None
    return Section(id="memory", question="What fills the memory of one GPU?", parts=tuple(parts))


def _pieces(memory: Memory) -> Iterator[Piece]:
    yield Piece(name="weights", gib=memory.weights_gib, style="weights")
    if memory.adapters_gib:
        yield Piece(name="adapters", gib=memory.adapters_gib, style="adapters")
    yield Piece(name="activation", gib=memory.activation_gib, style="activation")
    yield Piece(name="runtime and graphs", gib=memory.non_torch_gib + memory.cuda_graph_gib, style="runtime")
    yield Piece(name="KV cache", gib=memory.kv_cache_gib, style="kv")
    left = memory.usable_gib - memory.total_gib
    if left > 0:
        yield Piece(name="left free", gib=left, style="left")


def _memory_chart(model: ModelPlan, memory: Memory) -> Chart:
    assert model.gpu is not None
    return stack(
        f"Memory of one {model.gpu.id}, GiB",
        "; ".join(f"{piece.name} {piece.gib:.1f} GiB" for piece in _pieces(memory))
        + f"; of {memory.usable_gib:.1f} GiB that the engine sees.",
        list(_pieces(memory)),
        memory.usable_gib,
        "GiB",
    )


def _memory_table(model: ModelPlan, memory: Memory) -> Table:
    assert model.gpu is not None
    return Table(
        caption=f"Memory of one {model.gpu.id}, the fullest of a replica",
        folded=True,
        columns=(Column(title="Part"), Column(title="GiB", number=True), Column(title="Share", number=True)),
        rows=(
            *(
                Row(cells=cells(p.name, f"{p.gib:,.2f}", f"{p.gib / memory.usable_gib:.0%}"))
                for p in _pieces(memory)
            ),
            Row(cells=cells("All that the engine sees", f"{memory.usable_gib:,.2f}", "100%"), kind="total"),
        ),
    )


def _memory_says(model: ModelPlan, memory: Memory) -> str:
    assert model.gpu is not None
    return (
        f"{memory.weights_gib:.1f} GiB of weights on each {model.gpu.id} leave {memory.kv_cache_gib:.1f} GiB for the KV "
        f"cache: {memory.kv_cache_tokens:,} tokens of all requests that are in flight on a replica."
    )


def options(grouped: Sequence[Group]) -> Section | None:
    """The options that were looked at, with the reason; None where there was nothing to choose.

    All of them, but of a fleet of many different models only the nearest of each.
    """
    with_all = len(grouped) <= MANY
    parts = [
        Part(
            title=several(group.names) if len(grouped) > 1 else "",
            says=(_options_say(group.model),) if with_all else (_options_say(group.model), LISTED),
            tables=(_options_table(group, with_all=with_all),),
        )
        for group in grouped
        if group.model.considered
    ]
    if not parts:
        return None
    return Section(id="options", question="What else was considered?", parts=tuple(parts))


def _works(option: Considered) -> bool:
    return option.chosen or option.usd_per_month is not None or option.replicas is not None


def _options_say(model: ModelPlan) -> str:
    working = sum(_works(option) for option in model.considered)
    failing = len(model.considered) - working
    said = f"{count(working, 'option')} would work" if working != 1 else "One option works"
    return f"{said}; {failing:,} do not, and the reason stands at each." if failing else f"{said}."


def _options_table(group: Group, *, with_all: bool) -> Table:
    considered = group.model.considered
    works = [c for c in considered if _works(c)]
    shown = [*works[:SHOWN], *_nearest_failures(considered)]
    rest = [c for c in considered if with_all and not any(c is one for one in shown)]
    return Table(
        caption=f"Options for {several(group.names)}; the chosen one is marked",
        columns=(
            Column(title="GPUs of a replica"),
            Column(title="Precision"),
            Column(title="Parallel"),
            Column(title="Replicas", number=True),
            Column(title="$ a month", number=True),
            Column(title="Why, or why not"),
        ),
        rows=tuple(_option(c) for c in shown),
        more=tuple(_option(c) for c in rest),
        more_title=count(len(rest), "more option"),
    )


def _nearest_failures(considered: Sequence[Considered]) -> list[Considered]:
    """Return the first option that failed of each of a few GPUs."""
    found: dict[str, Considered] = {}
    for option in considered:
        if not _works(option):
            found.setdefault(option.gpu, option)
    return list(found.values())[:5]


def _option(option: Considered) -> Row:
    size = option.tensor_parallel_size * option.pipeline_parallel_size
    parallel = f"tensor {option.tensor_parallel_size}"
    if option.pipeline_parallel_size > 1:
        parallel += f", pipeline {option.pipeline_parallel_size}"
    return Row(
        cells=cells(
            f"{'✔ ' if option.chosen else ''}{size} × {option.gpu}",
            option.precision,
            parallel,
            "" if option.replicas is None else f"{option.replicas:,}",
            "" if option.replicas is None else usd_exact(option.usd_per_month),
            f"{'chosen: ' if option.chosen else ''}{option.reason}",
        ),
        kind="chosen" if option.chosen else "",
    )


def plan_in_words(grouped: Sequence[Group], plan: Plan, sources: Sources) -> Section:
    """What runs where, and why, in sentences; then every decision."""
    parts = []
    for group in grouped:
        decided = [d for d in group.model.decisions if not d.assumption]
        table = Table(
            caption=f"Decided for {several(group.names)}",
            columns=(Column(title="What"), Column(title="Value"), Column(title="Because")),
            rows=tuple(Row(cells=cells(d.field, d.value, d.because)) for d in decided),
        )
        parts.append(
            Part(
                title=several(group.names) if len(grouped) > 1 else "",
                says=tuple(_words(group, plan, sources)),
                tables=(table,) if decided else (),
            )
        )
    return Section(id="plan", question="What would run, and where?", parts=tuple(parts))


def _words(group: Group, plan: Plan, sources: Sources) -> Iterator[str]:
    model = group.model
    who = several(group.names)
    each = " each" if len(group.names) > 1 else ""
    precision = f"in {model.precision} " if model.gpu else ""
    yield (
        f"{who}: {model.source.id} {precision}on {model.engine.engine} {model.engine.version}{each}, up to "
        f"{model.launch.max_model_len:,} tokens a request."
    )
    simulated = [m.spec.name for m in plan.models if m.stands_for is not None and m.spec.name in group.names]
    if simulated:
        yield "On this target it is simulated; the plan below is of the real GPUs that stand behind it."
    most = "fixed" if model.fixed_replicas else f"at most {model.replicas_max:,}"
    replicas = f"{count(model.replicas_planned, 'replica')}{each} ({most})"
    if model.gpu is None:
        yield f"No GPU is used: {replicas}."
    else:
        settings = model.settings
        layout = f"tensor parallel {settings.tensor_parallel_size}"
        if settings.pipeline_parallel_size > 1:
            layout += f", pipeline parallel {settings.pipeline_parallel_size}"
        over = f", over {model.nodes_per_replica} nodes" if model.nodes_per_replica > 1 else ""
        yield f"One replica takes {model.gpus_per_replica} × {model.gpu.id} ({layout}{over}); {replicas}."
    if model.nodes is not None:
        yield _nodes(model, sources)
    if model.performance is not None and model.capacity is not None:
        limits = model.spec.latency
        yield (
            f"At the peak of {model.peak_requests_per_s:,.2f} requests a second the first token comes after "
            f"{milliseconds(model.performance.ttft_ms)} (limit {limits.ttft_ms:,.0f} ms) and each further one after "
            f"{milliseconds(model.performance.tpot_ms)} (limit {limits.tpot_ms:,.0f} ms). One replica carries "
            f"{model.capacity.requests_per_s:,.2f} requests a second, {model.capacity.concurrency:,} in flight."
        )
    if model.startup is not None:
        low, high = model.startup.ready_s_interval
        yield (
            f"A new replica is ready after {duration(model.startup.ready_s)} ({duration(low)} to {duration(high)})."
        )


def _nodes(model: ModelPlan, sources: Sources) -> str:
    nodes = model.nodes
    assert nodes is not None
    name = nodes.instance.instance_type if nodes.instance else f"node of {nodes.gpus_per_node} GPUs"
    place = f" in {nodes.region}" if nodes.region else ""
    if nodes.price is None:
        return f"It runs on {model.node_count} × {name}{place}; the price is unknown."
    cited = sources.cite(None, nodes.price.source, nodes.price.as_of)
    kind = "spot" if nodes.price.capacity == "spot" else "on demand"
    return (
        f"It runs on {model.node_count} × {name}{place} at {usd(nodes.price.usd_per_hour)} an hour {kind} "
        f"(price of {nodes.price.as_of}, source {cited[0]})."
    )
