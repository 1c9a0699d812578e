"""What changed between two bills, line by line: of two specs, or of a spec and a saved `plan` or `cost` answer."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from homeport.costs.money import HOURS_PER_MONTH, cents, total
from homeport.costs.types import Against, Change
from homeport.errors import HomeportError

if TYPE_CHECKING:
    from homeport.costs.types import Bill

Key = tuple[str, tuple[str, ...], int]
"""Kind of a line, its deployments, and its number among the lines of the same kind and deployments."""


class SavedError(HomeportError):
    """A file that looks like a saved answer and is none."""


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a bill: its name and USD a month (None: unknown)."""

    name: str
    usd: Decimal | None


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What two bills are compared by."""

    holds: Literal["bill", "plan"]
    lines: dict[Key, Item]
    total: Decimal | None
    at_least: bool
    api: dict[str, Decimal | None]
    breakeven: dict[str, int | None]
    deployments: dict[str, str]


def snapshot(bill: Bill) -> Snapshot:
    """Return what a bill is compared by."""
    return Snapshot(
        holds="bill",
        lines=_keyed(
            [(line.kind, line.models, line.item, line.usd_per_month) for line in bill.self_hosted.lines]
        ),
        total=bill.self_hosted.usd_per_month,
        at_least=bill.self_hosted.at_least,
        api={api.model: api.usd_per_month for api in bill.api},
        breakeven={found.model: found.requests_per_day for found in bill.breakeven},
        deployments={
            made.name: _deployed(made.model, made.precision, made.replicas, made.gpus_per_replica, made.gpu)
            for made in bill.deployments
        },
    )


def saved(text: bytes, file: str) -> Snapshot | None:
    """Read a saved `cost -o json` or `plan -o json`; None for JSON that is neither (it may be a spec).

    Raises SavedError where it looks like one and lacks what is compared.
    """
    try:
        data = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise SavedError(f"'{file}' is no JSON: {error}") from None
    try:
        if "self_hosted" in data:
            return _saved_bill(data)
        if "node_pools" in data:
            return _saved_plan(data)
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise SavedError(f"'{file}' is no answer of this homeport's cost or plan: {error!r}") from None
    return None


def _saved_bill(data: dict[str, Any]) -> Snapshot:
    own = data["self_hosted"]
    lines = [(x["kind"], tuple(x["models"]), x["item"], _usd(x["usd_per_month"])) for x in own["lines"]]
    return Snapshot(
        holds="bill",
        lines=_keyed(lines),
        total=_usd(own["usd_per_month"]),
        at_least=own["at_least"],
        api={api["model"]: _usd(api["usd_per_month"]) for api in data["api"]},
        breakeven={found["model"]: found["requests_per_day"] for found in data["breakeven"]},
        deployments={
            x["name"]: _deployed(x["model"], x["precision"], x["replicas"], x["gpus_per_replica"], x["gpu"])
            for x in data["deployments"]
        },
    )


def _saved_plan(data: dict[str, Any]) -> Snapshot:
    lines = []
    for pool in data["node_pools"]:
        hourly = _usd(pool["usd_per_hour_per_node"])
        holds = f"{pool['gpus_per_node']} × {pool['gpu']}"
        what = f"{pool['instance_type']} ({holds})" if pool["instance_type"] else f"node with {holds}"
        name = f"{pool['nodes']} × {what}" + (f", {pool['region']}" if pool["region"] else "")
        usd = None if hourly is None else cents(hourly * pool["nodes"] * HOURS_PER_MONTH)
        lines.append(("nodes", tuple(pool["models"]), name, usd))
    models = [model.get("stands_for") or model for model in data["models"]]
    return Snapshot(
        holds="plan",
        lines=_keyed(lines),
        total=total([usd for *_, usd in lines]),
        at_least=any(usd is None for *_, usd in lines),
        api={},
        breakeven={},
        deployments={
            x["name"]: _deployed(
                x["model"],
                x["precision"],
                x["replicas"]["planned"],
                x["gpus_per_replica"],
                None if x["gpu"] == "CPU" else x["gpu"],
            )
            for x in models
        },
    )


def compare(file: str, old: Snapshot, bill: Bill) -> Against:
    """Return what is different in `bill` against an `old` one out of `file`; of a plan only its nodes."""
    return between(file, old, snapshot(bill))


def between(file: str, old: Snapshot, new: Snapshot) -> Against:
    """Return what is different in a `new` snapshot against an `old` one out of `file`; of a plan only its nodes."""
    if old.holds == "plan":
        lines = {key: item for key, item in new.lines.items() if key[0] == "nodes"}
        amounts = [item.usd for item in lines.values()]
        new = msgspec.structs.replace(new, lines=lines, total=total(amounts), at_least=None in amounts)
    names = dict.fromkeys((*new.deployments, *old.deployments))
    return Against(
        file=file,
        compared=old.holds,
        deployments=tuple(
            text
            for name in names
            if (text := _words(name, old.deployments.get(name), new.deployments.get(name)))
        ),
        lines=tuple(
            change
            for key in _in_order(new.lines, old.lines)
            if (change := of_line(key, old.lines.get(key), new.lines.get(key))) is not None
        ),
        total=_change("total a month", "total", "total", old.total, new.total),
        at_least=old.at_least or new.at_least,
        api=tuple(
            _change(model, model, model, old.api[model], usd)
            for model, usd in new.api.items()
            if model in old.api and old.api[model] != usd
        ),
        breakeven=tuple(
            f"{model}: {_load(old.breakeven[model])} → {_load(load)}"
            for model, load in new.breakeven.items()
            if model in old.breakeven and old.breakeven[model] != load
        ),
    )


def of_line(key: Key, old: Item | None, new: Item | None) -> Change | None:
    """Return what changed of one line; None where nothing did."""
    if old is not None and new is not None and (old.name, old.usd) == (new.name, new.usd):
        return None
    kind = key[0].replace("_", " ")
    before, after = old.name if old else None, new.name if new else None
    return _change(kind, before, after, old.usd if old else None, new.usd if new else None)


def _change(
    what: str, before: str | None, after: str | None, before_usd: Decimal | None, after_usd: Decimal | None
) -> Change:
    """Return a change; what is absent on one side costs nothing there, what is unknown makes the difference unknown."""
    old = Decimal(0) if before is None else before_usd
    new = Decimal(0) if after is None else after_usd
    return Change(
        what=what,
        before=before,
        after=after,
        before_usd=before_usd,
        after_usd=after_usd,
        difference_usd=None if old is None or new is None else new - old,
    )


def _keyed(lines: list[tuple[str, tuple[str, ...], str, Decimal | None]]) -> dict[Key, Item]:
    seen: dict[tuple[str, tuple[str, ...]], int] = {}
    found: dict[Key, Item] = {}
    for kind, models, name, usd in lines:
        # Nodes and shared lines are of all models: another name among them is a change, not another line.
        of = models if kind == "storage" else ()
        number = seen[kind, of] = seen.get((kind, of), -1) + 1
        found[kind, of, number] = Item(name=name, usd=usd)
    return found


def _in_order(first: dict[Key, Item], second: dict[Key, Item]) -> list[Key]:
    return list(dict.fromkeys((*first, *second)))


def _words(name: str, old: str | None, new: str | None) -> str | None:
    if old == new:
        return None
    if old is None:
        return f"{name}: new, {new}"
    return f"{name}: {old} → {new or 'removed'}"


def _deployed(model: str, precision: str, replicas: int, gpus: int, gpu: str | None) -> str:
    where = f"{gpus} × {gpu}" if gpu else "no GPU"
    return f"{model}, {precision}, {replicas} replica{'' if replicas == 1 else 's'} of {where}"


def _usd(value: Any) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def _load(load: int | None) -> str:
    return "none" if load is None else f"{load:,}"
