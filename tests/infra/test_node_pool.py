"""GPU node pools follow the plan, under the arguments that each cloud's own package takes."""

import json
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

pytest.importorskip("pulumi")
with warnings.catch_warnings():
    # The packages are loaded when they are first used, and warn of classes of their own that are deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    assert pytest.importorskip("pulumi_gcp").compute.Router
    assert pytest.importorskip("pulumi_aws").ec2.LaunchTemplate
    pytest.importorskip("pulumi_eks")
pytest.importorskip("pulumi_azure_native")

from homeport.manifests import disks, provisioning
from homeport.planning import pools
from homeport.planning.plan import Planner
from homeport.planning.types import Plan
from homeport.spec.models import Spec
from homeport_infra.cluster_layer import pool_args
from homeport_infra.node_pool import GpuNodePool
from homeport_infra.node_pool_aks import pool_name
from homeport_infra.program import deploy
from homeport_infra.settings import Settings, SettingsError
from tests.infra import recorder, typed
from tests.infra.recorder import Registered, run

EKS = Settings(
    subnets=("subnet-1", "subnet-2"), node_role="arn:aws:iam::123456789012:role/gpu", layers=("cluster",)
)
SETTINGS = {
    "gke": Settings(layers=("cluster",)),
    "eks": EKS,
    "aks": Settings(resource_group="group", layers=("cluster",)),
}
TOKENS = {
    "gke": "gcp:container/nodePool:NodePool",
    "eks": "aws:eks/nodeGroup:NodeGroup",
    "aks": "azure-native:containerservice:AgentPool",
}
_PLANS: dict[str, Plan] = {}


def planned(platform: str, *, capacity: str = "on_demand", least: int = 1, **nodes: Any) -> Plan:
    spec = {
        "version": 1,
        "name": "support",
        "target": {
            "platform": platform,
            "capacity": capacity,
            "nodes": {"by": "node_pools", "cluster": "ml"} | nodes,
        },
        "models": [
            {
                "name": "assistant",
                "model": "meta-llama/Llama-3.1-8B-Instruct",
                "workload": {"requests_per_day": 20000, "input_tokens": 1000, "output_tokens": 300},
                "replicas": {"min": least, "max": 4},
                **({"scaling": {"wake": "sum(gateway_waiting)"}} if least == 0 else {}),
            }
        ],
    }
    key = repr(spec)
    if key not in _PLANS:
        _PLANS[key] = Planner(Path()).plan(msgspec.convert(spec, Spec))
    return _PLANS[key]


def pool(plan: Plan, settings: Settings | None = None) -> dict[str, Any]:
    platform = plan.spec.target.platform
    found, _ = run(lambda: deploy(plan, settings or SETTINGS[platform]))
    made = [r for r in found if r.token == TOKENS[platform]]
    assert len(made) == len(plan.pools) == 1
    return made[0].inputs


def taints(platform: str, inputs: dict[str, Any]) -> list[str]:
    if platform == "gke":
        rows = inputs["nodeConfig"]["taints"]
    elif platform == "eks":
        rows = inputs["taints"]
    else:
        return [str(text) for text in inputs["nodeTaints"]]
    return [f"{row['key']}={row['value']}:{row['effect']}" for row in rows]


def counts(platform: str, inputs: dict[str, Any]) -> tuple[int, int]:
    if platform == "gke":
        return inputs["autoscaling"]["totalMinNodeCount"], inputs["autoscaling"]["totalMaxNodeCount"]
    if platform == "eks":
        return inputs["scalingConfig"]["minSize"], inputs["scalingConfig"]["maxSize"]
    return inputs["minCount"], inputs["maxCount"]


