"""What changes the number of replicas, and what watches them."""

from typing import Any

from homeport.engines.types import MetricNames
from homeport.manifests import naming
from homeport.manifests import scaling_queries as queries
from homeport.manifests.values import Autoscaler, Behavior, Budget, Meta, Metric, Monitor, Scaler, Trigger
from homeport.planning.scaling import SCRAPE_S
from homeport.planning.scaling import scaling as computed
from homeport.planning.scaling_types import Scaling, Setting, number
from homeport.planning.types import ModelPlan
from homeport.spec.models import Observability


def scaled(plan: ModelPlan) -> bool:
    """Say whether an autoscaler sets the number of replicas."""
    return (
        plan.spec.scaling.by != "none" and not plan.fixed_replicas and plan.replicas_min < plan.replicas_max
    )


def replicas(plan: ModelPlan) -> tuple[int | None, str]:
    """`spec.replicas` (None: left to the autoscaler) and the comment that goes with it."""
    if scaled(plan):
        owner = "ScaledObject" if plan.spec.scaling.by == "keda" else "HorizontalPodAutoscaler"
        return (
            None,
            f"no replicas here: the {owner} owns the number ({plan.replicas_min} to {plan.replicas_max})",
        )
    return plan.replicas_planned, f"for {plan.peak_requests_per_s:.3g} requests/s at the peak"


def budget(plan: ModelPlan, meta: Meta) -> Budget | None:
    """A PodDisruptionBudget, where there are always two replicas or more (with one it would block every drain)."""
    least = plan.replicas_min if scaled(plan) else plan.replicas_planned
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
    return Monitor(meta=labelled, selector=naming.selector(plan), path=metrics.path, interval=f"{SCRAPE_S}s")


def scaler(
    plan: ModelPlan, meta: Meta, metrics: MetricNames, watch: Observability, api: str, kind: str, target: str
) -> Scaler | Autoscaler | None:
    """A ScaledObject or a HorizontalPodAutoscaler of the target, or None where the number of replicas is fixed.

    Raises SpecError where the engine has no series to scale on, or an override cannot work.
    """
    made = computed(plan)
    if made is None:
        return None
    mover: dict[str, Any] = {
        "meta": meta,
        "target_api": api,
        "target_kind": kind,
        "target": target,
        "least": made.least,
        "most": made.most,
        "replicas_why": f"{plan.replicas_planned} planned for {plan.peak_requests_per_s:.3g} requests/s at the peak",
        "behavior": _behavior(made),
    }
    if made.by == "hpa":
        return Autoscaler(**mover, metrics=_metrics(plan, metrics, made))
    assert made.fallback_replicas is not None, "KEDA has a fallback"
    assert made.fallback_failures is not None, "KEDA has a fallback"
    return Scaler(
        **mover,
        fallback=int(made.fallback_replicas.value),
        fallback_why=made.fallback_replicas.why,
        failures=int(made.fallback_failures.value),
        failures_why=made.fallback_failures.why,
        polling_s=None if made.polling is None else int(made.polling.value),
        polling_why=None if made.polling is None else made.polling.why,
        cooldown_s=None if made.cooldown is None else int(made.cooldown.value),
        cooldown_why=None if made.cooldown is None else made.cooldown.why,
        server=watch.prometheus_url,
        triggers=_triggers(plan, meta.namespace or "", metrics, made),
    )


def rules(plan: ModelPlan) -> tuple[queries.AdapterRule, ...]:
    """What prometheus-adapter must serve for the model's HorizontalPodAutoscaler (none where it has none)."""
    made = computed(plan)
    if made is None or made.by != "hpa":
        return ()
    metrics = plan.engine.metrics
    found = [queries.load_rule(plan, metrics)]
    if made.kv_cache is not None:
        found.append(queries.kv_cache_rule(plan, metrics))
    return tuple(found)


def _behavior(made: Scaling) -> Behavior:
    return Behavior(
        up_window_s=int(made.up_window.value),
        up_window_why=made.up_window.why,
        up_step=int(made.up_step.value),
        up_step_why=made.up_step.why,
        up_period_s=int(made.up_period.value),
        up_period_why=made.up_period.why,
        down_window_s=int(made.down_window.value),
        down_window_why=made.down_window.why,
        down_step=int(made.down_step.value),
        down_step_why=made.down_step.why,
        down_period_s=int(made.down_period.value),
    )


def _counts(plan: ModelPlan, made: Scaling) -> str:
    if made.signal == "in_flight":
        return "requests in flight, running and waiting"
    return f"requests a second; {plan.engine.engine} {plan.engine.version} has no series of its queue"


def _triggers(plan: ModelPlan, namespace: str, metrics: MetricNames, made: Scaling) -> tuple[Trigger, ...]:
    found = [
        Trigger(
            name="load",
            query=queries.load(plan, namespace, metrics),
            query_why=f"{_counts(plan, made)}, on all replicas",
            threshold=number(made.threshold.value),
            threshold_why=_threshold_why(made.threshold),
        )
    ]
    if made.kv_cache is not None:
        found.append(
            Trigger(
                name="kv-cache",
                query=queries.kv_cache(plan, namespace, metrics),
                query_why="a guard: how full the KV caches are, added up over the replicas",
                threshold=number(made.kv_cache.value),
                threshold_why=_threshold_why(made.kv_cache),
                # never what keeps the last replica: what fills a cache is in flight, which the load counts
                activation=str(made.most) if made.least == 0 else None,
            )
        )
    if made.wake is not None:
        found.append(
            Trigger(
                name="wake",
                query=queries.wake(made.wake),
                query_why="wakes the first replica: 1 while the signal that the spec gives (scaling.wake) is above 0",
                threshold="1",
                threshold_why="one replica, and no second one: the load asks for those",
            )
        )
    return tuple(found)


def _metrics(plan: ModelPlan, metrics: MetricNames, made: Scaling) -> tuple[Metric, ...]:
    found = [
        Metric(
            name=queries.load_rule(plan, metrics).metric,
            why=f"{_counts(plan, made)}, of each replica: prometheus-adapter serves it",
            target=number(made.threshold.value),
            target_why=_threshold_why(made.threshold),
        )
    ]
    if made.kv_cache is not None:
        found.append(
            Metric(
                name=queries.kv_cache_rule(plan, metrics).metric,
                why="a guard: how full a replica's KV cache is",
                target=number(made.kv_cache.value),
                target_why=_threshold_why(made.kv_cache),
            )
        )
    return tuple(found)


def _threshold_why(setting: Setting) -> str:
    return "as the spec says" if setting.given else setting.why
