"""What a preview says beside the changes, without an engine."""

import msgspec

from homeport.commands.deploy_view import FEW, stand_ins
from homeport.planning.plan import Planner
from homeport.planning.types import Plan
from homeport.spec.load import load
from tests.commands.shell import EXAMPLES, homeport


def planned(*, explore: bool) -> Plan:
    file = EXAMPLES / "support.yaml"
    return Planner(file.parent, explore=explore).plan(load(file.read_bytes(), file.name).spec)


def test_a_preview_names_the_first_stand_ins_and_what_they_cost() -> None:
    answer = homeport("preview", "-f", str(EXAMPLES / "support.yaml"), env={"PATH": ""})
    plan = planned(explore=True)
    (one, *_) = plan.models[0].fallbacks
    assert one.usd_per_month is not None
    line = next(
        text
        for text in answer.stdout.decode().splitlines()
        if text.startswith("assistant: ") and " each: " in text
    )
    assert f"{one.node_count} × {one.instance_type}" in line
    assert f"${one.usd_per_month:,.0f}" in line


def test_an_unknown_price_is_unknown_and_the_rest_is_counted() -> None:
    plan = planned(explore=True)
    (one, *_) = plan.models[0].fallbacks
    priceless = msgspec.structs.replace(one, usd_per_month=None)
    model = msgspec.structs.replace(plan.models[0], fallbacks=(priceless,) * (FEW + 2))
    (line,) = stand_ins(msgspec.structs.replace(plan, models=(model,)))
    assert line.count("each: unknown") == FEW
    assert line.endswith("2 more in `plan --explain`")


def test_an_assumed_price_is_marked_with_its_reason() -> None:
    plan = planned(explore=True)
    (one, *_) = plan.models[0].fallbacks
    assumed = msgspec.structs.replace(one, price_assumption="nobody looked")
    model = msgspec.structs.replace(plan.models[0], fallbacks=(assumed,))
    line, reason = stand_ins(msgspec.structs.replace(plan, models=(model, model)))[1:]
    assert line.endswith("a month*")
    assert reason == "* nobody looked", "said once"


def test_nothing_is_said_where_nobody_looked() -> None:
    assert stand_ins(planned(explore=False)) == []
