"""What a spec may say about the cluster's GPU nodes: who makes them, where, and what they may be instead."""

from typing import Annotated, Literal

from msgspec import Meta

from homeport.spec.part import Part, Text

NodesBy = Literal["existing", "node_pools", "karpenter", "auto_provisioning", "compute_class"]

ClusterName = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$(?!\n)",
        max_length=63,
        extra={"says": "the name of a cluster: letters, digits, '-' and '_', at most 63"},
    ),
]


NodeImage = Annotated[
    str,
    Meta(
        pattern=r"^al2023@(latest|v[0-9]{8})$(?!\n)",
        extra={
            "says": "an image of EKS: al2023@v and the date of a release, as al2023@v20260903, or al2023@latest"
        },
    ),
]


class Nodes(Part, frozen=True, kw_only=True):
    """Who makes the GPU nodes, and of what."""

    by: Annotated[
        NodesBy,
        Meta(
            description="existing: the cluster has them; node_pools: Pulumi makes node pools (gke, eks, aks); karpenter: "
            "a Karpenter NodePool (eks); auto_provisioning: AKS node auto-provisioning (aks); compute_class: a GKE "
            "ComputeClass (gke)"
        ),
    ] = "existing"
    cluster: Annotated[
        ClusterName | None,
        Meta(description="node_pools, karpenter: name of the cluster that gets the nodes"),
    ] = None
    zones: Annotated[
        tuple[Text, ...] | None,
        Meta(
            description="Zones that nodes may stand in, such as us-central1-a (aks: 1, 2, 3); not for node_pools on eks, whose subnets decide; auto: any"
        ),
    ] = None
    reservation: Annotated[
        Text | None,
        Meta(
            description="Capacity that is reserved: name of the reservation (gke), id of a capacity reservation (eks: cr-…) "
            "or of a capacity reservation group (aks)"
        ),
    ] = None
    fallbacks: Annotated[
        Literal["alike", "any"] | None,
        Meta(
            description="Instance types that nodes may be beside the planned one: alike (auto), as many of the same GPU at "
            "most a quarter dearer; any: all that `plan --explain` lists, on which a replica as planned fits and holds "
            "the limits, dearer ones included"
        ),
    ] = None
    role: Annotated[
        Text | None,
        Meta(description="karpenter: IAM role of the nodes; auto: KarpenterNodeRole-CLUSTER"),
    ] = None
    image: Annotated[
        NodeImage | None,
        Meta(
            description="karpenter: release of EKS' Amazon Linux 2023 image, al2023@vDATE; auto: the one that homeport pins; "
            "with al2023@latest Karpenter replaces nodes whenever Amazon publishes one"
        ),
    ] = None


# by -> (fields that belong to it, fields that it needs)
NODES_FIELDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "existing": ((), ()),
    "node_pools": (("cluster", "zones", "reservation"), ()),
    "karpenter": (("cluster", "zones", "reservation", "fallbacks", "role", "image"), ("cluster",)),
    "auto_provisioning": (("zones", "fallbacks"), ()),
    "compute_class": (("zones", "reservation", "fallbacks"), ()),
}
# by -> the platforms that have it (None: all)
NODES_ON: dict[str, tuple[str, ...] | None] = {
    "existing": None,
    "node_pools": ("gke", "eks", "aks"),
    "karpenter": ("eks",),
    "auto_provisioning": ("aks",),
    "compute_class": ("gke",),
}
