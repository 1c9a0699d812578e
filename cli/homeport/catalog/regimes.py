"""Compliance regimes: what each needs of a closed API and of an own deployment, and what stays the user's duty."""

from functools import cache
from types import MappingProxyType
from typing import Literal

import msgspec

from homeport.catalog.names import rows
from homeport.catalog.types import Row

Term = Literal["baa", "dpa", "zero_retention", "no_training", "pci_dss", "government_cloud"]


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """Something that an API's provider must have agreed to: `term` is the field of `compliance.api_agreements`."""

    term: Term
    says: str
    because: str


class Requirement(msgspec.Struct, frozen=True, kw_only=True):
    """A control that an own deployment needs, and the rule that asks for it."""

    control: str
    because: str


class Regime(Row, frozen=True, kw_only=True):
    """A set of rules. `data` is what it protects; `residency` are zones that it allows (none: anywhere).

    `prefers` is the side that the guide prefers, -1 (closed API) to 1 (own hosting).
    """

    id: str
    title: str
    data: str
    api: str
    own: str
    prefers: float
    residency: tuple[str, ...]
    api_needs: tuple[Need, ...]
    own_needs: tuple[Requirement, ...]
    duties: tuple[str, ...]


class Control(Row, frozen=True, kw_only=True):
    """A measure of an own deployment: what homeport renders or refuses for it, and what remains the user's."""

    id: str
    title: str
    homeport: str
    yours: str


@cache
def regimes() -> MappingProxyType[str, Regime]:
    """The regimes by id."""
    return MappingProxyType({row.id: row for row in rows("regimes.json", Regime)})


@cache
def controls() -> MappingProxyType[str, Control]:
    """The controls of own deployments by id."""
    return MappingProxyType({row.id: row for row in rows("controls.json", Control)})
