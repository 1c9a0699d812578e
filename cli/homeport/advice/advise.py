"""The whole advice of a spec: verdict, constraints, criteria, what would change it, and what each side asks for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from homeport.advice.constraints import usable
from homeport.advice.framework import operations, privacy
from homeport.advice.gather import STAND_IN, Gathered, gather, to_mend
from homeport.advice.types import (
    Advice,
    ApiOption,
    ApiStanding,
    Case,
    ControlStanding,
    Criterion,
    Flip,
    Mend,
    Outcome,
    RegimeStanding,
    SplitCost,
)
from homeport.advice.verdict import decide, flips
from homeport.catalog.regimes import controls
from homeport.costs.inputs import splits
from homeport.planning.compliance import agreement_with, api_gaps, regime_of
from homeport.spec.source import path_text

if TYPE_CHECKING:
    from homeport.costs.types import Bill
    from homeport.spec.models import Spec

NO_LEGAL_ADVICE = (
    "This is no legal advice. homeport takes agreements as you declare them and knows only what stands in the spec; "
    "whether the law is met, your counsel and your data protection officer say."
)


def advise(spec: Spec, base_dir: Path, *, named: bool = False) -> Advice:
    """Advise on a spec. Raises what `gather` raises, which also says what `named` is."""
    gathered = gather(spec, base_dir, named=named)
    case, bill = gathered.case, gathered.bill
    outcome = decide(case)
    found = flips(case, outcome)
    return Advice(
        name=spec.name,
        requests_per_day=case.load,
        outcome=_with_flips(outcome, found),
        flips=found,
        apis=tuple(_api(case, i) for i in range(len(case.apis))),
        own_usd_per_month=case.own_usd_per_month,
        own_at_least=case.at_least,
        own=_own(bill),
        split=_split(case) if outcome.verdict == "hybrid" else (),
        split_costs=_split_costs(gathered) if outcome.verdict == "hybrid" else (),
        operations=operations(),
        privacy=privacy(),
        regime=_regime(spec),
        controls=_own_controls(spec),
        to_mend=tuple(Mend(field=path_text(p.path), message=p.message, help=p.help) for p in to_mend(spec)),
        unanswered=tuple(c for c in outcome.criteria if c.answer is None and c.flag),
        assumptions=_assumptions(case, bill),
        warnings=(*bill.warnings, *_retired(case)),
        priced=(
            *((line.item, line.as_of) for line in bill.self_hosted.lines),
            *((o.model, o.as_of) for o in case.apis if not o.retired),
        ),
    )


def _with_flips(outcome: Outcome, found: tuple[Flip, ...]) -> Outcome:
    from msgspec.structs import replace

    first: dict[str, Flip] = {}
    for flip in found:
        first.setdefault(flip.criterion, flip)

    def told(criterion: Criterion) -> Criterion:
        flip = first.get(criterion.id)
        return criterion if flip is None else replace(criterion, flips_at=f"{flip.change} ({flip.verdict})")

    return replace(outcome, criteria=tuple(told(criterion) for criterion in outcome.criteria))


def _api(case: Case, i: int) -> ApiStanding:
    option = case.apis[i]
    gaps = api_gaps(case.spec, option.provider)
    return ApiStanding(
        model=option.model,
        usd_per_month=option.usd_per_month,
        breakeven_requests_per_day=option.breakeven,
        breakeven_reason=option.breakeven_reason,
        retired=option.retired,
        assumed=option.assumed,
        usable=not gaps,
        gaps=gaps,
        reference=agreement_with(case.spec, option.provider).reference,
        source=option.source,
        as_of=option.as_of,
    )


def _own(bill: Bill) -> str:
    """Name what own hosting would be: replicas and GPUs of each deployment."""
    texts = []
    for made in bill.deployments:
        replicas = "1 replica" if made.replicas == 1 else f"{made.replicas} replicas"
        where = f"{made.gpus_per_replica} × {made.gpu}" if made.gpu else "no GPU"
        texts.append(f"{made.model} on {where}, {replicas}")
    return "; ".join(texts)


def _split(case: Case) -> tuple[str, ...]:
    """What goes where when both serve: the guide's hybrid."""
    names = [*(o.model for o in _callable(case)), "a second API (none is named: --compare)"]
    main, other = names[0], names[1] if len(names) > 1 else "a second one"
    return (
        f"own servers ({case.model}): requests with personal data, and simple tasks in bulk",
        f"{main}: the other requests, with {other} as its fallback",
        "in front of both: something that classifies each request and looks for personal data, before it is routed",
    )


def _callable(case: Case) -> list[ApiOption]:
    """The APIs that may be used, in the spec's order: the first is the main one, the second its fallback."""
    return [option for option in case.apis if usable(case, option) and not option.retired]


def _split_costs(gathered: Gathered) -> tuple[SplitCost, ...]:
    """What the splits cost, where the spec says which share of requests is what."""
    models = [option.model for option in _callable(gathered.case)]
    prices = [price for price in gathered.prices if price.id in models]
    if not prices or not splits(gathered.case.spec):
        return ()
    from homeport.costs.hybrid import hybrid

    return tuple(
        SplitCost(
            name=split.name,
            usd_per_month=split.usd_per_month,
            at_least=split.at_least,
            reason=split.reason,
            cheapest=split.cheapest,
        )
        for split in hybrid(gathered.replan, prices, gathered.options).splits
    )


def _regime(spec: Spec) -> RegimeStanding | None:
    regime = regime_of(spec)
    if regime is None:
        return None
    return RegimeStanding(
        id=regime.id,
        title=regime.title,
        api=regime.api,
        own=regime.own,
        controls=tuple(_control(need.control, need.because) for need in regime.own_needs),
        duties=regime.duties,
        source=regime.source,
        as_of=regime.as_of,
        unverified=regime.unverified,
    )


def _own_controls(spec: Spec) -> tuple[ControlStanding, ...]:
    """The controls that the spec asks for itself, beside those of its regime."""
    regime = regime_of(spec)
    named = [need.control for need in regime.own_needs] if regime else []
    asked = {
        "residency": bool(spec.compliance.residency or spec.compliance.allowed_regions),
        "air_gap": spec.compliance.air_gapped,
    }
    return tuple(
        _control(control, f"compliance.{'air_gapped' if control == 'air_gap' else control}")
        for control, wanted in asked.items()
        if wanted and control not in named
    )


def _control(control: str, because: str) -> ControlStanding:
    row = controls()[control]
    return ControlStanding(
        control=control, title=row.title, because=because, homeport=row.homeport, yours=row.yours
    )


def _assumptions(case: Case, bill: Bill) -> tuple[str, ...]:
    own = (
        "weights, the steps of each scale and the margin of 1.5 are homeport's own assumptions: the guide names the "
        "criteria and which way each points; --weight changes a weight",
    )
    stand_in = (f"no API was named: {STAND_IN} stands in",) if any(o.assumed for o in case.apis) else ()
    return (*own, *stand_in, *bill.assumptions)


def _retired(case: Case) -> tuple[str, ...]:
    return tuple(f"{o.model} is retired: it shows a price, not a choice" for o in case.apis if o.retired)
