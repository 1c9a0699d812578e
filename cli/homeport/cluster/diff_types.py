"""What a comparison of the rendered objects with a cluster says."""

from typing import Any, Literal

import msgspec

State = Literal["same", "differs", "missing", "left_over", "refused", "unknown"]
Change = Literal["add", "change", "remove"]


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """Who set a field last, as the API server keeps it (`metadata.managedFields`)."""

    manager: str
    operation: str
    subresource: str
    time: str

    @property
    def title(self) -> str:
        """The manager, for a sentence; whoever scales through the `scale` subresource is named by it."""
        if self.subresource == "scale":
            name = "the HPA" if self.manager == "kube-controller-manager" else self.manager
            return f"{name} (through scale)"
        return self.manager


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One field of ours that is not as it was rendered.

    `live` is what the cluster has, `rendered` what it would have after an apply (UNSET: nothing). `taken_by` are field
    managers other than those that applied the object: they own the field now.
    """

    path: str
    change: Change
    live: Any = msgspec.UNSET
    rendered: Any = msgspec.UNSET
    taken_by: tuple[Owner, ...] = ()


class ObjectDiff(msgspec.Struct, frozen=True, kw_only=True):
    """One object: as it was rendered, or not, and how.

    `missing`: an apply makes it. `left_over`: it carries our labels and is not rendered any more. `refused`: the API
    server would not take it. `unknown`: it could not be compared (RBAC, a failing webhook). `message` and `help` say
    why and what to do. `applied_by` are the field managers that applied it.
    """

    api_version: str
    kind: str
    namespace: str | None
    name: str
    state: State
    fields: tuple[Field, ...] = ()
    message: str | None = None
    help: str | None = None
    applied_by: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """`Deployment support/assistant`."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """All rendered objects, in the order in which they are applied, then what is left over.

    `not_looked_for` says for which kinds left-over objects could not be listed, and why.
    """

    server: str
    context: str
    objects: tuple[ObjectDiff, ...]
    not_looked_for: tuple[str, ...] = ()

    def of(self, *states: State) -> list[ObjectDiff]:
        """The objects in one of these states."""
        return [one for one in self.objects if one.state in states]

    @property
    def taken(self) -> bool:
        """Whether another field manager owns a field that an apply would set."""
        return any(field.taken_by for one in self.objects for field in one.fields)
