"""What the workload asks of a replica: its peak, the length of its requests, and how long one may take."""

from homeport.errors import Problem
from homeport.planning.types import Decision
from homeport.spec.models import ModelSpec, Workload

SECONDS_A_DAY = 86_400
LEAST_CONTEXT = 8192
P99_TO_MEAN = 2.0
"""Tokens of the longest hundredth of requests against the mean, where nobody says (an assumption)."""


PEAK_TO_MEAN = 3.0
"""Requests a second at the peak over those on average, where nobody says (an assumption)."""


def peak_to_mean(workload: Workload) -> float:
    """The peak over the mean: as written, else that of the day profile's busiest hour, else assumed."""
    if workload.peak_to_mean is not None:
        return workload.peak_to_mean
    if workload.day_profile is not None:
        return max(workload.day_profile) / (sum(workload.day_profile) / len(workload.day_profile))
    return PEAK_TO_MEAN


def peak_requests_per_s(spec: ModelSpec) -> float:
    """Requests a second at the peak: requests_per_day / 86,400 x peak_to_mean."""
    return spec.workload.requests_per_day / SECONDS_A_DAY * peak_to_mean(spec.workload)


def total_tokens_p99(spec: ModelSpec) -> float:
    """Tokens (input + output) that 99 of 100 requests stay below."""
    workload = spec.workload
    return workload.total_tokens_p99 or P99_TO_MEAN * (workload.input_tokens + workload.output_tokens)


def max_model_len(
    spec: ModelSpec, context_tokens: int, path: tuple[str | int, ...]
) -> tuple[int, Decision | None, Problem | None]:
    """The most tokens of a request: as written, or the next power of two above the 99th percentile, at least 8,192.

    Never more than the model's own limit: a workload or a spec beyond it is a problem.
    """
    p99 = total_tokens_p99(spec)
    if spec.max_model_len is not None:
        if spec.max_model_len > context_tokens:
            return (
                spec.max_model_len,
                None,
                Problem(
                    message=f"{spec.max_model_len:,} tokens are more than the model's own limit of {context_tokens:,}",
                    path=(*path, "max_model_len"),
                    value=spec.max_model_len,
                    help=f"at most {context_tokens}",
                ),
            )
        mean = spec.workload.input_tokens + spec.workload.output_tokens
        if spec.max_model_len < mean:
            return (
                spec.max_model_len,
                None,
                Problem(
                    message=f"a request has {mean:,.0f} tokens on average, more than max_model_len {spec.max_model_len:,}",
                    path=(*path, "max_model_len"),
                    value=spec.max_model_len,
                    help=f"at least {p99:,.0f} holds 99 of 100 requests",
                ),
            )
        return spec.max_model_len, None, None
    if p99 > context_tokens:
        stated = spec.workload.total_tokens_p99 is not None
        field = "total_tokens_p99" if stated else "input_tokens"
        how = "" if stated else f" (assumed: {P99_TO_MEAN:g} x the mean)"
        return (
            context_tokens,
            None,
            Problem(
                message=f"99 of 100 requests need up to {p99:,.0f} tokens{how}, the model's limit is {context_tokens:,}",
                path=(*path, "workload", field),
                value=p99 if stated else spec.workload.input_tokens,
                help="give workload.total_tokens_p99, shorten the requests, or take a model with a longer context",
            ),
        )
    wanted = LEAST_CONTEXT
    while wanted < p99:
        wanted *= 2
    chosen = min(wanted, context_tokens)
    stated = spec.workload.total_tokens_p99 is not None
    return (
        chosen,
        Decision(
            field="max_model_len",
            value=f"{chosen:,}",
            because=f"next power of two above the 99th percentile of input + output ({p99:,.0f} tokens"
            f"{'' if stated else f', assumed {P99_TO_MEAN:g} x the mean'}), at least {LEAST_CONTEXT:,}, "
            f"at most the model's {context_tokens:,}",
            assumption=not stated,
        ),
        None,
    )


def longest_request_s(spec: ModelSpec) -> float:
    """Seconds that the longest hundredth of requests may take at the latency limits: what a drain has to wait for."""
    share = spec.workload.output_tokens / (spec.workload.input_tokens + spec.workload.output_tokens)
    return (spec.latency.ttft_ms + spec.latency.tpot_ms * total_tokens_p99(spec) * share) / 1000
