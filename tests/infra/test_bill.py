"""The bill of a stack: what it costs, what changes, and that nothing unknown becomes a number."""

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

pytest.importorskip("pulumi")

from homeport.planning.plan import Planner
from homeport.planning.types import Plan
from homeport.spec.load import load
from homeport_infra import bill
from homeport_infra.program import deploy
from homeport_infra.settings import Settings
from tests.infra.recorder import run

EXAMPLES = Path(__file__).parents[2] / "examples"
ALL = Settings()


def planned(name: str, /, **values: object) -> Plan:
    """An example's plan, its first model changed."""
    file = EXAMPLES / name
    spec = load(file.read_bytes(), name).spec
    first = msgspec.structs.replace(spec.models[0], **values)
    spec = msgspec.structs.replace(spec, models=(first, *spec.models[1:]))
    return Planner(file.parent).plan(spec)


def with_replicas(plan: Plan, count: int) -> Plan:
    """The plan with one model's replicas and its pool's nodes set."""
    model = msgspec.structs.replace(plan.models[0], replicas_planned=count, replicas_max=max(2, count))
    pool = msgspec.structs.replace(plan.pools[0], node_count=count)
    return msgspec.structs.replace(plan, models=(model,), pools=(pool,))


def test_a_new_stack_costs_everything() -> None:
    plan = planned("support.yaml")
    compared = bill.compare(bill.stack_bill(plan, ALL), {})
    price = plan.pools[0].price
    assert price is not None
    nodes = price.usd_per_hour * 730 * plan.pools[0].node_count
    assert compared.against.total.difference_usd == nodes.quantize(Decimal("0.01"))
    assert bill.sentence(compared).startswith(f"+${nodes:,.2f}/month, as far as it is known: assistant: new")


def test_the_second_replica_says_what_it_costs_and_why() -> None:
    one = with_replicas(planned("support.yaml"), 1)
    two = with_replicas(one, 2)
    found = {bill.OUTPUT: bill.outputs(bill.stack_bill(one, ALL))}
    compared = bill.compare(bill.stack_bill(two, ALL), found)
    price = one.pools[0].price
    assert price is not None
    assert bill.sentence(compared) == (
        f"+${price.usd_per_hour * 730:,.2f}/month, as far as it is known: assistant: 1 → 2 replicas"
    )
    # and back again
    found = {bill.OUTPUT: bill.outputs(bill.stack_bill(two, ALL))}
    back = bill.compare(bill.stack_bill(one, ALL), found)
    assert bill.sentence(back).startswith("-$")
    assert "2 → 1 replica" in bill.sentence(back)


def test_what_went_through_the_state_as_floats_is_no_change() -> None:
    value = bill.outputs(bill.stack_bill(planned("fleet.yaml"), ALL))

    def floats(item: object) -> object:
        if isinstance(item, dict):
            return {key: floats(v) for key, v in item.items()}
        if isinstance(item, list):
            return [floats(v) for v in item]
        return float(item) if type(item) is int else item

    compared = bill.compare(bill.stack_bill(planned("fleet.yaml"), ALL), {bill.OUTPUT: floats(value)})
    assert bill.sentence(compared) == "the bill stays as it is"
    assert compared.reasons == ()


def test_an_unknown_price_is_unknown_and_never_nothing() -> None:
    plan = planned("local.yaml")
    made = bill.stack_bill(plan, ALL)
    assert bill.outputs(made)["self_hosted"]["usd_per_month"] == "unknown"
    compared = bill.compare(made, {})
    assert bill.sentence(compared) == "the month's cost changes by an unknown amount: tiny: new, 1 replica"
    assert "no price is known of: your own machine" in bill.notes(made)
    assert [row[2] for row in bill.rows(compared)] == ["unknown", "unknown"]
    assert "unknown a month" in bill.model_line("tiny", made)


def test_assumptions_keep_their_mark_and_the_budget_is_shown() -> None:
    plan = planned("support.yaml")
    made = bill.stack_bill(plan, ALL)
    assert made.lines[0].estimated
    assert bill.rows(bill.compare(made, {}))[0][2].endswith("*")
    notes = bill.notes(msgspec.structs.replace(made, budget=Decimal(5000)))
    assert notes[0].startswith("* 1 × ")
    assert "budget $5,000.00 a month (budget.usd_per_month)" in notes


