"""
The connections of a server, so that it can end them when it stops.
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

__all__ = ["MOST_CONNECTIONS", "ServerConnections"]

MOST_CONNECTIONS = 256
"""So many may be open at once; one more is closed without a word."""

_PATIENCE = 1.0


class ServerConnections(WrappingFactory):
    """
    Wraps a server's factory and knows every connection.

    @since: 0.1.0
    """

    noisy = False

    def __init__(self, wrapped: IProtocolFactory, reactor: IReactorTime) -> None:
        super().__init__(wrapped)  # type: ignore[no-untyped-call]
        self._reactor = reactor
        self._gone: Deferred[None] | None = None
        self._impatience: IDelayedCall | None = None

    def buildProtocol(self, addr: IAddress | None) -> ProtocolWrapper | None:  # type: ignore[override]
        """
        Wrap one more, unless there are too many: they must not take the descriptors that the rest
        of the program needs.

        @since: 0.1.0
        """
        return None if len(self.protocols) >= MOST_CONNECTIONS else super().buildProtocol(addr)

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
        self._impatience = self._reactor.callLater(_PATIENCE, self._abort)
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
        if self.protocols or self._gone is None:
            return
        gone, self._gone = self._gone, None
        if self._impatience is not None:
            self._impatience.cancel()
            self._impatience = None
        gone.callback(None)
