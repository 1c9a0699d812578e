"""When nothing works: by how much, and what would."""

import math

from homeport.errors import Problem
from homeport.planning.candidates import Question
from homeport.planning.choose import Choice, Verdict
from homeport.planning.hardware import cloud_of, region_of
from homeport.spec.models import Target


def nothing_works(
    target: Target,
    question: Question,
    choice: Choice,
    refusals: dict[str, str],
    path: tuple[str | int, ...],
    checkpoints: list[str],
) -> Problem:
    """Describe the nearest miss, and what would help. `checkpoints` are quantised ones of the model, smaller ones."""
    spec = question.spec
    field, value = _field(question)
    where = f"{target.platform} ({region_of(target)})" if cloud_of(target) else target.platform
    mine = [v for v in choice.verdicts if not v.candidate.alternative]
    if not mine and len(set(refusals.values())) == 1:
        reason = next(iter(refusals.values()))
        engine = question.release.engine
        return Problem(
            message=reason,
            path=(*path, "engine" if spec.engine else field),
            value=spec.engine or value,
            help="another engine, precision or checkpoint may" if engine == "vllm" else "engine: vllm may",
        )
    if not mine:
        first = next(iter(refusals.items()), None)
        why = (
            f"{first[0]}: {first[1]}" if first else "no node is large enough for the parallel sizes asked for"
        )
        return Problem(
            message=f"{spec.model} cannot run on any GPU that {where} offers; {why}",
            path=(*path, field),
            value=value,
            help="another engine, precision, checkpoint or target may",
        )
    nearest = min(mine, key=lambda v: (*v.miss, v.candidate.gpus_per_replica))
    if nearest.miss[0] == 3:
        return Problem(
            message=f"{spec.model} fits on {_label(nearest)}, but its pods on no node that {where} offers: {nearest.lost}",
            path=(*path, field),
            value=value,
            help="another GPU, or fewer GPUs a replica, may",
        )
    if nearest.miss[0] == 2:
        return _no_room(question, nearest, where, path, field, value, checkpoints)
    return _too_slow(question, nearest, where, path)


def _field(question: Question) -> tuple[str, object]:
    """The field that the user would change first: what was pinned, else the model."""
    spec = question.spec
    for name in ("gpu", "tensor_parallel_size", "pipeline_parallel_size"):
        if (value := getattr(spec, name)) is not None:
            return name, value
    return "model", spec.model


def _label(verdict: Verdict) -> str:
    candidate = verdict.candidate
    return f"{candidate.gpus_per_replica} x {candidate.gpu.id} ({candidate.precision.label})"


def _no_room(
    question: Question,
    nearest: Verdict,
    where: str,
    path: tuple[str | int, ...],
    field: str,
    value: object,
    checkpoints: list[str],
) -> Problem:
    short = nearest.memory.short_gib
    if short is None and "divisible" in nearest.memory.reason:
        return _does_not_divide(question, nearest, path)
    lacking = f", {short:,.1f} GiB short on each GPU" if short is not None else ""
    return Problem(
        message=f"{question.spec.model} does not fit on {where}: the nearest is {_label(nearest)}{lacking}; "
        f"{nearest.memory.reason}",
        path=(*path, field),
        value=value,
        help="; ".join(_ways_to_fit(question, nearest, checkpoints)),
    )


def _does_not_divide(question: Question, nearest: Verdict, path: tuple[str | int, ...]) -> Problem:
    from homeport.sizing.memory import valid_tensor_parallel_sizes

    settings = nearest.candidate.settings
    sizes = valid_tensor_parallel_sizes(question.architecture, settings.engine, settings.quantization)
    return Problem(
        message=nearest.memory.reason,
        path=(*path, "tensor_parallel_size"),
        value=settings.tensor_parallel_size,
        help=f"sizes that divide it: {', '.join(map(str, sizes))}",
    )


def _ways_to_fit(question: Question, nearest: Verdict, checkpoints: list[str]) -> list[str]:
    from homeport.planning.precision import ON_LOAD
    from homeport.sizing.memory import largest_max_model_len

    spec = question.spec
    ways: list[str] = []
    if spec.tensor_parallel_size or spec.pipeline_parallel_size:
        ways.append("more GPUs a replica (a larger tensor_parallel_size)")
    if spec.gpu:
        ways.append("a GPU with more memory")
    longest = largest_max_model_len(question.architecture, nearest.candidate.gpu, nearest.candidate.settings)
    if longest >= 16:
        ways.append(f"max_model_len: {longest}")
    if question.architecture.quantization is None and question.wanted_precision in ("auto", "bf16", "fp16"):
        ways.append(f"precision: {ON_LOAD[0]} (half the weights)")
        named = f"checkpoint: {' or '.join(checkpoints)} (quantised)"
        ways.append(named if checkpoints else "a quantised checkpoint")
    return ways or ["a target with larger GPUs"]


def _too_slow(question: Question, nearest: Verdict, where: str, path: tuple[str | int, ...]) -> Problem:
    spec = question.spec
    if nearest.lost and "replicas.max" in nearest.lost:
        return Problem(
            message=f"{nearest.lost}, on {_label(nearest)}, the nearest that {where} offers",
            path=(*path, "replicas", "max"),
            value=spec.replicas.max,
            help=f"replicas.max: {nearest.replicas}, or a faster GPU, or a lower peak_to_mean",
        )
    name, reached = nearest.would_hold or ("tpot_ms", spec.latency.tpot_ms)
    return Problem(
        message=f"no GPU that {where} offers holds the latency limits: the nearest is {_label(nearest)}, {nearest.lost}",
        path=(*path, "latency", name),
        value=getattr(spec.latency, name),
        help=f"latency.{name}: {math.ceil(reached)} or more would be held",
    )
