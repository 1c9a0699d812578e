"""The autoscaler's figures, each recomputed by hand from the plan that it comes from."""

from pathlib import Path

import msgspec
import pytest

from homeport.errors import SpecError
from homeport.planning import scaling
from homeport.planning.explain import explain
from homeport.planning.output import plan_values
from homeport.planning.plan import plan
from homeport.planning.types import ModelPlan
from homeport.spec.load import load
from homeport.spec.models import Replicas, Scaling

SPEC = """\
version: 1
name: support
target: {platform: gke}
models:
  - name: assistant
    model: meta-llama/Llama-3.1-8B-Instruct
    workload: {requests_per_day: 1000000, input_tokens: 1000, output_tokens: 500}
"""


@pytest.fixture(scope="module")
def model() -> ModelPlan:
    return plan(load(SPEC, "homeport.yaml").spec, base_dir=Path()).models[0]


def changed(model: ModelPlan, *, scaling: dict | None = None, **changes) -> ModelPlan:
    spec = msgspec.structs.replace(model.spec, scaling=msgspec.convert(scaling or {}, Scaling))
    return msgspec.structs.replace(model, spec=spec, **changes)


def test_the_threshold_leaves_room_for_the_tolerance_and_the_growth_of_one_start(model) -> None:
    made = scaling.scaling(model)
    ready = made.reaction.value - 30 - made.up_window.value
    assert ready == -(-model.startup.ready_s // 1)
    assert made.up_window.value == min(60, ready // 10)
    # from the mean to three times the mean within an hour
    growth = 1_000_000 / 86_400 * 2 / 3600
    holds = model.replicas_planned * model.capacity.requests_per_s
    share = growth * made.reaction.value / holds
    assert made.headroom.value == pytest.approx(share)
    assert made.threshold.value == int(model.capacity.concurrency / 1.1 * (1 - share))
    assert made.threshold.value * 1.1 <= model.capacity.concurrency
    assert made.kv_cache.value == pytest.approx((1 - share) / 1.1, abs=0.01)


def test_a_slower_start_scales_earlier_waits_longer_and_steps_further(model) -> None:
    slow = msgspec.structs.replace(model.startup, ready_s=900.0, ready_s_interval=(600.0, 1500.0))
    before, after = scaling.scaling(model), scaling.scaling(changed(model, startup=slow))
    assert after.threshold.value < before.threshold.value
    assert (after.down_window.value, after.up_window.value, after.up_period.value) == (1500, 60, 900)
    assert after.down_step.value >= before.down_step.value
    assert after.idle.value > before.idle.value
    assert after.short.value > before.short.value


def test_limits_of_the_api_hold_for_a_start_of_two_hours(model) -> None:
    slow = msgspec.structs.replace(model.startup, ready_s=7200.0, ready_s_interval=(7000.0, 9000.0))
    made = scaling.scaling(changed(model, startup=slow))
    assert (made.down_window.value, made.down_period.value, made.up_period.value) == (3600, 1800, 1800)
    assert "at most 3600 s" in made.down_window.why


def test_the_day_profile_says_how_steep_the_load_is(model) -> None:
    hours = (*[1.0] * 12, 2.0, 6.0, *[6.0] * 5, 3.0, *[1.0] * 4)
    work = msgspec.structs.replace(model.spec.workload, day_profile=hours)
    spec = msgspec.structs.replace(model.spec, workload=work)
    made = scaling.scaling(msgspec.structs.replace(model, spec=spec))
    rise = 4 / sum(hours) * 1_000_000 / 3600 / 3600
    holds = model.replicas_planned * model.capacity.requests_per_s
    assert made.headroom.value == pytest.approx(rise * made.reaction.value / holds)
    assert not made.headroom.assumption
    assert scaling.scaling(model).headroom.assumption


def test_up_to_the_planned_replicas_at_once_and_down_as_the_load_falls(model) -> None:
    made = scaling.scaling(changed(model, replicas_min=1, replicas_planned=8, replicas_max=9))
    assert made.up_step.value == 7
    fall = 1_000_000 / 86_400 * 2 / 3600 * made.down_window.value
    assert made.down_step.value == max(1, -(-fall // model.capacity.requests_per_s))


def test_a_wrong_step_is_priced(model) -> None:
    made = scaling.scaling(model)
    price = float(model.nodes.price.usd_per_hour) * model.gpus_per_replica / model.nodes.gpus_per_node
    assert made.idle.value == pytest.approx(price * made.down_window.value / 3600)
    assert made.idle.unit == "USD"
    missing = min(model.capacity.requests_per_s, model.peak_requests_per_s / model.replicas_planned)
    assert made.short.value == pytest.approx(missing * made.reaction.value)
    unpriced = msgspec.structs.replace(model, nodes=msgspec.structs.replace(model.nodes, price=None))
    assert scaling.scaling(unpriced).idle is None, "unknown, not free"


def test_what_is_unknown_is_said_and_never_computed_from_zero(model) -> None:
    made = scaling.scaling(changed(model, capacity=None, startup=None, performance=None))
    assert (made.threshold.value, made.threshold.assumption) == (1, True)
    assert (made.headroom.value, made.short, made.at_peak) == (0, None, None)
    assert "unknown" in made.threshold.why
    assert made.down_window.value == 300
    assert "unknown" in made.down_window.source


def test_fixed_replicas_have_no_autoscaler(model) -> None:
    assert scaling.scaling(changed(model, fixed_replicas=True)) is None
    assert scaling.scaling(changed(model, scaling={"by": "none"})) is None
    assert explain(changed(model, scaling={"by": "none"}))
    titles = [s.title for s in explain(changed(model, scaling={"by": "none"}))]
    assert not any(t.startswith("Scaling") for t in titles)


def test_an_hpa_has_neither_fallback_nor_zero(model) -> None:
    made = scaling.scaling(changed(model, scaling={"by": "hpa"}))
    assert (made.fallback_replicas, made.fallback_failures) == (None, None)
    assert (made.polling, made.cooldown, made.wake) == (None, None, None)
    with_keda = scaling.scaling(model)
    assert with_keda.fallback_replicas.value == model.replicas_planned
    assert made.threshold == with_keda.threshold


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ({"threshold": 10_000}, "10,000"),
        ({"threshold": 0.5}, "more than replicas.max"),
        ({"kv_cache_usage": 1}, "0.1 more than there is"),
        ({"fallback_replicas": 99}, "more than replicas.max"),
    ],
)
def test_an_override_that_cannot_work_says_by_how_much(model, written, says) -> None:
    with pytest.raises(SpecError) as refused:
        scaling.scaling(changed(model, scaling=written))
    (problem,) = refused.value.problems
    assert problem.path == ("scaling", *written)
    if "," not in says:
        assert says in problem.message
    else:
        acts = 11_000
        assert f"{acts - model.capacity.concurrency:.4g} more than" in problem.message


def test_the_least_threshold_that_is_named_works(model) -> None:
    with pytest.raises(SpecError) as refused:
        scaling.scaling(changed(model, scaling={"threshold": 0.5}))
    least = float(refused.value.problems[0].help.split()[2].rstrip(","))
    made = scaling.scaling(changed(model, scaling={"threshold": least + 0.001}))
    assert made.at_peak.value <= model.replicas_max


def test_the_plan_says_what_was_computed_with_units_and_sources(model) -> None:
    spec = load(SPEC, "homeport.yaml").spec
    made = plan(spec, base_dir=Path())
    (section,) = [s for s in explain(made.models[0]) if s.title.startswith("Scaling")]
    assert all(term.unit and term.source and term.formula for term in section.terms)
    values = plan_values(made)["models"][0]["scaling"]
    assert values["threshold"]["value"] == scaling.scaling(made.models[0]).threshold.value
    assert values["cooldown"] is None
    own = values["threshold"]["value"] - 1
    written = plan_values(
        msgspec.structs.replace(made, models=(changed(made.models[0], scaling={"threshold": own}),))
    )["models"][0]["scaling"]["threshold"]
    assert (written["value"], written["given"], written["because"]) == (own, True, "as written")


def test_a_load_within_the_tolerance_of_the_planned_replicas_adds_none(model) -> None:
    made = scaling.scaling(model)
    speed = model.performance
    in_flight = model.peak_requests_per_s * (speed.ttft_ms + speed.tpot_ms * 500) / 1000
    each = in_flight / model.replicas_planned
    expected = (
        model.replicas_planned
        if made.threshold.value / 1.1 <= each <= made.threshold.value * 1.1
        else -(-in_flight // made.threshold.value)
    )
    assert made.at_peak.value == min(model.replicas_max, expected)


def test_replicas_to_zero_are_watched_and_cooled_down(model) -> None:
    spec = msgspec.structs.replace(model.spec, replicas=Replicas(min=0))
    zero = msgspec.structs.replace(model, spec=spec, replicas_min=0)
    made = scaling.scaling(changed(zero, scaling={"wake": "up"}))
    assert made.wake == "up"
    assert made.cooldown.value == made.down_window.value
    assert 5 <= made.polling.value <= 30
    assert made.fallback_replicas.value >= 1
    # a minute of the HPA's readings and of KEDA's own
    assert made.fallback_failures.value == int(4 + 60 / made.polling.value) - 1
    assert scaling.scaling(model).fallback_failures.value == 3


@pytest.mark.parametrize(
    ("carries", "share"), [(1, 1.0), (2, 0.95), (5, 0.95), (13, 0.95), (19, 0.95), (40, 0.95)]
)
def test_rounding_a_small_threshold_asks_for_no_further_replicas(model, carries, share) -> None:
    capacity = msgspec.structs.replace(model.capacity, concurrency=carries)
    made = scaling.scaling(changed(model, capacity=capacity))
    exact = carries / 1.1 * (1 - made.headroom.value)
    assert made.threshold.value >= max(1, exact * share)
    assert carries == 1 or made.threshold.value <= exact
    assert ("at least 1" in made.threshold.why) == (exact < 1)


@pytest.mark.parametrize(
    ("wake", "says"),
    [
        ("sum(rq_active) # of the gateway", "comment"),
        ("sum(rq_active", "brackets"),
        ("1", "a number"),
        ("sum(rq_active{path=\"/#(\",job='['})", None),
        ("up", None),
    ],
)
def test_a_signal_must_be_fit_to_stand_in_the_triggers_query(model, wake, says) -> None:
    spec = msgspec.structs.replace(model.spec, replicas=Replicas(min=0))
    zero = changed(msgspec.structs.replace(model, spec=spec, replicas_min=0), scaling={"wake": wake})
    if says is None:
        assert scaling.scaling(zero).wake == wake
        return
    with pytest.raises(SpecError) as refused:
        scaling.scaling(zero)
    (problem,) = refused.value.problems
    assert problem.path == ("scaling", "wake")
    assert says in problem.message


@pytest.mark.parametrize("requests_per_day", [20_000, 90_000, 400_000, 1_500_000, 5_000_000])
@pytest.mark.parametrize("engine", ["vllm", "trtllm"])
def test_at_the_planned_peak_the_autoscaler_asks_for_what_the_bill_counts(
    requests_per_day: int, engine: str
) -> None:
    text = SPEC.replace("1000000", str(requests_per_day)) + f"    engine: {engine}\n"
    model = plan(load(text, "homeport.yaml").spec, base_dir=Path()).models[0]
    made = scaling.scaling(model)
    assert made is not None
    assert made.at_peak is not None
    assert made.at_peak.value == model.replicas_planned, made.at_peak.why
