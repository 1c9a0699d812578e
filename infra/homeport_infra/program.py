"""What a stack holds: node pools, the platform, and every model of a spec."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pulumi

from homeport.costs.inputs import options
from homeport.costs.own import self_hosted
from homeport.manifests.render import documents
from homeport.manifests.types import Document
from homeport.planning.hardware import region_of
from homeport.planning.plan import Planner
from homeport.planning.types import Plan
from homeport_infra.manifest import Manifest, parse
from homeport_infra.model_server import ModelServer, ModelServerArgs
from homeport_infra.node_pool import GpuNodePool, GpuNodePoolArgs, disk_gib, pool_limits
from homeport_infra.platform import Platform, PlatformArgs

STACK_CONFIG = "homeport"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a stack needs beside the plan: whether to install the platform, and which GKE cluster gets node pools."""

    platform: bool = False
    cluster: str = ""
    location: str = ""


def main() -> None:
    """Read the stack's configuration, plan its spec, and register everything."""
    from homeport.spec.load import load

    config = pulumi.Config(STACK_CONFIG)
    file = Path(config.get("spec") or "homeport.yaml")
    spec = load(file.read_bytes(), str(file)).spec
    settings = Settings(
        platform=config.get_bool("platform") or False,
        cluster=config.get("cluster") or "",
        location=config.get("location") or "",
    )
    deploy(Planner(file.parent).plan(spec), settings)


def deploy(plan: Plan, settings: Settings) -> list[ModelServer]:
    """Register a plan: node pools first, then the platform, then the namespace and the models in it."""
    rendered = documents(plan)
    before: list[pulumi.Resource] = []
    if settings.cluster:
        before += node_pools(plan, settings, rendered)
    if settings.platform:
        before.append(
            Platform("platform", PlatformArgs(namespace=plan.spec.observability.prometheus_namespace))
        )
    shared = [
        Manifest(f"namespace-{d.name}", parse(d), pulumi.ResourceOptions(depends_on=before))
        for d in rendered
        if d.model is None
    ]
    servers = [
        ModelServer(
            model.spec.name,
            ModelServerArgs(plan=model, documents=[d for d in rendered if d.model == model.spec.name]),
            pulumi.ResourceOptions(depends_on=[*before, *shared]),
        )
        for model in plan.models
    ]
    for server, model in zip(servers, plan.models, strict=True):
        pulumi.export(f"{model.spec.name}Endpoint", server.endpoint)
    bill = self_hosted(plan, options(plan.spec.costs))
    pulumi.export("usdPerMonth", None if bill.usd_per_month is None else float(bill.usd_per_month))
    pulumi.export("gpus", sum(pool.node_count * pool.gpus_per_node for pool in plan.pools))
    return servers


def node_pools(plan: Plan, settings: Settings, rendered: Sequence[Document]) -> list[GpuNodePool]:
    """Register the pools of a plan on a GKE cluster. Raises ValueError for another platform."""
    if plan.spec.target.platform != "gke":
        raise ValueError(
            f"node pools are created on gke, not on {plan.spec.target.platform}: leave homeport:cluster empty"
        )
    made = []
    for pool in plan.pools:
        assert pool.instance_type is not None, "a pool on a cloud has an instance type"
        least, most = pool_limits(plan, pool)
        made.append(
            GpuNodePool(
                f"gpu-{pool.instance_type}",
                GpuNodePoolArgs(
                    cluster=settings.cluster,
                    location=settings.location or region_of(plan.spec.target) or "",
                    machine_type=pool.instance_type,
                    gpu=pool.gpu,
                    gpus_per_node=pool.gpus_per_node,
                    min_nodes=least,
                    max_nodes=most,
                    disk_gib=disk_gib(plan, pool, rendered),
                    spot=pool.capacity == "spot",
                ),
            )
        )
    return made
