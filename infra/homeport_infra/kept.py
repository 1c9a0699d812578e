"""What a destroy leaves: the volumes that hold downloaded weights, and what keeps them alive.

Weights take hours to fetch and cost little to keep, so `destroy` spares their claims, with everything in the state that a claim
needs (its namespace, its component). They stay in the stack: the next `up` finds them there, `--delete-weights` removes them.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from homeport_infra.state import resources

CLAIM = "kubernetes:core/v1:PersistentVolumeClaim"
GIB = {"Ki": 2.0**-20, "Mi": 2.0**-10, "Gi": 1.0, "Ti": 2.0**10}


class Volume(msgspec.Struct, frozen=True, kw_only=True):
    """A claim that a destroy left: NAMESPACE/NAME, and its size in GiB (None: it says none)."""

    urn: str
    name: str
    size_gib: float | None

    def usd_per_month(self, usd_per_gib: Decimal | None) -> Decimal | None:
        """What it costs a month at a price for a GiB; None where size or price is unknown."""
        if self.size_gib is None or usd_per_gib is None:
            return None
        return Decimal(str(self.size_gib)) * usd_per_gib


def volumes(deployment: Mapping[str, Any]) -> tuple[Volume, ...]:
    """The claims of an exported stack."""
    return tuple(
        Volume(urn=r["urn"], name=str(r.get("id", "")), size_gib=_gib(r))
        for r in resources(deployment)
        if r["type"] == CLAIM and not r.get("delete")
    )


def _gib(claim: Mapping[str, Any]) -> float | None:
    spec = (claim.get("inputs") or {}).get("spec") or {}
    text = str(((spec.get("resources") or {}).get("requests") or {}).get("storage", ""))
    number, unit = text[:-2], text[-2:]
    return float(number) * GIB[unit] if unit in GIB and number.replace(".", "", 1).isdigit() else None


def spared(deployment: Mapping[str, Any]) -> list[str]:
    """The URNs that a destroy has to leave for the claims to stay: themselves, and all that they stand on."""
    known = {r["urn"]: r for r in resources(deployment)}
    wanted = [volume.urn for volume in volumes(deployment)]
    found: dict[str, None] = {}
    while wanted:
        urn = wanted.pop()
        if urn in found or urn not in known:
            continue
        found[urn] = None
        resource = known[urn]
        provider = str(resource.get("provider", "")).rpartition("::")[0]
        wanted += [resource.get("parent", ""), provider, *resource.get("dependencies", [])]
    return list(found)


def alone(deployment: Mapping[str, Any]) -> bool:
    """Whether claims, with what they stand on, are all that there is: a destroy left them, and the bill in the outputs too."""
    left = set(spared(deployment))
    return bool(left) and all(resource["urn"] in left for resource in resources(deployment))


def release(deployment: dict[str, Any]) -> bool:
    """Let a destroy delete what the program asked to keep in the cluster; say whether anything was kept so."""
    kept = [r for r in deployment.get("resources", []) if r.get("retainOnDelete")]
    for resource in kept:
        resource["retainOnDelete"] = False
    return bool(kept)
