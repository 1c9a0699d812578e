"""Nodes that planned replicas share: whole instances are billed, whoever's replicas stand on them."""

from homeport.planning.hardware import cloud_of
from homeport.planning.types import ModelPlan, NodeChoice, Pool
from homeport.spec.models import Target


def pools(target: Target, plans: list[ModelPlan]) -> tuple[Pool, ...]:
    """Pack the planned replicas of all models onto nodes of each kind, in the models' order.

    Replicas of one node are placed first-fit, the largest first; a replica of several nodes takes whole nodes. A
    simulated model counts with what it stands in for, so that the bill shows the real thing.
    """
    grouped: dict[tuple[str, str | None, str | None, int], list[ModelPlan]] = {}
    for made in plans:
        real = made.stands_for or made
        if real.nodes is None or real.gpu is None:
            continue
        nodes = real.nodes
        name = nodes.instance_types[0] if nodes.instance_types else _instance_name(nodes)
        grouped.setdefault((real.gpu.id, name, nodes.region, nodes.gpus_per_node), []).append(made)
    return tuple(
        _pool(target, gpu, name, region, size, members)
        for (gpu, name, region, size), members in grouped.items()
    )


def _instance_name(nodes: NodeChoice) -> str | None:
    return nodes.instance.instance_type if nodes.instance else None


def _pool(
    target: Target, gpu: str, name: str | None, region: str | None, size: int, members: list[ModelPlan]
) -> Pool:
    free: list[int] = []
    whole = used = 0
    wanted: list[int] = []
    for made in members:
        real = made.stands_for or made
        used += real.gpus_per_replica * real.replicas_planned
        if real.nodes_per_replica > 1:
            whole += real.nodes_per_replica * real.replicas_planned
        else:
            wanted += [real.gpus_per_replica] * real.replicas_planned
    for need in sorted(wanted, reverse=True):
        slot = next((i for i, left in enumerate(free) if left >= need), None)
        if slot is None:
            free.append(size - need)
        else:
            free[slot] -= need
    first = members[0].stands_for or members[0]
    assert first.nodes is not None, "pools are made of models that have nodes"
    price = first.nodes.price
    count = whole + len(free)
    return Pool(
        gpu=gpu,
        instance_type=name,
        region=region if cloud_of(target) or region else None,
        capacity=price.capacity if price else target.capacity,
        gpus_per_node=size,
        node_count=count,
        used_gpus=used,
        idle_gpus=count * size - used,
        price=price,
        models=tuple(m.spec.name for m in members),
    )
