"""Bills of plans whose steps are known."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.catalog.prices import api_price
from homeport.catalog.types import ApiPrice
from homeport.costs.api import api_bill
from homeport.costs.bill import cost
from homeport.costs.own import days_per_month, self_hosted
from homeport.costs.types import Bill, Options
from homeport.errors import SpecError
from homeport.spec.models import Expose, Weights

Planner = Callable[..., Callable[[float], Any]]
LOADS = st.floats(1, 5_000_000, allow_nan=False)
PRICES = st.decimals("0.05", "20", places=4)


def price(first: float | None = 2.0, second: float | None = 8.0, **changes: Any) -> ApiPrice:
    fields = {"input_usd_per_mtok": first, "output_usd_per_mtok": second, **changes}
    return msgspec.structs.replace(api_price("openai/gpt-4.1"), **fields)


def amounts(bill: Bill) -> list[Decimal | None]:
    return [line.usd_per_month for line in bill.self_hosted.lines]


def test_the_guides_case_to_the_cent(planner: Planner) -> None:
    names = ("gpt-4.1-mini", "claude-3-5-haiku", "gpt-4.1", "claude-sonnet-4")
    bill = cost(planner(), 100_000, [api_price(name) for name in names], Options(method="guide"))
    assert [str(api.usd_per_month) for api in bill.api] == ["3600.00", "8400.00", "18000.00", "31500.00"]
    assert [str(amount) for amount in amounts(bill)] == ["5110.00", "200.00", "204.40", "5000.00"]
    assert str(bill.self_hosted.usd_per_month) == "10514.40"
    assert not bill.self_hosted.at_least
    assert [api.retired for api in bill.api] == [False, True, False, True]


def test_guide_takes_a_given_gpu_price_and_the_price_tables_for_other_gpus(planner: Planner) -> None:
    given_price = cost(
        planner(), 100_000, [], Options(method="guide", gpu_usd_per_hour=Decimal("4.00"))
    ).self_hosted
    assert given_price.lines[0].usd_per_month == Decimal("8176.00")
    other = cost(planner(gpu="L40S", usd_per_hour="8"), 100_000, [], Options(method="guide")).self_hosted
    assert other.lines[0].unit_price_usd == Decimal(2)
    assert other.lines[0].source == "a price page"
    unknown = cost(planner(gpu="L40S", usd_per_hour=None), 100_000, [], Options(method="guide")).self_hosted
    assert unknown.lines[0].usd_per_month is None
    assert unknown.usd_per_month == Decimal("5404.40")
    assert unknown.at_least


def test_load_aware_bill(planner: Planner) -> None:
    bill = cost(planner(), 100_000, [price()])
    nodes = bill.self_hosted.lines[0]
    assert (nodes.quantity, nodes.unit, nodes.usd_per_month) == (730, "node hour", Decimal("32298.85"))
    assert (nodes.source, nodes.as_of, nodes.estimated) == ("a price page", "2026-08-03", False)
    # 100,000 requests x 1,500 tokens x 730/24 days; the bill is what is known of it.
    assert bill.self_hosted.usd_per_million_tokens == Decimal("7.0792")
    assert bill.self_hosted.at_least
    assert [line.item for line in bill.self_hosted.lines if line.usd_per_month is None] == [
        "weights, a volume for each replica",
        "cluster and its system nodes",
        "engineering",
    ]
    # The API's month is as long as the nodes': 100,000 x 730/24 x (1,000 x 2 + 500 x 8) / 10^6.
    assert bill.api[0].usd_per_month == Decimal("18250.00")


def test_what_the_user_gives_is_billed_and_nothing_is_unknown(planner: Planner) -> None:
    options = Options(
        storage_usd_per_gib_month=Decimal("0.10"),
        platform_usd_per_month=Decimal("73"),
        load_balancer_usd_per_hour=Decimal("0.025"),
        egress_usd_per_month=Decimal("40"),
        engineering_usd_per_hour=Decimal("84"),
        engineering_hours_per_week=Decimal("5.6"),
    )
    bill = cost(planner(expose=Expose(kind="load_balancer")), 150_000, [price()], options)
    own = bill.self_hosted
    assert not own.at_least
    by_item = {line.item: line.usd_per_month for line in own.lines}
    # 141,107,412,992 bytes x 1.2 are 158 GiB, once for each of two replicas.
    assert by_item["weights, a volume for each replica"] == Decimal("31.60")
    assert by_item["load balancer"] == Decimal("18.25")
    assert by_item["egress"] == Decimal("40.00")
    # 5.6 hours a week are 24 1/3 hours in a month of 730 hours.
    assert by_item["engineering"] == Decimal("2044.00")
    assert own.usd_per_month == sum(by_item.values())
    assert {line.source for line in own.lines[1:]} == {"given by you"}


def test_shared_and_local_weights(planner: Planner) -> None:
    def items(**weights: Any) -> list[str]:
        lines = self_hosted(planner(weights=Weights(**weights))(300_000), Options()).lines
        return [f"{line.item}: {line.quantity}" for line in lines if line.unit == "GiB"]

    assert items(source="pvc", size_gib=200) == ["weights, one shared volume: 200"]
    assert items(source="object_store", uri="gs://b/m") == ["weights in the object store: 158"]
    assert items(source="local", path="/models") == []


def test_unknown_price_of_nodes_is_unknown_never_zero(planner: Planner) -> None:
    bill = cost(planner(usd_per_hour=None), 100_000, [price()])
    assert bill.self_hosted.usd_per_month is None
    assert bill.self_hosted.usd_per_million_tokens is None
    assert bill.breakeven[0].requests_per_day is None
    assert bill.breakeven[0].reason == "the price of own nodes is unknown"


def test_unknown_price_of_an_api(planner: Planner) -> None:
    bill = cost(planner(), 100_000, [api_price("command-a-plus-05-2026"), price(first=None)])
    assert [api.usd_per_month for api in bill.api] == [None, None]
    assert {found.reason for found in bill.breakeven} == {"the API's price is unknown"}


def test_assumed_prices_and_idle_gpus_are_named(planner: Planner) -> None:
    plan = planner(assumed="another cloud's price", gpus_per_node=8)(100_000)
    own = self_hosted(plan, Options())
    assert own.idle_gpus == 4
    assert own.lines[0].estimated
    assert own.lines[0].note == "4 of 8 GPUs are idle, and billed; another cloud's price"


def test_what_scales_is_billed_by_the_stated_share(planner: Planner) -> None:
    plan = planner(usd_per_hour="10", replicas_min=1)(400_000)
    assert self_hosted(plan, Options()).usd_per_month == 4 * 7300
    half = self_hosted(plan, Options(scaled_share=Decimal("0.5")))
    # One replica all month, three half of it.
    assert half.usd_per_month == Decimal("18250.00")
    assert half.lines[0].estimated
    assert half.lines[0].note == "3 nodes run 50% of the month, as given"
    fixed = planner(usd_per_hour="10", replicas_min=4)(400_000)
    assert self_hosted(fixed, Options(scaled_share=Decimal("0.5"))).usd_per_month == 4 * 7300


def test_a_share_that_changes_nothing_says_so(planner: Planner) -> None:
    def texts(load: float) -> str:
        return " ".join(cost(planner(), load, [], Options(scaled_share=Decimal("0.5"))).assumptions)

    assert "changes nothing" in texts(100_000)
    assert "changes nothing" not in texts(400_000)


def test_packed_replicas_share_nodes_that_stay_when_others_scale_down(planner: Planner) -> None:
    # Eight replicas of 2 GPUs on two nodes of 8; three at least: they fill one node and the other scales.
    plan = planner(usd_per_hour="10", gpus_per_node=8, gpus_per_replica=2, replicas_min=3)(800_000)
    own = self_hosted(plan, Options(scaled_share=Decimal("0.25")))
    assert own.usd_per_month == Decimal("9125.00")


def test_growth_and_retries(planner: Planner) -> None:
    plain = cost(planner(), 100_000, [price()])
    more = cost(
        planner(), 100_000, [price()], Options(growth_percent=Decimal(50), retries_percent=Decimal(10))
    )
    assert more.requests_per_day == 150_000
    assert more.api[0].usd_per_month == Decimal("30112.50")
    assert more.self_hosted.lines[0].quantity == 1460
    # Growth moves along the axis of loads; retries make each request dearer on both sides.
    grown = cost(planner(), 100_000, [price()], Options(growth_percent=Decimal(50)))
    assert grown.breakeven == plain.breakeven


def test_long_prompts_have_their_own_price(planner: Planner) -> None:
    gemini = api_price("gemini-3.1-pro-preview")
    assert gemini.input_above_200k_usd_per_mtok is not None
    assert gemini.output_above_200k_usd_per_mtok is not None
    bill = cost(planner(input_tokens=250_000), 100, [gemini])
    assert [float(line.unit_price_usd or 0) for line in bill.api[0].lines] == [
        gemini.input_above_200k_usd_per_mtok,
        gemini.output_above_200k_usd_per_mtok,
    ]


def test_cached_input_and_batches_have_their_own_prices(planner: Planner) -> None:
    options = Options(cached_input_percent=Decimal(40), batch_percent=Decimal(50))
    api = price(cached_input_usd_per_mtok=0.5, batch_input_usd_per_mtok=1.0, batch_output_usd_per_mtok=4.0)
    bill = cost(planner(), 240_000, [api], options)
    # 240,000 x 730/24 = 7.3 million requests; half of them in batches, 40 % of the others' input from the cache.
    assert [(line.item, line.quantity, line.usd_per_month) for line in bill.api[0].lines] == [
        ("input tokens", 2190, Decimal("4380.00")),
        ("cached input tokens", 1460, Decimal("730.00")),
        ("output tokens", 1825, Decimal("14600.00")),
        ("input tokens in batches", 3650, Decimal("3650.00")),
        ("output tokens in batches", 1825, Decimal("7300.00")),
    ]
    all_in_batches = cost(planner(), 240_000, [api], Options(batch_percent=Decimal(100)))
    assert all_in_batches.api[0].usd_per_month == Decimal("21900.00")
    unknown = cost(planner(), 240_000, [price(batch_input_usd_per_mtok=None)], options)
    assert unknown.api[0].usd_per_month is None
    assert unknown.breakeven[0].reason == "the API's price is unknown"


def test_a_context_that_is_too_short_is_named(planner: Planner) -> None:
    bill = cost(planner(input_tokens=250_000), 100, [price(context_tokens=128_000)])
    assert bill.api[0].notes == ("its context of 128,000 tokens is too short for assistant",)


def test_loads_beyond_what_the_spec_allows(planner: Planner) -> None:
    def limited(requests_per_day: float) -> Any:
        if requests_per_day > 300_000:
            raise SpecError([])
        return planner(usd_per_hour="10")(requests_per_day)

    bill = cost(limited, 100_000, [price()])
    assert bill.breakeven[0].requests_per_day is None
    assert "no plan of a known price that the spec allows carries 10,000,000 requests a day" in str(
        bill.breakeven[0].reason
    )
    assert "cheaper only from" in str(bill.breakeven[0].reason)


@settings(deadline=None)
@given(LOADS, LOADS)
def test_more_load_never_lowers_the_api_bill(planner: Planner, first: float, second: float) -> None:
    low, high = sorted((first, second))
    cheap, dear = (cost(planner(), load, [price()]).api[0].usd_per_month for load in (low, high))
    assert cheap is not None
    assert dear is not None
    assert cheap <= dear


@settings(deadline=None)
@given(LOADS, PRICES, PRICES, st.sampled_from(["load", "guide"]), st.sampled_from([None, "0.3"]))
def test_a_cheaper_gpu_never_raises_the_total(
    planner: Planner, load: float, first: Decimal, second: Decimal, method: Any, share: str | None
) -> None:
    plan = planner()(load)
    low, high = (
        self_hosted(
            plan,
            Options(
                method=method,
                gpu_usd_per_hour=usd,
                scaled_share=None if share is None else Decimal(share),
            ),
        ).usd_per_month
        for usd in sorted((first, second))
    )
    assert low is not None
    assert high is not None
    assert low <= high


@settings(deadline=None)  # one example bills two dozen loads
@given(
    st.integers(500, 2_000_000),
    st.decimals("0.5", "100", places=2),
    st.floats(0.01, 30),
    st.floats(0.01, 90),
    st.sampled_from(["load", "guide"]),
)
def test_below_the_breakeven_own_hosting_is_dearer_and_above_it_nowhere(
    planner: Planner, per_replica: int, usd: Decimal, first: float, second: float, method: Any
) -> None:
    replan = planner(per_replica=per_replica, usd_per_hour=str(usd))
    options = Options(method=method)
    api = price(first, second)
    found = cost(replan, 100_000, [api], options).breakeven[0]
    load = found.requests_per_day
    if load is None:
        assert found.reason
        return

    def difference(requests: int) -> Decimal:
        plan = replan(requests)
        own = self_hosted(plan, options).usd_per_month
        theirs = api_bill(api, plan.spec, days_per_month(options), options).usd_per_month
        assert own is not None
        assert theirs is not None
        return own - theirs

    if load > 100:
        # Bills are rounded to the cent, the breakeven is not: one cent is "the same".
        assert difference(load - 1) >= Decimal("-0.01")
    steps = [n * per_replica + 1 for n in range(load // per_replica, load // per_replica + 30)]
    for above in [load, *(step for step in steps if load < step <= 10_000_000), 10_000_000]:
        assert difference(above) <= Decimal("0.01")


@pytest.mark.parametrize("method", ["load", "guide"])
def test_money_is_decimal_and_totals_add_up(planner: Planner, method: Any) -> None:
    bill = cost(planner(), 123_456.7, [price()], Options(method=method))
    for lines, total in (
        (bill.self_hosted.lines, bill.self_hosted.usd_per_month),
        (bill.api[0].lines, bill.api[0].usd_per_month),
    ):
        known = [line.usd_per_month for line in lines if line.usd_per_month is not None]
        assert all(isinstance(amount, Decimal) and amount.as_tuple().exponent == -2 for amount in known)
        assert total == sum(known)
