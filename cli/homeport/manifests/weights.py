"""How the weights reach a pod: volumes, mounts, init containers, and the objects beside the pod."""

import hashlib
import math

import msgspec

from homeport.engines.types import Server
from homeport.errors import Problem, SpecError
from homeport.manifests import naming
from homeport.manifests.targets import Platform
from homeport.manifests.values import Claim, Container, Env, LocalVolume, Meta, Mount, Quantity, Volume
from homeport.planning.types import ModelPlan

RCLONE = "rclone/rclone:1.76.0"
"""Copies from S3 and Google Cloud Storage alike; its image holds one static binary."""

IMAGE_VOLUMES_SINCE = "1.35"
"""The first Kubernetes that mounts images without a feature gate (KEP-4639: beta and on in 1.35, behind it 1.31)."""

SLOWEST_DOWNLOAD_GIB_S = 0.04
"""The slowest download from the Hub among the measured starts, GiB/s."""

HEADROOM = 1.2
"""Volume size / checkpoint size: a download keeps partial files beside whole ones."""

TWICE = "mistralai/"
"""Repositories of this owner hold the weights in two layouts (`consolidated*` beside the shards), and both are fetched."""

VOLUME = "weights"
HUB_CACHE = "hub-cache"
ADAPTERS = "adapters"
CHECKPOINT = (VOLUME, HUB_CACHE)
"""The volumes that hold the model's own weights."""

DOWNLOAD = """\
import os
from huggingface_hub import snapshot_download

target = os.environ["TARGET"]
# left out: the same weights once more, in the formats of other frameworks
others = ["original/*", "metal/*", "onnx/*", "*.pth", "*.gguf", "*.onnx", "*.h5", "*.msgpack"]
snapshot_download(
    os.environ["REPOSITORY"], revision=os.environ.get("REVISION"), local_dir=target, ignore_patterns=others
)
if "MARKER" in os.environ:
    open(os.environ["MARKER"], "w").close()
"""
"""Runs in the engine's own image. Not `hf download`: its way to name several patterns changed with 1.0 of the client."""

_PYTHON = ("python3", "-c")
# The image of TGI keeps its Python in an environment that only its entrypoint activates.
_PYTHON_OF_TGI = ("/bin/sh", "-c", 'PATH="/usr/src/.venv/bin:$PATH" exec python3 -c "$1"', "sh")


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """What the weights add to a pod and beside it. `wait_s` is the pessimistic time before the server starts."""

    volumes: tuple[Volume, ...] = ()
    mounts: tuple[Mount, ...] = ()
    init: tuple[Container, ...] = ()
    claim: Claim | None = None
    local: LocalVolume | None = None
    download: Container | None = None
    wait_s: int = 0
    fetches_in_pod: bool = False
    needs_identity: bool = False


def size_gib(plan: ModelPlan) -> tuple[int, str]:
    """Size of the volume that holds the checkpoint, GiB, and why."""
    stored = plan.source.weight_bytes / 2**30
    if plan.spec.weights.size_gib is not None:
        return plan.spec.weights.size_gib, f"as the spec says; the checkpoint has {stored:.1f} GiB"
    if plan.source.checkpoint.startswith(TWICE):
        return math.ceil(
            2 * stored * HEADROOM
        ), f"{HEADROOM} x 2 x {stored:.1f} GiB: this repository holds the weights twice"
    return max(1, math.ceil(stored * HEADROOM)), f"{HEADROOM} x {stored:.1f} GiB of checkpoint"


def slowest_download_s(plan: ModelPlan) -> int:
    """Seconds that the download may take on the slowest network that was measured."""
    return math.ceil(plan.source.weight_bytes / 2**30 / SLOWEST_DOWNLOAD_GIB_S)


def delivery(
    plan: ModelPlan, server: Server, where: Platform, namespace: str, part_of: str, image: str
) -> Delivery:
    """How the model's weights come to its pods.

    Raises SpecError where the spec lacks what the source needs; paths are relative to the model's spec.
    """
    source = plan.spec.weights.source
    if not loads_weights(plan):
        return Delivery()
    if source in ("hub", "pvc") and "/" not in plan.source.checkpoint:
        raise SpecError(
            [
                Problem(
                    message=f"'{plan.source.checkpoint}' is read from a file, and the Hub has no model of that name",
                    path=("weights", "source"),
                    value=source,
                    help="say where the cluster finds the weights: weights: {source: oci, object_store or local, …}",
                )
            ]
        )
    if source == "hub":
        return _hub(plan, server)
    if source == "pvc":
        return _claim(plan, where, namespace, part_of, image)
    if source == "oci":
        return _image(plan)
    if source == "object_store":
        return _object_store(plan)
    return _local(plan, namespace, part_of)


