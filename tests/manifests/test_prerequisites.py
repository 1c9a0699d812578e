"""What the cluster needs, and what somebody should know before applying."""

import itertools
import shlex

import msgspec
import pytest

from homeport.catalog.gpus import gpu
from homeport.manifests import disks
from homeport.manifests.cautions import cautions
from homeport.manifests.parsing import load
from homeport.manifests.prerequisites import prerequisites, secrets
from homeport.manifests.render import documents


def names(plan) -> list[str]:
    return [p.name for p in prerequisites(plan, documents(plan))]


def test_only_what_the_objects_use_is_asked_for(plans) -> None:
    assert names(plans.plan(plans.spec("gke"))) == ["kube-prometheus-stack", "KEDA"]
    assert names(plans.plan(plans.spec("kind", {"engine": "simulator", "scaling": {"by": "none"}}))) == [
        "kube-prometheus-stack"
    ]
    many = plans.plan(
        plans.spec("generic", {"expose": {"kind": "gateway", "gateway": "g"}}), nodes_per_replica=2
    )
    assert names(many) == [
        "NVIDIA GPU operator",
        "kube-prometheus-stack",
        "KEDA",
        "LeaderWorkerSet",
        "Gateway API",
    ]


def test_every_helm_command_pins_a_version(plans) -> None:
    for platform in ("generic", "gke", "eks", "aks"):
        plan = plans.plan(plans.spec(platform), nodes_per_replica=2)
        for one in prerequisites(plan, documents(plan)):
            for command in one.commands:
                words = shlex.split(command)
                if words[0] == "helm":
                    assert words[words.index("--version") + 1].lstrip("v")[0].isdigit()


def operator(plan) -> dict[str, object]:
    (found,) = (p for p in prerequisites(plan, documents(plan)) if p.name == "NVIDIA GPU operator")
    words = shlex.split(found.commands[0])
    pairs = [w.split("=", 1) for flag, w in itertools.pairwise(words) if flag in ("--set", "--set-json")]
    return {key: msgspec.json.decode(text) if text[0] in "[tf" else text for key, text in pairs}


@pytest.mark.parametrize(
    ("platform", "values"),
    [
        ("generic", {}),
        ("eks", {"driver.enabled": False, "toolkit.enabled": False}),
        (
            "aks",
            {
                "driver.enabled": False,
                "toolkit.enabled": False,
                "operator.runtimeClass": "nvidia-container-runtime",
            },
        ),
    ],
)
def test_one_side_alone_installs_the_driver(plans, platform: str, values: dict[str, object]) -> None:
    found = operator(plans.plan(plans.spec(platform)))
    assert {key: value for key, value in found.items() if "tolerations" not in key} == values


@pytest.mark.parametrize("capacity", ["on_demand", "spot"])
def test_the_operator_stands_on_every_node_that_the_models_stand_on(plans, capacity: str) -> None:
    plan = plans.plan(plans.spec("aks", target={"capacity": capacity}))
    pod = next(load(d.text) for d in documents(plan) if d.kind == "Deployment")["spec"]["template"]["spec"]
    spot = {
        "key": "kubernetes.azure.com/scalesetpriority",
        "operator": "Equal",
        "value": "spot",
        "effect": "NoSchedule",
    }
    assert (spot in pod["tolerations"]) == (capacity == "spot")
    found = operator(plan)
    for part in ("daemonsets", "node-feature-discovery.worker"):
        rows = found[f"{part}.tolerations"]
        assert len(rows) == len(pod["tolerations"])
        assert all(row in pod["tolerations"] for row in rows)
    assert "daemonsets.tolerations" not in operator(
        plans.plan(plans.spec("eks", target={"capacity": capacity}))
    )


def test_a_driver_that_is_too_old_for_the_image_is_named(plans) -> None:
    small = {"model": "Qwen/Qwen3-8B", "tensor_parallel_size": 1, "gpu": "A10-24GB"}
    on_aks = plans.plan(plans.spec("aks", small), gpu=gpu("A10-24GB"))
    release = on_aks.models[0].engine
    (found,) = (text for text in cautions(on_aks) if "driver" in text)
    assert f"NVIDIA's driver 570, and {release.image} needs {release.needs_driver}" in found
    assert release.other_images["cu129"] in found
    other = {**small, "image": release.other_images["cu129"]}
    for plan in (
        plans.plan(plans.spec("aks", other), gpu=gpu("A10-24GB"), image=release.other_images["cu129"]),
        plans.plan(plans.spec("eks", small), gpu=gpu("A10-24GB")),
        plans.plan(plans.spec("aks")),
    ):
        assert not [text for text in cautions(plan) if "driver" in text]


def test_the_stack_goes_where_the_network_policy_expects_it(plans) -> None:
    plan = plans.plan(plans.spec("gke", observability={"prometheus_namespace": "watch"}))
    (command,) = next(
        p for p in prerequisites(plan, documents(plan)) if p.name == "kube-prometheus-stack"
    ).commands
    assert "--namespace watch" in command


