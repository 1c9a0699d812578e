"""The tables of the catalog: every row is traceable, refers to rows that exist, and is found by the names people use."""

import math
import subprocess
import sys

import pytest

from homeport.catalog.gpus import gpu, gpu_families, gpus, gpus_matching
from homeport.catalog.machines import machine, machines
from homeport.catalog.models import benchmarks, config, config_ids, config_source, model, models
from homeport.catalog.names import AmbiguousNameError
from homeport.catalog.prices import CLOUDS, api_id, api_price, api_prices, instances
from homeport.catalog.regions import distance_km, nearest_region, region, regions
from homeport.catalog.types import Row
from homeport.errors import NotFoundError

ALL_ROWS: list[Row] = [
    *models().values(),
    *gpus().values(),
    *instances(),
    *(m for cloud in CLOUDS for m in machines(cloud).values()),
    *api_prices(),
    *benchmarks().values(),
    *(r for cloud in CLOUDS for r in regions(cloud).values()),
]


def test_every_row_has_a_source_a_date_and_fields_that_exist() -> None:
    assert len(ALL_ROWS) > 1000
    for row in ALL_ROWS:
        assert row.source.strip()
        assert row.as_of[:4].isdigit()
        assert row.as_of <= "2027"
        for name in row.unverified:
            assert name.split(".")[0] in (*row.__struct_fields__, "config"), (row, name)


def test_no_price_is_zero() -> None:
    for row in instances():
        assert row.on_demand_usd_per_hour is None or row.on_demand_usd_per_hour > 0
        assert row.spot_usd_per_hour is None or 0 < row.spot_usd_per_hour < (
            row.on_demand_usd_per_hour or math.inf
        )
    for price in api_prices():
        assert price.input_usd_per_mtok is None or price.input_usd_per_mtok > 0
        assert price.output_usd_per_mtok is None or price.output_usd_per_mtok > 0


def test_an_instances_price_per_gpu_is_its_price_divided_by_its_gpus() -> None:
    for row in instances():
        assert row.on_demand_usd_per_hour is not None
        assert row.on_demand_usd_per_gpu_hour == pytest.approx(
            row.on_demand_usd_per_hour / row.gpu_count, abs=1e-5
        )


def test_rows_refer_to_rows_that_exist() -> None:
    for row in instances():
        assert row.gpu in gpus()
        assert row.region in regions(row.cloud)
    for id_ in benchmarks():
        assert id_ in models() or any(price.id == id_ for price in api_prices())


def test_machines_are_of_priced_instances_and_only_these_are_unknown() -> None:
    unknown = {row.instance_type for row in instances() if machine(row.cloud, row.instance_type) is None}
    other = {row.instance_type for row in instances() if row.cloud in ("lambda", "runpod")}
    assert unknown == {"Standard_ND96is_H100_v5"} | other
    for cloud in CLOUDS:
        priced = {row.instance_type for row in instances(cloud)}
        for name, size in machines(cloud).items():
            assert name in priced
            assert size.cloud == cloud
            assert size.vcpus > 0
            assert 3 < size.memory_gib / size.vcpus < 32


def test_every_model_has_its_config() -> None:
    for row in models().values():
        own = config(row.id)
        assert row.id in config_ids()
        assert "_meta" not in own
        assert config_source(row.id).repo == row.id
        assert own.get("weight_bytes") == row.weight_bytes_native
        text = own.get("text_config", own)
        layers = text.get("num_hidden_layers", text.get("n_layer"))
        assert row.attention.full_layers + row.attention.windowed_layers == layers


def test_one_row_of_an_api_model_is_the_newest() -> None:
    for id_ in {price.id for price in api_prices()}:
        dated = [price for price in api_prices() if price.id == id_]
        newest = [price for price in dated if price.newest]
        assert len(newest) == 1
        assert newest[0].as_of == max(price.as_of for price in dated)


@pytest.mark.parametrize(
    "name",
    [
        "meta-llama/Llama-3.1-8B-Instruct",
        "META-LLAMA/llama-3.1-8b-instruct",
        "Llama-3.1-8B-Instruct",
        " llama-3.1-8b-instruct ",
    ],
)
def test_a_model_by_id_and_by_bare_name(name: str) -> None:
    assert model(name).id == "meta-llama/Llama-3.1-8B-Instruct"


def test_every_model_is_found_by_its_bare_name() -> None:
    for id_ in models():
        assert model(id_.split("/")[1].upper()).id == id_


