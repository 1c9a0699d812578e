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
    """The platform has that way of making nodes, and what is reserved is not bought on the spot market."""
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
    if nodes.zones is not None and not nodes.zones:
        yield Problem(
            message="no zone is named",
            path=(*path, "nodes", "zones"),
            value=[],
            help="name one, or leave it out",
        )
