"""Cases of throughput: one line of JSON in, TTFT, TPOT and output tokens per second out (docs/reference/cases.md)."""

from typing import Any

from homeport.catalog.gpus import gpu
from homeport.errors import Problem, SpecError
from homeport.sizing.cases import Case, case_architecture, settings
from homeport.sizing.throughput import predict_run
from homeport.sizing.types import Load


def answer_throughput(case: Case) -> dict[str, Any]:
    """Give the answer of `homeport throughput`.

    At saturation (`concurrency` null) the rate is that of a run that ends, as benchmark pages measure it; means that aren't whole tell that lengths vary. Raises SpecError when the config can't be read or the tokens
    are missing, NotFoundError when the GPU is unknown.
    """
    if case.input_tokens is None or case.output_tokens is None:
        raise SpecError([Problem(message="a throughput case needs input_tokens and output_tokens")])
    if case.input_tokens < 0 or case.output_tokens < 1:
        raise SpecError([Problem(message="input_tokens must be at least 0, output_tokens at least 1")])
    load = Load(
        input_tokens=case.input_tokens, output_tokens=case.output_tokens, concurrency=case.concurrency
    )
    found = predict_run(case_architecture(case), gpu(case.gpu), settings(case), load)
    return {
        "id": case.id,
        "ttft_ms": _rounded(found.ttft_ms),
        "tpot_ms": _rounded(found.tpot_ms),
        "output_tokens_per_s": _rounded(found.output_tokens_per_s),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")
