"""What advice is made of. `None` is unknown or not said, never zero."""

from decimal import Decimal
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from homeport.catalog.types import Benchmark, Row
from homeport.planning.compliance import Gap
from homeport.spec.models import Spec

Verdict = Literal["api", "self-host", "hybrid"]
Side = Literal["api", "self-host", "neither"]
ORDER: tuple[Verdict, ...] = ("api", "hybrid", "self-host")
"""The verdicts from the least own hosting to the most."""


class CriterionRow(Row, frozen=True, kw_only=True):
    """A criterion of the guide's decision framework: what each side offers, and how much it counts (an assumption)."""

    id: str
    weight: float
    question: str
    flag: str | None
    api: str
    own: str


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One task of operations, on both sides."""

    task: str
    api: Annotated[str, Meta(description="what it takes with an API")]
    self_hosted: Annotated[str, Meta(description="what it takes with own hosting")]


class Operations(Row, frozen=True, kw_only=True):
    """The effort of both sides; `weekly_hours` are the least and the most, by side."""

    tasks: tuple[Task, ...]
    weekly_hours: dict[str, tuple[float, float]]
    still_yours_with_an_api: tuple[str, ...]


class Aspect(msgspec.Struct, frozen=True, kw_only=True):
    """One aspect of privacy: an API's usual policy, its enterprise terms, and own hosting."""

    aspect: Annotated[str, Meta(description="what it is about")]
    api_usual: Annotated[str, Meta(description="an API's usual policy")]
    api_enterprise: Annotated[str, Meta(description="what enterprise terms can bring")]
    self_hosted: Annotated[str, Meta(description="own hosting")]


class Privacy(Row, frozen=True, kw_only=True):
    """What happens to data on both sides, as the guide sees it: a provider's own terms count."""

    aspects: Annotated[tuple[Aspect, ...], Meta(description="the aspects")]


class ApiOption(msgspec.Struct, frozen=True, kw_only=True):
    """An API model that could serve instead. `breakeven` is the load from which own hosting stays cheaper.

    `breakeven_reason` says why there is none, or what is special about it. `ratios` are (requests a day, the API's cost
    over that of own hosting) at loads that are the same for every case, ascending, as far as own hosting can carry
    them; `carries_all`: it carries the largest. Empty: a price is unknown. `split_ratios` are the same for a split, own
    servers for what must stay and the API for the rest, over all on own servers; `split_usd_per_month` is its cost at the
    case's load. `assumed`: nobody named the model.
    """

    model: str
    provider: str
    usd_per_month: Decimal | None
    breakeven: int | None
    breakeven_reason: str | None
    ratios: tuple[tuple[int, float], ...]
    carries_all: bool
    split_ratios: tuple[tuple[int, float], ...]
    split_usd_per_month: Decimal | None
    retired: bool
    source: str
    as_of: str | None
    scores: Benchmark | None
    assumed: bool


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a verdict follows from: the spec with its answers, the load, and what money and tests say.

    `own_usd_per_month` None is unknown; `at_least`: some of its lines are. `scores` are those of the own model.
    `private_share` of all requests hold personal data, as far as the spec says (0: it does not).
    """

    spec: Spec
    load: float
    apis: tuple[ApiOption, ...]
    own_usd_per_month: Decimal | None
    at_least: bool
    people_in_bill: bool
    model: str
    scores: Benchmark | None
    private_share: float


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """A statement and where it is from; `assumption` marks what nobody has checked."""

    text: str
    source: str
    as_of: str | None
    assumption: bool = False


class Constraint(msgspec.Struct, frozen=True, kw_only=True):
    """Something that no weight outweighs: the verdicts that it `bars`, why, and what alone would lift it."""

    id: Annotated[str, Meta(description="air_gap, privacy, regulation or residency")]
    bars: Annotated[tuple[Verdict, ...], Meta(description="verdicts that it rules out")]
    because: Annotated[str, Meta(description="why it holds")]
    facts: tuple[Fact, ...]
    lifted_by: Annotated[str | None, Meta(description="what alone would lift it")]


class Criterion(msgspec.Struct, frozen=True, kw_only=True):
    """One criterion: `lean` from -1 (API) to 1 (own hosting), times `weight` is its `pull`.

    `answer` is what was said or computed (None: nothing); `flips_at` the smallest change of it that alone changes the
    verdict (None: none does).
    """

    id: Annotated[str, Meta(description="name of the criterion, as `--weight` takes it")]
    question: str
    answer: str | None
    points_to: Side
    lean: Annotated[float, Meta(description="from -1 (API) to 1 (own hosting); 0 points nowhere")]
    weight: Annotated[float, Meta(description="how much it counts; an assumption unless the spec says it")]
    pull: float
    because: Annotated[str, Meta(description="why it points there")]
    facts: tuple[Fact, ...]
    flag: str | None
    flips_at: str | None = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict and all that it follows from. Pulls are sums of weight x lean, of the criteria of each side."""

    verdict: Verdict
    unconstrained: Verdict
    api_pull: float
    own_pull: float
    constraints: tuple[Constraint, ...]
    criteria: tuple[Criterion, ...]


