"""A test double of `pulumi-resource-kubernetes`: what the engine starts where the real plugin can't be had.

It stands where the real provider's binary is not installed, and does to a real API server what the real one does, as far as
homeport's programs ask for it: server-side apply, dry run in previews, replacement of what cannot be changed, adoption,
reading back, waiting for Deployments and Jobs. It does not install Helm charts: a `helm.sh/v3:Release` is only recorded.
"""

import hashlib
import os
import secrets as randomness
import sys
import threading
from concurrent import futures
from contextlib import suppress
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from tests.infra.double.api import Api, ApiError, wait_until
from tests.infra.double.values import changes, moved, plain, secret_keys, unknown, wire, written

VERSION = "4.34.2"
ADDED = ("__inputs", "__initialApiVersion", "__fieldManager")
FORCE = "pulumi.com/patchForce"
SKIP = "pulumi.com/skipAwait"
ALWAYS = ("apiVersion", "kind", "metadata.name", "metadata.namespace")
REPLACED = {
    "ConfigMap": ("data", "binaryData"),
    "Secret": ("data", "stringData", "type"),
    "Deployment": ("spec.selector",),
    "DaemonSet": ("spec.selector",),
    "StatefulSet": ("spec.selector", "spec.serviceName", "spec.volumeClaimTemplates", "spec.podManagementPolicy"),
    "Job": ("spec.template", "spec.selector", "spec.completions", "spec.completionMode"),
    "Service": ("spec.clusterIP",),
    "PersistentVolumeClaim": ("spec.accessModes", "spec.resources", "spec.selector", "spec.storageClassName", "spec.volumeName", "spec.volumeMode"),
    "RoleBinding": ("roleRef",),
    "ClusterRoleBinding": ("roleRef",),
    "StorageClass": ("parameters", "provisioner", "volumeBindingMode"),
}  # fmt: skip
MUTABLE = {
    "ConfigMap": "PULUMI_K8S_ENABLE_CONFIGMAP_MUTABLE",
    "Secret": "PULUMI_K8S_ENABLE_SECRET_MUTABLE",
}


