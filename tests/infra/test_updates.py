"""What a step means for who uses the models, from steps as the engine tells them."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

pytest.importorskip("pulumi")

from homeport.planning.plan import Planner
from homeport.planning.types import Plan
from homeport.spec.load import load
from homeport_infra.events import Step, Verb
from homeport_infra.updates import duration, effect, effects

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Planner(EXAMPLES).plan(load((EXAMPLES / "support.yaml").read_bytes(), "support.yaml").spec)


def step(
    kind: str, verb: Verb = "update", *changed: str, forcing: tuple[str, ...] = (), **states: Any
) -> Step:
    return Step(
        verb=verb,
        urn=f"urn::{kind}",
        token=f"kubernetes:apps/v1:{kind}",
        name=f"assistant-{kind.lower()}-assistant",
        changed=changed,
        forcing=forcing,
        old=states.get("old"),
        new=states.get("new"),
    )


def pods(image: str, surge: int | str = 0) -> dict[str, Any]:
    return {
        "metadata": {"name": "assistant", "namespace": "support"},
        "spec": {
            "strategy": {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": 1}},
            "template": {"spec": {"containers": [{"name": "server", "image": image}]}},
        },
    }


IMAGE = "spec.template.spec.containers[0].image"


def test_a_new_image_on_a_full_pool_takes_the_only_replica_away(plan: Plan) -> None:
    found = effect(step("Deployment", "update", IMAGE, old=pods("a:1"), new=pods("a:2")), plan)
    startup = plan.models[0].startup
    assert startup is not None
    assert (found.change, found.why) == ("in place", "image a:1 → a:2")
    assert found.away_s == startup.ready_s
    assert duration(startup.ready_s) in found.away
    assert found.away.startswith("the only replica is away")
    assert found.step.label == "Deployment support/assistant"


def test_with_more_replicas_one_at_a_time_is_away(plan: Plan) -> None:
    model = msgspec.structs.replace(plan.models[0], replicas_planned=3)
    three = msgspec.structs.replace(plan, models=(model,))
    found = effect(step("Deployment", "update", IMAGE, old=pods("a:1"), new=pods("a:2")), three)
    assert "one of 3 replicas at a time" in found.away
    assert model.startup is not None
    assert duration(model.startup.ready_s * 3) in found.away


def test_with_room_for_another_pod_none_is_away(plan: Plan) -> None:
    found = effect(step("Deployment", "update", IMAGE, old=pods("a:1"), new=pods("a:2", "25%")), plan)
    assert (found.away_s, found.away.split(":")[0]) == (None, "no replica is away")


def test_an_unknown_start_is_unknown(plan: Plan) -> None:
    model = msgspec.structs.replace(plan.models[0], startup=None)
    found = effect(
        step("Deployment", "update", IMAGE, old=pods("a:1"), new=pods("a:2")),
        msgspec.structs.replace(plan, models=(model,)),
    )
    assert "how long is unknown" in found.away
    assert found.away_s is None


def test_what_restarts_no_pod_says_so_by_saying_nothing(plan: Plan) -> None:
    ranged = step(
        "ScaledObject",
        "update",
        "spec.maxReplicaCount",
        old={"spec": {"maxReplicaCount": 2}},
        new={"spec": {"maxReplicaCount": 4}},
    )
    found = effect(ranged, plan)
    assert (found.change, found.why, found.away) == ("in place", "most replicas 2 → 4", "")
    assert effect(step("Deployment", "update", "spec.progressDeadlineSeconds"), plan).away == ""


def test_a_replacement_says_why_and_what_it_costs(plan: Plan) -> None:
    path = "spec.resources.requests.storage"
    states = {
        f: {"spec": {"resources": {"requests": {"storage": size}}}}
        for f, size in (("old", "5Gi"), ("new", "9Gi"))
    }
    found = effect(step("PersistentVolumeClaim", "replace", path, forcing=(path,), **states), plan)
    assert found.change == "replaced"
    assert found.why.startswith("size 5Gi → 9Gi; a claim's size")
    selector = effect(step("Deployment", "replace", "spec.selector", forcing=("spec.selector",)), plan)
    assert selector.away.startswith("every replica is away for about")


def test_keys_in_quotes_and_things_that_stay_the_same(plan: Plan) -> None:
    path = 'metadata.annotations["example.com/team"]'
    assert effect(step("Service", "update", path), plan).why == "annotations"
    assert effects([step("Service", "same"), step("Service", "create")], plan)[0].change == "new"
    assert [duration(s) for s in (0.2, 59, 60, 170)] == ["1 s", "59 s", "1 min", "2 min 50 s"]


def test_how_a_scaler_scales_is_said_in_words(plan: Plan) -> None:
    keda = "spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleDown.policies[0].periodSeconds"
    hpa = "spec.behavior.scaleUp.stabilizationWindowSeconds"
    for path, words in (
        (keda, "how fast it scales"),
        (hpa, "how fast it scales"),
        ("spec.fallback.replicas", "replicas while the load is unknown"),
    ):
        assert effect(step("ScaledObject", "update", path), plan).why == words
