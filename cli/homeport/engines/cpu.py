"""vLLM's CPU build: for small models where there is no GPU (kind, minikube, a laptop).

Facts: a run of vLLM 0.32.0 on two cores, and docs.vllm.ai on the CPU backend.
"""

import msgspec

from homeport.engines import common, vllm
from homeport.engines.types import Launch, Release, Server

OWNED = vllm.OWNED | {
    "--enforce-eager": "- compiling takes minutes at each start on a few cores",
    "--gpu-memory-utilization": "- the KV cache has a size of its own here",
}

DEFAULT_KV_CACHE_GIB = 4
"""GiB of KV cache where nobody says (vLLM's own default is half of the node's memory, which a pod does not have)."""


def server(release: Release, launch: Launch) -> Server:
    """How one replica runs: vLLM's arguments and drain, the KV cache sized by an environment variable.

    Raises SpecError where the launch asks for what one CPU process cannot do.
    """
    if launch.tensor_parallel_size * launch.pipeline_parallel_size * launch.nodes > 1:
        raise common.refuse("the cpu engine runs one process on one node", "tensor_parallel_size")
    if launch.quantization is not None or launch.kv_cache_dtype == "fp8":
        raise common.refuse(
            "the cpu engine makes no fp8", "precision" if launch.quantization else "kv_cache_dtype"
        )
    gpu = vllm.server(release, msgspec.structs.replace(launch, extra_args=()))
    gib = launch.cpu_kv_cache_gib if launch.cpu_kv_cache_gib is not None else DEFAULT_KV_CACHE_GIB
    return msgspec.structs.replace(
        gpu,
        args=(*vllm.arguments(launch, memory_fraction=None), "--enforce-eager", *launch.extra_args),
        env=gpu.env | {"VLLM_CPU_KVCACHE_SPACE": str(gib)},
        shm_gib=1,
    )
