"""Which GPUs a target offers, in which nodes, at whose price."""

import re
from decimal import Decimal

import msgspec

from homeport.catalog.gpus import gpu, gpus
from homeport.catalog.machines import machine
from homeport.catalog.prices import instances, remembers_prices
from homeport.catalog.regions import nearest_region
from homeport.catalog.types import Gpu, Instance, Machine
from homeport.catalog.zones import NOWHERE_BOUND, Bounds
from homeport.engines.requests import Requests
from homeport.errors import Problem, SpecError
from homeport.planning.room import Refused, refusal
from homeport.planning.types import Price
from homeport.spec.models import Target
from homeport.text import nearest

CLOUD_OF = {"gke": "gcp", "eks": "aws", "aks": "azure"}
DEFAULT_REGION = {"gcp": "us-central1", "aws": "us-east-1", "azure": "eastus"}
GIVEN = "given by you"
"""Source of a price that the spec holds; its date is empty."""
LOCAL = ("kind", "minikube")
"""Clusters on a person's own machine: they have no GPU of their own."""
HOURS_A_MONTH = 730
"""Hours of a month, as the clouds' price pages count."""


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of node with `gpus` GPUs. `instance` None: a node of an existing pool; `price` None: unknown.

    `machine` has its CPUs and memory; None: unknown, as are those of nodes that another cloud's instance only prices.
    """

    gpu: Gpu
    gpus: int
    instance: Instance | None
    price: Price | None
    machine: Machine | None = None

    @property
    def usd_per_hour(self) -> Decimal | None:
        """The price of the node, if it is known."""
        return self.price.usd_per_hour if self.price else None

    @property
    def key(self) -> tuple[bool, Decimal, int, str]:
        """Sort key: known prices first, the cheapest first, then smaller nodes, then by name."""
        name = self.instance.instance_type if self.instance else ""
        return self.price is None, self.usd_per_hour or Decimal(0), self.gpus, name


def cloud_of(target: Target) -> str | None:
    """The cloud whose cluster the target is, or None for clusters of nobody's cloud."""
    return CLOUD_OF.get(target.platform)


def region_of(target: Target) -> str | None:
    """The region that the target runs in: as written, or the platform's default."""
    cloud = cloud_of(target)
    return target.region or (DEFAULT_REGION[cloud] if cloud else None)


@remembers_prices
def offers(target: Target, within: Bounds = NOWHERE_BOUND) -> dict[str, tuple[Offer, ...]]:
    """What the target offers by GPU id, the cheapest node first. GPUs without any offer are absent.

    Only prices of regions `within` the bounds count: a cloud's GPUs that none of these prices have an unknown price.

    On a cloud these are its priced instances in the region, or in the nearest region that has the GPU (marked). On
    any other cluster the nodes are those of the cheapest of gcp, aws and azure (or `price_from`), marked as assumed;
    GPUs that none of them has are offered at an unknown price, eight to a node.
    """
    cloud = cloud_of(target)
    clouds: tuple[str, ...] = (cloud,) if cloud else (target.price_from or tuple(DEFAULT_REGION))
    _check_prices(target, clouds)
    _check_zones(target)
    found: dict[str, list[Offer]] = {}
    for name in clouds:
        for offer in _priced(name, target, within):
            found.setdefault(offer.gpu.id, []).append(offer)
    if not cloud:
        _add_unpriced(found, target)
    return {gpu_id: tuple(sorted(rows, key=lambda o: o.key)) for gpu_id, rows in found.items()}


def _check_prices(target: Target, clouds: tuple[str, ...]) -> None:
    """Every price that the spec gives is of an instance type of one of these clouds. Raises SpecError."""
    known = {row.instance_type for cloud in clouds for row in instances(cloud)}
    problems = [
        Problem(
            message=f"no instance type of {' or '.join(clouds)} has this name",
            path=("target", "prices", index, "instance_type"),
            value=price.instance_type,
            help=f"did you mean {' or '.join(near)}?"
            if (near := nearest(price.instance_type, known))
            else None,
        )
        for index, price in enumerate(target.prices)
        if price.instance_type not in known
    ]
    if problems:
        raise SpecError(problems)


