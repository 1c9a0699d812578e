"""How a plan looks on a terminal."""

import shutil
from typing import TYPE_CHECKING

from homeport.commands.output import Output, table
from homeport.planning.explain import explain
from homeport.planning.scaling_types import Reasoned
from homeport.planning.types import Considered, Fallback, ModelPlan, Plan

if TYPE_CHECKING:
    from homeport.sizing.measured import Taken

SHOWN = 10
"""Options that stand in the table unless --all is given."""
COUNTED = ("replicas", "readings")
"""Units that lose their s beside a 1."""
BAR = 44
"""Width of the memory bar."""


def view(plan: Plan, out: Output, *, explain: bool, show_all: bool) -> str:
    """Lay out the whole plan: each model's choice, one GPU's memory, the options, warnings and assumptions."""
    parts = [_model(model, plan, out, with_steps=explain, show_all=show_all) for model in plan.models]
    if len(plan.models) > 1:
        parts.append(_pools(plan, out))
    parts.append("\n".join(f"{out.style('!', fg='yellow', bold=True)} {text}" for text in plan.warnings))
    return "\n\n".join(part for part in parts if part)


def _model(model: ModelPlan, plan: Plan, out: Output, *, with_steps: bool, show_all: bool) -> str:
    real = model.stands_for or model
    lines = [headline(model, out)]
    if model.stands_for is not None:
        lines.append(_dim(out, f"simulated here; on real GPUs it stands for: {_where(real)}"))
    lines += ["", *_facts(real, out)]
    if real.considered:
        lines += ["", _options(real.considered, out, show_all=show_all)]
    warnings = [*model.warnings, *(real.warnings if real is not model else ())]
    lines += (
        ["", *(f"{out.style('!', fg='yellow', bold=True)} {text}" for text in warnings)] if warnings else []
    )
    assumed = [d for d in model.decisions if d.assumption] + (
        [d for d in real.decisions if d.assumption and d.field == "price"] if real is not model else []
    )
    if assumed and not with_steps:
        lines += ["", *(f"* {d.field} {d.value}: {d.because}" for d in assumed)]
        lines.append(_dim(out, "`--explain` shows every step"))
    if with_steps:
        lines += ["", _steps(model, plan, out)]
    return "\n".join(lines)


def headline(model: ModelPlan, out: Output) -> str:
    """Say in a line what a model runs on, and the month's cost of its nodes."""
    name = out.style(model.spec.name, bold=True)
    if model.gpu is None:
        engine = f"{model.engine.engine} {model.engine.version}"
        return f"{name}  {model.source.id} on {engine}, no GPU, {_replicas(model)}"
    return f"{name}  {model.source.id} on {_where(model)}"


def _where(model: ModelPlan) -> str:
    assert model.gpu is not None
    gpus = f"{model.gpus_per_replica} × {model.gpu.id}"
    if model.nodes_per_replica > 1:
        gpus += f" ({model.nodes_per_replica} nodes)"
    cost = "price unknown" if model.usd_per_month is None else f"${model.usd_per_month:,.0f} a month"
    star = "*" if any(d.assumption for d in model.decisions) else ""
    return f"{gpus}, {_replicas(model)}: {cost}{star}"


def _replicas(model: ModelPlan) -> str:
    count = "one replica" if model.replicas_planned == 1 else f"{model.replicas_planned:,} replicas"
    return f"{count} (fixed)" if model.fixed_replicas else f"{count} (at most {model.replicas_max:,})"


def _facts(model: ModelPlan, out: Output) -> list[str]:
    settings = model.settings
    parallel = f"tensor parallel {settings.tensor_parallel_size}"
    if settings.pipeline_parallel_size > 1:
        parallel += f", pipeline parallel {settings.pipeline_parallel_size}"
    runs = [f"{model.engine.engine} {model.engine.version}", model.precision]
    if model.gpu is not None:
        runs.append(parallel)
    runs.append(f"{model.launch.max_model_len:,} tokens")
    rows = [("runs", " · ".join(runs))]
    if model.nodes is not None:
        name = (
            model.nodes.instance.instance_type
            if model.nodes.instance
            else f"{model.nodes.gpus_per_node} GPUs a node"
        )
        price = f" at ${model.nodes.price.usd_per_hour:,.2f} an hour" if model.nodes.price else ""
        place = f" in {model.nodes.region}" if model.nodes.region else ""
        rows.append(("nodes", f"{model.node_count} × {name}{place}{price}"))
    if model.memory is not None:
        bar, legend = memory_bar(model, out)
        rows += [("one GPU", bar), ("", legend)]
    if model.performance is not None and model.capacity is not None:
        rows.append(("serves", _serves(model)))
        if likely := _likely(model):
            rows.append(("", likely))
    if model.startup is not None:
        rows.append(("ready in", _ready(model)))
    if model.measured:
        lines = [_taken(taken) for taken in model.measured]
        rows += [("measured", f"{lines[0]}, {model.measurements}"), *(("", line) for line in lines[1:])]
    width = max(len(name) for name, _ in rows)
    return [f"{_dim(out, name.ljust(width))}  {text}" for name, text in rows]


