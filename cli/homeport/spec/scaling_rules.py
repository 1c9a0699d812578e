"""What the fields of `scaling` and `replicas` must hold together."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from homeport.errors import Problem
from homeport.spec.scaling import SCALING_FIELDS, ZERO
from homeport.spec.source import Path

if TYPE_CHECKING:
    from homeport.spec.models import ModelSpec


def check_replicas_scaled(model: "ModelSpec", path: Path) -> Iterable[Problem]:
    """Whoever shall move the replicas can, and what is said of the moving is read."""
    least, most, scaling = model.replicas.min, model.replicas.max, model.scaling
    fixed = least is not None and least == most
    if least == 0 and scaling.by != "keda":
        why = (
            "a HorizontalPodAutoscaler keeps one replica at least"
            if scaling.by == "hpa"
            else "0 needs something that starts the first replica"
        )
        yield Problem(
            message=f"{why}, and scaling.by is {scaling.by}",
            path=(*path, "replicas", "min"),
            value=0,
            help="scaling: {by: keda, wake: QUERY}, or min: 1",
        )
    elif least == 0 and scaling.wake is None:
        yield Problem(
            message="nothing would wake it: the replicas' own metrics are gone while none runs",
            path=(*path, "replicas", "min"),
            value=0,
            help="scaling: {wake: QUERY}, the PromQL of a gateway's waiting requests, or min: 1",
        )
    elif scaling.by == "none" and least is not None and most is not None and least < most:
        yield Problem(
            message=f"nothing moves the replicas between {least} and {most}: scaling.by is none",
            path=(*path, "scaling", "by"),
            value="none",
            help="min = max for a fixed number, or scaling: {by: keda}",
        )
    for name in SCALING_FIELDS[scaling.by][0]:
        value = getattr(scaling, name)
        if value is not None and fixed:
            yield Problem(
                message=f"nothing scales: replicas.min and max are both {least}",
                path=(*path, "scaling", name),
                value=value,
                help="remove it, or raise replicas.max",
            )
        elif value is not None and name in ZERO and least != 0:
            yield Problem(
                message=f"this is read only where replicas may go to 0, and replicas.min is {1 if least is None else least}",
                path=(*path, "scaling", name),
                value=value,
                help="remove it, or write replicas: {min: 0}",
            )
