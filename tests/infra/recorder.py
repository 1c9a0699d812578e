"""Pulumi's mocks: what a program registers, without an engine, a cluster or a cloud.

A mock stands here because neither the engine nor a provider is on the machines that run these tests.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pulumi
from pulumi.runtime import mocks

SECRET = "4dabf18193072939515e22adb298388d"


class Registered(msgspec.Struct, frozen=True):
    """One registered resource."""

    token: str
    name: str
    inputs: dict[str, Any]
    provider: str | None
    is_custom: bool


class Recorder(mocks.Mocks):
    """Keeps what is registered and answers with its inputs."""

    def __init__(self) -> None:
        self.found: list[Registered] = []

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        inputs = normal(args.inputs)
        self.found.append(Registered(args.typ, args.name, inputs, args.provider, args.custom is not False))
        return f"{args.name}-id", dict(args.inputs)

    def call(self, args: mocks.MockCallArgs) -> dict[str, Any]:
        return {}


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
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        yield
    finally:
        loop.close()
        asyncio.set_event_loop(None)


def run(
    program: Callable[[], Any], config: dict[str, str] | None = None
) -> tuple[list[Registered], dict[str, Any]]:
    """Run a program under mocks to its end; return what it registered and what it exported."""
    recorder = Recorder()
    exported: dict[str, Any] = {}
    with _loop():
        mocks.set_mocks(recorder, project="homeport", stack="test", preview=False)
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
