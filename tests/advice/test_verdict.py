"""The verdict: weights against each other, hard constraints above them, and what would turn it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from homeport.advice.constraints import privacy_of, reference, usable
from homeport.advice.criteria import readings, volume_lean
from homeport.advice.framework import criteria, operations
from homeport.advice.types import ORDER
from homeport.advice.verdict import DECISIVE, by_pulls, decide, flips
from homeport.spec.load import load
from homeport.spec.policy import Advise, ApiAgreement, Compliance, CriterionWeights
from tests.advice.cases import LEAST, WORDS, case, cases, option

UNHURRIED = settings(deadline=None, max_examples=60)


@UNHURRIED
@given(cases, st.floats(1, 1e6))
def test_more_load_never_moves_the_verdict_towards_an_api(made, times) -> None:
    more = replace(made, load=made.load * times)
    assert ORDER.index(decide(more).verdict) >= ORDER.index(decide(made).verdict)


@UNHURRIED
@given(cases)
def test_no_weight_outweighs_a_hard_constraint(made) -> None:
    outcome = decide(made)
    barred = {verdict for constraint in outcome.constraints for verdict in constraint.bars}
    assert outcome.verdict not in barred
    if not barred:
        assert outcome.verdict == outcome.unconstrained == by_pulls(outcome.api_pull, outcome.own_pull)


@UNHURRIED
@given(cases)
def test_an_air_gap_and_data_that_must_stay_are_hosted(made) -> None:
    rules, answers = made.spec.compliance, made.spec.advise
    gapped = replace(made, spec=replace(made.spec, compliance=replace(rules, air_gapped=True)))
    assert decide(gapped).verdict == "self-host"
    kept = replace(made, spec=replace(made.spec, advise=replace(answers, privacy="must_stay")))
    assert decide(kept).verdict == "self-host"
    part = replace(made, spec=replace(made.spec, advise=replace(answers, privacy="part_must_stay")))
    assert decide(part).verdict != "api"


@UNHURRIED
@given(cases)
def test_an_api_is_advised_only_where_one_may_be_used(made) -> None:
    if decide(made).verdict != "self-host":
        assert any(usable(made, api) for api in made.apis)


@UNHURRIED
@given(cases)
def test_every_change_that_is_named_gives_the_verdict_that_is_named(made) -> None:
    outcome = decide(made)
    for flip in flips(made, outcome):
        assert flip.verdict != outcome.verdict
        name, _, value = flip.change.partition(": ")
        if name in WORDS and flip.size is not None:
            answers = replace(made.spec.advise, **{name: value})
            assert decide(replace(made, spec=replace(made.spec, advise=answers))).verdict == flip.verdict
        elif flip.change.endswith("as the only API"):
            [api] = [o for o in made.apis if o.model == flip.change.split()[0]]
            assert decide(replace(made, apis=(api,))).verdict == flip.verdict


@UNHURRIED
@given(cases)
def test_no_smaller_answer_than_the_smallest_change_turns_the_verdict(made) -> None:
    outcome = decide(made)
    found = [flip.size for flip in flips(made, outcome) if flip.size is not None]
    assert found == sorted(found)
    for name, words in WORDS.items():
        for word in words:
            answers = replace(made.spec.advise, **{name: word})
            other = decide(replace(made, spec=replace(made.spec, advise=answers)))
            if other.verdict != outcome.verdict:
                moved = zip(outcome.criteria, other.criteria, strict=True)
                size = sum(abs(a.weight * a.lean - b.weight * b.lean) for a, b in moved)
                assert found
                assert found[0] <= size + 0.001


@UNHURRIED
@given(cases)
def test_pulls_are_the_sums_of_weight_times_lean(made) -> None:
    outcome = decide(made)
    rounded = 0.001 * sum(c.weight for c in outcome.criteria) + 0.01
    for side, total in (("api", outcome.api_pull), ("self-host", outcome.own_pull)):
        meant = sum(c.weight * abs(c.lean) for c in outcome.criteria if c.points_to == side)
        assert total == pytest.approx(meant, abs=rounded)
    for criterion in outcome.criteria:
        assert -1 <= criterion.lean <= 1
        assert (criterion.points_to == "neither") == (criterion.lean == 0)


def test_a_load_that_turns_the_verdict_is_the_nearest_one() -> None:
    made = case(10_000, advise=Advise(team="skilled"))
    outcome = decide(made)
    assert outcome.verdict == "api"
    [flip] = [f for f in flips(made, outcome) if f.criterion == "volume"]
    at = float(flip.change.split()[0].replace(",", ""))
    assert flip.change.endswith("or more")
    assert decide(replace(made, load=at * 1.01)).verdict == flip.verdict
    assert decide(replace(made, load=at * 0.99)).verdict == "api"


def test_the_margin_divides_the_verdicts() -> None:
    assert by_pulls(0, 0) == "api"
    assert by_pulls(DECISIVE, 1) == "api"
    assert by_pulls(1, DECISIVE) == "self-host"
    assert by_pulls(1, 1) == "hybrid"
    assert by_pulls(1, DECISIVE - 0.01) == "hybrid"


def test_the_volume_points_by_what_it_costs() -> None:
    assert volume_lean(100_000, option()) == 0
    assert volume_lean(1_000_000, option()) == 1
    assert volume_lean(1_000, option()) == -1
    assert -1 < volume_lean(60_000, option()) < 0
    assert volume_lean(1_000_000, option(breakeven=None)) == 0
    assert volume_lean(1_000, option(ratios=())) == 0
    assert volume_lean(1_000, None) == 0


def test_an_answer_moves_only_its_own_criterion() -> None:
    before = {c.id: c.lean for c in readings(case())}
    for name, criterion in {"team": "team", "features": "features", "start": "time_to_value"}.items():
        after = {c.id: c.lean for c in readings(case(advise=Advise(**{name: WORDS[name][0]})))}
        assert {k for k in before if before[k] != after[k]} <= {criterion}


def test_better_answers_are_asked_of_a_better_api() -> None:
    cheap, good = option(model="openai/gpt-4.1-mini", usd=10), option(model="openai/gpt-4.1", usd=100)
    apis = (good, cheap)
    assert reference(case(apis=apis)) == cheap
    assert reference(case(apis=apis, advise=Advise(capability="leading"))) == good
    assert reference(case(apis=apis, advise=Advise(capability="comparable"))) == good
    assert reference(case(apis=(cheap,), advise=Advise(capability="leading"))) == cheap


def test_a_retired_or_barred_api_is_passed_over() -> None:
    old = option(model="anthropic/claude-sonnet-4-20250514", usd=10, retired=True)
    new = option(usd=100)
    assert reference(case(apis=(old, new))) == new
    rules = Compliance(
        residency=("eu",), api_agreements=(ApiAgreement(provider="openai", residency=("de",)),)
    )
    barred = option(model="google/gemini-2.5-pro", usd=10)
    assert reference(case(apis=(barred, new), compliance=rules)) == new
    assert decide(case(apis=(barred, new), compliance=rules)).constraints == ()


def test_benchmarks_say_how_far_the_api_is_ahead() -> None:
    [found] = [c for c in readings(case(advise=Advise(capability="comparable"))) if c.id == "capability"]
    # (88.0 - 82.0 + 84.1 - 72.5 + 94.3 - 87.2 + 87.5 - 84.0) / 4
    assert "7.0 points ahead" in found.because
    assert found.lean == pytest.approx(-0.705)
    assert found.facts[0].assumption
    [leading] = [c for c in readings(case(advise=Advise(capability="leading"))) if c.id == "capability"]
    assert leading.lean == -1
    [narrow] = [c for c in readings(case(advise=Advise(capability="narrow"))) if c.id == "capability"]
    assert narrow.lean == 0


def test_a_share_of_personal_data_answers_for_privacy() -> None:
    def privacy(*shares: str) -> tuple[str | None, str]:
        text = LEAST.partition("models:")[0] + "models:\n"
        for i, share in enumerate(shares):
            text += f"  - name: m{i}\n    model: Qwen/Qwen3-8B\n    workload: {{requests_per_day: 10, input_tokens: 10, output_tokens: 10{share}}}\n"
        return privacy_of(load(text, "t.yaml").spec)

    assert privacy("") == (None, "not said")
    assert privacy(", personal_data_share: 0") == (None, "not said")
    assert privacy(", personal_data_share: 0.2")[0] == "part_must_stay"
    assert privacy(", personal_data_share: 1")[0] == "must_stay"
    assert privacy(", personal_data_share: 1", "")[0] == "part_must_stay"


def test_an_answer_never_loosens_what_a_share_says() -> None:
    text = LEAST.replace("output_tokens: 500}", "output_tokens: 500, personal_data_share: 0.5}")
    for words, found in (("may_leave", "part_must_stay"), ("must_stay", "must_stay")):
        made = load(f"{text}advise: {{privacy: {words}}}\n", "t.yaml").spec
        assert privacy_of(made)[0] == found
    held = replace(case(), spec=load(text, "t.yaml").spec)
    outcome = decide(held)
    assert outcome.verdict != "api"
    [lifting] = [flip for flip in flips(held, outcome) if flip.size is None]
    assert lifting.change == "workload.personal_data_share: 0 (and privacy: under_contract)"


def test_an_agreement_lifts_a_regime_and_the_weights_decide_again() -> None:
    made = case(compliance=Compliance(regime="healthcare_phi_hipaa"), advise=Advise(team="none"))
    outcome = decide(made)
    assert (outcome.verdict, outcome.unconstrained) == ("self-host", "api")
    [constraint] = outcome.constraints
    assert constraint.lifted_by is not None
    assert "a business associate agreement and verified zero retention" in constraint.lifted_by
    assert flips(made, outcome)[0].verdict == "api"
    agreed = ApiAgreement(provider="openai", baa=True, zero_retention=True)
    rules = Compliance(regime="healthcare_phi_hipaa", api_agreements=(agreed,))
    assert decide(case(compliance=rules, advise=Advise(team="none"))).verdict == "api"


def test_where_two_constraints_hold_lifting_one_turns_nothing() -> None:
    rules = Compliance(regime="healthcare_phi_hipaa", air_gapped=True)
    made = case(compliance=rules)
    assert [f for f in flips(made, decide(made)) if f.size is None] == []


def test_a_weight_of_the_spec_replaces_the_frameworks() -> None:
    light = case(1_000_000, advise=Advise(team="none"))
    assert decide(light).verdict == "hybrid"
    heavy = replace(light.spec.advise, weights=CriterionWeights(team=50))
    assert decide(replace(light, spec=replace(light.spec, advise=heavy))).verdict == "api"


def test_every_criterion_has_a_weight_field_a_source_and_a_reader() -> None:
    assert tuple(row.id for row in criteria()) == CriterionWeights.__struct_fields__
    for row in criteria():
        assert row.source.startswith("guide")
        assert row.as_of == "2026-04"
        assert "weight" in row.unverified
    assert operations().weekly_hours == {"api": (2, 2), "self_hosted": (10, 20)}
