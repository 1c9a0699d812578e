"""Pulumi's mocks: what a program registers, without an engine, a cluster or a cloud.

A mock stands here because neither the engine nor a provider is on the machines that run these tests.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import msgspec
import pulumi
from pulumi.runtime import mocks

SECRET = "4dabf18193072939515e22adb298388d"


# What a provider adds to the inputs, where a program reads it.
COMPUTED: dict[str, dict[str, Any]] = {
    "gcp:container/cluster:Cluster": {
        "endpoint": "192.0.2.1",
        "masterAuth": {"clusterCaCertificate": "Y2E=", "clientKey": "", "clientCertificate": ""},
    },
    "eks:index:Cluster": {
        "core": {"subnetIds": ["subnet-default"], "vpcId": "vpc-default"},
        "kubeconfigJson": '{"kind": "Config"}',
    },
    "aws:iam/role:Role": {"arn": "arn:aws:iam::123456789012:role/made", "name": "made"},
    # Azure gives the resource the name that the program asked for.
    "azure-native:containerservice:ManagedCluster": {"name": "ml", "location": "westeurope"},
}

# What a provider's functions answer, by the end of their token.
ANSWERS: dict[str, dict[str, Any]] = {
    "getProject": {"projectId": "my-project"},
    "getRegion": {"region": "us-east-1"},
    "getPartition": {"partition": "aws"},
    "getServicePrincipal": {"name": "ec2.amazonaws.com"},
    "getSubnet": {"vpcId": "vpc-given"},
    # {"kind": "Config"}
    "listManagedClusterUserCredentials": {
        "kubeconfigs": [{"name": "clusterUser", "value": "eyJraW5kIjogIkNvbmZpZyJ9"}]
    },
}


class Registered(msgspec.Struct, frozen=True):
    """One registered resource."""

    token: str
    name: str
    inputs: dict[str, Any]
    provider: str | None
    is_custom: bool


class RefusedError(grpc.RpcError):  # type: ignore[misc]
    """What the engine refuses, as it reaches a program."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNKNOWN

    def details(self) -> str:
        return str(self)


class Recorder(mocks.Mocks):
    """Keeps what is registered and answers with its inputs; `stacks` are the outputs of other stacks, by full name."""

    def __init__(self, stacks: dict[str, dict[str, Any]] | None = None) -> None:
        self.found: list[Registered] = []
        self.stacks = stacks or {}

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        inputs = normal(args.inputs)
        if args.typ == "pulumi:pulumi:StackReference":
            return args.name, {"name": args.name, "outputs": self.stacks[args.name], "secretOutputNames": []}
        self.found.append(Registered(args.typ, args.name, inputs, args.provider, args.custom is not False))
        computed = COMPUTED.get(args.typ, {})
        return f"{args.name}-id", {**args.inputs, **computed}

    def call(self, args: mocks.MockCallArgs) -> dict[str, Any]:
        if args.token == "pulumi:pulumi:readStackOutputs":
            name = args.args["name"]
            if name not in self.stacks:
                raise RefusedError(f"unknown stack '{name}'")
            return {"name": name, "outputs": self.stacks[name], "secretOutputNames": []}
        return ANSWERS.get(args.token.rpartition(":")[2], {})


def normal(value: Any) -> Any:
    """Numbers arrive as floats and secrets wrapped: undo the first, show the second."""
    if isinstance(value, dict):
        if SECRET in value:
            return {"secret": normal(value.get("value"))}
        return {key: normal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [normal(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


@contextmanager
def _loop() -> Iterator[None]:
    """An event loop for the program. Mocks open one more in each worker thread and close none: they end here too."""
    opened: list[asyncio.AbstractEventLoop] = []
    original = asyncio.new_event_loop

    def opening() -> asyncio.AbstractEventLoop:
        opened.append(original())
        return opened[-1]

    asyncio.new_event_loop = opening
    try:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            yield
        finally:
            loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        asyncio.new_event_loop = original
        asyncio.set_event_loop(None)
        for one in opened:
            one.close()


def run(
    program: Callable[[], Any],
    config: dict[str, str] | None = None,
    stacks: dict[str, dict[str, Any]] | None = None,
    into: list[Registered] | None = None,
) -> tuple[list[Registered], dict[str, Any]]:
    """Run a program under mocks to its end; return what it registered and what it exported.

    `into` gets what is registered also where the program fails.
    """
    recorder = Recorder(stacks)
    if into is not None:
        recorder.found = into
    exported: dict[str, Any] = {}
    with _loop():
        mocks.set_mocks(
            recorder, project="homeport", stack="test", preview=False, organization="organization"
        )
        for key, value in (config or {}).items():
            pulumi.runtime.set_config(key, value)
        original = pulumi.export

        def export(name: str, value: Any) -> None:
            pulumi.Output.from_input(value).apply(lambda v: exported.__setitem__(name, v))

        pulumi.export = export
        try:

            @pulumi.runtime.test
            def inner() -> Any:
                program()

            inner()
        finally:
            pulumi.export = original
            for key in config or {}:
                pulumi.runtime.set_config(key, "")
    return recorder.found, exported
