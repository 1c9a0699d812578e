"""What templates are given: plain values, every decision made. Sizes are GiB, times seconds.

A field `..._why` is the comment that stands above its number.
"""

from typing import Literal

import msgspec


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """What every group of values shares: keyword-only and unchangeable."""


class Meta(Value, frozen=True, kw_only=True):
    """Name, namespace (None: the kind has none) and labels of one object."""

    name: str
    namespace: str | None
    labels: dict[str, str]


class Env(Value, frozen=True, kw_only=True):
    """One environment variable: a value, or a key of a Secret."""

    name: str
    value: str | None = None
    secret: str | None = None
    key: str | None = None


class Probe(Value, frozen=True, kw_only=True):
    """An HTTP probe; `failures` x `period_s` is the time it waits."""

    path: str
    period_s: int
    timeout_s: int
    failures: int
    why: str | None = None


class Mount(Value, frozen=True, kw_only=True):
    """A volume in a container. `file` mounts one file of it instead of the folder."""

    name: str
    path: str
    read_only: bool = False


class Quantity(Value, frozen=True, kw_only=True):
    """An amount of a resource, as Kubernetes writes it, and why it is that much."""

    name: str
    amount: str | int
    why: str | None = None


class Container(Value, frozen=True, kw_only=True):
    """One container. `env_from` are Secrets whose keys all become variables; `port` None: nothing listens."""

    name: str
    image: str
    why: str | None = None
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[Env, ...] = ()
    env_from: tuple[str, ...] = ()
    port: int | None = None
    requests: tuple[Quantity, ...] = ()
    limits: tuple[Quantity, ...] = ()
    startup: Probe | None = None
    readiness: Probe | None = None
    liveness: Probe | None = None
    no_liveness_why: str | None = None
    pre_stop_s: int | None = None
    pre_stop_why: str | None = None
    mounts: tuple[Mount, ...] = ()


class Volume(Value, frozen=True, kw_only=True):
    """A volume of a pod: `source` is the name of the claim or ConfigMap, or the reference of the image."""

    name: str
    kind: Literal["disk", "memory", "ephemeral", "claim", "config_map", "image"]
    size_gib: int | None = None
    source: str | None = None
    storage_class: str | None = None
    items: tuple[tuple[str, str], ...] = ()
    why: str | None = None


class Match(Value, frozen=True, kw_only=True):
    """A node label and the values that will do."""

    key: str
    values: tuple[str, ...]


class Toleration(Value, frozen=True, kw_only=True):
    """A taint that does not keep the pod away; `value` None: whatever its value."""

    key: str
    value: str | None = None


class Pod(Value, frozen=True, kw_only=True):
    """A pod. `terms` are alternatives (any of them will do); all matches of a term must hold, and `node_selector` too.

    `beside` are labels: the pod goes to the node of one that has them, where there is one.
    """

    labels: dict[str, str]
    annotations: dict[str, str]
    service_account: str
    terms: tuple[tuple[Match, ...], ...]
    terms_why: str
    tolerations: tuple[Toleration, ...]
    grace_s: int | None
    grace_why: str | None
    user: int
    init: tuple[Container, ...]
    containers: tuple[Container, ...]
    volumes: tuple[Volume, ...]
    restart_policy: str | None = None
    node_selector: dict[str, str] = {}
    beside: dict[str, str] = {}
    beside_why: str | None = None


class Workload(Value, frozen=True, kw_only=True):
    """A Deployment or a LeaderWorkerSet. `replicas` None: the autoscaler owns the number."""

    meta: Meta
    selector: dict[str, str]
    replicas: int | None
    replicas_why: str
    progress_s: int
    progress_why: str
    pod: Pod
    worker: Pod | None = None
    size: int = 1
    size_why: str | None = None


class Service(Value, frozen=True, kw_only=True):
    """A Service on port 80 of the pods' port `http`."""

    meta: Meta
    annotations: dict[str, str]
    selector: dict[str, str]
    type: str | None
    why: str


