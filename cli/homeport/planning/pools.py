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
    whole = used = 0
    wanted: dict[int, int] = {}
    for made in members:
        real = made.stands_for or made
        used += real.gpus_per_replica * real.replicas_planned
        if real.nodes_per_replica > 1:
            whole += real.nodes_per_replica * real.replicas_planned
        else:
            need = real.gpus_per_replica
            wanted[need] = wanted.get(need, 0) + real.replicas_planned
    first = members[0].stands_for or members[0]
    assert first.nodes is not None, "pools are made of models that have nodes"
    price = first.nodes.price
    count = whole + packed(wanted, size)
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


def packed(wanted: dict[int, int], size: int) -> int:
    """How many nodes of `size` GPUs hold `wanted` replicas (GPUs of a replica -> how many), each within a node.

    First-fit, the largest first. Replicas of one size fill alike nodes alike, so nodes are counted in runs: the work
    grows with the number of sizes, not of replicas.
    """
    runs: list[tuple[int, int]] = []  # (free GPUs, nodes), in the order in which the nodes were opened
    for need in sorted(wanted, reverse=True):
        left = wanted[need]
        after: list[tuple[int, int]] = []
        opened = -(-left // (size // need))  # more than enough; those that stay empty are dropped below
        for room, nodes in (*runs, (size, opened)):
            each = room // need
            full = min(nodes, left // each) if each else 0
            left -= full * each
            part = 1 if each and nodes > full and left else 0
            after += (
                (room - each * need, full),
                (room - left * need, part),
                (room, nodes - full - part),
            )
            if part:
                left = 0
        runs = [(room, nodes) for room, nodes in after if nodes and room < size]
    return sum(nodes for _, nodes in runs)
