"""The objects that let a cluster make its own GPU nodes: from the plan, under the CRDs' schemas, and fit for its pods."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest

from homeport.catalog.gpus import gpus
from homeport.errors import SpecError
from homeport.manifests import disks, provisioning
from homeport.manifests.kustomize import files
from homeport.manifests.parsing import load
from homeport.manifests.prerequisites import prerequisites
from homeport.manifests.render import documents
from homeport.manifests.validate import sources, validate
from homeport.planning import pools
from homeport.planning.plan import Planner

SMALL = {"requests_per_day": 20000, "input_tokens": 1000, "output_tokens": 300}
WAYS = {
    "eks": {"by": "karpenter", "cluster": "ml"},
    "aks": {"by": "auto_provisioning"},
    "gke": {"by": "compute_class"},
}


def rendered(plan) -> dict[str, dict[str, Any]]:
    return {d.kind: load(d.text) for d in documents(plan) if d.component == provisioning.NODES}


def pod(plan) -> dict[str, Any]:
    return next(load(d.text) for d in documents(plan) if d.kind == "Deployment")["spec"]["template"]["spec"]


def terms(plan) -> list[dict[str, list[str]]]:
    required = pod(plan)["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    return [{m["key"]: m["values"] for m in t["matchExpressions"]} for t in required["nodeSelectorTerms"]]


@pytest.mark.parametrize("platform", ["kind", "minikube", "generic", "gke", "eks", "aks"])
def test_without_being_asked_nothing_makes_nodes(plans, platform: str) -> None:
    model = {"engine": "simulator"} if platform in ("kind", "minikube") else {}
    assert rendered(plans.plan(plans.spec(platform, model))) == {}


@pytest.mark.parametrize(
    ("platform", "kinds"),
    [
        ("eks", {"EC2NodeClass", "NodePool"}),
        ("aks", {"AKSNodeClass", "NodePool"}),
        ("gke", {"ComputeClass"}),
    ],
)
def test_each_way_renders_its_own_kinds(plans, platform: str, kinds: set[str]) -> None:
    plan = plans.plan(plans.spec(platform, target={"nodes": WAYS[platform]}))
    made = rendered(plan)
    assert set(made) == kinds
    folder = files(documents(plan))
    assert sum(path.startswith("components/nodes/") for path in folder) == len(kinds) + 1
    assert "components/nodes" in folder["kustomization.yaml"]
    for document in made.values():
        assert "namespace" not in document["metadata"], "they are the cluster's"
        assert document["metadata"]["name"].startswith(plan.spec.name)


@pytest.mark.parametrize("platform", ["eks", "aks", "gke"])
def test_nodes_have_labels_that_kubelets_and_clouds_take(plans, platform: str) -> None:
    """Of kubernetes.io and k8s.io they take a few only, which homeport has no use for."""
    plan = plans.plan(plans.spec(platform, target={"nodes": WAYS[platform]}))
    made = rendered(plan)
    if platform == "gke":
        labels = made["ComputeClass"]["spec"]["nodePoolConfig"]["nodeLabels"]
    else:
        labels = made["NodePool"]["spec"]["template"]["metadata"]["labels"]
    assert labels == provisioning.node_labels(plan) != {}
    for key in labels:
        domain = key.rpartition("/")[0]
        assert domain
        assert not domain.endswith(
            ("kubernetes.io", "k8s.io", "amazonaws.com", "google.com", "azure.com", "karpenter.sh")
        )


@pytest.mark.parametrize("platform", ["eks", "aks", "gke"])
def test_the_schemas_refuse_what_their_crds_refuse(plans, platform: str) -> None:
    """The schema sees every field: with one name misspelt anywhere, it says so."""
    for document in rendered(plans.plan(plans.spec(platform, target={"nodes": WAYS[platform]}))).values():
        assert validate(document) == []
        assert document["kind"] in sources()["kinds"]
        for path in list(mappings(document["spec"])):
            wrong = copy.deepcopy(document)
            place = wrong["spec"]
            for step in path:
                place = place[step]
            if free(document["kind"], path):
                continue
            place["misspelt"] = "x"
            assert validate(wrong), path


def mappings(value: Any, path: tuple[Any, ...] = ()) -> Any:
    if isinstance(value, dict):
        yield path
        for key, child in value.items():
            yield from mappings(child, (*path, key))
    elif isinstance(value, list):
        for number, child in enumerate(value):
            yield from mappings(child, (*path, number))


def free(kind: str, path: tuple[Any, ...]) -> bool:
    """Labels, tags and limits take any name."""
    return bool(path) and path[-1] in ("labels", "nodeLabels", "tags", "limits")


def test_karpenter_makes_what_the_pods_accept_and_no_more(plans) -> None:
    nodes = WAYS["eks"] | {"zones": ["us-east-1a", "us-east-1b"]}
    plan = plans.plan(plans.spec("eks", target={"nodes": nodes}))
    pool = rendered(plan)["NodePool"]["spec"]
    wanted = {r["key"]: r["values"] for r in pool["template"]["spec"]["requirements"]}
    (pod_term,) = terms(plan)
    assert wanted["node.kubernetes.io/instance-type"] == pod_term["node.kubernetes.io/instance-type"]
    assert wanted["topology.kubernetes.io/zone"] == ["us-east-1a", "us-east-1b"]
    assert wanted["karpenter.sh/capacity-type"] == ["on-demand"]
    (model,) = plan.models
    assert pool["limits"] == {"nvidia.com/gpu": pools.most_gpus(plan, plan.pools[0])}
    assert pool["limits"]["nvidia.com/gpu"] >= model.replicas_max * model.gpus_per_replica
    assert pool["template"]["spec"]["expireAfter"] == "Never", "a server is not taken away for its node's age"
    assert pool["disruption"]["consolidationPolicy"] == "WhenEmpty"
    (taint,) = pool["template"]["spec"]["taints"]
    assert {"key": taint["key"], "operator": "Exists", "effect": taint["effect"]} in pod(plan)["tolerations"]
    ref = pool["template"]["spec"]["nodeClassRef"]
    node_class = rendered(plan)["EC2NodeClass"]
    assert (ref["kind"], ref["name"]) == (node_class["kind"], node_class["metadata"]["name"])
    assert ref["group"] == node_class["apiVersion"].split("/")[0]
    assert node_class["spec"]["role"] == "KarpenterNodeRole-ml"
    named = plans.plan(plans.spec("eks", target={"nodes": nodes | {"role": "gpu-nodes"}}))
    assert rendered(named)["EC2NodeClass"]["spec"]["role"] == "gpu-nodes"


def test_the_image_of_nodes_moves_when_the_spec_says_so(plans) -> None:
    """What is rendered today is the same tomorrow: with `latest`, Karpenter would replace nodes that serve."""

    def image(**nodes: str) -> str:
        made = rendered(plans.plan(plans.spec("eks", target={"nodes": WAYS["eks"] | nodes})))
        (term,) = made["EC2NodeClass"]["spec"]["amiSelectorTerms"]
        return str(term["alias"])

    assert re.fullmatch(r"al2023@v20\d{6}", image())
    assert image(image="al2023@v20991231") == "al2023@v20991231"
    assert image(image="al2023@latest") == "al2023@latest"


@pytest.mark.parametrize("platform", ["eks", "aks", "gke"])
def test_the_disk_holds_what_a_full_node_requests(plans, platform: str) -> None:
    plan = plans.plan(plans.spec(platform, target={"nodes": WAYS[platform]}))
    (pool,), (model,) = plan.pools, plan.models
    size = provisioning.disk_gb(plan, pool)
    requests = pod(plan)["containers"][0]["resources"]["requests"]
    asked = int(requests["ephemeral-storage"].removesuffix("Gi"))
    count = min(pool.gpus_per_node // model.gpus_per_replica, model.replicas_max)
    assert disks.offered_gib(platform, size) >= asked * count
    made = rendered(plan)
    if platform == "eks":
        (device,) = made["EC2NodeClass"]["spec"]["blockDeviceMappings"]
        assert device["ebs"]["volumeSize"] == f"{size}Gi"
    elif platform == "aks":
        assert made["AKSNodeClass"]["spec"]["osDiskSizeGB"] == size
    else:
        assert made["ComputeClass"]["spec"]["priorities"][0]["storage"]["bootDiskSize"] == size


@pytest.mark.parametrize(("platform", "value"), [("eks", ["spot"]), ("aks", ["spot"])])
def test_spot_nodes_are_those_that_the_pods_ask_for(plans, platform: str, value: list[str]) -> None:
    plan = plans.plan(plans.spec(platform, target={"nodes": WAYS[platform], "capacity": "spot"}))
    requirements = rendered(plan)["NodePool"]["spec"]["template"]["spec"]["requirements"]
    assert {r["key"]: r["values"] for r in requirements}["karpenter.sh/capacity-type"] == value
    assert any(term.get("karpenter.sh/capacity-type") == value for term in terms(plan))


def test_a_compute_class_is_chosen_by_name_and_says_what_is_spot(plans) -> None:
    plan = plans.plan(plans.spec("gke", target={"nodes": WAYS["gke"], "capacity": "spot"}))
    made = rendered(plan)["ComputeClass"]
    assert pod(plan)["nodeSelector"] == {"cloud.google.com/compute-class": made["metadata"]["name"]}
    assert "affinity" not in pod(plan), "the class says which machine types, and what is spot"
    assert "cloud.google.com/compute-class" in {t["key"] for t in pod(plan)["tolerations"]}
    assert all(p["spot"] for p in made["spec"]["priorities"])
    first = made["spec"]["priorities"][0]
    (pool,) = plan.pools
    assert first["machineType"] == pool.instance_type
    assert first["gpu"]["count"] == pool.gpus_per_node
    assert made["spec"]["whenUnsatisfiable"] == "DoNotScaleUp"


def test_reserved_capacity_comes_first(plans) -> None:
    eks = plans.plan(plans.spec("eks", target={"nodes": WAYS["eks"] | {"reservation": "cr-0123"}}))
    made = rendered(eks)
    assert made["EC2NodeClass"]["spec"]["capacityReservationSelectorTerms"] == [{"id": "cr-0123"}]
    requirements = made["NodePool"]["spec"]["template"]["spec"]["requirements"]
    assert {r["key"]: r["values"] for r in requirements}["karpenter.sh/capacity-type"] == [
        "reserved",
        "on-demand",
    ]
    gke = plans.plan(plans.spec("gke", target={"nodes": WAYS["gke"] | {"reservation": "h100s"}}))
    first = rendered(gke)["ComputeClass"]["spec"]["priorities"][0]
    assert first["reservations"] == {"affinity": "Specific", "specific": [{"name": "h100s"}]}


def test_a_reservation_is_of_the_planned_machine_and_of_no_other(plans) -> None:
    model = {"model": "meta-llama/Llama-3.1-8B-Instruct", "workload": SMALL}
    nodes = WAYS["gke"] | {"fallbacks": "any", "reservation": "l4s", "zones": ["us-central1-a"]}
    plan = Planner(Path()).plan(plans.spec("gke", model, target={"nodes": nodes, "region": "us-central1"}))
    rows = rendered(plan)["ComputeClass"]["spec"]["priorities"]
    assert len(rows) > 1
    for row in rows:
        assert row["location"] == {"zones": ["us-central1-a"]}
        assert ("reservations" in row) == (row["machineType"] == plan.pools[0].instance_type)


def test_fallbacks_become_priorities_in_their_order(plans) -> None:
    model = {"model": "meta-llama/Llama-3.1-8B-Instruct", "workload": SMALL}
    spec = plans.spec("gke", model, target={"nodes": WAYS["gke"] | {"fallbacks": "any"}})
    plan = Planner(Path()).plan(spec)
    (model,) = plan.models
    types = [p["machineType"] for p in rendered(plan)["ComputeClass"]["spec"]["priorities"]]
    assert types[0] == plan.pools[0].instance_type
    assert types[1:] == [f.instance_type for f in model.fallbacks]
    assert len(types) > 1
    for kind in pools.node_types(plan, plan.pools[0]):
        assert kind.gpus_per_node >= model.gpus_per_replica, "a replica fits into a node of every type"


def test_zones_of_aks_are_named_as_its_labels_name_them(plans) -> None:
    plan = plans.plan(plans.spec("aks", target={"nodes": WAYS["aks"] | {"zones": ["2"]}, "region": "eastus"}))
    requirements = rendered(plan)["NodePool"]["spec"]["template"]["spec"]["requirements"]
    assert {r["key"]: r["values"] for r in requirements}["topology.kubernetes.io/zone"] == ["eastus-2"]


def test_nodes_have_the_processors_of_their_instance_types(plans) -> None:
    def processors(gpu: str, **nodes: str) -> list[str]:
        model = {"model": "meta-llama/Llama-3.1-8B-Instruct", "workload": SMALL, "gpu": gpu}
        plan = Planner(Path()).plan(plans.spec("aks", model, target={"nodes": WAYS["aks"] | nodes}))
        requirements = rendered(plan)["NodePool"]["spec"]["template"]["spec"]["requirements"]
        found: list[str] = {r["key"]: r["values"] for r in requirements}["kubernetes.io/arch"]
        return found

    assert processors("A100-PCIe-80GB") == ["amd64"]
    assert processors("GB200-192GB") == ["arm64"]
    assert set(provisioning.ON_ARM) == {id_ for id_ in gpus() if re.match(r"G[BH]\d", id_)}


def test_a_class_never_has_a_name_that_gke_keeps_for_itself(plans) -> None:
    plan = plans.plan(plans.spec("gke", target={"nodes": WAYS["gke"]}, name="gke-models"))
    assert rendered(plan)["ComputeClass"]["metadata"]["name"].startswith("homeport-gke-models-")


def test_what_makes_the_nodes_is_asked_for(plans) -> None:
    for platform, name in (("eks", "Karpenter"), ("aks", "Node auto-provisioning")):
        plan = plans.plan(plans.spec(platform, target={"nodes": WAYS[platform]}))
        first = prerequisites(plan, documents(plan))[0]
        assert first.name == name
    plan = plans.plan(plans.spec("eks", target={"nodes": WAYS["eks"]}))
    (command,) = prerequisites(plan, documents(plan))[0].commands
    version = sources()["karpenter-aws"]["version"].removeprefix("v")
    assert f"--version {version}" in command
    assert "settings.clusterName=ml" in command
    assert "settings.interruptionQueue=ml" in command, "its queue, which the guide names after the cluster"


def test_a_gpu_without_a_name_at_google_is_refused(plans) -> None:
    plan = plans.plan(plans.spec("gke", target={"nodes": WAYS["gke"]}))
    with pytest.raises(SpecError, match="makes no nodes with GB200") as refused:
        provisioning.accelerator(plan, "x", "GB200-192GB")
    assert refused.value.problems[0].path == ("target", "nodes", "by")


@pytest.mark.parametrize("platform", sorted(WAYS))
@pytest.mark.parametrize("space", ["a" * 40, "gke" + "a" * 37, "b" * 30 + "-" * 9 + "c"])
def test_a_pools_name_is_a_label_that_keeps_pools_apart(plans, platform: str, space: str) -> None:
    def name(namespace: str) -> str:
        spec = plans.spec(platform, target={"nodes": WAYS[platform]}, namespace=namespace)
        (found,) = {d.name for d in documents(plans.plan(spec)) if d.component == provisioning.NODES}
        return found

    assert re.fullmatch(r"[a-z0-9][a-z0-9.-]{0,61}[a-z0-9]", name(space))
    assert name(space) != name(space[:-1] + "z")


def test_pods_stay_on_nodes_of_their_own_pool(plans) -> None:
    """Karpenter takes the first pool whose machines a pod accepts; another's limit counts that pool's models only."""
    models: tuple[dict[str, Any], ...] = (
        {"name": "small", "model": "google/gemma-3-12b-it", "workload": SMALL},
        {"name": "large", "model": "Qwen/Qwen3-32B", "workload": SMALL},
    )
    spec = plans.spec("eks", *models, target={"nodes": WAYS["eks"] | {"fallbacks": "any"}})
    plan = Planner(Path()).plan(spec)
    small, large = plan.models
    assert small.nodes is not None
    assert large.nodes is not None
    assert set(small.nodes.instance_types) & set(large.nodes.instance_types), "some machines suit both"
    made = [load(d.text) for d in documents(plan)]
    of = {d["metadata"]["name"]: d for d in made if d["kind"] == "NodePool"}
    for model in plan.models:
        (own,) = (p for p in plan.pools if model.spec.name in p.models)
        (server,) = (
            d for d in made if d["kind"] == "Deployment" and d["metadata"]["name"] == model.spec.name
        )
        name = server["spec"]["template"]["spec"]["nodeSelector"]["karpenter.sh/nodepool"]
        assert name == provisioning.pool_name(plan, own)
        assert name in of


def test_the_disk_holds_the_mixture_that_requests_most(plans) -> None:
    """One pod of a model that asks for much beside several of another: more than either fills a node with."""
    spec = plans.spec(
        "eks",
        {"name": "many", "replicas": {"min": 1, "max": 6}, "weights": {"size_gib": 50}},
        {"name": "one", "replicas": {"min": 1, "max": 1}, "weights": {"size_gib": 150}},
        target={"nodes": WAYS["eks"]},
    )
    plan = plans.plan(spec, gpus_per_replica=1)
    (pool,) = plan.pools
    asked = {
        d.model: int(
            load(d.text)["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"][
                "ephemeral-storage"
            ].removesuffix("Gi")
        )
        for d in documents(plan)
        if d.kind == "Deployment"
    }
    assert pool.gpus_per_node >= 7
    offered = disks.offered_gib("eks", provisioning.disk_gb(plan, pool))
    assert offered >= 6 * asked["many"] + asked["one"] + disks.IMAGE_GIB


@pytest.mark.parametrize("platform", ["eks", "aks", "gke"])
def test_the_disk_holds_weights_that_come_as_an_image(plans, platform: str) -> None:
    """No pod requests the disk that an image takes, and every node that mounts it has it there."""
    source = {"source": "oci", "image": "registry.example.com/llama:v1"}
    spec = plans.spec(platform, {"weights": source}, target={"nodes": WAYS[platform]})
    plan = plans.plan(spec)
    (pool,), (model,) = plan.pools, plan.models
    asked = pod(plan)["containers"][0]["resources"]["requests"]["ephemeral-storage"].removesuffix("Gi")
    held = model.source.weight_bytes / 2**30
    pods_a_node = pool.gpus_per_node // model.gpus_per_replica
    offered = disks.offered_gib(platform, provisioning.disk_gb(plan, pool))
    assert offered >= int(asked) * min(pods_a_node, model.replicas_max) + held


def test_the_disk_holds_the_images_of_every_engine(plans) -> None:
    def size(*engines: str) -> int:
        rows = [
            {"name": f"m{number}", "engine": engine, "replicas": {"min": 1, "max": 1}}
            for number, engine in enumerate(engines)
        ]
        plan = plans.plan(plans.spec("eks", *rows, target={"nodes": WAYS["eks"]}))
        (pool,) = plan.pools
        return provisioning.disk_gb(plan, pool)

    alike, apart = size("vllm", "vllm"), size("vllm", "sglang")
    assert (
        disks.offered_gib("eks", apart) >= disks.offered_gib("eks", alike - disks.STEP_GB) + disks.IMAGE_GIB
    )
