"""The JSON that `homeport diff` answers, as types."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

Version = Annotated[int, Meta(description="Of this answer's format; a change that breaks readers raises it")]


class FieldOwner(Struct):
    """A field manager, as the API server keeps it in metadata.managedFields."""

    manager: Annotated[str, Meta(description="Its name, such as kubectl-edit")]
    operation: Annotated[str, Meta(description="Apply or Update")]
    subresource: Annotated[str, Meta(description="scale where it only scales; empty: the object itself")]
    time: Annotated[str, Meta(description="When it set the field, RFC 3339")]


class FieldDifference(Struct):
    """A rendered field that is not so in the cluster, or one that was applied before and is rendered no more."""

    path: Annotated[str, Meta(description="Such as spec.template.spec.containers[server].image")]
    change: Annotated[
        Literal["add", "change", "remove"], Meta(description="What an apply would do to the field")
    ]
    taken_by: Annotated[
        list[FieldOwner], Meta(description="Managers that own it now, other than who applied the object")
    ]
    live: Annotated[Any, Meta(description="What the cluster has; absent: nothing")] = None
    rendered: Annotated[Any, Meta(description="What it would be after an apply; absent: nothing")] = None


class ComparedObject(Struct):
    """One Kubernetes object."""

    api_version: Annotated[str, Meta(description="Its apiVersion")]
    kind: Annotated[str, Meta(description="Its kind")]
    namespace: Annotated[str | None, Meta(description="Null: it belongs to the cluster")]
    name: Annotated[str, Meta(description="Its name")]
    state: Annotated[
        Literal["same", "differs", "missing", "left_over", "refused", "unknown"],
        Meta(
            description="left_over: in the cluster with homeport's labels, not rendered; refused: the API server would "
            "not take it; unknown: it could not be compared"
        ),
    ]
    fields: Annotated[list[FieldDifference], Meta(description="The fields that differ")]
    message: Annotated[
        str | None, Meta(description="Why it is missing, refused or unknown, where that is known")
    ]
    help: Annotated[str | None, Meta(description="What to do about it")]
    applied_by: Annotated[list[str], Meta(description="Field managers that applied the object")]


class Diff(Struct):
    """`homeport diff -o json`."""

    schema_version: Version
    server: Annotated[str, Meta(description="URL of the API server")]
    context: Annotated[str, Meta(description="Context of the kubeconfig")]
    objects: Annotated[list[ComparedObject], Meta(description="As they are applied, then what is left over")]
    not_looked_for: Annotated[
        list[str], Meta(description="Kinds whose left-over objects could not be listed, and why")
    ]
    apply: Annotated[list[str], Meta(description="Commands that bring the cluster to what is rendered")]
