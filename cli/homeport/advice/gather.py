"""From a spec to a case: own hosting planned and billed, the APIs beside it, and what the benchmarks say of both."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from homeport.advice.types import ApiOption, Case
from homeport.catalog.models import benchmarks
from homeport.catalog.prices import api_price
from homeport.costs.api import requests_per_day
from homeport.costs.bill import cost
from homeport.costs.breakeven import RANGE
from homeport.costs.curves import Market, calls_per_request
from homeport.costs.inputs import options as options_of
from homeport.costs.own import nodes_usd_per_month
from homeport.costs.own_nodes import keeps_gpus
from homeport.costs.replan import Replanner
from homeport.errors import HomeportError, NotFoundError, Problem, SpecError
from homeport.planning import compliance
from homeport.planning.plan import Planner

if TYPE_CHECKING:
    from homeport.catalog.types import ApiPrice
    from homeport.costs.types import ApiBill, Bill, Breakeven, Curves
    from homeport.spec.models import Spec

LOADS = tuple(round(100 * 10 ** (step / 6)) for step in range(31))
"""Requests a day at which both sides are priced, six to a decade over the range of breakevens."""
STAND_IN = "openai/gpt-4.1"
"""The API that stands in where none is named: the guide's mid-tier model, which its rule of thumb is about."""


def gather(spec: Spec, base_dir: Path) -> tuple[Case, Bill]:
    """Plan and bill a spec, and collect what a verdict follows from.

    What the spec's own rules forbid is no error here, as it is what the advice is about: see `to_mend`. Raises SpecError
    for everything else that `plan` and `cost` refuse, and where no region of the platform is allowed.
    """
    prices = _prices(spec)
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
    priced = nodes_usd_per_month(bill.self_hosted) is not None
    served = max(spec.models, key=lambda model: model.workload.requests_per_day)
    return Case(
        spec=spec,
        load=float(bill.requests_per_day),
        apis=tuple(
            _option(price, billed, found, curves, assumed=not spec.compare)
            for price, billed, found in zip(prices, bill.api, breakevens, strict=True)
        ),
        own_usd_per_month=bill.self_hosted.usd_per_month if priced else None,
        at_least=bill.self_hosted.at_least,
        people_in_bill=any(
            line.kind == "engineering" and line.usd_per_month is not None for line in bill.self_hosted.lines
        ),
        model=served.model,
        scores=benchmarks().get(_catalog_id(served.model)),
    ), bill


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


def _prices(spec: Spec) -> list[ApiPrice]:
    """The prices of the compared APIs, each once; all names that mean nothing at once."""
    found: dict[str, ApiPrice] = {}
    problems: list[Problem] = []
    for i, name in enumerate(spec.compare or (STAND_IN,)):
        try:
            price = api_price(name)
        except HomeportError as error:
            tip = error.help if isinstance(error, NotFoundError) else None
            problems.append(Problem(message=str(error), path=("compare", i), value=name, help=tip))
            continue
        found.setdefault(price.id, price)
    if problems:
        raise SpecError(problems)
    return list(found.values())


def _catalog_id(name: str) -> str:
    """The catalog's id of a model, or the name itself: a path or a Hub id that it does not know."""
    from homeport.catalog.models import model

    try:
        return model(name).id
    except NotFoundError:
        return name


def _option(
    price: ApiPrice, billed: ApiBill, found: Breakeven, curves: Curves, *, assumed: bool
) -> ApiOption:
    api = next((curve.usd_per_month for curve in curves.api if curve.model == price.id), ())
    ratios = tuple(
        (load, float(theirs / own))
        for load, own, theirs in zip(curves.loads, curves.own, api or curves.own, strict=True)
        if api and own and theirs is not None
    )
    return ApiOption(
        model=price.id,
        provider=price.provider,
        usd_per_month=billed.usd_per_month,
        breakeven=found.requests_per_day,
        breakeven_reason=found.reason,
        ratios=ratios,
        carries_all=curves.own[-1] is not None,
        retired=price.retired,
        source=price.source,
        as_of=price.as_of,
        scores=benchmarks().get(price.id),
        assumed=assumed,
    )
