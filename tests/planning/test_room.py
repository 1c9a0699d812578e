"""Nodes that lack CPUs or memory for the pods on them are left out, with the reason."""

from pathlib import Path

import pytest

from homeport.catalog.machines import machine
from homeport.catalog.prices import instances
from homeport.commands.main import run
from homeport.engines import requests
from homeport.engines.requests import Requests, on_gpus
from homeport.errors import SpecError
from homeport.planning import hardware, room
from homeport.planning.explain import explain
from homeport.planning.output import plan_values
from homeport.planning.plan import Planner
from homeport.planning.types import Plan
from tests.planning.helpers import LLAMA_8B, Sizes, spec


def planned(platform: str = "eks", *, more: str = "gpu: A10G", requests: float = 20_000) -> Plan:
    return Planner(Path(), explore=True).plan(spec(LLAMA_8B, platform, requests=requests, more=more))


@pytest.mark.parametrize(
    ("vcpus", "gib", "cpu_m", "memory_mib"),
    [(4, 7, 140, 1638), (2, 8, 100, 1843), (3, 64, 120, 5611)],
)
def test_a_kubelet_keeps_what_aks_says(vcpus: int, gib: float, cpu_m: int, memory_mib: int) -> None:
    """The figures are those of karpenter-provider-azure's own test (kube_reserved_test.go)."""
    left = room.allocatable(vcpus, gib)
    kernel = gib / 64 + room.KERNEL_GIB
    assert (vcpus - left.cpus) * 1000 == pytest.approx(cpu_m)
    assert (gib - left.memory_gib - room.EVICTION_GIB - kernel) * 1024 == pytest.approx(memory_mib, abs=1)


def test_the_smallest_machines_hold_a_pod_of_one_gpu() -> None:
    for cloud, name in (("aws", "g5.xlarge"), ("gcp", "g2-standard-4"), ("azure", "Standard_NC4as_T4_v3")):
        size = machine(cloud, name)
        assert size is not None
        for engine in requests.SHM_GIB:
            assert room.refusal(size, on_gpus(engine, 1), 1) is None


def test_a_machine_without_room_is_left_out_and_the_next_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = planned().models[0].nodes
    assert usual is not None
    assert usual.instance_types[0] == "g5.xlarge"
    assert usual.refused == ()
    monkeypatch.setitem(requests.SHM_GIB, "vllm", (10, 10, 10))
    made = planned()
    nodes = made.models[0].nodes
    assert nodes is not None
    assert nodes.instance_types[0] == "g5.2xlarge"
    assert "g5.xlarge" not in (*nodes.instance_types, *(f.instance_type for f in made.models[0].fallbacks))
    assert [one.reason for one in nodes.refused] == [
        "g5.xlarge: its pod asks for 18 GiB of memory, and 11.1 of its 16 are left for them"
    ]
    assert plan_values(made)["models"][0]["refused_instance_types"] == [
        {"instance_type": "g5.xlarge", "reason": nodes.refused[0].reason}
    ]


