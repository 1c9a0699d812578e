"""`homeport advise` as its users meet it: typical cases, rules, questions, mistakes."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from homeport.advice.advise import NO_LEGAL_ADVICE, advise
from homeport.advice.gather import gather
from homeport.advice.types import ORDER
from homeport.commands.advise import ANSWERS
from homeport.commands.main import run
from homeport.manifests.parsing import load as parse
from homeport.manifests.render import documents
from homeport.planning.plan import plan
from homeport.spec.load import load
from homeport.spec.models import Spec
from homeport.spec.policy import CriterionWeights
from tests.commands.shell import homeport

HERE = Path(__file__).parent
SPECS = sorted((HERE / "specs").glob("*.yaml"))
SHAPES = HERE / "golden"
WORKLOAD = ("--requests-per-day", "20000", "--input-tokens", "1000", "--output-tokens", "500")
FLAGS = ("advise", "--model", "Qwen/Qwen3-8B", *WORKLOAD)


def spec(name: str, **changes: str) -> Spec:
    text = (HERE / "specs" / f"{name}.yaml").read_text("utf-8")
    for old, new in changes.items():
        assert old in text
        text = re.sub(rf"{old}: \S+?(?=[,}}])", f"{old}: {new}", text)
    return load(text, f"{name}.yaml").spec


def answer(*args: str, **more: Any) -> dict[str, Any]:
    done = homeport(*args, "-o", "json", **more)
    assert done.returncode == 0, done.stderr.decode()
    value: dict[str, Any] = json.loads(done.stdout)
    return value


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_typical_users_are_advised_as_before(path: Path) -> None:
    """The shape of the advice, without the figures that follow prices and sizing."""
    said = answer("advise", "-f", str(path))
    shape = {
        "verdict": said["verdict"],
        "by_weights_alone": said["pulls"]["verdict"],
        "hard_constraints": {c["id"]: c["bars"] for c in said["hard_constraints"]},
        "criteria": {
            c["id"]: [c["answer"] if c["id"] != "volume" else "", c["points_to"]] for c in said["criteria"]
        },
        "usable_apis": [api["model"] for api in said["apis"] if api["usable"]],
        "lacking": {api["model"]: [gap["lacks"] for gap in api["gaps"]] for api in said["apis"]},
        "controls": [
            c["control"] for c in (*(said["regime"] or {"controls": []})["controls"], *said["controls"])
        ],
        "to_mend": [one["field"] for one in said["to_mend"]],
        "split": bool(said["split"]),
    }
    golden = SHAPES / f"{path.stem}.yaml"
    if os.environ.get("HOMEPORT_UPDATE_GOLDEN"):
        golden.write_text(yaml.safe_dump(shape, sort_keys=False, width=110), "utf-8")
    assert shape == yaml.safe_load(golden.read_text("utf-8"))


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("prototype", "api"),
        ("scaleup", "self-host"),
        ("hospital", "self-host"),
        ("bank", "hybrid"),
        ("defence", "self-host"),
    ],
)
def test_the_verdict_is_what_the_case_is_about(name: str, verdict: str) -> None:
    assert advise(spec(name), HERE / "specs").outcome.verdict == verdict


@pytest.mark.parametrize("fmt", ["table", "json", "yaml"])
def test_it_says_that_it_is_no_legal_advice(fmt: str) -> None:
    shown = homeport("advise", "-f", str(SPECS[0]), "-o", fmt).stdout.decode()
    assert NO_LEGAL_ADVICE.split(".")[0] in shown
    assert " ".join(NO_LEGAL_ADVICE.split()) in " ".join(shown.replace('"', "").split()).replace("' ", " ")


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_the_table_has_every_criterion_duty_and_source_and_fits_the_width(path: Path) -> None:
    said = answer("advise", "-f", str(path))
    text = homeport("advise", "-f", str(path)).stdout.decode()
    flat = " ".join(text.split())
    for criterion in said["criteria"]:
        assert f"\n  {criterion['id'].replace('_', ' ')} " in text
        if criterion["answer"] is not None:
            assert criterion["because"] in flat
        assert all(fact["source"] in flat for fact in criterion["facts"])
    for constraint in said["hard_constraints"]:
        assert constraint["because"] in flat
        assert constraint["lifted_by"] in flat
    for duty in (said["regime"] or {"duties": []})["duties"]:
        assert duty in flat
    for task in said["operations"]["tasks"]:
        assert task["self_hosted"] in flat
    body = text.partition("\n[1] ")[0]
    assert max(map(len, body.splitlines())) <= 140


COMMANDS = {
    "plan": ["plan"],
    "render": ["render", "-o", "-"],
    "cost": ["cost"],
    "preview": ["preview"],
    "up": ["up", "--yes"],
}
CONTRADICTION = """version: 1
name: triage
target: {platform: gke, region: europe-west4}
compliance: {regime: healthcare_phi_hipaa, residency: [us]}
compare: [gpt-4.1]
models:
  - name: triage
    model: Qwen/Qwen3-8B
    workload: {requests_per_day: 1000, input_tokens: 100, output_tokens: 100}
