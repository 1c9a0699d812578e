"""A rendered document as a Pulumi resource, under the Kubernetes provider's own type token."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import pulumi

from homeport.errors import Problem, SpecError
from homeport.manifests.parsing import load
from homeport.manifests.types import Document


def token(api_version: str, kind: str) -> str:
    """Return the provider's type token: `apps/v1`, `Deployment` is `kubernetes:apps/v1:Deployment`, `v1` is `core/v1`."""
    group_version = api_version if "/" in api_version else f"core/{api_version}"
    return f"kubernetes:{group_version}:{kind}"


@cache
def provider_version() -> str:
    """The version of the Kubernetes provider's plugin: that of its Python package, as its typed classes ask for."""
    from importlib.metadata import version

    return version("pulumi-kubernetes")


class Manifest(pulumi.CustomResource):
    """One Kubernetes object, exactly as it was rendered.

    Typed classes would cost four times as much and change nothing: what is registered is the document. The provider
    takes misspelt fields in silence, so a document comes here validated (`parse`).
    """

    def __init__(
        self, name: str, document: Mapping[str, Any], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Register `document` (the parsed object) as resource `name`."""
        super().__init__(
            token(document["apiVersion"], document["kind"]),
            name,
            dict(document),
            pulumi.ResourceOptions.merge(pulumi.ResourceOptions(version=provider_version()), opts),
        )


def parse(document: Document) -> dict[str, Any]:
    """Return the object of a rendered document, held to the strict schema of its kind.

    Raises SpecError where it does not hold (then homeport rendered nonsense, and nothing may be registered).
    """
    from homeport.manifests.validate import validate

    value: dict[str, Any] = load(document.text)
    wrong = validate(value)
    if wrong:
        raise SpecError([Problem(message=f"{document.path}: {text}") for text in wrong])
    return value