def together(first: Delivery, second: Delivery) -> Delivery:
    """What two deliveries add to a pod; what the first adds beside it stays."""
    return msgspec.structs.replace(
        first,
        volumes=(*first.volumes, *second.volumes),
        mounts=(*first.mounts, *second.mounts),
        init=(*first.init, *second.init),
        wait_s=first.wait_s + second.wait_s,
        fetches_in_pod=first.fetches_in_pod or second.fetches_in_pod,
    )


def loads_weights(plan: ModelPlan) -> bool:
    """Say whether the engine loads weights at all: the simulator answers without any."""
    return plan.engine.engine != "simulator"


def missing(field: str, source: str) -> SpecError:
    """The error for a source of weights that lacks a field."""
    return SpecError(
        [Problem(message=f"weights from {source} need `weights.{field}`", path=("weights", field))]
    )


def cache_volume(plan: ModelPlan, name: str) -> Volume:
    """The volume that a pod fills for itself: node disk, or a volume of its own where a class or size is asked for."""
    size, why = size_gib(plan)
    asked = plan.spec.weights.storage_class
    return Volume(
        name=name,
        kind="ephemeral" if asked else "disk",
        size_gib=size,
        storage_class=asked,
        why=why + ("; deleted with the pod" if asked else "; on the node's disk, deleted with the pod"),
    )


def token_env(plan: ModelPlan) -> tuple[Env, ...]:
    """The Hub token, by reference."""
    token = plan.spec.hub_token
    return (Env(name="HF_TOKEN", secret=token.secret, key=token.key),) if token else ()


def _hub(plan: ModelPlan, server: Server) -> Delivery:
    path = next(w.path for w in server.writable if w.name == HUB_CACHE)
    return Delivery(
        volumes=(cache_volume(plan, HUB_CACHE),),
        mounts=(Mount(name=HUB_CACHE, path=path),),
        fetches_in_pod=True,
    )


def _claim(plan: ModelPlan, where: Platform, namespace: str, part_of: str, image: str) -> Delivery:
    path = plan.launch.model
    size, why = size_gib(plan)
    pods = plan.replicas_max * plan.nodes_per_replica
    one_writer = pods == 1 or where.one_node
    storage_class = plan.spec.weights.storage_class
    if not one_writer and storage_class is None:
        storage_class = where.shared_class
        if storage_class is None:
            raise SpecError(
                [
                    Problem(
                        message=f"up to {pods} pods on different nodes mount the weights, and {where.name} has no "
                        "built-in StorageClass for ReadWriteMany",
                        path=("weights", "storage_class"),
                        help="name a StorageClass that allows ReadWriteMany (NFS, EFS, CephFS ...), or take "
                        "weights.source: hub",
                    )
                ]
            )
    stamp = fingerprint(plan)
    marker = f"{path}/.homeport-{stamp}"
    mount = Mount(name=VOLUME, path=path)
    download = Container(
        name="download",
        image=image,
        command=_python(plan),
        args=(DOWNLOAD,),
        env=(
            Env(name="REPOSITORY", value=plan.source.checkpoint),
            *(
                (Env(name="REVISION", value=plan.spec.weights.revision),)
                if plan.spec.weights.revision
                else ()
            ),
            Env(name="TARGET", value=path),
            Env(name="MARKER", value=marker),
            *_home_env(),
            *token_env(plan),
        ),
        requests=_BESIDE_REQUESTS if one_writer else _DOWNLOAD_REQUESTS,
        limits=_DOWNLOAD_LIMITS,
        mounts=(mount, Mount(name="tmp", path="/tmp")),
    )
    wait = Container(
        name="wait-for-weights",
        why=f"the Job {plan.spec.name}-download-{stamp} leaves this file behind when all weights are on the volume",
        image=image,
        command=("/bin/sh", "-c"),
        args=('until [ -f "$MARKER" ]; do sleep 5; done',),
        env=(Env(name="MARKER", value=marker),),
        requests=_SMALL_REQUESTS,
        limits=_SMALL_LIMITS,
        mounts=(Mount(name=VOLUME, path=path, read_only=True),),
    )
    return Delivery(
        volumes=(Volume(name=VOLUME, kind="claim", source=plan.spec.name + "-weights"),),
        mounts=(Mount(name=VOLUME, path=path, read_only=True),),
        init=(wait,),
        claim=Claim(
            meta=naming.meta(plan, namespace, part_of, "-weights", naming.WEIGHTS),
            access="ReadWriteOnce" if one_writer else "ReadWriteMany",
            access_why="one node mounts it"
            if one_writer
            else f"up to {pods} pods on different nodes mount it",
            storage_class=storage_class,
            size_gib=size,
            size_why=why,
        ),
        download=download,
        wait_s=slowest_download_s(plan),
    )


