"""What is rendered, kind by kind: the facts of Kubernetes that have cost somebody a night."""

import itertools
import math
import re
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homeport.engines import registry
from homeport.errors import SpecError
from homeport.manifests import render
from homeport.manifests.parsing import load
from homeport.manifests.validate import validate
from homeport.spec.models import Observability, SecretRef, Weights

EXPOSED = (
    {"kind": "none"},
    {"kind": "internal"},
    {"kind": "load_balancer"},
    {"kind": "ingress", "host": "a.example.com", "class_name": "nginx", "tls_secret": "t"},
    {"kind": "gateway", "gateway": "g", "host": "a.example.com"},
)
PLATFORMS = ("kind", "minikube", "generic", "gke", "eks", "aks")


def objects(plan: Any) -> dict[str, dict[str, Any]]:
    """Kind/name -> document."""
    return {f"{d.kind}/{d.name}": load(d.text) for d in render.documents(plan)}


def pod_of(workload: dict[str, Any]) -> dict[str, Any]:
    spec = workload["spec"]
    return (spec["template"] if "template" in spec else spec["leaderWorkerTemplate"]["leaderTemplate"])[
        "spec"
    ]


def server_of(workload: dict[str, Any]) -> dict[str, Any]:
    return pod_of(workload)["containers"][0]


def walk(node: Any):
    yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from walk(child)


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("source", ["hub", "pvc", "oci", "object_store", "local"])
@pytest.mark.parametrize("engine", ["vllm", "sglang", "trtllm", "tgi", "cpu", "simulator"])
def test_every_engine_on_every_target_with_weights_from_everywhere(plans, platform, source, engine) -> None:
    weights = {
        "hub": {},
        "pvc": {"storage_class": "shared"},
        "oci": {"image": "registry.example.com/model:1"},
        "object_store": {"uri": "s3://bucket/folder", "credentials": "s3"},
        "local": {"path": "/data/model", "nodes": ["n1", "n2"]},
    }[source]
    # spot or not, and five ways in, in turn: each comes up with each engine, source and platform somewhere
    number = PLATFORMS.index(platform) + len(source) + len(engine)
    made = plans.spec(
        platform,
        {"engine": engine, "weights": {"source": source} | weights, "expose": EXPOSED[number % len(EXPOSED)]},
        target={"capacity": ("on_demand", "spot")[number % 2]},
    )
    for document in render.documents(plans.plan(made)):
        data = load(document.text)
        assert validate(data) == []
        assert (data["kind"], data["metadata"]["name"]) == (document.kind, document.name)
        assert (data["apiVersion"], data["metadata"].get("namespace")) == (
            document.api_version,
            document.namespace,
        )
        for node in walk(data):
            assert node is not None
            # `{}` has a meaning as a selector of everything, and nowhere else.
            if isinstance(node, dict):
                assert all(v not in ({}, []) or k.endswith("Selector") for k, v in node.items()), node


COMPUTED = re.compile(
    r"(progressDeadlineSeconds|terminationGracePeriodSeconds|replicas|threshold|query|stabilizationWindowSeconds|size"
    r"|storage|minReplicaCount|ephemeral-storage|nvidia.com/gpu|maxUnavailable|failureThreshold): "
)


def test_every_computed_number_says_why(plans) -> None:
    specs = [
        plans.plan(plans.spec("gke", {"weights": {"source": "pvc"}, "replicas": {"min": 2, "max": 4}})),
        plans.plan(plans.spec("gke", {"scaling": {"by": "none"}})),
        plans.plan(plans.spec("generic", {"weights": {"source": "local", "path": "/m", "nodes": ["n"]}})),
        plans.plan(plans.spec("eks", {}), nodes_per_replica=2, gpus_per_replica=16),
    ]
    seen = set()
    for document in itertools.chain.from_iterable(render.documents(p) for p in specs):
        lines = document.text.split("\n")
        for number, line in enumerate(lines):
            found = COMPUTED.match(line.strip())
            # the engine's own probe thresholds are no computed numbers; a surge and its partner share a comment
            if found and "readinessProbe" not in "".join(lines[number - 4 : number]):
                above = [x.strip() for x in lines[max(0, number - 3) : number]]
                assert any(x.startswith("#") for x in above), (document.path, line)
                seen.add(found.group(1))
    assert len(seen) == 13


