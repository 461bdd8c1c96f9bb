"""
Which connection takes the next message.

A balancer only ever knows connections that are writable (see L{IBalancer}), so none of these has to
look at states, and each costs the same whatever the size of the pool.
"""

from __future__ import annotations

from collections import OrderedDict

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

    __slots__ = ("_line",)

    def __init__(self) -> None:
        # An OrderedDict, because it is a linked list with an index: taking the first, moving it to
        # the end and removing any one are O(1).  A deque has to search for what it removes.  A
        # plain dict leaves a hole for every deleted key, and next(iter()) walks over all those at
        # its front: re-inserting in order to rotate makes that the common case.
        self._line: OrderedDict[IPooledConnection, None] = OrderedDict()

    def add(self, connection: IPooledConnection) -> None:
        """
        Put a connection that became writable at the end of the line.

        @since: 0.1.0
        """
        self._line[connection] = None

    def remove(self, connection: IPooledConnection) -> None:
        """
        Take a connection that is writable no longer out of the line.

        @since: 0.1.0
        """
        self._line.pop(connection, None)

    def choose(self) -> IPooledConnection | None:
        """
        Take the first in line, and let it queue up again.

        @return: that connection, or C{None} if no connection is writable.
        @since: 0.1.0
        """
        line = self._line
        if not line:
            return None
        connection = next(iter(line))
        line.move_to_end(connection)
        return connection