def fingerprint(plan: ModelPlan) -> str:
    """Eight characters that change with what is downloaded: Jobs are immutable, so each has its own name."""
    text = "\n".join(
        (plan.source.checkpoint, plan.spec.weights.revision or "", plan.launch.model, plan.image)
    )
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def checksum(files: dict[str, str]) -> str:
    """Sixteen characters that change with the files: as an annotation they roll the pods."""
    digest = hashlib.sha256()
    for path, text in sorted(files.items()):
        digest.update(f"{path}\0{len(text)}\0{text}".encode())
    return digest.hexdigest()[:16]


def _image(plan: ModelPlan) -> Delivery:
    reference = plan.spec.weights.image
    if reference is None:
        raise missing("image", "an OCI image")
    return Delivery(
        volumes=(
            Volume(
                name=VOLUME,
                kind="image",
                source=reference,
                why=f"image volumes need Kubernetes {IMAGE_VOLUMES_SINCE} or newer (1.31 with the gate ImageVolume)",
            ),
        ),
        mounts=(Mount(name=VOLUME, path=plan.launch.model, read_only=True),),
    )


def on_image(plan: ModelPlan) -> dict[str, int]:
    """The image that holds the weights, and GiB of the node's disk that it takes; nothing where they come otherwise."""
    reference = plan.spec.weights.image
    return {reference: size_gib(plan)[0]} if plan.spec.weights.source == "oci" and reference else {}


def _object_store(plan: ModelPlan) -> Delivery:
    uri = plan.spec.weights.uri
    if uri is None:
        raise missing("uri", "an object store")
    scheme, _, path = uri.partition("://")
    remote = (
        (("TYPE", "s3"), ("PROVIDER", "AWS"), ("ENV_AUTH", "true"))
        if scheme == "s3"
        else (("TYPE", "google cloud storage"), ("ENV_AUTH", "true"))
    )
    credentials = plan.spec.weights.credentials
    copy = Container(
        name="copy-weights",
        why=f"copies {uri} to the volume before the server starts"
        + (
            "; another S3 server: RCLONE_CONFIG_STORE_ENDPOINT in the Secret"
            if scheme == "s3" and credentials
            else ""
        ),
        image=RCLONE,
        args=("copy", f"store:{path}", plan.launch.model, "--transfers=8", "--config=/tmp/rclone.conf"),
        env=(
            *(Env(name=f"RCLONE_CONFIG_STORE_{key}", value=value) for key, value in remote),
            Env(name="RCLONE_CACHE_DIR", value="/tmp/rclone"),
        ),
        env_from=(credentials,) if credentials else (),
        requests=_DOWNLOAD_REQUESTS,
        limits=_DOWNLOAD_LIMITS,
        mounts=(Mount(name=VOLUME, path=plan.launch.model), Mount(name="tmp", path="/tmp")),
    )
    return Delivery(
        volumes=(cache_volume(plan, VOLUME),),
        mounts=(Mount(name=VOLUME, path=plan.launch.model, read_only=True),),
        init=(copy,),
        wait_s=slowest_download_s(plan),
        fetches_in_pod=True,
        needs_identity=credentials is None,
    )


