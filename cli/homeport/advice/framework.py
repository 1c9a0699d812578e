"""The decision framework as data: criteria with their weights, the effort of operations, and privacy."""

from functools import cache
from pathlib import Path

import msgspec

from homeport.advice.types import CriterionRow, Operations, Privacy

DATA = Path(__file__).parent / "data"


@cache
def criteria() -> tuple[CriterionRow, ...]:
    """The criteria in their order."""
    return msgspec.json.decode((DATA / "criteria.json").read_bytes(), type=tuple[CriterionRow, ...])


@cache
def operations() -> Operations:
    """What running an API and running a model of one's own take."""
    return msgspec.json.decode((DATA / "operations.json").read_bytes(), type=Operations)


@cache
def privacy() -> Privacy:
    """What happens to data with an API, under enterprise terms, and with own hosting."""
    return msgspec.json.decode((DATA / "privacy.json").read_bytes(), type=Privacy)