@pytest.mark.parametrize("engine", ["vllm", "sglang", "trtllm", "tgi", "cpu", "simulator"])
def test_no_name_or_path_comes_up_twice_in_a_pod(plans, engine) -> None:
    adapters = [{"name": "a", "source": "o/r"}] if engine in ("vllm", "sglang") else []
    for source in ({"source": "hub"}, {"source": "object_store", "uri": "s3://b/f"}, {"source": "pvc"}):
        made = plans.spec("gke", {"engine": engine, "weights": source, "adapters": adapters})
        pod = pod_of(objects(plans.plan(made))["Deployment/assistant"])
        containers = [*pod.get("initContainers", ()), *pod["containers"]]
        volumes = [v["name"] for v in pod["volumes"]]
        assert len(set(volumes)) == len(volumes)
        assert len({c["name"] for c in containers}) == len(containers)
        for container in containers:
            for names in (
                [e["name"] for e in container.get("env", ())],
                [m["mountPath"] for m in container["volumeMounts"]],
            ):
                assert len(set(names)) == len(names)
            assert {m["name"] for m in container["volumeMounts"]} <= set(volumes)


def test_the_pods_keep_to_the_restricted_profile(plans) -> None:
    for source in ({"source": "pvc"}, {"source": "object_store", "uri": "gs://b/f"}):
        found = objects(
            plans.plan(plans.spec("gke", {"weights": source, "adapters": [{"name": "a", "source": "o/r"}]}))
        )
        assert (
            found["Namespace/support"]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
            == "restricted"
        )
        pods = [pod_of(o) for o in found.values() if o["kind"] in ("Deployment", "Job")]
        assert len(pods) == (2 if source["source"] == "pvc" else 1)
        for pod in pods:
            assert pod["securityContext"]["runAsNonRoot"] is True
            assert pod["securityContext"]["runAsUser"] > 0
            assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
            assert pod["automountServiceAccountToken"] is False
            assert pod["enableServiceLinks"] is False
            allowed = {"name", "configMap", "emptyDir", "ephemeral", "persistentVolumeClaim", "image"}
            assert all(set(volume) <= allowed for volume in pod["volumes"])
            for container in (*pod.get("initContainers", ()), *pod["containers"]):
                assert container["securityContext"] == {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                    "readOnlyRootFilesystem": True,
                }


@pytest.mark.parametrize("engine", ["vllm", "sglang", "trtllm", "tgi", "cpu", "simulator"])
def test_every_folder_that_an_engine_writes_to_is_a_volume(plans, engine) -> None:
    made = plans.plan(plans.spec("gke", {"engine": engine}))
    server = registry.server(made.models[0].engine, made.models[0].launch)
    pod = pod_of(objects(made)["Deployment/assistant"])
    mounts = {m["mountPath"]: m for m in pod["containers"][0]["volumeMounts"]}
    volumes = {v["name"] for v in pod["volumes"]}
    for path in server.writable:
        if not path.memory_backed or server.shm_gib:
            assert "readOnly" not in mounts[path.path]
    assert {m["name"] for m in mounts.values()} <= volumes
    for path in server.files:
        assert any(path.startswith(mount + "/") for mount in mounts)


def test_shared_memory_counts_towards_the_memory_limit(plans) -> None:
    made = plans.plan(plans.spec("gke"), memory_request_gib=20)
    pod = pod_of(objects(made)["Deployment/assistant"])
    shm = next(v for v in pod["volumes"] if v["name"] == "shm")["emptyDir"]
    assert shm["medium"] == "Memory"
    resources = pod["containers"][0]["resources"]
    assert resources["limits"]["memory"] == f"{20 + int(shm['sizeLimit'].removesuffix('Gi'))}Gi"
    assert resources["requests"]["memory"] == resources["limits"]["memory"]