class Claim(Value, frozen=True, kw_only=True):
    """A PersistentVolumeClaim; `volume` binds it to one PersistentVolume."""

    meta: Meta
    access: str
    access_why: str
    storage_class: str | None
    size_gib: int
    size_why: str
    volume: str | None = None


class LocalVolume(Value, frozen=True, kw_only=True):
    """A PersistentVolume on the disk of named nodes, reserved for one claim."""

    meta: Meta
    claim: str
    claim_namespace: str
    path: str
    nodes: tuple[str, ...]
    size_gib: int
    size_why: str


class Job(Value, frozen=True, kw_only=True):
    """A Job that runs once."""

    meta: Meta
    why: str
    pod: Pod


class ConfigMap(Value, frozen=True, kw_only=True):
    """Files by key."""

    meta: Meta
    files: tuple[tuple[str, str], ...]


class ServiceAccount(Value, frozen=True, kw_only=True):
    """An identity that may ask the API server for nothing."""

    meta: Meta


class Namespace(Value, frozen=True, kw_only=True):
    """A namespace with its labels."""

    meta: Meta


class Route(Value, frozen=True, kw_only=True):
    """An Ingress or HTTPRoute to the Service of the same model."""

    meta: Meta
    service: str
    host: str | None
    class_name: str | None = None
    tls_secret: str | None = None
    gateway: str | None = None
    gateway_namespace: str | None = None
    annotations: dict[str, str] = {}
    notes: tuple[str, ...] = ()


class Behavior(Value, frozen=True, kw_only=True):
    """How fast an HPA moves: windows and periods in seconds, steps in replicas."""

    up_window_s: int
    up_window_why: str
    up_step: int
    up_step_why: str
    up_period_s: int
    up_period_why: str
    down_window_s: int
    down_window_why: str
    down_step: int
    down_step_why: str
    down_period_s: int


class Trigger(Value, frozen=True, kw_only=True):
    """A Prometheus trigger of KEDA. `activation`: above it the trigger keeps the last replica (None: above 0)."""

    name: str
    query: str
    query_why: str
    threshold: str
    threshold_why: str
    activation: str | None = None


class Mover(Value, frozen=True, kw_only=True):
    """What moves the replicas of a target, how far and how fast."""

    meta: Meta
    target_api: str
    target_kind: str
    target: str
    least: int
    most: int
    replicas_why: str
    behavior: Behavior


class Scaler(Mover, frozen=True, kw_only=True):
    """A ScaledObject. `polling_s` and `cooldown_s` are None where it never scales to zero: nothing reads them then."""

    fallback: int
    fallback_why: str
    failures: int
    failures_why: str
    polling_s: int | None
    polling_why: str | None
    cooldown_s: int | None
    cooldown_why: str | None
    server: str
    triggers: tuple[Trigger, ...]


class Metric(Value, frozen=True, kw_only=True):
    """A metric of pods, by the name under which an adapter serves it, and the average that an HPA aims for."""

    name: str
    why: str
    target: str
    target_why: str


class Autoscaler(Mover, frozen=True, kw_only=True):
    """A HorizontalPodAutoscaler."""

    metrics: tuple[Metric, ...]


class Monitor(Value, frozen=True, kw_only=True):
    """A PodMonitor."""

    meta: Meta
    selector: dict[str, str]
    path: str
    interval: str


class Budget(Value, frozen=True, kw_only=True):
    """A PodDisruptionBudget."""

    meta: Meta
    selector: dict[str, str]
    why: str


class Rule(Value, frozen=True, kw_only=True):
    """One ingress or egress rule of a NetworkPolicy. No peers: anyone."""

    why: str
    any_namespace: bool = False
    namespace: str | None = None
    pods: dict[str, str] | None = None
    same_namespace: bool = False
    blocks: tuple[str, ...] = ()
    ports: tuple[tuple[str, int | str], ...] = ()


class Policy(Value, frozen=True, kw_only=True):
    """A NetworkPolicy: who may reach the pods, and what they may reach."""

    meta: Meta
    selector: dict[str, str]
    ingress: tuple[Rule, ...]
    egress: tuple[Rule, ...]
    no_ingress_why: str | None = None