class Flip(msgspec.Struct, frozen=True, kw_only=True):
    """A single change that gives another verdict. `size` is how far it moves the pulls; lifting a constraint has none."""

    criterion: Annotated[str, Meta(description="the criterion or the constraint that changes")]
    change: Annotated[str, Meta(description="the change, as a spec or a user would say it")]
    verdict: Annotated[Verdict, Meta(description="the verdict after it")]
    size: Annotated[
        float | None, Meta(description="how far it moves weight x lean; null: it lifts a constraint")
    ]


class SplitCost(msgspec.Struct, frozen=True, kw_only=True):
    """What a split between own servers and an API costs, and why it is not allowed (None: it is)."""

    name: Annotated[str, Meta(description="which requests own servers answer")]
    usd_per_month: Decimal | None
    at_least: bool
    reason: Annotated[
        str | None, Meta(description="the rule that it breaks, or why it has no price; null: it is allowed")
    ]
    cheapest: bool


class ApiStanding(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the spec's rules let its data go to an API, and what is lacking where they do not."""

    model: str
    usd_per_month: Decimal | None
    breakeven_requests_per_day: int | None
    breakeven_reason: str | None
    retired: bool
    assumed: Annotated[bool, Meta(description="nobody named it: it stands in")]
    usable: bool
    gaps: tuple[Gap, ...]
    reference: str | None
    source: str
    as_of: str | None


class ControlStanding(msgspec.Struct, frozen=True, kw_only=True):
    """A control that the regime asks for: the rule, what homeport does, and what is the user's."""

    control: Annotated[str, Meta(description="id of the control")]
    title: str
    because: Annotated[str, Meta(description="the rule or the field that asks for it")]
    homeport: Annotated[str, Meta(description="what homeport renders or refuses for it")]
    yours: Annotated[str, Meta(description="what remains the user's")]


class RegimeStanding(msgspec.Struct, frozen=True, kw_only=True):
    """The regime: what it says of both sides, its controls, and the duties that no tool takes over."""

    id: Annotated[str, Meta(description="the regime, as compliance.regime takes it")]
    title: str
    api: Annotated[str, Meta(description="what it says of closed APIs")]
    own: Annotated[str, Meta(description="what it says of own hosting")]
    controls: tuple[ControlStanding, ...]
    duties: Annotated[tuple[str, ...], Meta(description="what no deployment takes over")]
    source: str
    as_of: str
    unverified: Annotated[
        tuple[str, ...], Meta(description="parts of the regime's data that nobody has checked")
    ]


class Mend(msgspec.Struct, frozen=True, kw_only=True):
    """Something of the spec that its own rules forbid, so that `plan` refuses it: the field, why, and what helps."""

    field: str
    message: str
    help: str | None


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """The whole advice. `priced` are the things with a price, and its date."""

    name: str
    requests_per_day: float
    outcome: Outcome
    flips: tuple[Flip, ...]
    apis: tuple[ApiStanding, ...]
    own_usd_per_month: Decimal | None
    own_at_least: bool
    own: str
    split: tuple[str, ...]
    split_costs: tuple[SplitCost, ...]
    operations: Operations
    privacy: Privacy
    regime: RegimeStanding | None
    controls: tuple[ControlStanding, ...]
    to_mend: tuple[Mend, ...]
    unanswered: tuple[Criterion, ...]
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]
    priced: tuple[tuple[str, str | None], ...]