def test_the_startup_probe_waits_as_long_as_the_plan_says_at_worst(plans) -> None:
    spec = plans.spec("gke", {"weights": {"source": "oci", "image": "a/b"}})
    usual = plans.plan(spec).models[0].startup
    slow = msgspec.structs.replace(usual, ready_s_interval=(90.0, 3000.0))
    for startup, seconds in ((usual, 412), (slow, 3000)):
        workload = objects(plans.plan(spec, startup=startup))["Deployment/assistant"]
        probe = server_of(workload)["startupProbe"]
        assert (
            seconds <= probe["failureThreshold"] * probe["periodSeconds"] < seconds + probe["periodSeconds"]
        )
        assert "initialDelaySeconds" not in probe
        assert workload["spec"]["progressDeadlineSeconds"] > seconds


def test_the_startup_probe_waits_for_the_slowest_hub_that_was_measured(plans) -> None:
    spec = plans.spec("gke")
    model = plans.plan(spec).models[0]
    seconds = 412 - 60 + model.source.weight_bytes / 2**30 / 0.04
    found = render.documents(plans.plan(spec))
    text = next(d.text for d in found if d.kind == "Deployment")
    workload = yaml.load(text, yaml.CSafeLoader)
    probe = server_of(workload)["startupProbe"]
    assert 0 <= probe["failureThreshold"] * probe["periodSeconds"] - seconds < probe["periodSeconds"] + 2
    assert workload["spec"]["progressDeadlineSeconds"] > 900 + seconds
    assert f"at worst 412 s by estimate, {math.ceil(seconds)} s where the Hub gives 0.04 GiB/s" in text
    # A download that the estimate holds slower already, an unknown estimate, and weights that come before the server.
    lame = msgspec.structs.replace(model.startup, download_s=9000.0, ready_s_interval=(90.0, 9400.0))
    store = plans.spec("gke", {"weights": {"source": "object_store", "uri": "s3://b/m"}})
    for made, low, high in (
        (plans.plan(spec, startup=lame), 9400, 9410),
        (plans.plan(spec, startup=None), 900 + seconds - 352, 910 + seconds - 352),
        (plans.plan(store), 412, 420),
    ):
        workload = objects(made)["Deployment/assistant"]
        probe = server_of(workload)["startupProbe"]
        assert low <= probe["failureThreshold"] * probe["periodSeconds"] < high
        assert workload["spec"]["progressDeadlineSeconds"] > seconds
    # What is taken away comes back as the estimate says: no reason to keep it for longer.
    scaler = objects(plans.plan(spec))["ScaledObject/assistant"]["spec"]["advanced"]
    assert (
        scaler["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 412
    )


@pytest.mark.parametrize(
    ("engine", "probed"), [("vllm", False), ("tgi", False), ("sglang", True), ("trtllm", True)]
)
def test_a_server_without_a_liveness_probe_says_why(plans, engine, probed) -> None:
    found = render.documents(plans.plan(plans.spec("gke", {"engine": engine})))
    text = next(d.text for d in found if d.kind == "Deployment")
    assert ("livenessProbe:\n" in text) == probed
    assert ("# no livenessProbe: an engine that dies takes the process with it" in text) != probed


def test_a_rollout_waits_for_the_download_too(plans) -> None:
    deadline = [
        objects(plans.plan(plans.spec("gke", {"weights": {"source": s} | more})))["Deployment/assistant"][
            "spec"
        ]["progressDeadlineSeconds"]
        for s, more in (("oci", {"image": "a/b"}), ("pvc", {}))
    ]
    assert deadline[0] < deadline[1]


def test_a_rollout_needs_no_room_for_one_more(plans) -> None:
    for found, where in (
        (objects(plans.plan(plans.spec("gke")))["Deployment/assistant"], ("strategy", "rollingUpdate")),
        (
            objects(plans.plan(plans.spec("gke"), nodes_per_replica=2, gpus_per_replica=16))[
                "LeaderWorkerSet/assistant-group"
            ],
            ("rolloutStrategy", "rollingUpdateConfiguration"),
        ),
    ):
        assert found["spec"][where[0]][where[1]] == {"maxSurge": 0, "maxUnavailable": 1}


def test_draining_is_longer_than_the_sleep_and_the_engines_own_time_out(plans) -> None:
    for engine in ("vllm", "sglang", "trtllm", "tgi"):
        workload = objects(plans.plan(plans.spec("gke", {"engine": engine})))["Deployment/assistant"]
        server = server_of(workload)
        sleep = server["lifecycle"]["preStop"]["sleep"]["seconds"]
        grace = pod_of(workload)["terminationGracePeriodSeconds"]
        own = [int(a.split("=")[1]) for a in server["args"] if a.startswith("--shutdown-timeout=")]
        assert grace >= max(60, sleep + sum(own) + 5)
        assert bool(own) == (engine == "vllm")


def test_replicas_are_left_to_keda_or_written_never_both(plans) -> None:
    scaled = objects(plans.plan(plans.spec("gke", {"replicas": {"min": 1, "max": 5}})))
    assert "replicas" not in scaled["Deployment/assistant"]["spec"]
    assert scaled["ScaledObject/assistant"]["spec"]["maxReplicaCount"] == 5
    for fixed in ({"replicas": {"min": 3, "max": 3}}, {"scaling": {"by": "none"}}):
        found = objects(plans.plan(plans.spec("gke", fixed)))
        assert found["Deployment/assistant"]["spec"]["replicas"] >= 2
        assert "ScaledObject/assistant" not in found


def test_one_changed_replica_is_a_one_line_difference(plans) -> None:
    before, after = (
        "".join(
            d.text
            for d in render.documents(plans.plan(plans.spec("gke", {"replicas": {"min": n, "max": n}})))
        ).split("\n")
        for n in (3, 4)
    )
    changed = [(a, b) for a, b in zip(before, after, strict=True) if a != b and "#" not in a]
    assert changed == [("  replicas: 3", "  replicas: 4")]


def test_a_disruption_budget_only_where_two_replicas_are_always_there(plans) -> None:
    for least, most, there in ((1, 5, False), (2, 5, True), (1, 1, False), (2, 2, True)):
        found = objects(plans.plan(plans.spec("gke", {"replicas": {"min": least, "max": most}})))
        assert ("PodDisruptionBudget/assistant" in found) is there


def test_gpu_pods_select_the_planned_nodes(plans) -> None:
    for platform, key, values in (
        ("gke", "node.kubernetes.io/instance-type", ["a3-highgpu-4g", "a3-highgpu-8g"]),
        ("generic", "nvidia.com/gpu.product", None),
    ):
        pod = pod_of(objects(plans.plan(plans.spec(platform)))["Deployment/assistant"])
        terms = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
            "nodeSelectorTerms"
        ]
        (expression,) = terms[0]["matchExpressions"]
        assert expression["key"] == key
        assert values is None or expression["values"] == values
        assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in pod["tolerations"]
        assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 4


