"""What a cluster must have before the documents work, and the pinned commands that install it."""

import shlex
from urllib.parse import urlsplit

import msgspec

from homeport.manifests import scaling, targets
from homeport.manifests.render import namespace_of
from homeport.manifests.types import Document
from homeport.planning.types import Plan


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """A Helm chart at a pinned version. `chart` is its name in `repository`, or a whole oci:// reference.

    `structured` are values as JSON, which helm takes with --set-json.
    """

    release: str
    chart: str
    version: str
    namespace: str
    repository: str | None = None
    values: dict[str, str] = {}
    structured: dict[str, str] = {}

    def command(self) -> str:
        """The command that installs or updates it."""
        parts = ["helm", "upgrade", "--install", self.release, self.chart]
        if self.repository:
            parts += ["--repo", self.repository]
        parts += ["--version", self.version, "--namespace", self.namespace, "--create-namespace"]
        for key, value in self.values.items():
            parts += ["--set", f"{key}={value}"]
        for key, value in self.structured.items():
            parts += ["--set-json", shlex.quote(f"{key}={value}")]
        return " ".join(parts)


class Prerequisite(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that the cluster needs, why, and the commands that bring it.

    `chart` is what the command installs, where that chart alone is enough.
    """

    name: str
    because: str
    commands: tuple[str, ...]
    chart: Chart | None = None


def _installed(name: str, because: str, chart: Chart) -> Prerequisite:
    return Prerequisite(name=name, because=because, commands=(chart.command(),), chart=chart)


GATEWAY_API = "v1.4.0"
"""The release whose HTTPRoute schema is bundled."""

KEDA = Chart(
    release="keda",
    chart="keda",
    version="2.21.0",
    namespace="keda",
    repository="https://kedacore.github.io/charts",
)
PROMETHEUS = Chart(  # its operator is v0.85.0, whose PodMonitor schema is bundled
    release="kube-prometheus-stack",
    chart="kube-prometheus-stack",
    version="77.11.1",
    namespace="monitoring",
    repository="https://prometheus-community.github.io/helm-charts",
)
ADAPTER = Chart(  # prometheus-adapter v0.12.0
    release="prometheus-adapter",
    chart="prometheus-adapter",
    version="4.14.1",
    namespace="monitoring",
    repository="https://prometheus-community.github.io/helm-charts",
)
LWS = Chart(
    release="lws", chart="oci://registry.k8s.io/lws/charts/lws", version="0.7.0", namespace="lws-system"
)
GPU_OPERATOR = Chart(
    release="gpu-operator",
    chart="gpu-operator",
    version="v25.3.4",
    namespace="gpu-operator",
    repository="https://helm.ngc.nvidia.com/nvidia",
)
KARPENTER = Chart(  # the release whose CRDs are bundled as schemas
    release="karpenter",
    chart="oci://public.ecr.aws/karpenter/karpenter",
    version="1.13.0",
    namespace="kube-system",
)
# The nodes of EKS and AKS come with the driver and the container toolkit: two installations of a driver get in each other's
# way, so the operator adds the device plugin, the labels and the metrics only. Amazon asks for that ("Use EKS-optimized
# accelerated AMIs": disable the operator's driver and toolkit). On AKS either side may own the driver, all or nothing: NVIDIA
# names these three values for AKS' own (docs.nvidia.com, "NVIDIA GPU Operator with Azure Kubernetes Service"; gpu-operator
# issue 525), which is what AKS installs unless a pool says `--gpu-driver none`. The runtime class there is AKS' own.
WITHOUT_DRIVER = {"driver.enabled": "false", "toolkit.enabled": "false"}
GPU_OPERATORS = {
    "eks": msgspec.structs.replace(GPU_OPERATOR, values=WITHOUT_DRIVER),
    "aks": msgspec.structs.replace(
        GPU_OPERATOR, values={**WITHOUT_DRIVER, "operator.runtimeClass": "nvidia-container-runtime"}
    ),
}


def prerequisites(plan: Plan, documents: list[Document]) -> list[Prerequisite]:
    """What the documents need of the cluster, in the order in which it is installed."""
    kinds = {document.kind for document in documents}
    platform = plan.spec.target.platform
    found = _nodes(plan)
    if any(m.gpu is not None and m.gpu.vendor == "NVIDIA" for m in plan.models) and platform != "gke":
        found.append(_installed("NVIDIA GPU operator", "nodes offer nvidia.com/gpu", _gpu_operator(plan)))
    if "PodMonitor" in kinds:
        namespace = plan.spec.observability.prometheus_namespace
        chart = msgspec.structs.replace(PROMETHEUS, namespace=namespace)
        found.append(_installed("kube-prometheus-stack", "metrics (PodMonitor)", chart))
    if "ScaledObject" in kinds:
        found.append(_installed("KEDA", "autoscaling (ScaledObject)", KEDA))
    if "HorizontalPodAutoscaler" in kinds:
        because = "autoscaling (the metrics of HorizontalPodAutoscaler)"
        found.append(_installed("prometheus-adapter", because, adapter(plan)))
    if "LeaderWorkerSet" in kinds:
        found.append(_installed("LeaderWorkerSet", "replicas of several nodes", LWS))
    if "HTTPRoute" in kinds:
        url = f"https://github.com/kubernetes-sigs/gateway-api/releases/download/{GATEWAY_API}/standard-install.yaml"
        commands = (
            ("gcloud container clusters update CLUSTER --gateway-api=standard",)
            if platform == "gke"
            else (f"kubectl apply --server-side -f {url}",)
        )
        found.append(Prerequisite(name="Gateway API", because="exposure (HTTPRoute)", commands=commands))
    return found


def _gpu_operator(plan: Plan) -> Chart:
    """The operator, whose pods must stand on every GPU node: they tolerate what the models' pods tolerate.

    By themselves they know the taint nvidia.com/gpu only, and a spot node of AKS would offer no GPU (github.com/Azure/AKS
    issue 4418).
    """
    chart = GPU_OPERATORS.get(plan.spec.target.platform, GPU_OPERATOR)
    where = targets.platform(plan.spec.target.platform)
    taints = targets.tolerations(where, "nvidia.com/gpu", spot=plan.spec.target.capacity == "spot")
    if len(taints) == 1:
        return chart
    rows = [
        {"key": t.key, "effect": "NoSchedule"}
        | ({"operator": "Exists"} if t.value is None else {"operator": "Equal", "value": t.value})
        for t in taints
    ]
    text = msgspec.json.encode(rows).decode()
    keys = ("daemonsets.tolerations", "node-feature-discovery.worker.tolerations")
    return msgspec.structs.replace(chart, structured=dict.fromkeys(keys, text))


def adapter(plan: Plan) -> Chart:
    """prometheus-adapter with the rules that the plan's HorizontalPodAutoscalers ask for, and no others."""
    watch = plan.spec.observability
    url = urlsplit(watch.prometheus_url)
    port = url.port or (443 if url.scheme == "https" else 80)
    config = adapter_config(plan)
    return msgspec.structs.replace(
        ADAPTER,
        namespace=watch.prometheus_namespace,
        values={
            "prometheus.url": f"{url.scheme}://{url.hostname}",
            "prometheus.port": str(port),
            "prometheus.path": url.path,
            "rules.default": "false",
        },
        structured={"rules.custom": msgspec.json.encode(config["rules"]).decode()},
    )


def adapter_config(plan: Plan) -> dict[str, list[dict[str, object]]]:
    """prometheus-adapter's own configuration: a rule for each metric that the plan's models ask for.

    `up` is the series that a rule is found by: it is there as soon as a pod is scraped, whatever the engine shows.
    """
    named = {rule.metric: rule for model in plan.models for rule in scaling.rules(model)}
    return {
        "rules": [
            {
                "seriesQuery": 'up{namespace!="",pod!=""}',
                "resources": {
                    "overrides": {"namespace": {"resource": "namespace"}, "pod": {"resource": "pod"}}
                },
                "name": {"as": rule.metric},
                "metricsQuery": rule.query,
            }
            for rule in named.values()
        ]
    }


def _nodes(plan: Plan) -> list[Prerequisite]:
    """What makes nodes from the objects that ask for them."""
    nodes = plan.spec.target.nodes
    if nodes.by == "karpenter":
        # Karpenter's guide gives the queue the cluster's name; without it spot nodes are taken away unannounced.
        values = {
            "settings.clusterName": nodes.cluster or "",
            "settings.interruptionQueue": nodes.cluster or "",
        }
        chart = msgspec.structs.replace(KARPENTER, values=values)
        because = "nodes (NodePool, EC2NodeClass); its IAM roles and queue come first: karpenter.sh/docs"
        return [Prerequisite(name="Karpenter", because=because, commands=(chart.command(),))]
    if nodes.by == "auto_provisioning":
        command = "az aks update --resource-group GROUP --name CLUSTER --node-provisioning-mode Auto"
        because = "nodes (NodePool, AKSNodeClass)"
        return [Prerequisite(name="Node auto-provisioning", because=because, commands=(command,))]
    return []


def secrets(plan: Plan) -> list[Prerequisite]:
    """The Secrets that the spec names: homeport never sees their values."""
    namespace = namespace_of(plan)
    keys: dict[str, dict[str, str]] = {}
    for model in plan.models:
        for reference, use in ((model.spec.hub_token, "Hub token"), (model.spec.api_key, "clients' key")):
            if reference is not None:
                keys.setdefault(reference.secret, {})[reference.key] = use
    found = [
        Prerequisite(
            name=f"Secret {secret}",
            because=" and ".join(dict.fromkeys(used.values())),
            commands=(
                f"kubectl --namespace {namespace} create secret generic {secret} "
                + " ".join(f"--from-file={key}=FILE" for key in used),
            ),
        )
        for secret, used in keys.items()
    ]
    found.extend(
        Prerequisite(
            name=f"Secret {name}",
            because="access to the object store, as environment variables",
            commands=(f"kubectl --namespace {namespace} create secret generic {name} --from-env-file=FILE",),
        )
        for name in dict.fromkeys(
            m.spec.weights.credentials for m in plan.models if m.spec.weights.credentials
        )
    )
    return found
