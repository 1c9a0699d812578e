"""One model: its server, weights, scaling and network, as one component."""

import math
from collections.abc import Sequence
from decimal import Decimal

import pulumi

from homeport.manifests.types import Document
from homeport.planning.types import ModelPlan
from homeport_infra.manifest import Manifest, parse

# What has to exist before what: each phase waits for the one before it.
PHASES = (
    ("ServiceAccount", "ConfigMap", "NetworkPolicy", "PersistentVolume", "PersistentVolumeClaim"),
    ("Job",),
    ("Service", "Deployment", "LeaderWorkerSet"),
    ("PodDisruptionBudget", "Ingress", "HTTPRoute", "ScaledObject", "PodMonitor"),
)
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
    """

    endpoint: pulumi.Output[str]
    usd_per_month: pulumi.Output[float | None]
    gpus: pulumi.Output[int]

    def __init__(self, name: str, args: ModelServerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Register the objects in the order in which they depend on each other."""
        super().__init__("homeport:index:ModelServer", name, None, opts)
        done: list[pulumi.Resource] = []
        for phase in PHASES:
            made: list[pulumi.Resource] = [
                Manifest(
                    f"{name}-{document.kind.lower()}-{document.name}",
                    parse(document),
                    pulumi.ResourceOptions(
                        parent=self, depends_on=list(done), custom_timeouts=timeouts(args.plan, document.kind)
                    ),
                )
                for document in args.documents
                if document.kind in phase
            ]
            done = made or done
        left = [d.kind for d in args.documents if not any(d.kind in phase for phase in PHASES)]
        if left:
            raise ValueError(f"no phase registers {', '.join(left)}")
        self.endpoint = pulumi.Output.from_input(endpoint(args.plan, args.documents))
        self.usd_per_month = pulumi.Output.from_input(_dollars(args.plan.usd_per_month))
        self.gpus = pulumi.Output.from_input(args.plan.gpus_per_replica * args.plan.replicas_planned)
        self.register_outputs(
            {"endpoint": self.endpoint, "usdPerMonth": self.usd_per_month, "gpus": self.gpus}
        )


def timeouts(plan: ModelPlan, kind: str) -> pulumi.CustomTimeouts | None:
    """How long Pulumi waits for what loads weights: the pessimistic end of the start-up estimate, twice over."""
    if kind not in ("Deployment", "Job") or plan.startup is None:
        return None
    seconds = max(LEAST_TIMEOUT_S, math.ceil(2 * plan.startup.ready_s_interval[1]))
    return pulumi.CustomTimeouts(create=f"{seconds}s", update=f"{seconds}s")


def endpoint(plan: ModelPlan, documents: Sequence[Document]) -> str:
    """The URL of the model's API inside the cluster."""
    service = next(d for d in documents if d.kind == "Service" and d.name == plan.spec.name)
    port = parse(service)["spec"]["ports"][0]["port"]
    return f"http://{service.name}.{service.namespace}.svc:{port}/v1"


def _dollars(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)
