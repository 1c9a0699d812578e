"""What the compliance section forbids is an error of planning, and what it allows is where plans may be."""

from pathlib import Path

import pytest

from homeport.catalog.prices import instances
from homeport.catalog.regimes import controls, regimes
from homeport.catalog.regions import regions
from homeport.catalog.zones import Bounds, countries, is_part_of
from homeport.errors import SpecError
from homeport.planning.compliance import MODEL_CHECKS, api_gaps, bounds_of, contradictions
from homeport.planning.hardware import offers
from homeport.planning.plan import Planner, plan
from homeport.spec.load import load
from homeport.spec.models import Spec, Target
from homeport.spec.policy import ApiAgreement

EVERYTHING = (
    "{provider: openai, baa: true, dpa: true, zero_retention: true, no_training: true, pci_dss: true, "
)
AGREED = f"[{EVERYTHING}government_cloud: true, residency: [us]}}]"


def spec(compliance: str, *, target: str = "gke", model: str = "", compare: str = "") -> Spec:
    text = f"""version: 1
name: support
target: {{platform: {target}}}
compliance: {{{compliance}}}
models:
  - name: assistant
    model: meta-llama/Llama-3.1-8B-Instruct
    workload: {{requests_per_day: 20000, input_tokens: 500, output_tokens: 200}}
"""
    for line in model.splitlines():
        text += f"    {line}\n"
    if compare:
        text += f"compare: [{compare}]\n"
    return load(text, "test.yaml").spec


HIPAA, PCI, IL5, MVP = (f"regime: {name}" for name in regimes())
MIRROR = "weights: {source: oci, image: registry.local/llama}"
CONTRADICTED = {
    "phi to an api without a baa": (
        spec(HIPAA, compare="gpt-4.1"),
        ("compare", 0),
        "a business associate agreement; verified zero retention",
    ),
    "a baa alone does not do": (
        spec(f"{HIPAA}, api_agreements: [{{provider: openai, baa: true}}]", compare="gpt-4.1"),
        ("compare", 0),
        "not declared of openai: verified zero retention",
    ),
    "an agreement with somebody else": (
        spec(f"{HIPAA}, api_agreements: {AGREED}", compare="gpt-4.1, claude-sonnet-4-5"),
        ("compare", 1),
        "not declared of anthropic",
    ),
    "card data to an api without a contract": (
        spec(PCI, compare="gpt-4.1"),
        ("compare", 0),
        "a data processing agreement; a contract that excludes training on the data; a checked attestation of PCI DSS",
    ),
    "impact level 5 to a commercial api": (
        spec(f"{IL5}, air_gapped: false", compare="gpt-4.1"),
        ("compare", 0),
        "a government cloud authorised at impact level 5",
    ),
    "an api that keeps data elsewhere": (
        spec(f"residency: [eu], api_agreements: {AGREED}", compare="gpt-4.1"),
        ("compare", 0),
        "residency in eu (declared: us)",
    ),
    "an api whose place nobody declared": (
        spec("residency: [eu]", compare="gpt-4.1"),
        ("compare", 0),
        "not declared of openai: residency in eu",
    ),
    "an api in an air gap": (
        spec(f"air_gapped: true, api_agreements: {AGREED}", model=MIRROR, compare="gpt-4.1"),
        ("compare", 0),
        "no API can be reached from an air gap",
    ),
    "an api that does not exist": (
        spec("residency: [us]", compare="gpt-4.11"),
        ("compare", 0),
        "no API model 'gpt-4.11'",
    ),
    "a region outside the residency": (
        spec("residency: [eu]", target="gke, region: us-central1"),
        ("target", "region"),
        "us-central1 (US) lies outside the residency eu",
    ),
    "switzerland is not in the eu": (
        spec("residency: [eu]", target="gke, region: europe-west6"),
        ("target", "region"),
        "europe-west6 (CH) lies outside",
    ),
    "a region that is not on the list": (
        spec("allowed_regions: [europe-west4]", target="gke, region: europe-west1"),
        ("target", "region"),
        "outside the allowed regions europe-west4",
    ),
    "a list wider than the residency": (
        spec("residency: [eu], allowed_regions: [europe-west4, us-east1]"),
        ("compliance", "allowed_regions", 1),
        "us-east1 (US) lies outside eu",
    ),
    "a platform without a region inside": (
        spec("residency: [us-gov]"),
        ("target", "platform"),
        "gke has no region inside the residency us-gov",
    ),
    "impact level 5 in a commercial region": (
        spec(IL5, target="eks, region: us-east-1"),
        ("target", "region"),
        "us-east-1 is no government region",
    ),
    "impact level 5 abroad": (
        spec(IL5, target="gke, region: europe-west4"),
        ("target", "region"),
        "outside the residency us (regime government_ilr5)",
    ),
    "phi over plain http": (
        spec(HIPAA, model="expose: {kind: load_balancer}\napi_key: {secret: keys, key: api}"),
        ("models", 0, "expose", "kind"),
        "plain HTTP",
    ),
    "card data over an ingress without a certificate": (
        spec(PCI, model="expose: {kind: ingress, host: a.example.com}\napi_key: {secret: keys, key: api}"),
        ("models", 0, "expose"),
        "without a certificate",
    ),
    "phi for everybody": (
        spec(HIPAA, model="expose: {kind: ingress, host: a.example.com, tls_secret: tls}"),
        ("models", 0, "expose", "kind"),
        "anybody who reaches the ingress",
    ),
    "personal data in the log": (
        spec(PCI, model="extra_args: [--enable-log-requests]"),
        ("models", 0, "extra_args", 0),
        "writes the texts of requests into the log",
    ),
    "an air gap and the hub": (
        spec("air_gapped: true"),
        ("models", 0, "weights", "source"),
        "download the weights from the Hub",
    ),
    "an air gap and a download job": (
        spec("air_gapped: true", model="weights: {source: pvc}"),
        ("models", 0, "weights", "source"),
        "a Job downloads the weights",
    ),
    "an air gap and google's buckets": (
        spec(
            "air_gapped: true",
            model="weights: {source: object_store, uri: 'gs://models/llama', credentials: c}",
        ),
        ("models", 0, "weights", "source"),
        "Google Cloud Storage",
    ),
    "an air gap and amazon's buckets": (
        spec("air_gapped: true", model="weights: {source: object_store, uri: 's3://models/llama'}"),
        ("models", 0, "weights", "source"),
        "s3:// is Amazon's",
    ),
    "an air gap and an adapter of the hub": (
        spec("air_gapped: true", model=f"{MIRROR}\nadapters: [{{name: a, source: org/a}}]"),
        ("models", 0, "adapters", 0, "source"),
        "downloaded from the Hub",
    ),
    "an air gap and a load balancer": (
        spec("air_gapped: true", model=f"{MIRROR}\nexpose: {{kind: load_balancer}}"),
        ("models", 0, "expose", "kind"),
        "a way in from outside",
    ),
    "a zone that does not exist": (spec("residency: [usa]"), ("compliance", "residency", 0), "no zone 'usa'"),
    "a region that does not exist": (
        spec("allowed_regions: [europe-west44]"),
        ("compliance", "allowed_regions", 0),
        "no region 'europe-west44'",
    ),
    "a provider that does not exist": (
        spec("api_agreements: [{provider: opnai}]"),
        ("compliance", "api_agreements", 0, "provider"),
        "no provider of APIs 'opnai'",
    ),
}


