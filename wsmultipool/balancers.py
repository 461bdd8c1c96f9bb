"""
Which connection takes the next message.

A balancer only ever knows connections that are writable (see L{IBalancer}), so none of these has to
look at states, and choosing costs the same whatever the size of the pool.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle

from zope.interface import implementer

from .interfaces import IBalancer, IPooledConnection

__all__ = ["RoundRobin"]


@implementer(IBalancer)
class RoundRobin:
    """
    Every writable connection in turn: the one that was chosen least recently.

    A connection that becomes writable, again or for the first time, is last in line.

    @since: 0.1.0
    """

    __slots__ = ("_connections", "_cycle")

    def __init__(self) -> None:
        # For every message one is chosen, so that is done in C, with nothing to keep up to date.
        # What it costs to begin a new cycle is little beside what a connection has to do to become
        # writable, or to be writable no longer.
        self._connections: list[IPooledConnection] = []
        self._cycle: Iterator[IPooledConnection] = iter(())

    def add(self, connection: IPooledConnection) -> None:
        """
        Put a connection that became writable at the end of the line.

        @since: 0.1.0
        """
        if connection not in self._connections:
            self._begin([*self._line(), connection])

    def remove(self, connection: IPooledConnection) -> None:
        """
        Take a connection that is writable no longer out of the line.

        @since: 0.1.0
        """
        if connection in self._connections:
            self._begin([other for other in self._line() if other is not connection])

    def _line(self) -> list[IPooledConnection]:
        """All of them, the one whose turn it is first."""
        connections = self._connections
        if not connections:
            return []
        first = connections.index(next(self._cycle))
        return connections[first:] + connections[:first]

    def _begin(self, line: list[IPooledConnection]) -> None:
        self._connections, self._cycle = line, cycle(line)

    def choose(self) -> IPooledConnection | None:
        """
        Take the first in line, and let it queue up again.

        @return: that connection, or C{None} if no connection is writable.
        @since: 0.1.0
        """
        return next(self._cycle, None)
