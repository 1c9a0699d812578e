"""What changes the number of replicas, and what watches them."""

import math

from homeport.engines.types import MetricNames
from homeport.errors import Problem, SpecError
from homeport.manifests import naming
from homeport.manifests.values import Budget, Meta, Monitor, Scaler
from homeport.planning.types import ModelPlan
from homeport.spec.models import Observability

TOLERANCE = 1.1
"""The HPA acts once the metric is 10 % above its target (Kubernetes' default tolerance)."""

LEAST_STABILIZATION_S = 300
"""Kubernetes' default window before replicas are taken away, seconds."""

RATE_WINDOW = "2m"
"""Window of a request rate: four scrapes even where Prometheus scrapes every 30 s."""


def owned_by_keda(plan: ModelPlan) -> bool:
    """Say whether KEDA sets the number of replicas."""
    return (
        plan.spec.scaling.by == "keda" and not plan.fixed_replicas and plan.replicas_min < plan.replicas_max
    )


def check(plan: ModelPlan) -> None:
    """Raise SpecError where replicas shall go to zero with nothing that could wake them."""
    if owned_by_keda(plan) and plan.replicas_min == 0:
        raise SpecError(
            [
                Problem(
                    message="scale to zero needs a signal that exists while no replica runs, and the only signal here "
                    "comes from the replicas themselves",
                    path=("replicas", "min"),
                    value=0,
                    help="set replicas.min to 1",
                )
            ]
        )


def replicas(plan: ModelPlan) -> tuple[int | None, str]:
    """`spec.replicas` (None: left to the autoscaler) and the comment that goes with it."""
    if owned_by_keda(plan):
        return (
            None,
            f"no replicas here: the ScaledObject owns the number ({plan.replicas_min} to {plan.replicas_max})",
        )
    return plan.replicas_planned, f"for {plan.peak_requests_per_s:.3g} requests/s at the peak"


def budget(plan: ModelPlan, meta: Meta) -> Budget | None:
    """A PodDisruptionBudget, where there are always two replicas or more (with one it would block every drain)."""
    least = plan.replicas_min if owned_by_keda(plan) else plan.replicas_planned
    if least < 2:
        return None
    return Budget(
        meta=meta,
        selector=naming.selector(plan),
        why=f"one at a time: at least {least} replicas run, {least - 1} go on",
    )


def monitor(plan: ModelPlan, meta: Meta, metrics: MetricNames, watch: Observability) -> Monitor:
    """A PodMonitor with the labels that the cluster's Prometheus selects."""
    labelled = Meta(name=meta.name, namespace=meta.namespace, labels=meta.labels | watch.monitor_labels)
    return Monitor(meta=labelled, selector=naming.selector(plan), path=metrics.path)


def scaler(
    plan: ModelPlan, meta: Meta, metrics: MetricNames, watch: Observability, api: str, kind: str, target: str
) -> Scaler | None:
    """A ScaledObject, or None where the number of replicas is fixed.

    Raises SpecError where the engine has no series to scale on.
    """
    if not owned_by_keda(plan):
        return None
    query, query_why = _query(plan, meta.namespace or "", metrics)
    threshold, threshold_why = _threshold(plan, by_rate=metrics.waiting is None or metrics.running is None)
    ready = math.ceil(plan.startup.ready_s_interval[1]) if plan.startup else 0
    stabilization = min(3600, max(LEAST_STABILIZATION_S, ready))
    return Scaler(
        meta=meta,
        target_api=api,
        target_kind=kind,
        target=target,
        least=plan.replicas_min,
        most=plan.replicas_max,
        replicas_why=f"{plan.replicas_planned} planned for {plan.peak_requests_per_s:.3g} requests/s at the peak",
        fallback=max(plan.replicas_min, min(plan.replicas_planned, plan.replicas_max)),
        stabilization_s=stabilization,
        stabilization_why=f"a replica that was taken away is back after {ready} s at worst"
        if stabilization > LEAST_STABILIZATION_S
        else "Kubernetes' default, and longer than a replica needs to come back",
        server=watch.prometheus_url,
        query=query,
        query_why=query_why,
        threshold=threshold,
        threshold_why=threshold_why,
    )


def _selector(plan: ModelPlan, namespace: str, metrics: MetricNames) -> str:
    """The labels that select the replicas of this model only; without a model label, the PodMonitor's job does."""
    pairs = {"namespace": namespace}
    if metrics.model_label:
        pairs[metrics.model_label] = plan.launch.served_name
    else:
        pairs["job"] = f"{namespace}/{plan.spec.name}"
    return ",".join(f'{name}="{_promql(value)}"' for name, value in pairs.items())


def _promql(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _query(plan: ModelPlan, namespace: str, metrics: MetricNames) -> tuple[str, str]:
    where = _selector(plan, namespace, metrics)
    # `sum` makes one element of any number of replicas, `or vector(0)` one element of none.
    if metrics.waiting and metrics.running:
        parts = (
            f"(sum({_gauge(plan, name, where)}) or vector(0))" for name in (metrics.running, metrics.waiting)
        )
        return " + ".join(parts), "requests in flight on all replicas, running and waiting"
    if metrics.requests_total:
        rate = f"sum(rate({metrics.requests_total}{{{where}}}[{RATE_WINDOW}])) or vector(0)"
        return (
            rate,
            f"requests a second; {plan.engine.engine} {plan.engine.version} has no series of its queue",
        )
    raise SpecError(
        [
            Problem(
                message=f"{plan.engine.engine} {plan.engine.version} has no series that an autoscaler could follow",
                path=("scaling", "by"),
                help="set scaling.by to none",
            )
        ]
    )


def _gauge(plan: ModelPlan, name: str, where: str) -> str:
    """One value a replica. SGLang may report the same queue from several tensor parallel ranks of one pod."""
    series = f"{name}{{{where}}}"
    return f"max by (pod, dp_rank) ({series})" if plan.engine.engine == "sglang" else series


def _threshold(plan: ModelPlan, *, by_rate: bool) -> tuple[str, str]:
    capacity = plan.capacity
    if capacity is None:
        if by_rate:
            rate = plan.peak_requests_per_s / max(1, plan.replicas_planned)
            return _number(
                rate
            ), "capacity of a replica unknown: the peak's requests/s, shared by the planned replicas"
        return "1", "capacity of a replica unknown: an assumption, one request at a time"
    if by_rate:
        return (
            _number(capacity.requests_per_s / TOLERANCE),
            f"a replica carries {capacity.requests_per_s:.3g} requests/s within the limits; the HPA acts 10 % above",
        )
    threshold = max(1, math.floor(capacity.concurrency / TOLERANCE))
    return (
        str(threshold),
        f"a replica carries {capacity.concurrency} requests at once within the limits; the HPA acts 10 % above",
    )


def _number(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".") if value >= 0.001 else "0.001"
