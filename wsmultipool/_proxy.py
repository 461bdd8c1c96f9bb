"""
An endpoint that reaches its destination through an HTTP proxy, with C{CONNECT} (RFC 9110, section
9.3.6).

Once the tunnel stands, the protocol at its end is given the proxy connection's transport itself,
not a wrapper: producers, aborting and socket options are then those of TCP.  Only what arrives
passes through here.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import cast

from twisted.internet.defer import Deferred
from twisted.internet.error import NoProtocol
from twisted.internet.interfaces import (
    IAddress,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from ._quotes import quote, secrets_for_proxy
from ._response_head import MOST_INTERIM_RESPONSES
from ._stages import PROXY, stage_of
from ._urls import basic_authorization, endpoint_label
from .errors import ProxyRefused

__all__ = ["ProxyEndpoint"]

_LONGEST_HEAD = 16 * 1024
# A bare line feed is to be tolerated (RFC 9112, section 2.2).
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_STATUS_LINE = re.compile(rb"HTTP/1\.[0-9] ([1-9][0-9]{2})(?: ([^\r\n]*))?\r?\n")


@implementer(IStreamClientEndpoint)
class ProxyEndpoint:
    """
    Connects to a host and a port by way of an HTTP proxy.
    """

    def __init__(
        self,
        proxy: IStreamClientEndpoint,
        host: str,
        port: int,
        credentials: tuple[str, str] | None = None,
    ) -> None:
        """
        @param proxy: connects to the proxy.
        @param host: where to go from there: a name, which the proxy resolves, or an IP address.
        @param port: and the port.
        @param credentials: user name and password for the proxy, or C{None}.
        """
        self._proxy = proxy
        self._host = host
        self._port = port
        self._credentials = credentials
        self._reached = False

    @property
    def stage(self) -> str:
        """What it is doing: reaching the proxy, and talking to it."""
        return PROXY if self._reached else f"{PROXY} {stage_of(self._proxy)}"

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Connect a protocol to the destination.

        @return: fires with the protocol once the tunnel stands; fails with L{ProxyRefused} when the
            proxy does not open it, and with whatever the proxy's endpoint fails with.  Cancelling
            it drops the connection to the proxy.
        """
        secrets = secrets_for_proxy(self._credentials)
        factory = _TunnelFactory(self._request(), secrets, protocolFactory)
        connecting = self._proxy.connect(factory)
        # Returned from a callback, the second Deferred is also what a later cancel() reaches.
        return connecting.addCallback(self._talk)

    def _talk(self, tunnel: IProtocol) -> Deferred[IProtocol]:
        self._reached = True
        return cast(_Tunnel, tunnel).established

    def _request(self) -> bytes:
        target = endpoint_label(self._host, self._port)
        lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
        if self._credentials is not None:
            lines.append(f"Proxy-Authorization: {basic_authorization(self._credentials)}")
        return "\r\n".join([*lines, "", ""]).encode("ascii")


@implementer(IProtocolFactory)
class _TunnelFactory:
    """Makes the protocol that talks to the proxy, and stands in for the factory it is for."""

    def __init__(self, request: bytes, secrets: Collection[str], wrapped: IProtocolFactory) -> None:
        self._request = request
        self._secrets = secrets
        self._wrapped = wrapped

    def doStart(self) -> None:
        self._wrapped.doStart()

    def doStop(self) -> None:
        self._wrapped.doStop()

    def buildProtocol(self, addr: IAddress) -> _Tunnel:
        return _Tunnel(self._request, self._secrets, self._wrapped)


class _Tunnel(Protocol):
    """
    One conversation with a proxy, and then a pipe.

    @ivar established: fires with the protocol at the end of the tunnel.
    """

    transport: ITCPTransport

    def __init__(self, request: bytes, secrets: Collection[str], factory: IProtocolFactory) -> None:
        self.established: Deferred[IProtocol] = Deferred(self._cancelled)
        self._request = request
        self._secrets = secrets
        self._factory = factory
        self._received = bytearray()
        self._interim = 0
        self._inner: IProtocol | None = None
        # Not just "established has not fired": aborting may tell us at once that we are lost.
        self._waiting = True

    def connectionMade(self) -> None:
        self.transport.write(self._request)

    def dataReceived(self, data: bytes) -> None:
        if self._inner is not None:
            self._inner.dataReceived(data)
        elif self._waiting:
            self._received += data
            try:
                answered = self._answered()
            except ProxyRefused as error:
                self._give_up(Failure(error))
            else:
                if answered:
                    self._establish()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        inner, self._inner = self._inner, None
        if inner is not None:
            inner.connectionLost(reason)
        elif self._waiting:
            error = ProxyRefused(None, "it closed the connection instead of answering")
            error.__cause__ = reason.value
            self.established.errback(error)

    def _answered(self) -> bool:
        """
        Read as much of the proxy's answer as has arrived.

        @return: whether it opened the tunnel, and C{_received} is what came after; if not, there is
            more to come.
        @raise ProxyRefused: it did not open the tunnel.
        """
        while self._interim <= MOST_INTERIM_RESPONSES:
            # Whatever is no HTTP is told apart at once: such a peer may never end its "head".
            if not b"HTTP/1.".startswith(self._received[:7]):
                raise ProxyRefused(None, "it does not begin with HTTP/1.")
            end = _END_OF_HEAD.search(self._received, 0, _LONGEST_HEAD)
            if end is None:
                if len(self._received) >= _LONGEST_HEAD:
                    raise ProxyRefused(None, f"its head is longer than {_LONGEST_HEAD} bytes")
                return False
            found = _STATUS_LINE.match(self._received)
            if found is None:
                raise ProxyRefused(None, "its status line is malformed")
            status = int(found[1])
            if status >= 300:
                reason = (found[2] or b"").decode("latin-1")
                raise ProxyRefused(status, quote(reason, self._secrets))
            del self._received[: end.end()]
            if status >= 200:
                return True
            # An interim response (RFC 9110, section 15.2); the real one follows.
            self._interim += 1
        raise ProxyRefused(None, f"more than {MOST_INTERIM_RESPONSES} interim responses")

    def _establish(self) -> None:
        self._waiting = False
        rest, self._received = bytes(self._received), bytearray()
        try:
            inner = self._factory.buildProtocol(self.transport.getPeer())
            if inner is None:
                raise NoProtocol
            self._inner = inner
            inner.makeConnection(self.transport)
        except Exception:
            self._give_up(Failure())
            return
        if self.established.called:  # cancelled by the protocol's connectionMade
            return
        self.established.callback(inner)
        # Whoever was just told may have ended the connection, which then reads no more.
        if rest and not getattr(self.transport, "disconnecting", False):
            self.dataReceived(rest)

    def _give_up(self, failure: Failure) -> None:
        self._drop()
        if not self.established.called:
            self.established.errback(failure)

    def _cancelled(self, established: Deferred[IProtocol]) -> None:
        # Deferred.cancel() makes it fail with CancelledError after this.
        self._drop()

    def _drop(self) -> None:
        self._waiting = False
        self._received.clear()
        self.transport.abortConnection()
