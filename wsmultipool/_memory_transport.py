"""
A pipe in memory with a Twisted transport at each end, on a clock that a test moves.

It does what TCP transports do where it matters: pauses a producer above 64 KiB, from within
C{write}, and resumes it when the buffer is empty; delivers what was written before an orderly
close; loses it on an abort; can be cut so that neither end notices.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IConsumer, IPushProducer, ITCPTransport
from twisted.python.failure import Failure
from zope.interface import implementer

if TYPE_CHECKING:
    from twisted.internet.interfaces import IProtocol
    from twisted.internet.task import Clock

_HIGH_WATER = 65536
_ONE_READ = 65536


@implementer(ITCPTransport, IConsumer, IPushProducer)
class MemoryTransport:
    """
    One end of a pipe.

    @ivar protocol: what runs over it.
    @ivar connected: false once C{connectionLost} was, or is about to be, called.
    """

    protocol: IProtocol
    peer: MemoryTransport

    def __init__(self, clock: Clock, latency: float, port: int, peer_port: int) -> None:
        self.connected = True
        self.disconnecting = False
        self._clock = clock
        self._latency = latency
        self._host = IPv4Address("TCP", "127.0.0.1", port)
        self._peer_address = IPv4Address("TCP", "127.0.0.1", peer_port)
        self._outgoing: deque[bytes] = deque()
        self._buffered = 0
        self._on_the_way = False
        self._reading = True
        self._cut = False
        self._producer: Any = None
        self._producer_paused = False

    # ITransport

    def write(self, data: bytes) -> None:
        if not data or not self.connected or self.disconnecting:
            return
        self._outgoing.append(data)
        self._buffered += len(data)
        if self._producer is not None and self._buffered > _HIGH_WATER:
            self._producer_paused = True
            self._producer.pauseProducing()
        self._deliver_soon()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        if self.connected and not self.disconnecting:
            self.disconnecting = True
            self._close_if_written()

    def abortConnection(self) -> None:
        if self.connected:
            self._forget_outgoing()
            self._lose(ConnectionAborted(), ConnectionLost("Connection reset."))

    def getPeer(self) -> IPv4Address:
        return self._peer_address

    def getHost(self) -> IPv4Address:
        return self._host

    # ITCPTransport

    def getTcpNoDelay(self) -> bool:
        return True

    def setTcpNoDelay(self, enabled: bool) -> None:
        """There is nothing to delay."""

    def getTcpKeepAlive(self) -> bool:
        return False

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """There is nothing to keep alive."""

    def loseWriteConnection(self) -> None:
        """Like L{loseConnection}: no protocol here can make use of half a connection."""
        self.loseConnection()

    # IConsumer: what is written to it

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        if self._producer is not None:
            raise RuntimeError("there is a producer already")
        if not streaming:
            raise RuntimeError("only push producers are supported")
        if self.connected:
            self._producer = producer
        else:
            producer.stopProducing()

    def unregisterProducer(self) -> None:
        self._producer = None
        self._close_if_written()

    # IPushProducer: what is read from it

    def pauseProducing(self) -> None:
        self._reading = False

    def resumeProducing(self) -> None:
        self._reading = True
        self.peer._deliver_soon()

    def stopProducing(self) -> None:
        self.loseConnection()

    # What happens between the ends

    def cut(self) -> None:
        """From now on nothing arrives at the other end, nor any news from this one."""
        self._cut = True

    def _deliver_soon(self) -> None:
        if self._outgoing and not self._on_the_way and not self._cut and self.peer._reading:
            self._on_the_way = True
            self._clock.callLater(self._latency, self._deliver)

    def _deliver(self) -> None:
        self._on_the_way = False
        if self._cut or not self.peer._reading or not self._outgoing:
            return
        size = 0
        arriving = []
        while self._outgoing and size < _ONE_READ:
            arriving.append(self._outgoing.popleft())
            size += len(arriving[-1])
        data = b"".join(arriving)
        if size > _ONE_READ:
            self._outgoing.appendleft(data[_ONE_READ:])
            data = data[:_ONE_READ]
        self._buffered -= len(data)
        if self.peer.connected:
            self.peer.protocol.dataReceived(data)
        if not self._outgoing and self._producer is not None and self._producer_paused:
            self._producer_paused = False
            self._producer.resumeProducing()
        self._close_if_written()
        self._deliver_soon()

    def _close_if_written(self) -> None:
        # As in Twisted, a producer that is registered may still have something to write.
        if self.disconnecting and self.connected and not self._outgoing and self._producer is None:
            self._lose(ConnectionDone(), ConnectionDone())

    def _lose(self, here: Exception, there: Exception) -> None:
        self.connected = False
        self._clock.callLater(0, self.protocol.connectionLost, Failure(here))
        if not self._cut:
            self._clock.callLater(self._latency, self.peer._lost, there)

    def _lost(self, reason: Exception) -> None:
        if self.connected and not self._cut:
            self.connected = False
            self._forget_outgoing()
            self.protocol.connectionLost(Failure(reason))

    def _forget_outgoing(self) -> None:
        self._outgoing.clear()
        self._buffered = 0


def connect(clock: Clock, latency: float, client: IProtocol, server: IProtocol) -> None:
    """
    Connect two protocols; the server's is told first, as its socket exists first.
    """
    here = MemoryTransport(clock, latency, 40000, 80)
    there = MemoryTransport(clock, latency, 80, 40000)
    here.peer, there.peer = there, here
    here.protocol, there.protocol = client, server
    server.makeConnection(there)
    client.makeConnection(here)
