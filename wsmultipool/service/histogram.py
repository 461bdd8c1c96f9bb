"""
Counting durations by how long they were.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

__all__ = ["Histogram"]


class Histogram:
    """
    How many durations there were up to each of some bounds, and all of them together.

    Not that of C{prometheus_client}, which takes ten times as long for each: messages that wait are
    measured one by one.

    @param bounds: upper bounds in seconds, ascending; beyond the last is one more bucket.
    @ivar total: seconds of all that was observed.
    @since: 0.1.0
    """

    __slots__ = ("_bounds", "_counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """
        Count one duration.

        @since: 0.1.0
        """
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self.total += seconds

    def cumulative(self) -> list[tuple[str, float]]:
        """
        @return: each bound, as Prometheus writes it, with how many durations were not longer.
        @since: 0.1.0
        """
        buckets = []
        count = 0
        for bound, here in zip([*map(str, self._bounds), "+Inf"], self._counts, strict=True):
            count += here
            buckets.append((bound, float(count)))
        return buckets
