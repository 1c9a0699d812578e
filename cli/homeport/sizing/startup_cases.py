"""Cases of start-up: one line of JSON in, the seconds of each step out (docs/reference/cases.md)."""

from typing import Any

import msgspec

from homeport.catalog.gpus import gpu
from homeport.errors import Problem, SpecError
from homeport.sizing.cases import Case, case_architecture, settings
from homeport.sizing.startup import predict_startup
from homeport.sizing.types import Start


class StartupCase(Case, frozen=True, kw_only=True):
    """A case whose GPU may be unknown: hardly a step of a start depends on it."""

    gpu: str | None = None  # type: ignore[assignment]


_decoder = msgspec.json.Decoder(StartupCase)


def startup_case(line: bytes | str) -> StartupCase:
    """Read one line. Raises SpecError where it isn't JSON or lacks a field."""
    try:
        return _decoder.decode(line)
    except msgspec.DecodeError as error:
        raise SpecError([Problem(message=f"not a case: {error}")]) from error


def answer_startup(case: Case) -> dict[str, Any]:
    """Give the answer of `homeport startup`: seconds by step, and the ends between which nine starts in ten lie.

    Raises SpecError when the config can't be read, NotFoundError when the GPU is unknown.
    """
    found = predict_startup(
        case_architecture(case),
        gpu(case.gpu) if case.gpu else None,
        settings(case),
        Start(
            storage=case.storage or "unknown",
            loader=case.loader or "default",
            compile_cached=case.compile_cached,
            eager=case.eager,
            weights_gib_total=case.weights_gib_total,
            download_s=case.download_s,
        ),
    )
    return {
        "id": case.id,
        "weights_load_s": _seconds(found.weights_load_s),
        "compile_s": _seconds(found.compile_s),
        "cuda_graph_capture_s": _seconds(found.cuda_graph_capture_s),
        "init_engine_s": _seconds(found.init_engine_s),
        "ready_s": _seconds(found.ready_s),
        "ready_s_interval": [_seconds(end) for end in found.ready_s_interval],
    }


def _seconds(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
