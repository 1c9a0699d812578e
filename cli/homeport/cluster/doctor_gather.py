"""Asks a cluster everything that the checks read. A question that fails becomes `missing`; only silence of the API server raises."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from urllib.parse import urlencode

import msgspec

from homeport.cluster.client import Cluster
from homeport.cluster.client_answers import no_json
from homeport.cluster.doctor_inputs import named_secrets
from homeport.cluster.doctor_queries import queries, series_of
from homeport.cluster.doctor_rights import VERBS, group_of
from homeport.cluster.doctor_types import Case, Facts, Log, Missing, Object, model_of
from homeport.cluster.errors import ClusterProblem, CredentialsRefused, Forbidden, KindMissing, Unreachable
from homeport.cluster.prometheus import Element, Prometheus, PrometheusError, Target
from homeport.cluster.status_pods import events_of, pod_state

TAIL_LINES = 400
LOG_BYTES = 400_000
"""The most of a log that is read, bytes."""
MOST_LOGS = 12
"""So many containers' logs are read: a hundred replicas crash of the same cause."""
WORKERS = 8

GPU_NODE_MAKERS = ("karpenter.sh/v1", "karpenter.sh/v1beta1")

# kind -> (apiVersion, of the plan's namespace only)
ALWAYS: dict[str, tuple[str, bool]] = {
    "Namespace": ("v1", False),
    "Node": ("v1", False),
    "StorageClass": ("storage.k8s.io/v1", False),
    "RuntimeClass": ("node.k8s.io/v1", False),
    "APIService": ("apiregistration.k8s.io/v1", False),
    "ResourceQuota": ("v1", True),
    "LimitRange": ("v1", True),
    "ServiceAccount": ("v1", True),
    "Pod": ("v1", True),
    "Event": ("v1", True),
    "PersistentVolumeClaim": ("v1", True),
    "Job": ("batch/v1", True),
    "Deployment": ("apps/v1", True),
    "ReplicaSet": ("apps/v1", True),
    "HorizontalPodAutoscaler": ("autoscaling/v2", True),
}
OPTIONAL: dict[str, tuple[str, bool]] = {
    "ScaledObject": ("keda.sh/v1alpha1", True),
    "LeaderWorkerSet": ("leaderworkerset.x-k8s.io/v1", True),
    "Prometheus": ("monitoring.coreos.com/v1", False),
}
"""Kinds that come with a CRD: listed where it is there."""


class Gathering(msgspec.Struct, kw_only=True):
    """What has been answered so far."""

    cluster: Cluster
    missing: dict[str, Missing] = {}
    lists: dict[str, list[Object]] = {}

    def ask(self, key: str, question: Callable[[], Any]) -> Any:
        """The answer, or None with the reason under `key`. Raises what no further question would survive."""
        try:
            return question()
        except (Unreachable, CredentialsRefused):
            raise
        except ClusterProblem as problem:
            self.missing[key] = missing_of(problem)
            return None


def missing_of(problem: ClusterProblem) -> Missing:
    """Why a question got no answer, with the rule that is lacking or the command that helps."""
    if isinstance(problem, Forbidden):
        resource = f"{problem.resource}.{problem.group}" if problem.group else problem.resource
        return Missing(why=str(problem), rule=(problem.verb, resource))
    told = problem.help or ""
    if told.startswith(("kubectl ", "helm ")):
        return Missing(why=str(problem), repair=(told,))
    return Missing(why=str(problem), advice=told)


