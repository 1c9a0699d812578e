"""Nodes that planned replicas share: whole instances are billed, whoever's replicas stand on them."""

import msgspec

from homeport.planning.hardware import cloud_of
from homeport.planning.types import ModelPlan, NodeChoice, Plan, Pool
from homeport.spec.models import Target


class NodeType(msgspec.Struct, frozen=True, kw_only=True):
    """An instance type that nodes of a pool may have."""

    instance_type: str
    gpu: str
    gpus_per_node: int


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
    price, machine = first.nodes.price, first.nodes.machine
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
        machine=machine,
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


def made(plan: Plan) -> tuple[Pool, ...]:
    """The pools whose nodes somebody has to make: of a known type, for pods that use GPUs (a simulated model's do not)."""
    return tuple(pool for pool in plan.pools if pool.instance_type is not None and members(plan, pool))


def members(plan: Plan, pool: Pool) -> tuple[ModelPlan, ...]:
    """The models of a pool whose pods use its GPUs."""
    return tuple(m for m in plan.models if m.spec.name in pool.models and m.gpu is not None)


def node_types(plan: Plan, pool: Pool) -> tuple[NodeType, ...]:
    """What nodes of a pool may be, in the order in which it should be tried: the planned type first.

    Only types that every model of the pool runs on count, since its pods share the nodes.
    """
    found: dict[str, NodeType] = {}
    allowed: set[str] | None = None
    for model in members(plan, pool):
        names = model.nodes.instance_types if model.nodes else ()
        allowed = set(names) if allowed is None else allowed & set(names)
        known = {f.instance_type: f for f in model.fallbacks}
        for name in names:
            other = known.get(name)
            found.setdefault(
                name,
                NodeType(
                    instance_type=name,
                    gpu=other.gpu if other else pool.gpu,
                    gpus_per_node=other.gpus_per_node if other else pool.gpus_per_node,
                ),
            )
    return tuple(kind for name, kind in found.items() if name in (allowed or set()))


def limits(plan: Plan, pool: Pool, gpus_per_node: int | None = None) -> tuple[int, int]:
    """Least and most nodes of a pool: what the models' least and most replicas take; never fewer than planned at most.

    `gpus_per_node` asks it of nodes of another size. The least is packed as planned; for the most each model is counted
    for itself, since a scheduler packs less well than a plan.
    """
    size = gpus_per_node or pool.gpus_per_node
    whole, wanted = 0, dict[int, int]()
    for model in members(plan, pool):
        if model.nodes_per_replica > 1:
            whole += model.nodes_per_replica * model.replicas_min
        else:
            need = model.gpus_per_replica
            wanted[need] = wanted.get(need, 0) + model.replicas_min
    most = sum(_nodes(m, m.replicas_max, size) for m in members(plan, pool))
    return whole + packed(wanted, size), max(most, pool.node_count if size == pool.gpus_per_node else 0)


def most_gpus(plan: Plan, pool: Pool) -> int:
    """GPUs of all nodes of a pool at most, whichever of its types they are."""
    sizes = {kind.gpus_per_node for kind in node_types(plan, pool)} or {pool.gpus_per_node}
    return max(limits(plan, pool, size)[1] * size for size in sizes)


def _nodes(model: ModelPlan, replicas: int, size: int) -> int:
    if model.nodes_per_replica > 1:
        return replicas * model.nodes_per_replica
    # A node takes as many replicas as it holds whole.
    return -(-replicas // (size // model.gpus_per_replica))