class Provider(provider_pb2_grpc.ResourceProviderServicer):  # type: ignore[misc]
    """The service that the engine talks to."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.api: Api | None = None
        self.problem = "the provider is not configured"
        self.namespace: str | None = None
        self.options: dict[str, str] = {}

    # --- the provider itself

    def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802
        return plugin_pb2.PluginInfo(version=VERSION)

    def CheckConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.options = plain(request.args)
        self.namespace = self.options.get("namespace")
        try:
            self.api = Api(self.options.get("kubeconfig"), self.options.get("context"))
        except (OSError, KeyError, TypeError) as error:
            self.problem = f"unable to load Kubernetes client configuration from kubeconfig file: {error}"
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Cancel(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.stop.set()
        return empty_pb2.Empty()

    def option(self, name: str, variable: str) -> bool:
        return str(self.options.get(name, os.environ.get(variable, "false"))).lower() == "true"

    def cluster(self) -> Api:
        if self.api is None:
            raise ApiError(0, f"configured Kubernetes cluster is unreachable: {self.problem}")
        return self.api

    # --- resources

    def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        news, old = plain(request.news), plain(request.olds)
        _, group_version, kind = typed(request.urn)
        if kind != "Release":
            news.setdefault("apiVersion", group_version.removeprefix("core/"))
            news.setdefault("kind", kind)
            meta = news.setdefault("metadata", {})
            if not meta.get("name"):
                random = hashlib.sha256(request.randomSeed).hexdigest()[:8] or randomness.token_hex(4)
                meta["name"] = old.get("metadata", {}).get("name") or f"{named(request.urn)}-{random}"
            if self.namespace and not meta.get("namespace") and self._namespaced(news):
                meta["namespace"] = self.namespace
        return provider_pb2.CheckResponse(inputs=wire(news, secret_keys(request.news, kind)))

    def _namespaced(self, document: dict[str, Any]) -> bool:
        try:
            return "/namespaces/" in self.cluster().of(document)
        except ApiError:
            return False

    def Diff(self, request: Any, context: Any) -> Any:  # noqa: N802
        _, _, kind = typed(request.urn)
        old, new = plain(request.olds).get("__inputs") or plain(request.old_inputs), plain(request.news)
        detailed: dict[str, Any] = {}
        replaces: list[str] = []
        keys: list[str] = []
        forced = ALWAYS + (() if kind in MUTABLE and self._mutable(kind) else REPLACED.get(kind, ()))
        for path, change in changes(comparable(old), comparable(new)):
            text = written(path)
            if any(text == i or text.startswith((f"{i}.", f"{i}[")) for i in request.ignoreChanges):
                continue
            new_one = any(
                text == f or text.startswith((f"{f}.", f"{f}[")) or f.startswith(f"{text}.") for f in forced
            )
            if kind == "Release":
                new_one = text in ("name", "namespace")
            detailed[text] = provider_pb2.PropertyDiff(
                kind=getattr(provider_pb2.PropertyDiff, change + ("_REPLACE" if new_one else "")),
                inputDiff=True,
            )
            keys.append(str(path[0]))
            if new_one:
                replaces.append(str(path[0]))
        same = identity(old) == identity(new)
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if detailed else provider_pb2.DiffResponse.DIFF_NONE,
            replaces=sorted(set(replaces)),
            diffs=sorted(set(keys)),
            deleteBeforeReplace=bool(replaces) and same,
            detailedDiff=detailed,
            hasDetailedDiff=True,
        )

    def _mutable(self, kind: str) -> bool:
        return self.option(f"enable{kind}Mutable", MUTABLE[kind])

    def Create(self, request: Any, context: Any) -> Any:  # noqa: N802
        _, _, kind = typed(request.urn)
        inputs, hidden = plain(request.properties), secret_keys(request.properties, kind)
        if kind == "Release":
            if not request.preview:
                print(
                    f"the provider's double only records the Helm release {named(request.urn)}: no chart is installed",
                    file=sys.stderr,
                )
            return provider_pb2.CreateResponse(
                id="" if request.preview else f"{inputs.get('namespace', 'default')}/{inputs.get('name')}",
                properties=wire({**inputs, "__inputs": inputs}, hidden),
            )
        manager = f"pulumi-kubernetes-{randomness.token_hex(4)}"
        if request.preview:
            return provider_pb2.CreateResponse(id="", properties=wire(self._dry(inputs, manager), hidden))
        try:
            api = self.cluster()
            # A kind whose CRD is only just there is looked for a few seconds.
            wait_until(lambda: self._has(inputs), 5, self.stop)
            live = api.get(inputs)
            adopt = self.option("upsertExistingObjects", "PULUMI_K8S_UPSERT_EXISTING_OBJECTS")
            if live is not None and not adopt:
                raise ApiError(409, f'resource "{identity(inputs)}" already exists')
            live = api.apply(inputs, manager, force=self._force(inputs), dry_run=False)
        except ApiError as error:
            return context.abort(
                grpc.StatusCode.UNKNOWN, f"creation of resource {identity(inputs)} failed: {error}"
            )
        properties = wire(outputs(live, inputs, manager), hidden)
        self._await(context, live, inputs, manager, hidden, request.timeout)
        return provider_pb2.CreateResponse(id=identity(live), properties=properties)

    def _has(self, document: dict[str, Any]) -> bool:
        try:
            return bool(self.cluster().of(document))
        except ApiError as error:
            if error.code == 404:
                return False
            raise

    def _force(self, document: dict[str, Any]) -> bool:
        annotation = document["metadata"].get("annotations", {}).get(FORCE)
        return annotation == "true" or self.option("enablePatchForce", "PULUMI_K8S_ENABLE_PATCH_FORCE")

    def _dry(self, inputs: dict[str, Any], manager: str) -> dict[str, Any]:
        """What an object would be: the server's own answer where it can give one, else the inputs."""
        made = inputs
        if not unknown(inputs):
            try:
                made = self.cluster().apply(inputs, manager, force=self._force(inputs), dry_run=True)
            except ApiError as error:
                if error.code not in (0, 403, 404, 409):
                    raise
        return outputs(made, inputs, manager)

    def Read(self, request: Any, context: Any) -> Any:  # noqa: N802
        _, group_version, kind = typed(request.urn)
        state, old = plain(request.properties), plain(request.inputs)
        if kind == "Release":
            return provider_pb2.ReadResponse(
                id=request.id, properties=request.properties, inputs=request.inputs
            )
        namespace, _, name = request.id.rpartition("/")
        target = {
            "apiVersion": state.get("apiVersion", group_version.removeprefix("core/")),
            "kind": kind,
            "metadata": {"name": name, "namespace": namespace or None},
        }
        try:
            live = self.cluster().get(target)
        except ApiError as error:
            return context.abort(grpc.StatusCode.UNKNOWN, f"failed to read {request.id}: {error}")
        if live is None:
            return provider_pb2.ReadResponse(id="")
        hidden = secret_keys(request.inputs, kind)
        inputs = old or {key: value for key, value in clean(live).items() if key != "status"}
        if state:
            inputs = moved(old, state, clean(live))
        manager = state.get("__fieldManager", "pulumi-kubernetes")
        return provider_pb2.ReadResponse(
            id=request.id,
            properties=wire(outputs(live, inputs, manager), hidden),
            inputs=wire(inputs, hidden),
        )

    def Update(self, request: Any, context: Any) -> Any:  # noqa: N802
        _, _, kind = typed(request.urn)
        inputs, hidden = plain(request.news), secret_keys(request.news, kind)
        state = plain(request.olds)
        manager = state.get("__fieldManager", "pulumi-kubernetes")
        if kind == "Release":
            return provider_pb2.UpdateResponse(properties=wire({**inputs, "__inputs": inputs}, hidden))
        if request.preview:
            return provider_pb2.UpdateResponse(properties=wire(self._dry(inputs, manager), hidden))
        try:
            live = self.cluster().apply(inputs, manager, force=self._force(inputs), dry_run=False)
        except ApiError as error:
            return context.abort(
                grpc.StatusCode.UNKNOWN, f"update of resource {identity(inputs)} failed: {error}"
            )
        self._await(context, live, inputs, manager, hidden, request.timeout)
        return provider_pb2.UpdateResponse(properties=wire(outputs(live, inputs, manager), hidden))

    def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
        _, _, kind = typed(request.urn)
        if kind == "Release":
            return empty_pb2.Empty()
        state = plain(request.properties)
        try:
            api = self.cluster()
            if self._has(state):
                api.call("DELETE", api.of(state), {"propagationPolicy": "Foreground"})
                if not wait_until(lambda: api.get(state) is None, request.timeout or 300, self.stop):
                    raise ApiError(0, "it is still there")
        except ApiError as error:
            if error.code != 404:
                return context.abort(grpc.StatusCode.UNKNOWN, f"deletion of {request.id} failed: {error}")
        return empty_pb2.Empty()

    # --- waiting

    def _await(
        self,
        context: Any,
        live: dict[str, Any],
        inputs: dict[str, Any],
        manager: str,
        hidden: set[str],
        seconds: float,
    ) -> None:
        """Wait for a Deployment or a Job as the real provider does; what is not ready in time stays, and is an error."""
        check = {"Deployment": available, "Job": complete}.get(live["kind"])
        if check is None or inputs["metadata"].get("annotations", {}).get(SKIP) == "true":
            return
        api = self.cluster()
        last: dict[str, Any] = live

        def ready() -> bool:
            nonlocal last
            try:
                last = api.get(live) or last
            except ApiError:
                return False
            return check(last)

        if wait_until(ready, seconds or 600, self.stop):
            return
        reason = f"{live['kind']} {identity(live)} did not become ready in time"
        detail = provider_pb2.ErrorResourceInitFailed(
            id=identity(live),
            properties=wire(outputs(last, inputs, manager), hidden),
            inputs=wire(inputs, hidden),
            reasons=[reason],
        )
        status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=reason)
        status.details.add().Pack(detail)
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(grpc.StatusCode.UNKNOWN, reason)