@pytest.mark.parametrize("platform", sorted(TOKENS))
def test_a_pool_is_what_the_plan_counts_with(platform: str) -> None:
    plan = planned(platform)
    (wanted,) = plan.pools
    made = pool(plan)
    kind = {
        "gke": lambda: made["nodeConfig"]["machineType"],
        "eks": lambda: made["instanceTypes"][0],
        "aks": lambda: made["vmSize"],
    }
    assert kind[platform]() == wanted.instance_type
    assert counts(platform, made) == pools.limits(plan, wanted)
    assert taints(platform, made)[0] in (
        "nvidia.com/gpu=present:NO_SCHEDULE",
        "nvidia.com/gpu=present:NoSchedule",
    )
    labels = {
        "gke": lambda: made["nodeConfig"]["labels"],
        "eks": lambda: made["labels"],
        "aks": lambda: made["nodeLabels"],
    }
    assert labels[platform]() == {"homeport/part-of": "support"}
    assert {"gke": made.get("cluster"), "eks": made.get("clusterName"), "aks": made.get("resourceName")}[
        platform
    ] == "ml"


@pytest.mark.parametrize("platform", sorted(TOKENS))
def test_a_model_that_scales_to_zero_leaves_no_node(platform: str) -> None:
    least, most = counts(platform, pool(planned(platform, least=0)))
    assert least == 0
    assert most >= 1


@pytest.mark.parametrize("platform", sorted(TOKENS))
def test_the_disk_holds_the_weights(platform: str) -> None:
    plan = planned(platform)
    size = provisioning.disk_gb(plan, plan.pools[0])
    found, _ = run(lambda: deploy(plan, SETTINGS[platform]))
    by_token = {r.token: r.inputs for r in found}
    if platform == "gke":
        made = by_token[TOKENS["gke"]]["nodeConfig"]["diskSizeGb"]
    elif platform == "eks":
        (device,) = by_token["aws:ec2/launchTemplate:LaunchTemplate"]["blockDeviceMappings"]
        assert device["ebs"]["encrypted"] == "true"
        made = device["ebs"]["volumeSize"]
    else:
        made = by_token[TOKENS["aks"]]["osDiskSizeGB"]
    assert made == size
    weights = plan.models[0].source.weight_bytes / 2**30
    assert (
        disks.offered_gib(platform, size)
        > weights * plan.pools[0].gpus_per_node // plan.models[0].gpus_per_replica
    )


def test_gke_installs_the_driver_and_names_the_gpu_as_google_does() -> None:
    plan = planned("gke", zones=["us-central1-a"], reservation="gpus")
    made = pool(plan)
    (card,) = made["nodeConfig"]["guestAccelerators"]
    assert card["type"].startswith("nvidia-")
    assert card["count"] == plan.pools[0].gpus_per_node
    assert card["gpuDriverInstallationConfig"] == {"gpuDriverVersion": "LATEST"}
    assert made["nodeLocations"] == ["us-central1-a"]
    assert made["nodeConfig"]["reservationAffinity"] == {
        "consumeReservationType": "SPECIFIC_RESERVATION",
        "key": "compute.googleapis.com/reservation-name",
        "values": ["gpus"],
    }
    assert made["nodeConfig"]["spot"] is False


def test_eks_takes_the_nvidia_image_and_every_alike_type() -> None:
    plan = planned("eks")
    made = pool(plan)
    assert made["amiType"] == "AL2023_x86_64_NVIDIA"
    assert made["instanceTypes"] == [k.instance_type for k in pools.node_types(plan, plan.pools[0])]
    assert made["subnetIds"] == ["subnet-1", "subnet-2"]
    found, _ = run(lambda: deploy(planned("eks", reservation="cr-1"), EKS))
    template = next(r.inputs for r in found if r.token == "aws:ec2/launchTemplate:LaunchTemplate")
    assert template["capacityReservationSpecification"] == {
        "capacityReservationTarget": {"capacityReservationId": "cr-1"}
    }
    assert template["metadataOptions"] == {"httpTokens": "required", "httpPutResponseHopLimit": 1}


