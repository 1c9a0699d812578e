"""The project's examples as specs of a test: in a namespace of the test's own, on any target."""

from pathlib import Path
from typing import Any

import yaml

from homeport.manifests.render import documents
from homeport.manifests.types import Document
from homeport.planning.plan import Planner
from homeport.planning.types import Plan
from homeport.spec.load import load

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = tuple(sorted(file.stem for file in EXAMPLES.glob("*.yaml")))
PLATFORMS = ("kind", "minikube", "generic", "gke", "eks", "aks")


class Made:
    """A plan and its documents."""

    def __init__(self, plan: Plan) -> None:
        """Render the plan."""
        self.plan = plan
        self.documents = documents(plan)

    @property
    def text(self) -> str:
        """All documents in the order in which they are applied."""
        return "\n---\n".join(document.text for document in self.documents)

    def of(self, *kinds: str) -> list[Document]:
        """The documents of some kinds."""
        return [document for document in self.documents if document.kind in kinds]


def example(name: str, namespace: str, platform: str | None = None, **changes: Any) -> Made:
    """An example, on its own target or another's, with top-level fields changed. Raises SpecError where it cannot be."""
    spec = yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text("utf-8"))
    if platform and platform != spec["target"]["platform"]:
        kept = {key: value for key, value in spec["target"].items() if key == "gpus_per_node"}
        spec["target"] = {"platform": platform, **(kept if platform == "generic" else {})}
    return of_spec({**spec, **changes, "namespace": namespace})


def of_spec(spec: dict[str, Any]) -> Made:
    """A spec of a test."""
    text = yaml.safe_dump(spec, sort_keys=False)
    return Made(Planner(EXAMPLES).plan(load(text, "spec.yaml").spec))
