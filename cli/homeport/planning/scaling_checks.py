"""Overrides of the autoscaler's figures that cannot work."""

import math
import re

from homeport.errors import Problem
from homeport.planning.scaling_types import TOLERANCE, Scaling, number
from homeport.planning.types import ModelPlan


def impossible(model: ModelPlan, made: Scaling) -> list[Problem]:
    """Overrides that cannot work, and by how much they miss."""
    found: list[Problem] = []
    asked, real = model.spec.scaling, model.stands_for or model

    def add(field: str, message: str, advice: str) -> None:
        path = ("scaling", field)
        found.append(Problem(message=message, path=path, value=getattr(asked, field), help=advice))

    if asked.threshold is not None and real.capacity is not None:
        rate = made.signal == "rate"
        carries = real.capacity.requests_per_s if rate else real.capacity.concurrency
        acts, unit = asked.threshold * TOLERANCE, "requests/s" if rate else "requests"
        if acts > carries * (1 + 1e-9) and not (asked.threshold <= 1 and not rate):
            limit = number(math.floor(carries / TOLERANCE * 1000) / 1000 if rate else carries // TOLERANCE)
            add(
                "threshold",
                f"the HPA would act at {acts:.4g} {unit}, {acts - carries:.4g} more than the {carries:.4g} that a replica "
                "carries within the latency limits",
                f"at most {limit}, or allow more latency",
            )
        load = model.peak_requests_per_s if rate else in_flight_at_peak(real)
        needed = math.ceil(load / asked.threshold - 1e-9) if load is not None else 0
        if load is not None and needed > model.replicas_max:
            limit = number(load / model.replicas_max)
            add(
                "threshold",
                f"it asks for {needed} replicas at the peak ({load:.4g} {unit}), {needed - model.replicas_max} more than "
                f"replicas.max, which is {model.replicas_max}",
                f"at least {limit}, or replicas.max: {needed}",
            )
    if asked.kv_cache_usage is not None:
        acts = asked.kv_cache_usage * TOLERANCE
        if made.kv_cache is None:
            engine = f"{model.engine.engine} {model.engine.version}"
            add("kv_cache_usage", f"{engine} has no series of its KV cache's use", "remove it")
        elif acts > 1 + 1e-9:
            add(
                "kv_cache_usage",
                f"the HPA would act at {acts:.3g} of the KV cache, {acts - 1:.3g} more than there is",
                f"at most {math.floor(100 / TOLERANCE) / 100:g}",
            )
    if asked.fallback_replicas is not None:
        value, most = asked.fallback_replicas, model.replicas_max
        least = max(1, model.replicas_min)
        if value > most:
            add(
                "fallback_replicas",
                f"{value} is {value - most} more than replicas.max, which is {most}",
                f"at most {most}",
            )
        elif value < least:
            add(
                "fallback_replicas",
                f"{value} is {least - value} less than replicas.min, which is {least}",
                f"at least {least}",
            )
    if made.wake is not None:
        metrics = model.engine.metrics
        own = [n for n in (metrics.waiting, metrics.running, metrics.requests_total) if n and n in made.wake]
        if own:
            add(
                "wake",
                f"{own[0]} comes from the replicas themselves, and is gone while none runs",
                "a gateway's metric, such as Envoy's envoy_http_downstream_rq_active",
            )
        if odd := _no_part(made.wake):
            add("wake", odd, "one expression of PromQL, which has series")
    return found


def _no_part(query: str) -> str | None:
    """Why a query cannot stand inside of another one, as the trigger has it; None: nothing is seen that forbids it."""
    bare = re.sub(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|`[^`]*`', "", query)
    if "#" in bare:
        return "a comment would hide the rest of the trigger's query"
    if any(bare.count(a) != bare.count(b) for a, b in ("()", "[]", "{}")):
        return "its brackets do not match"
    if not re.search(r"[A-Za-z_{]", bare):
        return "it is a number and never changes"
    return None


def in_flight_at_peak(model: ModelPlan) -> float | None:
    """Requests in flight on all replicas at the peak, by Little's law; None where the speed is unknown."""
    speed = model.performance
    if speed is None or speed.ttft_ms is None or speed.tpot_ms is None:
        return None
    seconds = (speed.ttft_ms + speed.tpot_ms * model.spec.workload.output_tokens) / 1000
    return model.peak_requests_per_s * seconds
