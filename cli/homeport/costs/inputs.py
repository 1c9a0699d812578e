"""What a spec says about money, as the exact numbers that a bill is made of."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from homeport.costs.lines import GIVEN
from homeport.costs.money import decimal
from homeport.costs.types import Method, Options
from homeport.errors import HomeportError, NotFoundError, Problem, SpecError

if TYPE_CHECKING:
    from homeport.catalog.types import ApiPrice
    from homeport.spec.models import Spec
    from homeport.spec.money import ApiModelPrice, Costs


def options(costs: Costs, method: Method = "load") -> Options:
    """Return the options of a bill: every number of `costs` as it is written, 0.1 and not its nearest binary one."""
    values: dict[str, Any] = {
        name: getattr(costs, name) for name in Options.__struct_fields__ if hasattr(costs, name)
    }
    exact: dict[str, Any] = {
        name: decimal(value) if isinstance(value, float) else value for name, value in values.items()
    }
    return Options(method=method, **exact)


def scaled(options: Options, by: Decimal) -> Options:
    """Return the options at `by` times the load: the bill of outgoing traffic grows with it."""
    egress = options.egress_usd_per_month
    return msgspec.structs.replace(options, egress_usd_per_month=None if egress is None else egress * by)


def splits(spec: Spec) -> bool:
    """Say whether a spec knows enough for a hybrid split: which requests must stay, or which are simple."""
    return any(
        share is not None
        for model in spec.models
        for share in (model.workload.personal_data_share, model.workload.simple_share)
    )


def api_prices(spec: Spec, *, named: bool = False) -> list[ApiPrice]:
    """Return the prices of the spec's compared API models in their order, each once, its own prices over the table's.

    `named` says that the models were named on the command line: an unknown one is then raised as it is. Otherwise
    raises SpecError with all mistakes at once.
    """
    from homeport.catalog.prices import api_price

    own, problems = _own_prices(spec)
    found: dict[str, ApiPrice] = {}
    for i, name in enumerate(spec.compare):
        try:
            price = own.get(name) or api_price(name)
        except HomeportError as error:
            if named:
                raise
            tip = error.help if isinstance(error, NotFoundError) else None
            problems.append(Problem(message=str(error), path=("compare", i), value=name, help=tip))
            continue
        found[price.id] = own.get(price.id, price)
    if problems:
        raise SpecError(problems)
    return list(found.values())


def _own_prices(spec: Spec) -> tuple[dict[str, ApiPrice], list[Problem]]:
    """Return the price rows that the spec's `costs.api_prices` make, by the API model's id."""
    from homeport.catalog.prices import api_price

    found: dict[str, ApiPrice] = {}
    problems: list[Problem] = []
    for i, given in enumerate(spec.costs.api_prices):
        try:
            row = api_price(given.model)
        except NotFoundError as error:
            if given.input_usd_per_mtok is None or given.output_usd_per_mtok is None:
                problems.append(
                    Problem(
                        message=str(error),
                        path=("costs", "api_prices", i, "model"),
                        value=given.model,
                        help="a model of your own needs input_usd_per_mtok and output_usd_per_mtok",
                    )
                )
                continue
            row = _new(given.model)
        found[row.id] = _priced(row, given)
    return found, problems


def _priced(row: ApiPrice, given: ApiModelPrice) -> ApiPrice:
    names = [name for name in given.__struct_fields__ if name != "model" and getattr(given, name) is not None]
    changes = {name: getattr(given, name) for name in names}
    if "input_usd_per_mtok" in changes:
        changes["input_above_200k_usd_per_mtok"] = None
    if "output_usd_per_mtok" in changes:
        changes["output_above_200k_usd_per_mtok"] = None
    kept = tuple(name for name in row.unverified if name not in changes and name != "as_of")
    return msgspec.structs.replace(row, **changes, source=GIVEN, as_of="", unverified=kept)


def _new(name: str) -> ApiPrice:
    from homeport.catalog.types import ApiPrice

    unknown: dict[str, Any] = {
        field: None for field in ApiPrice.__struct_fields__ if field.endswith("_usd_per_mtok")
    }
    return ApiPrice(
        id=name,
        provider=name.partition("/")[0],
        model=name.rpartition("/")[2],
        display_name=None,
        **unknown,
        context_tokens=None,
        max_output_tokens=None,
        retires_on=None,
        retired=False,
        newest=True,
        source=GIVEN,
        as_of="",
    )
