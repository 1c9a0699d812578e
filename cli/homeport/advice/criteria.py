"""Which way each criterion points, how far, and why.

Each function takes a case and returns (answer, lean, because, facts). A lean is between -1 (API) and 1 (own hosting);
0 where the criterion points nowhere or nothing was said. The steps of the scales are homeport's own assumptions; what
they stand for is the guide's decision framework.
"""

import math
from collections.abc import Callable

from homeport.advice.constraints import mean_gap, privacy_of, reference
from homeport.advice.framework import criteria as rows
from homeport.advice.framework import operations
from homeport.advice.types import ApiOption, Case, Criterion, CriterionRow, Fact
from homeport.planning.compliance import regime_of

Reading = tuple[str | None, float, str, tuple[Fact, ...]]
FULL_AT = 2.0
"""Times the other's cost at which the volume points fully to the cheaper side (an assumption)."""
FULL_GAP_POINTS = 10.0
"""Points of the benchmarks' mean that point fully to the better side (an assumption)."""
NOT_SAID = "not said"
WEEKS_A_MONTH = 730 / 24 / 7
EUROPE = ("eu", "eea")


def readings(case: Case) -> tuple[Criterion, ...]:
    """Every criterion of the framework, in its order."""
    return tuple(_criterion(case, row) for row in rows())


def _criterion(case: Case, row: CriterionRow) -> Criterion:
    answer, lean, because, facts = READERS[row.id](case, row)
    lean = round(lean, 3)
    weight = weight_of(case, row)
    return Criterion(
        id=row.id,
        question=row.question,
        answer=answer,
        points_to="self-host" if lean > 0 else "api" if lean < 0 else "neither",
        lean=lean if lean else 0.0,
        weight=weight,
        pull=round(abs(lean) * weight, 3),
        because=because,
        facts=facts,
        flag=row.flag,
    )


def weight_of(case: Case, row: CriterionRow) -> float:
    """A criterion's weight: the spec's, else the framework's."""
    own: float | None = getattr(case.spec.advise.weights, row.id)
    return row.weight if own is None else own


def fact(row: CriterionRow, text: str) -> Fact:
    """A statement of the guide about a criterion."""
    return Fact(text=text, source=row.source, as_of=row.as_of)


def volume_lean(load: float, option: ApiOption | None) -> float:
    """How far the load points: by the API's cost over own hosting's, the worst for own hosting from this load on.

    Looking at all larger loads too, more load never lowers it, though a replica that is added makes own hosting dearer
    for a while. Below the breakeven it never points to own hosting, above it never to the API.
    """
    if option is None or not option.ratios:
        return 0.0
    lean = _worst_from(load, option.ratios)
    if option.breakeven is not None:
        return max(lean, 0.0) if load >= option.breakeven else min(lean, 0.0)
    return min(lean, 0.0) if option.carries_all else lean


def split_lean(load: float, option: ApiOption | None) -> float:
    """The same where own servers run anyway, for what must stay: by the cost of a split over that of all on them."""
    return _worst_from(load, option.split_ratios) if option and option.split_ratios else 0.0


def _worst_from(load: float, ratios: tuple[tuple[int, float], ...]) -> float:
    """The lean of the smallest ratio at this load or a larger one; fully from `FULL_AT` times the other's cost on."""
    beyond = [ratio for at, ratio in ratios if at >= load] or [ratios[-1][1]]
    return max(-1.0, min(1.0, math.log(max(min(beyond), 1e-9), FULL_AT)))


