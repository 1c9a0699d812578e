"""What a cluster needs once: KEDA and kube-prometheus-stack, as pinned Helm releases."""

from typing import Any

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

    def __init__(self, *, namespace: str = PROMETHEUS.namespace) -> None:
        """`namespace` is where Prometheus runs: the one that the models' NetworkPolicies let in."""
        self.namespace = namespace


class Platform(pulumi.ComponentResource):
    """KEDA and kube-prometheus-stack. Models depend on it: their CRDs have to exist first.

    Outputs: `versions`, chart by chart.
    """

    versions: pulumi.Output[dict[str, str]]

    def __init__(self, name: str, args: PlatformArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Register the releases."""
        super().__init__("homeport:index:Platform", name, None, opts)
        releases = [
            self._release(KEDA, KEDA.namespace, {}),
            self._release(PROMETHEUS, args.namespace, PROMETHEUS_VALUES),
        ]
        self.versions = pulumi.Output.all(*(r.version for r in releases)).apply(
            lambda versions: dict(zip((KEDA.release, PROMETHEUS.release), versions, strict=True))
        )
        self.register_outputs({"versions": self.versions})

    def _release(self, chart: Chart, namespace: str, values: dict[str, Any]) -> Any:
        # A real release, hooks included: these charts bring CRDs and webhooks.
        from pulumi_kubernetes.helm.v3 import Release, RepositoryOptsArgs

        return Release(
            chart.release,
            name=chart.release,
            chart=chart.chart,
            version=chart.version,
            namespace=namespace,
            create_namespace=True,
            repository_opts=RepositoryOptsArgs(repo=chart.repository),
            values=values,
            timeout=TIMEOUT_S,
            skip_await=False,
            opts=pulumi.ResourceOptions(parent=self),
        )