def test_each_pool_says_what_its_nodes_cost() -> None:
    plan = planned("fleet.yaml")
    made = bill.stack_bill(plan, ALL)
    lines = [bill.pool_line(str(pool.instance_type), made) for pool in plan.pools]
    assert len(lines) > 1
    for pool, line in zip(plan.pools, lines, strict=True):
        assert line.startswith(f"{pool.node_count} × {pool.instance_type} (")
        assert line.endswith(" a month")
    costs = [bill.pool_usd(str(pool.instance_type), made) for pool in plan.pools]
    assert costs == [line.usd_per_month for line in made.lines if line.kind == "nodes"]
    unpriced = [msgspec.structs.replace(line, usd_per_month=None) for line in made.lines]
    unknown = msgspec.structs.replace(made, lines=tuple(unpriced))
    assert bill.pool_usd(str(plan.pools[0].instance_type), unknown) is None
    elsewhere = bill.stack_bill(plan, Settings(layers=("models",), cluster_stack="nodes"))
    assert bill.pool_line(str(plan.pools[0].instance_type), elsewhere) == ""


def test_each_layer_bills_its_own() -> None:
    plan = planned("support.yaml")
    whole = bill.stack_bill(plan, ALL)
    nodes = bill.stack_bill(plan, Settings(layers=("cluster",)))
    models = bill.stack_bill(plan, Settings(layers=("models",), cluster_stack="organization/homeport/nodes"))
    platform = bill.stack_bill(plan, Settings(layers=("platform",)))
    assert {line.kind for line in nodes.lines} == {"nodes"}
    assert "nodes" not in {line.kind for line in models.lines}
    assert len(nodes.lines) + len(models.lines) == len(whole.lines)
    assert (platform.lines, platform.usd_per_month) == ((), Decimal(0))


def test_a_removed_model_is_named_and_its_lines_are_shown() -> None:
    plan = planned("fleet.yaml")
    found = {bill.OUTPUT: bill.outputs(bill.stack_bill(plan, ALL))}
    less = msgspec.structs.replace(plan, models=plan.models[:1], pools=plan.pools[:1])
    compared = bill.compare(bill.stack_bill(less, ALL), found)
    assert any(reason.startswith("labels: removed") for reason in compared.reasons)
    assert any(item.endswith("(removed)") for _, item, _, _ in bill.rows(compared))


def test_each_line_shows_its_own_change() -> None:
    """Weights of several models are lines of the same name."""
    spec = load((EXAMPLES / "fleet.yaml").read_bytes(), "fleet.yaml").spec
    costs = msgspec.structs.replace(spec.costs, storage_usd_per_gib_month=0.1)
    first, _, third = spec.models
    spec = msgspec.structs.replace(spec, costs=costs, models=(first, third))
    one = Planner(EXAMPLES).plan(spec)
    grown = msgspec.structs.replace(
        one.models[0], replicas_planned=one.models[0].replicas_planned + 1, replicas_max=9
    )
    two = msgspec.structs.replace(one, models=(grown, one.models[1]))
    found = {bill.OUTPUT: bill.outputs(bill.stack_bill(one, ALL))}
    rows = bill.rows(bill.compare(bill.stack_bill(two, ALL), found))
    weights = [(amount, change) for kind, item, amount, change in rows if item.startswith("weights")]
    assert len(weights) == len({item for _, item, _, _ in rows if item.startswith("weights")}) + 1
    assert [bool(change) for _, change in weights] == [True, False]
    assert rows[-1][3] == weights[0][1]


@pytest.mark.parametrize("name", ["unknown", "none"])
def test_a_model_may_have_the_name_of_what_is_not_known(name: str) -> None:
    made = bill.stack_bill(planned("support.yaml", name=name), ALL)
    found = {bill.OUTPUT: bill.outputs(made)}
    assert bill.sentence(bill.compare(made, {})).endswith(f": {name}: new, 1 replica")
    assert bill.sentence(bill.compare(made, found)) == "the bill stays as it is"


def test_a_bill_of_another_shape_is_an_unknown_cost() -> None:
    made = bill.stack_bill(planned("support.yaml"), ALL)
    others: tuple[dict[str, object], ...] = (
        {"self_hosted": {}},
        {"self_hosted": {"lines": [], "usd_per_month": 1.0, "at_least": False}},
    )
    for other in others:
        compared = bill.compare(made, {bill.OUTPUT: other})
        assert compared.against.total.before_usd is None
        assert bill.sentence(compared).startswith(
            "the month's cost changes by an unknown amount: assistant: "
        )
        assert bill.rows(compared)[-1][3] == "unknown"


def test_plain_pulumi_gets_the_same_bill_as_outputs() -> None:
    plan = planned("support.yaml")
    _, exported = run(lambda: deploy(plan, ALL))
    compared = bill.compare(bill.stack_bill(plan, ALL), exported)
    assert bill.sentence(compared) == "the bill stays as it is"
    assert exported["usdPerMonth"] == pytest.approx(float(bill.stack_bill(plan, ALL).usd_per_month or 0))
