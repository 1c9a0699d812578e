"""The autoscaler's queries, judged by what Prometheus answers now."""

import math
import re
from collections.abc import Callable, Iterator
from functools import partial

import msgspec

from homeport.cluster.doctor_types import Case, Check, Finding, Missing, Object, Unanswered, model_of
from homeport.cluster.prometheus import Element
from homeport.planning.types import ModelPlan
from homeport.text import counted

_SELECTOR = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)\{((?:[^{}"]|"(?:\\.|[^"\\])*")*)\}')
_MATCHER = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*"((?:\\.|[^"\\])*)"')


SEE = "see the check prometheus"


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """One query that a trigger asks. `ignores_null` is KEDA's ignoreNullValues; `model` the model that it scales."""

    url: str
    text: str
    where: str
    model: str | None
    threshold: float | None
    ignores_null: bool
    trigger: int


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """One series selector in a query: its name, its matchers, and how it stands there."""

    name: str
    labels: tuple[tuple[str, str], ...]
    text: str

    @property
    def count(self) -> str:
        """The query that counts the series that it selects."""
        return f"count({self.text})"

    @property
    def there(self) -> str:
        """The query that lists the values of the same labels, whatever they are."""
        keys = ", ".join(key for key, _ in self.labels) or "job"
        return f"count by ({keys}) ({self.name})"


def queries(case: Case) -> list[Query]:
    """The queries of every Prometheus trigger: of the ScaledObjects in the cluster, else of the rendered ones."""
    live = {o["metadata"]["name"]: o for o in case.facts.lists.get("ScaledObject", ())}
    found = []
    for rendered in case.rendered("ScaledObject"):
        item = live.get(rendered["metadata"]["name"], rendered)
        found += queries_of(item, case.facts.namespace, model_of(rendered))
    return found


def queries_of(item: Object, namespace: str, model: str | None) -> list[Query]:
    """The Prometheus queries of one ScaledObject."""
    found = []
    for number, trigger in enumerate(item["spec"].get("triggers", ())):
        data = trigger.get("metadata", {})
        if trigger.get("type") != "prometheus" or "query" not in data:
            continue
        try:
            threshold = float(data.get("threshold", ""))
        except ValueError:
            threshold = None
        found.append(
            Query(
                url=data.get("serverAddress", "").rstrip("/"),
                text=data["query"],
                where=f"ScaledObject {namespace}/{item['metadata']['name']}, trigger {number}",
                model=model,
                threshold=threshold,
                ignores_null=str(data.get("ignoreNullValues", "true")).lower() != "false",
                trigger=number,
            )
        )
    return found


def series_of(query: str) -> list[Series]:
    """The series selectors of a query, each once."""
    found: dict[str, Series] = {}
    for name, inside in _SELECTOR.findall(query):
        labels = tuple((key, value) for key, how, value in _MATCHER.findall(inside) if how == "=")
        found.setdefault(f"{name}{{{inside}}}", Series(name=name, labels=labels, text=f"{name}{{{inside}}}"))
    return list(found.values())


def triggers(case: Case) -> Iterator[Finding]:
    """Each query gives the autoscaler exactly one number, and a true one."""
    asked = queries(case)
    for url in dict.fromkeys(query.url for query in asked):
        gone = case.facts.missing.get(f"prometheus {url}")
        if gone is None:
            continue
        own = [query for query in asked if query.url == url]
        yield Finding(
            check="trigger",
            severity="unknown",
            what="the autoscaler's query was not run"
            if len(own) == 1
            else f"the autoscaler's {len(own)} queries were not run",
            where=url,
            why="without Prometheus, KEDA falls back to a fixed number of replicas",
            evidence=gone.why,
            advice=SEE,
        )
        asked = [query for query in asked if query.url != url]
    for query in asked:
        try:
            elements = case.facts.answer(query.url, query.text)
        except Unanswered as lack:
            yield Finding(
                check="trigger",
                severity="unknown",
                what="the query could not be run",
                where=query.where,
                model=query.model,
                why="without Prometheus, KEDA falls back to a fixed number of replicas",
                evidence=lack.missing.why,
                advice=lack.missing.advice or SEE,
            )
            continue
        yield from _judge(case, query, elements)


