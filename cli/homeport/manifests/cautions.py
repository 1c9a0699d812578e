"""What the rendered objects cannot put right, said once, beside the plan's own warnings."""

from homeport.manifests.network import route_notes
from homeport.manifests.pods import USER
from homeport.manifests.targets import platform
from homeport.manifests.weights import IMAGE_VOLUMES_SINCE, loads_weights, size_gib
from homeport.planning.types import ModelPlan, Plan

SMALL_DISK_GIB = 60
"""What a node's boot disk of 100 GB, the usual default, leaves for pods beside the system and an engine's image."""


def cautions(plan: Plan) -> list[str]:
    """One sentence for each thing that somebody should know before the objects are applied."""
    return [f"{m.spec.name}: {text}" for m in plan.models for text in _of_model(m, plan.spec.target.platform)]


def _of_model(model: ModelPlan, target: str) -> list[str]:
    from homeport.engines import registry
    from homeport.engines.common import WORKERS_TALK_TCP

    spec = model.spec
    server = registry.server(model.engine, model.launch)
    found = [text for text in server.warnings if text != WORKERS_TALK_TCP]  # the plan says this itself
    if spec.expose.kind in ("load_balancer", "ingress", "gateway") and spec.api_key is None:
        found.append(f"anybody who reaches its {spec.expose.kind.replace('_', ' ')} may use it: set api_key")
    found += route_notes(model, platform(target))
    return found + (_of_weights(model) if loads_weights(model) else [])


def _of_weights(model: ModelPlan) -> list[str]:
    wanted = model.spec.weights
    if wanted.source == "oci":
        return [f"its image volume needs Kubernetes {IMAGE_VOLUMES_SINCE} or newer"]
    if wanted.source == "local":
        return [f"user {USER} must be able to read {wanted.path} on {', '.join(wanted.nodes or ())}"]
    size, _ = size_gib(model)
    if wanted.source in ("hub", "object_store") and wanted.storage_class is None and size > SMALL_DISK_GIB:
        return [
            f"each pod keeps {size} GiB of weights on its node's disk, more than most node pools come with: give the "
            "pool larger disks, or name a weights.storage_class"
        ]
    return []
