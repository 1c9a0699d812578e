"""The month's cost of a stack, as its outputs, and what changes against the outputs that it had.

Pure functions of a plan and of a stack's outputs; `publish` alone speaks to Pulumi. An output that is null vanishes in
Pulumi's own tables, so what is unknown is the word "unknown" there.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from homeport.costs.bill import deployments
from homeport.costs.diff import SavedError, Snapshot, between, of_line, saved
from homeport.costs.inputs import options
from homeport.costs.money import total
from homeport.costs.own import self_hosted
from homeport.costs.types import Against, Change, Deployment, Line
from homeport.planning.types import Plan
from homeport_infra.settings import Settings

UNKNOWN = "unknown"
UNKNOWNS = ("usd_per_month", "as_of")
"""The fields of the stack's output that may be unknown."""
OUTPUT = "bill"
"""The stack output that holds the whole bill; the next preview compares with it."""
TOTAL = "usdPerMonth"
"""The stack output that holds the month's cost in all, USD."""
NODES = ("nodes", "hardware")
EVERYBODYS = ("platform", "engineering")
"""Lines that stand in the total, and on no single deployment."""
EMPTY = Snapshot(
    holds="bill", lines={}, total=Decimal(0), at_least=False, api={}, breakeven={}, deployments={}
)


class StackBill(msgspec.Struct, frozen=True, kw_only=True):
    """What a stack costs a month, USD. `usd_per_month` None: no line has a price; `at_least`: one of them has none.

    `budget` is the spec's limit for the whole spec, None without one.
    """

    lines: tuple[Line, ...]
    deployments: tuple[Deployment, ...]
    usd_per_month: Decimal | None
    at_least: bool
    budget: Decimal | None


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """A bill next to what the stack costs now. `reasons` are in words: `assistant: 1 → 2 replicas`.

    `changes` are those of the bill's lines, in their order; None where a line stays.
    """

    bill: StackBill
    against: Against
    changes: tuple[Change | None, ...]
    reasons: tuple[str, ...]


def stack_bill(plan: Plan, settings: Settings) -> StackBill:
    """The bill of the layers that a stack holds.

    Nodes are billed by the stack that makes them; where none does (an existing pool), by the models' stack. The platform's
    own cost is the running cost of the nodes it lands on, which homeport does not make: it has no line.
    """
    layers = settings.layers_of(plan)
    nodes = "cluster" in layers or ("models" in layers and not settings.cluster_stack)
    bill = self_hosted(plan, options(plan.spec.costs))
    lines = tuple(line for line in bill.lines if (nodes if line.kind in NODES else "models" in layers))
    amounts = [line.usd_per_month for line in lines]
    return StackBill(
        lines=lines,
        deployments=deployments(plan) if lines else (),
        usd_per_month=total(amounts) if lines else Decimal(0),
        at_least=None in amounts,
        budget=None if plan.spec.budget is None else Decimal(str(plan.spec.budget.usd_per_month)),
    )


def outputs(bill: StackBill) -> dict[str, Any]:
    """The bill as a stack output: keys as in `homeport cost -o json`, amounts as numbers of USD a month."""
    return {
        "self_hosted": {
            "usd_per_month": _number(bill.usd_per_month),
            "at_least": bill.at_least,
            "lines": [
                {
                    "kind": line.kind,
                    "models": list(line.models),
                    "item": line.item,
                    "usd_per_month": _number(line.usd_per_month),
                    "estimated": line.estimated,
                    "as_of": line.as_of or UNKNOWN,
                }
                for line in bill.lines
            ],
        },
        "deployments": [_named(made) for made in bill.deployments],
        "budget_usd_per_month": "none" if bill.budget is None else float(bill.budget),
    }


def _named(made: Deployment) -> dict[str, Any]:
    values: dict[str, Any] = msgspec.to_builtins(made)
    return {**values, "gpu": made.gpu or "none"}


def _number(amount: Decimal | None) -> float | str:
    return UNKNOWN if amount is None else float(amount)


