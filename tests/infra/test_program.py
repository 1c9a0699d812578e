"""What the Pulumi program registers equals what `render` writes, and its node pools equal the plan."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

pytest.importorskip("pulumi")

import pulumi

from homeport.errors import EnvironmentProblem
from homeport.manifests.parsing import load as parse
from homeport.manifests.prerequisites import prerequisites
from homeport.manifests.render import documents
from homeport.planning.plan import Planner
from homeport.planning.types import Plan
from homeport.spec.load import load
from homeport.spec.models import Target
from homeport.spec.nodes import Nodes
from homeport_infra.manifest import token
from homeport_infra.model_server import awaited, timeouts
from homeport_infra.program import Part, deploy, main
from homeport_infra.settings import LAYERS, Layer, Settings, SettingsError
from tests.infra.recorder import Registered, run

EXAMPLES = Path(__file__).parents[2] / "examples"
COMPONENTS = ("homeport:index:ModelServer", "homeport:index:GpuNodePool", "homeport:index:Platform")


def planned(name: str, platform: str = "") -> Plan:
    """An example's plan, as it is or on another platform."""
    file = EXAMPLES / name
    spec = load(file.read_bytes(), name).spec
    if platform:
        target = Target(platform=platform)  # type: ignore[arg-type]
        spec = msgspec.structs.replace(spec, target=target)
    return Planner(file.parent).plan(spec)


def objects(found: list[Registered]) -> dict[tuple[str, str], dict[str, Any]]:
    kubernetes = [r for r in found if r.token.startswith("kubernetes:") and "helm" not in r.token]
    made = {(r.token, r.inputs["metadata"]["name"]): r.inputs for r in kubernetes}
    assert len(made) == len(kubernetes), "an object was registered twice"
    return made


def same(plan: Plan, settings: Settings) -> list[Registered]:
    """Run the program; what it registers is what `render` writes: no object more, none less, none changed.

    But for one annotation, where pods may not be wanted or would not be waited for, and nowhere else.
    """
    found, _ = run(lambda: deploy(plan, settings))
    marked = set()
    for (kind, name), value in objects(found).items():
        annotations = value["metadata"].get("annotations", {})
        for key, says in (("skipAwait", "true"), ("waitFor", "condition=Available")):
            if annotations.pop(f"pulumi.com/{key}", None) == says:
                marked.add((kind.rpartition(":")[2], name, key))
        if not annotations:
            value["metadata"].pop("annotations", None)
    rendered_kinds = {(d.kind, d.name) for d in documents(plan)}
    idle = {
        (kind, m.spec.name) for m in plan.models if not m.replicas_min for kind in ("Deployment", "Service")
    }
    groups = {f"{m.spec.name}-group" for m in plan.models if m.replicas_min}
    assert marked == {(*one, "skipAwait") for one in idle & rendered_kinds} | {
        (kind, name, "waitFor")
        for kind, name in rendered_kinds
        if kind == "LeaderWorkerSet" and name in groups
    }
    rendered = [parse(d.text) for d in documents(plan)]
    wanted = {(token(d["apiVersion"], d["kind"]), d["metadata"]["name"]): d for d in rendered}
    assert objects(found) == wanted
    names = [(r.token, r.name) for r in found]
    assert len(names) == len(set(names)), "two resources of one type share a name"
    return found


def test_what_may_have_no_pods_is_not_waited_for() -> None:
    plan = planned("support.yaml")
    model = plan.models[0]
    zero = msgspec.structs.replace(model, replicas_min=0)
    for document in documents(plan):
        value = parse(document.text)
        assert awaited(model, value) == value
        if document.kind not in ("Deployment", "Service"):
            assert awaited(zero, value) == value
            continue
        marked = awaited(zero, value)
        assert marked["metadata"]["annotations"].pop("pulumi.com/skipAwait") == "true"
        marked["metadata"]["annotations"] = value["metadata"].get("annotations", {})
        assert {k: v for k, v in marked["metadata"].items() if v} == value["metadata"]
        assert {**marked, "metadata": None} == {**value, "metadata": None}


