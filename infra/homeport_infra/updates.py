"""What a step means for who uses the models: in place or replaced, why, and how long a replica is away meanwhile.

Pure functions of the engine's steps and the plan. On a full pool a new pod finds no GPU before an old one is gone (maxSurge 0),
so each replica is away for as long as the plan says that it takes to start.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from homeport.planning.types import ModelPlan, Plan
from homeport_infra.events import Step

MAKES_PODS = ("Deployment", "LeaderWorkerSet")
TEMPLATES = ("spec.template", "spec.leaderWorkerTemplate")
POOLS = ("NodePool", "NodeGroup", "AgentPool")
PHRASES = (
    ("].image", "image"),
    ("].args", "the engine's arguments"),
    ("].command", "the engine's command"),
    ("].env", "environment"),
    ("].resources", "resources"),
    ("Probe", "probes"),
    (".volumes", "volumes"),
    ("].volumeMounts", "volumes"),
    ("nodeSelector", "where it may run"),
    (".affinity", "where it may run"),
    ("tolerations", "where it may run"),
    ("minReplicaCount", "least replicas"),
    ("maxReplicaCount", "most replicas"),
    ("minReplicas", "least replicas"),
    ("maxReplicas", "most replicas"),
    ("spec.replicas", "replicas"),
    ("triggers", "what it scales on"),
    ("spec.metrics", "what it scales on"),
    (".behavior.", "how fast it scales"),
    ("spec.fallback.", "replicas while the load is unknown"),
    ("spec.resources.requests.storage", "size"),
    ("progressDeadlineSeconds", "how long a rollout may take"),
    ("terminationGracePeriodSeconds", "how long a drain may take"),
    ("metadata.labels", "labels"),
    ("metadata.annotations", "annotations"),
)
REPLACED = {
    "PersistentVolumeClaim": "a claim's size, class and access cannot be changed: its weights are fetched again",
    "PersistentVolume": "a volume's source cannot be changed",
    "Job": "a Job's pods cannot be changed: the weights are checked, and fetched where they are missing",
    "Deployment": "a Deployment's selector cannot be changed: all its pods are made anew",
    "LeaderWorkerSet": "all its pods are made anew",
    "Service": "a Service's cluster IP cannot be changed: clients that keep the old address lose it",
    "Namespace": "everything in it is made anew",
    "ConfigMap": "its data cannot be changed in place",
    "Secret": "its data cannot be changed in place",
}


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to one resource, in words.

    `away_s` is how long each replica is away, seconds, expected (None: not at all, or nothing is known of it); `away` says it.
    """

    step: Step
    change: str
    why: str
    away: str = ""
    away_s: float | None = None


def effects(steps: Iterable[Step], plan: Plan) -> list[Effect]:
    """What the steps of a run mean, without those that change nothing."""
    return [effect(step, plan) for step in steps if step.verb not in ("same", "read", "refresh")]


def effect(step: Step, plan: Plan) -> Effect:
    """What one step means."""
    kind = step.token.rpartition(":")[2]
    model = model_of(step, plan)
    if step.verb == "replace":
        because = _because(step.forcing or step.changed, step)
        why = "; ".join(filter(None, (because, REPLACED.get(kind, ""))))
        away = _all_away(model) if kind in (*MAKES_PODS, "Namespace", *POOLS) else ("", None)
        return Effect(step=step, change="replaced", why=why, away=away[0], away_s=away[1])
    if step.verb == "update":
        away = ("", None)
        if kind in MAKES_PODS and model is not None and _restarts(step):
            away = _rollout(step, model)
        return Effect(
            step=step, change="in place", why=_because(step.changed, step), away=away[0], away_s=away[1]
        )
    words = {"create": "new", "delete": "removed", "import": "taken over"}
    return Effect(step=step, change=words.get(step.verb, step.verb), why="")


def model_of(step: Step, plan: Plan) -> ModelPlan | None:
    """The model whose resource a step is about; None for what several share."""
    kind = step.token.rpartition(":")[2].lower()
    return next(
        (
            m
            for m in plan.models
            if step.name == m.spec.name or step.name.startswith(f"{m.spec.name}-{kind}-")
        ),
        None,
    )


def _restarts(step: Step) -> bool:
    return any(path.startswith(TEMPLATES) for path in step.changed)


def _because(paths: Iterable[str], step: Step) -> str:
    """Name the fields that changed, each once, an image with its old and new name."""
    found: dict[str, None] = {}
    for path in paths:
        if path.startswith("__"):
            continue
        phrase = next((text for end, text in PHRASES if end in path), path)
        before, after = _value(step.old, path), _value(step.new, path)
        short = all(isinstance(value, str | int) and len(str(value)) <= 80 for value in (before, after))
        if short and phrase in SHOWN:
            phrase = f"{phrase} {before} → {after}"
        found[phrase] = None
    return ", ".join(found)


SHOWN = ("image", "replicas", "least replicas", "most replicas", "size")


def _value(inputs: Mapping[str, Any] | None, path: str) -> Any:
    """The value at a path as the engine writes it: `spec.template.spec.containers[0].image`."""
    value: Any = inputs
    for part in _parts(path):
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def _parts(path: str) -> Iterator[str]:
    quoted = False
    for part in path.replace('["', "\0").replace('"]', "\0").split("\0"):
        yield from [part] if quoted else filter(None, part.replace("[", ".").replace("]", "").split("."))
        quoted = not quoted


def _rollout(step: Step, model: ModelPlan) -> tuple[str, float | None]:
    """How long replicas are away in a rollout: not at all with room for a new pod beside the old, else one start each."""
    spec = (step.new or {}).get("spec") or {}
    rolling = (spec.get("strategy") or spec.get("rolloutStrategy") or {}).get("rollingUpdate")
    rolling = rolling or (spec.get("rolloutStrategy") or {}).get("rollingUpdateConfiguration") or {}
    surge = str(rolling.get("maxSurge", "0"))
    if surge not in ("0", "0%"):
        return "no replica is away: a new one starts beside the old ones", None
    if model.replicas_max == 0:
        return "", None
    each = _start(model)
    if each is None:
        return "each replica is away while it starts anew; how long is unknown", None
    if model.replicas_planned <= 1:
        return f"the only replica is away for about {duration(each)}, and with it the model", each
    whole = each * model.replicas_planned
    return (
        f"one of {model.replicas_planned} replicas at a time is away for about {duration(each)}, "
        f"{duration(whole)} in all",
        each,
    )


def _all_away(model: ModelPlan | None) -> tuple[str, float | None]:
    each = None if model is None else _start(model)
    if each is None:
        return "every replica on it is away until it has started anew; how long is unknown", None
    return f"every replica is away for about {duration(each)}", each


def _start(model: ModelPlan) -> float | None:
    startup = (model.stands_for or model).startup
    return None if startup is None else startup.ready_s


def duration(seconds: float) -> str:
    """Seconds for a person: `50 s`, `2 min 50 s`."""
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min" + (f" {rest} s" if rest else "")
