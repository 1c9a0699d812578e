"""What a stack holds: one or more layers of a plan, each of which can stand in a stack of its own."""

from pathlib import Path

import msgspec
import pulumi

from homeport.manifests.render import documents
from homeport.manifests.types import Document
from homeport.planning.plan import Planner
from homeport.planning.types import Plan
from homeport_infra.bill import publish
from homeport_infra.cluster_layer import node_pools
from homeport_infra.manifest import Manifest, parse
from homeport_infra.model_server import ModelServer, ModelServerArgs
from homeport_infra.node_pool import GpuNodePool
from homeport_infra.platform import Platform, PlatformArgs
from homeport_infra.settings import Layer, Settings, SettingsError, parse_layers

STACK_CONFIG = "homeport"


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


def main() -> None:
    """Read the stack's configuration, plan its spec, and register everything."""
    from homeport.spec.load import load

    config = pulumi.Config(STACK_CONFIG)
    file = Path(config.get("spec") or "homeport.yaml")
    spec = load(file.read_bytes(), str(file)).spec
    deploy(Planner(file.parent).plan(spec), read_settings(config))


def read_settings(config: pulumi.Config) -> Settings:
    """The settings of a stack's configuration (Pulumi.yaml describes them). Raises SettingsError."""
    return Settings(
        layers=parse_layers(config.get("layers") or ""),
        cluster=config.get("cluster") or "",
        location=config.get("location") or "",
    )


def deploy(plan: Plan, settings: Settings) -> Deployed:
    """Register the layers of a plan: nodes first, then the platform, then the namespace and the models in it.

    The stack's outputs are exported. Raises SettingsError for settings that cannot work, SpecError for what cannot be
    rendered, MissingExtra where a cloud's package is not installed.
    """
    layers = settings.layers_of(plan)
    if settings.cluster and plan.spec.target.nodes.by == "existing":
        raise SettingsError(
            "a cluster is named for new node pools, and the spec says that its nodes exist",
            help="write target.nodes: {by: node_pools} in the spec, or name no cluster",
        )
    rendered = documents(plan)
    before: list[pulumi.Resource] = []
    pools: list[GpuNodePool] = []
    platform: Platform | None = None
    servers: list[ModelServer] = []
    registered: list[Document] = []
    if "cluster" in layers and plan.spec.target.nodes.by == "node_pools":
        pools = node_pools(plan, settings, rendered)
        before += pools
    if "platform" in layers:
        platform = Platform(
            "platform",
            PlatformArgs(namespace=plan.spec.observability.prometheus_namespace),
            pulumi.ResourceOptions(depends_on=list(before)),
        )
        before.append(platform)
    if "models" in layers:
        servers = _models(plan, rendered, before)
        registered += rendered
    deployed = Deployed(
        plan=plan,
        layers=layers,
        pools=tuple(pools),
        platform=platform,
        servers=tuple(servers),
        documents=tuple(registered),
    )
    _export(deployed, settings)
    return deployed


def _models(plan: Plan, rendered: list[Document], before: list[pulumi.Resource]) -> list[ModelServer]:
    shared = [
        Manifest(f"namespace-{d.name}", parse(d), pulumi.ResourceOptions(depends_on=before))
        for d in rendered
        if d.model is None
    ]
    return [
        ModelServer(
            model.spec.name,
            ModelServerArgs(plan=model, documents=[d for d in rendered if d.model == model.spec.name]),
            pulumi.ResourceOptions(depends_on=[*before, *shared]),
        )
        for model in plan.models
    ]


def _export(deployed: Deployed, settings: Settings) -> None:
    plan = deployed.plan
    servers = dict(zip((model.spec.name for model in plan.models), deployed.servers, strict=False))
    for name, server in servers.items():
        pulumi.export(f"{name}Endpoint", server.endpoint)
    publish(plan, settings, servers)
    pulumi.export("gpus", sum(pool.node_count * pool.gpus_per_node for pool in plan.pools))
