"""The bill of an API model at a plan's load: input and output tokens of each model of the spec."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from homeport.costs.money import MILLION, cents, decimal, total
from homeport.costs.types import ApiBill, Line

if TYPE_CHECKING:
    from homeport.catalog.types import ApiPrice
    from homeport.spec.models import Spec

LONG_PROMPT_TOKENS = 200_000
"""Longer prompts have a price of their own where a provider asks one (`*_above_200k_*` of the price table)."""
BILLED_FIELDS = ("input_usd_per_mtok", "output_usd_per_mtok", "as_of")


def api_bill(price: ApiPrice, spec: Spec, days: Decimal) -> ApiBill:
    """Return the bill of one API model for the spec's workloads, a month of `days`.

    The total is None where a price is unknown. `notes` say what the API cannot do for this workload.
    """
    lines: list[Line] = []
    notes: list[str] = []
    for model in spec.models:
        work = model.workload
        input_price, output_price = token_prices(price, work.input_tokens)
        for kind, tokens, unit_price in (
            ("input", work.input_tokens, input_price),
            ("output", work.output_tokens, output_price),
        ):
            mtok = decimal(work.requests_per_day) * decimal(tokens) / MILLION * days
            lines.append(
                Line(
                    item=f"{kind} tokens",
                    quantity=mtok,
                    unit="million tokens",
                    unit_price_usd=unit_price,
                    usd_per_month=None if unit_price is None else cents(mtok * unit_price),
                    source=price.source,
                    as_of=price.as_of,
                    estimated=any(name in price.unverified for name in BILLED_FIELDS),
                    models=(model.name,),
                )
            )
        needed = work.input_tokens + work.output_tokens
        if price.context_tokens is not None and needed > price.context_tokens:
            notes.append(f"its context of {price.context_tokens:,} tokens is too short for {model.name}")
    unknown = any(line.usd_per_month is None for line in lines)
    return ApiBill(
        model=price.id,
        usd_per_month=None if unknown else total([line.usd_per_month for line in lines]),
        source=price.source,
        as_of=price.as_of,
        retired=price.retired,
        retires_on=price.retires_on,
        unverified=tuple(name for name in price.unverified if name in BILLED_FIELDS),
        lines=tuple(lines),
        notes=tuple(notes),
    )


def usd_per_daily_request(price: ApiPrice, spec: Spec, days: Decimal) -> Decimal | None:
    """Return what each request a day costs a month of `days`, in the spec's mix of models; not rounded."""
    usd = Decimal(0)
    for model in spec.models:
        work = model.workload
        input_price, output_price = token_prices(price, work.input_tokens)
        if input_price is None or output_price is None:
            return None
        of_one = decimal(work.input_tokens) * input_price + decimal(work.output_tokens) * output_price
        usd += decimal(work.requests_per_day) * of_one / MILLION
    return usd * days / requests_per_day(spec)


def token_prices(price: ApiPrice, input_tokens: float) -> tuple[Decimal | None, Decimal | None]:
    """Return USD per million input and output tokens for prompts of `input_tokens`; None is unknown."""
    found = [price.input_usd_per_mtok, price.output_usd_per_mtok]
    if input_tokens > LONG_PROMPT_TOKENS:
        long = (price.input_above_200k_usd_per_mtok, price.output_above_200k_usd_per_mtok)
        found = [usual if special is None else special for usual, special in zip(found, long, strict=True)]
    first, second = (None if usd is None else decimal(usd) for usd in found)
    return first, second


def requests_per_day(spec: Spec) -> Decimal:
    """Return the requests a day of all models of a spec."""
    return sum((decimal(model.workload.requests_per_day) for model in spec.models), Decimal(0))


def tokens_per_day(spec: Spec) -> Decimal:
    """Return the tokens a day of all models of a spec, input and output together."""
    return sum(
        (
            decimal(work.requests_per_day) * (decimal(work.input_tokens) + decimal(work.output_tokens))
            for work in (model.workload for model in spec.models)
        ),
        Decimal(0),
    )
