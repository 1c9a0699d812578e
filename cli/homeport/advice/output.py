"""Advice as JSON: keys fixed by docs/reference, made from types so that the schema follows."""

from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import Meta

from homeport.advice.advise import NO_LEGAL_ADVICE
from homeport.advice.types import (
    Advice,
    ApiStanding,
    Constraint,
    ControlStanding,
    Criterion,
    Flip,
    Mend,
    Operations,
    Privacy,
    RegimeStanding,
    SplitCost,
    Verdict,
)
from homeport.advice.verdict import DECISIVE

SCHEMA_VERSION = 1


class Pulls(msgspec.Struct, frozen=True, kw_only=True):
    """The sums of weight x lean of both sides, and the verdict that follows from them alone."""

    api: Annotated[float, Meta(description="weight x lean of all criteria that point to an API, added")]
    self_hosted: Annotated[float, Meta(description="the same of those that point to own hosting")]
    decisive_ratio: Annotated[
        float, Meta(description="A side wins when its pull is so many times the other's")
    ]
    verdict: Annotated[Verdict, Meta(description="what they alone would say")]


class OwnHosting(msgspec.Struct, frozen=True, kw_only=True):
    """What own hosting would be. `at_least`: a line of its bill is unknown."""

    what: str
    usd_per_month: Decimal | None
    at_least: bool


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of `advise -o json`. Keys are fixed: add, never rename. Money is in USD; null is unknown or not said."""

    schema_version: int
    name: str
    verdict: Annotated[Verdict, Meta(description="api, self-host or hybrid")]
    not_legal_advice: str
    requests_per_day: float
    hard_constraints: Annotated[
        tuple[Constraint, ...], Meta(description="What no weight outweighs; empty: the weights decide")
    ]
    pulls: Pulls
    criteria: tuple[Criterion, ...]
    smallest_change: Annotated[
        Flip | None,
        Meta(description="The smallest single change that gives another verdict; null: none does"),
    ]
    changes: Annotated[tuple[Flip, ...], Meta(description="Every single change that gives another verdict")]
    split: Annotated[tuple[str, ...], Meta(description="What goes where; only where the verdict is hybrid")]
    split_costs: Annotated[
        tuple[SplitCost, ...],
        Meta(description="What splits cost, where the spec says which share of requests is what"),
    ]
    self_hosted: Annotated[OwnHosting, Meta(description="what own hosting would be, and its bill")]
    apis: tuple[ApiStanding, ...]
    operations: Operations
    privacy: Annotated[Privacy, Meta(description="what happens to data on both sides")]
    regime: RegimeStanding | None
    controls: Annotated[
        tuple[ControlStanding, ...], Meta(description="Controls that the spec asks for beside its regime's")
    ]
    to_mend: Annotated[
        tuple[Mend, ...], Meta(description="What `plan` refuses of the spec, since its own rules forbid it")
    ]
    unanswered: Annotated[tuple[str, ...], Meta(description="Criteria that nothing was said about")]
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]


def as_answer(advice: Advice, warnings: tuple[str, ...] = ()) -> Answer:
    """Return the advice as it is written to JSON or YAML; `warnings` are further ones."""
    outcome = advice.outcome
    return Answer(
        schema_version=SCHEMA_VERSION,
        name=advice.name,
        verdict=outcome.verdict,
        not_legal_advice=NO_LEGAL_ADVICE,
        requests_per_day=advice.requests_per_day,
        hard_constraints=outcome.constraints,
        pulls=Pulls(
            api=outcome.api_pull,
            self_hosted=outcome.own_pull,
            decisive_ratio=DECISIVE,
            verdict=outcome.unconstrained,
        ),
        criteria=outcome.criteria,
        smallest_change=advice.flips[0] if advice.flips else None,
        changes=advice.flips,
        split=advice.split,
        split_costs=advice.split_costs,
        self_hosted=OwnHosting(
            what=advice.own, usd_per_month=advice.own_usd_per_month, at_least=advice.own_at_least
        ),
        apis=advice.apis,
        operations=advice.operations,
        privacy=advice.privacy,
        regime=advice.regime,
        controls=advice.controls,
        to_mend=advice.to_mend,
        unanswered=tuple(criterion.id for criterion in advice.unanswered),
        assumptions=advice.assumptions,
        warnings=(*advice.warnings, *warnings),
    )


def json_schema() -> dict[str, object]:
    """Return the JSON Schema of the answer."""
    from homeport.costs.output import decimals_are_numbers

    schema = msgspec.json.schema(Answer)
    decimals_are_numbers(schema)
    return schema
