"""Reading a cluster again and again, across cut connections: nothing ends because the network did."""

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from homeport.cluster.errors import ClusterProblem, ServerFailed, TimedOut, Unreachable

T = TypeVar("T")

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 15.0

PASSING = (Unreachable, TimedOut, ServerFailed)
"""What may be over the next time; anything else (credentials, RBAC) a person has to repair."""


def poll(
    read: Callable[[], T], every_s: float, *, on_lost: Callable[[ClusterProblem], None] | None = None
) -> Iterator[T]:
    """Yield what `read` returns, every `every_s` seconds, for ever.

    While the cluster cannot be reached (or answers too late, or fails) `on_lost` is told, once for each outage, and the
    reading goes on with growing pauses of at most LONGEST_WAIT_S. Other errors of `read` are raised.
    """
    wait, lost = 0.0, False
    while True:
        try:
            found = read()
        except PASSING as problem:
            if on_lost is not None and not lost:
                on_lost(problem)
            lost = True
            wait = min(LONGEST_WAIT_S, max(FIRST_WAIT_S, wait * 2))
            time.sleep(wait)
            continue
        wait, lost = 0.0, False
        yield found
        time.sleep(every_s)
