"""What rendering gives: documents, each one Kubernetes object as text."""

import msgspec


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """One Kubernetes object. `text` is the rendered YAML, comments included, without a `---`.

    `component` is None for what is always applied, else the kustomize component that it belongs to
    ("autoscaling", "monitoring"). `path` is relative to the output folder.
    """

    path: str
    kind: str
    api_version: str
    name: str
    namespace: str | None
    component: str | None
    model: str | None
    text: str
