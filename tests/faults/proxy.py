"""
A TCP proxy on loopback that breaks connections, each on command and in its own way.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any, cast

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol, ITCPTransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from .stream import Stream

_DIRECTIONS = ("to_server", "to_client")
# How long the last octets before a reset have to leave this process.
_LEAVING = 0.002


@implementer(IHalfCloseableProtocol)
class Side(Protocol):
    """
    One of the two connections of a link.

    @ivar stream: takes what arrives here to the other side.
    """

    transport: Any
    stream: Stream

    def __init__(self, made: Callable[[Side], None], lost: Callable[[Failure], None]) -> None:
        self._made = made
        self._lost = lost

    def connectionMade(self) -> None:
        cast(ITCPTransport, self.transport).setTcpNoDelay(True)
        self._made(self)

    def dataReceived(self, data: bytes) -> None:
        self.stream.received(data)

    def readConnectionLost(self) -> None:
        self.stream.ended()

    def writeConnectionLost(self) -> None:
        """The end of the other direction has been passed on."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._lost(reason)


class Link:
    """
    A client's connection, and the connection to the server that was made for it.

    @ivar broken: whether it has been broken in a way that does not pass.
    """

    def __init__(self, reactor: Any, port: int, gone: Callable[[], object]) -> None:
        self.broken = False
        self._reactor = reactor
        self._port = port
        self._gone = gone
        self._server: Side | None = None
        self._ended = False
        self._calls: list[Any] = []
        self.client = Side(self._accepted, self._lost)

    # Its beginning

    def _accepted(self, client: Side) -> None:
        client.transport.pauseProducing()
        server = Side(self._connected, self._lost)
        endpoint = TCP4ClientEndpoint(self._reactor, "127.0.0.1", self._port)
        self._connecting = endpoint.connect(Factory.forProtocol(lambda: server))
        self._connecting.addErrback(self._lost)

    def _connected(self, server: Side) -> None:
        if self._ended:
            server.transport.abortConnection()
            return
        self._server = server
        self.to_server = Stream(self._reactor, self.client, server, self._one_ended)
        self.to_client = Stream(self._reactor, server, self.client, self._one_ended)
        self.client.stream, server.stream = self.to_server, self.to_client
        self.client.transport.resumeProducing()

    @property
    def is_up(self) -> bool:
        """Whether both connections are there."""
        return self._server is not None and not self._ended

    # Its end

    def _one_ended(self) -> None:
        if self.to_server.passed_end and self.to_client.passed_end:
            self._end("loseConnection")

    def _lost(self, reason: Failure) -> None:
        # An orderly end has been passed on by the streams; whatever else ends one side, aborts the
        # other.
        self._end("abortConnection")

    def _end(self, how: str) -> None:
        if self._ended:
            return
        self._ended = True
        for call in self._calls:
            if call.active():
                call.cancel()
        if self._server is None:
            self._connecting.cancel()
        else:
            self.to_server.stop()
            self.to_client.stop()
            getattr(self._server.transport, how)()
        if self.client.transport is not None:
            getattr(self.client.transport, how)()
        self._gone()

    # What can be done to it

    def reset(self) -> None:
        """End both connections with RST."""
        self._end("abortConnection")

    def half_close(self, direction: str) -> None:
        """Tell one end that the other will send no more, and pass on nothing more to it."""
        self.broken = True
        self._stream(direction).half_close()

    def black_hole(self, directions: list[str]) -> None:
        """From now on take everything, and pass on nothing, not even the end."""
        self.broken = True
        for direction in directions:
            self._stream(direction).swallow()

    def cut(self, direction: str, after: int, end: str) -> None:
        """
        Pass on so many octets of what comes next, and no more.

        @param end: what is to follow: C{"reset"} or C{"close"}.
        """
        self.broken = True

        def cut_now() -> None:
            how = "abortConnection" if end == "reset" else "loseConnection"
            self._calls.append(self._reactor.callLater(_LEAVING, self._end, how))

        self._stream(direction).cut(after, cut_now)

    def corrupt(self, direction: str, octet: int, bit: int) -> None:
        """Flip one bit of the next octets that come in one read; C{octet} may be beyond them."""
        self._stream(direction).corrupt(octet, bit)

    def delay(self, by: float, seconds: float) -> None:
        """For some seconds, pass on everything so much later."""
        for direction in _DIRECTIONS:
            self._slow(direction, seconds, by, None)

    def throttle(self, rate: float, seconds: float) -> None:
        """For some seconds, pass on so many octets a second in each direction."""
        for direction in _DIRECTIONS:
            self._slow(direction, seconds, 0.0, rate)

    def _slow(self, direction: str, seconds: float, by: float, rate: float | None) -> None:
        stream = self._stream(direction)
        stream.slow(by, rate)
        self._calls = [call for call in self._calls if call.active()]
        self._calls.append(self._reactor.callLater(seconds, stream.slow, 0.0, None))

    def _stream(self, direction: str) -> Stream:
        if direction not in _DIRECTIONS:
            raise ValueError(f"no such direction: {direction}")
        stream: Stream = getattr(self, direction)
        return stream


class FaultProxy(Factory):
    """
    Accepts connections, and links each with one to the server.

    @ivar port: the server's; new connections go there.
    @ivar links: the links that are there, by their number, oldest first.
    """

    noisy = False

    def __init__(self, reactor: Any, port: int) -> None:
        self.port = port
        self.links: dict[int, Link] = {}
        self._reactor = reactor
        self._numbers = count()

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        number = next(self._numbers)
        link = self.links[number] = Link(
            self._reactor, self.port, partial(self.links.pop, number, None)
        )
        return link.client

    def whole_link(self, which: int) -> Link | None:
        """
        Return one of the links that are up and not broken; C{None} if there is none.

        @param which: any number; equal ones return the same link while nothing has changed.
        """
        whole = [link for link in self.links.values() if link.is_up and not link.broken]
        return whole[which % len(whole)] if whole else None