@pytest.mark.parametrize("platform", sorted(TOKENS))
def test_a_pool_says_what_the_plan_pays_for_it(platform: str) -> None:
    plan = planned(platform)
    seen: list[Any] = []

    def program() -> None:
        (made,) = deploy(plan, SETTINGS[platform]).pools
        made.usd_per_month.apply(seen.append)

    run(program)
    (wanted,) = plan.pools
    assert wanted.price is not None
    assert seen == [pytest.approx(float(wanted.price.usd_per_hour * 730 * wanted.node_count), abs=0.01)]


def test_gke_begins_with_no_node() -> None:
    """The count is of each zone: the least of the pool would be three times as many in a region of three zones."""
    made = pool(planned("gke", least=2))
    assert made["initialNodeCount"] == 0
    assert made["autoscaling"]["totalMinNodeCount"] >= 1


def test_a_group_of_eks_has_a_name_that_eks_takes() -> None:
    found, _ = run(lambda: deploy(planned("eks"), EKS))
    (group,) = (r for r in found if r.token == TOKENS["eks"])
    assert "." in (planned("eks").pools[0].instance_type or "")
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,54}", group.name), "and Pulumi adds eight characters"


@pytest.mark.parametrize("zone", ["1", "eastus-1"])
def test_zones_of_aks_pools_are_numbers_however_they_are_written(zone: str) -> None:
    assert pool(planned("aks", zones=[zone]))["availabilityZones"] == ["1"]


def test_a_group_of_eks_stands_in_the_region_of_the_plan() -> None:
    """Whatever the provider is set to: the bill counts with that region, and the policy `residency` looks at it."""
    for settings, region in (
        (EKS, "us-east-1"),
        (msgspec.structs.replace(EKS, location="eu-west-1"), "eu-west-1"),
    ):
        found, _ = run(lambda s=settings: deploy(planned("eks"), s))
        made = [r for r in found if r.token.startswith("aws:")]
        assert {r.token.rpartition(":")[2] for r in made} == {"LaunchTemplate", "NodeGroup"}
        assert {r.inputs["region"] for r in made} == {region}


def test_a_capacity_reservation_is_of_one_instance_type() -> None:
    plan = planned("eks", reservation="cr-1")
    kinds = [k.instance_type for k in pools.node_types(plan, plan.pools[0])]
    args = pool_args(plan, plan.pools[0], EKS, "ml")
    args.instance_types = [*kinds, "g6.48xlarge"]
    found, _ = run(lambda: GpuNodePool("gpu", args))
    assert of(found, TOKENS["eks"])[0]["instanceTypes"] == kinds[:1]
    args.reservation = None
    found, _ = run(lambda: GpuNodePool("gpu", args))
    assert of(found, TOKENS["eks"])[0]["instanceTypes"] == [*kinds, "g6.48xlarge"]


def test_aks_installs_the_driver_in_a_pool_whose_name_it_takes() -> None:
    plan = planned("aks", zones=["1"], reservation="/subscriptions/s/group")
    made = pool(plan)
    assert made["gpuProfile"] == {"driver": "Install"}
    assert made["agentPoolName"] == pool_name(plan.pools[0].instance_type or "")
    assert made["agentPoolName"].isalnum()
    assert len(made["agentPoolName"]) <= 12
    assert made["availabilityZones"] == ["1"]
    assert made["capacityReservationGroupID"] == "/subscriptions/s/group"