def _volume(case: Case, row: CriterionRow) -> Reading:
    option = reference(case)
    load = f"{case.load:,.0f} requests a day"
    if option is None or option.usd_per_month is None:
        return load, 0.0, "the API's price is unknown", ()
    if case.own_usd_per_month is None:
        return load, 0.0, "the price of own nodes is unknown, so no breakeven is", ()
    least = "at least " if case.at_least else ""
    facts = (
        Fact(text=f"price of {option.model}", source=option.source, as_of=option.as_of),
        fact(row, f"an API's cost is {row.api}; own hosting is {row.own}"),
    )
    people = "" if case.people_in_bill else f"; {_people(case, option)}"
    if privacy_of(case.spec)[0] == "part_must_stay" and option.split_usd_per_month is not None:
        kept = f"{case.private_share:.0%} of requests" if case.private_share else "the smallest own fleet"
        because = (
            f"own servers run anyway: all on them {least}${case.own_usd_per_month:,.0f} a month; {kept} on them and the "
            f"rest by {option.model} {least}${option.split_usd_per_month:,.0f}{people}"
        )
        return load, split_lean(case.load, option), because, facts
    if option.breakeven is not None:
        when = f"own hosting stays cheaper from {least}{option.breakeven:,} requests a day on"
    else:
        when = f"no breakeven: {(option.breakeven_reason or 'unknown').partition(':')[0]}"
    because = (
        f"own hosting {least}${case.own_usd_per_month:,.0f} a month, {option.model} ${option.usd_per_month:,.0f}; "
        f"{when}{people}"
    )
    return load, volume_lean(case.load, option), because, facts


def _people(case: Case, option: ApiOption) -> str:
    """What is to be said of people's time where the bill has none: what a saving would pay for."""
    asked = "people's time is not in it (costs.engineering_usd_per_hour)"
    if case.own_usd_per_month is None or option.usd_per_month is None:
        return asked
    saved = float(option.usd_per_month - case.own_usd_per_month)
    effort = operations()
    most = (effort.weekly_hours["self_hosted"][1] - effort.weekly_hours["api"][0]) * WEEKS_A_MONTH
    if saved <= 0:
        return asked
    return f"{asked}: the ${saved:,.0f} saved pay for {most:.0f} more hours of upkeep a month up to ${saved / most:,.0f} an hour"


def _privacy(case: Case, row: CriterionRow) -> Reading:
    answer, why = privacy_of(case.spec)
    leans = {"may_leave": -0.5, "under_contract": 0.0, "part_must_stay": 0.75, "must_stay": 1.0}
    says = {
        "may_leave": f"data may leave, and an API's privacy is {row.api}",
        "under_contract": "an enterprise agreement would do: zero retention, no training on your data",
        "part_must_stay": f"some data must stay inside ({why})",
        "must_stay": f"all data must stay inside ({why})",
    }
    if answer is None:
        return None, 0.0, NOT_SAID, ()
    return answer, leans[answer], says[answer], (fact(row, f"own hosting: {row.own}"),)


def _regulation(case: Case, row: CriterionRow) -> Reading:
    regime = regime_of(case.spec)
    if regime is None:
        return None, 0.0, "no regime was named", ()
    lean, because = regime.prefers, regime.own if regime.prefers > 0 else regime.api
    if regime.id == "startup_mvp" and case.spec.advise.team == "skilled":
        lean, because = 0.0, regime.own
    if regime.id == "financial_pci_gdpr" and any(z in EUROPE for z in case.spec.compliance.residency):
        lean = 0.75
    said = Fact(text=f"{regime.title}: {because}", source=regime.source, as_of=regime.as_of)
    return regime.id, lean, because, (said, fact(row, f"own hosting: {row.own}"))


def _air_gap(case: Case, row: CriterionRow) -> Reading:
    if case.spec.compliance.air_gapped:
        return "yes", 1.0, row.api, (fact(row, row.api),)
    return "no", 0.0, "it may reach the world outside", ()


def _capability(case: Case, row: CriterionRow) -> Reading:
    answer, option = case.spec.advise.capability, reference(case)
    if answer == "narrow":
        return answer, 0.0, "models of 7B to 14B do well on narrow tasks, once tuned", (fact(row, row.own),)
    gap = mean_gap(case.scores, option.scores) if option else None
    if gap is None or option is None or option.scores is None:
        lacking = "no benchmark has both models" if option else "no API to compare with"
        lean = {"leading": -1.0, "comparable": -0.5}.get(answer or "", 0.0)
        return answer, lean, f"{lacking}; open models are {row.own.partition(';')[0]}", (fact(row, row.own),)
    points, count = gap
    lean = -max(-1.0, min(1.0, points / FULL_GAP_POINTS))
    if answer == "leading" and points > 0:
        lean = -1.0
    elif answer is None:
        lean /= 2
    ahead, behind = (option.model, case.model) if points >= 0 else (case.model, option.model)
    because = (
        f"{ahead} is {abs(points):.1f} points ahead of {behind} (mean of {count} benchmarks, unverified)"
    )
    if answer is None:
        because += "; how much that matters was not said, so half of it counts"
    scores = Fact(text=because, source=option.scores.source, as_of=option.scores.as_of, assumption=True)
    return answer, lean, because, (scores,)


