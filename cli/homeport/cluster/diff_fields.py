"""Which fields of an object are ours, and which of them differ.

The API server keeps, for each field manager, the set of fields that it set (`fieldsV1`: keys `f:` name a field, `k:`
an element of a list by its key, `v:` an element of a set; a leaf is atomic). A dry-run apply under a name of our own
returns exactly the set that the rendered object sets, with the server's knowledge of what is a map, a set or an atom.
https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from homeport.cluster.diff_types import Field, Owner

FieldSet = Mapping[str, Any]
Path = tuple[str, ...]

MANAGED_BY: Path = ("f:metadata", "f:labels", "f:app.kubernetes.io/managed-by")
HAND = frozenset({"kubectl-edit", "kubectl-patch", "kubectl-label", "kubectl-annotate", "kubectl-set"})
"""Managers of commands that change an object; whoever applies objects is none of them."""
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
MISSING = msgspec.UNSET

_PLAIN = re.compile(r"^[A-Za-z_][A-Za-z0-9_-]*$")
_QUANTITY = re.compile(r"^([0-9.]+)(m|[kMGTPE]|[KMGTPE]i)?$")
_FACTORS = {"m": Decimal("0.001"), "k": Decimal(10**3)} | {
    unit: Decimal(base**power)
    for power, letter in enumerate("KMGTPE", 1)
    for unit, base in ((letter, 1000), (letter + "i", 1024))
    if unit != "K"
}


def entries(one: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The managed fields of an object, one entry for each manager and operation."""
    return (one.get("metadata") or {}).get("managedFields") or []


def fields_of(one: Mapping[str, Any], manager: str) -> FieldSet:
    """The fields that `manager` applied."""
    for entry in entries(one):
        if entry["manager"] == manager and entry["operation"] == "Apply":
            return dict(entry.get("fieldsV1") or {})
    return {}


def is_applier(entry: Mapping[str, Any]) -> bool:
    """Whether an entry is of whoever applied the rendered object: it set our label, and not by hand."""
    return (
        not entry.get("subresource")
        and entry["manager"] not in HAND
        and has(entry.get("fieldsV1") or {}, MANAGED_BY)
    )


def appliers(live: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The entries of those who applied the object: kubectl, Pulumi, a GitOps controller."""
    return [entry for entry in entries(live) if is_applier(entry)]


def has(fields: FieldSet, path: Path) -> bool:
    """Whether a set holds a path, or an atom that the path leads into."""
    for step in path:
        if step not in fields:
            return False
        fields = fields[step]
        if not fields:
            return True
    return True


def owners(live: Mapping[str, Any], path: Path) -> tuple[Owner, ...]:
    """Who owns a field, other than those who applied the object."""
    return tuple(
        Owner(
            manager=entry["manager"],
            operation=entry["operation"],
            subresource=entry.get("subresource") or "",
            time=entry.get("time") or "",
        )
        for entry in entries(live)
        if not is_applier(entry) and has(entry.get("fieldsV1") or {}, path)
    )


def differing(live: Mapping[str, Any], applied: Mapping[str, Any], ours: FieldSet) -> Iterator[Field]:
    """Yield the fields of `ours` that the apply would add or change.

    `applied` is the object after a dry-run apply, so defaults and spellings are the server's in both.
    """
    yield from _differing(live, live, applied, ours, ())


def _differing(
    whole: Mapping[str, Any], live: Any, applied: Any, ours: FieldSet, path: Path
) -> Iterator[Field]:
    steps = [step for step in ours if step != "."]
    if applied is MISSING:
        return  # what the server drops (a feature that is off) is not in the cluster and never will be
    if live is MISSING:
        yield Field(
            path=path_text(path),
            change="add",
            rendered=restricted(applied, ours),
            taken_by=owners(whole, path),
        )
        return
    if not steps:
        if not _same(live, applied, path):
            yield Field(
                path=path_text(path),
                change="change",
                live=live,
                rendered=applied,
                taken_by=owners(whole, path),
            )
        return
    for step in steps:
        yield from _differing(whole, child(live, step), child(applied, step), ours[step], (*path, step))


def removed(live: Mapping[str, Any], before: FieldSet, ours: FieldSet) -> Iterator[Field]:
    """Yield what was applied `before`, is not rendered any more, still stands, and nobody else wants."""
    yield from _removed(live, before, ours, entries(live), ())


def _removed(
    live: Any, before: FieldSet, ours: FieldSet, owned: Sequence[Mapping[str, Any]], path: Path
) -> Iterator[Field]:
    for step in before:
        if step == ".":
            continue
        value, here = child(live, step), (*path, step)
        if value is MISSING or here == ("f:metadata", "f:annotations", f"f:{LAST_APPLIED}"):
            continue
        if step in ours:
            yield from _removed(value, before[step], ours[step], owned, here)
            continue
        wanted = any(not is_applier(entry) and has(entry.get("fieldsV1") or {}, here) for entry in owned)
        # An empty map was applied, and others put something into it: their entries are not ours to remove.
        filled = not before[step] and any(at(entry.get("fieldsV1") or {}, here) for entry in owned)
        if not wanted and not filled:
            yield Field(path=path_text(here), change="remove", live=restricted(value, before[step]))


def at(fields: FieldSet, path: Path) -> FieldSet:
    """What a set holds below a path; an empty one where the path ends or is not there."""
    for step in path:
        fields = fields.get(step) or {}
    return fields


def child(value: Any, step: str) -> Any:
    """What one step of a field set leads to; MISSING where there is nothing."""
    kind, _, key = step.partition(":")
    if kind == "f":
        return value.get(key, MISSING) if isinstance(value, Mapping) else MISSING
    if not isinstance(value, list):
        return MISSING
    wanted = msgspec.json.decode(key)
    if kind == "k":
        for one in value:
            if isinstance(one, Mapping) and all(one.get(k) == v for k, v in wanted.items()):
                return one
        return MISSING
    if kind == "v":
        return wanted if wanted in value else MISSING
    return value[wanted] if wanted < len(value) else MISSING


def restricted(value: Any, fields: FieldSet) -> Any:
    """`value` with only those of its fields that the set holds: without the server's defaults."""
    steps = [step for step in fields if step != "."]
    if not steps:
        return value
    found = [(step, child(value, step)) for step in steps]
    if isinstance(value, Mapping):
        return {step[2:]: restricted(one, fields[step]) for step, one in found if one is not MISSING}
    return [restricted(one, fields[step]) for step, one in found if one is not MISSING]


def path_text(path: Path) -> str:
    """`spec.template.spec.containers[server].image`; keys that are no words stand in quotes."""
    text = ""
    for step in path:
        kind, _, key = step.partition(":")
        if kind == "f":
            text += (f".{key}" if text else key) if _PLAIN.match(key) else f'["{key}"]'
        elif kind == "k":
            text += "[" + ",".join(str(part) for part in msgspec.json.decode(key).values()) + "]"
        else:
            text += f"[{key}]"
    return text


def _same(live: Any, applied: Any, path: Path) -> bool:
    if live == applied:
        return True
    # Inside a custom resource nobody spells quantities alike: 1Gi is 1024Mi.
    if any(step in ("f:limits", "f:requests", "f:sizeLimit") for step in path):
        first, second = quantity(live), quantity(applied)
        return first is not None and first == second
    return False


def quantity(value: Any) -> Decimal | None:
    """The number that a Kubernetes quantity stands for; None where it is none."""
    found = _QUANTITY.match(str(value))
    if not found:
        return None
    try:
        return Decimal(found[1]) * _FACTORS.get(found[2] or "", Decimal(1))
    except InvalidOperation:
        return None
