"""What a preview says beside the changes, without an engine."""

import json
from typing import Any

import msgspec
import pytest

from homeport.commands.clusters import ClusterOptions
from homeport.commands.deploy_view import FEW, changes_text, next_steps, result, stand_ins
from homeport.commands.output import Output
from homeport.planning.plan import Planner
from homeport.planning.types import Plan
from homeport.spec.load import load
from homeport.spec.models import Expose
from homeport_infra.settings import Settings
from tests.commands.shell import EXAMPLES, homeport

HERE = ClusterOptions(None, None)


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


def test_a_target_that_no_model_has_is_named_before_anything_else() -> None:
    for command in (["preview"], ["up", "--yes"]):
        answer = homeport(*command, "-f", str(EXAMPLES / "support.yaml"), "--only", "asistant")
        assert answer.returncode == 2
        assert b"no such model: 'asistant'" in answer.stderr
        assert b"did you mean 'assistant'?" in answer.stderr
        assert not answer.stdout


def outcome(**values: Any) -> Any:
    automation = pytest.importorskip("homeport_infra.automation")
    fields = {
        "stack": "dev",
        "only": (),
        "changes": {},
        "steps": (),
        "drifted": (),
        "before": {},
        "outputs": {},
    }
    return automation.Outcome(**{**fields, "kept": (), "resumed": (), **values})


def ended(plan: Plan, only: tuple[str, ...] = (), cluster: ClusterOptions = HERE) -> list[str]:
    outputs = {f"{m.spec.name}Endpoint": f"http://{m.spec.name}.ns.svc:80/v1" for m in plan.models}
    return next_steps(plan, outcome(only=only, outputs=outputs), ["-f", "my spec.yaml"], cluster)


def test_an_up_ends_with_the_next_command_and_the_way_to_the_model() -> None:
    plan = planned(explore=False)
    there = ClusterOptions("/k", "prod")
    assert ended(plan, cluster=there) == [
        "next: homeport status -f 'my spec.yaml' --kubeconfig /k --context prod",
        "reach assistant: `kubectl --kubeconfig /k --context prod --namespace support port-forward service/assistant 8000:80`, "
        "then http://127.0.0.1:8000/v1",
    ]
    assert next_steps(plan, outcome(), [], HERE) == [], "a stack without models"


@pytest.mark.parametrize(
    ("expose", "says"),
    [
        ({"kind": "ingress", "host": "llm.example.org", "tls_secret": "t"}, "https://llm.example.org/v1"),
        ({"kind": "gateway", "host": "llm.example.org"}, "http://llm.example.org/v1"),
        ({"kind": "load_balancer"}, "`kubectl --namespace support get service assistant` shows its address"),
        ({"kind": "ingress"}, "port-forward service/assistant 8000:80"),
    ],
)
def test_a_model_that_is_exposed_is_reached_from_outside(expose: dict[str, Any], says: str) -> None:
    plan = planned(explore=False)
    model = plan.models[0]
    spec = msgspec.structs.replace(model.spec, expose=Expose(**expose))
    (_, line) = ended(msgspec.structs.replace(plan, models=(msgspec.structs.replace(model, spec=spec),)))
    assert line.startswith("reach assistant: ")
    assert says in line


def test_many_models_are_not_all_listed() -> None:
    plan = planned(explore=False)
    many = msgspec.structs.replace(plan, models=(plan.models[0],) * 5)
    assert ended(many)[-1] == "the other 2 likewise"
    assert ended(plan, only=("another",)) == []


def test_a_run_of_a_part_does_not_call_the_bill_its_own() -> None:
    bill = pytest.importorskip("homeport_infra.bill")
    plan, out = planned(explore=False), Output()
    compared = bill.compare(bill.stack_bill(plan, Settings()), {})
    said = "of the whole spec, though only assistant would be deployed"
    assert said in changes_text(out, plan, compared, outcome(only=("assistant",)))
    assert said not in changes_text(out, plan, compared, outcome())
    unread = "compared with nothing, since the stack was not read"
    assert unread in changes_text(out, plan, compared, None)
    assert unread not in changes_text(out, plan, compared, outcome())


def test_a_part_is_not_given_the_bill_of_the_whole(capsys: pytest.CaptureFixture[str]) -> None:
    plan = planned(explore=False)
    part = outcome(only=("assistant",), before={"usdPerMonth": 1.0}, changes={"create": 2})
    result(Output(), "up", plan, Settings(), part, "table")
    said = capsys.readouterr().err
    assert "stack dev: 2 created" in said
    assert "only assistant was deployed: the stack's bill stays as it was" in said
    assert "/month" not in said
    result(Output(), "up", plan, Settings(), part, "json")
    assert json.loads(capsys.readouterr().out)["bill"] is None
    result(Output(), "destroy", plan, Settings(), part, "table")
    assert "hold the bill from before, until an `up` of the whole stack" in capsys.readouterr().err
    result(Output(), "up", plan, Settings(), outcome(), "table")
    assert "/month" in capsys.readouterr().err


def test_the_charts_of_a_platform_have_no_table_of_costs_and_no_stand_ins() -> None:
    bill = pytest.importorskip("homeport_infra.bill")
    plan = planned(explore=True)
    compared = bill.compare(bill.stack_bill(plan, Settings(layers=("platform",))), {})
    said = changes_text(Output(), plan, compared, outcome(changes={"create": 3}))
    assert said.splitlines() == ["bill  the bill stays as it is", "", "stack dev: 3 to create"]


def test_an_output_with_several_values_is_a_list(capsys: pytest.CaptureFixture[str]) -> None:
    charts = {"platform": {"keda": "2.21.0", "other": "1.0"}}
    result(Output(), "up", planned(explore=False), Settings(), outcome(outputs=charts), "table")
    assert "platform  keda 2.21.0, other 1.0\n" in capsys.readouterr().out


def test_a_layer_of_nodes_that_exist_is_called_empty() -> None:
    file = str(EXAMPLES / "support.yaml")
    empty = b"the layer cluster makes nothing"
    assert empty in homeport("preview", "-f", file, "--layer", "cluster", env={"PATH": ""}).stderr
    assert empty not in homeport("preview", "-f", file, env={"PATH": ""}).stderr
