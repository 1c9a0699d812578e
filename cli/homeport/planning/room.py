"""Whether a node has room for the pods that share it: their requests of CPUs and memory, or they stay Pending for ever."""

from functools import cache

import msgspec

from homeport.catalog.types import Machine
from homeport.engines.requests import Requests

RESERVED_MEMORY = ((4.0, 0.25), (4.0, 0.20), (8.0, 0.10), (112.0, 0.06))
"""Shares of the first 4, the next 4, 8 and 112 GiB that a kubelet keeps for itself and the system, on GKE and AKS alike."""
RESERVED_MEMORY_ABOVE = 0.02
KERNEL_SHARE, KERNEL_GIB = 1 / 64, 0.33
"""What the kernel takes before the kubelet counts: a 64th, and 80 MiB + at most 248 MiB (GKE's images)."""
EVICTION_GIB = 750 / 1024
"""Memory that must stay free, or pods are evicted (AKS' 750 MiB; GKE and EKS: 100)."""
RESERVED_CPUS = ((1, 0.06), (1, 0.04), (2, 0.02))
"""Shares of the first, the second, and the next two CPUs that AKS keeps, the most of the three; of the others 1 %."""
RESERVED_CPUS_ABOVE = 0.01
RESERVED_SOURCE = (
    "GKE: github.com/kubernetes/autoscaler cloudprovider/gce/reserved.go @729ba955 and gce_reserved.go @0be995de; AKS: "
    "github.com/Azure/karpenter-provider-azure pkg/providers/instancetype/instancetype.go @00ae1126; read 2026-11"
)
"""EKS keeps less memory (255 MiB + 11 MiB a pod), so that the same rule is on the safe side there."""
DAEMON_CPUS, DAEMON_GIB = 0.5, 1.0
"""Assumption: what the pods that run on every node (network, metrics, logs, GPU driver) ask for together."""


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of a machine for the pods of models: CPUs and GiB of memory."""

    cpus: float
    memory_gib: float


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """An instance type that was left out, and why."""

    instance_type: str
    reason: str


def _brackets(amount: float, brackets: tuple[tuple[float, float], ...], above: float) -> float:
    kept = 0.0
    for width, share in brackets:
        part = min(amount, width)
        kept += part * share
        amount -= part
    return kept + amount * above


def allocatable(vcpus: float, memory_gib: float) -> Room:
    """What a node of this size tells the scheduler that it has: without what kernel, kubelet and system keep."""
    kept = _brackets(memory_gib, RESERVED_MEMORY, RESERVED_MEMORY_ABOVE) + EVICTION_GIB
    kernel = memory_gib * KERNEL_SHARE + KERNEL_GIB
    return Room(
        cpus=vcpus - _brackets(vcpus, RESERVED_CPUS, RESERVED_CPUS_ABOVE),
        memory_gib=memory_gib - kept - kernel,
    )


def room(machine: Machine) -> Room:
    """What a machine has left for the pods of models, once the pods of every node stand on it."""
    return _room(machine.vcpus, machine.memory_gib)


@cache
def _room(vcpus: int, memory_gib: float) -> Room:
    given = allocatable(vcpus, memory_gib)
    return Room(cpus=given.cpus - DAEMON_CPUS, memory_gib=given.memory_gib - DAEMON_GIB)


def refusal(machine: Machine, one: Requests, pods: int) -> str | None:
    """Say why a machine cannot hold as many pods as its GPUs would (None: it can).

    Models whose replicas share a node need no question of their own: where each of them could fill it alone, and their
    GPUs divide the node's, a mixture asks for no more.
    """
    left = room(machine)
    if one.cpus * pods <= left.cpus and one.memory_gib * pods <= left.memory_gib:
        return None
    lacking = [
        f"{wanted:,g} {unit}, and {has:,.1f} of its {all_:,g} are left for them"
        for unit, wanted, has, all_ in (
            ("CPUs", one.cpus * pods, left.cpus, machine.vcpus),
            ("GiB of memory", one.memory_gib * pods, left.memory_gib, machine.memory_gib),
        )
        if wanted > has
    ]
    who = "its pod asks" if pods == 1 else f"the {pods} pods that its GPUs would take ask"
    return f"{machine.instance_type}: {who} for {'; and for '.join(lacking)}"
