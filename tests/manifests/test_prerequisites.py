"""What the cluster needs, and what somebody should know before applying."""

import shlex

import pytest

from homeport.manifests.cautions import cautions
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
        ("gke", {}, "158 GiB of weights on its node's disk"),
    ],
)
def test_what_somebody_should_know_is_said(plans, platform, model, says) -> None:
    assert any(says in text for text in cautions(plans.plan(plans.spec(platform, model))))


def test_where_all_is_well_nothing_is_said(plans) -> None:
    key = {"secret": "k", "key": "k"}
    model = {"model": "Qwen/Qwen3-8B", "expose": {"kind": "ingress", "class_name": "nginx"}, "api_key": key}
    assert cautions(plans.plan(plans.spec("eks", model))) == []
    big = {"engine": "simulator"}
    assert cautions(plans.plan(plans.spec("kind", big))) == []
