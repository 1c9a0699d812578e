"""What runs now costs: the nodes that hold the pods, at the plan's price."""

from typing import Any

import msgspec

from homeport.cluster.doctor_nodes import requests
from homeport.cluster.status_types import Spending
from homeport.manifests.targets import INSTANCE_TYPE
from homeport.planning.types import ModelPlan, Plan

Object = dict[str, Any]

HOURS_PER_MONTH = 730


class Share(msgspec.Struct, kw_only=True):
    """What of the nodes a model takes: USD an hour, nodes, and why it is unknown."""

    usd_per_hour: float = 0.0
    nodes: set[str]
    why: str = ""


def spending(
    plan: Plan, pods: dict[str, list[Object]], nodes: dict[str, Object] | None
) -> dict[str, tuple[Spending, str]]:
    """What each model costs, and why where that is unknown.

    `pods` are those of each model that have a node, `nodes` all nodes by name (None: they could not be
    read). A whole node is billed: models that share one share its price by the GPUs that they ask for.
    """
    made = {}
    taken = _gpus(plan, pods)
    for model in plan.models:
        own = pods.get(model.spec.name, [])
        price = model.nodes.price if model.nodes else None
        if price is None:
            reason = (
                "the plan has no price for these nodes" if model.nodes else "the plan has no nodes of its own"
            )
            made[model.spec.name] = (_spending(None, "none", "unknown", None), reason)
            continue
        said = f"{price.source}, {price.as_of or 'undated'}"
        if nodes is None:
            replicas = len(own) / model.nodes_per_replica
            each = float(price.usd_per_hour) * _nodes_of_a_replica(model)
            made[model.spec.name] = (_spending(replicas * each, "replicas", said, None, price.assumed), "")
            continue
        share = _share(model, own, nodes, taken, float(price.usd_per_hour))
        usd = None if share.why else share.usd_per_hour
        made[model.spec.name] = (_spending(usd, "nodes", said, len(share.nodes), price.assumed), share.why)
    return made


def _share(
    model: ModelPlan,
    own: list[Object],
    nodes: dict[str, Object],
    taken: dict[str, dict[str, float]],
    usd_per_hour: float,
) -> Share:
    share = Share(nodes=set())
    assert model.nodes is not None
    types = model.nodes.instance_types
    for pod in own:
        name = pod["spec"].get("nodeName", "")
        if not name or name in share.nodes:
            continue
        share.nodes.add(name)
        kind = nodes.get(name, {}).get("metadata", {}).get("labels", {}).get(INSTANCE_TYPE, "")
        if model.nodes.instance is not None and kind and kind != types[0]:
            share.why = f"node {name} is a {kind}; the plan knows the price of {types[0]} only"
            continue
        here = taken.get(name, {})
        part = here.get(model.spec.name, 0.0) / total if (total := sum(here.values())) else 1.0
        share.usd_per_hour += usd_per_hour * part
    return share


def _gpus(plan: Plan, pods: dict[str, list[Object]]) -> dict[str, dict[str, float]]:
    """Node -> model -> GPUs that its pods there ask for."""
    found: dict[str, dict[str, float]] = {}
    for model in plan.models:
        resource = model.gpu.kubernetes_resource if model.gpu else "cpu"
        for pod in pods.get(model.spec.name, []):
            here = found.setdefault(pod["spec"].get("nodeName", ""), {})
            asked = float(requests(pod["spec"]).get(resource, 0))
            here[model.spec.name] = here.get(model.spec.name, 0.0) + asked
    return found


def _nodes_of_a_replica(model: ModelPlan) -> float:
    assert model.nodes is not None
    return model.gpus_per_replica / model.nodes.gpus_per_node if model.nodes.gpus_per_node else 1.0


def _spending(
    usd_per_hour: float | None, basis: Any, price: str, nodes: int | None, assumed: str | None = None
) -> Spending:
    month = None if usd_per_hour is None else usd_per_hour * HOURS_PER_MONTH
    return Spending(
        usd_per_hour=usd_per_hour,
        usd_per_month=month,
        basis=basis,
        price=price,
        price_assumption=assumed,
        nodes=nodes,
    )
