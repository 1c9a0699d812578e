"""What rendering gives: documents, each one Kubernetes object as text."""

from typing import Any

import msgspec


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """One Kubernetes object. `text` is the rendered YAML, comments included, without a `---`.

    `component` is None for what is always applied, else the kustomize component that it belongs to
    ("autoscaling", "monitoring"). `path` is relative to the output folder. `json` is the object that `text` holds, with
    `placeholder` in the place of the model's name (None: it has the name).
    """

    path: str
    kind: str
    api_version: str
    name: str
    namespace: str | None
    component: str | None
    model: str | None
    text: str
    json: bytes
    placeholder: str | None

    def object(self) -> dict[str, Any]:
        """The object that `text` holds, held to the strict schema of its kind when it was rendered; anew at each call."""
        json = self.json
        if self.placeholder is not None and self.model is not None:
            json = json.replace(self.placeholder.encode(), self.model.encode())
        found: dict[str, Any] = msgspec.json.decode(json)
        return found