def memory_bar(model: ModelPlan, out: Output) -> tuple[str, str]:
    """Draw one GPU's memory as a bar of blocks, and its legend in GiB."""
    memory = model.memory
    assert memory is not None
    other = memory.non_torch_gib + memory.cuda_graph_gib
    used = memory.weights_gib + memory.adapters_gib + memory.activation_gib + other + memory.kv_cache_gib
    parts = [
        ("weights", memory.weights_gib, "█", "blue"),
        *([("adapters", memory.adapters_gib, "▆", "cyan")] if memory.adapters_gib else []),
        ("activation", memory.activation_gib, "▓", "magenta"),
        ("other", other, "▒", "yellow"),
        ("KV cache", memory.kv_cache_gib, "▚", "green"),
        ("left", max(0.0, memory.usable_gib - used), "·", "bright_black"),
    ]
    bar, filled, reached = "", 0, 0.0
    for _, gib, block, color in parts:
        reached += gib
        width = round(BAR * min(1.0, reached / memory.usable_gib)) - filled
        filled += width
        bar += out.style(block * width, fg=color)
    legend = "   ".join(f"{out.style(block, fg=color)} {name} {gib:.1f}" for name, gib, block, color in parts)
    return f"{bar} {memory.usable_gib:.1f} GiB", legend


def _serves(model: ModelPlan) -> str:
    performance, capacity, memory = model.performance, model.capacity, model.memory
    assert performance is not None
    assert capacity is not None
    limits = model.spec.latency
    tokens = f", {memory.kv_cache_tokens:,} KV tokens" if memory else ""
    return (
        f"{model.peak_requests_per_s:,.2f} requests/s at the peak: TTFT {_ms(performance.ttft_ms)} (limit "
        f"{limits.ttft_ms:,.0f}), {_ms(performance.tpot_ms)} a token (limit {limits.tpot_ms:,.0f}); a replica holds "
        f"{capacity.requests_per_s:,.2f} requests/s, {capacity.concurrency:,} in flight{tokens}"
    )


def _likely(model: ModelPlan) -> str:
    """Say in what range nine of ten measured set-ups lie, as far from their predictions."""
    performance = model.performance
    assert performance is not None
    parts = [
        f"{low:,.0f} to {high:,.0f} ms {what}"
        for what, interval in (
            ("to the first token", performance.ttft_ms_interval),
            ("a token", performance.tpot_ms_interval),
        )
        if interval is not None
        for low, high in [interval]
    ]
    return f"nine in ten lie within {', '.join(parts)}" if parts else ""


def _ms(value: float | None) -> str:
    return "unknown" if value is None else f"{value:,.0f} ms"


def _ready(model: ModelPlan) -> str:
    startup = model.startup
    assert startup is not None
    steps = [
        (name, seconds)
        for name, seconds in (
            ("download", startup.download_s),
            ("load", startup.weights_load_s),
            ("compile", startup.compile_s),
            ("graphs", startup.cuda_graph_capture_s),
            ("rest", startup.rest_s),
        )
        if seconds
    ]
    parts = ", ".join(f"{name} {seconds:,.0f}" for name, seconds in steps)
    low, high = startup.ready_s_interval
    return f"{duration(startup.ready_s)} ({duration(low)} to {duration(high)})" + (
        f": {parts} s" if parts else ""
    )


NAMES = {
    "ttft_ms": "TTFT",
    "tpot_ms": "a token",
    "output_tokens_per_s": "output",
    "kv_cache_tokens": "KV cache",
    "weights_gib_per_gpu": "weights",
    "ready_s": "ready in",
}


def _taken(taken: "Taken") -> str:
    """One figure that runs changed: what is used, what was predicted, and what it rests on."""
    digits = 1 if taken.used < 100 else 0

    def figure(value: float, interval: tuple[float, float] | None) -> str:
        text = f"{value:,.{digits}f}"
        return f"{text} ({interval[0]:,.{digits}f} to {interval[1]:,.{digits}f})" if interval else text

    return (
        f"{NAMES[taken.figure]} {figure(taken.used, taken.used_interval)} {taken.unit}, "
        f"predicted {figure(taken.predicted, taken.predicted_interval)}: {taken.how}"
    )


def duration(seconds: float) -> str:
    """Write seconds as a person says them."""
    if seconds < 90:
        return f"{seconds:,.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if rest and minutes < 10 else f"{minutes} min"