@pytest.mark.parametrize("platform", sorted(TOKENS))
def test_spot_is_bought_where_the_spec_says_so(platform: str) -> None:
    made = pool(planned(platform, capacity="spot"))
    if platform == "gke":
        assert made["nodeConfig"]["spot"] is True
    elif platform == "eks":
        assert made["capacityType"] == "SPOT"
    else:
        assert made["scaleSetPriority"] == "Spot"
        assert made["scaleSetEvictionPolicy"] == "Delete"
        assert made["spotMaxPrice"] == -1, "as much as on demand"
        assert made["nodeLabels"]["kubernetes.azure.com/scalesetpriority"] == "spot"
        assert "kubernetes.azure.com/scalesetpriority=spot:NoSchedule" in made["nodeTaints"]
    assert taints(platform, made)[0].lower().replace("_", "") == "nvidia.com/gpu=present:noschedule"
    usual = pool(planned(platform))
    assert usual.get("scaleSetPriority") is None
    assert usual.get("nodeConfig", {}).get("spot") in (None, False)
    assert usual.get("capacityType") in (None, "ON_DEMAND")


@pytest.mark.parametrize(
    ("platform", "settings", "says"),
    [
        ("eks", Settings(layers=("cluster",)), "needs subnets and the role"),
        ("aks", Settings(layers=("cluster",)), "needs the cluster's resource group"),
    ],
)
def test_what_a_cloud_needs_besides_is_asked_for(platform: str, settings: Settings, says: str) -> None:
    with pytest.raises(SettingsError, match=says) as refused:
        run(lambda: deploy(planned(platform), settings))
    assert "homeport:" in (refused.value.help or "")


def test_pools_without_a_cluster_are_refused() -> None:
    plan = planned("gke")
    target = msgspec.structs.replace(
        plan.spec.target, nodes=msgspec.structs.replace(plan.spec.target.nodes, cluster=None)
    )
    nameless = msgspec.structs.replace(plan, spec=msgspec.structs.replace(plan.spec, target=target))
    with pytest.raises(SettingsError, match="the name of their cluster"):
        run(lambda: deploy(nameless, SETTINGS["gke"]))
    assert pool(nameless, Settings(cluster="other", layers=("cluster",)))["cluster"] == "other"


@pytest.mark.parametrize(
    ("platform", "by", "come"), [("gke", "compute_class", "come by"), ("gke", "existing", "exist")]
)
def test_a_name_that_nothing_reads_is_refused(platform: str, by: str, come: str) -> None:
    with pytest.raises(SettingsError, match=f"says that its nodes {come}"):
        run(lambda: deploy(planned(platform, by=by, cluster=None), Settings(cluster="ml")))


def test_a_simulated_models_pool_is_not_made() -> None:
    plan = planned("gke")
    model = msgspec.structs.replace(plan.models[0], gpu=None, stands_for=plan.models[0])
    simulated = msgspec.structs.replace(plan, models=(model,))
    assert pools.made(simulated) == ()
    assert len(pools.made(plan)) == 1


VARIANTS: list[dict[str, Any]] = [
    {},
    {"capacity": "spot"},
    {"least": 0},
    {"reservation": "r"},
    {"zones": ["a zone"]},
]
ZONE = {"aks": "1", "gke": "us-central1-a"}


@pytest.mark.parametrize("platform", sorted(TOKENS))
def test_recorded_inputs_are_arguments_of_the_clouds_package(platform: str) -> None:
    """Mocks take anything: every name, down to the last nested one, must be of the package's own classes."""
    for variant in VARIANTS:
        if "zones" in variant and platform not in ZONE:
            continue
        if "zones" in variant:
            variant = {"zones": [ZONE[platform]]}
        found = typed.clouds(run(lambda v=variant: deploy(planned(platform, **v), SETTINGS[platform]))[0])
        assert TOKENS[platform] in {r.token for r in found}
        assert [typed.strangers(r) for r in found] == [[]] * len(found)


@pytest.mark.parametrize("platform", sorted(TOKENS))
def test_a_misspelt_name_is_found_wherever_it_stands(platform: str) -> None:
    found = typed.clouds(run(lambda: deploy(planned(platform, least=0), SETTINGS[platform]))[0])
    tried = 0
    for resource in found:
        for path, part in list(objects(resource.inputs)):
            if path[-1:] in (["labels"], ["nodeLabels"]):
                continue
            part["misspelt"] = "x"
            (wrong,) = typed.strangers(resource)
            assert wrong.endswith(".misspelt: no such input")
            del part["misspelt"]
            tried += 1
        assert not typed.strangers(resource)
    assert tried > len(found), "nested ones too"


