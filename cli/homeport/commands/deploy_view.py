"""How `preview`, `up` and `destroy` answer: progress, the bill and its change, what happens to each resource."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from homeport.commands.output import Format, Output
from homeport.commands.output import table as laid_out
from homeport.text import printable_lines

if TYPE_CHECKING:
    from homeport.commands.clusters import ClusterOptions
    from homeport.planning.types import Plan
    from homeport_infra.automation import Operation, Outcome
    from homeport_infra.bill import Compared
    from homeport_infra.events import Event
    from homeport_infra.policies import Violation
    from homeport_infra.settings import Settings

SCHEMA_VERSION = 1
DONE = {
    "create": "created",
    "update": "updated",
    "replace": "replaced",
    "delete": "deleted",
    "import": "taken over",
    "read": "read",
    "same": "unchanged",
}
PLANNED = {
    "same": "unchanged",
    "create": "to create",
    "update": "to update",
    "replace": "to replace",
    "delete": "to delete",
}
FEW = 3
"""Instance types that a preview names for a model, and models that an `up` says how to reach."""
LOCAL_PORT = 8000
DOING = {"create": "creating", "update": "updating", "replace": "replacing", "delete": "deleting"}
WAITED_FOR = (
    "Deployment",
    "LeaderWorkerSet",
    "Job",
    "Release",
    "NodePool",
    "NodeGroup",
    "AgentPool",
    "Namespace",
)
"""Kinds that take long enough for their start to be worth a line, and what is said while they are waited for."""
LONG_S = 5
"""Seconds from which on it is said how long a step took."""


def listener(out: Output, operation: "Operation", output_format: str) -> "Callable[[Event], None]":
    """Return what shows the engine's events: lines on stderr, or with `jsonl` objects on stdout."""
    started: dict[str, int] = {}

    def show(event: "Event") -> None:
        step = event.step
        if output_format == "jsonl":
            _line(out, _event(event))
        elif step is None:
            _message(out, event)
        elif operation == "preview":
            return
        elif event.event == "start":
            started[step.urn] = event.time
            if step.token.rpartition(":")[2] in WAITED_FOR:
                out.message(f"  {DOING.get(step.verb, step.verb)} {step.label} …")
        elif event.event == "message":
            if step.token.rpartition(":")[2] in WAITED_FOR:
                out.message(f"    {step.label}: {printable_lines(event.text or '')}")
        else:
            word = "failed:" if event.event == "failed" else DONE.get(step.verb, step.verb)
            out.message(f"  {word} {step.label}{_took(event.time - started.get(step.urn, event.time))}")

    return show


def _took(seconds: int) -> str:
    """How long a step took, where that is worth a word."""
    if seconds < LONG_S:
        return ""
    from homeport_infra.updates import duration

    return f" ({duration(seconds)})"


def _message(out: Output, event: "Event") -> None:
    text = event.text or ""
    if event.severity == "warning":
        out.warn(text)
    elif event.severity in ("error", "notice"):
        # An error is also raised; here stands the engine's own text of it.
        out.message(printable_lines(text))
    else:
        out.detail(printable_lines(text))


def _event(event: "Event") -> dict[str, Any]:
    found: dict[str, Any] = {"event": event.event, "time": event.time}
    if event.step is not None:
        step = event.step
        found |= {"operation": step.verb, "resource": step.label, "urn": step.urn, "type": step.token}
        if event.event != "message":
            found |= {"changed": list(step.changed), "forcing": list(step.forcing)}
    if event.text is not None:
        found |= {"severity": event.severity, "text": event.text}
    return found


def _line(out: Output, value: Any) -> None:
    import msgspec

    out.data(msgspec.json.Encoder(decimal_format="number").encode(value).decode())


def plan(out: Output, made: "Plan") -> None:
    """Print a plan as `homeport plan` does."""
    from homeport.commands.plan_view import view

    out.data(view(made, out, explain=False, show_all=False))


def preview(
    out: Output,
    made: "Plan",
    compared: "Compared",
    outcome: "Outcome | None",
    violations: "list[Violation]",
    output_format: str,
) -> None:
    """Print the answer of a preview; without an outcome (no engine) the objects take the place of the changes."""
    if output_format == "table":
        out.data("\n" + changes_text(out, made, compared, outcome))
        return
    from homeport.manifests.render import documents
    from homeport.planning.output import plan_values

    values = plan_values(made)
    values["objects"] = [document.object() for document in documents(made)]
    values["bill"] = bill_values(compared)
    values["policies"] = [_violation(found) for found in violations]
    values["stack"] = None if outcome is None else stack_values(outcome, made)
    _structured(out, values, output_format)


