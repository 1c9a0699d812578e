"""The rendered objects against a cluster, by the API server's own dry run.

Each object is applied with `dryRun=All` and `force` under a field manager of our own, whoever applied it before: the
answer is the live object with our fields put over it. What differs in a field of ours is a difference; defaults, status
and the fields of others are not ours and never show. A field that is rendered no more is found among the fields of whoever applied
the object last (server-side apply by kubectl, Pulumi or a GitOps controller), or in the annotation that plain
`kubectl apply` keeps.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from homeport.cluster import diff_fields as fieldsets
from homeport.cluster.client import Cluster
from homeport.cluster.diff_types import Comparison, Field, ObjectDiff
from homeport.cluster.errors import (
    ClusterProblem,
    Forbidden,
    KindMissing,
    NamespaceTerminating,
    QuotaExceeded,
    Refused,
    ServerFailed,
)
from homeport.manifests.types import Document

MANAGER = "homeport-diff"
"""Under this name nothing is ever stored: it only asks what an apply would do."""
AT_A_TIME = 8
"""Requests that are under way at the same time."""
HIDDEN = "(hidden)"


def compare(cluster: Cluster, documents: Sequence[Document], part_of: str) -> Comparison:
    """Compare rendered documents with the cluster; `part_of` is the spec's name, as the objects' labels carry it.

    Raises the errors of the connection (Unreachable, TimedOut, CredentialsRefused …): half a comparison is none.
    What concerns a single object (its kind is not installed, RBAC, a quota) is that object's state.
    """
    from concurrent.futures import ThreadPoolExecutor

    # One request before the threads: a server that is not there is found out once, not eight times.
    missing = missing_namespaces(cluster, documents)
    pool = ThreadPoolExecutor(AT_A_TIME)
    try:
        # Every kind is looked up once, not by all threads at the same time.
        list(pool.map(cluster.kinds, dict.fromkeys(one.api_version for one in documents)))
        objects = list(pool.map(lambda one: compare_one(cluster, one, missing), documents))
        found, not_looked_for = left_over(cluster, documents, part_of)
    finally:
        pool.shutdown(cancel_futures=True)
    return Comparison(
        server=cluster.server,
        context=cluster.context,
        objects=(*objects, *found),
        not_looked_for=tuple(not_looked_for),
    )


def missing_namespaces(cluster: Cluster, documents: Sequence[Document]) -> frozenset[str]:
    """The namespaces of the documents that do not exist; one that may not be read is taken to exist."""
    found = set()
    for name in dict.fromkeys(one.namespace for one in documents if one.namespace):
        try:
            if cluster.get("v1", "Namespace", name) is None:
                found.add(name)
        except Forbidden:
            continue
    return frozenset(found)


def compare_one(cluster: Cluster, document: Document, missing: frozenset[str] = frozenset()) -> ObjectDiff:
    """Compare one document; `missing` are the namespaces that do not exist."""
    from homeport.manifests.parsing import load

    same = ObjectDiff(
        api_version=document.api_version,
        kind=document.kind,
        namespace=document.namespace,
        name=document.name,
        state="same",
    )
    try:
        cluster.resource(document.api_version, document.kind)
        if document.namespace in missing:
            return _as(
                same, state="missing", message=f"the namespace {document.namespace} does not exist yet"
            )
        live = cluster.get(document.api_version, document.kind, document.name, document.namespace)
        applied = cluster.apply(load(document.text), manager=MANAGER, force=True, dry_run=True)
        if live is None:
            return _as(same, state="missing")
        fields = tuple(_hide(document.kind, field) for field in _fields(cluster, live, applied))
    except KindMissing as problem:
        return _as(same, state="missing", message=str(problem), help=problem.help)
    except (Refused, QuotaExceeded, NamespaceTerminating) as problem:
        return _as(same, state="refused", message=str(problem), help=problem.help)
    except (Forbidden, ServerFailed) as problem:
        return _as(same, state="unknown", message=str(problem), help=problem.help)
    by = tuple(dict.fromkeys(entry["manager"] for entry in fieldsets.appliers(live)))
    return _as(same, state="differs" if fields else "same", fields=fields, applied_by=by)


def _as(one: ObjectDiff, **changes: Any) -> ObjectDiff:
    return msgspec.structs.replace(one, **changes)


def _fields(cluster: Cluster, live: Mapping[str, Any], applied: Mapping[str, Any]) -> Iterator[Field]:
    ours = fieldsets.fields_of(applied, MANAGER)
    yield from fieldsets.differing(live, applied, ours)
    seen: set[str] = set()
    for before in _before(cluster, live):
        for field in fieldsets.removed(live, before, ours):
            if field.path not in seen:
                seen.add(field.path)
                yield field


def _before(cluster: Cluster, live: Mapping[str, Any]) -> Iterator[fieldsets.FieldSet]:
    """The sets of fields that were applied before, and would go with the next apply that leaves them out."""
    for entry in fieldsets.appliers(live):
        # What an Update entry holds includes defaults; only an Apply entry is what was applied.
        if entry["operation"] == "Apply" and entry["apiVersion"] == live["apiVersion"]:
            yield entry.get("fieldsV1") or {}
    last = ((live.get("metadata") or {}).get("annotations") or {}).get(fieldsets.LAST_APPLIED)
    if last:
        try:
            # The server says which fields the document of the annotation sets.
            applied = cluster.apply(msgspec.json.decode(last), manager=MANAGER, force=True, dry_run=True)
        except (msgspec.DecodeError, KeyError, TypeError, Refused, KindMissing):
            return  # written by hand, or for an API that is gone: it says nothing that can be used
        yield fieldsets.fields_of(applied, MANAGER)


def _hide(kind: str, field: Field) -> Field:
    """A Secret's values are never shown, only that they differ."""
    if kind != "Secret" or not field.path.startswith(("data", "stringData")):
        return field
    hidden = {name: HIDDEN for name in ("live", "rendered") if getattr(field, name) is not fieldsets.MISSING}
    return msgspec.structs.replace(field, **hidden)