def test_without_a_gpu_no_gpu_node_is_asked_for(plans) -> None:
    pod = pod_of(objects(plans.plan(plans.spec("kind", {"engine": "simulator"})))["Deployment/assistant"])
    assert "affinity" not in pod
    assert "tolerations" not in pod
    assert set(pod["containers"][0]["resources"]["limits"]) == {"memory"}


@pytest.mark.parametrize("platform", ["gke", "eks", "aks"])
@pytest.mark.parametrize("engine", ["vllm", "cpu", "simulator"])
def test_spot_without_a_gpu_is_spot_too(plans, platform, engine) -> None:
    made = plans.spec(platform, {"engine": engine}, target={"capacity": "spot"})
    affinity = pod_of(objects(plans.plan(made))["Deployment/assistant"])["affinity"]["nodeAffinity"]
    assert affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]


def test_spot_nodes_are_asked_for_in_every_name_that_they_have(plans) -> None:
    made = plans.spec("eks", target={"capacity": "spot"})
    pod = pod_of(objects(plans.plan(made))["Deployment/assistant"])
    terms = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
        "nodeSelectorTerms"
    ]
    assert [[e["key"] for e in t["matchExpressions"]] for t in terms] == [
        ["node.kubernetes.io/instance-type", "eks.amazonaws.com/capacityType"],
        ["node.kubernetes.io/instance-type", "karpenter.sh/capacity-type"],
    ]


