"""
The way to a router, which is that of a pool to its servers.

Autobahn's own looks names up in the threads of the reactor, so that a name server that does not
answer would keep the process from ending.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from .. import WebSocketFactory
from ..options import PoolOptions, ServerURL

# For the name, TCP and the beginning of TLS; what follows has limits of its own.
_TIMEOUT = 10.0


@implementer(IStreamClientEndpoint)
class RouterEndpoint:
    """
    Connects to a router by its URL.
    """

    def __init__(self, url: ServerURL) -> None:
        self._url = url
        self._reactor: IReactorTime

    def run_on(self, reactor: IReactorTime) -> None:
        """Set what it connects with."""
        self._reactor = reactor

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        @return: fires with the connected protocol; fails with why there is none, after 10 seconds
            with C{TimeoutError}.
        """
        endpoint = WebSocketFactory().build_endpoint(self._reactor, self._url, PoolOptions())
        connecting = endpoint.connect(protocolFactory)
        return connecting.addTimeout(_TIMEOUT, self._reactor, _out_of_time)


def _out_of_time(result: IProtocol | Failure, timeout: float) -> IProtocol:
    # Not all that is cancelled fails with CancelledError, which is what Twisted looks for.
    if isinstance(result, Failure):
        raise TimeoutError(f"no connection within {timeout:g} s")
    return result
