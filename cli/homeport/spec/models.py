"""What a spec may say. Every field has a description: it feeds the JSON Schema, the reference and the errors.

`None` means "auto": homeport computes it and `plan --explain` says how. In a file, `auto` for an optional field is the
same as leaving it out; an empty value (null) is an error, since it is as likely a value that was forgotten. Unknown
fields are errors.
"""

from typing import Annotated, Literal

from msgspec import Meta, field

from homeport.spec.money import Budget, Costs, InstancePrice, Share
from homeport.spec.nodes import Nodes
from homeport.spec.part import Count, Part, Text
from homeport.spec.policy import Advise, Compliance
from homeport.spec.scaling import Scaling

Platform = Literal["kind", "minikube", "gke", "eks", "aks", "generic"]
EngineName = Literal["vllm", "sglang", "trtllm", "tensorrt-llm", "tgi", "cpu", "simulator"]
Capacity = Literal["on_demand", "spot"]
WeightsSource = Literal["hub", "pvc", "oci", "object_store", "local"]
Precision = Literal[
    "bf16",
    "fp16",
    "fp8",
    "int8",
    "int4",
    "awq",
    "gptq",
    "fp8_block",
    "nvfp4",
    "mxfp4",
    "smoothquant",
    "bitsandbytes",
    "compressed-tensors",
    "quark",
]
ExposeKind = Literal["none", "internal", "load_balancer", "ingress", "gateway"]

DnsLabel = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$(?!\n)",
        max_length=40,
        examples=["support"],
        extra={"says": "lower-case letters, digits and '-', at most 40, as Kubernetes wants names"},
    ),
]
SecretName = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$(?!\n)",
        max_length=253,
        extra={"says": "lower-case letters, digits, '-' and '.', as Kubernetes wants the names of Secrets"},
    ),
]
Namespace = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$(?!\n)",
        max_length=63,
        extra={"says": "the name of a namespace: lower-case letters, digits and '-', at most 63"},
    ),
]
ObjectName = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$(?!\n)",
        max_length=253,
        extra={"says": "lower-case letters, digits, '-' and '.', as Kubernetes wants names"},
    ),
]
SecretKey = Annotated[
    str,
    Meta(
        pattern=r"^[-._a-zA-Z0-9]+$(?!\n)",
        max_length=253,
        extra={"says": "a key of a Secret: letters, digits, '-', '_' and '.'"},
    ),
]
# The grammar of github.com/distribution/reference: a first part with a dot or a port is the registry.
_HOST = r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"
_REGISTRY = rf"((localhost|{_HOST}(\.{_HOST})+)(:[0-9]{{1,5}})?|{_HOST}:[0-9]{{1,5}}|\[[0-9a-fA-F:]+\](:[0-9]{{1,5}})?)"
_REPOSITORY = r"[a-z0-9]+((\.|__?|-+)[a-z0-9]+)*"
ImageReference = Annotated[
    str,
    Meta(
        pattern=rf"^(?!.{{513}})({_REGISTRY}/)?{_REPOSITORY}(/{_REPOSITORY})*(:[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?"
        r"(@sha256:[0-9a-f]{64})?$(?!\n)",
        extra={
            "says": "an image reference, such as registry.example.com/name:tag: no scheme, its path in lower case"
        },
    ),
]
AdapterSource = Annotated[
    str,
    Meta(
        pattern=r"^(?!.{513})((?!.{97})(?!.*(\.\.|--))[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9][A-Za-z0-9_.-]*"
        r"|(/(?!\.{1,2}(/|$))[A-Za-z0-9_.@+-]+)+)$(?!\n)",
        extra={
            "says": "a Hub id, such as org/adapter, or an absolute path without '..', such as /adapters/tone"
        },
    ),
]
LabelKey = Annotated[
    str,
    Meta(
        pattern=r"^([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$(?!\n)",
        max_length=317,
        extra={"says": "the key of a label, such as release or example.com/team"},
    ),
]
LabelValue = Annotated[
    str,
    Meta(
        pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$(?!\n)",
        extra={"says": "the value of a label: letters, digits, '-', '_' and '.', at most 63"},
    ),
]
ServiceName = Annotated[
    str,
    Meta(
        # `$(?!\n)`: Python's `$` would let a trailing line break pass
        pattern=r"^[a-z]([a-z0-9-]*[a-z0-9])?$(?!\n)",
        max_length=40,
        examples=["assistant"],
        extra={
            "says": "lower-case letters, digits and '-', starting with a letter, at most 40, as Kubernetes "
            "wants the names of Services"
        },
    ),
]
HostName = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$(?!\n)",
        max_length=253,
        examples=["llm.example.com"],
        extra={"says": "a host name in lower case, without scheme, port and path"},
    ),
]
BucketUri = Annotated[
    str,
    Meta(
        pattern=r"^(s3|gs)://[a-z0-9][^\s/@]*(/\S*)?$(?!\n)",
        extra={"says": "s3://bucket/folder or gs://bucket/folder"},
    ),
]
AbsolutePath = Annotated[
    str, Meta(pattern=r"^/[^\n]+$(?!\n)", extra={"says": "an absolute path, such as /models/llama"})
]
Tokens = Annotated[float, Meta(gt=0, le=10_000_000)]


