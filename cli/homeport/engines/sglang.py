"""SGLang: `python3 -m sglang.launch_server`, an OpenAI server on port 30000.

Facts: the argument parser, http_server.py, tokenizer_manager.py and environ.py of 0.5.23.
"""

from homeport.engines import common, requests
from homeport.engines.types import Drain, Launch, Probe, Release, Server

OWNED = {
    "--model-path": "model",
    "--served-model-name": "name",
    "--revision": "weights.revision",
    "--tp-size": "tensor_parallel_size",
    "--pp-size": "pipeline_parallel_size",
    "--context-length": "max_model_len",
    "--dtype": "precision",
    "--quantization": "precision",
    "--kv-cache-dtype": "kv_cache_dtype",
    "--mem-fraction-static": "gpu_memory_utilization",
    "--max-running-requests": "max_num_seqs",
    "--chunked-prefill-size": "max_num_batched_tokens",
    "--enable-lora": "adapters",
    "--lora-paths": "adapters",
    "--max-lora-rank": "adapters",
    "--max-loras-per-batch": "adapters",
    "--api-key": "api_key",
    "--host": "- the probes and the Service need it",
    "--port": "- the probes and the Service need it",
    "--enable-metrics": "- the autoscaler needs the metrics",
    "--enable-metrics-for-all-schedulers": "- sums over a replica's series would count requests several times",
    "--grpc-mode": "- the probes and the Service speak HTTP",
    "--smg-grpc-mode": "- the probes and the Service speak HTTP",
    "--ssl-keyfile": "- the probes speak plain HTTP",
    "--ssl-certfile": "- the probes speak plain HTTP",
    "--config": "- its values could not be checked",
    "--nnodes": "pipeline_parallel_size",
    "--node-rank": "- each node of a replica gets its own",
    "--dist-init-addr": "- each node of a replica gets it from LeaderWorkerSet",
    "--dp-size": "replicas",
    "--download-dir": "weights",
}

RENDEZVOUS_PORT = 5000
"""Port where the nodes of one replica meet (SGLang's LeaderWorkerSet example)."""

KV_CACHE_DTYPES = {"auto": None, "bf16": "bf16", "fp8": "fp8_e4m3"}

# The variable is SGLang's only by our naming: it reads the key from --api-key, which Kubernetes expands.
KEY_VARIABLE = "SGLANG_API_KEY"


def server(release: Release, launch: Launch) -> Server:
    """How one replica runs. The image starts nothing by itself, and the server listens on localhost unless told.

    Raises SpecError where the launch asks for what SGLang cannot do.
    """
    args = arguments(release, launch)
    workers = None
    warnings: tuple[str, ...] = ()
    if launch.nodes > 1:
        args += [
            "--nnodes=$(LWS_GROUP_SIZE)",
            "--node-rank=$(LWS_WORKER_INDEX)",
            f"--dist-init-addr=$(LWS_LEADER_ADDRESS):{RENDEZVOUS_PORT}",
        ]
        workers = (*args, *launch.extra_args)
        warnings = (common.WORKERS_TALK_TCP,)
    return Server(
        image=release.image,
        command=("python3", "-m", "sglang.launch_server"),
        args=(*args, *launch.extra_args),
        env=common.environment(launch)
        | {
            "SGLANG_CACHE_DIR": common.CACHE + "/sglang",
            # Otherwise /health generates a token too, which takes over a second, so that liveness would fail.
            "SGLANG_ENABLE_HEALTH_ENDPOINT_GENERATION": "false",
        },
        port=release.port,
        startup=Probe(path="/health", timeout_s=5, period_s=10),
        # Generates one token; SGLang looks each second and gives up after 20 (SGLANG_HEALTH_CHECK_TIMEOUT).
        readiness=Probe(path="/health_generate", timeout_s=25, period_s=30, failure_threshold=2),
        liveness=Probe(path="/health", timeout_s=20, period_s=30, failure_threshold=4),
        metrics=release.metrics,
        drain=drain(launch),
        writable=common.writable(launch, "SGLang's kernels (Triton, Inductor, FlashInfer, DeepGEMM)"),
        worker_args=workers,
        worker_has_http=True,
        shm_gib=requests.shm_gib("sglang", common.ranks_of_a_node(launch)),
        api_key_variable=KEY_VARIABLE if launch.api_key_env else None,
        warnings=warnings,
    )


def arguments(release: Release, launch: Launch) -> list[str]:
    """The arguments of `sglang.launch_server`, without the user's own."""
    if launch.kv_cache_dtype not in KV_CACHE_DTYPES:
        raise common.refuse(f"SGLang has no KV cache of type '{launch.kv_cache_dtype}'", "kv_cache_dtype")
    args = common.options(
        {
            "--model-path": launch.model,
            "--served-model-name": launch.served_name,
            "--host": "0.0.0.0",
            "--port": release.port,
            "--revision": launch.revision,
            "--tp-size": launch.tensor_parallel_size if launch.tensor_parallel_size > 1 else None,
            "--pp-size": launch.pipeline_parallel_size if launch.pipeline_parallel_size > 1 else None,
            "--context-length": launch.max_model_len,
            "--dtype": None if launch.weight_dtype == "auto" else launch.weight_dtype,
            "--quantization": launch.quantization,
            "--kv-cache-dtype": KV_CACHE_DTYPES[launch.kv_cache_dtype],
            "--mem-fraction-static": launch.memory_fraction,
            "--max-running-requests": launch.max_num_seqs,
            "--chunked-prefill-size": launch.max_num_batched_tokens,
            "--api-key": f"$({KEY_VARIABLE})" if launch.api_key_env else None,
        }
    )
    args.append("--enable-metrics")
    if launch.adapters:
        args += [
            "--enable-lora",
            f"--max-lora-rank={max(a.rank for a in launch.adapters)}",
            # The base model takes one of the places.
            f"--max-loras-per-batch={len(launch.adapters) + 1}",
            "--lora-paths",
            *(f"{a.name}={a.path}" for a in launch.adapters),
        ]
    return args


def drain(launch: Launch) -> Drain:
    """SGLang answers 503 on /health and waits without limit, looking each 5 seconds; there is no flag."""
    return common.drain(
        launch,
        own=False,
        extra_s=5,
        why="SGLang waits for open requests without limit and looks every 5 seconds whether it may exit; the "
        f"kubelet's SIGKILL ends it after this time, {common.AS_LONG}",
    )