@pytest.mark.parametrize("name", ["meta-llama/Llama-3.1-8B-Instrct", "llama-3.1-8b"])
def test_an_unknown_model_is_answered_with_the_nearest(name: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        model(name)
    assert caught.value.nearest[0] == "meta-llama/Llama-3.1-8B-Instruct"


def test_an_empty_name_finds_nothing() -> None:
    for find in (model, gpu, gpus_matching, api_id, config):
        with pytest.raises(NotFoundError):
            find("")


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("H100", ["H100-SXM-80GB", "H100-PCIe-80GB", "H100-NVL-94GB"]),
        ("h100", ["H100-SXM-80GB", "H100-PCIe-80GB", "H100-NVL-94GB"]),
        ("A100", ["A100-SXM4-80GB", "A100-PCIe-80GB", "A100-SXM4-40GB"]),
        ("A100-80GB", ["A100-SXM4-80GB", "A100-PCIe-80GB"]),
        ("A100-SXM4", ["A100-SXM4-80GB", "A100-SXM4-40GB"]),
        ("MI300X", ["MI300X-192GB"]),
        ("L4", ["L4"]),
        ("A10", ["A10-24GB"]),
        ("B200", ["B200-SXM-180GB"]),
        ("l40s", ["L40S"]),
        ("CPU", ["CPU"]),
        ("NVIDIA-H100-80GB-HBM3", ["H100-SXM-80GB"]),
    ],
)
def test_a_gpu_by_id_family_and_label(name: str, ids: list[str]) -> None:
    assert [g.id for g in gpus_matching(name)] == ids


def test_every_gpu_is_found_by_its_id_and_every_family_by_its_name() -> None:
    for id_ in gpus():
        assert [g.id for g in gpus_matching(id_.lower())] == [id_]
        assert gpu(id_.upper()).id == id_
    for family in gpu_families():
        assert len(gpus_matching(family)) > 1


@pytest.mark.parametrize(
    ("name", "near"),
    [("H10O", "H100"), ("A10O-SXM4-80GB", "A100-SXM4-80GB"), ("H100-SMX-80GB", "H100-SXM-80GB")],
)
def test_an_unknown_gpu_is_answered_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        gpus_matching(name)
    assert near in caught.value.nearest


def test_instances_by_cloud_region_and_gpu() -> None:
    found = instances("gcp", "us-central1", "H100")
    assert {row.instance_type for row in found} == {f"a3-highgpu-{n}g" for n in (1, 2, 4, 8)}
    assert all((row.cloud, row.region, row.gpu) == ("gcp", "us-central1", "H100-SXM-80GB") for row in found)
    assert len(instances()) == sum(len(instances(cloud)) for cloud in CLOUDS)
    assert instances("aws", "us-west-2") == ()


def test_an_unknown_cloud_is_answered_with_the_nearest() -> None:
    with pytest.raises(NotFoundError) as caught:
        instances("azur")
    assert caught.value.nearest == ["azure"]


@pytest.mark.parametrize(
    ("name", "id_"),
    [
        ("openai/gpt-4.1", "openai/gpt-4.1"),
        ("gpt-4.1", "openai/gpt-4.1"),
        ("GPT-4.1", "openai/gpt-4.1"),
        ("gpt-4.1-mini", "openai/gpt-4.1-mini"),
        ("GPT-4.1 mini", "openai/gpt-4.1-mini"),
        ("gpt-5", "openai/gpt-5"),
        ("claude-sonnet-4", "anthropic/claude-sonnet-4-20250514"),
        ("anthropic/claude-sonnet-4", "anthropic/claude-sonnet-4-20250514"),
        ("Claude Sonnet 4", "anthropic/claude-sonnet-4-20250514"),
        ("claude-sonnet-4-20250514", "anthropic/claude-sonnet-4-20250514"),
        ("Claude Haiku 3.5", "anthropic/claude-3-5-haiku-20241022"),
        ("claude-haiku-3.5", "anthropic/claude-3-5-haiku-20241022"),
        ("claude-3-5-haiku", "anthropic/claude-3-5-haiku-20241022"),
        ("claude-3.5-haiku", "anthropic/claude-3-5-haiku-20241022"),
        ("Gemini 2.5 Pro", "google/gemini-2.5-pro"),
        ("command-r", "cohere/command-r"),
        ("command-r-plus", "cohere/command-r-plus"),
        ("Command R+", "cohere/command-r-plus-08-2024"),
        ("command-r7b", "cohere/command-r7b-12-2024"),
        ("mistral-medium", "mistral/mistral-medium-latest"),
        ("grok-4", "xai/grok-4"),
    ],
)
def test_an_api_model_by_the_names_that_people_use(name: str, id_: str) -> None:
    assert api_id(name) == id_


def test_every_api_model_is_found_by_its_id_with_and_without_its_provider() -> None:
    for price in api_prices():
        assert api_id(price.id) == price.id
        assert api_id(price.model) == price.id
        if price.display_name:
            assert api_id(price.display_name).startswith(price.provider)