class Target(Part, frozen=True, kw_only=True):
    """Where it shall run."""

    platform: Annotated[
        Platform, Meta(description="kind, minikube, gke, eks, aks, or generic for any other cluster")
    ] = "generic"
    region: Annotated[
        Text | None,
        Meta(description="Cloud region; defaults: us-central1 (gke), us-east-1 (eks), eastus (aks)"),
    ] = None
    capacity: Annotated[
        Capacity, Meta(description="How instances are bought: on_demand, or spot where the data has a price")
    ] = "on_demand"
    gpus_per_node: Annotated[
        Count | None,
        Meta(description="GPUs of one node of an existing pool (generic); clouds take it from the instance"),
    ] = None
    price_from: Annotated[
        tuple[Literal["gcp", "aws", "azure", "lambda", "runpod"], ...] | None,
        Meta(description="Whose prices count on a cluster that is no cloud's; default: gcp, aws and azure"),
    ] = None
    shared_gpus: Annotated[bool, Meta(description="Also consider instances that hold a share of a card")] = (
        False
    )
    prices: Annotated[
        tuple[InstancePrice, ...],
        Meta(description="Your prices of instance types, over the price table's"),
    ] = ()
    nodes: Annotated[Nodes, Meta(description="Who makes the GPU nodes, and of what")] = Nodes()


class Workload(Part, frozen=True, kw_only=True):
    """What the model has to serve."""

    requests_per_day: Annotated[float, Meta(gt=0, le=1e12, description="Requests a day, on average")]
    input_tokens: Annotated[Tokens, Meta(description="Prompt tokens of a request, on average")]
    output_tokens: Annotated[Tokens, Meta(description="Generated tokens of a request, on average")]
    peak_to_mean: Annotated[
        Annotated[float, Meta(ge=1, le=1000)] | None,
        Meta(
            description="Requests a second at the peak / on average; auto: that of the day profile's busiest hour, "
            "else 3 (assumption)"
        ),
    ] = None
    day_profile: Annotated[
        Annotated[tuple[Annotated[float, Meta(ge=0, le=1e12)], ...], Meta(min_length=24, max_length=24)]
        | None,
        Meta(
            description="Requests of each hour of a day, 24 values from midnight in any unit; with it replicas that "
            "scale are billed by the hour"
        ),
    ] = None
    personal_data_share: Annotated[
        Share | None, Meta(description="Share of requests with personal data, which never go to an API")
    ] = None
    simple_share: Annotated[
        Share | None, Meta(description="Share of requests that the own model answers well enough")
    ] = None
    total_tokens_p99: Annotated[
        Tokens | None,
        Meta(description="99th percentile of input + output tokens (assumption: 2 x the mean)"),
    ] = None


class Latency(Part, frozen=True, kw_only=True):
    """What a user of the model may wait for."""

    ttft_ms: Annotated[
        float, Meta(gt=0, description="Time to first token, ms (assumption where not given: 1000)")
    ] = 1000.0
    tpot_ms: Annotated[
        float, Meta(gt=0, description="Time per output token after the first, ms (assumption: 50)")
    ] = 50.0
    percentile: Annotated[
        Literal["mean", "p90", "p95", "p99"],
        Meta(
            description="Which requests the limits hold for; above the mean, the pessimistic end of the estimate counts"
        ),
    ] = "mean"


class Replicas(Part, frozen=True, kw_only=True):
    """How many replicas there may be; min = max means a fixed number."""

    min: Annotated[
        Annotated[int, Meta(ge=0, le=4096)] | None,
        Meta(
            description="Least replicas (auto: 1); 0 needs `scaling.wake`, a signal that exists while no replica runs"
        ),
    ] = None
    max: Annotated[Count | None, Meta(description="Most replicas (auto: planned + 1)")] = None


