"""What the Pulumi program registers equals what `render` writes, and its node pools equal the plan."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

pytest.importorskip("pulumi")

from homeport.manifests.parsing import load as parse
from homeport.manifests.render import documents
from homeport.planning.plan import Planner
from homeport.planning.types import Plan
from homeport.spec.load import load
from homeport.spec.nodes import Nodes
from homeport_infra.manifest import token
from homeport_infra.model_server import timeouts
from homeport_infra.node_pool import disk_gib, pool_limits
from homeport_infra.program import deploy, main
from homeport_infra.settings import LAYERS, Settings, SettingsError
from tests.infra.recorder import Registered, run

EXAMPLES = Path(__file__).parents[2] / "examples"
COMPONENTS = ("homeport:index:ModelServer", "homeport:index:GpuNodePool", "homeport:index:Platform")


def planned(name: str, **nodes: Any) -> Plan:
    file = EXAMPLES / name
    spec = load(file.read_bytes(), name).spec
    if nodes:
        target = msgspec.structs.replace(spec.target, nodes=Nodes(**nodes))
        spec = msgspec.structs.replace(spec, target=target)
    return Planner(file.parent).plan(spec)


def objects(found: list[Registered]) -> dict[tuple[str, str], dict[str, Any]]:
    kubernetes = [r for r in found if r.token.startswith("kubernetes:") and "helm" not in r.token]
    made = {(r.token, r.inputs["metadata"]["name"]): r.inputs for r in kubernetes}
    assert len(made) == len(kubernetes), "an object was registered twice"
    return made


@pytest.mark.parametrize("name", sorted(p.name for p in EXAMPLES.glob("*.yaml")))
def test_what_is_registered_is_what_is_rendered(name: str) -> None:
    plan = planned(name)
    found, _ = run(lambda: deploy(plan, Settings()))
    rendered = [parse(d.text) for d in documents(plan)]
    wanted = {(token(d["apiVersion"], d["kind"]), d["metadata"]["name"]): d for d in rendered}
    assert objects(found) == wanted
    assert sorted(r.name for r in found if r.token == COMPONENTS[0]) == sorted(
        m.spec.name for m in plan.models
    )
    assert not [r for r in found if r.token in COMPONENTS[1:]]
    names = [(r.token, r.name) for r in found]
    assert len(names) == len(set(names)), "two resources of one type share a name"


def test_tokens_are_the_providers_own() -> None:
    assert token("v1", "Service") == "kubernetes:core/v1:Service"
    assert token("apps/v1", "Deployment") == "kubernetes:apps/v1:Deployment"
    assert token("keda.sh/v1alpha1", "ScaledObject") == "kubernetes:keda.sh/v1alpha1:ScaledObject"


def test_outputs_name_endpoint_cost_and_gpus() -> None:
    plan = planned("support.yaml")
    _, exported = run(lambda: deploy(plan, Settings()))
    model = plan.models[0]
    assert exported[f"{model.spec.name}Endpoint"].endswith("/v1")
    assert exported["gpus"] == sum(p.node_count * p.gpus_per_node for p in plan.pools)
    assert exported["usdPerMonth"] == pytest.approx(float(model.usd_per_month or 0))


def test_the_platform_is_pinned() -> None:
    found, _ = run(lambda: deploy(planned("support.yaml"), Settings(layers=LAYERS)))
    releases = {r.name: r.inputs for r in found if r.token == "kubernetes:helm.sh/v3:Release"}
    assert set(releases) == {"keda", "kube-prometheus-stack"}
    for release in releases.values():
        assert release["version"]
        assert release["repositoryOpts"]["repo"].startswith("https://")
    spec = releases["kube-prometheus-stack"]["values"]["prometheus"]["prometheusSpec"]
    assert spec["podMonitorSelectorNilUsesHelmValues"] is False


def test_node_pools_follow_the_plan() -> None:
    plan = planned("support.yaml", by="node_pools", cluster="ml")
    found, _ = run(lambda: deploy(plan, Settings()))
    pools = [r for r in found if r.token == "gcp:container/nodePool:NodePool"]
    assert len(pools) == len(plan.pools)
    pool, made = plan.pools[0], pools[0].inputs
    assert made["cluster"] == "ml"
    assert made["nodeConfig"]["machineType"] == pool.instance_type
    assert made["nodeConfig"]["guestAccelerators"][0]["count"] == pool.gpus_per_node
    assert made["nodeConfig"]["taints"] == [
        {"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}
    ]
    least, most = pool_limits(plan, pool)
    assert (made["autoscaling"]["totalMinNodeCount"], made["autoscaling"]["totalMaxNodeCount"]) == (
        least,
        most,
    )
    assert least <= pool.node_count <= most
    # The weights of every replica that a node holds fit beside the system and what GKE keeps for itself.
    weights = plan.models[0].source.weight_bytes / 2**30
    replicas = pool.gpus_per_node // plan.models[0].gpus_per_replica
    assert made["nodeConfig"]["diskSizeGb"] == disk_gib(plan, pool, documents(plan))
    assert made["nodeConfig"]["diskSizeGb"] * 0.9 - 100 > weights * replicas


def test_a_cluster_without_new_nodes_is_refused_in_words() -> None:
    with pytest.raises(SettingsError, match="the spec says that its nodes exist"):
        run(lambda: deploy(planned("aks.yaml"), Settings(cluster="ml")))


def test_the_program_reads_its_stack() -> None:
    found, _ = run(
        main, {"homeport:spec": str(EXAMPLES / "support.yaml"), "homeport:layers": "platform,models"}
    )
    assert {r.name for r in found if r.token == COMPONENTS[2]} == {"platform"}
    assert objects(found)


def test_pulumi_waits_as_long_as_a_rollout_may_take() -> None:
    plan = planned("support.yaml")
    deployment = next(parse(d.text) for d in documents(plan) if d.kind == "Deployment")
    patience = timeouts(plan.models[0], deployment)
    assert patience is not None
    assert patience.create == f"{deployment['spec']['progressDeadlineSeconds'] + 60}s"
    service = next(parse(d.text) for d in documents(plan) if d.kind == "Service")
    assert timeouts(plan.models[0], service) is None