def _judge(case: Case, query: Query, elements: tuple[Element, ...]) -> Iterator[Finding]:
    ready = ready_pods(case, query.model)
    finding = partial(Finding, check="trigger", where=query.where, model=query.model)
    asks = f"homeport render -f {case.file} -o - | kubectl apply --server-side -f -"
    if len(elements) > 1:
        shown = "; ".join(_labels(e) for e in elements[:3])
        yield finding(
            severity="error",
            what=f"the query returns {len(elements)} elements",
            why="KEDA refuses more than one ('returned multiple elements'), and replicas stay where they are",
            evidence=shown,
            advice="sum() over what differs between them",
            repair=(asks,),
        )
        return
    if not elements:
        yield finding(
            severity="error",
            what="the query returns nothing" + ("" if ready else " while no replica serves"),
            why="KEDA reads nothing as 0 (ignoreNullValues) and takes replicas away under load"
            if query.ignores_null
            else "KEDA reports an error for it, and falls back",
            evidence=query.text,
            advice="; ".join(_lost(case, query)) or "add `or vector(0)` to each part of the query",
            repair=(asks,),
        )
        return
    value = elements[0].value
    if math.isnan(value) or math.isinf(value) or value < 0:
        yield finding(
            severity="error",
            what=f"the query returns {value:g}",
            why="that is no load: KEDA "
            + (
                "reads it as 0 and takes replicas away"
                if query.ignores_null and not value < 0
                else "scales by it"
            ),
            evidence=query.text,
            advice="a quotient over no traffic is NaN: add `or vector(0)`, or guard the divisor",
            repair=(asks,),
        )
        return
    lost = _lost(case, query) if ready else []
    if lost:
        yield finding(
            severity="error",
            what=f"the query returns {value:g} although {len(lost)} of its series do not exist",
            why="`or vector(0)` hides it: the autoscaler sees an idle model whatever the load is",
            evidence="; ".join(lost),
            advice="the labels in the query must be those that Prometheus stores: compare with the PodMonitor's relabelling",
            repair=(asks,),
        )
        return
    models = {m.spec.name: m for m in case.plan.models}
    yield from _plausible(case, query, value, models.get(query.model or ""), ready, finding)


def _plausible(
    case: Case,
    query: Query,
    value: float,
    model: ModelPlan | None,
    ready: int,
    finding: Callable[..., Finding],
) -> Iterator[Finding]:
    told = f"the query returns one element, {value:g}"
    if query.threshold:
        told += f"; threshold {query.threshold:g} a replica: {math.ceil(value / query.threshold)} replicas"
    usage = model.engine.metrics.kv_cache_usage if model else None
    if usage and series_of(query.text) and all(s.name == usage for s in series_of(query.text)):
        most = max(1, ready) if "sum(" in query.text else 1
        if value > most * (100 if "100" in query.text else 1):
            yield finding(
                severity="error",
                what=f"the KV cache's use is {value:g}, more than all of it",
                why="the share goes from 0 to 1: a sum over ranks or replicas counts it several times",
                evidence=query.text,
                advice="take max by (pod) before the sum, as the rendered query does",
                repair=(f"homeport diff -f {case.file}",),
            )
            return
    if model is not None and query.threshold and value > query.threshold * model.replicas_max:
        yield finding(
            severity="warning",
            what=f"{told}, and at most {model.replicas_max} are allowed",
            why="requests wait longer than the latency limits allow",
            advice="raise replicas.max in the spec, or look for a client that sends too much",
            repair=(f"homeport plan -f {case.file} --explain",),
        )
        return
    yield finding(severity="ok", what=told)


def _lost(case: Case, query: Query) -> list[str]:
    """The series of a query that select nothing, with what stands there instead."""
    lost = []
    for series in series_of(query.text):
        if case.facts.answer(query.url, series.count):
            continue
        there = case.facts.answer(query.url, series.there)
        if not there:
            lost.append(f"{series.name} is scraped nowhere")
            continue
        wrong = [
            f'{key}="{value}" (there is: {", ".join(sorted(found)) or "none"})'
            for key, value in series.labels
            if value not in (found := {e.labels.get(key, "") for e in there} - {""})
        ]
        lost.append(f"{series.name} has no {' and '.join(wrong) or 'series with all of these labels'}")
    return lost


