"""What a bill says of its totals, in words that every section uses."""

from __future__ import annotations

from decimal import Decimal

from homeport.costs.types import ApiBill, Bill
from homeport.reports.words import usd


def least(bill: Bill) -> str:
    """Return "at least " where a line of own hosting is unknown and another isn't."""
    return "at least " if bill.self_hosted.at_least and bill.self_hosted.usd_per_month is not None else ""


def own_total(bill: Bill) -> str:
    """Return own hosting's month in words."""
    return least(bill) + usd(bill.self_hosted.usd_per_month)


def difference(api: ApiBill, bill: Bill) -> Decimal | None:
    """Return own hosting's month less the API's; None where one is unknown."""
    own = bill.self_hosted.usd_per_month
    return None if own is None or api.usd_per_month is None else own - api.usd_per_month


def saving(api: ApiBill, bill: Bill) -> str:
    """Say who is cheaper; unknown lines of own hosting make an API's saving larger, never smaller."""
    gap = difference(api, bill)
    if gap is None:
        return ""
    unknown = bill.self_hosted.at_least
    if gap >= 0:
        return f"the API saves {'at least ' if unknown else ''}{usd(gap)}"
    return f"own hosting saves {'at most ' if unknown else ''}{usd(-gap)}"


def api_name(api: ApiBill) -> str:
    """Return the API model, marked where it is retired."""
    return f"{api.model} (retired)" if api.retired else api.model


def remarks(api: ApiBill) -> list[str]:
    """Return what there is to know about an API's prices."""
    said = []
    if api.retired:
        said.append(f"retired, announced for {api.retires_on}" if api.retires_on else "retired")
    if api.unverified:
        what = "the price's date" if api.unverified == ("as_of",) else "the price"
        said.append(f"{what} is unverified: check the provider's page before you quote it")
    return [*said, *api.notes]