def before(found: Mapping[str, Any]) -> tuple[Snapshot, dict[str, dict[str, Any]]]:
    """What a stack's outputs say that it costs, and what it deploys; nothing where it has no bill yet.

    A bill of another shape, as another version or program wrote it, is an unknown cost: it must not stop an `up`.
    """
    value = found.get(OUTPUT)
    if not isinstance(value, Mapping) or "self_hosted" not in value:
        return EMPTY, {}
    known = _none({**value, "api": [], "breakeven": []})
    try:
        snapshot = saved(msgspec.json.encode(known), "the stack's outputs")
    except SavedError:
        return msgspec.structs.replace(EMPTY, total=None, at_least=True), {}
    assert snapshot is not None, "it holds a bill"
    return snapshot, {made["name"]: made for made in known["deployments"]}


def _none(value: Any, key: str = "") -> Any:
    if isinstance(value, Mapping):
        return {name: _none(item, name) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_none(item) for item in value]
    # Numbers come out of the state as floats; whole ones count replicas.
    if isinstance(value, float) and value.is_integer():
        return int(value)
    # A model may have that name.
    return None if value == UNKNOWN and key in UNKNOWNS else value


def compare(bill: StackBill, found: Mapping[str, Any]) -> Compared:
    """Set a bill next to what the stack's outputs say that it costs now."""
    old, deployed = before(found)
    now = outputs(bill)
    new, planned = before({OUTPUT: now})
    names = dict.fromkeys((*planned, *deployed))
    reasons = [_reason(name, deployed.get(name), planned.get(name)) for name in names]
    return Compared(
        bill=bill,
        against=between("the stack", old, new),
        changes=tuple(of_line(key, old.lines.get(key), item) for key, item in new.lines.items()),
        reasons=tuple(reason for reason in reasons if reason),
    )


