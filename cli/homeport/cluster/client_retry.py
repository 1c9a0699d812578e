"""How long a request is sent again before its failure is told."""

import time

from homeport.cluster.errors import ClusterProblem, TimedOut, Unreachable

LONGEST_WAIT_S = 2.0
LATE_TRIES = 2
"""How often an answer may be late, each time by the server's own limit: a busy server gets a second chance, a hanging one no third."""


class Outage:
    """What has gone wrong with one request so far."""

    def __init__(self, patience_s: float) -> None:
        """`patience_s` bounds how long the connection may stay broken, seconds."""
        self.patience_s = patience_s
        self._since: float | None = None
        self._lost = False
        self._late = 0
        self._tries = 0

    def pause(self, problem: ClusterProblem) -> float | None:
        """Return how long to wait before the request is sent again, seconds; None: it is not.

        A server that went away and came back may be late as often as patience lasts: it is starting.
        """
        if isinstance(problem, Unreachable):
            self._lost = True
        elif isinstance(problem, TimedOut):
            self._late += 1
            if self._late >= LATE_TRIES and not self._lost:
                return None
        else:
            return None
        now = time.monotonic()
        self._since = self._since or now
        left = self.until - now
        if left <= 0:
            return None
        self._tries += 1
        return min(left, LONGEST_WAIT_S, 0.05 * 2.0**self._tries)

    @property
    def until(self) -> float:
        """When patience ends, on the monotonic clock."""
        return (self._since or time.monotonic()) + self.patience_s
