"""What a stack holds: one or more layers of a plan, each of which can stand in a stack of its own."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pulumi

from homeport.errors import EnvironmentProblem, HomeportError, SpecError
from homeport.manifests.prerequisites import Chart, prerequisites
from homeport.manifests.provisioning import NODES
from homeport.manifests.render import documents
from homeport.manifests.types import Document
from homeport.planning.plan import Planner
from homeport.planning.pools import made as made_by_somebody
from homeport.planning.types import Plan
from homeport_infra import bill
from homeport_infra.cluster_layer import made_cluster, node_pools, provisioners
from homeport_infra.manifest import Manifest
from homeport_infra.model_server import ModelServer, ModelServerArgs
from homeport_infra.node_pool import GpuNodePool
from homeport_infra.platform import Platform, PlatformArgs
from homeport_infra.settings import Layer, Settings, SettingsError, parse_layers

STACK_CONFIG = "homeport"
GPUS = "gpus"
ENDPOINT = "Endpoint"
"""How the output ends that holds a model's URL inside the cluster; it begins with the model's name."""


class Deployed(msgspec.Struct, frozen=True, kw_only=True):
    """What a stack registered: its layers, and in each the components.

    `documents` are the Kubernetes objects that became resources of this stack, in the order in which they were
    registered. A layer that the stack lacks is empty (platform: None).
    """

    plan: Plan
    layers: tuple[Layer, ...]
    pools: tuple[GpuNodePool, ...] = ()
    platform: Platform | None = None
    servers: tuple[ModelServer, ...] = ()
    documents: tuple[Document, ...] = ()


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A run of some of a stack's resources only. `only` names models, or others; `outputs` are those of the stack before.

    The bill and what else is of the whole stack stay in the outputs as they were: the rest of the plan is not deployed.
    """

    only: Collection[str]
    outputs: Mapping[str, Any]


def main() -> None:
    """Read the stack's configuration, plan its spec, and register everything."""
    from homeport.spec.load import load

    config = pulumi.Config(STACK_CONFIG)
    file = Path(config.get("spec") or "homeport.yaml")
    with told():
        spec = load(file.read_bytes(), str(file)).spec
        deploy(Planner(file.parent).plan(spec), read_settings(config))


@contextmanager
def told() -> Iterator[None]:
    """Raise what is wrong as Pulumi's RunError: the engine then prints its sentence, and no traceback."""
    try:
        yield
    except SpecError as error:
        from homeport.spec.problems import describe_all

        raise pulumi.RunError("\n".join(describe_all(error))) from error
    except HomeportError as error:
        advice = getattr(error, "help", None)
        raise pulumi.RunError(f"{error}; {advice}" if advice else str(error)) from error


def read_settings(config: pulumi.Config) -> Settings:
    """The settings of a stack's configuration (Pulumi.yaml describes them). Raises SettingsError."""
    return Settings(
        layers=parse_layers(config.get("layers") or ""),
        cluster=config.get("cluster") or "",
        location=config.get("location") or "",
        create_cluster=config.get_bool("createCluster") or False,
        resource_group=config.get("resourceGroup") or "",
        subnets=tuple(name.strip() for name in (config.get("subnets") or "").split(",") if name.strip()),
        node_role=config.get("nodeRole") or "",
        cluster_stack=config.get("clusterStack") or "",
        platform_stack=config.get("platformStack") or "",
    )


