"""Names and labels of the objects of one model."""

import re

from homeport.manifests.values import Meta
from homeport.planning.types import ModelPlan

NAME = "app.kubernetes.io/name"
INSTANCE = "app.kubernetes.io/instance"
COMPONENT = "app.kubernetes.io/component"

SERVER = "model-server"
WORKER = "model-worker"
DOWNLOAD = "model-download"
WEIGHTS = "model-weights"


def labels(plan: ModelPlan, part_of: str, component: str = SERVER) -> dict[str, str]:
    """The recommended labels, in fixed order."""
    return {
        NAME: plan.engine.engine,
        INSTANCE: plan.spec.name,
        COMPONENT: component,
        "app.kubernetes.io/version": label_value(plan.engine.version),
        **common(part_of),
    }


def common(part_of: str) -> dict[str, str]:
    """The labels of every object, those of no model too."""
    return {"app.kubernetes.io/part-of": part_of, "app.kubernetes.io/managed-by": "homeport"}


def instance(plan: ModelPlan) -> dict[str, str]:
    """The label that finds all pods of a model, servers or not."""
    return {INSTANCE: plan.spec.name}


def selector(plan: ModelPlan, component: str = SERVER) -> dict[str, str]:
    """The labels that find the pods of a model: they never change with a version."""
    return {INSTANCE: plan.spec.name, COMPONENT: component}


def label_value(text: str) -> str:
    """`text` as a label's value: what Kubernetes refuses becomes '-', at most 63 characters."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", text)[:63].strip("-._") or "unknown"


def meta(plan: ModelPlan, namespace: str, part_of: str, suffix: str = "", component: str = SERVER) -> Meta:
    """Name, namespace and labels of an object of a model; `suffix` begins with '-'."""
    return Meta(name=plan.spec.name + suffix, namespace=namespace, labels=labels(plan, part_of, component))