def _local(plan: ModelPlan, namespace: str, part_of: str) -> Delivery:
    weights = plan.spec.weights
    if weights.path is None:
        raise missing("path", "a local volume")
    if not weights.nodes:
        raise missing("nodes", "a local volume")
    size, why = size_gib(plan)
    name = f"{namespace}-{plan.spec.name}-weights"
    local_labels = naming.labels(plan, part_of, naming.WEIGHTS)
    return Delivery(
        volumes=(Volume(name=VOLUME, kind="claim", source=plan.spec.name + "-weights"),),
        mounts=(Mount(name=VOLUME, path=plan.launch.model, read_only=True),),
        claim=Claim(
            meta=naming.meta(plan, namespace, part_of, "-weights", naming.WEIGHTS),
            access="ReadOnlyMany",
            access_why="nobody writes: the files lie on the nodes already",
            storage_class="",
            size_gib=size,
            size_why=why,
            volume=name,
        ),
        local=LocalVolume(
            meta=Meta(name=name, namespace=None, labels=local_labels),
            claim=plan.spec.name + "-weights",
            claim_namespace=namespace,
            path=weights.path,
            nodes=weights.nodes,
            size_gib=size,
            size_why=why,
        ),
    )


def adapters(plan: ModelPlan, image: str) -> Delivery:
    """The LoRA adapters that do not lie on the weights' own volume: an init container fetches each from the Hub.

    Raises SpecError for a path on the volume where there is no volume.
    """
    sources = {a.name: a.source for a in plan.spec.adapters}
    if plan.spec.weights.source == "hub":
        problems = [
            Problem(
                message=f"the path {a.source} lies on the weights' volume, and weights from the Hub have none",
                path=("adapters", index, "source"),
                value=a.source,
                help="name a Hub id, or another weights.source",
            )
            for index, a in enumerate(plan.spec.adapters)
            if a.source.startswith("/")
        ]
        if problems:
            raise SpecError(problems)
    under = plan.launch.model.rstrip("/") + "/"
    fetched = [
        a for a in plan.launch.adapters if not (a.path.startswith(under) or sources[a.name].startswith("/"))
    ]
    if not fetched or not loads_weights(plan):
        return Delivery()
    folder = "/" + fetched[0].path.strip("/").split("/")[0]
    gib = len(fetched)
    return Delivery(
        volumes=(
            Volume(
                name=ADAPTERS,
                kind="disk",
                size_gib=gib,
                why=f"1 GiB for each of {gib} adapters; on the node's disk",
            ),
        ),
        mounts=(Mount(name=ADAPTERS, path=folder, read_only=True),),
        init=tuple(
            Container(
                name=f"adapter-{number}",
                why=f"fetches the LoRA adapter {a.name}",
                image=image,
                command=_python(plan),
                args=(DOWNLOAD,),
                env=(
                    Env(name="REPOSITORY", value=sources[a.name]),
                    Env(name="TARGET", value=a.path),
                    *_home_env(),
                    *token_env(plan),
                ),
                requests=_SMALL_REQUESTS,
                limits=_DOWNLOAD_LIMITS,
                mounts=(Mount(name=ADAPTERS, path=folder), Mount(name="tmp", path="/tmp")),
            )
            for number, a in enumerate(fetched)
        ),
        wait_s=math.ceil(gib / SLOWEST_DOWNLOAD_GIB_S),
        fetches_in_pod=True,
    )


def _python(plan: ModelPlan) -> tuple[str, ...]:
    return _PYTHON_OF_TGI if plan.engine.engine == "tgi" else _PYTHON


def _home_env() -> tuple[Env, ...]:
    return (
        Env(name="HOME", value="/tmp"),
        Env(name="HF_HOME", value="/tmp/huggingface"),
        Env(name="HF_HUB_DISABLE_TELEMETRY", value="1"),
    )


_DOWNLOAD_REQUESTS = (
    Quantity(name="cpu", amount="1"),
    Quantity(name="memory", amount="2Gi", why="parts of several files are held while they arrive"),
)
_BESIDE_REQUESTS = (
    Quantity(name="cpu", amount="100m"),
    Quantity(
        name="memory", amount="512Mi", why="it has to fit beside the server, which has the rest of the node"
    ),
)
_DOWNLOAD_LIMITS = (Quantity(name="memory", amount="8Gi"),)
_SMALL_REQUESTS = (Quantity(name="cpu", amount="10m"), Quantity(name="memory", amount="16Mi"))
_SMALL_LIMITS = (Quantity(name="memory", amount="64Mi"),)
