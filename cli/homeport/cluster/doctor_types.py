"""What `doctor` says: findings, and the case that they are found in."""

from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from homeport.cluster.prometheus import Element, Target
from homeport.manifests.types import Document
from homeport.planning.types import Plan

Object = dict[str, Any]
"""One Kubernetes object as the API server sends it."""

Severity = Literal["error", "warning", "unknown", "ok"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "unknown", "ok")
"""Worst first. `unknown`: a question that could not be asked, which is never the same as `ok`."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at, and what came of it."""

    part: Annotated[
        Literal["preflight", "live"],
        Meta(description="preflight: what must be so before anything is applied; live: what runs"),
    ] = "preflight"
    check: Annotated[str, Meta(description="The check's name: docs/how-to/read-doctor.md lists them")]
    severity: Annotated[
        Severity, Meta(description="unknown: it could not be looked at, which is never the same as ok")
    ]
    model: Annotated[str | None, Meta(description="The model that it is about; null: all of them")] = None
    what: Annotated[str, Meta(description="What was found")]
    where: Annotated[str, Meta(description="The object or node")] = "cluster"
    why: Annotated[str, Meta(description="Why it matters")] = ""
    advice: Annotated[str, Meta(description="What to change where no command does it")] = ""
    repair: Annotated[tuple[str, ...], Meta(description="Commands to paste, in order")] = ()
    evidence: Annotated[str, Meta(description="The line that the cluster or the engine said")] = ""
    source: Annotated[str, Meta(description="Where the meaning of that line is from")] = ""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """`homeport doctor -o json`: all findings, the worst first within each part."""

    schema_version: Annotated[
        int, Meta(description="Of this answer's format; a change that breaks readers raises it")
    ] = 1
    namespace: Annotated[str, Meta(description="Where the models run")]
    context: Annotated[str, Meta(description="Of the kubeconfig")]
    server_version: Annotated[str | None, Meta(description="The API server's")]
    deployed: Annotated[bool, Meta(description="Something of the spec is in the cluster, or that is unknown")]
    findings: Annotated[
        tuple[Finding, ...], Meta(description="All that was looked at, what is well included")
    ]

    @property
    def faulty(self) -> bool:
        """Say whether anything is not ok."""
        return any(f.severity != "ok" for f in self.findings)

    def of(self, part: str) -> list[Finding]:
        """The findings of one part."""
        return [f for f in self.findings if f.part == part]


class Unanswered(Exception):  # noqa: N818 - an answer that is missing, not a mistake
    """A check needs a fact that the cluster did not give. Becomes a finding of severity `unknown`."""

    def __init__(self, what: str, missing: "Missing") -> None:
        """`what` was asked for, `missing` says what came instead."""
        super().__init__(f"{what}: {missing.why}")
        self.what = what
        self.missing = missing


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """Why a question got no answer. `rule` is the verb and the resource that RBAC forbids: `reading` repairs them all.

    `repair` are the commands that would let it be asked where it is something else, `advice` what to change.
    """

    why: str
    advice: str = ""
    repair: tuple[str, ...] = ()
    rule: tuple[str, str] | None = None


class Log(msgspec.Struct, frozen=True, kw_only=True):
    """The last lines of a container; `previous` says that they are of the run before this one."""

    text: str
    previous: bool


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """For the Hub: may the token under `key` of a Secret read a checkpoint? `pods_say`: pods in the cluster ask that Hub."""

    secret: str
    key: str
    checkpoint: str
    endpoint: str
    pods_say: bool


