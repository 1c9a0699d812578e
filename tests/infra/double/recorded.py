"""A test double of a cloud's provider that makes nothing: what a program registers is put into the state as it is.

It stands where there is no cloud to ask (`python -m tests.infra.double.recorded VERSION [WITHOUT]`): the engine, its state and the
program's order are real, what the cloud would say of the arguments is not known.
"""

import sys
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from tests.infra.double.__main__ import named, serve
from tests.infra.double.values import changes, plain, wire, written
from tests.infra.recorder import ANSWERS, COMPUTED


class Recorded(provider_pb2_grpc.ResourceProviderServicer):  # type: ignore[misc]
    """Echoes inputs; a resource gets its Pulumi name where it has none, as a cloud would give it one.

    `without` is a key of the inputs that its check takes away, wherever it stands.
    """

    def __init__(self, version: str, without: str = "") -> None:
        self.version = version
        self.without = without

    def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802
        return plugin_pb2.PluginInfo(version=self.version)

    def CheckConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802
        return provider_pb2.ConfigureResponse(acceptSecrets=False, supportsPreview=True)

    def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        return provider_pb2.CheckResponse(inputs=wire(_less(plain(request.news), self.without)))

    def Diff(self, request: Any, context: Any) -> Any:  # noqa: N802
        old, new = plain(request.old_inputs), plain(request.news)
        paths = [written(path) for path, _ in changes(old, new)]
        update = provider_pb2.PropertyDiff(kind=provider_pb2.PropertyDiff.UPDATE, inputDiff=True)
        found = {p: update for p in paths if not p.startswith(tuple(request.ignoreChanges))}
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if found else provider_pb2.DiffResponse.DIFF_NONE,
            detailedDiff=found,
            hasDetailedDiff=True,
        )

    def Create(self, request: Any, context: Any) -> Any:  # noqa: N802
        name = named(request.urn)
        # In a preview a provider says nothing of what the cloud will say.
        said = {} if request.preview else COMPUTED.get(request.urn.split("::")[2].rpartition("$")[2], {})
        made = wire({"name": name, **plain(request.properties), **said})
        return provider_pb2.CreateResponse(id="" if request.preview else f"recorded/{name}", properties=made)

    def Read(self, request: Any, context: Any) -> Any:  # noqa: N802
        return provider_pb2.ReadResponse(id=request.id, properties=request.properties, inputs=request.inputs)

    def Update(self, request: Any, context: Any) -> Any:  # noqa: N802
        return provider_pb2.UpdateResponse(
            properties=wire({"name": named(request.urn), **plain(request.news)})
        )

    def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:  # noqa: N802
        answer = ANSWERS.get(request.tok.rpartition(":")[2])
        if answer is None:
            return context.abort(grpc.StatusCode.UNIMPLEMENTED, f"no cloud is there to answer {request.tok}")
        return provider_pb2.InvokeResponse(**{"return": wire(answer)})

    def Cancel(self, request: Any, context: Any) -> Any:  # noqa: N802
        return empty_pb2.Empty()


def _less(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        return {name: _less(item, key) for name, item in value.items() if name != key}
    return value


if __name__ == "__main__":
    serve(Recorded(*sys.argv[1:]))