def left_over(
    cluster: Cluster, documents: Sequence[Document], part_of: str
) -> tuple[list[ObjectDiff], list[str]]:
    """Objects with our labels that are not among the documents, and the kinds that could not be listed.

    What another object owns (an HPA of KEDA's, a StatefulSet of LeaderWorkerSet's) is not ours to remove.
    """
    from homeport.manifests.render import KINDS

    labels = f"app.kubernetes.io/managed-by=homeport,app.kubernetes.io/part-of={part_of}"
    rendered = {(one.kind, one.namespace, one.name) for one in documents}
    namespaces = [one for one in dict.fromkeys(document.namespace for document in documents) if one]
    found: list[ObjectDiff] = []
    silent: list[str] = []
    for kind, (api_version, *_) in KINDS.items():
        try:
            resource = cluster.resource(api_version, kind)
            for namespace in namespaces if resource.namespaced else [None]:
                found += [
                    _left(one, api_version, kind)
                    for one in cluster.list(api_version, kind, namespace, labels)
                    if not one["metadata"].get("ownerReferences")
                    and not one["metadata"].get("deletionTimestamp")
                    and (kind, one["metadata"].get("namespace"), one["metadata"]["name"]) not in rendered
                ]
        except KindMissing:
            continue  # a kind that is not served has no objects
        except (Forbidden, ServerFailed, Refused) as problem:
            silent.append(f"{kind}: {_sentence(problem)}")
    return found, silent


def _sentence(problem: ClusterProblem) -> str:
    return f"{problem}; {problem.help}" if problem.help else str(problem)


def _left(one: Mapping[str, Any], api_version: str, kind: str) -> ObjectDiff:
    metadata = one["metadata"]
    by = tuple(dict.fromkeys(entry["manager"] for entry in fieldsets.appliers(one)))
    return ObjectDiff(
        api_version=api_version,
        kind=kind,
        namespace=metadata.get("namespace"),
        name=metadata["name"],
        state="left_over",
        applied_by=by,
    )
