"""vCPUs and main memory of the clouds' instance types, by name."""

from functools import cache

from homeport.catalog.names import DATA, rows
from homeport.catalog.types import Machine


@cache
def machines(cloud: str) -> dict[str, Machine]:
    """The machines of a cloud that are known, by instance type; none for a cloud that has no such data."""
    file = f"machines/{cloud}.json"
    if not (DATA / file).exists():
        return {}
    return {row.instance_type: row for row in rows(file, Machine)}


def machine(cloud: str, instance_type: str) -> Machine | None:
    """The size of an instance type; None where it is unknown."""
    return machines(cloud).get(instance_type)
