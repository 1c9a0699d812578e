"""The pods of a model: one server, everything that it needs to start, stop and write."""

import math
from posixpath import basename, dirname

import msgspec

from homeport.catalog.types import Gpu
from homeport.engines.types import Probe as EngineProbe
from homeport.engines.types import Server
from homeport.manifests import naming, weights
from homeport.manifests.targets import Platform, node_selector, node_terms, tolerations
from homeport.manifests.values import Container, Env, Mount, Pod, Probe, Quantity, Volume
from homeport.manifests.weights import Delivery
from homeport.planning.types import ModelPlan

USER = 2000
"""The number that containers run under: anything but root will do, and this is vLLM's own."""

NODE_AND_IMAGE_S = 900
"""Assumption: a new GPU node joins and pulls an engine's image (10 to 20 GB) within a quarter of an hour."""

UNKNOWN_START_S = 900
"""Assumption where nothing is known about the start-up time."""

SCRATCH_GIB = 10
"""Assumption: compiled kernels, the engine's caches and temporary files stay below this, each."""

HTTP = "http"

NO_LIVENESS = "no livenessProbe: an engine that dies takes the process with it, so that a probe could only kill a busy server"


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """How long a start may take, seconds, and why."""

    startup_s: int
    startup_why: str
    progress_s: int
    progress_why: str


def timing(plan: ModelPlan, wait_s: int) -> Timing:
    """The budget of the start-up probe, and the deadline of a rollout that follows it."""
    if plan.startup is None:
        budget, why = UNKNOWN_START_S, f"start-up time unknown: {UNKNOWN_START_S} s are an assumption"
        predicted = 0.0
    else:
        budget = max(60, math.ceil(plan.startup.ready_s_interval[1]))
        why = f"ready after {plan.startup.ready_s:.0f} s, at worst {plan.startup.ready_s_interval[1]:.0f} s by estimate"
        predicted = plan.startup.download_s or 0.0
    if plan.spec.weights.source == "hub" and weights.loads_weights(plan):
        # The server itself downloads, over a network that nobody has measured: a probe that gives up starts it anew.
        slow = math.ceil(budget - predicted + weights.slowest_download_s(plan))
        if slow > budget:
            budget = slow
            why += (
                f", {slow} s where the Hub gives {weights.SLOWEST_DOWNLOAD_GIB_S} GiB/s, the slowest measured"
            )
    progress = NODE_AND_IMAGE_S + wait_s + budget
    terms = f"{NODE_AND_IMAGE_S} for a node and the image"
    if wait_s:
        terms += f" + {wait_s} for the weights"
    return Timing(
        startup_s=budget,
        startup_why=why,
        progress_s=progress,
        progress_why=f"{terms} + {budget} for the start; the default of 600 would give up too early",
    )


def server_pod(
    plan: ModelPlan,
    server: Server,
    where: Platform,
    part_of: str,
    delivery: Delivery,
    *,
    spot: bool,
    worker: bool,
) -> Pod:
    """The pod that serves a model (`worker`: a node after the first of a replica)."""
    gpu = plan.gpu if plan.gpus_per_replica else None
    types = plan.nodes.instance_types if plan.nodes else ()
    volumes, mounts = _writable(server, delivery)
    files, file_mounts = _files(plan, server)
    wanted = worker and not server.worker_has_http
    container = Container(
        name="server",
        image=plan.image,
        command=server.command or (),
        args=(server.worker_args or ()) if worker else server.args,
        env=_environment(plan, server),
        port=None if wanted else server.port,
        requests=_requests(plan, server, delivery),
        limits=_limits(plan, server),
        startup=None if wanted else _startup(server.startup, timing(plan, 0)),
        readiness=None if wanted else _probe(server.readiness),
        liveness=None if wanted or server.liveness is None else _probe(server.liveness),
        no_liveness_why=None if wanted or server.liveness is not None else NO_LIVENESS,
        pre_stop_s=server.drain.pre_stop_s or None,
        pre_stop_why="proxies need a moment to see that the pod left the endpoints (Kubernetes 1.30 or newer)",
        mounts=(*delivery.mounts, *mounts, *file_mounts),
    )
    annotations = {"homeport/files": weights.checksum(server.files)} if server.files else {}
    return Pod(
        labels=naming.labels(plan, part_of, naming.WORKER if worker else naming.SERVER),
        annotations=annotations,
        service_account=plan.spec.name,
        terms=node_terms(where, types, gpu.kubernetes_product_label if gpu else None, spot=spot),
        terms_why=_nodes_why(plan, gpu),
        node_selector=node_selector(where, types),
        tolerations=tolerations(where, gpu.kubernetes_resource if gpu else None, spot=spot),
        grace_s=server.drain.grace_s,
        grace_why=server.drain.why,
        user=USER,
        init=delivery.init,
        containers=(container,),
        volumes=(*delivery.volumes, *volumes, *files),
    )


