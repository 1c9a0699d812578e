"""What a cluster needs once: the charts that the rendered objects ask for, as pinned Helm releases."""

from typing import Any

import msgspec
import pulumi

from homeport.manifests.prerequisites import KEDA, PROMETHEUS, Chart

# Monitors of every release count, not only those of the chart's own.
PROMETHEUS_VALUES: dict[str, Any] = {
    "prometheus": {
        "prometheusSpec": {
            "podMonitorSelectorNilUsesHelmValues": False,
            "serviceMonitorSelectorNilUsesHelmValues": False,
            "ruleSelectorNilUsesHelmValues": False,
        }
    }
}
TIMEOUT_S = 900
"""Seconds that a chart may take to come up."""


class PlatformArgs:
    """What the platform needs to know."""

    def __init__(self, *, charts: list[Chart] | None = None, namespace: str = PROMETHEUS.namespace) -> None:
        """`charts` are installed in their order (None: KEDA and kube-prometheus-stack).

        `namespace` is where Prometheus runs when `charts` is None: the one that the models' NetworkPolicies let in.
        """
        self.charts = (
            [msgspec.structs.replace(PROMETHEUS, namespace=namespace), KEDA] if charts is None else charts
        )


class Platform(pulumi.ComponentResource):
    """Helm releases. Models depend on it: the CRDs of their scaler and monitor have to exist first.

    Outputs: `versions`, chart by chart.
    """

    versions: pulumi.Output[dict[str, str]]

    def __init__(self, name: str, args: PlatformArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Register the releases."""
        super().__init__("homeport:index:Platform", name, None, opts)
        releases: list[Any] = []
        for chart in args.charts:
            releases.append(self._release(chart, releases[-1:]))
        names = [chart.release for chart in args.charts]
        self.versions = pulumi.Output.all(*(r.version for r in releases)).apply(
            lambda versions: dict(zip(names, versions, strict=True))
        )
        self.register_outputs({"versions": self.versions})

    def _release(self, chart: Chart, before: list[Any]) -> Any:
        # A real release, hooks included: these charts bring CRDs and webhooks.
        from pulumi_kubernetes.helm.v3 import Release, RepositoryOptsArgs

        return Release(
            chart.release,
            name=chart.release,
            chart=chart.chart,
            version=chart.version,
            namespace=chart.namespace,
            create_namespace=True,
            repository_opts=RepositoryOptsArgs(repo=chart.repository) if chart.repository else None,
            values=values(chart),
            timeout=TIMEOUT_S,
            # Models come next, and need the charts' webhooks to answer.
            skip_await=False,
            opts=pulumi.ResourceOptions(parent=self, depends_on=before),
        )


def values(chart: Chart) -> dict[str, Any]:
    """A chart's values as Helm reads them from `--set` and `--set-json`: dotted keys are nested, true and false booleans."""
    found: dict[str, Any] = {}
    if chart.release == PROMETHEUS.release:
        found = {key: dict(value) for key, value in PROMETHEUS_VALUES.items()}
    for key, text in chart.values.items():
        _put(found, key, {"true": True, "false": False}.get(text, text))
    for key, text in chart.structured.items():
        _put(found, key, msgspec.json.decode(text))
    return found


def _put(found: dict[str, Any], key: str, value: Any) -> None:
    *path, last = key.split(".")
    for step in path:
        found = found.setdefault(step, {})
    found[last] = value