def _options(considered: tuple[Considered, ...], out: Output, *, show_all: bool) -> str:
    working = [c for c in considered if c.chosen or c.usd_per_month is not None or c.replicas is not None]
    failing = [c for c in considered if c not in working]
    shown = considered if show_all else (*_first_of_each(working)[:SHOWN], *_nearest_failures(failing))
    rows = [
        (
            "✔" if c.chosen else "",
            f"{c.tensor_parallel_size * c.pipeline_parallel_size} × {c.gpu}",
            c.precision,
            f"tp {c.tensor_parallel_size}"
            + (f" pp {c.pipeline_parallel_size}" if c.pipeline_parallel_size > 1 else ""),
            "-" if c.replicas is None else str(c.replicas),
            "-"
            if c.replicas is None
            else ("unknown" if c.usd_per_month is None else f"{c.usd_per_month:,.0f}"),
            c.reason + ("; corrected by measured runs" if c.measured else ""),
        )
        for c in shown
    ]
    text = table(
        ("", "considered", "", "", "replicas", "$ a month", ""), rows, (4, 5), lambda line: _dim(out, line)
    )
    text = "\n".join(_fit(line) for line in text.splitlines())
    left = len(considered) - len(shown)
    return f"{text}\n{_dim(out, f'and {left} more: --all lists them')}" if left > 0 else text


def _first_of_each(working: list[Considered]) -> list[Considered]:
    """All options as chosen, and of each other precision or checkpoint, which nobody asked for, the first."""
    chosen = next((c.precision for c in working if c.chosen), None)
    kept: dict[object, Considered] = {}
    for option in working:
        own = option.checkpoint is None and option.precision == chosen
        kept.setdefault(id(option) if own else (option.precision, option.checkpoint), option)
    return list(kept.values())


def _nearest_failures(failing: list[Considered]) -> list[Considered]:
    """The nearest miss of each reason's kind, so that the table says what was in the way without listing it all."""
    kept: dict[str, Considered] = {}
    for option in failing:
        kept.setdefault(option.gpu, option)
    return list(kept.values())[:5]


def _fit(line: str) -> str:
    """Shorten a line to the terminal; a pipe gets it whole."""
    import sys

    if not sys.stdout.isatty():
        return line
    width = shutil.get_terminal_size().columns
    return line if len(line) <= width or "\x1b" in line else line[: width - 1] + "…"


def _pools(plan: Plan, out: Output) -> str:
    rows = [
        (
            f"{pool.node_count} × {pool.instance_type or f'{pool.gpus_per_node} × {pool.gpu}'}",
            pool.gpu,
            ", ".join(pool.models),
            str(pool.idle_gpus),
            "unknown" if pool.price is None else f"{pool.price.usd_per_hour * pool.node_count * 730:,.0f}",
        )
        for pool in plan.pools
    ]
    return (
        table(
            ("nodes", "GPU", "models", "idle GPUs", "$ a month"), rows, (3, 4), lambda line: _dim(out, line)
        )
        if rows
        else ""
    )


def _steps(model: ModelPlan, plan: Plan, out: Output) -> str:
    lines = [out.style("Decided", bold=True)]
    real = model.stands_for
    decisions = [*model.decisions, *(real.decisions if real else ())]
    lines += [
        f"  {d.field} = {d.value}{'*' if d.assumption else ''}  {_dim(out, d.because)}" for d in decisions
    ]
    if found := (real or model).fallbacks:
        lines += ["", out.style("Instance types that could stand in (target.nodes.fallbacks)", bold=True)]
        lines += [
            f"  {stand_in(one)}{_dim(out, f'  * {one.price_assumption}') if one.price_assumption else ''}"
            for one in found
        ]
    nodes = (real or model).nodes
    if nodes is not None and nodes.refused:
        lines += ["", out.style("Instance types without room for the pods", bold=True)]
        lines += [f"  {one.reason}" for one in nodes.refused]
    for section in explain(model):
        lines += ["", out.style(section.title, bold=True)]
        for term in section.terms:
            value = f"{_number(term.value)} {_unit(term.value, term.unit)}".rstrip()
            if isinstance(term, Reasoned):  # one fact a line
                lines.append(f"  {term.name}: {value}")
                lines += [f"      {_dim(out, fact)}" for fact in term.formula.split("; ")]
            else:
                lines.append(f"  {term.name}: {term.formula} = {value}")
            lines.append(f"      {_dim(out, term.source)}")
    lines += ["", f"* an assumption; the plan is of {plan.spec.target.platform}"]
    return "\n".join(lines)


def _unit(value: float, unit: str) -> str:
    return unit.removesuffix("s") if value == 1 and unit in COUNTED else unit


def stand_in(one: Fallback) -> str:
    """One instance type that could stand in for the planned one, with what its nodes cost."""
    cost = "unknown" if one.usd_per_month is None else f"${one.usd_per_month:,.0f} a month"
    if one.usd_per_month is not None and one.price_assumption:
        cost += "*"
    return f"{one.node_count} × {one.instance_type}, {one.gpus_per_node} × {one.gpu} each: {cost}"


def _number(value: float) -> str:
    if value and abs(value) < 0.01:
        return f"{value:.3g}"
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:,.2f}"


def _dim(out: Output, text: str) -> str:
    return out.style(text, dim=True)
