"""text-generation-inference: `text-generation-launcher`, archived upstream; kept for those who still run it.

Facts: launcher/src/main.rs, router, backends and tgi-entrypoint.sh of v3.3.7.
"""

from homeport.engines import common, requests
from homeport.engines.flags import SHELL
from homeport.engines.types import Launch, Probe, Release, Server

OWNED = {
    "--model-id": "model",
    "--revision": "weights.revision",
    "--num-shard": "tensor_parallel_size",
    "--sharded": "tensor_parallel_size",
    "--max-total-tokens": "max_model_len",
    "--max-input-tokens": "max_model_len",
    "--max-input-length": "max_model_len",
    "--dtype": "precision",
    "--quantize": "precision",
    "--kv-cache-dtype": "kv_cache_dtype",
    "--cuda-memory-fraction": "gpu_memory_utilization",
    "--max-batch-size": "max_num_seqs",
    "--max-batch-prefill-tokens": "max_num_batched_tokens",
    "--lora-adapters": "adapters",
    "--api-key": "api_key",
    "--hostname": "- the probes and the Service need it",
    "--port": "- the probes and the Service need it",
    "--prometheus-port": "- nothing is served there: metrics are on the main port",
    "--usage-stats": "- homeport turns them off",
    "--graceful-termination-timeout": "- it follows the longest request, and the grace period follows it",
    "--huggingface-hub-cache": "weights",
    "--weights-cache-override": "weights",
    "--env": "- the launcher would print and exit",
    "--ngrok": "expose",
}


def server(release: Release, launch: Launch) -> Server:
    """How one replica runs; the image's entrypoint is the launcher.

    Raises SpecError where the launch asks for what TGI cannot do.
    """
    check(launch)
    args = [
        *common.options(
            {
                "--model-id": launch.model,
                # Kubernetes sets HOSTNAME to the pod's name, which the launcher would take as its address.
                "--hostname": "0.0.0.0",
                # The image's port 80 is closed to a process that is not root.
                "--port": release.port,
                "--revision": launch.revision,
                "--num-shard": launch.tensor_parallel_size,
                "--max-total-tokens": launch.max_model_len,
                "--max-input-tokens": launch.max_model_len - 1,
                "--dtype": None if launch.weight_dtype == "auto" else launch.weight_dtype,
                "--quantize": launch.quantization,
                "--kv-cache-dtype": "fp8_e4m3fn" if launch.kv_cache_dtype == "fp8" else None,
                "--cuda-memory-fraction": launch.memory_fraction,
                "--max-batch-size": launch.max_num_seqs,
                "--max-batch-prefill-tokens": launch.max_num_batched_tokens,
                "--lora-adapters": ",".join(f"{a.name}={a.path}" for a in launch.adapters) or None,
                "--graceful-termination-timeout": common.drain_seconds(launch),
                "--usage-stats": "off",
            }
        ),
        *launch.extra_args,
    ]
    for arg in args:
        # The entrypoint runs `text-generation-launcher $@` without quotes.
        if SHELL.search(arg):
            raise common.refuse(
                f"TGI's entrypoint would split or expand the argument '{arg}': it passes arguments on unquoted",
                "extra_args" if arg in launch.extra_args else "model",
            )
    return Server(
        image=release.image,
        command=None,
        args=tuple(args),
        env=common.environment(launch),
        port=release.port,
        startup=Probe(path="/health", timeout_s=5, period_s=10),
        readiness=Probe(path="/health", timeout_s=5, period_s=10, failure_threshold=3),
        # The launcher exits when a shard dies: a liveness probe could only kill a busy server.
        liveness=None,
        metrics=release.metrics,
        drain=common.drain(
            launch,
            own=True,
            why=f"the launcher finishes open requests for --graceful-termination-timeout seconds, {common.AS_LONG}",
        ),
        writable=common.writable(launch, "compiled kernels"),
        shm_gib=requests.shm_gib("tgi", common.ranks_of_a_node(launch)),
        api_key_variable="API_KEY" if launch.api_key_env else None,
        warnings=(
            f"TGI cannot be given a name: it answers as '{launch.model}', whatever model a request names",
        ),
    )


def check(launch: Launch) -> None:
    """Raise SpecError for what TGI has no way to do."""
    if launch.nodes > 1 or launch.pipeline_parallel_size > 1:
        raise common.refuse(
            "TGI has no pipeline parallelism and runs on one node only",
            "pipeline_parallel_size",
            help="use vllm or sglang",
        )
    if launch.kv_cache_dtype not in ("auto", "fp8"):
        raise common.refuse(
            f"TGI's KV cache has the weights' type or fp8, not {launch.kv_cache_dtype}", "kv_cache_dtype"
        )
    if launch.weight_dtype not in ("auto", "float16", "bfloat16"):
        raise common.refuse(f"TGI computes in float16 or bfloat16, not {launch.weight_dtype}", "precision")