def gather(case: Case, cluster: Cluster, *, live: bool) -> Facts:
    """Everything that the checks read about `case`, whose own facts say the namespace.

    `live` also reads logs and asks Prometheus. Raises Unreachable, CredentialsRefused, KubeconfigProblem.
    """
    space = case.facts.namespace
    asked = Gathering(cluster=cluster)
    version = cluster.raw("/version")  # the first question: whoever cannot be reached fails here
    if not isinstance(version, dict):
        raise no_json(cluster.server, "/version")
    served = _served(asked, case)
    wanted = dict(ALWAYS)
    wanted |= {kind: where for kind, where in OPTIONAL.items() if kind in served.get(where[0], {})}
    with ThreadPoolExecutor(WORKERS) as pool:
        listed = pool.map(
            lambda item: _list(asked, item[0], item[1][0], space if item[1][1] else None), wanted.items()
        )
        everywhere = pool.submit(_list, asked, "pods_anywhere", "v1", None, "Pod")
        allowed = pool.submit(_allowed, asked, case, served)
        secrets = pool.submit(_secrets, asked, case)
        grows = pool.submit(_autoscaler, asked)
        for kind, found in zip(wanted, listed, strict=True):
            if found is not None:
                asked.lists[kind] = found
        if (pods := everywhere.result()) is not None:
            asked.lists["pods_anywhere"] = pods
        asked.lists["autoscaler_status"] = grows.result()
        facts = Facts(
            namespace=space,
            context=cluster.context,
            user=_user(asked),
            server_version=(version or {}).get("gitVersion"),
            served=served,
            lists=asked.lists,
            secrets=secrets.result(),
            allowed=allowed.result(),
            missing=asked.missing,
            now=time.time(),
        )
        if not live:
            return facts
        logs = dict(pool.map(lambda one: _log(asked, space, *one), _crashing(case, facts)))
    facts = msgspec.structs.replace(facts, logs={k: v for k, v in logs.items() if v is not None})
    answers, targets = _prometheus(asked, msgspec.structs.replace(case, facts=facts))
    return msgspec.structs.replace(facts, answers=answers, targets=targets)


def _user(asked: Gathering) -> str:
    """Who the API server takes us for; empty where it does not say (before 1.28)."""
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    found = Gathering(cluster=asked.cluster).ask("user", lambda: asked.cluster.raw(path, "POST", body))
    return str((found or {}).get("status", {}).get("userInfo", {}).get("username", ""))


def _served(asked: Gathering, case: Case) -> dict[str, dict[str, str]]:
    versions = {item["apiVersion"] for item in case.objects}
    versions |= {version for version, _ in (*ALWAYS.values(), *OPTIONAL.values())} | set(GPU_NODE_MAKERS)
    # The versions of a group that are served although another was rendered tell what to upgrade.
    groups = {v.split("/")[0] for v in versions if "/" in v}
    listed = asked.ask("served groups", lambda: asked.cluster.raw("/apis")) or {}
    there = {
        one["groupVersion"]
        for group in listed.get("groups", ())
        if group["name"] in groups
        for one in group["versions"]
    }
    served: dict[str, dict[str, str]] = {}
    for version in sorted(versions | there):
        if "/" in version and listed and version not in there:
            served[version] = {}
            continue
        path = f"/apis/{version}" if "/" in version else f"/api/{version}"
        found = asked.ask(f"served {version}", partial(asked.cluster.raw, path, missing_ok=True))
        try:
            served[version] = {
                r["kind"]: r["name"] for r in (found or {}).get("resources") or () if "/" not in r["name"]
            }
        except (AttributeError, LookupError, TypeError):
            raise no_json(asked.cluster.server, path) from None
    return served


def _list(
    asked: Gathering, key: str, version: str, namespace: str | None, kind: str | None = None
) -> list[Object] | None:
    def question() -> list[Object]:
        try:
            return asked.cluster.list(version, kind or key, namespace)
        except KindMissing:
            return []

    found: list[Object] | None = asked.ask(key, question)
    return found


def _allowed(
    asked: Gathering, case: Case, served: dict[str, dict[str, str]]
) -> dict[tuple[str, str, str], bool]:
    answers: dict[tuple[str, str, str], bool] = {}
    for item in case.objects:
        resource = served.get(item["apiVersion"], {}).get(item["kind"])
        if resource is None:
            continue  # `kinds` says that it is missing
        group = group_of(item["apiVersion"])
        for verb in VERBS:
            if (verb, group, resource) in answers:
                continue
            attributes = {"verb": verb, "group": group, "resource": resource}
            if item["metadata"].get("namespace"):
                attributes["namespace"] = item["metadata"]["namespace"]
            body = {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": attributes},
            }
            found = asked.ask(
                "access",
                partial(
                    asked.cluster.raw, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "POST", body
                ),
            )
            if found is not None:
                answers[verb, group, resource] = bool(found.get("status", {}).get("allowed"))
    return answers


