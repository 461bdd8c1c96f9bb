"""
The connections of a server: so many and no more, and none is left when it stops.
"""

from __future__ import annotations

from typing import cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IProtocolFactory,
    IReactorTime,
    ITCPTransport,
)
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory

from .._deadline_clock import DeadlineClock

__all__ = ["MOST_CONNECTIONS", "ServerConnections"]

MOST_CONNECTIONS = 256
"""So many may be open at once; for one more, the least important of them is given up."""

_PATIENCE = 1.0


class ServerConnections(WrappingFactory):
    """
    Wraps a server's factory and knows every connection.

    @param wrapped: the factory.  Its protocols may have an C{importance}: when there are too many
        connections, one of those with the lowest is given up, of several the oldest.
    @since: 0.1.0
    """

    noisy = False

    def __init__(self, wrapped: IProtocolFactory, reactor: IReactorTime) -> None:
        super().__init__(wrapped)  # type: ignore[no-untyped-call]
        self._reactor = reactor
        self._given_up: set[ProtocolWrapper] = set()
        self._gone: Deferred[None] | None = None
        self._impatience: IDelayedCall | None = None

    def buildProtocol(self, addr: IAddress | None) -> ProtocolWrapper:
        """
        Wrap one more.  If there are too many, another one makes room: they must not take the
        descriptors that the rest of the program needs, nor keep those out that have something to
        ask, as health checks have.

        @since: 0.1.0
        """
        present = [each for each in self.protocols if each not in self._given_up]
        if len(present) >= MOST_CONNECTIONS:
            least = min(present, key=_importance)
            self._given_up.add(least)
            cast(ITCPTransport, least.transport).abortConnection()
        return super().buildProtocol(addr)

    def end(self) -> Deferred[None]:
        """
        Let every connection write what was written to it, and close; abort those that take longer
        than a second.

        @return: a Deferred that fires when none is left; it does not fail.
        @since: 0.1.0
        """
        if not self.protocols:
            return succeed(None)
        gone: Deferred[None] = Deferred()
        self._gone = gone
        self._impatience = DeadlineClock(self._reactor).callLater(_PATIENCE, self._abort)
        for connection in list(self.protocols):
            cast(ITCPTransport, connection).loseConnection()
        return gone

    def _abort(self) -> None:
        self._impatience = None
        for connection in list(self.protocols):
            cast(ITCPTransport, connection.transport).abortConnection()

    def unregisterProtocol(self, p: ProtocolWrapper) -> None:
        """
        A connection is gone.

        @since: 0.1.0
        """
        super().unregisterProtocol(p)  # type: ignore[no-untyped-call]
        self._given_up.discard(p)
        if self.protocols or self._gone is None:
            return
        gone, self._gone = self._gone, None
        if self._impatience is not None:
            self._impatience.cancel()
            self._impatience = None
        gone.callback(None)


def _importance(connection: ProtocolWrapper) -> int:
    return getattr(connection.wrappedProtocol, "importance", 0)
