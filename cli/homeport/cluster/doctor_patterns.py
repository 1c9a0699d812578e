"""What engines say before they die, and what it means. Data only: `doctor_logs` reads it.

Each message was taken from the source of the program that says it, or from a log in an issue or a runbook (`source`).
The order is the order of search: causes stand before the general messages that follow them.
"""

import msgspec


class Pattern(msgspec.Struct, frozen=True, kw_only=True):
    """One message. `seen` is a regular expression over the log's lines; its named groups fill `what` and `advice`.

    `engines` are those that say it (empty: any, because a library below them does). `sums` names the arithmetic of
    `doctor_memory` that adds the plan's figures. `repair` are commands; `{namespace}`, `{pod}`, `{node}`, `{secret}`,
    `{checkpoint}`, `{image}` and the model's `{name}` are filled in.
    """

    id: str
    seen: str
    what: str
    advice: str
    source: str
    engines: tuple[str, ...] = ()
    why: str = "the engine ends, and the container is started anew for ever"
    repair: tuple[str, ...] = ()
    sums: str | None = None


TORCH = "PyTorch, c10/cuda"
VLLM = "vLLM"
SGLANG = "SGLang"
TGI = "text-generation-inference"
HUB = "huggingface_hub"

LOGS = "kubectl --namespace {namespace} logs {pod} --container {container} --previous --tail 200"