def test_a_value_of_another_type_is_found() -> None:
    (made,) = typed.clouds(run(lambda: deploy(planned("gke"), SETTINGS["gke"]))[0])
    made.inputs["nodeConfig"]["diskSizeGb"] = "100"
    assert typed.strangers(made) == [f"{TOKENS['gke']}.nodeConfig.diskSizeGb: '100' is no int"]


def objects(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[list[Any], dict[str, Any]]]:
    if isinstance(value, dict):
        yield list(path), value
        for key, item in value.items():
            yield from objects(item, (*path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from objects(item, (*path, number))


def test_limits_and_arguments_are_the_plans_own(recwarn: pytest.WarningsRecorder) -> None:
    plan = planned("gke")
    args = pool_args(plan, plan.pools[0], Settings(), "ml")
    assert args.location == "us-central1"
    assert args.accelerator.startswith("nvidia-")
    assert isinstance(args.instance_types, list)
    assert not recwarn.list


def test_children_belong_to_the_component() -> None:
    found, exported = run(lambda: deploy(planned("eks"), EKS))
    kinds: list[Registered] = [r for r in found if r.token == "homeport:index:GpuNodePool"]
    assert len(kinds) == 1
    assert list(exported["nodePools"]) == [kinds[0].name]


def new_cluster(
    platform: str, settings: Settings, plan: Plan | None = None
) -> tuple[list[Registered], dict[str, Any]]:
    made = msgspec.structs.replace(settings, create_cluster=True)
    return run(lambda: deploy(plan or planned(platform), made))


def of(found: list[Registered], token: str) -> list[dict[str, Any]]:
    return [r.inputs for r in found if r.token == token]


def test_a_new_cluster_of_eks_hands_its_subnets_and_its_role_to_the_groups() -> None:
    found, exported = new_cluster("eks", Settings(layers=("cluster",)))
    assert [typed.strangers(r) for r in typed.clouds(found)] == [[]] * len(typed.clouds(found))
    (cluster,) = of(found, "eks:index:Cluster")
    assert cluster["name"] == "ml"
    assert "vpcId" not in cluster
    assert "subnetIds" not in cluster, "the provider takes the default VPC"
    assert cluster["endpointPrivateAccess"]
    assert cluster["skipDefaultNodeGroup"]
    assert cluster["createOidcProvider"]
    assert cluster["vpcCniOptions"]["enableNetworkPolicy"] is True, "or NetworkPolicies are not enforced"
    groups = of(found, TOKENS["eks"])
    assert len(groups) == 2
    for group in groups:
        assert group["clusterName"] == "ml"
        assert group["subnetIds"] == ["subnet-default"]
        assert group["nodeRoleArn"] == "arn:aws:iam::123456789012:role/made"
    (system,) = [group for group in groups if "taints" not in group]
    assert system["scalingConfig"]["minSize"] >= 1
    attached = of(found, "aws:iam/rolePolicyAttachment:RolePolicyAttachment")
    assert {one["role"] for one in attached} == {"made"}
    assert len(attached) == 3
    (provider,) = of(found, "pulumi:providers:kubernetes")
    assert provider["kubeconfig"] == {"secret": '{"kind": "Config"}'}
    assert exported["kubeconfig"] == '{"kind": "Config"}'


def test_a_new_cluster_of_eks_takes_what_is_given() -> None:
    found, _ = new_cluster("eks", EKS)
    assert [typed.strangers(r) for r in typed.clouds(found)] == [[]] * len(typed.clouds(found))
    (cluster,) = of(found, "eks:index:Cluster")
    assert (cluster["vpcId"], cluster["subnetIds"]) == ("vpc-given", list(EKS.subnets))
    assert not of(found, "aws:iam/role:Role")
    for group in of(found, TOKENS["eks"]):
        assert (group["subnetIds"], group["nodeRoleArn"]) == (list(EKS.subnets), EKS.node_role)


def test_a_new_cluster_of_aks_has_a_system_pool_and_a_secret_kubeconfig() -> None:
    found, exported = new_cluster("aks", SETTINGS["aks"])
    assert [typed.strangers(r) for r in typed.clouds(found)] == [[]] * len(typed.clouds(found))
    (cluster,) = of(found, "azure-native:containerservice:ManagedCluster")
    assert cluster["resourceName"] == "ml"
    assert cluster["resourceGroupName"] == "group"
    assert cluster["identity"] == {"type": "SystemAssigned"}
    assert cluster["networkProfile"]["networkPolicy"] == "cilium", "or NetworkPolicies are not enforced"
    (system,) = cluster["agentPoolProfiles"]
    assert system["mode"] == "System"
    assert system["enableNodePublicIP"] is False
    (gpus,) = of(found, TOKENS["aks"])
    assert gpus["resourceName"] == "ml"
    (provider,) = of(found, "pulumi:providers:kubernetes")
    assert provider["kubeconfig"] == {"secret": '{"kind": "Config"}'}
    assert exported["kubeconfig"] == '{"kind": "Config"}'


def test_the_domain_of_an_aks_cluster_is_one_whatever_its_name() -> None:
    name = "ml_" + "a" * 60
    found, _ = new_cluster("aks", msgspec.structs.replace(SETTINGS["aks"], cluster=name))
    (cluster,) = of(found, "azure-native:containerservice:ManagedCluster")
    assert cluster["resourceName"] == name
    assert re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9-]{0,52}[a-zA-Z0-9]", cluster["dnsPrefix"])


def test_a_new_cluster_of_aks_needs_a_resource_group() -> None:
    with pytest.raises(SettingsError, match="needs a resource group"):
        new_cluster("aks", Settings(layers=("cluster",)))


def test_a_new_cluster_of_gke_has_a_pool_for_the_system_and_networkpolicies() -> None:
    found, exported = new_cluster("gke", SETTINGS["gke"])
    assert [typed.strangers(r) for r in typed.clouds(found)] == [[]] * len(typed.clouds(found))
    (cluster,) = of(found, "gcp:container/cluster:Cluster")
    assert (cluster["name"], cluster["location"]) == ("ml", "us-central1")
    assert cluster["datapathProvider"] == "ADVANCED_DATAPATH", "or NetworkPolicies are not enforced"
    assert cluster["workloadIdentityConfig"] == {"workloadPool": "my-project.svc.id.goog"}
    assert cluster["privateClusterConfig"] == {"enablePrivateNodes": True}
    (router,) = of(found, "gcp:compute/router:Router")
    assert router["network"] == cluster["network"]
    (nat,) = of(found, "gcp:compute/routerNat:RouterNat")
    assert nat["region"] == router["region"] == "us-central1"
    all_of_them = "ALL_SUBNETWORKS_ALL_IP_RANGES"
    assert nat["sourceSubnetworkIpRangesToNat"] == all_of_them, "or no image comes to private nodes"
    system, gpus = sorted(of(found, TOKENS["gke"]), key=lambda one: "guestAccelerators" in one["nodeConfig"])
    assert system["autoscaling"]["totalMinNodeCount"] >= 1
    assert gpus["nodeConfig"]["machineType"] == planned("gke").pools[0].instance_type
    assert "gke-gcloud-auth-plugin" in exported["kubeconfig"]


def test_the_nat_of_a_zones_cluster_is_its_regions() -> None:
    settings = msgspec.structs.replace(SETTINGS["gke"], location="us-central1-a")
    found, _ = new_cluster("gke", settings)
    assert of(found, "gcp:container/cluster:Cluster")[0]["location"] == "us-central1-a"
    assert of(found, "gcp:compute/routerNat:RouterNat")[0]["region"] == "us-central1"


# How a new cluster's nodes come, and the objects that ask for them.
BY_THE_CLUSTER = {
    "gke": ("compute_class", {"cloud.google.com/v1:ComputeClass"}),
    "aks": ("auto_provisioning", {"karpenter.azure.com/v1beta1:AKSNodeClass", "karpenter.sh/v1:NodePool"}),
}


@pytest.mark.parametrize("platform", sorted(BY_THE_CLUSTER))
def test_a_new_cluster_adds_gpu_nodes_by_itself(platform: str) -> None:
    by, kinds = BY_THE_CLUSTER[platform]
    settings = msgspec.structs.replace(SETTINGS[platform], cluster="ml")
    found, _ = new_cluster(platform, settings, planned(platform, by=by, cluster=None))
    assert [typed.strangers(r) for r in typed.clouds(found)] == [[]] * len(typed.clouds(found))
    objects_ = [r for r in found if r.token.startswith("kubernetes:")]
    assert {r.token.removeprefix("kubernetes:") for r in objects_} == kinds
    assert all(r.provider and "::cluster::" in r.provider for r in objects_), "in the cluster that is made"
    assert len(of(found, TOKENS[platform])) == (1 if platform == "gke" else 0), "the system's pool of GKE"


def test_a_cluster_of_aks_provisions_nodes_or_scales_its_pool_but_never_both() -> None:
    for by, mode in (("auto_provisioning", "Auto"), ("node_pools", None)):
        settings = msgspec.structs.replace(SETTINGS["aks"], cluster="ml")
        found, _ = new_cluster("aks", settings, planned("aks", by=by, cluster=None))
        (cluster,) = of(found, "azure-native:containerservice:ManagedCluster")
        assert cluster.get("nodeProvisioningProfile", {}).get("mode") == mode
        (system,) = cluster["agentPoolProfiles"]
        assert system.get("enableAutoScaling", False) == (mode is None), "AKS refuses both"
        assert system["count"] >= 1


def test_a_new_cluster_of_eks_has_no_karpenter() -> None:
    with pytest.raises(SettingsError, match="homeport makes no cluster with it") as refused:
        new_cluster("eks", SETTINGS["eks"], planned("eks", by="karpenter"))
    assert "{by: node_pools}" in (refused.value.help or "")


@pytest.mark.parametrize(
    ("partition", "principal"),
    [
        ("aws", "ec2.amazonaws.com"),
        ("aws-us-gov", "ec2.amazonaws.com"),
        ("aws-cn", "ec2.amazonaws.com.cn"),
    ],
)
def test_the_role_of_nodes_is_one_of_the_clouds_partition(
    partition: str, principal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(recorder.ANSWERS, "getPartition", {"partition": partition})
    monkeypatch.setitem(recorder.ANSWERS, "getServicePrincipal", {"name": principal})
    found, _ = new_cluster("eks", Settings(layers=("cluster",)))
    attached = of(found, "aws:iam/rolePolicyAttachment:RolePolicyAttachment")
    assert len(attached) == 3
    assert all(one["policyArn"].startswith(f"arn:{partition}:iam::aws:policy/Amazon") for one in attached)
    (role,) = of(found, "aws:iam/role:Role")
    assert json.loads(role["assumeRolePolicy"])["Statement"][0]["Principal"] == {"Service": principal}


def test_a_new_cluster_of_eks_is_made_where_it_is_wanted_or_not_at_all() -> None:
    elsewhere = Settings(layers=("cluster",), location="eu-west-1")
    with pytest.raises(SettingsError, match="wanted in eu-west-1, and the AWS provider is set"):
        new_cluster("eks", elsewhere)
    found, _ = new_cluster("eks", Settings(layers=("cluster",)))
    assert {one["region"] for one in of(found, TOKENS["eks"])} == {"us-east-1"}