"""


@pytest.mark.parametrize("command", COMMANDS)
def test_a_contradicted_regime_ends_every_command_with_2_at_its_place(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text(CONTRADICTION)
    assert run([*COMMANDS[command], "-f", str(file)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert f"{file}:3:33: target.region: europe-west4 (NL) lies outside the residency us" in err
    assert f"{file}:5:11: compare[0]: protected health information" in err


def test_advice_goes_on_where_a_plan_stops_and_says_what_to_mend(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(CONTRADICTION)
    said = answer("advise", "-f", "spec.yaml", cwd=tmp_path)
    assert said["verdict"] == "self-host"
    assert [one["field"] for one in said["to_mend"]] == ["target.region"]
    assert [api["usable"] for api in said["apis"]] == [False]


def test_what_stands_can_be_destroyed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "spec.yaml").write_text(CONTRADICTION)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run(["destroy", "-f", str(tmp_path / "spec.yaml"), "--yes"]) == 3


def test_an_api_of_the_command_line_is_held_to_the_rules_and_named_by_its_flag() -> None:
    path = str(HERE / "specs" / "hospital.yaml")
    done = homeport("cost", "-f", path, "--compare", "gemini-2.5-pro")
    assert done.returncode == 2
    assert done.stderr.decode().startswith("--compare: protected health information")


@pytest.mark.parametrize("name", ["scaleup", "bank"])
def test_more_requests_never_turn_a_real_case_towards_an_api(name: str) -> None:
    loads = [2_000, 20_000, 60_000, 130_000, 400_000, 2_000_000, 30_000_000]
    verdicts = [
        advise(spec(name, requests_per_day=str(load)), HERE / "specs").outcome.verdict for load in loads
    ]
    places = [ORDER.index(verdict) for verdict in verdicts]
    assert places == sorted(places)
    assert (places[0], places[-1]) == {"scaleup": (1, 2), "bank": (1, 1)}[name]


def test_the_load_that_is_said_to_turn_the_verdict_does_so() -> None:
    found = advise(spec("scaleup"), HERE / "specs")
    [flip] = [flip for flip in found.flips if flip.change.endswith("or fewer")]
    load = flip.change.split()[0].replace(",", "")
    assert advise(spec("scaleup", requests_per_day=load), HERE / "specs").outcome.verdict == flip.verdict


def test_what_a_split_costs_is_what_the_bill_says() -> None:
    found = advise(spec("bank"), HERE / "specs")
    case = gather(spec("bank"), HERE / "specs").case
    [private] = [split for split in found.split_costs if split.name == "own: personal data"]
    [option] = [option for option in case.apis if option.model == "openai/gpt-4.1"]
    assert option.split_usd_per_month is not None
    assert private.usd_per_month is not None
    assert abs(option.split_usd_per_month - private.usd_per_month) < 1


def test_a_personal_data_share_bars_the_api_alone() -> None:
    [constraint] = advise(spec("bank"), HERE / "specs").outcome.constraints
    assert constraint.bars == ("api",)


def test_flags_answer_over_the_spec_and_say_what_they_did() -> None:
    said = answer(
        *FLAGS, "--team", "skilled", "--customisation", "deep", "--weight", "team=10", "--lock-in", "yes"
    )
    by_id = {c["id"]: c for c in said["criteria"]}
    assert by_id["team"]["weight"] == 10
    assert by_id["team"]["pull"] == 5
    assert by_id["customisation"]["answer"] == "deep"
    assert "customisation" not in said["unanswered"]
    assert "capability" in said["unanswered"]
    assert said["apis"][0]["assumed"]
    assert any("stands in" in text for text in said["assumptions"])


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--team", "skiled"), "did you mean 'skilled'"),
        (("--regime", "healthcare_hipaa"), "did you mean 'healthcare_phi_hipaa'"),
        (("--weight", "volum=3"), "did you mean volume"),
        (("--weight", "volume=200"), "a weight from 0 to 100"),
        (("--residency", "usa"), "no zone 'usa'"),
        (("--residency", "EU"), "--residency: 'EU' must be eu, eea"),
        (("--compare", "gpt-4.11"), "gpt-4.1"),
    ],
)
def test_a_mistake_is_answered_with_what_would_do(args: tuple[str, ...], said: str) -> None:
    done = homeport(*FLAGS, *args)
    assert done.returncode == 2
    assert done.stdout == b""
    assert said in done.stderr.decode()


def test_questions_are_asked_once_each_and_a_wrong_answer_again() -> None:
    words = ["", "may leave", "leading", "", "deep", "expert", "skilled", "no", "", "weeks"]
    done = homeport(*FLAGS, "--ask", "-o", "json", stdin="\n".join([*words, ""]).encode())
    assert done.returncode == 0, done.stderr.decode()
    answers = {c["id"]: c["answer"] for c in json.loads(done.stdout)["criteria"]}
    assert answers["privacy"] == "may_leave"
    assert answers["capability"] == "leading"
    assert answers["features"] is None
    assert answers["team"] == "skilled"
    assert answers["time_to_value"] == "weeks"
    assert "one of none, learning, skilled" in done.stderr.decode()


def test_nobody_is_asked_where_nobody_can_answer() -> None:
    done = homeport(*FLAGS)
    assert done.returncode == 0
    assert b"Empty answers" not in done.stderr


def test_every_answer_of_the_command_is_a_word_of_the_spec() -> None:
    from typing import get_args, get_type_hints

    from homeport.spec.policy import Advise, Compliance

    hints = {"advise": get_type_hints(Advise), "compliance": get_type_hints(Compliance)}
    for (part, field), words, _ in ANSWERS.values():
        assert words == next(get_args(arg) for arg in get_args(hints[str(part)][str(field)]) if get_args(arg))


def rendered(name: str) -> list[dict[str, Any]]:
    import msgspec

    made = spec(name)
    return [parse(d.text) for d in documents(plan(msgspec.structs.replace(made, compare=()), base_dir=HERE))]


def test_what_a_control_says_of_homeport_is_rendered() -> None:
    """`controls.json` speaks of the manifests: each claim that can be seen in them is looked up."""
    objects = rendered("hospital")
    [policy] = [o for o in objects if o["kind"] == "NetworkPolicy"]
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert all(rule["ports"] for rule in policy["spec"]["egress"])
    [server] = [o for o in objects if o["kind"] == "Deployment"]
    pod = server["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["automountServiceAccountToken"] is False or any(
        o["kind"] == "ServiceAccount" and o["automountServiceAccountToken"] is False for o in objects
    )
    [container] = [c for c in pod["containers"] if c["name"] == "server" or len(pod["containers"]) == 1]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert not any("log-requests" in argument for argument in container["args"])
    env = {e["name"]: e.get("value") for e in container["env"]}
    assert env["DO_NOT_TRACK"] == env["HF_HUB_DISABLE_TELEMETRY"] == "1"


def test_an_air_gapped_model_is_rendered_offline(tmp_path: Path) -> None:
    text = (HERE / "specs" / "defence.yaml").read_text("utf-8").replace("compare: [gpt-4.1]\n", "")
    text += "    weights: {source: oci, image: registry.local/llama:1}\n"
    made = plan(load(text, "t.yaml").spec, base_dir=tmp_path)
    objects = [parse(d.text) for d in documents(made)]
    [server] = [o for o in objects if o["kind"] == "Deployment"]
    env = {e["name"]: e.get("value") for e in server["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert env["HF_HUB_OFFLINE"] == "1"
    [policy] = [o for o in objects if o["kind"] == "NetworkPolicy"]
    assert not any("ipBlock" in peer for rule in policy["spec"]["egress"] for peer in rule.get("to", ()))


def test_peoples_time_is_weighed_once_it_has_a_price() -> None:
    text = (HERE / "specs" / "scaleup.yaml").read_text("utf-8")
    free = advise(load(text, "t.yaml").spec, HERE)
    paid = advise(load(text + "costs: {engineering_usd_per_hour: 1000}\n", "t.yaml").spec, HERE)
    before, after = (found.outcome.criteria[0] for found in (free, paid))
    assert "people's time is not in it" in before.because
    assert "people's time" not in after.because
    assert free.own_usd_per_month is not None
    assert paid.own_usd_per_month is not None
    assert paid.own_usd_per_month > free.own_usd_per_month


def test_what_a_saving_pays_for_is_its_share_of_the_hours() -> None:
    found = advise(spec("scaleup"), HERE)
    saved = found.apis[0].usd_per_month - found.own_usd_per_month  # type: ignore[operator]
    # 20 - 2 hours a week, 730 / 168 weeks a month
    hours = 18 * 730 / 168
    assert (
        f"${saved:,.0f} saved pay for {hours:.0f} more hours of upkeep a month up to ${float(saved) / hours:,.0f}"
        in (found.outcome.criteria[0].because)
    )


def test_weights_that_are_all_zero_are_no_tie(tmp_path: Path) -> None:
    """Nothing pulls: it is said so, not "0.00 against 0.00", of which neither is so many times the other."""
    names = CriterionWeights.__struct_fields__
    zero = "advise: {weights: {" + ", ".join(f"{name}: 0" for name in names) + "}}\n"
    text = (
        "version: 1\nname: nobody\nmodels:\n  - name: a\n    model: Qwen/Qwen3-8B\n"
        "    workload: {requests_per_day: 20000, input_tokens: 1000, output_tokens: 500}\n"
    )
    (tmp_path / "homeport.yaml").write_text(text + zero)
    done = homeport("advise", "-f", str(tmp_path / "homeport.yaml"))
    assert done.returncode == 0, done.stderr.decode()
    said = " ".join(done.stdout.decode().split())
    assert "weighed: nothing pulls to either side, so nothing speaks for the effort of own hosting" in said
    assert "own hosting 0.00" not in said
