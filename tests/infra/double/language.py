"""A stand-in for `pulumi-language-python`, where that is not installed: the language server of the SDK's Automation API.

The engine starts it for a project with `runtime: python`, as it would the real host, and it runs the project's `__main__.py`.
It chooses no interpreter and installs nothing: the toolchain in Pulumi.yaml is not tried with it.
"""

import os
import runpy
import sys
from concurrent import futures
from contextlib import suppress
from typing import Any

import grpc
from pulumi.automation._server import LanguageServer
from pulumi.runtime.proto import language_pb2_grpc


class Host(LanguageServer):
    """Runs the program of the folder that the engine names."""

    def __init__(self, engine: str) -> None:
        super().__init__(lambda: void(runpy.run_path("__main__.py", run_name="__main__")))
        self.engine = engine

    def Run(self, request: Any, context: Any) -> Any:  # noqa: N802
        os.chdir(request.info.program_directory)
        sys.path.insert(0, request.info.program_directory)
        request.args.insert(0, self.engine)
        return super().Run(request, context)


def void(_value: object) -> None:
    """A program's globals are no result of its."""


if __name__ == "__main__":
    parent = os.getppid()
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    host = Host(next(text for text in sys.argv[1:] if not text.startswith("-")))
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    with suppress(KeyboardInterrupt):
        while os.getppid() == parent:
            server.wait_for_termination(timeout=1)
    server.stop(0)
