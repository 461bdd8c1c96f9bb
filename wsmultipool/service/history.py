"""
What a pool did in the last minutes: a ring of samples.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..stats import PoolStats

__all__ = ["History", "Rates"]

WINDOW = 300.0
"""Seconds that the pool is looked back at."""
SPARKLINE = 60.0
"""Seconds that each connection is looked back at."""


@dataclass(frozen=True, slots=True)
class Rates:
    """
    How much a pool did per second between two samples.

    @ivar at: when the later one was taken.
    @ivar sent: messages.
    @ivar received: messages.
    @ivar sent_bytes: payload bytes.
    @ivar received_bytes: payload bytes.
    @since: 0.1.0
    """

    at: float
    sent: float = 0.0
    received: float = 0.0
    sent_bytes: float = 0.0
    received_bytes: float = 0.0


class History:
    """
    Rates of a pool and of each of its connections, from snapshots that are given at any times.

    @ivar pool: the pool's L{Rates}, oldest first.
    @since: 0.1.0
    """

    def __init__(self) -> None:
        self.pool: deque[Rates] = deque()
        self._connections: dict[int, deque[tuple[float, float]]] = {}
        self._before: PoolStats | None = None
        self._before_at = 0.0

    def add(self, now: float, stats: PoolStats) -> None:
        """
        Take a sample.

        @since: 0.1.0
        """
        before, self._before = self._before, stats
        elapsed, self._before_at = now - self._before_at, now
        if before is None or elapsed <= 0:
            return
        self.pool.append(
            Rates(
                now,
                (stats.sent_messages - before.sent_messages) / elapsed,
                (stats.received_messages - before.received_messages) / elapsed,
                (stats.sent_bytes - before.sent_bytes) / elapsed,
                (stats.received_bytes - before.received_bytes) / elapsed,
            )
        )
        while self.pool[0].at < now - WINDOW:
            self.pool.popleft()
        bytes_before = {
            each.id: each.sent_bytes + each.received_bytes for each in before.connections
        }
        # Those that have left the pool are forgotten.
        present = {each.id: self._connections.get(each.id, deque()) for each in stats.connections}
        self._connections = present
        for each in stats.connections:
            total = each.sent_bytes + each.received_bytes
            recent = present[each.id]
            recent.append((now, (total - bytes_before.get(each.id, total)) / elapsed))
            while recent[0][0] < now - SPARKLINE:
                recent.popleft()

    def connection(self, id: int) -> list[tuple[float, float]]:
        """
        @return: times, and bytes per second in both directions, of one connection, oldest first.
        @since: 0.1.0
        """
        return list(self._connections.get(id, ()))