class SecretRef(Part, frozen=True, kw_only=True):
    """A key of a Secret that exists in the namespace. homeport never sees its value."""

    secret: Annotated[SecretName, Meta(description="Name of the Secret")]
    key: Annotated[SecretKey, Meta(description="Key in the Secret")]


class Adapter(Part, frozen=True, kw_only=True):
    """One LoRA adapter, served beside the base model under its own name."""

    name: Annotated[DnsLabel, Meta(description="Name that requests ask for")]
    source: Annotated[AdapterSource, Meta(description="Hub id, or a path under the weights' volume")]
    rank: Annotated[int, Meta(ge=1, le=512, description="LoRA rank; it sizes the adapter's memory")] = 16


class Weights(Part, frozen=True, kw_only=True):
    """Where the weights come from."""

    source: Annotated[
        WeightsSource,
        Meta(
            description="hub: each pod downloads into a cache volume; pvc: a Job fills a shared volume once; "
            "oci: an image volume; object_store: copied at start; local: a local volume on the node"
        ),
    ] = "hub"
    revision: Annotated[Text | None, Meta(description="Hub revision (commit or tag) to pin; hub and pvc")] = (
        None
    )
    storage_class: Annotated[
        ObjectName | None, Meta(description="StorageClass of the volume; auto: the cluster's default")
    ] = None
    size_gib: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(description="Size of the volume, GiB; auto: 1.2 x the checkpoint"),
    ] = None
    image: Annotated[
        ImageReference | None, Meta(description="oci: image reference that holds the model's files")
    ] = None
    uri: Annotated[
        BucketUri | None,
        Meta(description="object_store: s3:// or gs:// URI of the folder"),
    ] = None
    path: Annotated[
        AbsolutePath | None,
        Meta(description="local: absolute path on the node that holds the model's files"),
    ] = None
    nodes: Annotated[
        tuple[ObjectName, ...] | None, Meta(description="local: names of the nodes that have the files")
    ] = None
    credentials: Annotated[
        SecretName | None,
        Meta(
            description="object_store: Secret whose keys become environment variables (AWS_ACCESS_KEY_ID ...)"
        ),
    ] = None


class Expose(Part, frozen=True, kw_only=True):
    """Who can reach the model."""

    kind: Annotated[
        ExposeKind,
        Meta(
            description="none: only the pods of the namespace; internal: the whole cluster; load_balancer: an "
            "address of its own; ingress; gateway: an HTTPRoute"
        ),
    ] = "internal"
    host: Annotated[HostName | None, Meta(description="ingress and gateway: the host name")] = None
    class_name: Annotated[
        ObjectName | None, Meta(description="ingress: IngressClass; auto: the cluster's default")
    ] = None
    tls_secret: Annotated[SecretName | None, Meta(description="ingress: Secret with the certificate")] = None
    gateway: Annotated[ObjectName | None, Meta(description="gateway: name of the Gateway")] = None
    gateway_namespace: Annotated[
        Namespace | None, Meta(description="gateway: its namespace; default: the model's own")
    ] = None


class Observability(Part, frozen=True, kw_only=True):
    """What watches the cluster."""

    prometheus_url: Annotated[
        str,
        Meta(
            pattern=r"^https?://(?![^/?#]*@)\S+$(?!\n)",
            description="Prometheus that the autoscaler asks",
            extra={"says": "an http:// or https:// URL"},
        ),
    ] = "http://prometheus-operated.monitoring.svc:9090"
    prometheus_namespace: Annotated[
        Namespace,
        Meta(
            description="Namespace of Prometheus: let in to read the metrics where `expose: none` keeps others out"
        ),
    ] = "monitoring"
    monitor_labels: Annotated[
        dict[LabelKey, LabelValue],
        Meta(description="Labels of the PodMonitor, for a Prometheus that selects by label"),
    ] = field(default_factory=lambda: {"release": "kube-prometheus-stack"})


