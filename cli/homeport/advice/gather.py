"""From a spec to a case: own hosting planned and billed, the APIs beside it, and what the benchmarks say of both."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from homeport.advice.types import ApiOption, Case
from homeport.catalog.models import benchmarks
from homeport.costs.api import requests_per_day
from homeport.costs.bill import cost
from homeport.costs.breakeven import INFINITE, RANGE, OutOfPlans
from homeport.costs.curves import Market, calls_per_request
from homeport.costs.inputs import api_prices
from homeport.costs.inputs import options as options_of
from homeport.costs.money import decimal
from homeport.costs.own import nodes_usd_per_month
from homeport.costs.own_nodes import keeps_gpus
from homeport.costs.replan import Replanner
from homeport.errors import NotFoundError, Problem, SpecError
from homeport.planning import compliance
from homeport.planning.plan import Planner

if TYPE_CHECKING:
    from decimal import Decimal

    from homeport.catalog.types import ApiPrice
    from homeport.costs.types import ApiBill, Bill, Breakeven, Curves, Options
    from homeport.spec.models import Spec

LOADS = tuple(round(100 * 10 ** (step / 6)) for step in range(31))
"""Requests a day at which both sides are priced, six to a decade over the range of breakevens."""
STAND_IN = "openai/gpt-4.1"
"""The API that stands in where none is named: the guide's mid-tier model, which its rule of thumb is about."""


class Gathered(NamedTuple):
    """A case, the bill that it comes from, and what prices a split between own servers and APIs."""

    case: Case
    bill: Bill
    replan: Replanner
    prices: list[ApiPrice]
    options: Options


def gather(spec: Spec, base_dir: Path, *, named: bool = False) -> Gathered:
    """Plan and bill a spec, and collect what a verdict follows from.

    What the spec's own rules forbid is no error here, as it is what the advice is about: see `to_mend`. Raises SpecError
    for everything else that `plan` and `cost` refuse, and where no region of the platform is allowed. `named` says that
    the command line named the APIs: an unknown one is then raised as it is.
    """
    compared = spec if spec.compare else msgspec.structs.replace(spec, compare=(STAND_IN,))
    prices = api_prices(compared, named=named)
    replan = Replanner(Planner(base_dir, enforce=False), _allowed(spec))
    options = options_of(spec.costs)
    load = float(requests_per_day(spec))
    bill = cost(replan, load, prices, options, pinned=replan.pinned)
    plan = replan(float(bill.requests_per_day * calls_per_request(options)))
    keep = keeps_gpus(options, plan)
    market = Market(replan.pinned(plan) if keep else replan, plan, prices, options, same_nodes=keep)
    # The bill's range grows with a load beyond it; in a range of its own, a breakeven is the same at every load.
    beyond = bill.requests_per_day > RANGE[1]
    breakevens = market.breakevens(*RANGE) if beyond else bill.breakeven
    curves = market.curves(LOADS)
    private = _private_share(spec)
    splits = _Splits(market, private)
    priced = nodes_usd_per_month(bill.self_hosted) is not None
    served = max(spec.models, key=lambda model: model.workload.requests_per_day)
    case = Case(
        spec=spec,
        load=float(bill.requests_per_day),
        apis=tuple(
            _option(
                price, billed, found, curves, splits, load=bill.requests_per_day, assumed=not spec.compare
            )
            for price, billed, found in zip(prices, bill.api, breakevens, strict=True)
        ),
        own_usd_per_month=bill.self_hosted.usd_per_month if priced else None,
        at_least=bill.self_hosted.at_least,
        people_in_bill=any(
            line.kind == "engineering" and line.usd_per_month is not None for line in bill.self_hosted.lines
        ),
        model=served.model,
        scores=benchmarks().get(_catalog_id(served.model)),
        private_share=private,
    )
    return Gathered(case, bill, replan, prices, options)


def to_mend(spec: Spec) -> tuple[Problem, ...]:
    """What `plan` refuses of a spec's own hosting under its rules."""
    return tuple(compliance.contradictions(msgspec.structs.replace(spec, compare=())))


def _allowed(spec: Spec) -> Spec:
    """The spec in a region that its rules allow. Raises SpecError where there is none, or a rule means nothing."""
    if problems := compliance.malformed(spec):
        raise SpecError(problems)
    elsewhere = [problem for problem in to_mend(spec) if problem.path[0] == "target"]
    if not elsewhere:
        return spec
    free = msgspec.structs.replace(spec, target=msgspec.structs.replace(spec.target, region=None))
    placed, _ = compliance.placed(free)
    if left := [problem for problem in to_mend(placed) if problem.path[0] == "target"]:
        raise SpecError(left)
    return placed


def _catalog_id(name: str) -> str:
    """The catalog's id of a model, or the name itself: a path or a Hub id that it does not know."""
    from homeport.catalog.models import model

    try:
        return model(name).id
    except NotFoundError:
        return name


def _private_share(spec: Spec) -> float:
    """The share of all requests that hold personal data, as far as the spec says."""
    loads = [model.workload for model in spec.models]
    held = sum(work.requests_per_day * (work.personal_data_share or 0.0) for work in loads)
    return held / sum(work.requests_per_day for work in loads)


class _Splits:
    """What own servers cost that only answer the share of requests that must stay; for no share, the smallest fleet."""

    def __init__(self, market: Market, share: float) -> None:
        self.share = share
        self._own = market.own
        self._own.budget = len(LOADS) + 1

    def usd_per_month(self, load: float, theirs: Decimal) -> Decimal | None:
        """USD a month of own servers for the share, and of an API, which alone costs `theirs`, for the rest."""
        kept = max(LOADS[0] if self.share == 0 else 1, round(load * self.share))
        try:
            own = self._own.at(kept)
        except OutOfPlans:
            return None
        if own == INFINITE:
            return None
        return own + self._own.of_one * kept + theirs * (1 - decimal(self.share))


def _option(
    price: ApiPrice,
    billed: ApiBill,
    found: Breakeven,
    curves: Curves,
    splits: _Splits,
    *,
    load: Decimal,
    assumed: bool,
) -> ApiOption:
    api = next((curve.usd_per_month for curve in curves.api if curve.model == price.id), ())
    both = [
        (at, own, theirs)
        for at, own, theirs in zip(curves.loads, curves.own, api or curves.own, strict=True)
        if api and own and theirs is not None
    ]
    parts = [(at, own, splits.usd_per_month(at, theirs)) for at, own, theirs in both]
    alone = billed.usd_per_month
    return ApiOption(
        model=price.id,
        provider=price.provider,
        usd_per_month=alone,
        breakeven=found.requests_per_day,
        breakeven_reason=found.reason,
        ratios=tuple((at, float(theirs / own)) for at, own, theirs in both),
        carries_all=curves.own[-1] is not None,
        split_ratios=tuple((at, float(part / own)) for at, own, part in parts if part is not None),
        split_usd_per_month=splits.usd_per_month(float(load), alone) if both and alone is not None else None,
        retired=price.retired,
        source=billed.source,
        as_of=billed.as_of,
        scores=benchmarks().get(price.id),
        assumed=assumed,
    )
