"""What a stack needs to know beside the plan: its layers, the cluster, and the stacks that hold the other layers."""

from typing import Literal, get_args

import msgspec

from homeport.errors import HomeportError
from homeport.planning.types import Plan

Layer = Literal["cluster", "platform", "models"]
LAYERS: tuple[Layer, ...] = get_args(Layer)
"""Every layer, in the order in which they are deployed: each one needs those before it."""


class SettingsError(HomeportError):
    """A stack's settings that contradict each other or the spec (exit code 2)."""

    def __init__(self, message: str, help: str | None = None) -> None:  # noqa: A002
        """`help` says what to write instead."""
        super().__init__(message)
        self.help = help


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """One stack. Empty texts mean "not given".

    `create_cluster` makes the cluster itself too (GKE, EKS, AKS), under the name `cluster`; on EKS in `subnets`, else in the
    account's default VPC, with `node_role`, else a role of its own.

    `layers` None: the models, and the nodes where the spec says that homeport makes them. `cluster` and `location`
    (region or zone) name the cluster that gets the node pools; the spec's `target.nodes.cluster` and `target.region`
    stand in for them. `resource_group` is AKS', `subnets` (ids) and `node_role` (an ARN) are those of EKS' node groups.
    `cluster_stack` and `platform_stack` are the stacks, as Pulumi names them, that hold a layer which this one lacks.
    """

    layers: tuple[Layer, ...] | None = None
    cluster: str = ""
    location: str = ""
    create_cluster: bool = False
    resource_group: str = ""
    subnets: tuple[str, ...] = ()
    node_role: str = ""
    cluster_stack: str = ""
    platform_stack: str = ""

    def layers_of(self, plan: Plan) -> tuple[Layer, ...]:
        """The layers of this stack, in the order in which they are deployed."""
        if self.layers is None:
            return ("cluster", "models") if makes_nodes(plan) else ("models",)
        return tuple(layer for layer in LAYERS if layer in self.layers)


def makes_nodes(plan: Plan) -> bool:
    """Whether the spec says that homeport makes the nodes, rather than finding them in the cluster."""
    return plan.spec.target.nodes.by != "existing"


def parse_layers(text: str) -> tuple[Layer, ...] | None:
    """Read `cluster,models`; an empty text is None. Raises SettingsError for a layer that there is not."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in LAYERS:
            raise SettingsError(f"no layer '{name}'", help=f"the layers are {', '.join(LAYERS)}")
    return tuple(layer for layer in LAYERS if layer in names) or None


def is_urn(target: str) -> bool:
    """Whether a target is a URN, or a pattern of some, rather than a model's name."""
    return target.startswith("urn:") or "*" in target
