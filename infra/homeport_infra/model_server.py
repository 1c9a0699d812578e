"""One model: its server, weights, scaling and network, as one component."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pulumi

from homeport.manifests.pods import NODE_AND_IMAGE_S, timing
from homeport.manifests.types import Document
from homeport.manifests.weights import slowest_download_s
from homeport.planning.types import ModelPlan
from homeport_infra.manifest import Manifest

# What has to exist before what: each phase waits for the one before it.
PHASES = (
    ("ServiceAccount", "ConfigMap", "NetworkPolicy", "PersistentVolume", "PersistentVolumeClaim"),
    ("Job",),
    ("Service", "Deployment", "LeaderWorkerSet"),
    ("PodDisruptionBudget", "Ingress", "HTTPRoute", "ScaledObject", "HorizontalPodAutoscaler", "PodMonitor"),
)
OF_CHARTS = ("LeaderWorkerSet", "ScaledObject", "HorizontalPodAutoscaler", "PodMonitor")
"""Kinds that charts of the platform bring, or whose metrics they serve."""
MARGIN_S = 60
LEAST_TIMEOUT_S = 600
"""Pulumi's own patience with a Deployment, seconds; never less."""


class ModelServerArgs:
    """What a `ModelServer` is made of."""

    def __init__(self, *, plan: ModelPlan, documents: Sequence[Document]) -> None:
        """`plan` is one model of a plan, `documents` its rendered objects (without the namespace)."""
        self.plan = plan
        self.documents = documents


class ModelServer(pulumi.ComponentResource):
    """A model that is served: every object that `homeport render` writes for it.

    Outputs: `endpoint` (the URL inside the cluster), `usd_per_month` (None: unknown), `gpus` (of the planned replicas).
    `objects` are its Kubernetes objects, in the order of the documents' phases.
    """

    endpoint: pulumi.Output[str]
    usd_per_month: pulumi.Output[float | None]
    gpus: pulumi.Output[int]
    objects: tuple[Manifest, ...]

    def __init__(self, name: str, args: ModelServerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Register the objects in the order in which they depend on each other."""
        super().__init__("homeport:index:ModelServer", name, None, opts)
        # The engine removes in the order of what each resource itself depends on, not its component: without this a chart can
        # go before the objects that only its controller can finish.
        charts = pulumi.ResourceOptions(depends_on=opts.depends_on if opts else None)
        every: list[Manifest] = []
        done: list[pulumi.Resource] = []
        for phase in PHASES:
            made: list[Manifest] = []
            for document in args.documents:
                if document.kind not in phase:
                    continue
                value = awaited(args.plan, document.object())
                patience = timeouts(args.plan, value)
                own = pulumi.ResourceOptions(parent=self, depends_on=list(done), custom_timeouts=patience)
                if document.kind in OF_CHARTS:
                    own = pulumi.ResourceOptions.merge(charts, own)
                made.append(Manifest(f"{name}-{document.kind.lower()}-{document.name}", value, own))
            every += made
            done = [*made] or done
        self.objects = tuple(every)
        left = [d.kind for d in args.documents if not any(d.kind in phase for phase in PHASES)]
        if left:
            raise ValueError(f"no phase registers {', '.join(left)}")
        self.endpoint = pulumi.Output.from_input(endpoint(args.plan, args.documents))
        self.usd_per_month = pulumi.Output.from_input(_dollars(args.plan.usd_per_month))
        self.gpus = pulumi.Output.from_input(args.plan.gpus_per_replica * args.plan.replicas_planned)
        self.register_outputs(
            {"endpoint": self.endpoint, "usdPerMonth": self.usd_per_month, "gpus": self.gpus}
        )


SKIP_AWAIT = {"pulumi.com/skipAwait": "true"}
WAIT_FOR_GROUPS = {"pulumi.com/waitFor": "condition=Available"}
"""The annotations that this program alone adds to rendered objects."""
WAITS_FOR_PODS = ("Deployment", "Service")
"""Kinds for which Pulumi's provider waits until their pods are ready: of a Service, those that it already leads to."""


def awaited(plan: ModelPlan, document: dict[str, Any]) -> dict[str, Any]:
    """The object as it is registered: with what tells Pulumi how to wait for its pods, where that is not its own way.

    Of a model that may have no replicas it would wait for pods that nobody wants yet; of a LeaderWorkerSet, a custom
    resource, it would not wait at all. The annotations speak to Pulumi only, so `render` leaves them out.
    """
    kind = document["kind"]
    if kind in WAITS_FOR_PODS and plan.replicas_min == 0:
        more = SKIP_AWAIT
    elif kind == "LeaderWorkerSet" and plan.replicas_min > 0:
        more = WAIT_FOR_GROUPS
    else:
        return document
    metadata = document["metadata"]
    annotations = {**metadata.get("annotations", {}), **more}
    return {**document, "metadata": {**metadata, "annotations": annotations}}


def timeouts(plan: ModelPlan, document: Mapping[str, Any]) -> pulumi.CustomTimeouts | None:
    """How long Pulumi waits for what loads weights: a rollout's own deadline, a download on the slowest network seen.

    New replicas start together; in an update, on a full pool, one after the other.
    """
    kind = document["kind"]
    in_turn = plan.replicas_max
    if kind == "Deployment":
        seconds = document["spec"].get("progressDeadlineSeconds", 0)
    elif kind in ("LeaderWorkerSet", "Service"):
        seconds = timing(plan, slowest_download_s(plan)).progress_s
    elif kind == "Job":
        seconds, in_turn = NODE_AND_IMAGE_S + slowest_download_s(plan), 1
    else:
        return None
    seconds = max(LEAST_TIMEOUT_S, seconds + MARGIN_S)
    return pulumi.CustomTimeouts(create=f"{seconds}s", update=f"{seconds * max(1, in_turn)}s")


def endpoint(plan: ModelPlan, documents: Sequence[Document]) -> str:
    """The URL of the model's API inside the cluster."""
    service = next(d for d in documents if d.kind == "Service" and d.name == plan.spec.name)
    port = service.object()["spec"]["ports"][0]["port"]
    return f"http://{service.name}.{service.namespace}.svc:{port}/v1"


def _dollars(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)