def result(
    out: Output,
    operation: "Operation",
    made: "Plan",
    settings: "Settings",
    outcome: "Outcome",
    output_format: str,
) -> None:
    """Print what an `up` or a `destroy` came to."""
    from homeport_infra import bill

    compared = bill.compare(bill.stack_bill(made, settings), outcome.before)
    kept = [_kept(volume, made) for volume in outcome.kept]
    if output_format != "table":
        values = {"schema_version": SCHEMA_VERSION, **stack_values(outcome, made), "outputs": outcome.outputs}
        values["kept"] = kept
        if operation == "up":
            values["bill"] = None if outcome.only else bill_values(compared)
        _structured(out, values, output_format)
        return
    out.message(f"stack {outcome.stack}: {_counts(outcome.changes, DONE)}")
    for line in _notices(outcome):
        out.message(line)
    if operation == "destroy":
        for volume in kept:
            out.data(_kept_line(volume))
        if outcome.only and outcome.before:
            out.message("the stack's outputs hold the bill from before, until an `up` of the whole stack")
        return
    if outcome.only:
        out.message(f"only {', '.join(outcome.only)} was deployed: the stack's bill stays as it was")
    else:
        out.message(bill.sentence(compared))
    for name, value in outcome.outputs.items():
        if name != bill.OUTPUT:
            shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
            out.data(f"{name}  {shown}")


def next_steps(made: "Plan", outcome: "Outcome", spec: list[str], cluster: "ClusterOptions") -> list[str]:
    """What to do once models are deployed: look at them, and reach the first few of them. Nothing without models.

    `spec` are the options that name the spec.
    """
    import shlex
    from urllib.parse import urlsplit

    from homeport.manifests.render import namespace_of

    found = []
    for model in made.models:
        name, expose = model.spec.name, model.spec.expose
        inside = outcome.outputs.get(f"{name}Endpoint")
        if inside is None or (outcome.only and name not in outcome.only):
            continue
        if expose.kind in ("ingress", "gateway") and expose.host:
            scheme = "https" if expose.tls_secret else "http"
            found.append(f"reach {name}: {scheme}://{expose.host}/v1")
            continue
        kubectl = f"{cluster.kubectl()} --namespace {namespace_of(made)}"
        if expose.kind == "load_balancer":
            found.append(f"reach {name}: `{kubectl} get service {name}` shows its address")
        else:
            port = urlsplit(inside).port
            found.append(
                f"reach {name}: `{kubectl} port-forward service/{name} {LOCAL_PORT}:{port}`, "
                f"then http://127.0.0.1:{LOCAL_PORT}/v1"
            )
    if not found:
        return []
    status = shlex.join(["homeport", "status", *spec, *cluster.words()])
    more = [f"the other {len(found) - FEW} likewise"] if len(found) > FEW else []
    return [f"next: {status}", *found[:FEW], *more]


def _kept(volume: Any, made: "Plan") -> dict[str, Any]:
    from homeport.costs.inputs import options

    price = options(made.spec.costs).storage_usd_per_gib_month
    return {
        "name": volume.name,
        "urn": volume.urn,
        "size_gib": volume.size_gib,
        "usd_per_month": volume.usd_per_month(price),
    }


def _kept_line(volume: dict[str, Any]) -> str:
    return f"kept  {volume['name']}  {_weights(volume)}; --delete-weights removes it"


def _weights(volume: dict[str, Any]) -> str:
    cost = volume["usd_per_month"]
    price = "unknown, costs.storage_usd_per_gib_month is not given" if cost is None else f"${cost:,.2f}"
    size = "an unknown size" if volume["size_gib"] is None else f"{volume['size_gib']:g} GiB"
    return f"{size} of weights, {price} a month"


def end_text(out: Output, made: "Plan", outcome: "Outcome") -> str:
    """What a destroy would remove, GPU nodes and weights by name, what it keeps, and what that stops costing."""
    from homeport_infra.ends import costs, gpu_nodes, volumes
    from homeport_infra.updates import effects

    def bold(text: str) -> str:
        return out.style(text, bold=True)

    lines = [f"{bold('stack')} {outcome.stack}: {_counts(outcome.changes, PLANNED)}"]
    nodes = gpu_nodes(outcome.steps)
    also = {**nodes, **{v.urn: _weights(_kept(v, made)) for v in volumes(outcome.steps)}}
    rows = [(e.change, e.step.label, also.get(e.step.urn, e.why)) for e in effects(outcome.steps, made)]
    if rows:
        lines += ["", laid_out(("change", "resource", "with it"), rows, (), bold), ""]
        lines += [] if nodes else ["no GPU node goes: nothing that is removed makes any"]
    lines += [_kept_line(_kept(volume, made)) for volume in outcome.kept]
    if outcome.only:
        lines.append("what a part stops costing a month is unknown: the stack's bill is of the whole")
    else:
        lines += costs(outcome.steps, outcome.before, keeps_weights=bool(outcome.kept))
    return "\n".join([*lines, *_notices(outcome)])


def _structured(out: Output, values: dict[str, Any], output_format: str) -> None:
    if output_format == "jsonl":
        _line(out, {"event": "answer", **values})
        return
    fmt: Format = "yaml" if output_format == "yaml" else "json"
    out.structured(values, fmt)