@pytest.mark.parametrize("name", CONTRADICTED)
def test_a_contradiction_is_an_error_of_the_plan_at_its_field(name: str) -> None:
    made, path, words = CONTRADICTED[name]
    with pytest.raises(SpecError) as caught:
        plan(made, base_dir=Path())
    found = [problem for problem in caught.value.problems if problem.path == path]
    assert found, [(p.path, p.message) for p in caught.value.problems]
    assert words in found[0].message
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("regime", [HIPAA, PCI, MVP])
def test_a_spec_that_holds_its_regime_is_planned_in_the_same_way(regime: str) -> None:
    held = plan(spec(f"{regime}, api_agreements: {AGREED}", compare="gpt-4.1"), base_dir=Path())
    free = plan(spec(""), base_dir=Path())
    assert held.pools == free.pools


@pytest.mark.parametrize("target", ["gke", "generic", "aks, region: usgovvirginia"])
def test_impact_level_5_may_run_where_it_is_authorised(target: str) -> None:
    assert contradictions(spec(f"{IL5}, api_agreements: {AGREED}", target=target, compare="gpt-4.1")) == []


def test_an_air_gap_holds_with_mirrored_weights_on_an_own_cluster() -> None:
    model = (
        f"{MIRROR}\nexpose: {{kind: ingress, host: llm.local}}\nadapters: [{{name: a, source: /adapters/a}}]"
    )
    assert contradictions(spec("air_gapped: true", target="generic", model=model)) == []


def test_every_agreed_term_is_asked_for_by_some_regime_and_closes_its_gap() -> None:
    asked = {need.term for regime in regimes().values() for need in regime.api_needs}
    terms = set(ApiAgreement.__struct_fields__) - {"provider", "residency", "reference"}
    assert asked == terms
    for regime in regimes().values():
        bare = api_gaps(spec(f"regime: {regime.id}"), "openai")
        assert [gap.lacks for gap in bare] == [need.says for need in regime.api_needs]
        assert api_gaps(spec(f"regime: {regime.id}, api_agreements: {AGREED}"), "openai") == ()