def download_pod(
    plan: ModelPlan, where: Platform, part_of: str, delivery: Delivery, download: Container, *, spot: bool
) -> Pod:
    """The pod of the Job that fills the weights' volume once."""
    claim = delivery.claim
    # A volume for one node lies in one zone: the Job must not choose one that has no GPUs.
    beside = claim is not None and claim.access == "ReadWriteOnce" and plan.gpus_per_replica > 0
    gpu = plan.gpu if beside else None
    types = plan.nodes.instance_types if plan.nodes and beside else ()
    return Pod(
        labels=naming.labels(plan, part_of, naming.DOWNLOAD),
        annotations={},
        service_account=plan.spec.name,
        terms=node_terms(where, types, gpu.kubernetes_product_label if gpu else None, spot=spot and beside),
        terms_why="the volume is made in the zone of this pod, and the servers must reach it",
        # The pod has these labels itself: without a server, the first of its kind goes anywhere.
        beside=naming.instance(plan) if beside and not where.one_node else {},
        beside_why="one node at a time mounts the volume: that of the server, if one runs or waits for the weights",
        node_selector=node_selector(where, types),
        tolerations=tolerations(where, gpu.kubernetes_resource if gpu else None, spot=spot and beside),
        grace_s=None,
        grace_why=None,
        user=USER,
        init=(),
        containers=(download,),
        volumes=(
            *delivery.volumes,
            Volume(
                name="tmp",
                kind="disk",
                size_gib=SCRATCH_GIB,
                why="what the client of the Hub writes on the way",
            ),
        ),
        restart_policy="OnFailure",
    )


def _nodes_why(plan: ModelPlan, gpu: Gpu | None) -> str:
    if gpu is None:
        return "the nodes that the plan counts with"
    return f"the nodes that the plan counts with, {plan.gpus_per_replica // plan.nodes_per_replica} x {gpu.id} a pod"


def _environment(plan: ModelPlan, server: Server) -> tuple[Env, ...]:
    env = [Env(name=name, value=value) for name, value in server.env.items()]
    key = plan.spec.api_key
    if key is not None and server.api_key_variable:
        env.append(Env(name=server.api_key_variable, secret=key.secret, key=key.key))
    if plan.spec.weights.source == "hub" and weights.loads_weights(plan):
        env += weights.token_env(plan)
    return tuple(env)


