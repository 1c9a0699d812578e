"""TensorRT-LLM: `trtllm-serve MODEL` with its PyTorch backend, an OpenAI server on port 8000.

Facts: the documentation of trtllm-serve (its parser needs a GPU to be imported, so the flags are by hand), and
github.com/vllm-project/aibrix issue 2004 for what 1.2's metrics endpoint gives.
"""

from homeport.engines import common, requests
from homeport.engines.types import Launch, Probe, Release, Server

OWNED = {
    "--tokenizer": "model",
    "--revision": "weights.revision",
    "--tensor_parallel_size": "tensor_parallel_size",
    "--pipeline_parallel_size": "pipeline_parallel_size",
    "--max_seq_len": "max_model_len",
    "--max_batch_size": "max_num_seqs",
    "--max_num_tokens": "max_num_batched_tokens",
    "--free_gpu_memory_fraction": "gpu_memory_utilization",
    "--host": "- the probes and the Service need it",
    "--port": "- the probes and the Service need it",
    "--backend": "- sizes, models and metrics are those of the PyTorch backend",
    "--config": "- homeport renders that file, for the metrics",
    "--gpus_per_node": "tensor_parallel_size",
    "--context_parallel_size": "- it takes more GPUs than the plan has counted",
    "--server_role": "- a replica serves alone",
    "--disagg_cluster_uri": "- a replica serves alone",
    "--metadata_server_config_file": "- a replica serves alone",
}

CONFIG = "/etc/homeport/trtllm.yaml"
DEFAULT_BATCHED_TOKENS = 8192
"""Default of `--max_num_tokens`."""


def server(release: Release, launch: Launch) -> Server:
    """How one replica runs. The image starts a shell by itself, and the server listens on localhost unless told.

    Raises SpecError where the launch asks for what trtllm-serve cannot do.
    """
    check(release, launch)
    args = [
        launch.model,
        *common.options(
            {
                "--host": "0.0.0.0",
                "--port": release.port,
                "--revision": launch.revision,
                "--tp_size": launch.tensor_parallel_size if launch.tensor_parallel_size > 1 else None,
                "--pp_size": launch.pipeline_parallel_size if launch.pipeline_parallel_size > 1 else None,
                "--max_seq_len": launch.max_model_len,
                "--max_batch_size": launch.max_num_seqs,
                "--max_num_tokens": launch.max_num_batched_tokens,
                "--extra_llm_api_options": CONFIG,
            }
        ),
    ]
    answers_as = launch.model.rstrip("/").rsplit("/", 1)[-1] if launch.model.startswith("/") else launch.model
    warnings: tuple[str, ...] = ()
    if answers_as != launch.served_name:
        warnings = (
            f"trtllm-serve {release.version} cannot be given a name: it lists the model as '{answers_as}', "
            f"not '{launch.served_name}'",
        )
    return Server(
        image=release.image,
        command=("trtllm-serve",),
        args=(*args, *launch.extra_args),
        env=common.environment(launch) | {"TRTLLM_NO_USAGE_STATS": "1"},
        port=release.port,
        startup=Probe(path="/health", timeout_s=5, period_s=10),
        readiness=Probe(path="/health", timeout_s=5, period_s=10, failure_threshold=3),
        # Workers are processes of their own: one that dies can leave a server behind that only answers 503.
        liveness=Probe(path="/health", timeout_s=20, period_s=30, failure_threshold=4),
        metrics=release.metrics,
        drain=common.drain(
            launch,
            own=False,
            why="trtllm-serve waits for open requests without limit; the kubelet's SIGKILL ends it after this time, "
            f"{common.AS_LONG}",
        ),
        writable=common.writable(launch, "compiled kernels and tuning results"),
        files={CONFIG: config(launch)},
        shm_gib=requests.shm_gib("trtllm", common.ranks_of_a_node(launch)),
        warnings=warnings,
    )


def check(release: Release, launch: Launch) -> None:
    """Raise SpecError for what trtllm-serve has no way to do."""
    if launch.nodes > 1:
        raise common.refuse(
            "TensorRT-LLM on several nodes needs MPI between them, which homeport does not set up",
            "engine",
            help="use vllm or sglang, or a GPU of which one node holds enough",
        )
    if launch.api_key_env:
        raise common.refuse(
            f"trtllm-serve {release.version} has no API key", "api_key", help="use vllm or sglang"
        )
    if launch.adapters:
        raise common.refuse(
            "trtllm-serve takes LoRA adapters per request, not under names of their own",
            "adapters",
            help="use vllm or sglang",
        )
    if launch.quantization is not None:
        raise common.refuse(
            "TensorRT-LLM takes the precision from the checkpoint and makes none on load",
            "precision",
            help="name a checkpoint that is stored in it with `checkpoint:`",
        )
    if launch.kv_cache_dtype not in ("auto", "fp8"):
        raise common.refuse(
            f"TensorRT-LLM's KV cache has the weights' type or fp8, not {launch.kv_cache_dtype}",
            "kv_cache_dtype",
        )


def config(launch: Launch) -> str:
    """The options that have no flag, as YAML. A `kv_cache_config` replaces the flag's whole section."""
    lines = ["# /prometheus/metrics exists only with this.", "return_perf_metrics: true"]
    if launch.max_model_len > (launch.max_num_batched_tokens or DEFAULT_BATCHED_TOKENS):
        lines += ["# A prompt may be longer than one step takes.", "enable_chunked_prefill: true"]
    if launch.weight_dtype != "auto":
        lines.append(f"dtype: {launch.weight_dtype}")
    cache = []
    if launch.memory_fraction is not None:
        cache.append(f"  free_gpu_memory_fraction: {launch.memory_fraction}")
    if launch.kv_cache_dtype != "auto":
        cache.append(f"  dtype: {launch.kv_cache_dtype}")
    if cache:
        lines += ["kv_cache_config:", *cache]
    return "\n".join(lines) + "\n"
