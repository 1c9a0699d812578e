"""vLLM: `vllm serve MODEL`, an OpenAI server on port 8000.

Facts: the argument parsers of 0.32.0 and 0.33.0, docs.vllm.ai, and a run of 0.32.0 on a CPU.
"""

from homeport.engines import common, requests
from homeport.engines.types import Drain, Launch, Probe, Release, Server

# Flags that homeport renders, and where in the spec their value comes from. "-" with a reason: no field, because the
# rest of the manifests depends on homeport's own value.
OWNED = {
    "--model": "model",
    "--served-model-name": "name",
    "--revision": "weights.revision",
    "--tokenizer-revision": "weights.revision",
    "--tensor-parallel-size": "tensor_parallel_size",
    "--pipeline-parallel-size": "pipeline_parallel_size",
    "--max-model-len": "max_model_len",
    "--dtype": "precision",
    "--quantization": "precision",
    "--kv-cache-dtype": "kv_cache_dtype",
    "--gpu-memory-utilization": "gpu_memory_utilization",
    "--kv-cache-memory-bytes": "gpu_memory_utilization",
    "--max-num-seqs": "max_num_seqs",
    "--max-num-batched-tokens": "max_num_batched_tokens",
    "--enable-lora": "adapters",
    "--lora-modules": "adapters",
    "--max-loras": "adapters",
    "--max-lora-rank": "adapters",
    "--api-key": "api_key",
    "--host": "- the probes and the Service need it",
    "--port": "- the probes and the Service need it",
    "--uds": "- the probes and the Service need a port",
    "--ssl-keyfile": "- the probes speak plain HTTP",
    "--ssl-certfile": "- the probes speak plain HTTP",
    "--grpc": "- the probes and the Service speak HTTP",
    "--root-path": "- the probes ask for /health",
    "--shutdown-timeout": "- it follows the longest request, and the grace period follows it",
    "--disable-log-stats": "- the autoscaler needs the metrics",
    "--config": "- its values could not be checked",
    "--nnodes": "pipeline_parallel_size",
    "--node-rank": "- each node of a replica gets its own",
    "--master-addr": "- each node of a replica gets it from LeaderWorkerSet",
    "--master-port": "- the NetworkPolicy opens 29501",
    "--headless": "- only the nodes after the first have it",
    "--distributed-executor-backend": "- the image has no Ray",
    "--data-parallel-size": "replicas",
    "--data-parallel-size-local": "replicas",
    "--data-parallel-rank": "replicas",
    "--data-parallel-start-rank": "replicas",
    "--data-parallel-hybrid-lb": "replicas",
    "--data-parallel-external-lb": "replicas",
    "--data-parallel-multi-port-external-lb": "replicas",
    "--prefill-context-parallel-size": "- it takes more GPUs than the plan has counted",
    "--download-dir": "weights",
}

LORA_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""Values that `--max-lora-rank` takes (1 is left out: nobody trains it)."""

MASTER_PORT = 29501
"""Default of `--master-port`, where the nodes of one replica meet."""

KV_CACHE_DTYPES = {"auto": None, "bf16": "bfloat16", "fp16": "float16", "fp8": "fp8"}


def server(release: Release, launch: Launch) -> Server:
    """How one replica runs: the stock image's entrypoint is `vllm serve`, so the arguments begin with the model.

    Raises SpecError where the launch asks for what vLLM cannot do.
    """
    args = arguments(launch, memory_fraction=launch.memory_fraction)
    workers = None
    warnings: tuple[str, ...] = ()
    if launch.nodes > 1:
        args += [
            "--nnodes=$(LWS_GROUP_SIZE)",
            "--node-rank=$(LWS_WORKER_INDEX)",
            "--master-addr=$(LWS_LEADER_ADDRESS)",
            f"--master-port={MASTER_PORT}",
        ]
        workers = (*args, "--headless", *launch.extra_args)
        warnings = (common.WORKERS_TALK_TCP,)
    return Server(
        image=release.image,
        command=None,
        args=(*args, *launch.extra_args),
        env=environment(launch),
        port=release.port,
        # While it loads, the port is closed; /health answers at once when it is up, and stays 200 in a drain.
        startup=Probe(path="/health", timeout_s=2, period_s=5),
        readiness=Probe(path="/health", timeout_s=5, period_s=5, failure_threshold=3),
        # An engine that dies takes the process with it: a liveness probe could only kill a busy server.
        liveness=None,
        metrics=release.metrics,
        drain=drain(launch),
        writable=common.writable(launch, "vLLM's, Triton's and Inductor's compiled kernels"),
        worker_args=workers,
        shm_gib=requests.shm_gib("vllm", common.ranks_of_a_node(launch)),
        api_key_variable="VLLM_API_KEY" if launch.api_key_env else None,
        warnings=warnings,
    )


def arguments(launch: Launch, memory_fraction: float | None) -> list[str]:
    """The arguments of `vllm serve` that every build of vLLM takes, without the user's own."""
    args = [
        launch.model,
        *common.options(
            {
                "--served-model-name": launch.served_name,
                "--port": 8000,
                "--revision": launch.revision,
                "--tensor-parallel-size": launch.tensor_parallel_size
                if launch.tensor_parallel_size > 1
                else None,
                "--pipeline-parallel-size": launch.pipeline_parallel_size
                if launch.pipeline_parallel_size > 1
                else None,
                "--max-model-len": launch.max_model_len,
                "--dtype": None if launch.weight_dtype == "auto" else launch.weight_dtype,
                "--quantization": launch.quantization,
                "--kv-cache-dtype": kv_cache_dtype(launch),
                "--gpu-memory-utilization": memory_fraction,
                "--max-num-seqs": launch.max_num_seqs,
                "--max-num-batched-tokens": launch.max_num_batched_tokens,
                "--shutdown-timeout": common.drain_seconds(launch),
            }
        ),
    ]
    if launch.adapters:
        rank = max(a.rank for a in launch.adapters)
        if rank > LORA_RANKS[-1]:
            raise common.refuse(f"vLLM serves LoRA ranks up to {LORA_RANKS[-1]}, not {rank}", "adapters")
        args += [
            "--enable-lora",
            f"--max-loras={len(launch.adapters)}",
            f"--max-lora-rank={next(r for r in LORA_RANKS if r >= rank)}",
            "--lora-modules",
            *(f"{a.name}={a.path}" for a in launch.adapters),
        ]
    return args


def kv_cache_dtype(launch: Launch) -> str | None:
    """vLLM's name for the KV cache's type (None: its default, the weights' type)."""
    if launch.kv_cache_dtype not in KV_CACHE_DTYPES:
        raise common.refuse(f"vLLM has no KV cache of type '{launch.kv_cache_dtype}'", "kv_cache_dtype")
    return KV_CACHE_DTYPES[launch.kv_cache_dtype]


def environment(launch: Launch) -> dict[str, str]:
    """Homes and caches, and no usage statistics."""
    return common.environment(launch) | {
        "VLLM_CACHE_ROOT": common.CACHE + "/vllm",
        "VLLM_CONFIG_ROOT": common.CACHE + "/vllm-config",
        "VLLM_NO_USAGE_STATS": "1",
    }


def drain(launch: Launch) -> Drain:
    """vLLM's default on SIGTERM truncates answers or hangs, and so does a time-out that is shorter than a request."""
    return common.drain(
        launch,
        own=True,
        why=f"vLLM finishes open requests for --shutdown-timeout seconds, {common.AS_LONG}; after that only the "
        "kubelet's SIGKILL ends it",
    )