@pytest.mark.parametrize(
    ("name", "candidates"),
    [
        ("gpt-4", ["openai/gpt-4.1", "openai/gpt-4.1-mini", "openai/gpt-4.1-nano"]),
        ("mistral-large", ["mistral/mistral-large-2411", "mistral/mistral-large-latest"]),
        ("deepseek-v4", ["deepseek/deepseek-v4-flash", "deepseek/deepseek-v4-pro"]),
    ],
)
def test_an_ambiguous_name_lists_its_candidates(name: str, candidates: list[str]) -> None:
    with pytest.raises(AmbiguousNameError) as caught:
        api_id(name)
    assert caught.value.nearest == candidates
    assert str(caught.value) == f"API model '{name}' is ambiguous: {', '.join(candidates)}"
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("gpt4.1", "openai/gpt-4.1"),
        ("gpt-4.1-2025-04-14", "openai/gpt-4.1"),
        ("claude-sonet-5", "anthropic/claude-sonnet-5"),
    ],
)
def test_an_unknown_api_model_is_answered_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        api_id(name)
    assert not isinstance(caught.value, AmbiguousNameError)
    assert near in caught.value.nearest


def test_the_newest_price_wins_unless_a_date_is_asked_for() -> None:
    assert api_price("deepseek-chat").as_of == "2026-11"
    assert api_price("deepseek-chat", as_of="2025").output_usd_per_mtok == 1.1
    assert api_price("deepseek-chat", as_of="2026-06-01").as_of == "2025-11"
    assert api_price("deepseek-chat", as_of="2026-11-24").as_of == "2026-11"
    with pytest.raises(NotFoundError) as caught:
        api_price("deepseek-chat", as_of="2024-12")
    assert caught.value.help is not None
    assert "2025-11, 2026-11" in caught.value.help


@pytest.mark.parametrize(
    ("cloud", "name", "gpu_name", "found"),
    [
        ("gcp", "us-central1", "H100", "us-central1"),
        ("aws", "us-west-2", "H100", "us-east-1"),
        ("aws", "eu-central-1", None, "us-east-1"),
        ("gcp", "europe-southwest1", "H100", "europe-west9"),
        ("azure", "ukwest", "H100", "uksouth"),
        # Africa is nearer to São Paulo than Virginia is, but the Americas come first.
        ("azure", "brazilsouth", "H100-SXM-80GB", "eastus2"),
        ("gcp", "us-central1", "B200", None),
    ],
)
def test_the_region_that_stands_in(cloud: str, name: str, gpu_name: str | None, found: str | None) -> None:
    assert nearest_region(cloud, name, gpu_name) == found


def test_a_region_that_stands_in_has_the_price_and_is_of_the_same_geography_where_that_is_possible() -> None:
    for cloud in ("aws", "azure", "gcp"):
        for family in ("H100", "A100", "L4", "T4"):
            priced = {row.region for row in instances(cloud, gpu=family) if row.region}
            for asked in regions(cloud).values():
                stand_in = nearest_region(cloud, asked.region, family)
                if stand_in is None:
                    assert not priced
                    continue
                assert stand_in in priced
                near = {r for r in priced if regions(cloud)[r].geography == asked.geography}
                assert not near or stand_in in near
                assert all(
                    distance_km(region(cloud, stand_in), asked) <= distance_km(region(cloud, r), asked)
                    for r in near or priced
                )


def test_distances_are_those_of_the_globe() -> None:
    # London to New York's area (Virginia): about 5,900 km; Tokyo to Sydney: about 7,800 km.
    assert distance_km(region("gcp", "europe-west2"), region("gcp", "us-east4")) == pytest.approx(
        5900, rel=0.03
    )
    assert distance_km(region("aws", "ap-northeast-1"), region("aws", "ap-southeast-2")) == pytest.approx(
        7800, rel=0.03
    )


def test_an_unknown_region_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(NotFoundError) as caught:
        nearest_region("gcp", "us-centrl1")
    assert caught.value.nearest[0] == "us-central1"


def test_looking_something_up_imports_nothing_of_the_network() -> None:
    code = (
        "import sys; from pathlib import Path; from homeport.catalog.resolve import resolve; "
        "from homeport.catalog import gpus, prices, regions; resolve('phi-4', base_dir=Path()); prices.api_price('gpt-4.1'); "
        "gpus.gpus_matching('H100'); regions.nearest_region('gcp', 'us-central1', 'L4'); "
        "print(sorted({'huggingface_hub', 'httpx2', 'click', 'yaml', 'ssl', 'asyncio'} & set(sys.modules)))"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "[]\n"
    )