def deploy(plan: Plan, settings: Settings, part: Part | None = None) -> Deployed:
    """Register the layers of a plan: nodes first, then the platform, then the namespace and the models in it.

    The stack's outputs are exported. `part` says that the engine was told to touch some of the resources only.
    Raises SettingsError for settings that cannot work, SpecError for what cannot be rendered, MissingExtra where a cloud's
    package is not installed, EnvironmentProblem where another stack lacks what these models need.
    """
    layers = settings.layers_of(plan)
    check(settings, layers, plan)
    rendered = documents(plan)
    costs = bill.stack_bill(plan, settings)
    if settings.platform_stack:
        require_charts(settings.platform_stack, platform_charts(plan, rendered))
    before: list[pulumi.Resource] = []
    pools: list[GpuNodePool] = []
    platform: Platform | None = None
    servers: list[ModelServer] = []
    registered: list[Document] = []
    cluster = made_cluster(plan, settings) if settings.create_cluster else None
    provider = kubernetes_provider(settings, cluster)
    if "cluster" in layers:
        if plan.spec.target.nodes.by == "node_pools":
            waits = pulumi.ResourceOptions(depends_on=[cluster] if cluster else None)
            pools = node_pools(plan, settings, costs, waits, cluster)
        made, used = provisioners(rendered, _on(provider, []))
        before += [*pools, *made]
        registered += used
    if "platform" in layers:
        charts = platform_charts(plan, rendered)
        platform = Platform("platform", PlatformArgs(charts=charts), _on(provider, before))
        before.append(platform)
    if "models" in layers:
        servers, used = _models(plan, rendered, _on(provider, before))
        registered += used
    deployed = Deployed(
        plan=plan,
        layers=layers,
        pools=tuple(pools),
        platform=platform,
        servers=tuple(servers),
        documents=tuple(registered),
    )
    _export(deployed, costs, part)
    if cluster is not None:
        pulumi.export("kubeconfig", pulumi.Output.secret(cluster.kubeconfig))
    return deployed


def check(settings: Settings, layers: tuple[Layer, ...], plan: Plan) -> None:
    """Raise SettingsError for settings that nothing would read, or that contradict each other."""
    by, platform = plan.spec.target.nodes.by, plan.spec.target.platform
    if settings.cluster and by != "node_pools" and not settings.create_cluster:
        come = "exist" if by == "existing" else f"come by {by}"
        raise SettingsError(
            f"a cluster is named for new node pools, and the spec says that its nodes {come}",
            help="write target.nodes: {by: node_pools} in the spec, or name no cluster",
        )
    if settings.create_cluster and platform not in ("gke", "eks", "aks"):
        raise SettingsError(
            f"homeport makes no cluster of {platform}: it makes those of gke, eks and aks",
            help="make it with tools of your own, and leave createCluster out",
        )
    if settings.create_cluster and by == "karpenter":
        raise SettingsError(
            "the spec wants its nodes from Karpenter, and homeport makes no cluster with it: Karpenter needs roles, a queue and "
            "tagged subnets, which its own guide makes together with the cluster",
            help="write target.nodes: {by: node_pools} in the spec, or make the cluster by karpenter.sh's guide and leave "
            "createCluster out",
        )
    for name, layer, stack in (
        ("clusterStack", "cluster", settings.cluster_stack),
        ("platformStack", "platform", settings.platform_stack),
    ):
        if stack and layer in layers:
            raise SettingsError(
                f"{name} names the stack {stack} for the layer {layer}, and this stack has that layer itself",
                help=f"leave {layer} out of homeport:layers, or leave {name} out",
            )


def kubernetes_provider(settings: Settings, cluster: Any) -> Any:
    """The provider for a cluster that Pulumi made, in this stack or another; None: whatever the kubeconfig says.

    A stack of the layer `cluster` that made none has no output `kubeconfig`: then the kubeconfig counts too.
    """
    if cluster is not None:
        kubeconfig = cluster.kubeconfig
    elif settings.cluster_stack:
        kubeconfig = stack_reference(settings.cluster_stack).get_output("kubeconfig")
    else:
        return None
    import pulumi_kubernetes

    return pulumi_kubernetes.Provider(
        "cluster",
        kubeconfig=pulumi.Output.secret(kubeconfig),
        # Else changed data deletes what running pods have mounted, and makes it anew.
        enable_config_map_mutable=True,
        enable_secret_mutable=True,
    )


