"""Offers, packing, and what a node costs."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.catalog.prices import instances
from homeport.planning.hardware import offers, place
from homeport.spec.models import Target


def test_a_cloud_offers_its_own_instances_of_its_region() -> None:
    found = offers(Target(platform="gke", region="us-central1"))
    h100 = found["H100-SXM-80GB"]
    assert [o.gpus for o in h100] == [1, 2, 4, 8]
    assert all(o.instance and o.instance.cloud == "gcp" and o.instance.region == "us-central1" for o in h100)
    assert all(
        (o.price and o.price.assumed is None) or "unverified" in (o.price.assumed or "")
        for o in h100
        if o.price
    )


def test_a_region_without_data_is_priced_by_the_nearest_and_marked() -> None:
    found = offers(Target(platform="eks", region="us-west-2"))
    price = found["H100-SXM-80GB"][0].price
    assert price is not None
    assert "us-east-1" in (price.assumed or "")


def test_a_cluster_of_nobodys_cloud_pays_the_cheapest_of_three_as_an_assumption() -> None:
    found = offers(Target(platform="generic"))
    rows = found["H100-SXM-80GB"]
    own = [
        Decimal(str(row.on_demand_usd_per_hour))
        for cloud, region in (("gcp", "us-central1"), ("aws", "us-east-1"))
        for row in instances(cloud, region, "H100-SXM-80GB")
        if row.gpu_count == 1
    ]
    single = next(o for o in rows if o.gpus == 1)
    assert single.usd_per_hour == min(own)
    assert single.price is not None
    assert single.price.assumed
    assert found["RTX-4090"][0].price is None


def test_shares_of_a_card_only_on_request() -> None:
    whole = offers(Target(platform="gke"))
    shared = offers(Target(platform="gke", shared_gpus=True))
    assert all(o.gpus >= 1 and "/" not in gpu for gpu, rows in whole.items() for o in rows)
    share = shared["RTX-PRO-6000-BSE-96GB/2"][0]
    assert share.gpu.memory_gib_usable == pytest.approx(94.97 / 2)
    assert share.price is not None
    assert "0.5 of a card" in (share.price.assumed or "")


def test_spot_where_the_data_has_it() -> None:
    spot = offers(Target(platform="gke", capacity="spot"))["L4"][0]
    demand = offers(Target(platform="gke"))["L4"][0]
    assert spot.price is not None
    assert demand.usd_per_hour is not None
    assert spot.price.capacity == "spot"
    assert spot.price.usd_per_hour < demand.usd_per_hour
    aws = offers(Target(platform="eks", capacity="spot"))["L4"][0]
    assert aws.price is not None
    assert aws.price.capacity == "on_demand"
    assert "no spot price" in (aws.price.assumed or "")


@given(
    gpus=st.sampled_from([1, 2, 4, 8]),
    replicas=st.integers(1, 40),
    gpu=st.sampled_from(["L4", "H100-SXM-80GB", "A100-SXM4-40GB"]),
)
def test_packing_bills_whole_nodes_and_names_what_is_idle(gpus: int, replicas: int, gpu: str) -> None:
    rows = offers(Target(platform="gke"))[gpu]
    placed = place(rows, gpus, 1, replicas)
    assert placed is not None
    capacity = placed.node_count * placed.offer.gpus
    assert capacity == replicas * gpus + placed.idle_gpus
    assert placed.idle_gpus >= 0
    hourly = placed.offer.usd_per_hour
    assert hourly is not None
    assert placed.usd_per_month == hourly * placed.node_count * 730
    for offer in rows:
        if offer.gpus >= gpus and offer.usd_per_hour is not None:
            other = -(-replicas // (offer.gpus // gpus)) * offer.usd_per_hour
            assert other >= hourly * placed.node_count


def test_a_replica_of_two_nodes_takes_whole_ones() -> None:
    rows = offers(Target(platform="eks"))["H100-SXM-80GB"]
    placed = place(rows, 16, 2, 3)
    assert placed is not None
    assert placed.offer.gpus == 8
    assert placed.node_count == 6
    assert placed.idle_gpus == 0