def available(live: dict[str, Any]) -> bool:
    """A rollout that is over: every wanted replica is the new one, and available."""
    status, wanted = live.get("status", {}), live["spec"].get("replicas", 1)
    return bool(
        status.get("observedGeneration", 0) >= live["metadata"]["generation"]
        and status.get("updatedReplicas", 0) == wanted == status.get("replicas", 0)
        and status.get("availableReplicas", 0) == wanted
    )


def complete(live: dict[str, Any]) -> bool:
    """A Job that succeeded."""
    return any(
        c["type"] == "Complete" and c["status"] == "True"
        for c in live.get("status", {}).get("conditions", [])
    )


def typed(urn: str) -> tuple[str, str, str]:
    """Package, group and version, and kind of a URN's own type."""
    package, middle, kind = urn.split("::")[2].split("$")[-1].split(":")
    return package, middle, kind


def named(urn: str) -> str:
    return urn.split("::")[3]


def identity(document: dict[str, Any]) -> str:
    """The id of an object: NAMESPACE/NAME, or NAME."""
    meta = document.get("metadata", {})
    return "/".join(filter(None, (meta.get("namespace"), meta.get("name"))))


def clean(live: dict[str, Any]) -> dict[str, Any]:
    """A live object without the bookkeeping of field managers, which differs at every look."""
    meta = {k: v for k, v in live["metadata"].items() if k != "managedFields"}
    return {**live, "metadata": meta}


def outputs(live: dict[str, Any], inputs: dict[str, Any], manager: str) -> dict[str, Any]:
    """The state of a resource: the object, and what the next diff compares with."""
    return {
        **clean(live),
        "__inputs": inputs,
        "__initialApiVersion": inputs["apiVersion"],
        "__fieldManager": manager,
    }


def comparable(inputs: dict[str, Any]) -> dict[str, Any]:
    """Inputs as two are compared: `stringData` is `data`, encoded."""
    import base64

    found = {key: value for key, value in inputs.items() if key not in ADDED}
    if "stringData" in found:
        encoded = {k: base64.b64encode(str(v).encode()).decode() for k, v in found.pop("stringData").items()}
        found["data"] = {**found.get("data", {}), **encoded}
    return found


def serve(provider: Any) -> None:
    """Serve on a free port of loopback; say it on stdout, as the engine expects. End with the engine."""
    engine = os.getppid()
    unlimited = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=32), options=unlimited)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    with suppress(KeyboardInterrupt):
        # An engine that was killed stops nobody: its plugins see that they have another parent.
        while os.getppid() == engine:
            server.wait_for_termination(timeout=1)
    server.stop(0)


if __name__ == "__main__":
    serve(Provider())