def test_explain_lists_the_machines_without_room(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(requests.SHM_GIB, "vllm", (10, 10, 10))
    asked = (
        f"plan --model {LLAMA_8B} --target eks --gpu A10G --requests-per-day 20000 --input-tokens 1000 "
        "--output-tokens 500 --explain"
    )
    assert run(asked.split()) == 0
    lines = capsys.readouterr().out.splitlines()
    at = lines.index("Instance types without room for the pods")
    assert lines[at + 1].strip().startswith("g5.xlarge: its pod asks for 18 GiB of memory")


def test_replicas_that_share_a_node_need_room_together(sizes: Sizes) -> None:
    many = 3_000_000
    sizes(dict.fromkeys(("g5.xlarge", "g5.2xlarge", "g5.4xlarge", "g5.8xlarge", "g5.16xlarge"), (4, 16)))
    usual = planned(requests=many).models[0].nodes
    assert usual is not None
    small = {"g5.12xlarge": (48, 40.0), "g5.24xlarge": (8, 400.0), "g5.48xlarge": (7, 60.0)}
    sizes(small)
    refused = {
        one.instance_type: one.reason for one in (planned(requests=many).models[0].nodes or usual).refused
    }
    assert refused.keys() == small.keys()
    assert "the 4 pods that its GPUs would take ask for 40 GiB of memory" in refused["g5.12xlarge"]
    assert "ask for 8 CPUs" in refused["g5.24xlarge"]
    assert "16 CPUs" in refused["g5.48xlarge"]
    assert "80 GiB" in refused["g5.48xlarge"]


def test_a_replica_of_several_nodes_needs_room_on_each(sizes: Sizes) -> None:
    rows = hardware.offers(spec(platform="eks").target)["H100-SXM-80GB"]
    one = Requests(cpus=9, processes_gib=36, shm_gib=8)
    kept, refused = hardware.with_room(rows, 16, 2, one)
    assert refused == ()
    assert {offer.gpus for offer in kept} == {offer.gpus for offer in rows}
    sizes({"p5.48xlarge": (8, 2048)})
    rows = hardware.offers(spec(platform="eks").target)["H100-SXM-80GB"]
    _, refused = hardware.with_room(rows, 16, 2, one)
    assert [r.instance_type for r in refused] == ["p5.48xlarge"]


def test_where_no_node_has_room_the_error_says_so(sizes: Sizes) -> None:
    sizes(dict.fromkeys(("g5.xlarge", "g5.2xlarge", "g5.4xlarge", "g5.8xlarge", "g5.16xlarge"), (2, 8)))
    with pytest.raises(SpecError) as caught:
        planned(more="gpu: A10G\ntensor_parallel_size: 1\nlatency: {tpot_ms: 1}")
    assert (
        "latency" in caught.value.problems[0].message
    )  # those of four and eight cards have room, and are too slow
    sizes({row.instance_type: (2, 8) for row in instances("aws", gpu="A10G")})
    with pytest.raises(SpecError) as caught:
        planned()
    message = caught.value.problems[0].message
    assert "on no node that eks (us-east-1) offers" in message
    assert "of its 8 are left" in message


def test_an_option_that_no_node_holds_says_why(sizes: Sizes) -> None:
    sizes({row.instance_type: (2, 8) for row in instances("aws", gpu="L4")})
    found = planned(more="").models[0].considered
    lost = [one for one in found if one.gpu == "L4"]
    assert lost
    assert all(not one.chosen and one.replicas is None for one in lost)
    assert any("are left for them" in one.reason for one in lost)


def test_unknown_sizes_are_allowed_and_said_to_be_unknown() -> None:
    own, none = planned().models[0], planned("generic").models[0]
    assert own.nodes is not None
    assert none.nodes is not None
    assert own.nodes.machine == machine("aws", "g5.xlarge")
    assert none.nodes.machine is None
    said = {d.field: d for d in none.decisions}["room on a node"]
    assert said.value == "unknown"
    assert "not known" in said.because
    assert not any(d.field == "room on a node" for d in own.decisions)
    assert machine("azure", "Standard_ND96is_H100_v5") is None
    azure = hardware.offers(spec(platform="aks", target="region: southafricanorth").target)
    assert all(o.machine or o.instance for rows in azure.values() for o in rows)


def test_the_explanation_has_both_sides_with_their_sources() -> None:
    terms = {term.name: term for part in explain(planned().models[0]) for term in part.terms}
    assert terms["memory asked for"].value == on_gpus("vllm", 1).memory_gib
    assert terms["memory left for pods"].value == pytest.approx(11.09, abs=0.01)
    assert "karpenter-provider-aws" in terms["CPUs left for pods"].source
    assert "assumption" in terms["CPUs left for pods"].source
    values = plan_values(planned())["node_pools"][0]
    assert (values["vcpus_per_node"], values["memory_gib_per_node"]) == (4, 16)
    assert values["machine_as_of"]
