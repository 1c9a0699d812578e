"""The PromQL that autoscalers ask: one element at no, one and many replicas, and never NaN.

`sum` makes one element of any number of replicas, `or vector(0)` one element of none. A replica may show a series several
times: vLLM once a data-parallel rank (`engine`), where requests add up and the fullest cache counts; SGLang once a rank of
any kind, where tensor-parallel ranks repeat what their data-parallel rank says.
"""

import msgspec

from homeport.engines.types import MetricNames
from homeport.errors import Problem, SpecError
from homeport.planning.scaling import RATE_WINDOW_S
from homeport.planning.types import ModelPlan


class AdapterRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule of prometheus-adapter: the metric that an HPA asks for, and the query that answers, one value a pod."""

    metric: str
    query: str


def load(plan: ModelPlan, namespace: str, metrics: MetricNames) -> str:
    """What all replicas have to do: requests running and waiting, or requests a second."""
    where = selector(plan, namespace, metrics)
    if metrics.running and metrics.waiting:
        parts = (
            f"(sum({_once(plan, name, where)}) or vector(0))" for name in (metrics.running, metrics.waiting)
        )
        return " + ".join(parts)
    return f"sum(rate({_counter(metrics)}{{{where}}}[{RATE_WINDOW_S}s])) or vector(0)"


def kv_cache(plan: ModelPlan, namespace: str, metrics: MetricNames) -> str:
    """How full the KV caches of all replicas are, added up: 1 is one full replica."""
    where = selector(plan, namespace, metrics)
    return f"sum(max by (pod) ({metrics.kv_cache_usage}{{{where}}})) or vector(0)"


def wake(signal: str) -> str:
    """1 while the given signal is above 0, else 0, whatever its unit: it wakes a replica and asks for no second one."""
    return f"(max({signal}) or vector(0)) > bool 0"


def load_rule(plan: ModelPlan, metrics: MetricNames) -> AdapterRule:
    """`load`, of each pod: requests that a replica runs and holds waiting, or its requests a second.

    A pod that is scraped and shows no series yet has nothing to do.
    """
    prefix = plan.engine.engine
    if metrics.running and metrics.waiting:
        parts = (_each(plan, name) for name in (metrics.running, metrics.waiting))
        return AdapterRule(metric=f"{prefix}_requests_in_flight", query=" + ".join(parts))
    rate = f"sum by (<<.GroupBy>>) (rate({_counter(metrics)}{{<<.LabelMatchers>>}}[{RATE_WINDOW_S}s]))"
    return AdapterRule(metric=f"{prefix}_requests_per_second", query=f"({rate} or {_ZERO})")


def kv_cache_rule(plan: ModelPlan, metrics: MetricNames) -> AdapterRule:
    """How full a pod's KV cache is, from 0 to 1."""
    fullest = f"max by (<<.GroupBy>>) ({metrics.kv_cache_usage}{{<<.LabelMatchers>>}})"
    return AdapterRule(metric=f"{plan.engine.engine}_kv_cache_usage", query=f"({fullest} or {_ZERO})")


# 0 for each pod that Prometheus reaches
_ZERO = "sum by (<<.GroupBy>>) (0 * (up{<<.LabelMatchers>>} == 1))"


def _each(plan: ModelPlan, name: str) -> str:
    series = f"{name}{{<<.LabelMatchers>>}}"
    if plan.engine.engine == "sglang":
        series = f"max by (<<.GroupBy>>, dp_rank) ({series})"
    return f"(sum by (<<.GroupBy>>) ({series}) or {_ZERO})"


def _once(plan: ModelPlan, name: str, where: str) -> str:
    series = f"{name}{{{where}}}"
    return f"max by (pod, dp_rank) ({series})" if plan.engine.engine == "sglang" else series


def _counter(metrics: MetricNames) -> str:
    if metrics.requests_total is None:
        raise SpecError(
            [
                Problem(
                    message="the engine has no series to scale on",
                    path=("scaling", "by"),
                    help="set it to none",
                )
            ]
        )
    return metrics.requests_total


def selector(plan: ModelPlan, namespace: str, metrics: MetricNames) -> str:
    """The labels that select the replicas of this model only; without a model label, the PodMonitor's job does."""
    pairs = {"namespace": namespace}
    if metrics.model_label:
        pairs[metrics.model_label] = plan.launch.served_name
    else:
        pairs["job"] = f"{namespace}/{plan.spec.name}"
    return ",".join(f'{name}="{_quoted(value)}"' for name, value in pairs.items())


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
