"""What a destroy says that it would end: from steps and outputs as the engine hands them over."""

from typing import Any

import pytest

pytest.importorskip("pulumi")

from homeport.costs.own_rest import VOLUMES
from homeport_infra.bill import OUTPUT
from homeport_infra.ends import COMPUTE_CLASS, costs, gpu_nodes, volumes
from homeport_infra.events import Step, Verb

CLAIM = "kubernetes:core/v1:PersistentVolumeClaim"
GKE = "gcp:container/nodePool:NodePool"
POOL = {"nodeConfig": {"machineType": "g2-standard-24"}, "autoscaling": {"totalMaxNodeCount": 3.0}}
PODS = "kubernetes:apps/v1:Deployment"


def step(token: str, old: dict[str, Any] | None = None, verb: Verb = "delete") -> Step:
    return Step(verb=verb, urn=f"urn::{token}", token=token, name="it", old=old or {}, id="ns/it")


def line(kind: str, item: str, usd: float | str, *, estimated: bool = False, as_of: str = "unknown") -> Any:
    return {"kind": kind, "item": item, "usd_per_month": usd, "estimated": estimated, "as_of": as_of}


def said(
    *lines: Any, steps: tuple[Step, ...] = (step(PODS), step(GKE, POOL)), keeps_weights: bool = False
) -> list[str]:
    return costs(steps, {OUTPUT: {"self_hosted": {"lines": list(lines)}}}, keeps_weights=keeps_weights)


NODES = line("nodes", "2 × g2-standard-24 (2 × L4)", 2000.5, as_of="2026-08-03")


def test_pools_of_gpus_go_with_their_most_nodes() -> None:
    karpenter = {"spec": {"template": {"spec": {"taints": [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}]}}, "limits": {"nvidia.com/gpu": 8}}}  # fmt: skip
    own = "kubernetes:karpenter.sh/v1:NodePool"
    system = step("azure-native:containerservice:AgentPool", {"vmSize": "Standard_D4s_v5", "maxCount": 3})
    assert gpu_nodes((step(GKE, POOL), step(own, karpenter), step(COMPUTE_CLASS), step(PODS), system)) == {
        f"urn::{GKE}": "its GPU nodes go too, at most 3 of them",
        f"urn::{own}": "its GPU nodes go too",  # its limit counts GPUs
        f"urn::{COMPUTE_CLASS}": "GPU nodes of this class go once they are empty",
    }
    assert gpu_nodes((step(GKE, POOL, "same"),)) == {}


def test_claims_that_go_are_weights_that_go() -> None:
    claim = {"spec": {"resources": {"requests": {"storage": "20Gi"}}}}
    (gone,) = volumes((step(CLAIM, claim), step(PODS)))
    assert (gone.name, gone.size_gib, gone.urn) == ("ns/it", 20, f"urn::{CLAIM}")
    assert volumes((step(CLAIM, claim, "same"),)) == ()


def test_nodes_stop_costing_where_the_stack_made_them() -> None:
    assert said(NODES) == [
        "stops costing $2,000.50 a month: 2 × g2-standard-24 (2 × L4)",
        "prices of 2026-08-03",
    ]
    assert said(NODES, steps=(step(PODS),)) == [
        "stops costing nothing by the stack's bill",
        "goes on costing $2,000.50 a month: 2 × g2-standard-24 (2 × L4)",
        "prices of 2026-08-03",
    ]


def test_what_is_paid_anyway_goes_on() -> None:
    ends, stays = said(
        line("load_balancer", "load balancer", 18.25),
        line("nodes", "1 × node with 8 × H100, reserved", 9000.0),
        line("engineering", "engineering", "unknown"),
        line("storage", "weights in the object store", 3.0),
        line("platform", "cluster and its system nodes", 73.0),
    )
    assert ends == "stops costing $18.25 a month: load balancer"
    assert stays.startswith("goes on costing at least $9,076.00 a month: 1 × node with 8 × H100, reserved; ")
    cluster = step("homeport:index:EksCluster")
    with_it = said(line("platform", "cluster and its system nodes", 73.0), steps=(cluster,))
    assert with_it == ["stops costing $73.00 a month: cluster and its system nodes"]


def test_a_shared_volume_costs_on_while_it_is_kept() -> None:
    shared = line("storage", VOLUMES["pvc"], 4.0)
    each = line("storage", VOLUMES["hub"], 6.0)
    assert said(shared, each)[0].startswith("stops costing $10.00 a month")
    # What is kept has a line of its own, with its name.
    assert said(shared, each, keeps_weights=True) == [f"stops costing $6.00 a month: {VOLUMES['hub']}"]


def test_unknown_stays_unknown_and_an_assumption_keeps_its_mark() -> None:
    assert said(line("egress", "egress", "unknown")) == ["stops costing unknown a month: egress"]
    assert said(line("egress", "egress", 5.0, estimated=True)) == [
        "stops costing $5.00* a month: egress",
        "* rests on an assumption, which `preview` names",
    ]
    assert costs((step(PODS),), {}, keeps_weights=False) == [
        "what it stops costing a month is unknown: the stack holds no bill"
    ]
    assert said(NODES, steps=()) == [], "nothing goes"
