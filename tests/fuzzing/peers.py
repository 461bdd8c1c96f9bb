"""
A server that says what a script says, and the pipe in memory on which it does.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from wsmultipool._memory_transport import MemoryTransport, connect
from wsmultipool.testing import MemoryServer

from .reference import client_frames

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
_CLOSE = 8
_ONE_READ = 65536

Ending = Literal["reset", "close", "silence", "goodbye"]
ENDINGS: tuple[Ending, ...] = ("reset", "close", "silence", "goodbye")


@dataclass(frozen=True)
class Request:
    """
    What the client asked for.

    @ivar head: its request, whole.
    """

    head: bytes

    @property
    def accept(self) -> bytes:
        """What C{Sec-WebSocket-Accept} must say (RFC 6455, section 4.2.2)."""
        for line in self.head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"sec-websocket-key":
                return b64encode(hashlib.sha1(value.strip() + _GUID).digest())
        return b""

    @property
    def upgrade(self) -> bytes:
        """The head that accepts it."""
        return (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + self.accept + b"\r\n\r\n"
        )


@dataclass
class Script:
    """
    What a peer says on one connection.

    @ivar answer: from the request to the reads in which the client gets the answer.
    @ivar ending: what the peer does after that: C{goodbye} is a Close frame, and an end of the
        transport once that is answered.
    @ivar remember: false for a peer that says, and hears, more than there is memory for.
    @ivar said: what was sent, if it is remembered.
    @ivar request: what was asked.
    """

    answer: Callable[[Request], Iterable[bytes]]
    ending: Ending = "reset"
    remember: bool = True
    said: bytearray = field(default_factory=bytearray)
    request: Request | None = None


class HostilePeer(Protocol):
    """
    The server's end of one connection that follows a script.
    """

    transport: Any

    def __init__(self, clock: Clock, script: Script) -> None:
        self.connected_now = True
        self.received = b""
        self._clock = clock
        self._script = script
        self._pieces: Iterator[bytes] = iter(())
        self._finished = False

    def dataReceived(self, data: bytes) -> None:
        if self._script.request is None or self._script.remember:
            self.received += data
        if self._script.request is None:
            head, end, rest = self.received.partition(b"\r\n\r\n")
            if end:
                self._script.request = Request(head + end)
                self.received = rest
                self._pieces = _in_reads(self._script.answer(self._script.request))
                self._speak()
        elif self._finished and self._script.ending == "goodbye" and self._heard_close():
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.connected_now = False

    def drop(self) -> None:
        """Reset the connection."""
        self.transport.abortConnection()

    def _speak(self) -> None:
        if not self.connected_now:
            return
        piece = next(self._pieces, None)
        if piece is None:
            self._end()
            return
        self._say(piece)
        # Behind the delivery of this piece, so that it is a read of its own.
        self._clock.callLater(0, self._speak)

    def _say(self, octets: bytes) -> None:
        if self._script.remember:
            self._script.said += octets
        self.transport.write(octets)

    def _end(self) -> None:
        self._finished = True
        if self._script.ending == "reset":
            self.drop()
        elif self._script.ending == "close":
            self.transport.loseConnection()
        elif self._script.ending == "goodbye":
            if self._heard_close():
                self._say(b"\x88\x00")
                self.transport.loseConnection()
            else:
                self._say(b"\x88\x02\x03\xe8")

    def _heard_close(self) -> bool:
        return any(opcode == _CLOSE for opcode, _, _ in client_frames(self.received))


def _in_reads(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """
    Split what the pipe would not deliver at once, and a reset would cut.
    """
    for piece in pieces:
        for at in range(0, len(piece), _ONE_READ):
            yield piece[at : at + _ONE_READ]


@implementer(IStreamClientEndpoint)
class HostileServer:
    """
    Follows one script per connection, and connects to a good server when they are used up.

    @ivar attempts: when somebody tried to connect, in seconds of the clock.
    @ivar peers: its ends of the connections that follow a script.
    """

    def __init__(
        self, clock: Clock, scripts: Sequence[Script], good: IStreamClientEndpoint
    ) -> None:
        self.attempts: list[float] = []
        self.scripts = list(scripts)
        self.peers: list[HostilePeer] = []
        self._clock = clock
        self._good = good

    @property
    def connected(self) -> list[HostilePeer]:
        """Its ends of the connections that are there now."""
        return [peer for peer in self.peers if peer.connected_now]

    @property
    def busy(self) -> bool:
        """Whether it still has a script, or a connection that follows one."""
        return bool(self.scripts or self.connected)

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        self.attempts.append(self._clock.seconds())
        if not self.scripts:
            return self._good.connect(protocolFactory)
        client = protocolFactory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 80))
        if client is None:
            return fail(ConnectionRefusedError())
        peer = HostilePeer(self._clock, self.scripts.pop(0))
        self.peers.append(peer)
        connect(self._clock, 0.0, client, peer)
        return succeed(client)


class _Tunnel(Protocol):
    """
    A good proxy's end of one connection: grants the tunnel and relays.
    """

    transport: Any

    def __init__(self, clock: Clock, server: MemoryServer) -> None:
        self._clock = clock
        self._server = server
        self._received = b""
        self._behind: MemoryTransport | None = None

    def dataReceived(self, data: bytes) -> None:
        if self._behind is not None:
            self._behind.write(data)
            return
        self._received += data
        if self._received.endswith(b"\r\n\r\n"):
            self.transport.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            self._server.connect(Factory.forProtocol(lambda: _Behind(self)))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._behind is not None:
            self._behind.loseConnection()


class _Behind(Protocol):
    """
    A good proxy's connection to the server.
    """

    transport: Any

    def __init__(self, front: _Tunnel) -> None:
        self._front = front

    def connectionMade(self) -> None:
        self._front._behind = self.transport

    def dataReceived(self, data: bytes) -> None:
        self._front.transport.write(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._front.transport.loseConnection()


@implementer(IStreamClientEndpoint)
class GoodProxy:
    """
    Connects to a proxy that grants a tunnel to the server in memory.
    """

    def __init__(self, clock: Clock, server: MemoryServer) -> None:
        self._clock = clock
        self._server = server

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        client = protocolFactory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 3128))
        if client is None:
            return fail(ConnectionRefusedError())
        connect(self._clock, 0.0, client, _Tunnel(self._clock, self._server))
        return succeed(client)
