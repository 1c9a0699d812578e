"""What a destroy would end: GPU nodes, volumes with weights, and what of the month's bill.

Pure functions of the engine's steps and of a stack's outputs. The bill is the one that the stack was deployed with: that is
what stands, whatever the spec says by now.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from homeport.costs.money import total
from homeport.costs.own_rest import VOLUMES
from homeport_infra import kept
from homeport_infra.bill import OUTPUT, UNKNOWN, money
from homeport_infra.events import Step
from homeport_infra.gpu_pools import Resource, gpu_pools

COMPUTE_CLASS = "kubernetes:cloud.google.com/v1:ComputeClass"
CLUSTERS = ("homeport:index:GkeCluster", "homeport:index:EksCluster", "homeport:index:AksCluster")
NODES = ("nodes", "headroom")
WITH_PODS = ("load_balancer", "egress", "network")
"""Kinds of lines that end with the models' objects. Bought hardware, people and training go on."""
RESERVED = "reserved"
"""What the bill calls nodes that are paid for whether they stand or not."""


def volumes(steps: Sequence[Step]) -> tuple[kept.Volume, ...]:
    """The removed claims, in which weights go."""
    gone = [
        {"urn": step.urn, "type": step.token, "id": step.id, "inputs": step.old}
        for step in steps
        if step.verb == "delete"
    ]
    return kept.volumes({"resources": gone})


def gpu_nodes(steps: Sequence[Step]) -> dict[str, str]:
    """The GPU nodes that go, in words, by the URN of what made them."""
    gone = [
        Resource(token=step.token, name=step.name, inputs=step.old or {}, id=step.id)
        for step in steps
        if step.verb == "delete"
    ]
    found: dict[str, str] = {}
    for step, resource in zip((s for s in steps if s.verb == "delete"), gone, strict=True):
        pools = list(gpu_pools(resource, gone))
        if step.token == COMPUTE_CLASS:
            found[step.urn] = "GPU nodes of this class go once they are empty"
        elif pools:
            counts = [pool.most for pool in pools]
            # Limits of objects count GPUs or nodes; those of a cloud's pool count nodes.
            counted = not step.token.startswith("kubernetes:") and all(
                isinstance(n, int | float) for n in counts
            )
            most = f", at most {sum(counts):g} of them" if counted else ""
            found[step.urn] = f"its GPU nodes go too{most}"
    return found


def costs(steps: Sequence[Step], outputs: Mapping[str, Any], *, keeps_weights: bool) -> list[str]:
    """What stops costing a month, and what goes on, in sentences. `outputs` are the stack's before its end."""
    if not any(step.verb == "delete" for step in steps):
        return []
    bill = outputs.get(OUTPUT)
    if not isinstance(bill, Mapping):
        return ["what it stops costing a month is unknown: the stack holds no bill"]
    kinds = set(WITH_PODS)
    if gpu_nodes(steps):
        kinds.update(NODES)
    if any(step.verb == "delete" and step.token in CLUSTERS for step in steps):
        kinds.add("platform")
    ends: list[Mapping[str, Any]] = []
    stays: list[Mapping[str, Any]] = []
    for line in bill["self_hosted"]["lines"]:
        item = line["item"]
        if line["kind"] == "storage":
            if item == VOLUMES["pvc"] and keeps_weights:
                continue  # named among what is kept, at today's price
            (ends if item in VOLUMES.values() else stays).append(line)
        else:
            (ends if line["kind"] in kinds and RESERVED not in item else stays).append(line)
    said = [f"stops costing {_sum(ends)}" if ends else "stops costing nothing by the stack's bill"]
    if stays:
        said.append(f"goes on costing {_sum(stays)}")
    if any(line["estimated"] for line in (*ends, *stays)):
        said.append("* rests on an assumption, which `preview` names")
    dates = sorted({line["as_of"] for line in (*ends, *stays)} - {UNKNOWN})
    return [*said, f"prices of {', '.join(dates)}"] if dates else said


def _sum(lines: Sequence[Mapping[str, Any]]) -> str:
    found = [line["usd_per_month"] for line in lines]
    amounts = [None if usd == UNKNOWN else Decimal(str(usd)) for usd in found]
    amount = money(
        total(amounts), at_least=None in amounts, estimated=any(line["estimated"] for line in lines)
    )
    return f"{amount} a month: {'; '.join(dict.fromkeys(line['item'] for line in lines))}"
