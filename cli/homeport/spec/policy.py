"""The parts of a spec that are about rules and about advice: what must hold, and what the user knows of themselves."""

from typing import Annotated, Literal

from msgspec import Meta

from homeport.spec.part import Part, Text

Regime = Literal["healthcare_phi_hipaa", "financial_pci_gdpr", "government_ilr5", "startup_mvp"]
Privacy = Literal["may_leave", "under_contract", "part_must_stay", "must_stay"]
Capability = Literal["narrow", "comparable", "leading"]
Features = Literal["not_needed", "later", "at_once"]
Customisation = Literal["none", "light", "deep"]
Team = Literal["none", "learning", "skilled"]
Concern = Literal["no", "somewhat", "yes"]
Start = Literal["days", "weeks", "months"]

Zone = Annotated[
    str,
    Meta(
        pattern=r"^([a-z]{2,3}|us-gov)$(?!\n)",
        max_length=6,
        examples=["eu"],
        extra={"says": "eu, eea, us-gov, or a country's two letters in lower case, such as de"},
    ),
]
Weight = Annotated[float, Meta(ge=0, le=100)]


class ApiAgreement(Part, frozen=True, kw_only=True):
    """What has been agreed with a provider of APIs. homeport takes it as declared; it cannot see the contract."""

    provider: Annotated[
        Text, Meta(description="Provider, as in the ids of API models: openai, anthropic ...")
    ]
    baa: Annotated[bool, Meta(description="A business associate agreement (HIPAA) is signed")] = False
    dpa: Annotated[bool, Meta(description="A data processing agreement (GDPR, Art. 28) is signed")] = False
    zero_retention: Annotated[
        bool, Meta(description="The provider keeps no prompts and answers, and that was verified")
    ] = False
    no_training: Annotated[bool, Meta(description="The contract excludes training on your data")] = False
    pci_dss: Annotated[
        bool, Meta(description="The provider's attestation of PCI DSS compliance was checked")
    ] = False
    government_cloud: Annotated[
        bool, Meta(description="Served from a government cloud that is authorised at impact level 5")
    ] = False
    residency: Annotated[
        tuple[Zone, ...], Meta(description="Where the provider has agreed to store and process your data")
    ] = ()
    reference: Annotated[
        Text | None,
        Meta(description="Where the agreement lies (a contract's number, a link); advise repeats it"),
    ] = None


class Compliance(Part, frozen=True, kw_only=True):
    """What the deployment and the APIs beside it must hold to; a spec that contradicts it is an error."""

    regime: Annotated[
        Regime | None,
        Meta(
            description="Rules that the data is under; `homeport advise` says what each asks for (auto: none)"
        ),
    ] = None
    residency: Annotated[
        tuple[Zone, ...],
        Meta(
            description="Where data may be: any of eu, eea, uk, us-gov and countries (de, us); empty: anywhere"
        ),
    ] = ()
    allowed_regions: Annotated[
        tuple[Text, ...], Meta(description="Cloud regions that may be used; empty: any inside the residency")
    ] = ()
    air_gapped: Annotated[
        bool,
        Meta(
            description="Nothing may come from or go to the world outside: no Hub, no APIs, no public way in"
        ),
    ] = False
    api_agreements: Annotated[
        tuple[ApiAgreement, ...], Meta(description="What has been agreed with the providers of compared APIs")
    ] = ()


class CriterionWeights(Part, frozen=True, kw_only=True):
    """How much each criterion of the advice counts; what is left out keeps homeport's own weight."""

    volume: Annotated[Weight | None, Meta(description="Cost at the given load, against the breakeven")] = None
    privacy: Annotated[Weight | None, Meta(description="Whether data may leave")] = None
    regulation: Annotated[Weight | None, Meta(description="What the regime prefers")] = None
    air_gap: Annotated[Weight | None, Meta(description="Whether it must run cut off from the world")] = None
    capability: Annotated[Weight | None, Meta(description="How good the answers must be")] = None
    features: Annotated[Weight | None, Meta(description="Tools, search and vision out of the box")] = None
    customisation: Annotated[Weight | None, Meta(description="How far the model itself must be changed")] = (
        None
    )
    team: Annotated[Weight | None, Meta(description="Who would run it")] = None
    predictability: Annotated[Weight | None, Meta(description="Whether the bill must be predictable")] = None
    lock_in: Annotated[Weight | None, Meta(description="Whether being tied to a provider matters")] = None
    time_to_value: Annotated[Weight | None, Meta(description="How soon the first users must be served")] = (
        None
    )


class Advise(Part, frozen=True, kw_only=True):
    """Answers for `homeport advise` that no plan can know; a flag goes before them. auto: not said."""

    privacy: Annotated[
        Privacy | None,
        Meta(description="Data may_leave, only under_contract, part_must_stay, or all of it must_stay"),
    ] = None
    capability: Annotated[
        Capability | None,
        Meta(
            description="Tasks that are narrow, answers comparable to the best, or the leading ones without tuning"
        ),
    ] = None
    features: Annotated[
        Features | None,
        Meta(description="Tools, web search and vision out of the box: not_needed, later or at_once"),
    ] = None
    customisation: Annotated[
        Customisation | None,
        Meta(
            description="none (prompts), light (a provider's fine-tuning does), deep (own weights, merging, formats)"
        ),
    ] = None
    team: Annotated[
        Team | None, Meta(description="Skills in running GPUs and models: none, learning or skilled")
    ] = None
    predictability: Annotated[
        Concern | None, Meta(description="Whether the bill must be predictable: no, somewhat or yes")
    ] = None
    lock_in: Annotated[
        Concern | None, Meta(description="Whether being tied to one provider matters: no, somewhat or yes")
    ] = None
    start: Annotated[
        Start | None, Meta(description="When the first users must be served: within days, weeks or months")
    ] = None
    weights: Annotated[CriterionWeights, Meta(description="How much each criterion counts")] = (
        CriterionWeights()
    )
