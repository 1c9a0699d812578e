"""An engine's last words, translated: which line said what, what it means, and what to do."""

import re
from functools import cache

import msgspec

from homeport.cluster.doctor_memory import SUMS
from homeport.cluster.doctor_patterns import PATTERNS, Pattern
from homeport.planning.types import ModelPlan

LONGEST_LINE = 400


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a log is from, for the commands of a finding."""

    namespace: str
    pod: str
    container: str
    node: str = ""
    file: str = "homeport.yaml"


class Translation(msgspec.Struct, frozen=True, kw_only=True):
    """What a log means. `line` is the engine's own."""

    id: str
    what: str
    why: str
    advice: str
    repair: tuple[str, ...]
    line: str
    source: str


@cache
def _compiled(pattern: str) -> "re.Pattern[str]":
    return re.compile(pattern)


def translate(log: str, model: ModelPlan | None, place: Place) -> Translation | None:
    """The first known cause in a log, or None: then only the log itself can tell."""
    engine = model.engine.engine if model else None
    for pattern in PATTERNS:
        if pattern.engines and engine is not None and engine not in pattern.engines:
            continue
        found = _compiled(pattern.seen).search(log)
        if found is not None:
            return _translation(pattern, found, log, model, place)
    return None


def last_error(log: str) -> str:
    """The line that most likely tells the reason where no pattern knows it: the last error, else the last line."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [
        line
        for line in lines
        if re.search(r"(?:^|\W)[A-Za-z]*(?:Error|Exception|ERROR|FATAL|panic)\b", line)
        and not line.startswith("Traceback")
    ]
    return _short((errors or lines or [""])[-1])


def _translation(
    pattern: Pattern, found: "re.Match[str]", log: str, model: ModelPlan | None, place: Place
) -> Translation:
    values = _values(found, model, place)
    advice = pattern.advice.format_map(values)
    if pattern.sums and model is not None:
        said = SUMS[pattern.sums](model, found)
        advice = "; ".join(part for part in (advice, said) if part)
    start = log.rfind("\n", 0, found.start()) + 1
    end = log.find("\n", found.end())
    line = " ".join(log[start : end if end >= 0 else len(log)].split())
    return Translation(
        id=pattern.id,
        what=pattern.what.format_map(values),
        why=pattern.why,
        advice=advice,
        repair=tuple(command.format_map(values) for command in pattern.repair),
        line=_short(line),
        source=pattern.source,
    )


def _values(found: "re.Match[str]", model: ModelPlan | None, place: Place) -> dict[str, str]:
    groups = {k: v for k, v in found.groupdict().items() if v is not None}
    flag = next((groups[k].strip() for k in ("flag", "flag2", "flag3", "flag4") if k in groups), "")
    values = {
        "namespace": place.namespace,
        "pod": place.pod,
        "container": place.container,
        "node": place.node or "NODE",
        "file": place.file,
        "name": place.pod,
        "checkpoint": groups.get("repo", "the model"),
        "image": "the image",
        "engine": "the engine",
        "engine_name": "ENGINE",
        "version": "",
        "driver": f" (CUDA {groups['cuda']} is asked for)" if "cuda" in groups else "",
        "other_image": "",
        "secret": "hub-token",
        "key": "token",
        "context": "unknown",
        "disk": "raise weights.size_gib, or free the node's disk",
    }
    if model is not None:
        token = model.spec.hub_token
        others = model.engine.other_images
        values |= {
            "name": model.spec.name,
            "checkpoint": model.source.checkpoint,
            "image": model.image,
            "engine": model.engine.engine,
            "engine_name": model.engine.engine,
            "version": model.engine.version,
            "context": f"{model.source.context_tokens}",
            "disk": f"the checkpoint is {model.source.weight_bytes / 2**30:.0f} GiB: raise weights.size_gib above that, or free "
            "the node's disk",
        }
        if model.engine.needs_driver:
            values["driver"] += f"; it needs {model.engine.needs_driver}"
        if "cu129" in others and model.image != others["cu129"]:
            values["other_image"] = f", or set image to {others['cu129']}, which is made for older drivers"
        if token is not None:
            values |= {"secret": token.secret, "key": token.key}
    return {**values, **groups, "flag": flag}


def _short(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 1] + "…"
