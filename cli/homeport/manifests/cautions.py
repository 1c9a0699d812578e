"""What the rendered objects cannot put right, said once, beside the plan's own warnings."""

import re
from collections.abc import Iterator

from homeport.engines.types import Server
from homeport.manifests import disks, pods, scaling, weights
from homeport.manifests.network import route_notes
from homeport.manifests.targets import Platform, platform
from homeport.planning.types import ModelPlan, Plan


def cautions(plan: Plan) -> list[str]:
    """One sentence for each thing that somebody should know before the objects are applied."""
    where = platform(plan.spec.target.platform)
    found = plan.spec.target.nodes.by == "existing"
    return [f"{m.spec.name}: {text}" for m in plan.models for text in _of_model(m, where, nodes_found=found)]


def _of_model(model: ModelPlan, where: Platform, *, nodes_found: bool) -> Iterator[str]:
    from homeport.engines import registry
    from homeport.engines.common import WORKERS_TALK_TCP

    server = registry.server(model.engine, model.launch)
    yield from (text for text in server.warnings if text != WORKERS_TALK_TCP)  # the plan says this itself
    yield from _of_exposure(model)
    yield from route_notes(model, where)
    yield from _of_rollouts(model, where)
    if scaling.scaled(model) and model.replicas_min == 0:
        yield (
            "at zero it wakes on scaling.wake, which must come from something that holds requests meanwhile: a gateway "
            "of yours, nothing that is rendered here"
        )
    if weights.loads_weights(model):
        yield from _of_weights(model)
    yield from _of_driver(model, where)
    if nodes_found:  # nodes that homeport makes have the disk that they need
        yield from _of_disk(model, server, where)


def _of_exposure(model: ModelPlan) -> Iterator[str]:
    expose, key = model.spec.expose, model.spec.api_key
    if expose.kind in ("load_balancer", "ingress", "gateway") and key is None:
        yield f"anybody who reaches its {expose.kind.replace('_', ' ')} may use it: set api_key"
    if expose.kind == "load_balancer":
        yield (
            "its load balancer speaks plain HTTP to every source address, and what lies outside of /v1 (/metrics and "
            "the engine's other paths) may answer without a key: expose it by ingress or gateway, which publish /v1 only"
        )
    if expose.kind == "ingress" and expose.tls_secret is None and key is not None:
        yield "its ingress has no certificate, so clients send the key in clear: set expose.tls_secret"


def _of_rollouts(model: ModelPlan, where: Platform) -> Iterator[str]:
    # On a machine of one's own nobody waits for a rollout.
    if model.replicas_planned != 1 or where.one_node:
        return
    start = model.startup
    time = (
        f"for about {start.ready_s:.0f} s, at worst {start.ready_s_interval[1]:.0f} s by estimate"
        if start
        else "for as long as it takes to start, which is unknown"
    )
    yield (
        f"one replica: every rollout and every drain of its node takes it down {time}, and longer on a new node: "
        "`replicas: {min: 2}` keeps one up"
    )


def _of_driver(model: ModelPlan, where: Platform) -> Iterator[str]:
    """Compare the driver that the platform installs with what the engine's own image asks for."""
    least = re.search(r"\d+", model.engine.needs_driver or "")
    has = where.drivers.get(model.gpu.id) if model.gpu else None
    if has is None or least is None or has >= int(least[0]) or model.image != model.engine.image:
        return
    older = model.engine.other_images.get("cu129")
    yield (
        f"{where.name} gives nodes with {model.gpu.id if model.gpu else ''} NVIDIA's driver {has}, and {model.image} needs "
        f"{model.engine.needs_driver}: set image to a build for older drivers"
        + (f", {older}" if older else "")
    )


def _of_weights(model: ModelPlan) -> Iterator[str]:
    wanted = model.spec.weights
    if wanted.source == "oci":
        yield f"its image volume needs Kubernetes {weights.IMAGE_VOLUMES_SINCE} or newer"
    if wanted.source == "local":
        yield f"user {pods.USER} must be able to read {wanted.path} on {', '.join(wanted.nodes or ())}"


def _of_disk(model: ModelPlan, server: Server, where: Platform) -> Iterator[str]:
    """Compare what the pods of a node ask for of its disk with what the platform's default disk offers."""
    # Names of objects don't matter here.
    delivery = weights.delivery(model, server, where, "", "", model.image)
    delivery = weights.together(delivery, weights.adapters(model, model.image))
    asked = pods.disk_gib(server, delivery)
    a_pod = model.gpus_per_replica // model.nodes_per_replica
    fit = model.nodes.gpus_per_node // a_pod if model.nodes and a_pod else 1
    count = max(1, min(fit, model.replicas_max * model.nodes_per_replica))
    more = sum(weights.on_image(model).values())
    usual = disks.DEFAULTS.get(where.name)
    offered = disks.offered_gib(where.name, usual.size_gb) if usual else disks.ASSUMED_GIB
    if asked * count + more <= offered:
        return
    held = next(
        (v.size_gib for v in delivery.volumes if v.kind == "disk" and v.name in weights.CHECKPOINT), None
    )
    says = f"each pod asks for {asked} GiB of its node's disk"
    says += f" ({held} of them for the weights)" if held else ""
    says += f", {count} of them may share a node" if count > 1 else ""
    says += f", its weights' image takes {more} GiB more" if more else ""
    if usual:
        says += f", and a node of {where.name} offers about {offered:.0f} GiB with its default disk of {usual.size_gb} GB"
    else:
        says += f", and what a node offers is unknown ({offered:.0f} GiB assumed)"
    says += f": give the pool disks of {disks.enough_gb(where.name, asked * count, more)} GB"
    says += f" ({usual.flag})" if usual else ""
    says += " or local SSDs for ephemeral storage"
    # Off the disk go the weights only.
    yield says + (", or name a weights.storage_class" if held and (asked - held) * count <= offered else "")