def _features(case: Case, row: CriterionRow) -> Reading:
    answer = case.spec.advise.features
    leans = {"at_once": -1.0, "later": -0.5, "not_needed": 0.0}
    says = {
        "at_once": "an API has tools, search and vision out of the box",
        "later": "an API has them out of the box, own hosting can be given them",
        "not_needed": "what APIs have out of the box is not needed",
    }
    return _by(answer, leans, says, row, row.api)


def _customisation(case: Case, row: CriterionRow) -> Reading:
    answer = case.spec.advise.customisation
    leans = {"deep": 1.0, "light": 0.0, "none": 0.0}
    says = {
        "deep": f"closed models allow {row.api}",
        "light": "both do: a provider's fine-tuning, or adapters of your own",
        "none": "prompts are enough on either side",
    }
    return _by(answer, leans, says, row, f"own hosting: {row.own}")


def _team(case: Case, row: CriterionRow) -> Reading:
    answer = case.spec.advise.team
    leans = {"none": -1.0, "learning": -0.5, "skilled": 0.5}
    says = {
        "none": f"nobody has the skills that own hosting needs: {row.own}",
        "learning": f"the skills that own hosting needs are still being learnt: {row.own}",
        "skilled": "the skills for own hosting are there",
    }
    return _by(answer, leans, says, row, f"own hosting needs {row.own}; for an API {row.api}")


def _predictability(case: Case, row: CriterionRow) -> Reading:
    leans = {"yes": 1.0, "somewhat": 0.5, "no": 0.0}
    matters = f"an API's bill {row.api}; the own bill is {row.own}"
    says = {"yes": matters, "somewhat": matters, "no": "a bill that follows the load is fine"}
    return _by(case.spec.advise.predictability, leans, says, row, f"own hosting: {row.own}")


def _lock_in(case: Case, row: CriterionRow) -> Reading:
    leans = {"yes": 1.0, "somewhat": 0.5, "no": 0.0}
    retired = [option.model for option in case.apis if option.retired]
    seen = f"; {', '.join(retired)} has been retired" if retired else ""
    matters = f"with an API it is {row.api}{seen}"
    says = {"yes": matters, "somewhat": matters, "no": "being tied to one provider is fine"}
    return _by(case.spec.advise.lock_in, leans, says, row, f"own hosting: {row.own}")


def _time_to_value(case: Case, row: CriterionRow) -> Reading:
    leans = {"days": -1.0, "weeks": -0.25, "months": 0.0}
    says = {
        "days": f"an API answers in {row.api}, own hosting takes {row.own} to set up",
        "weeks": f"own hosting takes {row.own} to set up: it may just do",
        "months": f"there is time for the {row.own} of set-up",
    }
    return _by(case.spec.advise.start, leans, says, row, f"set-up: {row.api} against {row.own}")


def _by(
    answer: str | None, leans: dict[str, float], says: dict[str, str], row: CriterionRow, text: str
) -> Reading:
    if answer is None:
        return None, 0.0, NOT_SAID, ()
    return answer, leans[answer], says[answer], (fact(row, text),)


READERS: dict[str, Callable[[Case, CriterionRow], Reading]] = {
    "volume": _volume,
    "privacy": _privacy,
    "regulation": _regulation,
    "air_gap": _air_gap,
    "capability": _capability,
    "features": _features,
    "customisation": _customisation,
    "team": _team,
    "predictability": _predictability,
    "lock_in": _lock_in,
    "time_to_value": _time_to_value,
}
