"""What the pod of one server on GPUs asks of its node beside them: planning looks for room for it, manifests request it."""

import msgspec

ONE_RANK_GIB = 2
"""Size of /dev/shm where one rank has nobody to exchange tensors with, GiB: what vLLM's Kubernetes guide gives. It counts
towards the pod's memory, and the smallest GPU machines have 16 GiB in all."""

SHM_GIB: dict[str, tuple[int, int, int]] = {
    # vLLM's message queues and NCCL's of several ranks need some more than its guide gives.
    "vllm": (ONE_RANK_GIB, 4, 8),
    "sglang": (ONE_RANK_GIB, 10, 10),  # SGLang's own Kubernetes manifests
    # Its workers exchange tensors there (NVIDIA starts the container with the host's).
    "trtllm": (ONE_RANK_GIB, 8, 8),
    "tgi": (1, 1, 1),  # TGI's documentation (`--shm-size 1g`)
}
"""Size of /dev/shm of one, of up to four, and of more ranks on a node, GiB."""

CPUS_A_GPU, CPUS_BESIDE = 1, 1
"""Assumption: each rank keeps one CPU busy, and the API server and the tokeniser another."""
GIB_A_GPU, GIB_BESIDE = 4, 4
"""Assumption: main memory of each rank and of the processes beside them, GiB. Weights pass through the page cache, which
the kernel takes back."""


class Requests(msgspec.Struct, frozen=True, kw_only=True):
    """Requests of one pod: CPUs, GiB of main memory for the processes, and GiB of /dev/shm, which counts as memory too."""

    cpus: int
    processes_gib: int
    shm_gib: int

    @property
    def memory_gib(self) -> int:
        """The pod's request and limit of memory, GiB."""
        return self.processes_gib + self.shm_gib


def shm_gib(engine: str, ranks: int) -> int:
    """Size of /dev/shm, GiB: what the engine's ranks exchange there, or little where there is one. `ranks` are of one node."""
    one, few, many = SHM_GIB[engine]
    return one if ranks == 1 else few if ranks <= 4 else many


def on_gpus(engine: str, gpus: int) -> Requests:
    """What a pod with `gpus` GPUs, one rank on each, asks for. Raises KeyError for an engine that runs without GPUs."""
    return Requests(
        cpus=CPUS_BESIDE + CPUS_A_GPU * gpus,
        processes_gib=GIB_BESIDE + GIB_A_GPU * gpus,
        shm_gib=shm_gib(engine, gpus),
    )
