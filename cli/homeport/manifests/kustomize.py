"""The folder that `render -o DIR` writes: a kustomization with components that can be left out."""

from collections.abc import Iterator

from homeport.manifests.provisioning import NODES
from homeport.manifests.render import AUTOSCALING, MONITORING
from homeport.manifests.types import Document
from homeport.manifests.yamltext import scalar

_COMPONENTS = {
    NODES: "makes the GPU nodes; left out, the cluster has to have such nodes already",
    AUTOSCALING: "needs KEDA; left out, each model has one replica unless `replicas:` is set here",
    MONITORING: "needs the Prometheus Operator; left out, the autoscaler sees no load unless something else scrapes",
}


def files(documents: list[Document]) -> dict[str, str]:
    """Every file of the folder, path -> text: the documents, and the kustomizations that list them."""
    made = {document.path: document.text for document in documents}
    made["base/kustomization.yaml"] = _kustomization("v1beta1", "Kustomization", _below("base", documents))
    present = [c for c in _COMPONENTS if any(d.component == c for d in documents)]
    for component in present:
        folder = f"components/{component}"
        made[f"{folder}/kustomization.yaml"] = _kustomization(
            "v1alpha1", "Component", _below(folder, documents)
        )
    made["kustomization.yaml"] = _top(present)
    return dict(sorted(made.items()))


def _below(folder: str, documents: list[Document]) -> list[str]:
    prefix = folder + "/"
    return [d.path.removeprefix(prefix) for d in documents if d.path.startswith(prefix)]


def _kustomization(version: str, kind: str, resources: list[str]) -> str:
    lines = [f"apiVersion: kustomize.config.k8s.io/{version}", f"kind: {kind}", "resources:"]
    return "\n".join([*lines, *(f"  - {scalar(path)}" for path in resources)]) + "\n"


def _top(components: list[str]) -> str:
    lines = [
        "# To change something or leave a component out, write a kustomization of your own beside this folder: with this",
        "# folder's base as a resource, and those components that you want. What is changed in here, the next",
        "# `homeport render` refuses to overwrite.",
        "apiVersion: kustomize.config.k8s.io/v1beta1",
        "kind: Kustomization",
        "resources:",
        "  - base",
    ]
    if components:
        lines.append("components:")
    for component in components:
        lines += [f"  # {_COMPONENTS[component]}", f"  - components/{component}"]
    return "\n".join(lines) + "\n"


def stream(documents: list[Document]) -> Iterator[str]:
    """The parts of one stream for `kubectl apply -f -`; a fleet's text need not stand in memory twice."""
    for number, document in enumerate(documents):
        if number:
            yield "---\n"
        yield document.text


def shell_path(folder: str, below: str = "") -> str:
    """The folder, or what is below it, as an argument to paste into a shell: quoted, and never read as an option."""
    import shlex

    path = f"{folder.rstrip('/') or '/'}/{below}".replace("//", "/") if below else folder
    return shlex.quote(f"./{path}" if path.startswith("-") else path)