PATTERNS: tuple[Pattern, ...] = (
    # The Hub and its licences.
    Pattern(
        id="gated-not-accepted",
        seen=r"Access to model (?P<repo>\S+) is restricted and you are not in the authorized list"
        r"|403 Client Error[^\n]*\n[^\n]*\n?[^\n]*gated repo",
        what="the Hub knows the token, but its owner has not been given access to {checkpoint}",
        advice="accept the licence with the token's account at https://huggingface.co/{checkpoint}, wait for the owner's "
        "approval where one is asked for, then restart the pods",
        repair=("kubectl --namespace {namespace} delete pod {pod}",),
        source=f"{HUB}, errors.GatedRepoError (HTTP 403)",
    ),
    Pattern(
        id="gated",
        seen=r"GatedRepoError|Cannot access gated repo|You are trying to access a gated repo"
        r"|Access to model (?P<repo>\S+) is restricted",
        what="{checkpoint} is gated, and the Hub does not accept the token (or got none)",
        advice="accept the licence at https://huggingface.co/{checkpoint} and put a token that may read it into the Secret; "
        "without a line break at its end: printf %s TOKEN > FILE",
        repair=(
            "kubectl --namespace {namespace} create secret generic {secret} --from-file={key}=FILE --dry-run=client "
            "--output yaml | kubectl apply --server-side --force-conflicts -f -",
            "kubectl --namespace {namespace} delete pod {pod}",
        ),
        source=f"{HUB}, errors.GatedRepoError (HTTP 401)",
    ),
    Pattern(
        id="bad-token",
        seen=r"Illegal header value b'Bearer |Invalid user token|Invalid credentials in Authorization header"
        r"|401 Client Error: Unauthorized for url: https://huggingface\.co",
        what="the Hub does not accept the token",
        advice="make a new token with read rights; write it to a file without a line break: printf %s TOKEN > FILE",
        repair=(
            "kubectl --namespace {namespace} create secret generic {secret} --from-file={key}=FILE --dry-run=client "
            "--output yaml | kubectl apply --server-side --force-conflicts -f -",
            "kubectl --namespace {namespace} delete pod {pod}",
        ),
        source=f"{HUB}, utils/_http.py; httpx, which refuses line breaks in headers",
    ),
    Pattern(
        id="no-such-repository",
        seen=r"RepositoryNotFoundError|Repository Not Found for url|is not a local folder and is not a valid model identifier"
        r"|RevisionNotFoundError|Revision Not Found for url",
        what="the Hub has no {checkpoint} (or no such revision), or hides a private one from this token",
        advice="check `model`, `checkpoint` and `weights.revision` in the spec; a private repository needs `hub_token`",
        source=f"{HUB}, errors.RepositoryNotFoundError; transformers, utils/hub.py",
    ),
    Pattern(
        id="hub-rate-limit",
        seen=r"429 Client Error|Too Many Requests",
        what="the Hub limits this address or this account",
        advice="download once for all replicas (weights: {{source: pvc}}), and give `hub_token`: accounts have higher limits",
        source=f"{HUB}, utils/_http.py",
    ),
    Pattern(
        id="hub-unreachable",
        seen=r"We couldn't connect to 'https://huggingface\.co'|LocalEntryNotFoundError|Temporary failure in name resolution"
        r"|Name or service not known|Failed to resolve 'huggingface\.co'|Max retries exceeded with url[^\n]*huggingface",
        what="the pod cannot reach the Hub",
        advice="the nodes need a way to huggingface.co:443 (NAT, proxy, firewall); where they shall have none, bring the weights: "
        "weights with source pvc, oci, object_store or local",
        repair=("kubectl --namespace {namespace} get networkpolicy {name} --output yaml",),
        source="transformers, utils/hub.py; glibc's resolver",
    ),
    # The GPU and its driver.
    Pattern(
        id="driver-too-old",
        seen=r"NVIDIA driver on your system is too old \(found version (?P<found>\d+)\)"
        r"|CUDA driver version is insufficient for CUDA runtime version"
        r"|unsatisfied condition: cuda ?>= ?(?P<cuda>[\d.]+)"
        r"|the provided PTX was compiled with an unsupported toolchain",
        what="the NVIDIA driver on the node is too old for {image}{driver}",
        advice="upgrade the driver of the node pool{other_image}",
        repair=("kubectl get node {node} --show-labels",),
        source=f"{TORCH}/CUDAFunctions.cpp; libnvidia-container (requirement error); CUDA runtime API errors 35 and 222",
    ),
    Pattern(
        id="driver-mismatch",
        seen=r"Error 80[34]: |system has unsupported display driver / cuda driver combination"
        r"|forward compatibility was attempted on non supported HW",
        what="the CUDA libraries in the image and the driver on the node do not go together",
        advice="upgrade the driver of the node pool{other_image}; an LD_LIBRARY_PATH that names cuda/compat makes this too",
        repair=("kubectl get node {node} --show-labels",),
        source="CUDA driver API, errors 803 and 804",
    ),
    Pattern(
        id="fabric-manager",
        seen=r"Error 802: system not yet initialized|system not yet initialized",
        what="the NVSwitch fabric of the node {node} is not up",
        advice="nvidia-fabricmanager must run on the node, in the driver's version; drain the node and restart it",
        repair=("kubectl cordon {node}", "kubectl --namespace {namespace} delete pod {pod}"),
        source="CUDA driver API, error 802 (CUDA_ERROR_SYSTEM_NOT_READY)",
    ),
    Pattern(
        id="no-gpu",
        seen=r"No CUDA GPUs are available|Found no NVIDIA driver on your system|Failed to infer device type"
        r"|libcuda\.so\.1: cannot open shared object file|no CUDA-capable device is detected"
        r"|CUDA_VISIBLE_DEVICES[^\n]*invalid device|could not select device driver",
        what="the container sees no GPU",
        advice="the pod got a GPU from the scheduler, and the container runtime did not hand it in: the NVIDIA container "
        "toolkit or the driver is missing on {node}, or the runtime's default class is not nvidia",
        repair=(
            "kubectl describe node {node}",
            "kubectl get pods --all-namespaces --field-selector spec.nodeName={node}",
            "kubectl get runtimeclass",
        ),
        source=f"{TORCH}/CUDAFunctions.cpp; {VLLM}, config/device.py",
    ),
    Pattern(
        id="gpu-broken",
        seen=r"uncorrectable ECC error|GPU has fallen off the bus|Xid \(|CUDA error: unspecified launch failure"
        r"|CUDA error: an illegal memory access",
        what="a GPU of {node} reported a fault",
        advice="move the pods off the node and look at its kernel log; an illegal memory access on more than one node is a "
        "bug of the engine instead",
        repair=("kubectl cordon {node}", "kubectl --namespace {namespace} delete pod {pod}"),
        source="CUDA driver API, errors 214, 700 and 719; the NVIDIA kernel driver",
    ),
    Pattern(
        id="compute-capability",
        seen=r"The quantization method (?P<method>\S+) is not supported for the current GPU\. Minimum capability: (?P<least>\d+)"
        r"|Quantization scheme is not supported for the current GPU|no kernel image is available for execution on the device"
        r"|Bfloat16 is only supported on GPUs with compute capability of at least",
        what="this GPU cannot run the model in this precision",
        advice="plan for a newer GPU (field gpu) or for another precision or checkpoint",
        repair=("homeport plan -f {file} --explain",),
        source=f"{VLLM}, config/vllm.py and platforms/cuda.py; {TORCH}",
    ),
    Pattern(
        id="too-few-gpus",
        seen=r"World size \((?P<size>\d+)\) is larger than the number of available GPUs \((?P<has>\d+)\)"
        r"|`?num_shard`?[^\n]*CUDA_VISIBLE_DEVICES|invalid device ordinal",
        what="the server wants more GPUs than the pod has",
        advice="tensor_parallel_size must be the number of GPUs that the pod asks for: does something between change the pod "
        "(an admission webhook, a hand-made patch)?",
        repair=(
            "kubectl --namespace {namespace} get pod {pod} --output jsonpath='{{.spec.containers[*].resources}}'",
        ),
        source=f"{VLLM}, config/parallel.py; {TGI}, launcher/src/main.rs",
    ),
    # The GPU's memory.
    Pattern(
        id="memory-taken",
        seen=r"Free memory on device[^\n]*\((?P<free>[\d.]+)/(?P<total>[\d.]+) GiB\) on startup(?:\.\s+D| is less than d)esired GPU memory\s+"
        r"utilization (?:is )?\((?P<fraction>[\d.]+), (?P<wanted>[\d.]+) GiB\)",
        engines=("vllm",),
        what="of {total} GiB on the GPU only {free} are free, and the engine wants {wanted}: something else uses this GPU",
        advice="find what else runs on the GPU (an earlier pod that still ends, another tenant)",
        repair=("kubectl get pods --all-namespaces --field-selector spec.nodeName={node}",),
        sums="taken",
        source=f"{VLLM}, v1/worker/utils.py and v1/worker/gpu_worker.py",
    ),
    Pattern(
        id="kv-cache-too-small",
        seen=r"max seq len \((?P<length>\d+)\)[\s,(]*(?P<needed>[\d.]+) Gi?B KV cache is\s*needed, which is larger than the available\s+"
        r"KV [cC]ache memory\s+\((?P<available>[\d.]+) Gi?B\)(?:[^\n]*\n?[^\n]*estimated maximum model length is (?P<estimated>\d+))?",
        engines=("vllm",),
        what="one request of {length} tokens needs {needed} GiB of KV cache, and {available} GiB are left beside the weights",
        advice="",
        sums="kv_cache",
        repair=("homeport plan -f {file} --explain",),
        source=f"{VLLM}, v1/core/kv_cache_utils.py",
    ),
    Pattern(
        id="no-kv-cache",
        seen=r"No available memory for the cache blocks",
        engines=("vllm",),
        what="weights and activations leave no memory for the KV cache",
        advice="",
        sums="no_kv_cache",
        repair=("homeport plan -f {file} --explain",),
        source=f"{VLLM}, v1/core/kv_cache_utils.py",
    ),
    Pattern(
        id="no-kv-cache-sglang",
        seen=r"Not enough memory\. Please try to increase --mem-fraction-static",
        engines=("sglang",),
        what="weights leave no memory for the KV cache within --mem-fraction-static",
        advice="",
        sums="no_kv_cache",
        repair=("homeport plan -f {file} --explain",),
        source=f"{SGLANG}, srt/model_executor/pool_configurator.py",
    ),
    Pattern(
        id="prefill-too-large",
        seen=r"Not enough memory to handle (?P<tokens>\d+) prefill tokens",
        engines=("tgi",),
        what="a prefill of {tokens} tokens at once does not fit beside the weights",
        advice="set max_num_batched_tokens to less than {tokens}",
        sums="out_of_memory",
        repair=("homeport plan -f {file} --explain",),
        source=f"{TGI}, server/text_generation_server/models/flash_causal_lm.py",
    ),
    Pattern(
        id="trtllm-memory",
        seen=r"Executor creation failed due to insufficient GPU memory",
        engines=("trtllm",),
        what="a component of TensorRT-LLM does not fit into the GPU's memory",
        advice="the log names the component and what is free",
        sums="out_of_memory",
        repair=("homeport plan -f {file} --explain", LOGS),
        source="TensorRT-LLM, _torch/pyexecutor; github.com/NVIDIA/TensorRT-LLM issue 5872",
    ),
    Pattern(
        id="out-of-gpu-memory",
        seen=r"(?:CUDA|HIP) out of memory(?:\. Tried to allocate (?P<tried>[\d.]+) (?P<unit>[KMG]iB))?"
        r"(?:[^\n]*total capacity of (?P<total>[\d.]+) GiB of which (?P<left>[\d.]+) (?P<left_unit>[KMG]iB) is free)?"
        r"|torch\.(?:cuda\.)?OutOfMemoryError(?![^\n]*out of memory)|CUDA error: out of memory"
        r"|cudaMalloc[^\n]*out of memory",
        what="the GPU's memory is full",
        advice="",
        sums="out_of_memory",
        repair=("homeport plan -f {file} --explain",),
        source=f"{TORCH}/CUDACachingAllocator.cpp",
    ),
    # Flags and checkpoints.
    Pattern(
        id="unknown-flag",
        seen=r"error: unrecognized arguments?: (?P<flag>[^\n]+)|error: unexpected argument '(?P<flag2>[^']+)'"
        r"|No such option: (?P<flag3>\S+)|error: argument (?P<flag4>[^\n]+)",
        what="the engine does not take the argument {flag}",
        advice="the image is another version than the plan's {engine} {version}: set engine_version to what `image` holds, or take "
        "the flag out of extra_args",
        repair=("homeport engines show {engine_name}",),
        source="Python's argparse (vLLM, SGLang), clap (TGI), click (trtllm-serve)",
    ),
    Pattern(
        id="context-too-long",
        seen=r"User-specified (?:max_model_len|context[_ ]length) \((?P<length>\d+)\) is greater than the derived",
        what="max_model_len {length} is more than the checkpoint is made for",
        advice="lower max_model_len in the spec to the model's own limit ({context} tokens)",
        repair=("homeport plan -f {file} --explain",),
        source=f"{VLLM}, config/model.py; {SGLANG}, srt/configs/model_config.py",
    ),
    Pattern(
        id="unknown-architecture",
        seen=r"Model architectures (?P<archs>\[[^\]]*\]) are not supported for now"
        r"|Transformers does not recognize this architecture|Unsupported model type (?P<type>\S+)"
        r"|Model architectures \[[^\]]*\] failed to be inspected",
        what="{engine} {version} cannot load this kind of model",
        advice="use a newer engine_version, or an engine that serves it",
        repair=("homeport engines list",),
        source=f"{VLLM}, model_executor/models/registry.py; transformers; {TGI}, server",
    ),
    Pattern(
        id="quantisation",
        seen=r"Unknown quantization method: (?P<method>\S+)|Invalid quantization method"
        r"|does not match the quantization method specified in the",
        what="the checkpoint is quantised in a way that {engine} {version} does not read",
        advice="set `checkpoint` to one that the engine reads, or leave `precision` to auto",
        repair=("homeport engines show {engine_name}",),
        source=f"{VLLM}, config/model.py",
    ),
    Pattern(
        id="incomplete-checkpoint",
        seen=r"Cannot find any model weights with|does not appear to have a file named (?P<missing>\S+)"
        r"|Error no file named|SafetensorError|Error while deserializing header|HeaderTooLarge|MetadataIncompleteBuffer"
        r"|Unrecognized model in",
        what="the model's folder is incomplete or damaged",
        advice="a download that was cut off, a Git LFS pointer instead of the file, or the wrong folder: empty the volume and "
        "let it be filled anew",
        repair=("kubectl --namespace {namespace} get persistentvolumeclaims,jobs",),
        source=f"{VLLM}, model_executor/model_loader/default_loader.py; transformers, modeling_utils.py; safetensors",
    ),
    Pattern(
        id="heads-do-not-divide",
        seen=r"Total number of attention heads \((?P<heads>\d+)\) must be divisible by tensor parallel size \((?P<tp>\d+)\)"
        r"|sharding with `num_shard`|not divisible by[^\n]*(?:tp_size|tensor parallel)",
        what="the model's attention heads cannot be shared by this number of GPUs",
        advice="set tensor_parallel_size to a divisor of the heads (1, 2, 4 or 8 in most models)",
        repair=("homeport plan -f {file} --explain",),
        source=f"{VLLM}, config/model.py",
    ),
    # What surrounds the process.
    Pattern(
        id="service-links",
        seen=r"VLLM_PORT '(?P<value>[^']*)' appears to be a URI",
        engines=("vllm", "cpu"),
        what="a Service named 'vllm' put its address into VLLM_PORT",
        advice="the pods must have enableServiceLinks: false, as homeport renders it: somebody changed the pod's template",
        repair=("homeport diff -f {file}",),
        source=f"{VLLM}, envs.py",
    ),
    Pattern(
        id="shared-memory",
        seen=r"Error while creating shared memory segment|failed to extend /dev/shm|unable to (?:allocate|open) shared memory"
        r"|Bus error|No space left on device[^\n]*/dev/shm|/dev/shm[^\n]*No space left on device",
        what="/dev/shm is too small",
        advice="the pod must mount a memory-backed emptyDir there, as homeport renders it, of some GiB",
        repair=("homeport diff -f {file}",),
        source="NCCL, misc/shmutils.cc; PyTorch, DataLoader",
    ),
    Pattern(
        id="port-taken",
        seen=r"\[Errno 98\][^\n]*[Aa]ddress already in use|Address already in use|error while attempting to bind on address",
        what="the port is taken inside the pod",
        advice="two servers in one pod, or hostNetwork: homeport renders neither",
        repair=("homeport diff -f {file}",),
        source="the kernel (EADDRINUSE), as uvicorn and axum report it",
    ),
    Pattern(
        id="disk-full",
        seen=r"No space left on device|Disk quota exceeded|not enough free disk space",
        what="a volume is full",
        advice="{disk}",
        repair=("kubectl --namespace {namespace} describe pod {pod}",),
        source="the kernel (ENOSPC)",
    ),
    Pattern(
        id="not-writable",
        seen=r"No usable temporary directory|Read-only file system|PermissionError: \[Errno 13\][^\n]*|Permission denied[^\n]*",
        what="the process may not write (or read) where it wants to",
        advice="the containers run as user 2000 with a read-only root and the volumes that the engine needs: an image or extra_args "
        "that writes elsewhere needs another folder; files of a local volume must be readable for everybody (chmod -R a+rX)",
        repair=("kubectl --namespace {namespace} get pod {pod} --output yaml",),
        source="the kernel (EROFS, EACCES); Python's tempfile",
    ),
    Pattern(
        id="nccl",
        seen=r"NCCL error|ncclSystemError|ncclUnhandledCudaError|DistNetworkError|The client socket has timed out"
        r"|DistBackendError",
        what="the GPUs of one replica do not find each other",
        advice="on several nodes: the network between them (NetworkPolicy, the pods of one group must reach each other on all ports); on "
        "one node: /dev/shm, or peer-to-peer over PCIe that the host forbids",
        repair=("kubectl --namespace {namespace} get networkpolicy --output yaml",),
        source="PyTorch, torch/csrc/distributed/c10d; NCCL",
    ),
    Pattern(
        id="engine-died",
        seen=r"Engine core initialization failed|EngineDeadError|EngineCore encountered an issue|ShardCannotStart|Shard \d+ failed to start"
        r"|Received sigquit from a child",
        what="the engine's worker process died; its reason stands further up in the log",
        advice="read the first error of the log",
        repair=(LOGS,),
        source=f"{VLLM}, v1/engine; {TGI}, launcher; {SGLANG}, srt/utils",
    ),
)
