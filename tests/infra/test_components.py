"""The components as other people's programs use them: names, tokens, outputs."""

import importlib
import inspect
import json
import re
import sys
import warnings
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pulumi")
with warnings.catch_warnings():
    # The package is loaded when it is first used, and warns of classes of its own that are deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    assert pytest.importorskip("pulumi_gcp").compute.Router

import pulumi

import homeport_infra
from homeport.errors import MissingExtra
from homeport.manifests.prerequisites import LWS
from homeport.manifests.render import documents
from homeport_infra import (
    AksCluster,
    AksClusterArgs,
    EksCluster,
    EksClusterArgs,
    GkeCluster,
    GkeClusterArgs,
    GpuNodePool,
    GpuNodePoolArgs,
    ModelServer,
    ModelServerArgs,
    Platform,
    PlatformArgs,
)
from homeport_infra.gke_cluster import kubeconfig
from homeport_infra.platform import values
from tests.commands.shell import ROOT
from tests.infra.recorder import run
from tests.infra.test_program import planned

# Part of every URN: a change replaces everything that stands. With an alias in the component, it may be added to, never edited.
FROZEN = {
    "AksCluster": "homeport:index:AksCluster",
    "EksCluster": "homeport:index:EksCluster",
    "GkeCluster": "homeport:index:GkeCluster",
    "GpuNodePool": "homeport:index:GpuNodePool",
    "ModelServer": "homeport:index:ModelServer",
    "Platform": "homeport:index:Platform",
}


def test_tokens_do_not_change() -> None:
    assert {name for name in homeport_infra.__all__ if not name.endswith("Args")} == set(FROZEN)
    for name, token in FROZEN.items():
        source = inspect.getsource(getattr(homeport_infra, name))
        assert re.findall(r'super\(\).__init__\(\s*"([^"]+)"', source) == [token]


def test_every_component_has_described_arguments_and_outputs() -> None:
    for name in FROZEN:
        component, args = getattr(homeport_infra, name), getattr(homeport_infra, f"{name}Args")
        assert "Outputs:" in (component.__doc__ or "")
        assert list(inspect.signature(component.__init__).parameters) == ["self", "name", "args", "opts"]
        for parameter in inspect.signature(args.__init__).parameters.values():
            assert parameter.name == "self" or parameter.annotation is not inspect.Parameter.empty
        assert (args.__init__.__doc__ or "").strip()


def test_outputs_are_typed_described_and_in_the_reference() -> None:
    page = (ROOT / "docs/reference/pulumi-program.md").read_text("utf-8")
    for name, token in FROZEN.items():
        component = getattr(homeport_infra, name)
        typed = {key for key, kind in inspect.get_annotations(component).items() if "Output" in str(kind)}
        (row,) = re.findall(rf"^\| `{name}` \| `{token}` \| (.*) \|$", page, re.M)
        for key in typed:
            assert f"`{key}`" in row, (name, key)
            assert f"`{key}`" in (component.__doc__ or ""), (name, key)
    for name in ("ModelServer", "GpuNodePool"):
        assert {"usd_per_month", "gpus"} <= set(inspect.get_annotations(getattr(homeport_infra, name)))


@pytest.mark.parametrize("usd", [None, Decimal("1460.58"), 12.5])
def test_a_pool_hands_on_what_it_costs_and_never_zero_for_unknown(usd: Decimal | float | None) -> None:
    seen: dict[str, Any] = {}

    def program() -> None:
        pool = GpuNodePool(
            "gpus",
            GpuNodePoolArgs(
                platform="gke", cluster="ml", location="us-central1", instance_types=["g2-standard-24"], gpu="L4",
                gpus_per_node=2, min_nodes=0, max_nodes=3, disk_gb=100, accelerator="nvidia-l4", usd_per_month=usd,
            ),
        )  # fmt: skip
        pulumi.Output.all(pool.usd_per_month, pool.gpus).apply(
            lambda found: seen.update(zip(("usd", "gpus"), found, strict=True))
        )

    run(program)
    assert seen == {"usd": None if usd is None else float(usd), "gpus": 6}


