"""The verdict: weights against each other, under what no weight outweighs, and the changes that would turn it."""

import math
from collections.abc import Iterator
from typing import get_args, get_type_hints

from msgspec.structs import replace

from homeport.advice.constraints import constraints, lifted, reference, usable
from homeport.advice.criteria import readings
from homeport.advice.types import ORDER, Case, Flip, Outcome, Verdict
from homeport.spec.policy import Advise

DECISIVE = 1.5
"""A side wins when its pull is at least so many times the other's (an assumption); between, both serve."""
ANSWERS = {
    "privacy": "privacy",
    "capability": "capability",
    "features": "features",
    "customisation": "customisation",
    "team": "team",
    "predictability": "predictability",
    "lock_in": "lock_in",
    "start": "time_to_value",
}
"""Answers whose change is looked at, and the criterion that each belongs to."""


def decide(case: Case) -> Outcome:
    """Weigh all criteria, then hold the verdict to the constraints: the nearest one with more own hosting that is left."""
    found = readings(case)
    own = round(sum(c.pull for c in found if c.points_to == "self-host"), 3)
    api = round(sum(c.pull for c in found if c.points_to == "api"), 3)
    free = by_pulls(api, own)
    hard = constraints(case)
    barred = {verdict for constraint in hard for verdict in constraint.bars}
    verdict = next(v for v in ORDER[ORDER.index(free) :] if v not in barred)
    return Outcome(
        verdict=verdict,
        unconstrained=free,
        api_pull=api,
        own_pull=own,
        constraints=hard,
        criteria=found,
    )


def by_pulls(api: float, own: float) -> Verdict:
    """The verdict of the weights alone. Where nothing pulls, the API: nothing speaks for the effort."""
    if api >= DECISIVE * own:
        return "api"
    return "self-host" if own >= DECISIVE * api else "hybrid"


def flips(case: Case, outcome: Outcome) -> tuple[Flip, ...]:
    """Every single change that gives another verdict, the smallest first; those that lift a constraint before all."""
    lifting = list(_liftings(case, outcome))
    found = [*_volumes(case, outcome), *_apis(case, outcome), *_answers(case, outcome)]
    return (*lifting, *sorted(found, key=lambda flip: flip.size or 0.0))


def _liftings(case: Case, outcome: Outcome) -> Iterator[Flip]:
    for constraint in outcome.constraints:
        changed = lifted(case, constraint)
        if changed is not None and constraint.lifted_by is not None:
            verdict = decide(changed).verdict
            if verdict != outcome.verdict:
                yield Flip(criterion=constraint.id, change=constraint.lifted_by, verdict=verdict, size=None)


def _size(one: Outcome, other: Outcome) -> float:
    """How far a change moves the criteria: the sum of the moved weight x lean."""
    return round(
        sum(
            abs(a.weight * a.lean - b.weight * b.lean)
            for a, b in zip(one.criteria, other.criteria, strict=True)
        ),
        3,
    )


def _volumes(case: Case, outcome: Outcome) -> Iterator[Flip]:
    """The nearest loads, up and down, at which the verdict is another: more load only ever speaks for own hosting."""
    option = reference(case)
    if option is None or not option.ratios:
        return
    for end, up in ((float(option.ratios[-1][0]), True), (1.0, False)):
        if (end > case.load) != up or decide(replace(case, load=end)).verdict == outcome.verdict:
            continue
        same, other = case.load, end
        while abs(other - same) > max(1.0, 0.001 * abs(same)):
            middle = (same * other) ** 0.5
            if decide(replace(case, load=middle)).verdict == outcome.verdict:
                same = middle
            else:
                other = middle
        other = _rounded(other, up=up)
        there = decide(replace(case, load=other))
        yield Flip(
            criterion="volume",
            change=f"{other:,.0f} requests a day {'or more' if up else 'or fewer'}",
            verdict=there.verdict,
            size=_size(outcome, there),
        )


def _rounded(load: float, *, up: bool) -> float:
    """A load with three digits, away from where it is seen from: what holds at `load` holds there too."""
    unit = 10.0 ** max(0, math.floor(math.log10(max(load, 1.0))) - 2)
    return max(1.0, (math.ceil if up else math.floor)(load / unit) * unit)


def _apis(case: Case, outcome: Outcome) -> Iterator[Flip]:
    """Weighed against one of the other APIs alone: the nearest that turns the verdict."""
    now = reference(case)
    others = [
        o for o in case.apis if usable(case, o) and not o.retired and now is not None and o.model != now.model
    ]
    turned = []
    for option in others:
        there = decide(replace(case, apis=(option,)))
        if there.verdict != outcome.verdict:
            turned.append((_size(outcome, there), option.model, there.verdict))
    for size, model, verdict in sorted(turned)[:1]:
        yield Flip(criterion="volume", change=f"{model} as the only API", verdict=verdict, size=size)


def _answers(case: Case, outcome: Outcome) -> Iterator[Flip]:
    hints = get_type_hints(Advise)
    if not case.spec.compliance.air_gapped:
        rules = replace(case.spec.compliance, air_gapped=True)
        there = decide(replace(case, spec=replace(case.spec, compliance=rules)))
        if there.verdict != outcome.verdict:
            yield Flip(
                criterion="air_gap",
                change="air_gapped: true",
                verdict=there.verdict,
                size=_size(outcome, there),
            )
    for name, criterion in ANSWERS.items():
        best: Flip | None = None
        for value in _values(hints[name]):
            if value == getattr(case.spec.advise, name):
                continue
            advise = replace(case.spec.advise, **{name: value})
            there = decide(replace(case, spec=replace(case.spec, advise=advise)))
            if there.verdict == outcome.verdict:
                continue
            flip = Flip(
                criterion=criterion,
                change=f"{name}: {value}",
                verdict=there.verdict,
                size=_size(outcome, there),
            )
            if best is None or (flip.size or 0) < (best.size or 0):
                best = flip
        if best is not None:
            yield best


def _values(hint: object) -> tuple[str, ...]:
    """The words of an optional Literal."""
    return tuple(word for part in get_args(hint) for word in get_args(part) if isinstance(word, str))