def test_secrets_are_named_and_never_written(plans) -> None:
    made = plans.spec(
        "gke", {"api_key": {"secret": "keys", "key": "api"}, "hub_token": {"secret": "hub", "key": "t"}}
    )
    env = {e["name"]: e for e in server_of(objects(plans.plan(made))["Deployment/assistant"])["env"]}
    assert env["VLLM_API_KEY"]["valueFrom"] == {"secretKeyRef": {"name": "keys", "key": "api"}}
    assert env["HF_TOKEN"]["valueFrom"] == {"secretKeyRef": {"name": "hub", "key": "t"}}


def test_a_simulator_needs_neither_weights_nor_adapters_nor_a_token(plans) -> None:
    for source in ({"source": "hub"}, {"source": "pvc"}, {"source": "oci"}):
        made = plans.spec(
            "kind",
            {
                "engine": "simulator",
                "weights": source,
                "adapters": [{"name": "a", "source": "o/r"}],
                "hub_token": {"secret": "hub", "key": "t"},
            },
        )
        found = objects(plans.plan(made))
        assert {o["kind"] for o in found.values()}.isdisjoint({"Job", "PersistentVolumeClaim"})
        pod = pod_of(found["Deployment/assistant"])
        assert "initContainers" not in pod
        assert "HF_TOKEN" not in {e["name"] for e in pod["containers"][0]["env"]}


def test_a_shared_volume_is_filled_once_and_waited_for(plans) -> None:
    made = plans.spec(
        "gke", {"weights": {"source": "pvc", "revision": "abc"}, "hub_token": {"secret": "h", "key": "t"}}
    )
    found = objects(plans.plan(made))
    (job,) = [o for o in found.values() if o["kind"] == "Job"]
    env = {e["name"]: e.get("value") for e in server_of(job)["env"]}
    workload = found["Deployment/assistant"]
    (wait,) = pod_of(workload)["initContainers"]
    assert env["REPOSITORY"] == "meta-llama/Llama-3.1-70B-Instruct"
    assert env["REVISION"] == "abc"
    assert env["TARGET"] == "/models"
    assert "HF_TOKEN" in env
    assert {"name": "MARKER", "value": env["MARKER"]} in wait["env"]
    assert server_of(job)["image"] == server_of(workload)["image"]
    assert found["PersistentVolumeClaim/assistant-weights"]["spec"]["accessModes"] == ["ReadWriteMany"]
    assert {"name": "weights", "mountPath": "/models", "readOnly": True} in server_of(workload)[
        "volumeMounts"
    ]
    assert "HF_TOKEN" not in {e["name"] for e in server_of(workload)["env"]}


def test_another_revision_is_another_job_because_jobs_cannot_be_changed(plans) -> None:
    names = {
        d.name
        for revision in ("a", "b")
        for d in render.documents(
            plans.plan(plans.spec("gke", {"weights": {"source": "pvc", "revision": revision}}))
        )
        if d.kind == "Job"
    }
    assert len(names) == 2


def test_a_shared_volume_needs_a_class_where_the_platform_has_none(plans) -> None:
    with pytest.raises(SpecError) as refused:
        render.documents(plans.plan(plans.spec("eks", {"weights": {"source": "pvc"}})))
    assert refused.value.problems[0].path == ("models", 0, "weights", "storage_class")


