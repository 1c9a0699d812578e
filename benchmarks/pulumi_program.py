"""A Pulumi program that registers rendered objects under mocks: `python pulumi_program.py typed|untyped DOCUMENTS`.

`untyped` is how homeport registers them, `typed` the way of the Kubernetes provider's own classes. DOCUMENTS is a file
with one JSON object a line.
"""

import sys
from pathlib import Path
from typing import Any

import msgspec
import pulumi
from pulumi.runtime import mocks


class Echo(mocks.Mocks):
    """Answers every registration with its inputs, and counts."""

    count = 0

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        self.count += 1
        return f"{args.name}-id", dict(args.inputs)

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:  # noqa: ARG002
        return {}, None


def untyped(name: str, document: dict[str, Any]) -> None:
    """Register as homeport does."""
    from homeport_infra.manifest import Manifest

    Manifest(name, document)


def typed(name: str, document: dict[str, Any]) -> None:
    """Register with the class of the kind."""
    import pulumi_kubernetes as k8s

    version, kind = document["apiVersion"], document["kind"]
    rest = {key: value for key, value in document.items() if key not in ("apiVersion", "kind")}
    known = {
        "v1": k8s.core.v1,
        "apps/v1": k8s.apps.v1,
        "batch/v1": k8s.batch.v1,
        "networking.k8s.io/v1": k8s.networking.v1,
        "policy/v1": k8s.policy.v1,
    }
    if version in known:
        # The classes take the rendered keys, but name their arguments in Python's way.
        names = {"automountServiceAccountToken": "automount_service_account_token"}
        getattr(known[version], kind)(name, **{names.get(key, key): value for key, value in rest.items()})
    else:
        k8s.apiextensions.CustomResource(name, api_version=version, kind=kind, **rest)


def main(way: str, file: Path) -> None:
    """Register every document of the file."""
    documents = [msgspec.json.decode(line) for line in file.read_bytes().splitlines()]
    register = {"typed": typed, "untyped": untyped}[way]
    echo = Echo()
    mocks.set_mocks(echo, project="benchmark", stack="test", preview=False)

    @pulumi.runtime.test  # type: ignore[untyped-decorator]  # pulumi says nothing of types here
    def program() -> None:
        for number, document in enumerate(documents):
            register(f"object-{number}", document)

    program()
    if echo.count != len(documents):
        raise SystemExit(f"{echo.count} of {len(documents)} objects were registered")


main(sys.argv[1], Path(sys.argv[2]))