def changes_text(out: Output, made: "Plan", compared: "Compared", outcome: "Outcome | None") -> str:
    """The bill with its change, and what happens to each resource (without an engine: the objects)."""
    from homeport_infra import bill

    def bold(text: str) -> str:
        return out.style(text, bold=True)

    lines = [f"{bold('bill')}  {bill.sentence(compared)}"]
    if outcome is None:
        lines.append("compared with nothing, since the stack was not read")
    elif outcome.only:
        lines.append(f"of the whole spec, though only {', '.join(outcome.only)} would be deployed")
    if len(found := bill.rows(compared)) > 1:  # more than the total: the charts of a platform have no line
        lines += ["", laid_out(("for", "what", "$ a month", "change"), found, (2, 3), bold)]
        lines += bill.notes(compared.bill)
    nodes = any(line.kind == "nodes" for line in compared.bill.lines)
    if nodes and (could := stand_ins(made)):
        lines += ["", bold("could stand in, where the planned nodes are not to be had"), *could]
    if outcome is None:
        from homeport.manifests.render import documents

        objects = [(f"{d.api_version}/{d.kind}", d.namespace or "", d.name) for d in documents(made)]
        return "\n".join([*lines, "", laid_out(("object", "namespace", "name"), objects, (), bold)])
    from homeport_infra.updates import effects

    rows = [(e.change, e.step.label, e.why) for e in effects(outcome.steps, made)]
    lines += ["", f"{bold('stack')} {outcome.stack}: {_counts(outcome.changes, PLANNED)}"]
    if rows:
        lines += ["", laid_out(("change", "resource", "why"), rows, (), bold)]
    lines += [f"{e.step.label}: {e.away}" for e in effects(outcome.steps, made) if e.away]
    return "\n".join([*lines, *_notices(outcome)])


def stand_ins(made: "Plan") -> list[str]:
    """A line for each model with the first instance types that could stand in; none where nobody looked for any."""
    from homeport.commands.plan_view import stand_in

    lines: list[str] = []
    reasons: dict[str, None] = {}
    for model in made.models:
        if found := model.fallbacks:
            more = f"; {len(found) - FEW} more in `plan --explain`" if len(found) > FEW else ""
            lines.append(f"{model.spec.name}: {'; '.join(map(stand_in, found[:FEW]))}{more}")
            reasons |= {f"* {f.price_assumption}": None for f in found[:FEW] if f.price_assumption}
    return [*lines, *reasons]


def _notices(outcome: "Outcome") -> list[str]:
    """What others changed, and what a run that was cut off had been doing."""
    lines = [
        f"changed by others: {step.label}: {', '.join(step.changed)}; `up --adopt` sets it back"
        if step.new is not None
        else f"removed by others: {step.label}; `up --refresh` makes it again"
        for step in outcome.drifted
    ]
    lines += [
        f"the last run was cut off while {found.operation} {found.urn.rpartition('::')[2]}; `up` goes on from there"
        for found in outcome.resumed
    ]
    return lines


def _counts(changes: dict[str, int], words: dict[str, str]) -> str:
    found = [f"{count} {words.get(kind, kind)}" for kind, count in sorted(changes.items())]
    return ", ".join(found) or "nothing to change"


def stack_values(outcome: "Outcome", made: "Plan") -> dict[str, Any]:
    """An outcome as JSON holds it."""
    from homeport_infra.updates import effects

    steps = [
        {
            "operation": e.step.verb,
            "resource": e.step.label,
            "type": e.step.token,
            "urn": e.step.urn,
            "changed": list(e.step.changed),
            "forcing": list(e.step.forcing),
            "change": e.change,
            "why": e.why or None,
            "away": e.away or None,
            "away_s": e.away_s,
        }
        for e in effects(outcome.steps, made)
    ]
    return {
        "stack": outcome.stack,
        "changes": outcome.changes,
        "steps": steps,
        "drifted": [{"resource": s.label, "urn": s.urn, "changed": list(s.changed)} for s in outcome.drifted],
        "resumed": [{"urn": r.urn, "operation": r.operation} for r in outcome.resumed],
    }


def bill_values(compared: "Compared") -> dict[str, Any]:
    """A compared bill as JSON holds it: null is unknown."""
    bill, against = compared.bill, compared.against
    return {
        "usd_per_month": bill.usd_per_month,
        "at_least": bill.at_least,
        "budget_usd_per_month": bill.budget,
        "before_usd_per_month": against.total.before_usd,
        "change_usd_per_month": against.total.difference_usd,
        "because": list(compared.reasons),
        "lines": [
            {
                "kind": line.kind,
                "item": line.item,
                "models": list(line.models),
                "usd_per_month": line.usd_per_month,
                "estimated": line.estimated,
                "as_of": line.as_of,
                "note": line.note,
            }
            for line in bill.lines
        ],
        "changed": [
            {
                "kind": change.what,
                "before": change.before,
                "after": change.after,
                "change_usd_per_month": change.difference_usd,
            }
            for change in against.lines
        ],
    }


def _violation(found: "Violation") -> dict[str, Any]:
    return {
        "policy": found.policy,
        "enforcement": found.enforcement,
        "resource": found.resource or None,
        "message": found.message,
        "help": found.help,
    }
