"""Instance types that could stand in for the planned one: capacity differs from day to day and from zone to zone."""

from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec import structs

from homeport.planning.choose import Verdict, judge
from homeport.planning.hardware import HOURS_A_MONTH, Offer, place
from homeport.planning.types import Fallback, ModelPlan

if TYPE_CHECKING:
    from homeport.planning.candidates import Candidate, Question

DEAREST = 3
"""Assumption: nobody wants a stand-in for more than this many times the money."""


def fallbacks(question: "Question", best: Verdict, found: "list[Candidate]") -> tuple[Fallback, ...]:
    """List instance types that a replica as planned runs on, in the order in which they should be tried.

    The replica stays what it is: the same engine settings, tensor parallel size and precision. It has to fit, to hold
    the latency limits, and the planned number of replicas has to carry the peak. The same GPU comes first, then the
    cheapest for all planned replicas; unknown prices come last, and what costs more than DEAREST times the plan's nodes
    is left out.
    """
    chosen = best.candidate
    rows = [(offer, True) for offer in chosen.offers]
    for candidate in found:
        if candidate.gpu.id != chosen.gpu.id and _same_replica(candidate, chosen):
            verdict = judge(question, candidate)
            if verdict.lost is None and (verdict.replicas or 0) <= (best.replicas or 0):
                rows += [(offer, False) for offer in candidate.offers]
    made = [_fallback(offer, best, same_gpu=same) for offer, same in rows if offer.instance is not None]
    taken = best.placement.offer.instance if best.placement else None
    name = taken.instance_type if taken else None
    most = None if best.usd_per_month is None else best.usd_per_month * DEAREST
    kept = (f for f in made if f is not None and f.instance_type != name and _affordable(f, most))
    return tuple(sorted(kept, key=_key))


def _affordable(one: Fallback, most: Decimal | None) -> bool:
    return most is None or one.usd_per_month is None or one.usd_per_month <= most


def _same_replica(candidate: "Candidate", chosen: "Candidate") -> bool:
    return (
        not candidate.alternative
        and candidate.settings == chosen.settings
        and candidate.precision.label == chosen.precision.label
    )


def _fallback(offer: Offer, best: Verdict, *, same_gpu: bool) -> Fallback | None:
    candidate = best.candidate
    placed = place((offer,), candidate.gpus_per_replica, candidate.settings.nodes, best.replicas or 1)
    if placed is None or offer.instance is None:
        return None
    price = offer.usd_per_hour
    return Fallback(
        instance_type=offer.instance.instance_type,
        gpu=offer.gpu.id,
        gpus_per_node=offer.gpus,
        node_count=placed.node_count,
        usd_per_month=None if price is None else price * placed.node_count * HOURS_A_MONTH,
        same_gpu=same_gpu,
        price_assumption=offer.price.assumed if offer.price else None,
    )


def _key(one: Fallback) -> tuple[bool, bool, Decimal, int, str]:
    cost = one.usd_per_month
    return not one.same_gpu, cost is None, cost or Decimal(0), one.gpus_per_node, one.instance_type


def with_fallbacks(made: ModelPlan, found: tuple[Fallback, ...], *, used: bool) -> ModelPlan:
    """The plan with its fallbacks; where they are `used`, its pods may run on them too."""
    if used and made.nodes is not None and found:
        types = dict.fromkeys((*made.nodes.instance_types, *(f.instance_type for f in found)))
        nodes = structs.replace(made.nodes, instance_types=tuple(types))
        made = structs.replace(made, nodes=nodes)
    return structs.replace(made, fallbacks=found)
