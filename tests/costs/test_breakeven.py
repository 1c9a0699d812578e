"""The breakeven is exact: compared with looking at every single load of a small range."""

from collections.abc import Callable
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.costs.breakeven import RANGE, OwnCost, breakeven

LOW, HIGH = 1, 400


def staircase(steps: list[tuple[int, int]], base: int) -> Callable[[int], Decimal | None]:
    """Cost that rises by `rise` at each `load`."""
    return lambda load: Decimal(base + sum(rise for at, rise in steps if load >= at))


def looked_up(cost: Callable[[int], Decimal | None], slope: Decimal) -> tuple[int | None, list[int]]:
    """The breakeven and all loads where the sign changes, by looking at each load."""
    cheaper = []
    for load in range(LOW, HIGH + 1):
        own = cost(load)
        cheaper.append(own is not None and own < slope * load)
    changes = [LOW + i for i in range(1, len(cheaper)) if cheaper[i] != cheaper[i - 1]]
    if not cheaper[-1]:
        return None, changes
    return (changes[-1] if changes else LOW), changes


staircases = st.lists(st.tuples(st.integers(LOW, HIGH), st.integers(1, 3000)), max_size=6)


@settings(deadline=None)
@given(staircases, st.integers(0, 3000), st.decimals("0.01", "40", places=2))
def test_breakeven_equals_looking_at_every_load(
    steps: list[tuple[int, int]], base: int, slope: Decimal
) -> None:
    cost = staircase(steps, base)
    expected, changes = looked_up(cost, slope)
    found = breakeven("m", OwnCost(cost), slope, LOW, HIGH)
    assert found.requests_per_day == expected
    if found.crossings_complete:
        assert [crossing.requests_per_day for crossing in found.crossings] == changes
    if expected is None:
        assert found.reason
    elif changes:
        assert found.crossings[-1].becomes == "cheaper"


@settings(deadline=None)
@given(staircases, st.integers(0, 3000), st.integers(LOW, HIGH), st.decimals("0.01", "40", places=2))
def test_loads_that_no_plan_carries_are_never_cheaper(
    steps: list[tuple[int, int]], base: int, limit: int, slope: Decimal
) -> None:
    def cost(load: int) -> Decimal | None:
        return None if load > limit else staircase(steps, base)(load)

    found = breakeven("m", OwnCost(cost), slope, LOW, HIGH)
    assert found.requests_per_day == looked_up(cost, slope)[0]
    if limit < HIGH:
        assert found.reason is not None
        assert "no plan of a known price that the spec allows carries 400 requests a day" in found.reason


@settings(deadline=None)
@given(
    staircases, st.integers(0, 3000), st.decimals("0", "6000", places=2), st.decimals("0.01", "40", places=2)
)
def test_what_an_api_costs_without_a_request_counts(
    steps: list[tuple[int, int]], base: int, fixed: Decimal, slope: Decimal
) -> None:
    cost = staircase(steps, base)
    found = breakeven("m", OwnCost(cost), slope, LOW, HIGH, fixed=fixed)
    expected, changes = looked_up(lambda load: (cost(load) or Decimal(0)) - fixed, slope)
    assert found.requests_per_day == expected
    if found.crossings_complete:
        assert [crossing.requests_per_day for crossing in found.crossings] == changes


@settings(deadline=None)
@given(staircases, st.integers(0, 3000), st.decimals("0", "5", places=2), st.decimals("0", "40", places=2))
def test_what_grows_with_the_load_counts(
    steps: list[tuple[int, int]], base: int, of_one: Decimal, slope: Decimal
) -> None:
    stepping = staircase(steps, base)
    found = breakeven("m", OwnCost(stepping, of_one), slope, LOW, HIGH)
    expected, _ = looked_up(lambda load: (stepping(load) or Decimal(0)) + of_one * load, slope)
    assert found.requests_per_day == expected


def replicas(per_replica: int, usd: str) -> tuple[OwnCost, list[int]]:
    asked: list[int] = []

    def cost(load: int) -> Decimal:
        asked.append(load)
        return -(-load // per_replica) * Decimal(usd)

    return OwnCost(cost), asked


def test_a_step_that_makes_own_hosting_dearer_again_moves_the_breakeven_behind_it() -> None:
    own, _ = replicas(100, "10")
    # $0.15 for each request a day: one replica pays from 67 requests on, the second ($20, from 101 on) from 134 on,
    # and the third, at 201 requests and $30, is cheaper than the API at once ($30.15).
    found = breakeven("m", own, Decimal("0.15"), 10, 1000)
    assert found.requests_per_day == 134
    assert found.crossings_complete
    assert [(c.requests_per_day, c.becomes) for c in found.crossings] == [
        (67, "cheaper"),
        (101, "dearer"),
        (134, "cheaper"),
    ]


def test_few_plans_are_needed() -> None:
    own, asked = replicas(100_000, "10000")
    breakeven("m", own, Decimal("0.30"), *RANGE)
    breakeven("n", own, Decimal("0.05"), *RANGE)
    assert len(asked) == len(set(asked)) <= 60


def test_too_near_to_tell_says_so_instead_of_guessing() -> None:
    own, asked = replicas(1_000, "100")
    found = breakeven("m", own, Decimal("0.1001"), *RANGE)
    assert found.requests_per_day is None
    assert found.reason is not None
    assert "too nearly the same" in found.reason
    assert not found.crossings_complete
    assert len(asked) < 150


def test_unknown_price() -> None:
    own, asked = replicas(100, "1")
    assert breakeven("m", own, None, *RANGE).reason == "the API's price is unknown"
    assert asked == []


def test_cheaper_everywhere_starts_at_the_range() -> None:
    own, _ = replicas(1_000_000_000, "1")
    found = breakeven("m", own, Decimal(1), *RANGE)
    assert found.requests_per_day == RANGE[0]
    assert found.reason == "own hosting is cheaper in the whole range"