def stack_reference(name: str) -> pulumi.StackReference:
    """Another stack, by the name that Pulumi lists (then it is of this project), or org/project/stack."""
    return pulumi.StackReference(full_name(name))


def full_name(stack: str) -> str:
    """A stack's organisation, project and name; those of this stack where only a name is given."""
    return stack if "/" in stack else f"{pulumi.get_organization()}/{pulumi.get_project()}/{stack}"


def platform_charts(plan: Plan, rendered: Sequence[Document]) -> list[Chart]:
    """The charts that the documents need, in the order in which they are installed.

    Karpenter is not among them: its roles and its queue are made with AWS, before the chart.
    """
    return [one.chart for one in prerequisites(plan, list(rendered)) if one.chart is not None]


def require_charts(stack: str, needed: Sequence[Chart]) -> None:
    """Hold the stack with the platform to the charts that these models need, and export what it has.

    It is read at once, so that nothing is registered where one is missing. Raises EnvironmentProblem there, and Pulumi's
    RunError where there is no such stack.
    """
    try:
        read = pulumi.runtime.invoke("pulumi:pulumi:readStackOutputs", {"name": full_name(stack)})
    except Exception as error:  # the SDK has no narrower one for what the engine refuses
        raise pulumi.RunError(str(error)) from error
    found = read.value["outputs"].get("platform") or {}
    missing = [chart.release for chart in needed if chart.release not in found]
    if missing:
        raise EnvironmentProblem(
            f"the stack {stack} has not installed {', '.join(missing)}, which these models need",
            help="bring its layer platform up to date first, with the same spec: "
            f"homeport up --layer platform --stack {stack}",
        )
    pulumi.export("platform", found)


def _on(provider: Any, before: Sequence[pulumi.Resource]) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions(
        depends_on=list(before), providers={"kubernetes": provider} if provider is not None else None
    )


def _models(
    plan: Plan, rendered: Sequence[Document], opts: pulumi.ResourceOptions
) -> tuple[list[ModelServer], list[Document]]:
    mine = [d for d in rendered if d.component != NODES]
    shared = [Manifest(f"namespace-{d.name}", d.object(), opts) for d in mine if d.model is None]
    servers = [
        ModelServer(
            model.spec.name,
            ModelServerArgs(plan=model, documents=[d for d in mine if d.model == model.spec.name]),
            pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=list(shared))),
        )
        for model in plan.models
    ]
    return servers, mine


def _export(deployed: Deployed, costs: bill.StackBill, part: Part | None) -> None:
    plan = deployed.plan
    servers = dict(zip((model.spec.name for model in plan.models), deployed.servers, strict=False))
    kinds = (pool.instance_type or "" for pool in made_by_somebody(plan))
    bill.say(costs, servers, dict(zip(kinds, deployed.pools, strict=False)))
    for name, server in servers.items():
        if part is None or name in part.only:
            pulumi.export(f"{name}{ENDPOINT}", server.endpoint)
    if deployed.pools:
        pulumi.export("nodePools", {pool.pulumi_resource_name: pool.pool_name for pool in deployed.pools})
    if deployed.platform is not None:
        pulumi.export("platform", deployed.platform.versions)
    if part is not None:
        _leave(part)
        return
    made = [one.id for server in deployed.servers for one in server.objects]
    made += [pool.pool_name for pool in deployed.pools]
    bill.publish(costs, made)
    if set(deployed.layers) != {"platform"}:
        pulumi.export(GPUS, sum(pool.node_count * pool.gpus_per_node for pool in plan.pools))


def _leave(part: Part) -> None:
    """Export what a run of a part leaves as it was: an output that is not exported would go."""
    for key, value in part.outputs.items():
        other = key.endswith(ENDPOINT) and key.removesuffix(ENDPOINT) not in part.only
        if other or key in (bill.TOTAL, bill.OUTPUT, GPUS):
            pulumi.export(key, value)