@pytest.mark.parametrize(
    ("weights", "field"),
    [
        ({"source": "oci"}, "image"),
        ({"source": "object_store"}, "uri"),
        ({"source": "local", "nodes": ["n"]}, "path"),
        ({"source": "local", "path": "/x"}, "nodes"),
    ],
)
def test_a_source_of_weights_without_its_field_is_refused(plans, weights, field) -> None:
    with pytest.raises(SpecError) as refused:
        render.documents(plans.plan(plans.spec("gke", {"weights": weights})))
    assert refused.value.problems[0].path == ("models", 0, "weights", field)


def test_a_local_volume_is_bound_to_its_claim_and_its_nodes(plans) -> None:
    made = plans.spec("generic", {"weights": {"source": "local", "path": "/data/m", "nodes": ["n1", "n2"]}})
    found = objects(plans.plan(made))
    volume = found["PersistentVolume/support-assistant-weights"]["spec"]
    claim = found["PersistentVolumeClaim/assistant-weights"]["spec"]
    assert volume["local"] == {"path": "/data/m"}
    assert volume["claimRef"]["name"] == "assistant-weights"
    assert claim["volumeName"] == "support-assistant-weights"
    assert claim["storageClassName"] == volume["storageClassName"] == ""
    assert volume["nodeAffinity"]["required"]["nodeSelectorTerms"][0]["matchExpressions"][0]["values"] == [
        "n1",
        "n2",
    ]


def test_an_image_volume_says_which_kubernetes_it_needs(plans) -> None:
    made = plans.spec("gke", {"weights": {"source": "oci", "image": "registry.example.com/m:1"}})
    text = next(d.text for d in render.documents(plans.plan(made)) if d.kind == "Deployment")
    assert "Kubernetes 1.35 or newer" in text


def test_adapters_are_fetched_before_the_server_starts(plans) -> None:
    adapters = [{"name": "law", "source": "org/law"}, {"name": "tax", "source": "org/tax"}]
    workload = objects(plans.plan(plans.spec("gke", {"adapters": adapters})))["Deployment/assistant"]
    init = pod_of(workload)["initContainers"]
    fetched = [{e["name"]: e.get("value") for e in c["env"]} for c in init]
    assert [(e["REPOSITORY"], e["TARGET"]) for e in fetched] == [
        ("org/law", "/adapters/law"),
        ("org/tax", "/adapters/tax"),
    ]
    assert "law=/adapters/law" in server_of(workload)["args"]
    assert {"name": "adapters", "mountPath": "/adapters", "readOnly": True} in server_of(workload)[
        "volumeMounts"
    ]