def test_a_program_of_somebody_else() -> None:
    plan = planned("support.yaml")
    seen: dict[str, Any] = {}

    def program() -> None:
        server = ModelServer(
            "llama",
            ModelServerArgs(
                plan=plan.models[0], documents=[d for d in documents(plan) if d.model is not None]
            ),
        )
        pulumi.Output.all(server.endpoint, server.gpus, server.usd_per_month).apply(
            lambda found: seen.update(zip(("endpoint", "gpus", "usd"), found, strict=True))
        )
        Platform("tools", PlatformArgs(charts=[LWS]))
        GpuNodePool(
            "gpus",
            GpuNodePoolArgs(
                platform="gke", cluster="ml", location="us-central1", instance_types=["g2-standard-24"], gpu="L4",
                gpus_per_node=2, min_nodes=0, max_nodes=3, disk_gb=100, accelerator="nvidia-l4",
            ),
        )  # fmt: skip

    found, _ = run(program)
    assert seen["endpoint"] == f"http://{plan.models[0].spec.name}.{plan.spec.name}.svc:80/v1"
    assert seen["gpus"] == plan.models[0].gpus_per_replica * plan.models[0].replicas_planned
    assert seen["usd"] == pytest.approx(float(plan.models[0].usd_per_month or 0))
    (release,) = [r.inputs for r in found if r.token == "kubernetes:helm.sh/v3:Release"]
    assert release["chart"].startswith("oci://")
    assert "repo" not in release.get("repositoryOpts", {})


def test_the_program_of_the_reference_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs/reference/pulumi-program.md").read_text("utf-8")
    (source,) = re.findall(r"```python\n(.*?)```", page, re.S)
    (tmp_path / "homeport.yaml").write_bytes((ROOT / "examples/support.yaml").read_bytes())
    monkeypatch.chdir(tmp_path)
    found, exported = run(lambda: exec(compile(source, "pulumi-program.md", "exec"), {}))
    plan = planned("support.yaml")
    asked = [d for d in documents(plan) if d.model is not None]
    made = [r for r in found if r.token.startswith("kubernetes:") and "helm" not in r.token]
    assert sorted(r.inputs["kind"] for r in made) == sorted(d.kind for d in asked)
    releases = {r.name for r in found if r.token == "kubernetes:helm.sh/v3:Release"}
    assert releases == {"keda", "kube-prometheus-stack"}
    assert exported == {"assistantEndpoint": f"http://assistant.{plan.spec.name}.svc:80/v1"}


def test_a_new_cluster_keeps_its_nodes_private_and_its_kubeconfig_holds_no_secret() -> None:
    found, _ = run(lambda: GkeCluster("cluster", GkeClusterArgs(name="ml", location="us-central1")))
    by_token = {r.token: r.inputs for r in found}
    cluster = by_token["gcp:container/cluster:Cluster"]
    assert cluster["privateClusterConfig"] == {"enablePrivateNodes": True}
    assert cluster["workloadIdentityConfig"] == {"workloadPool": "my-project.svc.id.goog"}
    assert cluster["datapathProvider"] == "ADVANCED_DATAPATH", "or NetworkPolicies are not enforced"
    made = json.loads(kubeconfig("ml", "192.0.2.1", "Y2E="))
    assert made["clusters"][0]["cluster"]["server"] == "https://192.0.2.1"
    assert made["users"][0]["user"]["exec"]["command"] == "gke-gcloud-auth-plugin"
    assert set(made["users"][0]["user"]) == {"exec"}


@pytest.mark.parametrize(
    ("platform", "package", "extra"),
    [("eks", "pulumi_eks", "aws"), ("aks", "pulumi_azure_native", "azure")],
)
def test_a_new_cluster_without_its_package_names_the_extra(
    platform: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    made: dict[str, Callable[[], Any]] = {
        "eks": lambda: EksCluster("cluster", EksClusterArgs(name="ml")),
        "aks": lambda: AksCluster("cluster", AksClusterArgs(name="ml", resource_group="group")),
    }
    with pytest.raises(MissingExtra) as missing:
        run(made[platform])
    assert missing.value.extra == extra


def test_values_are_nested_as_helm_nests_them() -> None:
    import msgspec

    chart = msgspec.structs.replace(LWS, values={"a.b": "true", "a.c": "x"}, structured={"d.e": '[{"f": 1}]'})
    assert values(chart) == {"a": {"b": True, "c": "x"}, "d": {"e": [{"f": 1}]}}


def test_the_example_stacks_say_only_what_the_project_describes() -> None:
    import yaml

    known = set(yaml.safe_load((ROOT / "infra/Pulumi.yaml").read_text())["config"])
    code = inspect.getsource(importlib.import_module("homeport_infra.program"))
    for key in known:
        if not key.startswith("homeport:"):
            continue  # a provider reads it
        assert f'"{key.removeprefix("homeport:")}"' in code, f"nothing reads {key}"
    examples = sorted((ROOT / "infra").glob("Pulumi.*.yaml"))
    assert [path.name.split(".")[1] for path in examples] == ["aks", "eks", "existing", "gke"]
    for path in examples:
        stack = yaml.safe_load(path.read_text())
        assert set(stack) == {"config"}, "no secrets, no salt"
        for key, value in stack["config"].items():
            assert key in known or key.partition(":")[0] in ("gcp", "aws", "azure-native", "kubernetes")
            assert isinstance(value, str)