def _check_zones(target: Target) -> None:
    """Every zone that nodes may stand in is one of the target's region. Raises SpecError.

    GKE's and EKS' zones begin with their region's name; those of AKS are numbers, alone or behind it.
    """
    region = region_of(target)
    problems = [
        Problem(
            message=f"{zone} is no zone of {region}, where the nodes are",
            path=("target", "nodes", "zones", index),
            value=zone,
            help=f"write one such as {first}, or give target.region",
        )
        for index, zone in enumerate(target.nodes.zones or ())
        for first, like in (_zones_like(target.platform, region or ""),)
        if not re.fullmatch(like, zone)
    ]
    if region is not None and problems:
        raise SpecError(problems)


def _zones_like(platform: str, region: str) -> tuple[str, str]:
    """A zone of a region, and the pattern that all of them have."""
    name = re.escape(region)
    if platform == "aks":
        return "1", rf"({name}-)?[0-9]"
    if platform == "gke":
        return f"{region}-a", rf"{name}-[a-z]"
    return f"{region}a", rf"{name}(-[a-z]+-[0-9])?[a-z]"  # us-west-2-lax-1a is a Local Zone


def _priced(cloud: str, target: Target, within: Bounds) -> list[Offer]:
    own = cloud == cloud_of(target)
    wanted = (region_of(target) if own else None) or DEFAULT_REGION.get(cloud)
    rows: list[Offer] = []
    for gpu_id in dict.fromkeys(row.gpu for row in instances(cloud)):
        region = nearest_region(cloud, wanted, gpu_id, within) if wanted else None
        if region is None and within:
            rows += _unpriced(cloud, gpu_id, target) if own else []
            continue
        found = (_offer(row, target, own=own, wanted=wanted) for row in instances(cloud, region, gpu_id))
        rows += [offer for offer in found if offer is not None]
    return rows


def _unpriced(cloud: str, gpu_id: str, target: Target) -> list[Offer]:
    """The cloud's kinds of nodes with a GPU, whose prices all lie out of bounds."""
    rows = {row.instance_type: row for row in instances(cloud, gpu=gpu_id)}.values()
    made = (_offer(row, target, own=True, wanted=None) for row in rows)
    return [msgspec.structs.replace(offer, price=None) for offer in made if offer is not None]


def _offer(row: Instance, target: Target, *, own: bool, wanted: str | None) -> Offer | None:
    if row.gpu_count < 1 and not target.shared_gpus:
        return None
    given = next((p.usd_per_hour for p in target.prices if p.instance_type == row.instance_type), None)
    spot = given is None and target.capacity == "spot" and row.spot_usd_per_hour is not None
    amount = given or (row.spot_usd_per_hour if spot else row.on_demand_usd_per_hour)
    if amount is None:
        return None
    assumed: list[str] = []
    if given is not None:
        pass  # the user's price needs no excuse
    elif not own:
        assumed.append(f"price of {row.cloud}'s {row.instance_type}: this cluster's own is not known")
    elif row.region and wanted and row.region != wanted:
        assumed.append(f"price of {row.region}: the data has none of this GPU in {wanted}")
    if target.capacity == "spot" and not spot and given is None:
        assumed.append("on-demand price: the data has no spot price of this instance")
    card = gpu(row.gpu)
    if row.gpu_count < 1:
        card = share_of(card, row.gpu_count)
        assumed.append(f"{row.gpu_count:g} of a card: memory, bandwidth and compute taken as that share")
    elif "gpu_count" in row.unverified:
        assumed.append("the number of GPUs of this instance is unverified")
    return Offer(
        gpu=card,
        gpus=max(1, int(row.gpu_count)),
        instance=row,
        machine=machine(row.cloud, row.instance_type) if own else None,
        price=Price(
            usd_per_hour=Decimal(str(amount)),
            source=row.source if given is None else GIVEN,
            as_of=row.as_of if given is None else "",
            capacity="spot" if spot else "on_demand",
            assumed="; ".join(assumed) or None,
        ),
    )


def share_of(card: Gpu, share: float) -> Gpu:
    """A share of a card as a GPU of its own: everything that can be divided, divided (an assumption)."""
    divided = {
        name: None if (whole := getattr(card, name)) is None else whole * share
        for name in card.__struct_fields__
        if name.startswith(("memory_", "dense_"))
    }
    return msgspec.structs.replace(card, id=f"{card.id}/{round(1 / share)}", **divided)