def test_groups_of_nodes_are_waited_for_as_servers_on_one_are() -> None:
    """A custom resource is not, by itself: the scaler would come before the server."""
    plan = planned("deepseek.yaml")
    (model,) = plan.models
    group = next(parse(d.text) for d in documents(plan) if d.kind == "LeaderWorkerSet")
    assert awaited(model, group)["metadata"]["annotations"]["pulumi.com/waitFor"] == "condition=Available"
    assert awaited(msgspec.structs.replace(model, replicas_min=0), group) == group
    patience = timeouts(model, group)
    assert patience is not None
    assert model.startup is not None
    assert int(patience.create.removesuffix("s")) > model.startup.ready_s_interval[1]


def test_a_scaler_never_meets_replicas_in_the_program() -> None:
    plan = planned("fleet.yaml")
    made = objects(run(lambda: deploy(plan, Settings()))[0])
    scaled = [m.spec.name for m in plan.models if not m.fixed_replicas]
    assert scaled
    for name in scaled:
        assert "replicas" not in made["kubernetes:apps/v1:Deployment", name]["spec"]


def test_tokens_are_the_providers_own() -> None:
    assert token("v1", "Service") == "kubernetes:core/v1:Service"
    assert token("apps/v1", "Deployment") == "kubernetes:apps/v1:Deployment"
    assert token("keda.sh/v1alpha1", "ScaledObject") == "kubernetes:keda.sh/v1alpha1:ScaledObject"


def test_outputs_name_endpoint_cost_and_gpus() -> None:
    plan = planned("support.yaml")
    _, exported = run(lambda: deploy(plan, Settings()))
    model = plan.models[0]
    assert exported[f"{model.spec.name}Endpoint"].endswith("/v1")
    assert exported["gpus"] == sum(p.node_count * p.gpus_per_node for p in plan.pools)
    assert exported["usdPerMonth"] == pytest.approx(float(model.usd_per_month or 0))


def test_a_run_of_a_part_leaves_the_bill_as_it_was() -> None:
    """What the rest of the plan costs is not deployed: the next preview has to show it still."""
    plan = planned("fleet.yaml")
    first, *others = (model.spec.name for model in plan.models)
    before = {
        "bill": {"self_hosted": 1}, "usdPerMonth": 7.5, "gpus": 1.0, "kubeconfig": "secret", "gone": 1,
        f"{first}Endpoint": "http://old", f"{others[0]}Endpoint": "http://as-it-was",
    }  # fmt: skip
    _, exported = run(lambda: deploy(plan, Settings(), Part(only=(first,), outputs=before)))
    assert exported.pop(f"{first}Endpoint").endswith(".svc:80/v1")
    kept = ("bill", "usdPerMonth", "gpus", f"{others[0]}Endpoint")
    assert exported == {key: before[key] for key in kept}
    _, whole = run(lambda: deploy(plan, Settings()))
    assert {f"{name}Endpoint" for name in (first, *others)} <= set(whole)


def test_the_platform_is_what_the_documents_ask_for_pinned() -> None:
    plan = planned("support.yaml", "eks")
    found, exported = run(lambda: deploy(plan, Settings(layers=LAYERS)))
    releases = {r.name: r.inputs for r in found if r.token == "kubernetes:helm.sh/v3:Release"}
    wanted = {p.chart.release: p.chart for p in prerequisites(plan, documents(plan)) if p.chart}
    assert set(releases) == set(wanted) == {"gpu-operator", "keda", "kube-prometheus-stack"}
    for name, release in releases.items():
        assert release["version"] == wanted[name].version
        assert release["namespace"] == wanted[name].namespace
        assert release["skipAwait"] is False
        assert release["repositoryOpts"]["repo"].startswith("https://")
    spec = releases["kube-prometheus-stack"]["values"]["prometheus"]["prometheusSpec"]
    assert spec["podMonitorSelectorNilUsesHelmValues"] is False
    assert releases["gpu-operator"]["values"]["driver"] == {"enabled": False}
    assert exported["platform"] == {name: chart.version for name, chart in wanted.items()}


def test_a_platform_alone_counts_no_gpus() -> None:
    plan = planned("support.yaml", "eks")
    assert "gpus" not in run(lambda: deploy(plan, Settings(layers=("platform",))))[1]
    assert run(lambda: deploy(plan, Settings(layers=("platform", "models"))))[1]["gpus"] > 0