def _writable(server: Server, delivery: Delivery) -> tuple[list[Volume], list[Mount]]:
    taken = {v.name for v in delivery.volumes}
    volumes: list[Volume] = []
    mounts: list[Mount] = []
    for path in server.writable:
        if path.name in taken:
            continue
        mounts.append(Mount(name=path.name, path=path.path))
        if not path.memory_backed:
            volumes.append(Volume(name=path.name, kind="disk", size_gib=SCRATCH_GIB, why=path.why))
        elif server.shm_gib:
            volumes.append(
                Volume(
                    name=path.name,
                    kind="memory",
                    size_gib=server.shm_gib,
                    why=f"{path.why}; part of the memory limit",
                )
            )
        else:
            mounts.pop()
    if any(m.name == "tmp" for c in delivery.init for m in c.mounts) and not any(
        v.name == "tmp" for v in volumes
    ):
        volumes.append(
            Volume(name="tmp", kind="disk", size_gib=SCRATCH_GIB, why="what the download writes on the way")
        )
    return volumes, mounts


def _files(plan: ModelPlan, server: Server) -> tuple[list[Volume], list[Mount]]:
    folders: dict[str, list[str]] = {}
    for path in server.files:
        folders.setdefault(dirname(path), []).append(path)
    volumes = []
    mounts = []
    for number, (folder, paths) in enumerate(folders.items()):
        name = f"files-{number}" if number else "files"
        items = tuple((file_key(p), basename(p)) for p in paths)
        volumes.append(Volume(name=name, kind="config_map", source=plan.spec.name + "-files", items=items))
        mounts.append(Mount(name=name, path=folder, read_only=True))
    return volumes, mounts


def file_key(path: str) -> str:
    """The ConfigMap's key of a file."""
    return path.strip("/").replace("/", ".")


def _memory_gib(plan: ModelPlan, server: Server) -> tuple[int, str]:
    shm = server.shm_gib if any(w.memory_backed for w in server.writable) else 0
    total = plan.memory_request_gib + shm
    return (
        total,
        f"{plan.memory_request_gib} for the processes + {shm} for /dev/shm" if shm else "for the processes",
    )


def disk_gib(server: Server, delivery: Delivery) -> int:
    """What a pod asks for of its node's disk, GiB."""
    volumes, _ = _writable(server, delivery)
    return sum(v.size_gib or 0 for v in (*volumes, *delivery.volumes) if v.kind == "disk")


def _requests(plan: ModelPlan, server: Server, delivery: Delivery) -> tuple[Quantity, ...]:
    memory, why = _memory_gib(plan, server)
    disk = disk_gib(server, delivery)
    return (
        Quantity(name="cpu", amount=plan.cpu_request),
        Quantity(name="memory", amount=f"{memory}Gi", why=why),
        *(
            (Quantity(name="ephemeral-storage", amount=f"{disk}Gi", why="the disk-backed volumes below"),)
            if disk
            else ()
        ),
    )


def _limits(plan: ModelPlan, server: Server) -> tuple[Quantity, ...]:
    memory, _ = _memory_gib(plan, server)
    limits = [
        Quantity(
            name="memory", amount=f"{memory}Gi", why="as requested: what is more would be taken from others"
        )
    ]
    if plan.gpu is not None and plan.gpus_per_replica:
        count = plan.gpus_per_replica // plan.nodes_per_replica
        why = f"tensor parallel {plan.launch.tensor_parallel_size}"
        if plan.launch.pipeline_parallel_size > 1:
            why += f" x pipeline parallel {plan.launch.pipeline_parallel_size}"
        if plan.nodes_per_replica > 1:
            why += f" over {plan.nodes_per_replica} nodes"
        limits.append(Quantity(name=plan.gpu.kubernetes_resource, amount=count, why=why))
    return tuple(limits)


def _startup(probe: EngineProbe, budget: Timing) -> Probe:
    failures = math.ceil(budget.startup_s / probe.period_s)
    return Probe(
        path=probe.path,
        period_s=probe.period_s,
        timeout_s=probe.timeout_s,
        failures=failures,
        why=f"{failures} x {probe.period_s} s: {budget.startup_why}",
    )


def _probe(probe: EngineProbe) -> Probe:
    return Probe(
        path=probe.path,
        period_s=probe.period_s,
        timeout_s=probe.timeout_s,
        failures=probe.failure_threshold or 3,
    )