def _secrets(asked: Gathering, case: Case) -> dict[str, dict[str, bool] | None]:
    """The keys of each Secret, and whether they hold anything: the values go no further than this function."""
    names = dict.fromkeys(named_secrets(case.objects))
    space = case.facts.namespace
    accounts = {o["metadata"]["name"] for o in case.rendered("ServiceAccount")}
    for account in _list(asked, "ServiceAccount", "v1", space) or ():
        if account["metadata"]["name"] in accounts:
            names |= {r["name"]: None for r in account.get("imagePullSecrets", ())}
    found: dict[str, dict[str, bool] | None] = {}
    for name in names:
        key = f"Secret {name}"
        item = asked.ask(key, partial(asked.cluster.get, "v1", "Secret", name, space))
        if key not in asked.missing:
            found[name] = None if item is None else {k: bool(v) for k, v in (item.get("data") or {}).items()}
    return found


def _autoscaler(asked: Gathering) -> list[Object]:
    """The status of the cluster autoscaler, where it is there and may be read: nobody needs it to be."""
    scratch = Gathering(cluster=asked.cluster)
    found = scratch.ask(
        "autoscaler", lambda: asked.cluster.get("v1", "ConfigMap", "cluster-autoscaler-status", "kube-system")
    )
    return [found] if found else []


def _crashing(case: Case, facts: Facts) -> Iterator[tuple[str, str, bool]]:
    """Pod and container of each log that may tell why it ended, and whether the run before this one is meant."""
    models = {m.spec.name for m in case.plan.models}
    events = facts.lists.get("Event", [])
    chosen: list[tuple[str, str, bool]] = []
    for pod in facts.lists.get("Pod", ()):
        if model_of(pod) not in models or len(chosen) >= MOST_LOGS:
            continue
        state = pod_state(pod, events_of(events, pod), facts.now)
        statuses = {
            c["name"]: c
            for group in ("initContainerStatuses", "containerStatuses")
            for c in pod.get("status", {}).get(group, ())
        }
        name = state.container or ("server" if state.restarts else "")
        status = statuses.get(name)
        if status is None or state.phase not in ("crashing", "failed", "ready", "loading"):
            continue
        ended_now = bool(status.get("state", {}).get("terminated"))
        if ended_now or status.get("lastState", {}).get("terminated"):
            chosen.append((pod["metadata"]["name"], name, not ended_now))
    yield from chosen


def _log(
    asked: Gathering, space: str, pod: str, container: str, previous: bool
) -> tuple[tuple[str, str], Log | None]:
    query = {"container": container, "tailLines": str(TAIL_LINES), "limitBytes": str(LOG_BYTES)}
    if previous:
        query["previous"] = "true"
    path = f"/api/v1/namespaces/{space}/pods/{pod}/log?{urlencode(query)}"
    text = asked.ask(f"log {pod}/{container}", lambda: asked.cluster.text(path))
    return (pod, container), None if text is None else Log(text=text, previous=previous)


def _prometheus(
    asked: Gathering, case: Case
) -> tuple[dict[tuple[str, str], tuple[Element, ...]], dict[str, tuple[Target, ...]]]:
    own = case.plan.spec.observability.prometheus_url.rstrip("/")
    wanted = queries(case)
    answers: dict[tuple[str, str], tuple[Element, ...]] = {}
    targets: dict[str, tuple[Target, ...]] = {}
    for url in dict.fromkeys((own, *(q.url for q in wanted))):
        server = Prometheus(url, asked.cluster.raw)
        if _answer(asked, f"prometheus {url}", server, "vector(1)") is None:
            continue
        if url == own:
            found = asked.ask(f"targets {url}", server.targets)
            if found is not None:
                targets[url] = tuple(found)
        for query in wanted:
            if query.url != url:
                continue
            elements = _answer(asked, f"query {query.text}", server, query.text)
            if elements is None:
                continue
            answers[url, query.text] = tuple(elements)
            for series in series_of(query.text):
                count = _answer(asked, f"query {series.count}", server, series.count)
                answers[url, series.count] = tuple(count or ())
                if not count:
                    there = _answer(asked, f"query {series.there}", server, series.there)
                    answers[url, series.there] = tuple(there or ())
    return answers, targets


def _answer(asked: Gathering, key: str, server: Prometheus, query: str) -> list[Element] | None:
    try:
        return server.query(query)
    except (Unreachable, CredentialsRefused):
        raise
    except (PrometheusError, Forbidden) as problem:
        asked.missing[key] = missing_of(problem)
    return None
