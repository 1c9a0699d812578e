"""What is registered is what is rendered: every example on every target, with every way to its nodes."""

from collections.abc import Iterator
from typing import get_args

import msgspec
import pytest

pytest.importorskip("pulumi")

from homeport.manifests.prerequisites import prerequisites
from homeport.manifests.render import documents
from homeport.planning import pools
from homeport.planning.plan import Planner
from homeport.planning.types import Plan
from homeport.spec.load import load
from homeport.spec.models import Platform, Target
from homeport.spec.nodes import NODES_FIELDS, NODES_ON, Nodes, NodesBy
from homeport_infra.program import deploy
from homeport_infra.settings import LAYERS, Settings
from tests.infra.recorder import run
from tests.infra.test_program import COMPONENTS, EXAMPLES, objects, same

# What the clouds' node pools need beside the plan.
SETTINGS = Settings(
    subnets=("subnet-1",), node_role="arn:aws:iam::123456789012:role/gpu", resource_group="group"
)
PACKAGES = {"gke": "pulumi_gcp", "eks": "pulumi_aws", "aks": "pulumi_azure_native"}
MADE_BY = {
    "karpenter": {"NodePool", "EC2NodeClass"},
    "auto_provisioning": {"NodePool", "AKSNodeClass"},
    "compute_class": {"ComputeClass"},
}
"""Kinds of the objects that make a cluster add nodes."""
EVERYWHERE: list[tuple[Platform, NodesBy]] = [
    (platform, by)
    for platform in get_args(Platform)
    for by in get_args(NodesBy)
    if (owners := NODES_ON[by]) is None or platform in owners
]
PLANNER = Planner(EXAMPLES)


def placed(platform: Platform, by: NodesBy) -> Iterator[tuple[str, Plan]]:
    """Every example's plan on a platform: each of them can be planned on each."""
    cluster = "ml" if "cluster" in NODES_FIELDS[by][0] else None
    for file in sorted(EXAMPLES.glob("*.yaml")):
        spec = load(file.read_bytes(), file.name).spec
        target = Target(platform=platform, nodes=Nodes(by=by, cluster=cluster))
        yield file.name, PLANNER.plan(msgspec.structs.replace(spec, target=target))


@pytest.mark.parametrize(("platform", "by"), EVERYWHERE)
@pytest.mark.filterwarnings("ignore:.*has been deprecated:DeprecationWarning")
def test_what_is_registered_is_what_is_rendered(platform: Platform, by: NodesBy) -> None:
    if by == "node_pools":
        pytest.importorskip(PACKAGES[platform])
    for name, plan in placed(platform, by):
        found = same(plan, SETTINGS)
        servers = [r.name for r in found if r.token == COMPONENTS[0]]
        assert sorted(servers) == sorted(m.spec.name for m in plan.models), name
        made = [r.name for r in found if r.token == COMPONENTS[1]]
        asked = [f"gpu-{p.instance_type}" for p in pools.made(plan)] if by == "node_pools" else []
        assert sorted(made) == sorted(asked), name
        assert not [r for r in found if r.token == COMPONENTS[2]], "nobody asked for a platform"
        kinds = {r.token.rpartition(":")[2] for r in found} & set().union(*MADE_BY.values())
        # A pool of a cloud's own package is a NodePool on GKE too.
        kinds -= {"NodePool"} if by == "node_pools" else set()
        assert kinds == (MADE_BY.get(by, set()) if pools.made(plan) else set()), name


def test_every_target_and_every_way_is_compared() -> None:
    assert {platform for platform, _ in EVERYWHERE} == set(get_args(Platform))
    assert {by for _, by in EVERYWHERE} == set(get_args(NodesBy))


@pytest.mark.parametrize("by", sorted(MADE_BY))
def test_each_layer_stands_alone_and_together_they_are_all(by: NodesBy) -> None:
    (platform,) = NODES_ON[by] or ()
    for name, plan in placed(platform, by):  # type: ignore[arg-type]
        alone = [
            objects(run(lambda p=plan, one=one: deploy(p, Settings(layers=(one,))))[0]) for one in LAYERS
        ]
        together = objects(run(lambda p=plan: deploy(p, Settings(layers=LAYERS)))[0])
        assert {key for made in alone for key in made} == set(together), name
        assert sum(map(len, alone)) == len(together), f"{name}: an object is of two layers"
        nodes, platform_, _ = alone
        assert {kind.rpartition(":")[2] for kind, _ in nodes} == (MADE_BY[by] if pools.made(plan) else set())
        assert not platform_


ASKS = {
    "PodMonitor": "kube-prometheus-stack",
    "ScaledObject": "keda",
    "HorizontalPodAutoscaler": "prometheus-adapter",
    "LeaderWorkerSet": "lws",
}
"""Kind -> the chart without which a cluster does not know it, or its metrics."""


@pytest.mark.parametrize("platform", get_args(Platform))
def test_the_platform_is_what_the_objects_ask_for_in_the_order_that_render_prints(platform: Platform) -> None:
    for name, plan in placed(platform, "existing"):
        rendered = documents(plan)
        found, _ = run(lambda p=plan: deploy(p, Settings(layers=("platform",))))
        releases = [r for r in found if r.token == "kubernetes:helm.sh/v3:Release"]
        charts = [p.chart for p in prerequisites(plan, rendered) if p.chart is not None]
        assert [r.name for r in releases] == [c.release for c in charts], name
        assert [r.inputs["version"] for r in releases] == [c.version for c in charts], name
        asked = {ASKS[d.kind] for d in rendered if d.kind in ASKS}
        # GKE brings a device plugin of its own.
        asked |= {"gpu-operator"} if platform != "gke" and any(m.gpu for m in plan.models) else set()
        assert {c.release for c in charts} == asked, name
