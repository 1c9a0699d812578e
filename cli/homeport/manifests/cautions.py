"""What the rendered objects cannot put right, said once, beside the plan's own warnings."""

from homeport.manifests.targets import platform
from homeport.manifests.weights import IMAGE_VOLUMES_SINCE
from homeport.planning.types import ModelPlan, Plan


def cautions(plan: Plan) -> list[str]:
    """One sentence for each thing that somebody should know before the objects are applied."""
    return [f"{m.spec.name}: {text}" for m in plan.models for text in _of_model(m, plan.spec.target.platform)]


def _of_model(model: ModelPlan, target: str) -> list[str]:
    from homeport.engines import registry

    spec = model.spec
    found = list(registry.server(model.engine, model.launch).warnings)
    if spec.expose.kind in ("load_balancer", "ingress", "gateway") and spec.api_key is None:
        found.append(f"anybody who reaches its {spec.expose.kind.replace('_', ' ')} may use it: set api_key")
    note = platform(target).route_note
    if spec.expose.kind in ("ingress", "gateway") and note:
        found.append(note)
    if spec.weights.source == "oci":
        found.append(f"its image volume needs Kubernetes {IMAGE_VOLUMES_SINCE} or newer")
    return found