class HubWord(msgspec.Struct, frozen=True, kw_only=True):
    """What the Hub said: an empty `kind` where the token may, else a kind of `HubFailure` and its reason."""

    kind: str = ""
    reason: str = ""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a cluster answered, as plain objects.

    `served` maps each asked apiVersion to its kinds and their resource names; `lists` a kind to its objects (namespaced
    ones of the plan's namespace, `pods_anywhere` of all). `missing` says which of these questions got no answer.
    `user` is who the API server takes us for. `secrets` maps a Secret's name to its keys and whether each holds anything: values are never kept. `allowed` maps
    (verb, group, resource) to the API server's word, `logs` (pod, container) to the end of a log, `answers`
    (Prometheus' URL, query) to elements, `targets` Prometheus' URL to what it scrapes, `hub` what the Hub says of tokens (None: it was not asked). `now` is seconds since the epoch.
    """

    namespace: str
    context: str = ""
    user: str = ""
    server_version: str | None = None
    served: dict[str, dict[str, str]] = {}
    lists: dict[str, list[Object]] = {}
    secrets: dict[str, dict[str, bool] | None] = {}
    allowed: dict[tuple[str, str, str], bool] = {}
    logs: dict[tuple[str, str], Log] = {}
    answers: dict[tuple[str, str], tuple[Element, ...]] = {}
    targets: dict[str, tuple[Target, ...]] = {}
    hub: dict[Question, HubWord] | None = None
    missing: dict[str, Missing] = {}
    now: float = 0.0

    def of(self, kind: str) -> list[Object]:
        """The objects of a kind. Raises Unanswered where they could not be listed."""
        if kind in self.missing:
            raise Unanswered(kind, self.missing[kind])
        return self.lists.get(kind, [])

    def known(self, kind: str) -> bool:
        """Say whether objects of a kind could be listed."""
        return kind not in self.missing

    def answer(self, url: str, query: str) -> tuple[Element, ...]:
        """What Prometheus says to a query. Raises Unanswered where it could not be asked."""
        for key in (f"prometheus {url}", f"query {query}"):
            if key in self.missing:
                raise Unanswered(f"Prometheus at {url}", self.missing[key])
        return self.answers.get((url, query), ())

    def one(self, kind: str, name: str) -> Object | None:
        """The object of that name. Raises Unanswered like `of`."""
        return next((o for o in self.of(kind) if o["metadata"]["name"] == name), None)


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A plan, what is rendered of it, and what a cluster answered. `objects` are the documents, parsed, in order."""

    plan: Plan
    documents: tuple[Document, ...]
    objects: tuple[Object, ...]
    facts: Facts
    file: str = "homeport.yaml"

    def rendered(self, *kinds: str) -> Iterator[Object]:
        """The rendered objects of some kinds."""
        return (o for o in self.objects if o["kind"] in kinds)


Check = Callable[[Case], Iterator[Finding]]


def examine(case: Case, checks: dict[str, Check], part: Literal["preflight", "live"]) -> list[Finding]:
    """Run checks; one that lacks a fact ends as a finding of severity `unknown` under its own name.

    So does one that trips over an object in a form that it does not know (a custom resource of another version): one odd
    object must not hide what the other checks find.
    """
    found: list[Finding] = []
    for name, check in checks.items():
        try:
            found.extend(check(case))
        except (AttributeError, LookupError, TypeError, ValueError) as odd:
            found.append(
                Finding(
                    check=name,
                    severity="unknown",
                    what="an object of the cluster has a form that this check does not know",
                    why="what was not looked at may be broken",
                    evidence=f"{type(odd).__name__}: {odd}",
                    advice="report it to homeport, with `homeport doctor -o json` and the objects as the cluster has them",
                )
            )
        except Unanswered as lack:
            found.append(
                Finding(
                    check=name,
                    severity="unknown",
                    what=f"could not look at {lack.what}",
                    why="what was not looked at may be broken",
                    evidence=lack.missing.why,
                    advice=lack.missing.advice,
                    repair=lack.missing.repair,
                )
            )
    return [msgspec.structs.replace(f, part=part) for f in found]


def pod_specs(objects: tuple[Object, ...]) -> Iterator[tuple[Object, Object]]:
    """Each rendered workload with the pod specs in it (a LeaderWorkerSet has two)."""
    for item in objects:
        if item["kind"] in ("Deployment", "Job"):
            yield item, item["spec"]["template"]["spec"]
        elif item["kind"] == "LeaderWorkerSet":
            group = item["spec"]["leaderWorkerTemplate"]
            for part in ("leaderTemplate", "workerTemplate"):
                if part in group:
                    yield item, group[part]["spec"]


def model_of(item: Object) -> str | None:
    """The model that an object belongs to, by its label."""
    found = item["metadata"].get("labels", {}).get("app.kubernetes.io/instance")
    return str(found) if found else None
