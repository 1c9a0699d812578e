"""Cases for the verdict's tests: made by hand, or anything that a case may be."""

from decimal import Decimal

from hypothesis import strategies as st

from homeport.advice.gather import LOADS
from homeport.advice.types import ApiOption, Case
from homeport.catalog.models import benchmarks
from homeport.catalog.regimes import regimes
from homeport.spec.load import load
from homeport.spec.models import Spec
from homeport.spec.policy import Advise, ApiAgreement, Compliance, CriterionWeights

WORDS = {
    "privacy": ("may_leave", "under_contract", "part_must_stay", "must_stay"),
    "capability": ("narrow", "comparable", "leading"),
    "features": ("not_needed", "later", "at_once"),
    "customisation": ("none", "light", "deep"),
    "team": ("none", "learning", "skilled"),
    "predictability": ("no", "somewhat", "yes"),
    "lock_in": ("no", "somewhat", "yes"),
    "start": ("days", "weeks", "months"),
}
LEAST = """version: 1
name: support
models:
  - name: assistant
    model: meta-llama/Llama-3.1-70B-Instruct
    workload: {requests_per_day: 1000, input_tokens: 1000, output_tokens: 500}
"""


def spec(advise: Advise | None = None, compliance: Compliance | None = None) -> Spec:
    from msgspec.structs import replace

    return replace(
        load(LEAST, "test.yaml").spec, advise=advise or Advise(), compliance=compliance or Compliance()
    )


def option(
    ratios: tuple[tuple[int, float], ...] = tuple((at, at / 100_000) for at in LOADS),
    breakeven: int | None = 100_000,
    model: str = "openai/gpt-4.1",
    usd: int = 1000,
    retired: bool = False,
) -> ApiOption:
    """An API that costs as much as own hosting at 100,000 requests a day, unless told otherwise."""
    return ApiOption(
        model=model,
        provider=model.partition("/")[0],
        usd_per_month=Decimal(usd),
        breakeven=breakeven,
        breakeven_reason=None if breakeven else "never cheaper: as said",
        ratios=ratios,
        carries_all=True,
        split_ratios=tuple((at, 0.5 + ratio) for at, ratio in ratios),
        split_usd_per_month=Decimal(usd),
        retired=retired,
        source="test",
        as_of="2026-11",
        scores=benchmarks().get(model),
        assumed=False,
    )


def case(
    load: float = 1000.0,
    *,
    apis: tuple[ApiOption, ...] = (option(),),
    advise: Advise | None = None,
    compliance: Compliance | None = None,
) -> Case:
    return Case(
        spec=spec(advise, compliance),
        load=load,
        apis=apis,
        own_usd_per_month=Decimal(1000),
        at_least=False,
        people_in_bill=False,
        model="meta-llama/Llama-3.1-70B-Instruct",
        scores=benchmarks().get("meta-llama/Llama-3.1-70B-Instruct"),
        private_share=0.0,
    )


weights = st.builds(
    CriterionWeights,
    **{name: st.none() | st.floats(0, 100) for name in CriterionWeights.__struct_fields__},
)
answers = st.builds(
    Advise, weights=weights, **{name: st.none() | st.sampled_from(words) for name, words in WORDS.items()}
)
agreements = st.builds(
    ApiAgreement,
    provider=st.just("openai"),
    residency=st.sampled_from([(), ("eu",), ("us",)]),
    **{
        name: st.booleans()
        for name in ("baa", "dpa", "zero_retention", "no_training", "pci_dss", "government_cloud")
    },
)
rules = st.builds(
    Compliance,
    regime=st.none() | st.sampled_from(list(regimes())),
    residency=st.sampled_from([(), ("eu",), ("us", "de")]),
    air_gapped=st.booleans(),
    api_agreements=st.lists(agreements, max_size=1).map(tuple),
)


@st.composite
def options(draw: st.DrawFn) -> ApiOption:
    """An API whose cost over own hosting's goes up and down with the load, as a staircase makes it."""
    ratios = draw(st.lists(st.floats(0.01, 100), min_size=len(LOADS), max_size=len(LOADS)))
    carried = draw(st.integers(0, len(LOADS)))
    return option(
        tuple(zip(LOADS, ratios, strict=True))[:carried],
        draw(st.none() | st.integers(100, 10_000_000)),
        model=draw(st.sampled_from(["openai/gpt-4.1", "openai/gpt-4.1-mini", "google/gemini-2.5-pro"])),
        usd=draw(st.integers(1, 100_000)),
        retired=draw(st.booleans()),
    )


cases = st.builds(
    lambda load, apis, advise, compliance: case(load, apis=tuple(apis), advise=advise, compliance=compliance),
    st.floats(1, 1e9),
    st.lists(options(), min_size=1, max_size=3, unique_by=lambda o: o.model),
    answers,
    rules,
)
