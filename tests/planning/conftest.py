"""Machines of other sizes than the catalog's."""

from collections.abc import Iterator

import pytest

from homeport.catalog.types import Machine
from homeport.planning import hardware
from tests.planning.helpers import Sizes


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sizes]:
    """Give machines other vCPUs and GiB; every other machine has plenty."""

    def give(named: dict[str, tuple[int, float]]) -> None:
        def size(cloud: str, instance_type: str) -> Machine | None:
            vcpus, gib = named.get(instance_type, (1000, 10_000.0))
            return Machine(
                cloud=cloud,
                instance_type=instance_type,
                vcpus=vcpus,
                memory_gib=gib,
                source="test",
                as_of="2026",
            )

        monkeypatch.setattr(hardware, "machine", size)
        hardware.offers.cache_clear()  # type: ignore[attr-defined]

    yield give
    hardware.offers.cache_clear()  # type: ignore[attr-defined]