def test_an_adapter_on_a_volume_that_is_not_there_is_refused(plans) -> None:
    with pytest.raises(SpecError) as refused:
        render.documents(plans.plan(plans.spec("gke", {"adapters": [{"name": "a", "source": "/lora/a"}]})))
    assert refused.value.problems[0].path == ("models", 0, "adapters", 0, "source")


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_a_replica_of_two_nodes_is_a_leaderworkerset(plans, engine) -> None:
    made = plans.plan(plans.spec("gke", {"engine": engine}), nodes_per_replica=2, gpus_per_replica=16)
    found = objects(made)
    group = found["LeaderWorkerSet/assistant-group"]["spec"]["leaderWorkerTemplate"]
    assert group["size"] == 2
    leader, worker = group["leaderTemplate"], group["workerTemplate"]
    for pod in (leader, worker):
        assert pod["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 8
    # the Service and the monitor find leaders only
    selector = found["Service/assistant"]["spec"]["selector"]
    assert selector.items() <= leader["metadata"]["labels"].items()
    assert not selector.items() <= worker["metadata"]["labels"].items()
    assert found["ScaledObject/assistant"]["spec"]["scaleTargetRef"]["kind"] == "LeaderWorkerSet"
    # both find each other, on any port
    policy = found["NetworkPolicy/assistant"]["spec"]
    for labels in (leader["metadata"]["labels"], worker["metadata"]["labels"]):
        assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    assert any("ports" not in rule for rule in policy["ingress"])


def test_only_servers_that_fetch_may_reach_the_internet(plans) -> None:
    def ports(source: dict[str, Any], name: str = "assistant") -> set[Any]:
        policy = objects(plans.plan(plans.spec("gke", {"weights": source})))[f"NetworkPolicy/{name}"]
        return {p["port"] for rule in policy["spec"]["egress"] for p in rule["ports"]}

    assert ports({"source": "hub"}) == {53, 443}
    assert ports({"source": "oci", "image": "a/b"}) == {53}
    assert ports({"source": "pvc"}) == {53}
    assert ports({"source": "pvc"}, "assistant-download") == {53, 443}


MONITORING = {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}


@pytest.mark.parametrize(
    ("expose", "peers"),
    [
        ({"kind": "none"}, [[{"podSelector": {}}], [{"namespaceSelector": MONITORING}]]),
        ({"kind": "internal"}, [[{"namespaceSelector": {}}]]),
        ({"kind": "load_balancer"}, [None]),
    ],
)
def test_who_may_reach_the_servers(plans, expose, peers) -> None:
    found = objects(plans.plan(plans.spec("gke", {"expose": expose})))
    rules = found["NetworkPolicy/assistant"]["spec"]["ingress"]
    assert [rule.get("from") for rule in rules] == peers
    assert (found["Service/assistant"]["spec"].get("type") == "LoadBalancer") == (
        expose["kind"] == "load_balancer"
    )


def test_the_way_in_leads_to_the_service(plans) -> None:
    ingress = objects(plans.plan(plans.spec("eks", {"expose": {"kind": "ingress", "host": "a.example.com"}})))
    (rule,) = ingress["Ingress/assistant"]["spec"]["rules"]
    assert rule["host"] == "a.example.com"
    (path,) = rule["http"]["paths"]
    assert (path["path"], path["pathType"]) == ("/v1", "Prefix")
    assert path["backend"]["service"] == {"name": "assistant", "port": {"name": "http"}}
    route = objects(
        plans.plan(
            plans.spec("gke", {"expose": {"kind": "gateway", "gateway": "g", "gateway_namespace": "n"}})
        )
    )
    assert route["HTTPRoute/assistant"]["spec"]["parentRefs"] == [{"name": "g", "namespace": "n"}]
    assert route["HTTPRoute/assistant"]["spec"]["rules"] == [
        {
            "matches": [{"path": {"type": "PathPrefix", "value": "/v1"}}],
            "backendRefs": [{"name": "assistant", "port": 80}],
        }
    ]


def test_a_way_in_without_its_gateway_is_refused(plans) -> None:
    with pytest.raises(SpecError) as refused:
        render.documents(plans.plan(plans.spec("gke", {"expose": {"kind": "gateway"}})))
    assert refused.value.problems[0].path == ("models", 0, "expose", "gateway")


def test_what_a_strict_server_would_refuse_is_an_error(plans) -> None:
    """The renderer does not rely on what the spec's own limits let through."""
    made = plans.spec("gke", {"expose": {"kind": "gateway", "gateway": "g"}})
    exposed = msgspec.structs.replace(made.models[0].expose, gateway="g" * 300)
    made = msgspec.structs.replace(made, models=(msgspec.structs.replace(made.models[0], expose=exposed),))
    with pytest.raises(render.InvalidDocumentError, match=r"parentRefs\[0\].name: is longer than 253"):
        render.documents(plans.plan(made))


def test_models_whose_objects_would_share_a_name_are_refused(plans) -> None:
    made = plans.spec("gke", {"name": "a", "weights": {"source": "pvc"}}, {"name": "a-download"})
    with pytest.raises(SpecError, match="NetworkPolicy 'a-download'"):
        render.documents(plans.plan(made))


def test_models_that_differ_in_their_name_differ_in_their_name_only(plans) -> None:
    """Models that share the work of rendering have the text that each would have alone."""
    names = ["chat", "no", "x1", "e1", "a-b", "x" * 40]
    together = render.documents(plans.plan(plans.spec("gke", *({"name": n} for n in names))))
    alone = itertools.chain.from_iterable(
        render.documents(plans.plan(plans.spec("gke", {"name": n})))[1:] for n in names
    )
    assert together[1:] == list(alone)


def test_sharing_does_not_depend_on_luck(plans) -> None:
    """Two models that differ in one decision are not taken for alike."""
    found = objects(
        plans.plan(
            plans.spec("gke", {"name": "a"}, {"name": "b", "replicas": {"min": 1, "max": 9}}, {"name": "c"})
        )
    )
    assert [found[f"ScaledObject/{n}"]["spec"]["maxReplicaCount"] for n in "abc"] == [3, 9, 3]


def test_a_user_who_writes_the_placeholder_gets_it_back(plans) -> None:
    made = plans.spec("gke", {"extra_args": ["--chat-template", render.PLACEHOLDER]})
    assert render.PLACEHOLDER in server_of(objects(plans.plan(made))["Deployment/assistant"])["args"]


WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
NAMES = st.from_regex(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?", fullmatch=True)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=NAMES,
    args=st.lists(WORDS, max_size=3),
    key=WORDS,
    path=WORDS,
    url=WORDS,
)
def test_any_string_of_a_spec_reaches_the_documents_unchanged(plans, name, args, key, path, url) -> None:
    made = plans.spec("generic")
    model = msgspec.structs.replace(  # not through the spec's own limits: no string may break the text
        made.models[0],
        name=name,
        extra_args=tuple(args),
        api_key=SecretRef(secret="s", key=key),
        weights=Weights(source="local", path="/" + path, nodes=(path,)),
    )
    made = msgspec.structs.replace(made, models=(model,), observability=Observability(prometheus_url=url))
    found = {
        d.kind: (yaml.safe_load(d.text), load(d.text), d.object()) for d in render.documents(plans.plan(made))
    }
    assert all(one == other == third for one, other, third in found.values())
    server = server_of(found["Deployment"][0])
    assert server["args"][len(server["args"]) - len(args) :] == args
    assert server["env"][-1]["valueFrom"]["secretKeyRef"]["key"] == key
    assert found["PersistentVolume"][0]["spec"]["local"]["path"] == "/" + path
    assert found["ScaledObject"][0]["metadata"]["name"] == name
    assert found["ScaledObject"][0]["spec"]["triggers"][0]["metadata"]["serverAddress"] == url


def test_a_download_to_a_volume_of_one_node_goes_where_the_server_is(plans) -> None:
    """Elsewhere it would wait for the volume, which the server holds while it waits for the download."""

    def templates(most: int) -> tuple[dict[str, Any], dict[str, Any]]:
        model = {
            "weights": {"source": "pvc", "storage_class": "shared"},
            "replicas": {"min": 1, "max": most},
        }
        made = {d.kind: d.object() for d in render.documents(plans.plan(plans.spec("gke", model)))}
        return made["Job"]["spec"]["template"], made["Deployment"]["spec"]["template"]

    job, server = templates(1)
    (term,) = job["spec"]["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert term["topologyKey"] == "kubernetes.io/hostname"
    wanted = term["labelSelector"]["matchLabels"].items()
    assert wanted <= server["metadata"]["labels"].items()
    assert wanted <= job["metadata"]["labels"].items(), "without a server, no node would do"
    assert "nodeAffinity" in job["spec"]["affinity"]
    (container,) = job["spec"]["containers"]
    assert container["resources"]["requests"] == {"cpu": "100m", "memory": "512Mi"}
    assert "affinity" not in templates(3)[0]["spec"], "a volume of many nodes is reached from any"