def _reason(name: str, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> str | None:
    """What changes of one deployment, in few words; None where nothing does."""
    if old is None or new is None:
        made = new or old
        assert made is not None, "a name stands in one of the two"
        count = _replicas(made["replicas"])
        return f"{name}: new, {count}" if old is None else f"{name}: removed, {count}"
    words = []
    if old["model"] != new["model"]:
        words.append(f"{old['model']} → {new['model']}")
    if old["precision"] != new["precision"]:
        words.append(f"{old['precision']} → {new['precision']}")
    if (old["gpu"], old["gpus_per_replica"]) != (new["gpu"], new["gpus_per_replica"]):
        words.append(f"{_gpus(old)} → {_gpus(new)}")
    if old["replicas"] != new["replicas"]:
        words.append(f"{old['replicas']} → {_replicas(new['replicas'])}")
    return f"{name}: {', '.join(words)}" if words else None


def _gpus(made: Mapping[str, Any]) -> str:
    return "no GPU" if made["gpu"] == "none" else f"{made['gpus_per_replica']} × {made['gpu']}"


def _replicas(count: int) -> str:
    return f"{count} replica{'' if count == 1 else 's'}"


def sentence(compared: Compared) -> str:
    """The change of the bill in one line: `+$1,825.00/month: assistant: 1 → 2 replicas`."""
    change = compared.against.total.difference_usd
    why = "; ".join(compared.reasons)
    if not why and not compared.against.lines:
        return "the bill stays as it is"
    if change is None:
        amount = "the month's cost changes by an unknown amount"
    else:
        amount = signed(change, at_least=compared.against.at_least)
    return f"{amount}: {why or 'other prices or lines'}"


def signed(amount: Decimal, *, at_least: bool = False) -> str:
    """A change of a month's cost with its sign; one with unknown parts is "as far as it is known"."""
    known = f"{'-' if amount < 0 else '+'}${abs(amount):,.2f}/month"
    return f"{known}, as far as it is known" if at_least else known


def money(amount: Decimal | None, *, at_least: bool = False, estimated: bool = False) -> str:
    """An amount as it stands in a table: unknown is "unknown", an assumption has its mark."""
    if amount is None:
        return UNKNOWN
    return f"{'at least ' if at_least else ''}${amount:,.2f}{'*' if estimated else ''}"


def rows(compared: Compared) -> list[tuple[str, str, str, str]]:
    """The bill as rows: what, item, USD a month, change. Lines that only stood before are shown as removed."""
    found = []
    for line, change in zip(compared.bill.lines, compared.changes, strict=True):
        kind = line.kind.replace("_", " ")
        amount = money(line.usd_per_month, estimated=line.estimated)
        found.append((kind, line.item, amount, "" if change is None else delta(change)))
    found += [
        (c.what, f"{c.before} (removed)", "$0.00", delta(c))
        for c in compared.against.lines
        if c.after is None and c.before is not None
    ]
    whole = money(compared.bill.usd_per_month, at_least=compared.bill.at_least and bool(compared.bill.lines))
    found.append(("total", "", whole, delta(compared.against.total)))
    return found


def delta(change: Change) -> str:
    """A change of one line: with its sign, "unknown" where one side has no price."""
    if change.difference_usd is None:
        return UNKNOWN
    return "" if change.difference_usd == 0 else signed(change.difference_usd).removesuffix("/month")


def notes(bill: StackBill) -> list[str]:
    """What has to be said under the table: assumptions, what has no price, dates of prices, the budget."""
    found = [f"* {line.item}: {line.note or 'an assumption'}" for line in bill.lines if line.estimated]
    unpriced = dict.fromkeys(line.item for line in bill.lines if line.usd_per_month is None)
    if unpriced:
        found.append(f"no price is known of: {'; '.join(unpriced)}")
    dates = sorted({line.as_of for line in bill.lines if line.as_of})
    if dates:
        found.append(f"prices of {', '.join(dates)}")
    if bill.budget is not None:
        found.append(f"budget ${bill.budget:,.2f} a month (budget.usd_per_month)")
    return found


def model_line(name: str, bill: StackBill) -> str:
    """What one deployment's nodes, weights and way in cost a month, in a sentence; empty where nothing is its."""
    said = []
    for line in bill.lines:
        if name not in line.models or line.kind in EVERYBODYS:
            continue
        shared = "" if len(line.models) == 1 else f", shared by {' and '.join(line.models)}"
        said.append(f"{line.item} {money(line.usd_per_month, estimated=line.estimated)} a month{shared}")
    return "; ".join(said)


def pool_line(instance_type: str, bill: StackBill) -> str:
    """What the nodes of one instance type cost a month, in a sentence; empty where another stack bills them."""
    return "; ".join(
        f"{line.item} {money(line.usd_per_month, estimated=line.estimated)} a month"
        for line in _of_pool(instance_type, bill)
    )


def pool_usd(instance_type: str, bill: StackBill) -> Decimal | None:
    """What the planned nodes of one instance type cost a month, USD; None where a price of them is unknown."""
    amounts = [line.usd_per_month for line in _of_pool(instance_type, bill)]
    return None if None in amounts else total(amounts)


def _of_pool(instance_type: str, bill: StackBill) -> list[Line]:
    return [line for line in bill.lines if line.kind == "nodes" and f" {instance_type} (" in line.item]


def publish(bill: StackBill, made: Sequence[Any] = ()) -> None:
    """Export the bill as stack outputs; Pulumi shows the old and the new output where they differ.

    `made` are outputs that are known once everything is deployed: a run that fails leaves the bill as it was before.
    """
    import pulumi

    done = [] if pulumi.runtime.is_dry_run() else list(made)
    for key, value in ((TOTAL, _number(bill.usd_per_month)), (OUTPUT, outputs(bill))):
        pulumi.export(key, _after(done, value) if done else value)


def say(bill: StackBill, servers: Mapping[str, Any], pools: Mapping[str, Any]) -> None:
    """Say on the components what they cost: plain `pulumi preview` shows it.

    `servers` are those of the deployments by name, `pools` those of the node pools by instance type.
    """
    import pulumi

    said = [(model_line(name, bill), server) for name, server in servers.items()]
    said += [(pool_line(instance_type, bill), pool) for instance_type, pool in pools.items()]
    for text, resource in said:
        if text:
            pulumi.log.info(text, resource)


def _after(done: Sequence[Any], value: Any) -> Any:
    """`value`, once every output in `done` is known; never where one of them fails."""
    import pulumi

    return pulumi.Output.all(*done).apply(lambda _: value)
