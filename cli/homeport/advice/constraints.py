"""What no weight outweighs: an air gap, data that must stay, and rules that bar every API."""

from collections.abc import Iterator

from homeport.advice.framework import privacy
from homeport.advice.types import ApiOption, Case, Constraint, Fact
from homeport.catalog.types import Benchmark
from homeport.planning.compliance import Gap, agreement_with, api_gaps, regime_of
from homeport.spec.models import Spec
from homeport.spec.policy import Privacy

STRICTER: tuple[Privacy, ...] = ("may_leave", "under_contract", "part_must_stay", "must_stay")
"""The answers about privacy, each stricter than the one before."""
SCORES = ("mmlu_pct", "humaneval_pct", "gsm8k_pct", "ifeval_pct")


def privacy_of(spec: Spec) -> tuple[Privacy | None, str]:
    """Whether data may leave, and what says so: the stricter of the answer and of the shares with personal data."""
    answer = spec.advise.privacy
    by_share = _by_share(spec)
    if by_share is None or (answer is not None and STRICTER.index(answer) >= STRICTER.index(by_share)):
        return answer, "not said" if answer is None else "as answered"
    most = max(model.workload.personal_data_share or 0.0 for model in spec.models)
    return by_share, f"workload.personal_data_share is {most:g}"


def _by_share(spec: Spec) -> Privacy | None:
    """What the shares of requests with personal data say, which never go to an API."""
    shares = [model.workload.personal_data_share or 0.0 for model in spec.models]
    if not any(shares):
        return None
    return "must_stay" if min(shares) == 1 else "part_must_stay"


def usable(case: Case, option: ApiOption) -> bool:
    """Say whether the spec's rules let its data go to an API."""
    return not api_gaps(case.spec, option.provider)


def reference(case: Case) -> ApiOption | None:
    """The API that own hosting is weighed against: of those that may be used, the one that the answers ask for.

    Asked for the leading answers, it is the one with the best scores; for comparable ones, the cheapest that is not
    behind the own model; else the cheapest. No load changes it: all APIs cost in proportion to the load.
    """
    options = [o for o in case.apis if o.usd_per_month is not None] or list(case.apis)
    options = [o for o in options if usable(case, o)] or options
    options = [o for o in options if not o.retired] or options
    wanted = case.spec.advise.capability
    scored = [(gap[0], o) for o in options if (gap := mean_gap(case.scores, o.scores)) is not None]
    if wanted == "leading" and scored:
        best = max(points for points, _ in scored)
        options = [o for points, o in scored if points == best]
    elif wanted == "comparable":
        options = [o for points, o in scored if points >= 0] or options
    return min(options, key=lambda o: (o.usd_per_month or 0, o.model), default=None)


def mean_gap(own: Benchmark | None, other: Benchmark | None) -> tuple[float, int] | None:
    """Points by which the API's mean score exceeds the own model's, over the tests that both have, and how many."""
    if own is None or other is None:
        return None
    pairs = [(getattr(other, name), getattr(own, name)) for name in SCORES]
    known = [theirs - mine for theirs, mine in pairs if theirs is not None and mine is not None]
    return (sum(known) / len(known), len(known)) if known else None


def constraints(case: Case) -> tuple[Constraint, ...]:
    """Every hard constraint of a case, the widest first."""
    return tuple(_constraints(case))


def _constraints(case: Case) -> Iterator[Constraint]:
    spec = case.spec
    if spec.compliance.air_gapped:
        yield Constraint(
            id="air_gap",
            bars=("api", "hybrid"),
            because="no API can be reached from an air gap",
            facts=(
                Fact(
                    text="no closed API runs cut off, under enterprise terms neither",
                    source=privacy().source,
                    as_of=privacy().as_of,
                ),
            ),
            lifted_by="compliance.air_gapped: false",
        )
    answer, why = privacy_of(spec)
    if answer in ("must_stay", "part_must_stay"):
        whole = answer == "must_stay"
        yield Constraint(
            id="privacy",
            bars=("api", "hybrid") if whole else ("api",),
            because=f"{'all data' if whole else 'some of the data'} must stay inside ({why})",
            facts=(
                Fact(
                    text="an API's privacy is what a contract says; own hosting keeps data where you deploy",
                    source=privacy().source,
                    as_of=privacy().as_of,
                ),
            ),
            lifted_by=_milder(spec, whole),
        )
    if not spec.compliance.air_gapped and case.apis and not any(usable(case, o) for o in case.apis):
        yield _barred(case)


def _milder(spec: Spec, whole: bool) -> str:
    """The next milder answer, and the share where that says the same."""
    if _by_share(spec) is None:
        return "privacy: part_must_stay" if whole else "privacy: under_contract"
    shares = "workload.personal_data_share below 1" if whole else "workload.personal_data_share: 0"
    return f"{shares} (and privacy: {'part_must_stay' if whole else 'under_contract'})"


def _barred(case: Case) -> Constraint:
    """All APIs are barred by the regime or by residency, as far as agreements are declared."""
    regime = regime_of(case.spec)
    data = f"{regime.data} ({regime.id})" if regime else "data that must stay in its zone"
    lacks = [(option.provider, api_gaps(case.spec, option.provider)) for option in case.apis]
    seen = dict(lacks)
    said = "; ".join(f"{provider}: {', '.join(gap.lacks for gap in gaps)}" for provider, gaps in seen.items())
    easiest = min(seen, key=lambda provider: len(seen[provider]))
    facts = {gap.because: _fact(gap) for gaps in seen.values() for gap in gaps}
    return Constraint(
        id="regulation" if regime and regime.api_needs else "residency",
        bars=("api", "hybrid"),
        because=f"{data} may not go to any of the APIs; not declared of {said}",
        facts=tuple(facts.values()),
        lifted_by=f"{easiest} agrees to {' and '.join(gap.lacks.partition(' (')[0] for gap in seen[easiest])} "
        "(declared in compliance.api_agreements)",
    )


def _fact(gap: Gap) -> Fact:
    return Fact(text=f"{gap.lacks}: {gap.because}", source=gap.source, as_of=gap.as_of)


def lifted(case: Case, constraint: Constraint) -> Case | None:
    """The case with one constraint lifted, as its `lifted_by` says; None where nothing in it could lift it."""
    from msgspec.structs import replace

    spec = case.spec
    if constraint.id == "air_gap":
        return replace(case, spec=replace(spec, compliance=replace(spec.compliance, air_gapped=False)))
    if constraint.id == "privacy":
        milder: Privacy = "part_must_stay" if "hybrid" in constraint.bars else "under_contract"
        models = tuple(
            replace(model, workload=replace(model.workload, personal_data_share=None))
            for model in spec.models
        )
        freed = replace(spec, models=models, advise=replace(spec.advise, privacy=milder))
        return replace(case, spec=freed)
    provider = min(case.apis, key=lambda o: len(api_gaps(spec, o.provider))).provider
    agreed = agreement_with(spec, provider)
    regime = regime_of(spec)
    terms = {need.term: True for need in (regime.api_needs if regime else ())}
    complete = replace(agreed, **terms, residency=spec.compliance.residency)
    others = tuple(a for a in spec.compliance.api_agreements if a.provider != provider)
    rules = replace(spec.compliance, api_agreements=(*others, complete))
    return replace(case, spec=replace(spec, compliance=rules))