def test_secrets_are_asked_for_once_with_all_their_keys(plans) -> None:
    models = [
        {"name": n, "api_key": {"secret": "keys", "key": n}, "hub_token": {"secret": "hub", "key": "token"}}
        for n in ("a", "b")
    ]
    plan = plans.plan(plans.spec("gke", *models))
    commands = [c for p in secrets(plan) for c in p.commands]
    assert commands == [
        "kubectl --namespace support create secret generic hub --from-file=token=FILE",
        "kubectl --namespace support create secret generic keys --from-file=a=FILE --from-file=b=FILE",
    ]


KEY = {"secret": "k", "key": "k"}


@pytest.mark.parametrize(
    ("platform", "model", "says"),
    [
        ("gke", {"expose": {"kind": "load_balancer"}}, "set api_key"),
        ("gke", {"expose": {"kind": "ingress"}}, "30 s"),
        ("eks", {"expose": {"kind": "ingress"}}, "60 s"),
        ("gke", {"weights": {"source": "oci", "image": "a/b"}}, "Kubernetes 1.35"),
        (
            "generic",
            {"weights": {"source": "local", "path": "/m", "nodes": ["n1"]}},
            "user 2000 must be able to read /m",
        ),
        ("gke", {"expose": {"kind": "load_balancer"}, "api_key": KEY}, "plain HTTP to every source address"),
        ("gke", {"expose": {"kind": "ingress"}, "api_key": KEY}, "set expose.tls_secret"),
    ],
)
def test_what_somebody_should_know_is_said(plans, platform, model, says) -> None:
    assert any(says in text for text in cautions(plans.plan(plans.spec(platform, model))))


def test_where_all_is_well_nothing_is_said(plans) -> None:
    way_in = {"kind": "ingress", "class_name": "nginx", "tls_secret": "t"}
    model = {"model": "Qwen/Qwen3-8B", "expose": way_in, "api_key": KEY}
    assert cautions(plans.plan(plans.spec("aks", model))) == []
    big = {"engine": "simulator"}
    assert cautions(plans.plan(plans.spec("kind", big))) == []


@pytest.mark.parametrize(
    ("platform", "model", "says"),
    [
        # 20 for caches and temporary files beside 158 of weights, two pods of 4 GPUs on a node of 8.
        (
            "gke",
            {},
            "each pod asks for 178 GiB of its node's disk (158 of them for the weights), 2 of them may share a node, and "
            "a node of gke offers about 44 GiB with its default disk of 100 GB: give the pool disks of 550 GB (--disk-size)",
        ),
        # 20 beside 19: the weights alone would fit.
        (
            "generic",
            {"model": "Qwen/Qwen3-14B"},
            "unknown (45 GiB assumed): give the pool disks of 150 GB or",
        ),
        # No request counts an image, and the node has it on its disk all the same.
        (
            "eks",
            {"weights": {"source": "oci", "image": "a/b"}},
            "each pod asks for 20 GiB of its node's disk, 2 of them may share a node, its weights' image takes 158 GiB more, "
            "and a node of eks offers about 17 GiB with its default disk of 20 GB: give the pool disks of 250 GB (diskSize)",
        ),
    ],
)
def test_a_disk_that_is_too_small_for_what_the_pods_ask_for_is_named(plans, platform, model, says) -> None:
    assert any(says in text for text in cautions(plans.plan(plans.spec(platform, model))))


def test_a_named_storage_class_takes_the_weights_off_the_disk(plans) -> None:
    model = {"weights": {"source": "hub", "storage_class": "ssd"}}
    found = cautions(plans.plan(plans.spec("aks", model)))
    assert not any("disk" in text for text in found)
    assert any("weights.storage_class" in text for text in cautions(plans.plan(plans.spec("aks"))))
    # The caches alone are too much for the default disk of EKS, so that a class would be no help.
    found = cautions(plans.plan(plans.spec("eks")))
    assert any("disk" in text for text in found)
    assert not any("weights.storage_class" in text for text in found)


@pytest.mark.parametrize("platform", ["gke", "eks", "aks", "generic"])
def test_the_disk_that_is_asked_for_offers_what_is_wanted_and_a_smaller_one_does_not(platform) -> None:
    for wanted in (1, 40, 100, 333, 1500):
        size = disks.enough_gb(platform, wanted)
        assert disks.offered_gib(platform, size) >= wanted
        assert disks.offered_gib(platform, size - disks.STEP_GB) < wanted + disks.IMAGE_GIB


def test_a_gke_node_offers_what_one_reported() -> None:
    # Allocatable of a node with the default disk of 100 GB: 47093746742 bytes.
    assert disks.offered_gib("gke", 100) == pytest.approx(47093746742 / 2**30, abs=0.1)


def test_one_replica_is_down_while_it_is_replaced(plans) -> None:
    says = "takes it down for about 170 s, at worst 412 s by estimate, and longer on a new node: `replicas: {min: 2}`"
    spec = plans.spec("gke")
    assert any(says in text for text in cautions(plans.plan(spec, replicas_planned=1)))
    assert any(
        "which is unknown" in text for text in cautions(plans.plan(spec, replicas_planned=1, startup=None))
    )
    assert not any("one replica" in text for text in cautions(plans.plan(spec, replicas_planned=2)))
    assert not any("one replica" in t for t in cautions(plans.plan(plans.spec("kind"), replicas_planned=1)))