def _add_unpriced(found: dict[str, list[Offer]], target: Target) -> None:
    """Fill in the nodes of a cluster that is no cloud's: its own node size, and GPUs that no cloud prices."""
    for card in gpus().values():
        if card.kind != "gpu":
            continue
        priced = found.get(card.id, [])
        if target.gpus_per_node is None:
            if not priced:
                found[card.id] = [Offer(gpu=card, gpus=n, instance=None, price=None) for n in (1, 2, 4, 8)]
            continue
        found[card.id] = [
            Offer(
                gpu=card,
                gpus=target.gpus_per_node,
                instance=None,
                price=_scaled(priced, target.gpus_per_node),
            )
        ]


def _scaled(priced: list[Offer], gpus_per_node: int) -> Price | None:
    """The price of a node of `gpus_per_node` GPUs, from the cheapest GPU hour that the clouds have."""
    known = [(offer.price.usd_per_hour / offer.gpus, offer.price, offer) for offer in priced if offer.price]
    if not known:
        return None
    per_gpu, price, offer = min(known, key=lambda item: item[0])
    name = offer.instance.instance_type if offer.instance else "?"
    cloud = offer.instance.cloud if offer.instance else "?"
    return msgspec.structs.replace(
        price,
        usd_per_hour=per_gpu * gpus_per_node,
        assumed=f"{gpus_per_node} GPU hours at the rate of {cloud}'s {name}: this cluster's own price is not known",
    )


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """Where replicas stand: `node_count` nodes of `offer`, `idle_gpus` of them without a replica."""

    offer: Offer
    node_count: int
    idle_gpus: int

    @property
    def usd_per_month(self) -> Decimal | None:
        """All nodes, all month (730 h); None where the price is unknown."""
        hourly = self.offer.usd_per_hour
        return None if hourly is None else hourly * self.node_count * HOURS_A_MONTH


def with_room(
    rows: tuple[Offer, ...], gpus_per_replica: int, nodes_per_replica: int, one: Requests
) -> tuple[tuple[Offer, ...], tuple[Refused, ...]]:
    """The nodes that have room for pods asking for `one` each, and those whose GPUs would do but which lack CPUs or memory.

    Nodes of unknown size pass.
    """
    kept: list[Offer] = []
    refused: list[Refused] = []
    for offer in rows:
        pods = _pods(offer, gpus_per_replica, nodes_per_replica)
        why = refusal(offer.machine, one, pods) if offer.machine and pods else None
        if why is None or offer.machine is None:
            kept.append(offer)
        else:
            refused.append(Refused(instance_type=offer.machine.instance_type, reason=why))
    return tuple(kept), tuple(refused)


def _pods(offer: Offer, gpus_per_replica: int, nodes_per_replica: int) -> int:
    """Pods of a replica on one node: a replica of several nodes takes whole ones, others are packed. 0: it cannot stand there."""
    if nodes_per_replica > 1:
        return 1 if offer.gpus * nodes_per_replica == gpus_per_replica else 0
    return offer.gpus // gpus_per_replica


def place(
    rows: tuple[Offer, ...], gpus_per_replica: int, nodes_per_replica: int, replicas: int
) -> Placement | None:
    """Put replicas on the nodes that cost least together; None where no node is large enough.

    A replica of several nodes takes whole nodes; others are packed, as many to a node as its GPUs hold.
    """
    best: Placement | None = None
    for offer in rows:
        pods = _pods(offer, gpus_per_replica, nodes_per_replica)
        if not pods:
            continue
        nodes = -(-replicas * nodes_per_replica // pods)
        placed = Placement(
            offer=offer, node_count=nodes, idle_gpus=nodes * offer.gpus - replicas * gpus_per_replica
        )
        if best is None or _cost_key(placed) < _cost_key(best):
            best = placed
    return best


def _cost_key(placed: Placement) -> tuple[bool, Decimal, int]:
    cost = placed.usd_per_month
    return cost is None, cost or Decimal(0), placed.idle_gpus
