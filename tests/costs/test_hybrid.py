"""The cheapest split that holds the rules: compared with pricing every split there is."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.costs.hybrid import STEPS, hybrid
from homeport.costs.replan import Replanner
from homeport.costs.types import Hybrid, Options, Split
from homeport.errors import SpecError
from homeport.planning.types import Plan
from homeport.spec.models import Spec
from homeport.spec.money import Costs
from homeport.spec.policy import Compliance
from tests.costs.conftest import make_plan
from tests.costs.test_bill import price

NOTHING_UNKNOWN = Options(
    storage_usd_per_gib_month=Decimal(0),
    platform_usd_per_month=Decimal(0),
    engineering_usd_per_hour=Decimal(0),
)
# $20 a month for each request a day of 1,000 + 500 tokens and 30.4 days: $0.1825 of GPT-4.1's 2.00 and 8.00.
USD_OF_ONE = Decimal("0.1825")


class Planner:
    """A planner of one model: a node of $7,300 a month for each `per_replica` requests a day."""

    def __init__(self, per_replica: float, usd_per_hour: str = "10", most: float = 1e12) -> None:
        self.per_replica, self.usd_per_hour, self.most = per_replica, usd_per_hour, most
        self.asked: list[float] = []

    def plan(self, spec: Spec) -> Plan:
        requests = spec.models[0].workload.requests_per_day
        self.asked.append(requests)
        if requests > self.most:
            raise SpecError([])
        plan = make_plan(requests, per_replica=self.per_replica, usd_per_hour=self.usd_per_hour)
        return msgspec.structs.replace(plan, spec=spec)


def found(
    private: float | None,
    simple: float | None,
    *,
    load: float = 100_000,
    per_replica: float = 20_000,
    options: Options = NOTHING_UNKNOWN,
    planner: Planner | None = None,
    apis: int = 2,
    **of_spec: Any,
) -> Hybrid:
    spec = make_plan(load, workload={"personal_data_share": private, "simple_share": simple}).spec
    spec = msgspec.structs.replace(spec, **of_spec)
    replanner = Replanner(planner or Planner(per_replica), spec)  # type: ignore[arg-type]
    return hybrid(replanner, [price(), price(4.0, 16.0)][:apis], options)


def by_name(splits: Hybrid) -> dict[str, Split]:
    return {split.name: split for split in splits.splits}


def test_the_splits_of_the_issue() -> None:
    splits = by_name(found(0.1, 0.4))
    # All by API breaks the rule and is shown with its price; private only: one replica; private and simple: 46 %.
    assert splits["all by API"].usd_per_month == Decimal("18250.00")
    assert not splits["all by API"].allowed
    assert splits["all by API"].reason == "10% of requests hold personal data and never go to an API"
    private = splits["own: personal data"]
    assert (private.own_usd_per_month, private.api_usd_per_month) == (Decimal("7300.00"), Decimal("16425.00"))
    both = splits["own: personal data and simple"]
    assert both.own_share == Decimal("0.46")
    assert (both.own_usd_per_month, both.api_usd_per_month) == (Decimal("21900.00"), Decimal("9855.00"))
    assert splits["all on own GPUs"].usd_per_month == Decimal("36500.00")


def test_the_cheapest_split_fills_the_replicas_that_must_be_there() -> None:
    made = found(0.1, 0.4)
    # 10,000 private requests need a replica that carries 20,000: 27.7 % of the 36,000 simple ones fill it.
    assert made.cheapest == "own: personal data and 27.7% of simple"
    assert made.complete
    best = by_name(made)[made.cheapest]
    assert best.cheapest
    assert best.own_requests_per_day == Decimal("19972")
    assert best.usd_per_month == Decimal("7300") + (USD_OF_ONE * (100_000 - 19_972)).quantize(Decimal("0.01"))
    assert [split.name for split in made.splits if split.cheapest] == [made.cheapest]


def test_nothing_private_and_dear_gpus_leave_it_all_to_the_api() -> None:
    made = found(None, 0.5, per_replica=10_000)
    assert made.cheapest == "all by API"
    assert "own: personal data" not in by_name(made)
    assert by_name(made)["own: simple"].own_share == Decimal("0.5")


def test_cheap_gpus_take_everything() -> None:
    assert found(0.1, 0.4, per_replica=1_000_000).cheapest == "all on own GPUs"


def test_only_private_known() -> None:
    assert list(by_name(found(0.25, None))) == ["all by API", "own: personal data", "all on own GPUs"]


@settings(deadline=None)
@given(
    st.floats(0, 0.9),
    st.floats(0.01, 1),
    st.integers(1_000, 60_000),
    st.decimals("0.5", "40", places=2),
)
def test_no_split_is_cheaper_than_the_one_that_is_found(
    private: float, simple: float, per_replica: int, usd: Decimal
) -> None:
    made = found(private, simple, planner=Planner(per_replica, str(usd)))
    best = next(split for split in made.splits if split.cheapest)
    share = Decimal(str(private))
    rest = (1 - share) * Decimal(str(simple))

    def total(own: Decimal) -> Decimal:
        requests = float(own * 100_000)
        nodes = max(1, -int(-requests // per_replica)) if requests else 0
        return nodes * usd * 730 + USD_OF_ONE * 100_000 * (1 - own)

    every = [share + rest * step / STEPS for step in range(0, STEPS + 1, 7)] + [Decimal(1)]
    if made.complete:
        assert best.usd_per_month is not None
        assert best.usd_per_month <= min(total(own) for own in every if own >= share) + 1


def test_few_plans_are_made() -> None:
    planner = Planner(per_replica=2_000)
    found(0.05, 0.8, planner=planner)
    assert len(planner.asked) < 130


def test_fallback_answers_its_share_at_its_price() -> None:
    options = msgspec.structs.replace(NOTHING_UNKNOWN, fallback_percent=Decimal(10))
    made = found(0.1, 0.4, options=options)
    # The second API costs twice the first: a tenth of the requests makes the rest dearer by a tenth.
    assert by_name(made)["own: personal data"].api_usd_per_month == Decimal("18067.50")
    assert made.fallback == "openai/gpt-4.1"
    alone = found(0.1, 0.4, options=options, apis=1)
    assert alone.fallback is None
    assert by_name(alone)["own: personal data"].api_usd_per_month == Decimal("16425.00")


def test_growth_and_retries_are_in_it() -> None:
    options = msgspec.structs.replace(
        NOTHING_UNKNOWN, growth_percent=Decimal(100), retries_percent=Decimal(50)
    )
    splits = by_name(found(0.1, None, options=options))
    private = splits["own: personal data"]
    assert private.own_requests_per_day == 20_000
    # 30,000 calls need two replicas; 180,000 requests are 270,000 calls.
    assert private.own_usd_per_month == Decimal("14600.00")
    assert private.api_usd_per_month == USD_OF_ONE * 270_000


def test_people_of_both_sides_are_paid_where_both_work() -> None:
    options = msgspec.structs.replace(NOTHING_UNKNOWN, engineering_usd_per_hour=Decimal(84))
    splits = by_name(found(0.1, None, options=options))
    assert splits["all by API"].usd_per_month == Decimal("18980.00")
    assert splits["own: personal data"].own_usd_per_month == Decimal("7300") + 5475
    assert splits["own: personal data"].api_usd_per_month == Decimal("16425") + 730
    assert splits["all on own GPUs"].api_usd_per_month == 0


def test_what_is_unknown_stays_unknown() -> None:
    made = found(0.1, 0.4, planner=Planner(20_000, None))  # type: ignore[arg-type]
    assert by_name(made)["all on own GPUs"].usd_per_month is None
    assert by_name(made)["all on own GPUs"].reason == "a price is unknown"
    assert by_name(made)["all by API"].usd_per_month == Decimal("18250.00")
    assert by_name(made)["own: personal data"].api_usd_per_month == Decimal("16425.00")
    assert not made.complete
    assert found(0.1, 0.4, options=Options()).splits[1].at_least


def test_a_load_that_no_plan_carries_is_said() -> None:
    planner = Planner(20_000, most=100_000)
    options = msgspec.structs.replace(NOTHING_UNKNOWN)
    made = found(0.1, 0.4, planner=planner, options=options)
    assert by_name(made)["all on own GPUs"].allowed


def test_an_air_gap_allows_own_gpus_only() -> None:
    made = found(0.1, 0.4, compliance=Compliance(air_gapped=True))
    assert made.cheapest == "all on own GPUs"
    assert by_name(made)["own: personal data"].reason == "compliance.air_gapped allows no API"


def test_bought_gpus_are_kept_at_every_split() -> None:
    from homeport.spec.money import Hardware

    hardware = Hardware(usd_per_gpu=48_000, lifetime_years=4, kw_per_gpu=1, pue=1, usd_per_kwh=0)
    options = msgspec.structs.replace(NOTHING_UNKNOWN, hardware=hardware)
    splits = by_name(found(0.1, None, options=options))
    assert splits["own: personal data"].own_usd_per_month == Decimal("4000.00")
    assert splits["all on own GPUs"].own_usd_per_month == Decimal("20000.00")


def test_costs_of_the_spec_are_read_as_they_are_written() -> None:
    from homeport.costs.inputs import options

    made = options(Costs(gpu_usd_per_hour=2.1, growth_percent=12.5), "guide")
    assert (made.gpu_usd_per_hour, made.growth_percent, made.method) == (
        Decimal("2.1"),
        Decimal("12.5"),
        "guide",
    )


@pytest.mark.parametrize(("share", "text"), [("0.1", "10%"), ("0.125", "12.5%"), ("0", "0%"), ("1", "100%")])
def test_percent(share: str, text: str) -> None:
    from homeport.costs.hybrid import percent

    assert percent(Decimal(share)) == text
