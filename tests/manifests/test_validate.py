"""The bundled schemas and the small validator, held to kubernetes-validate and jsonschema."""

import copy
import hashlib
import random
from typing import Any

import jsonschema
import kubernetes_validate
import pytest

from homeport.manifests.parsing import load
from homeport.manifests.render import KINDS, documents
from homeport.manifests.validate import FOLDER, _schema, kinds, sources, validate

KUBERNETES = sources()["kubernetes"]["kubernetes"]
CUSTOM = {
    "ScaledObject", "PodMonitor", "LeaderWorkerSet", "HTTPRoute", "NodePool", "EC2NodeClass", "AKSNodeClass",
    "ComputeClass",
}  # fmt: skip


@pytest.fixture(scope="module")
def rendered(plans) -> dict[str, dict[str, Any]]:
    """One document of every kind."""
    specs = [
        plans.plan(plans.spec("gke", {"weights": {"source": "pvc"}, "replicas": {"min": 2, "max": 4}})),
        plans.plan(
            plans.spec("gke", {"expose": {"kind": "gateway", "gateway": "g", "host": "a.example.com"}})
        ),
        plans.plan(
            plans.spec(
                "generic",
                {
                    "expose": {"kind": "ingress", "host": "a.example.com", "tls_secret": "t"},
                    "weights": {"source": "local", "path": "/data", "nodes": ["n1"]},
                },
            )
        ),
        plans.plan(plans.spec("eks", {}), nodes_per_replica=2, gpus_per_replica=16),
        plans.plan(plans.spec("kind", {"engine": "simulator"})),
        plans.plan(plans.spec("gke", {"scaling": {"by": "hpa"}})),
        plans.plan(plans.spec("eks", target={"nodes": {"by": "karpenter", "cluster": "ml"}})),
        plans.plan(plans.spec("aks", target={"nodes": {"by": "auto_provisioning"}})),
        plans.plan(plans.spec("gke", target={"nodes": {"by": "compute_class"}})),
    ]
    return {d.kind: load(d.text) for made in specs for d in documents(made)}


def strict(kind: str) -> dict[str, Any]:
    """The bundled schema as JSON Schema that jsonschema can read."""

    def with_pointers(node: Any) -> Any:
        if isinstance(node, list):
            return [with_pointers(child) for child in node]
        if not isinstance(node, dict):
            return node
        if isinstance(node.get("$ref"), str):
            return {"$ref": f"#/$defs/{node['$ref']}"}
        made = {key: with_pointers(child) for key, child in node.items()}
        if node.get("x-kubernetes-int-or-string") is True:
            made["type"] = ["integer", "string"]
        return made

    return with_pointers(_schema(kind))


def mutations(document: dict[str, Any], count: int, seed: int) -> list[dict[str, Any]]:
    """Copies of a document, each with one thing changed somewhere: a field added, removed, renamed or retyped."""
    rng = random.Random(seed)
    made = []
    while len(made) < count:
        copy_ = copy.deepcopy(document)
        places: list[tuple[Any, Any]] = []

        def walk(node: Any, places: list[tuple[Any, Any]] = places) -> None:
            for key in list(node) if isinstance(node, dict) else range(len(node)):
                places.append((node, key))
                if isinstance(node[key], dict | list):
                    walk(node[key])

        walk(copy_)
        node, key = rng.choice(places)
        if (node is copy_ and key in ("kind", "apiVersion")) or key in ("annotations", "labels"):
            continue
        what = rng.choice(["remove", "rename", "string", "number", "boolean", "list", "map", "float", "add"])
        if what == "remove":
            del node[key]
        elif what == "rename" and isinstance(node, dict):
            node[f"{key}X"] = node.pop(key)
        elif what == "add" and isinstance(node, dict):
            node["unknownField"] = "x"
        else:
            node[key] = {
                "string": "words",
                "number": 7,
                "boolean": True,
                "list": ["x"],
                "map": {"x": "y"},
            }.get(what, 1.5)
        made.append(copy_)
    return made


def test_every_kind_that_is_rendered_has_a_schema(rendered) -> None:
    assert kinds() == set(KINDS) == set(rendered)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_is_rendered_is_valid(rendered, kind: str) -> None:
    assert validate(rendered[kind]) == []
    jsonschema.Draft202012Validator(strict(kind)).validate(rendered[kind])
    if kind not in CUSTOM:
        kubernetes_validate.validate(rendered[kind], KUBERNETES, strict=True)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_it_agrees_with_jsonschema_on_mutations(rendered, kind: str) -> None:
    reference = jsonschema.Draft202012Validator(strict(kind))
    verdicts = set()
    for mutated in mutations(rendered[kind], 80, seed=7):
        errors = validate(mutated)
        unique = [e for e in errors if "as an item before it" not in e]  # JSON Schema has no such keyword
        assert bool(unique) != reference.is_valid(mutated), (unique, mutated)
        verdicts.add(bool(unique))
    assert verdicts == {True, False} or kind in ("Namespace", "ServiceAccount", "ConfigMap")


@pytest.mark.parametrize("kind", ["Deployment", "Service", "NetworkPolicy", "PersistentVolumeClaim", "Job"])
def test_it_agrees_with_the_whole_schemas_of_kubernetes(rendered, kind: str) -> None:
    for mutated in mutations(rendered[kind], 25, seed=11):
        try:
            kubernetes_validate.validate(mutated, KUBERNETES, strict=True)
        except kubernetes_validate.ValidationError:
            assert validate(mutated), mutated
        else:
            assert [e for e in validate(mutated) if "is missing" not in e] == [], mutated


def test_an_error_names_the_place_and_the_nearest_field(rendered) -> None:
    wrong = copy.deepcopy(rendered["Deployment"])
    wrong["spec"]["template"]["spec"]["containers"][0]["imagePullPolice"] = "Always"
    wrong["spec"]["replicas"] = "two"
    assert validate(wrong) == [
        "spec.template.spec.containers[0].imagePullPolice: no such field; did you mean imagePullPolicy?",
        "spec.replicas: must be an integer, not string",
    ]


def test_null_is_no_value(rendered) -> None:
    wrong = copy.deepcopy(rendered["Service"])
    wrong["spec"]["type"] = None
    assert validate(wrong) == ["spec.type: must be a string, not null"]


def test_two_items_with_the_same_key_are_refused(rendered) -> None:
    wrong = copy.deepcopy(rendered["LeaderWorkerSet"])
    env = wrong["spec"]["leaderWorkerTemplate"]["leaderTemplate"]["spec"]["containers"][0]["env"]
    env.append(dict(env[0]))
    assert validate(wrong) == [
        f"spec.leaderWorkerTemplate.leaderTemplate.spec.containers[0].env[{len(env) - 1}]: "
        "the same name as an item before it"
    ]


def test_what_is_no_object_of_a_known_kind_is_refused() -> None:
    assert validate([]) == ["a list is no Kubernetes object"]
    assert validate({"kind": "Pod"}) == ["kind: no schema for 'Pod'"]
    assert validate({"kind": "../x"}) == ["kind: no schema for '../x'"]


def test_the_schemas_are_the_ones_that_were_made_from_the_pinned_sources() -> None:
    for kind, row in sources()["kinds"].items():
        assert hashlib.sha256((FOLDER / f"{kind}.json").read_bytes()).hexdigest() == row["sha256"]
