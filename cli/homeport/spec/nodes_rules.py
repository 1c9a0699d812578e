"""What the fields of `target.nodes` must hold together with the rest of the target."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from homeport.errors import Problem
from homeport.spec.nodes import NODES_ON
from homeport.spec.source import Path
from homeport.text import one_of

if TYPE_CHECKING:
    from homeport.spec.models import Target


def check_nodes_on(target: "Target", path: Path) -> Iterable[Problem]:
    """The platform has that way of making nodes, zones are the nodes' to choose, and what is reserved is not spot."""
    nodes = target.nodes
    owners = NODES_ON[nodes.by]
    if owners is not None and target.platform not in owners:
        own = [by for by, names in NODES_ON.items() if names is None or target.platform in names]
        yield Problem(
            message=f"{target.platform} has no {nodes.by}: it is for {one_of(owners)}",
            path=(*path, "nodes", "by"),
            value=nodes.by,
            help=f"here by is one of {one_of(own)}",
        )
    if nodes.reservation is not None and target.capacity == "spot":
        yield Problem(
            message="what is reserved is not bought as spot capacity",
            path=(*path, "nodes", "reservation"),
            value=nodes.reservation,
            help="remove it, or write capacity: on_demand",
        )
    if nodes.zones and nodes.by == "node_pools" and target.platform == "eks":
        yield Problem(
            message="the subnets of an EKS node group decide its zones",
            path=(*path, "nodes", "zones"),
            value=list(nodes.zones),
            help="remove it, and give `homeport up` each --subnet that lies in one of them",
        )
    if nodes.zones is not None and not nodes.zones:
        yield Problem(
            message="no zone is named",
            path=(*path, "nodes", "zones"),
            value=[],
            help="name one, or leave it out",
        )
