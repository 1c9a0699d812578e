"""What the engines' metrics say, asked of Prometheus: queue, KV cache, latencies."""

import math

from homeport.cluster.errors import ClusterProblem, CredentialsRefused, Unreachable
from homeport.cluster.prometheus import Prometheus
from homeport.cluster.status_types import Load
from homeport.manifests.scaling_queries import selector
from homeport.planning.types import ModelPlan

MINUTES = 5
"""The latencies' window: long enough for a few requests of a quiet model."""
QUANTILE = 0.95


def load_queries(model: ModelPlan, namespace: str) -> dict[str, str | None]:
    """The query of each figure; None where the engine has no such series."""
    metrics = model.engine.metrics
    where = selector(model, namespace, metrics)
    # SGLang's ranks of one pod tell of the same queue: the most of a pod (and of a data-parallel rank) counts once.
    once = "max by (pod, dp_rank, engine)"

    def gauge(name: str | None) -> str | None:
        return f"sum({once} ({name}{{{where}}}))" if name else None

    def quantile(name: str | None) -> str | None:
        if name is None:
            return None
        return f"histogram_quantile({QUANTILE}, sum by (le) (rate({name}_bucket{{{where}}}[{MINUTES}m])))"

    return {
        "running": gauge(metrics.running),
        "waiting": gauge(metrics.waiting),
        "kv_cache_use": f"max({metrics.kv_cache_usage}{{{where}}})" if metrics.kv_cache_usage else None,
        "ttft_p95_ms": quantile(metrics.ttft),
        "inter_token_p95_ms": quantile(metrics.inter_token),
    }


def read_load(model: ModelPlan, namespace: str, server: Prometheus) -> tuple[Load, dict[str, str]]:
    """The figures, and why those that are None are unknown. Raises only where the API server itself is gone."""
    values: dict[str, float | None] = {}
    unknown: dict[str, str] = {}
    gone = ""
    for name, query in load_queries(model, namespace).items():
        values[name] = None
        if query is None:
            unknown[name] = f"{model.engine.engine} {model.engine.version} has no such series"
            continue
        if gone:
            unknown[name] = gone
            continue
        try:
            found = server.query(query)
        except (Unreachable, CredentialsRefused):
            raise
        except ClusterProblem as problem:
            unknown[name] = gone = str(problem)
            continue
        if not found:
            unknown[name] = (
                f"Prometheus has fewer than two readings of it in the last {MINUTES} minutes"
                if name.endswith("_ms")
                else "Prometheus has no such series of this model"
            )
        elif not math.isfinite(found[0].value):
            unknown[name] = f"no requests in the last {MINUTES} minutes"
        else:
            values[name] = found[0].value * (1000 if name.endswith("_ms") else 1)
    return Load(**values), unknown
