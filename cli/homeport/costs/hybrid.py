"""Own GPUs for what must stay and for simple requests in bulk, APIs for the rest: what each split costs.

Requests with personal data never go to an API. Of the others, simple ones can be answered by the own model, in any part;
the rest needs the API's model, unless everything runs on own GPUs. Own hosting's cost is a staircase over its part of
the simple requests and an API's falls in a straight line, so the cheapest split lies just before a step: it is found by
branch and bound, to a thousandth of the simple requests.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from homeport.costs.api import api_bill, fixed_usd_per_month, requests_per_day
from homeport.costs.bill import deployments
from homeport.costs.curves import calls_per_request, plans_allowed
from homeport.costs.inputs import scaled
from homeport.costs.money import cents, decimal
from homeport.costs.own import days_per_month, in_pools_of, nodes_usd_per_month, self_hosted
from homeport.costs.own_nodes import keeps_gpus
from homeport.costs.types import Deployment, Hybrid, Options, Split
from homeport.errors import HomeportError

if TYPE_CHECKING:
    from homeport.catalog.types import ApiPrice
    from homeport.costs.replan import Replanner
    from homeport.planning.types import Plan
    from homeport.spec.models import Spec, Workload

STEPS = 1000
"""Parts that the simple requests are divided into."""
ALL_API, PRIVATE, BULK, OWN = (
    "all by API",
    "own: personal data",
    "own: personal data and simple",
    "all on own GPUs",
)
SIMPLE_ONLY = "own: simple"
UNPRICED = "a price is unknown"


class _Cost(msgspec.Struct, frozen=True, kw_only=True):
    """USD a month of both parts of a split; None is unknown."""

    own: Decimal | None
    api: Decimal | None
    at_least: bool
    deployments: tuple[Deployment, ...]

    @property
    def total(self) -> Decimal | None:
        return None if self.own is None or self.api is None else self.own + self.api


def hybrid(replanner: Replanner, prices: Sequence[ApiPrice], options: Options) -> Hybrid:
    """Price the splits of a spec between own GPUs and the first of `prices`; the second is its fallback.

    The same tokens are assumed for all requests of a model. Raises what planning raises for the spec itself.
    """
    spec = replanner.spec
    total = requests_per_day(spec) * (1 + options.growth_percent / 100)
    pricer = _Pricer(replanner, prices, options, total)
    private = pricer.share(0)
    simple = pricer.share(STEPS) - private
    cut_off = spec.compliance.air_gapped
    splits = []
    for name, fraction in (
        (ALL_API, None),
        (PRIVATE, 0),
        (BULK if private else SIMPLE_ONLY, STEPS),
    ):
        if (fraction == 0 and not private) or (fraction == STEPS and not simple):
            continue
        splits.append(pricer.split(name, partial(_own_part, step=fraction), private, cut_off))
    best, complete = pricer.cheapest() if simple and not cut_off else (None, True)
    if best is not None and 0 < best < STEPS:
        part = f"{Decimal(best) / STEPS * 100:f}".rstrip("0").rstrip(".")
        name = f"{PRIVATE} and {part}% of simple" if private else f"own: {part}% of simple"
        splits.append(pricer.split(name, partial(_own_part, step=best), private, cut_off))
    splits.append(pricer.split(OWN, lambda _: Decimal(1), private, cut_off))
    ranked = [split for split in splits if split.allowed and split.usd_per_month is not None]
    winner = min(ranked, key=lambda split: split.usd_per_month or 0, default=None)
    return Hybrid(
        primary=prices[0].id,
        fallback=prices[1].id if len(prices) > 1 else None,
        fallback_share=pricer.fallback_share,
        personal_data_share=private,
        simple_share=pricer.simple_share(),
        splits=tuple(msgspec.structs.replace(split, cheapest=split is winner) for split in splits),
        cheapest=winner.name if winner else None,
        complete=complete and all(split.reason != UNPRICED for split in splits),
    )


def _own_part(work: Workload, step: int | None) -> Decimal:
    """Return which part of a model's requests run on own GPUs: the private ones, and `step` thousandths of the simple."""
    if step is None:
        return Decimal(0)
    private = decimal(work.personal_data_share or 0.0)
    simple = decimal(work.simple_share or 0.0)
    return private + (1 - private) * simple * step / STEPS


