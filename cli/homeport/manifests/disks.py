"""What a node's disk offers to pods: the platforms' defaults, and the size that a pod's request needs."""

import math

import msgspec

STEP_GB = 50
"""Disk sizes are named in steps of this."""

IMAGE_GIB = 20
"""Assumption: the system and an engine's unpacked image take this much of a disk, which no request counts."""

ASSUMED_GIB = 45
"""Assumption where a node's disk is unknown: what GKE's default disk of 100 GB offers."""


class DefaultDisk(msgspec.Struct, frozen=True, kw_only=True):
    """The disk that a platform's node pools come with unless asked otherwise: GB as the platform counts, and its flag."""

    size_gb: int
    flag: str


# GKE: `gcloud container node-pools create --help`. EKS: `diskSize` of CreateNodegroup, Linux. AKS: the least of its
# defaults, which grow with the machine. As of 2026-11.
DEFAULTS = {
    "gke": DefaultDisk(size_gb=100, flag="--disk-size"),
    "eks": DefaultDisk(size_gb=20, flag="diskSize"),
    "aks": DefaultDisk(size_gb=128, flag="--node-osdisk-size"),
}


def offered_gib(platform: str, size_gb: int) -> float:
    """GiB that a node with a disk of this size lets pods ask for (its allocatable ephemeral storage).

    Everywhere the kubelet keeps a tenth free. GKE reserves min(50 %, 6 GiB + 35 %, 100 GiB) of the disk besides (its
    documentation, "Plan node sizes"), and its file system has 94.3 % of the disk: a node of 100 GB reports 43.9 GiB.
    EKS reserves 1 GiB besides.
    """
    if platform == "gke":
        return 0.9 * 0.943 * size_gb - min(0.5 * size_gb, 6 + 0.35 * size_gb, 100)
    return 0.9 * size_gb - 1


def enough_gb(platform: str, wanted_gib: float, more_gib: float = 0) -> int:
    """The smallest disk, in steps of STEP_GB, that offers so much beside the system and an engine's image.

    `more_gib` is what else lies on it that no request counts, GiB.
    """
    # What GKE reserves is meant for the system and an image.
    beside = more_gib + (0 if platform == "gke" else IMAGE_GIB)
    size = STEP_GB * math.ceil(wanted_gib / STEP_GB)
    while offered_gib(platform, size) < wanted_gib + beside:
        size += STEP_GB
    return size