def ready_pods(case: Case, model: str | None) -> int:
    """How many pods of a model are ready."""
    return sum(
        1
        for pod in case.facts.lists.get("Pod", ())
        if model_of(pod) == model
        and any(
            c["type"] == "Ready" and c["status"] == "True"
            for c in pod.get("status", {}).get("conditions", ())
        )
    )


def targets(case: Case) -> Iterator[Finding]:
    """Prometheus scrapes every ready replica."""
    url = case.plan.spec.observability.prometheus_url.rstrip("/")
    for key in (f"prometheus {url}", f"targets {url}"):
        if key in case.facts.missing:
            lack = case.facts.missing[key]
            raise Unanswered(f"Prometheus' targets at {url}", Missing(why=lack.why, rule=lack.rule))
    pods = [p for p in case.facts.of("Pod") if _serves(p)]
    for model in case.plan.models:
        own = {p["metadata"]["name"]: p for p in pods if model_of(p) == model.spec.name}
        prefix = f"podMonitor/{case.facts.namespace}/{model.spec.name}/"
        scraped = [
            t
            for t in case.facts.targets.get(url, ())
            if t.pool.startswith(prefix)
            or (t.labels.get("namespace") == case.facts.namespace and t.labels.get("pod") in own)
        ]
        where = f"model {model.spec.name}"
        ready = ready_pods(case, model.spec.name)
        down = [t for t in scraped if t.health != "up"]
        if ready and not scraped:
            yield Finding(
                check="targets",
                severity="error",
                what=f"Prometheus scrapes no replica; {ready} {'is' if ready == 1 else 'are'} ready",
                where=where,
                model=model.spec.name,
                why="the autoscaler reads 0, and status shows nothing",
                advice="does a Prometheus object select the PodMonitor (check monitor-selected), and has the server loaded its "
                "configuration?",
                repair=(
                    f"kubectl --namespace {case.facts.namespace} get podmonitor {model.spec.name} --show-labels",
                    "kubectl get prometheus --all-namespaces --output yaml | grep -A4 onitorSelector",
                ),
            )
        for target in down:
            pod = target.labels.get("pod", "")
            if pod in own and not _is_ready(own[pod]):
                continue  # it does not answer anybody yet: `pods` says why
            yield Finding(
                check="targets",
                severity="error" if target.health == "down" else "warning",
                what="Prometheus cannot scrape a replica"
                if target.health == "down"
                else "Prometheus has not scraped a replica yet",
                where=f"Pod {case.facts.namespace}/{pod}" if pod else target.url,
                model=model.spec.name,
                why="the autoscaler counts one replica less than there are",
                evidence=f"{target.url}: {target.error or target.health}",
                advice=_scrape_advice(target.error, model, case.plan.spec.observability.prometheus_namespace),
                repair=(f"kubectl --namespace {case.facts.namespace} get networkpolicy --output yaml",)
                if "deadline" in target.error
                else (),
            )
        if scraped and not down:
            yield Finding(
                check="targets",
                severity="ok",
                what=f"Prometheus scrapes {counted(len(scraped), 'replica')}",
                where=where,
                model=model.spec.name,
            )


def _scrape_advice(error: str, model: ModelPlan, prometheus_namespace: str) -> str:
    if "deadline exceeded" in error or "i/o timeout" in error:
        return (
            f"a NetworkPolicy drops it: Prometheus must run in the namespace '{prometheus_namespace}' "
            "(observability.prometheus_namespace), which is let in"
        )
    if "404" in error:
        return f"the engine serves no {model.engine.metrics.path}: is the image {model.engine.engine} {model.engine.version}?"
    if "connection refused" in error:
        return "nothing listens on the port: the server is not up, or listens on localhost only"
    if "401" in error or "403" in error:
        return "the engine asks for a key on its metrics: another version than the plan's?"
    return ""


def _serves(pod: Object) -> bool:
    return bool(pod["metadata"].get("labels", {}).get("app.kubernetes.io/component") == "model-server")


def _is_ready(pod: Object) -> bool:
    return any(
        c["type"] == "Ready" and c["status"] == "True" for c in pod.get("status", {}).get("conditions", ())
    )


def _labels(element: Element) -> str:
    shown = ", ".join(f'{k}="{v}"' for k, v in element.labels.items()) or "no labels"
    return f"{{{shown}}} {element.value:g}"


CHECKS: dict[str, Check] = {"targets": targets, "trigger": triggers}
