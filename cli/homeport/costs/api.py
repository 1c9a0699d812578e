"""The bill of an API model at a spec's load: input, cached input, output and batch tokens of each model."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from homeport.costs.guide import tokens_usd
from homeport.costs.money import MILLION, cents, decimal, total
from homeport.costs.own_rest import api_engineering
from homeport.costs.types import ApiBill, Line, Options

if TYPE_CHECKING:
    from homeport.catalog.types import ApiPrice
    from homeport.spec.models import Spec, Workload

LONG_PROMPT_TOKENS = 200_000
"""Longer prompts have a price of their own where a provider asks one (`*_above_200k_*` of the price table)."""


class Part(NamedTuple):
    """Tokens of one kind in an average request, and the field of the price table that they are paid by."""

    item: str
    tokens: Decimal
    price_field: str


def api_bill(price: ApiPrice, spec: Spec, days: Decimal, options: Options) -> ApiBill:
    """Return the bill of one API model for the spec's workloads, a month of `days`.

    People's time is a line where an hour's price is given. The total is None where a price is unknown. `notes` say what
    the API cannot do for this workload.
    """
    lines: list[Line] = []
    notes: list[str] = []
    fields: list[str] = []
    for model in spec.models:
        work = model.workload
        for part in _parts(price, work, options):
            fields.append(part.price_field)
            usd = _unit_price(price, part)
            requests = decimal(work.requests_per_day)
            lines.append(
                Line(
                    kind="tokens",
                    item=part.item,
                    quantity=requests * part.tokens / MILLION * days,
                    unit="million tokens",
                    unit_price_usd=usd,
                    usd_per_month=None
                    if usd is None
                    else cents(tokens_usd(requests, part.tokens, usd, days)),
                    source=price.source,
                    as_of=price.as_of or None,
                    estimated=part.price_field in price.unverified or "as_of" in price.unverified,
                    models=(model.name,),
                )
            )
        needed = work.input_tokens + work.output_tokens
        if price.context_tokens is not None and needed > price.context_tokens:
            notes.append(f"its context of {price.context_tokens:,} tokens is too short for {model.name}")
    people = api_engineering(options) if options.method == "load" else None
    if people is not None:
        names = tuple(model.name for model in spec.models)
        lines.append(msgspec.structs.replace(people, models=names))
    unknown = any(line.usd_per_month is None for line in lines)
    return ApiBill(
        model=price.id,
        usd_per_month=None if unknown else total([line.usd_per_month for line in lines]),
        source=price.source,
        as_of=price.as_of or None,
        retired=price.retired,
        retires_on=price.retires_on,
        unverified=tuple(name for name in price.unverified if name in fields or name == "as_of"),
        lines=tuple(lines),
        notes=tuple(notes),
    )


def fixed_usd_per_month(options: Options) -> Decimal:
    """Return what an API costs a month without a request: the people who look after it, where their price is known."""
    people = api_engineering(options) if options.method == "load" else None
    return Decimal(0) if people is None or people.usd_per_month is None else people.usd_per_month


def usd_per_daily_request(price: ApiPrice, spec: Spec, days: Decimal, options: Options) -> Decimal | None:
    """Return what each request a day costs a month of `days`, in the spec's mix of models; not rounded."""
    usd = Decimal(0)
    for model in spec.models:
        for part in _parts(price, model.workload, options):
            unit_price = _unit_price(price, part)
            if unit_price is None:
                return None
            usd += tokens_usd(decimal(model.workload.requests_per_day), part.tokens, unit_price, days)
    return usd / requests_per_day(spec)


def _parts(price: ApiPrice, work: Workload, options: Options) -> list[Part]:
    """Divide an average request's tokens by what they are paid at; parts that nobody asked for are left out.

    Batch requests pay batch prices for all their tokens; the cache serves a share of the others' input.
    """
    batch = options.batch_percent / 100
    cached = options.cached_input_percent / 100
    asked, answered = decimal(work.input_tokens), decimal(work.output_tokens)
    long = work.input_tokens > LONG_PROMPT_TOKENS
    parts = (
        Part("input tokens", asked * (1 - batch) * (1 - cached), _field(price, "input", long)),
        Part("cached input tokens", asked * (1 - batch) * cached, "cached_input_usd_per_mtok"),
        Part("output tokens", answered * (1 - batch), _field(price, "output", long)),
        Part("input tokens in batches", asked * batch, "batch_input_usd_per_mtok"),
        Part("output tokens in batches", answered * batch, "batch_output_usd_per_mtok"),
    )
    return [part for part in parts if part.tokens]


def _field(price: ApiPrice, kind: str, long: bool) -> str:
    special = f"{kind}_above_200k_usd_per_mtok"
    return special if long and getattr(price, special) is not None else f"{kind}_usd_per_mtok"


def _unit_price(price: ApiPrice, part: Part) -> Decimal | None:
    usd: float | None = getattr(price, part.price_field)
    return None if usd is None else decimal(usd)


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