class _Pricer:
    """What a split costs, each split planned once."""

    def __init__(
        self, replanner: Replanner, prices: Sequence[ApiPrice], options: Options, total: Decimal
    ) -> None:
        self.options = options
        self.prices = prices
        self.total = total
        self.whole = replanner(float(total * calls_per_request(options)))
        self.keep = keeps_gpus(options, self.whole)
        self.replanner = replanner.pinned(self.whole) if self.keep else replanner
        self.fallback_share = options.fallback_percent / 100 if len(prices) > 1 else Decimal(0)
        self._known: dict[int, _Cost | None] = {}

    def share(self, step: int) -> Decimal:
        """Return which share of all requests runs on own GPUs at `step` thousandths of the simple ones."""
        return self._mean(lambda work: _own_part(work, step))

    def simple_share(self) -> Decimal:
        """Return which share of all requests is simple, those with personal data among them."""
        return self._mean(lambda work: decimal(work.simple_share or 0.0))

    def _mean(self, of: Callable[[Workload], Decimal]) -> Decimal:
        spec = self.replanner.spec
        amounts = (of(m.workload) * decimal(m.workload.requests_per_day) for m in spec.models)
        return sum(amounts, Decimal(0)) / requests_per_day(spec)

    def split(self, name: str, part: Callable[[Workload], Decimal], private: Decimal, cut_off: bool) -> Split:
        """Price one split, and say whether it holds the rules."""
        own_share = self._mean(part)
        reason: str | None = None
        cost: _Cost | None = None
        try:
            cost = self.cost(part)
        except HomeportError as error:
            reason = (
                f"cannot be planned: {str(error).splitlines()[0] if str(error) else 'no plan carries it'}"
            )
        if cut_off and own_share < 1:
            reason = "compliance.air_gapped allows no API"
        elif own_share < private:
            reason = f"{percent(private)} of requests hold personal data and never go to an API"
        own, api = (cost.own, cost.api) if cost else (None, None)
        return Split(
            name=name,
            own_share=own_share,
            own_requests_per_day=self.total * own_share,
            api_requests_per_day=self.total * (1 - own_share),
            own_usd_per_month=None if own is None else cents(own),
            api_usd_per_month=None if api is None else cents(api),
            usd_per_month=None if own is None or api is None else cents(own) + cents(api),
            at_least=cost is not None and cost.at_least,
            allowed=reason is None,
            reason=UNPRICED if reason is None and cost is not None and cost.total is None else reason,
            deployments=cost.deployments if cost else (),
        )

    def cost(self, part: Callable[[Workload], Decimal]) -> _Cost:
        """Return what a split costs a month. Raises what planning raises."""
        api = self._api(part)
        share = self._mean(part)
        if not share:
            return _Cost(own=Decimal(0), api=api, at_least=False, deployments=())
        plan = self.whole if share == 1 else self._plan(part)
        bill = self_hosted(plan, scaled(self.options, share))
        priced = nodes_usd_per_month(bill) is not None
        return _Cost(
            own=bill.usd_per_month if priced else None,
            api=api,
            at_least=bill.at_least,
            deployments=deployments(plan),
        )

    def _plan(self, part: Callable[[Workload], Decimal]) -> Plan:
        plan = self.replanner.planned(_with(self._scaled_spec(), part))
        return in_pools_of(plan, self.whole) if self.keep else plan

    def _scaled_spec(self) -> Spec:
        """The spec at the whole load, growth and retries included."""
        spec = self.replanner.spec
        factor = self.total * calls_per_request(self.options) / requests_per_day(spec)
        return _with(spec, lambda _: factor)

    def _api(self, part: Callable[[Workload], Decimal]) -> Decimal | None:
        """Return what the APIs ask for the rest; nothing for nothing."""
        if self._mean(part) == 1:
            return Decimal(0)
        rest = _with(self._scaled_spec(), lambda work: 1 - part(work), keep_all=True)
        days = days_per_month(self.options)
        amount = fixed_usd_per_month(self.options)
        for price, share in zip(self.prices, (1 - self.fallback_share, self.fallback_share), strict=False):
            if not share:
                continue
            bill = api_bill(price, rest, days, self.options)
            if bill.usd_per_month is None:
                return None
            tokens = bill.usd_per_month - fixed_usd_per_month(self.options)
            amount += tokens * share
        return amount

    def cheapest(self) -> tuple[int | None, bool]:
        """Return how many thousandths of the simple requests run on own GPUs in the cheapest split, and whether it is sure.

        More own requests never cost own hosting less, so a stretch costs at least its low end's own bill and its high
        end's API bill.
        """
        plans = plans_allowed(self.whole)
        at = self._at
        best = min((step for step in (0, STEPS) if at(step)), key=lambda step: _total(at(step)), default=None)
        if best is None or at(0) is None or at(STEPS) is None:
            return best, best is None
        queue = [(self._bound(0, STEPS), 0, STEPS)]
        while queue:
            bound, low, high = heapq.heappop(queue)
            if bound >= _total(at(best)) or high - low <= 1:
                continue
            middle = (low + high) // 2
            if middle not in self._known and len(self._known) >= plans:
                return best, False
            if at(middle) is None:
                return best, False
            if _total(at(middle)) < _total(at(best)):
                best = middle
            heapq.heappush(queue, (self._bound(low, middle), low, middle))
            heapq.heappush(queue, (self._bound(middle, high), middle, high))
        return best, True

    def _at(self, step: int) -> _Cost | None:
        if step not in self._known:
            try:
                made = self.cost(partial(_own_part, step=step))
                self._known[step] = None if made.total is None else made
            except HomeportError:
                self._known[step] = None
        return self._known[step]

    def _bound(self, low: int, high: int) -> Decimal:
        first, last = self._at(low), self._at(high)
        own = None if first is None else first.own
        api = None if last is None else last.api
        assert own is not None, "only priced stretches are searched"
        assert api is not None, "only priced stretches are searched"
        return own + api


def _total(cost: _Cost | None) -> Decimal:
    known = None if cost is None else cost.total
    return Decimal("Infinity") if known is None else known


def _with(spec: Spec, part: Callable[[Workload], Decimal], *, keep_all: bool = False) -> Spec:
    """Return a spec with `part` of each model's requests; a model without any is left out unless `keep_all`."""
    models = []
    for model in spec.models:
        share = part(model.workload)
        if share or keep_all:
            requests = float(decimal(model.workload.requests_per_day) * share)
            workload = msgspec.structs.replace(model.workload, requests_per_day=requests)
            models.append(msgspec.structs.replace(model, workload=workload))
    return msgspec.structs.replace(spec, models=tuple(models))


def percent(share: Decimal) -> str:
    """Write a share as percent, one decimal at most."""
    return f"{share * 100:.1f}".rstrip("0").rstrip(".") + "%"
