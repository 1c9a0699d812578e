"""A rendered document as a Pulumi resource, under the Kubernetes provider's own type token."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import pulumi


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
    takes misspelt fields in silence: what `homeport.manifests` renders is held to the schemas before it comes here.
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