def test_models_find_the_platform_in_another_stack() -> None:
    plan = planned("support.yaml")
    settings = Settings(layers=("models",), platform_stack="platform")
    full = "organization/homeport/platform"
    there = {"keda": "2.21.0", "kube-prometheus-stack": "77.11.1"}
    found, exported = run(lambda: deploy(plan, settings), stacks={full: {"platform": there}})
    assert objects(found)
    assert exported["platform"] == there


@pytest.mark.parametrize("layers", [("models",), ("cluster", "models")])
def test_a_missing_chart_is_said_before_anything_is_made(layers: tuple[Layer, ...]) -> None:
    plan = planned("support.yaml")
    target = msgspec.structs.replace(plan.spec.target, nodes=Nodes(by="compute_class"))
    plan = msgspec.structs.replace(plan, spec=msgspec.structs.replace(plan.spec, target=target))
    settings = Settings(layers=layers, platform_stack="platform")
    lacking = {"organization/homeport/platform": {"platform": {"kube-prometheus-stack": "1"}}}
    found: list[Registered] = []
    with pytest.raises(EnvironmentProblem, match="the stack platform has not installed keda") as missing:
        run(lambda: deploy(plan, settings), stacks=lacking, into=found)
    assert "homeport up --layer platform --stack platform" in str(missing.value.help)
    assert found == []
    with pytest.raises(pulumi.RunError, match="organization/homeport/platform"):
        run(lambda: deploy(plan, settings), stacks={}, into=found)
    assert found == []


def test_models_reach_the_cluster_of_another_stack() -> None:
    plan = planned("support.yaml")
    settings = Settings(layers=("models",), cluster_stack="acme/homeport/cluster")
    found, _ = run(
        lambda: deploy(plan, settings), stacks={"acme/homeport/cluster": {"kubeconfig": "apiVersion: v1"}}
    )
    (provider,) = [r for r in found if r.token == "pulumi:providers:kubernetes"]
    assert provider.inputs["kubeconfig"] == {"secret": "apiVersion: v1"}, "credentials are secrets"
    for resource in found:
        if resource.token in {key for key, _ in objects(found)}:
            assert resource.provider.rpartition("::")[2] == f"{provider.name}-id", resource


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (Settings(layers=LAYERS, platform_stack="p"), "platformStack names the stack p"),
        (Settings(layers=LAYERS, cluster_stack="c"), "clusterStack names the stack c"),
    ],
)
def test_a_layer_is_not_in_two_stacks(settings: Settings, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        run(lambda: deploy(planned("support.yaml"), settings))


def test_a_cluster_without_new_nodes_is_refused_in_words() -> None:
    with pytest.raises(SettingsError, match="the spec says that its nodes exist"):
        run(lambda: deploy(planned("aks.yaml"), Settings(cluster="ml")))


def test_the_program_reads_its_stack() -> None:
    found, _ = run(
        main, {"homeport:spec": str(EXAMPLES / "support.yaml"), "homeport:layers": "platform,models"}
    )
    assert {r.name for r in found if r.token == COMPONENTS[2]} == {"platform"}
    assert objects(found)


def test_pulumi_waits_as_long_as_a_rollout_may_take() -> None:
    plan = planned("support.yaml")
    deployment = next(parse(d.text) for d in documents(plan) if d.kind == "Deployment")
    patience = timeouts(plan.models[0], deployment)
    assert patience is not None
    seconds = deployment["spec"]["progressDeadlineSeconds"] + 60
    assert patience.create == f"{seconds}s"
    assert plan.models[0].replicas_max > 1
    assert patience.update == f"{seconds * plan.models[0].replicas_max}s", "one after the other"
    # The provider waits for a Service until none of its pods is unready.
    service = next(parse(d.text) for d in documents(plan) if d.kind == "Service")
    found = timeouts(plan.models[0], service)
    assert found is not None
    assert int(found.create.removesuffix("s")) >= seconds
    monitor = next(parse(d.text) for d in documents(plan) if d.kind == "PodMonitor")
    assert timeouts(plan.models[0], monitor) is None