class ModelSpec(Part, frozen=True, kw_only=True):
    """One model to serve."""

    name: Annotated[ServiceName, Meta(description="Name of the deployment and of the served model")]
    model: Annotated[
        Text, Meta(description="Catalog id, Hub id (org/name), or a path to a config.json or its folder")
    ]
    workload: Annotated[Workload, Meta(description="What it has to serve")]
    engine: Annotated[
        EngineName | None,
        Meta(description="Inference engine; auto: vllm (kind and minikube: cpu or simulator)"),
    ] = None
    engine_version: Annotated[
        Text | None, Meta(description="Version of the engine; auto: the newest known")
    ] = None
    image: Annotated[
        ImageReference | None, Meta(description="Container image; auto: the engine version's own")
    ] = None
    precision: Annotated[
        Precision | None,
        Meta(description="auto (the checkpoint's own), bf16, fp16, fp8, int8, int4, or a method such as awq"),
    ] = None
    checkpoint: Annotated[
        Text | None, Meta(description="Hub id or path of a quantised checkpoint of this model")
    ] = None
    kv_cache_dtype: Annotated[
        Literal["auto", "fp16", "bf16", "fp8"] | None,
        Meta(description="Type of the KV cache; auto: the weights'"),
    ] = None
    gpu: Annotated[
        Text | None, Meta(description="GPU id, or a family such as H100; auto: the cheapest that works")
    ] = None
    tensor_parallel_size: Annotated[
        Count | None, Meta(description="GPUs that share each layer; auto: as the plan finds")
    ] = None
    pipeline_parallel_size: Annotated[
        Count | None, Meta(description="Groups of layers in a row; auto: as the plan finds")
    ] = None
    replicas: Annotated[Replicas, Meta(description="How many replicas there may be")] = Replicas()
    max_model_len: Annotated[
        Annotated[int, Meta(ge=16, le=100_000_000)] | None,
        Meta(
            description="Most tokens of a request, input + output; auto: the next power of two above the 99th percentile, at least 8192"
        ),
    ] = None
    max_num_seqs: Annotated[
        Count | None,
        Meta(description="Most requests that run at once on a replica; auto: the engine's default"),
    ] = None
    max_num_batched_tokens: Annotated[
        Annotated[int, Meta(ge=16, le=1_000_000)] | None,
        Meta(description="Tokens of one engine step; auto: the engine's default"),
    ] = None
    gpu_memory_utilization: Annotated[
        Annotated[float, Meta(gt=0, le=1)] | None,
        Meta(
            description="Share of a GPU's memory that the engine may use (each engine's own meaning); auto: the engine's default"
        ),
    ] = None
    latency: Annotated[Latency, Meta(description="What a user may wait for")] = Latency()
    adapters: Annotated[tuple[Adapter, ...], Meta(description="LoRA adapters")] = ()
    weights: Annotated[Weights, Meta(description="Where the weights come from")] = Weights()
    expose: Annotated[Expose, Meta(description="Who can reach it")] = Expose()
    scaling: Annotated[Scaling, Meta(description="What changes the number of replicas")] = Scaling()
    api_key: Annotated[SecretRef | None, Meta(description="Secret with the key that clients must send")] = (
        None
    )
    hub_token: Annotated[
        SecretRef | None, Meta(description="Secret with a Hub token; gated models need one")
    ] = None
    extra_args: Annotated[
        tuple[Text, ...], Meta(description="More arguments for the engine, checked against its version")
    ] = ()


class Spec(Part, frozen=True, kw_only=True):
    """A whole homeport.yaml."""

    version: Annotated[Literal[1], Meta(description="Version of this format")]
    name: Annotated[DnsLabel, Meta(description="Name of the whole; the default namespace")]
    target: Annotated[Target, Meta(description="Where it shall run")] = Target()
    namespace: Annotated[DnsLabel | None, Meta(description="Kubernetes namespace; auto: the name")] = None
    models: Annotated[tuple[ModelSpec, ...], Meta(min_length=1, description="The models to serve")]
    compare: Annotated[
        tuple[Text, ...],
        Meta(
            description="API models to compare the cost with; in a hybrid split the first is the main one, the second "
            "its fallback"
        ),
    ] = ()
    costs: Annotated[Costs, Meta(description="What you pay, where no price table knows it")] = Costs()
    budget: Annotated[Budget | None, Meta(description="What a month may cost")] = None
    measurements: Annotated[
        Text | None,
        Meta(
            description="File of runs that you measured, a path from the spec's own folder: they correct predictions; "
            "auto: none"
        ),
    ] = None
    compliance: Annotated[
        Compliance, Meta(description="Rules that the deployment and its data are under")
    ] = Compliance()
    advise: Annotated[Advise, Meta(description="Answers for `homeport advise`")] = Advise()
    observability: Annotated[Observability, Meta(description="What watches the cluster")] = Observability()