def test_every_control_of_a_regime_is_described_and_every_check_belongs_to_one() -> None:
    named = {need.control for regime in regimes().values() for need in regime.own_needs}
    assert named <= set(controls())
    assert set(MODEL_CHECKS) <= named


def test_without_a_region_the_nearest_allowed_one_is_taken_and_said() -> None:
    made = plan(spec("residency: [eu]"), base_dir=Path())
    region = made.spec.target.region
    assert region is not None
    assert regions("gcp")[region].country in countries("eu")
    decision = next(d for d in made.models[0].decisions if d.field == "target.region")
    assert decision.value == region
    assert "inside eu" in decision.because
    assert plan(spec("residency: [us]"), base_dir=Path()).spec.target.region is None


@pytest.mark.parametrize("zone", ["eu", "uk", "jp", "us"])
@pytest.mark.parametrize("platform", ["gke", "aks", "eks", "generic"])
def test_no_price_comes_from_outside_the_residency(zone: str, platform: str) -> None:
    bounds = Bounds(zones=((zone,),))
    for rows in offers(Target(platform=platform), bounds).values():  # type: ignore[arg-type]
        for offer in rows:
            if offer.price is None or offer.instance is None:
                continue
            assert offer.instance.region is not None
            assert bounds.holds(regions(offer.instance.cloud)[offer.instance.region])


def test_a_cloud_without_a_price_inside_plans_a_named_gpu_at_an_unknown_one() -> None:
    assert {row.region for row in instances("aws")} == {"us-east-1"}
    target = "eks, region: eu-central-1"
    with pytest.raises(SpecError, match="no price of eks in eu-central-1 or elsewhere inside eu is known"):
        plan(spec("residency: [eu]", target=target), base_dir=Path())
    made = plan(spec("residency: [eu]", target=target, model="gpu: L4"), base_dir=Path())
    assert made.models[0].usd_per_month is None
    assert made.pools[0].instance_type
    free = plan(spec("", target=target, model="gpu: L4"), base_dir=Path())
    assert free.models[0].usd_per_month is not None


def test_where_nobody_can_see_the_place_the_plan_says_so() -> None:
    assert "generic" in plan(spec("residency: [eu]", target="generic"), base_dir=Path()).warnings[0]
    assert plan(spec("residency: [eu]"), base_dir=Path()).warnings == ()
    assert "Assured Workloads" in plan(spec(IL5), base_dir=Path()).warnings[0]


def test_an_air_gap_says_whose_images_have_to_be_mirrored() -> None:
    said = plan(spec("air_gapped: true", target="generic", model=MIRROR), base_dir=Path()).warnings
    assert [text for text in said if "assistant runs the engine's public image" in text]
    own = f"{MIRROR}\nimage: registry.local/vllm:1"
    assert plan(spec("air_gapped: true", target="generic", model=own), base_dir=Path()).warnings == ()


def test_what_stands_can_be_planned_for_its_removal() -> None:
    made = spec(HIPAA, compare="gpt-4.1")
    assert Planner(Path(), enforce=False).plan(made).pools == plan(spec(""), base_dir=Path()).pools


def test_zones_hold_what_lies_in_them() -> None:
    assert is_part_of("de", "eu")
    assert is_part_of("eu", "eea")
    assert is_part_of("us-gov", "us")
    assert not is_part_of("us", "us-gov")
    assert not is_part_of("uk", "eu")
    assert not is_part_of("eea", "eu")
    assert bounds_of(spec(f"{IL5}, residency: [us-gov]")).zones == (("us-gov",), ("us",))


def test_a_regimes_own_residency_and_the_specs_both_hold() -> None:
    bounds = bounds_of(spec(f"{IL5}, residency: [us, de]"))
    known = regions("gcp")
    assert bounds.allows(known["us-central1"])
    assert not bounds.allows(known["europe-west3"])


def test_an_api_that_the_spec_prices_itself_is_held_to_the_rules_too() -> None:
    from msgspec.structs import replace

    from homeport.spec.money import ApiModelPrice, Costs

    costs = Costs(
        api_prices=(ApiModelPrice(model="acme/llm", input_usd_per_mtok=1.0, output_usd_per_mtok=2.0),)
    )
    barred = replace(spec("residency: [us]", compare="acme/llm"), costs=costs)
    [problem] = contradictions(barred)
    assert "data may not go to acme/llm: not declared of acme" in problem.message
    agreed = "residency: [us], api_agreements: [{provider: acme, residency: [us]}]"
    assert contradictions(replace(spec(agreed, compare="acme/llm"), costs=costs)) == []
