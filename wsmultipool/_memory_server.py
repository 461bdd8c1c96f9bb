"""
A WebSocket server in memory, for L{wsmultipool.testing}: Autobahn's, on a clock that a test moves.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.compress import PerMessageDeflateOffer, PerMessageDeflateOfferAccept
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from ._arguments import to_payload
from ._close_frames import CloseFrames
from ._memory_transport import connect
from .messages import SendData

if TYPE_CHECKING:
    from autobahn.websocket.types import ConnectionRequest
    from twisted.internet.interfaces import IProtocol, IProtocolFactory


class MemoryPeer:
    """
    The server's end of one connection.

    @ivar received: the messages that arrived, each C{(data, is_binary)}.
    @ivar pings: the payloads of the pings that arrived.
    @ivar pongs: the payloads of the pongs that arrived.
    @ivar headers: the headers of the upgrade request, by lower-case name.
    @ivar resource: its path and query.
    @ivar close_received: code and reason of the client's Close frame; C{None} before it.
    @ivar is_open: whether the opening handshake is over and the connection is not closed.
    @ivar connected: whether there is a transport.
    @ivar answers_close: set this to false to leave a Close frame without an answer.
    @ivar drops_tcp: set this to false to keep the transport after the closing handshake.
    @since: 0.1.0
    """

    def __init__(self, server: MemoryServer) -> None:
        self.received: list[tuple[bytes, bool]] = []
        self.pings: list[bytes] = []
        self.pongs: list[bytes] = []
        self.headers: Mapping[str, str] = {}
        self.resource = ""
        self.close_received: tuple[int | None, str] | None = None
        self.is_open = False
        self.connected = True
        self.answers_close = server.answers_close
        self.drops_tcp = True
        self._server = server
        self._protocol: Any = None

    def send(self, data: SendData, *, binary: bool | None = None) -> None:
        """
        Send a message.

        @param data: C{str} is sent as text, the others as binary, as by C{pool.send}.
        @since: 0.1.0
        """
        payload, is_binary = to_payload(data, binary)
        self._protocol.sendMessage(payload, is_binary)

    def ping(self, data: bytes = b"") -> None:
        """
        Send a ping.

        @since: 0.1.0
        """
        self._protocol.sendPing(data)

    def pong(self, data: bytes) -> None:
        """
        Send a pong that nobody asked for.

        @since: 0.1.0
        """
        self._protocol.sendPong(data)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """
        Start a closing handshake.

        @param code: any code, for instance 1012 for a restart.
        @since: 0.1.0
        """
        self._protocol.sendCloseFrame(code, reason.encode())

    def drop(self) -> None:
        """
        Reset the connection, without a closing handshake.

        @since: 0.1.0
        """
        self._protocol.transport.abortConnection()

    def fall_silent(self) -> None:
        """
        Break the connection so that neither side notices: nothing arrives any more.

        @since: 0.1.0
        """
        self._protocol.transport.cut()
        self._protocol.transport.peer.cut()

    def stop_reading(self) -> None:
        """
        Read nothing more, so that the client's buffers fill.

        @since: 0.1.0
        """
        self._protocol.transport.pauseProducing()

    def resume_reading(self) -> None:
        """
        Undo L{stop_reading}.

        @since: 0.1.0
        """
        self._protocol.transport.resumeProducing()

    def write(self, octets: bytes) -> None:
        """
        Write to the transport what may be no WebSocket frame at all.

        @since: 0.1.0
        """
        self._protocol.transport.write(octets)


@implementer(IStreamClientEndpoint)
class MemoryServer:
    """
    A WebSocket server in memory; also the endpoint that connects to it, so that a pool of any kind
    can use it by C{WebSocketOptions(endpoint=...)}.

    It accepts connections until it is told otherwise, which affects those that come after that.

    @param clock: the clock of the pool.
    @param protocols: the subprotocols it speaks, in order of preference.
    @param compression: whether it accepts permessage-deflate.
    @param latency: seconds that everything takes from one side to the other.
    @ivar peers: its ends of the connections, in the order they were made.
    @ivar attempts: when somebody tried to connect, in seconds of the clock.
    @ivar answers_close: whether new connections answer a Close frame.
    @since: 0.1.0
    """

    def __init__(
        self,
        clock: Clock,
        *,
        protocols: Sequence[str] = (),
        compression: bool = False,
        latency: float = 0.0,
    ) -> None:
        self.peers: list[MemoryPeer] = []
        self.attempts: list[float] = []
        self.answers_close = True
        self._clock = clock
        self._latency = latency
        self._factory = _ServerFactory(protocols, compression)
        self._refuses = False
        self._drops = False
        self._silent = False
        self._rejection: bytes | None = None

    @property
    def open_peers(self) -> list[MemoryPeer]:
        """
        Its ends of the connections that are open.

        @since: 0.1.0
        """
        return [peer for peer in self.peers if peer.is_open]

    def accept(self) -> None:
        """
        Accept connections from now on.

        @since: 0.1.0
        """
        self._refuses = self._drops = self._silent = False
        self._rejection = None

    def refuse(self) -> None:
        """
        Refuse TCP connections from now on.

        @since: 0.1.0
        """
        self.accept()
        self._refuses = True

    def be_silent(self) -> None:
        """
        Accept TCP connections from now on, but answer nothing.

        @since: 0.1.0
        """
        self.accept()
        self._silent = True

    def drop_when_open(self) -> None:
        """
        Reset every connection from now on as soon as it is open.

        @since: 0.1.0
        """
        self.accept()
        self._drops = True

    def reject(
        self,
        status: int,
        reason: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> None:
        """
        Answer upgrade requests from now on with this response.

        @param headers: besides C{Content-Length}.
        @since: 0.1.0
        """
        self.accept()
        lines = [f"HTTP/1.1 {status} {reason}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self.answer("\r\n".join([*lines, "", ""]).encode() + body)

    def answer(self, octets: bytes) -> None:
        """
        Answer upgrade requests from now on with these octets, whatever they are.

        @since: 0.1.0
        """
        self.accept()
        self._rejection = octets

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Connect a client, as L{IStreamClientEndpoint} says.

        @since: 0.1.0
        """
        self.attempts.append(self._clock.seconds())
        if self._refuses:
            return fail(ConnectionRefusedError())
        address = IPv4Address("TCP", "127.0.0.1", 80)
        protocol = protocolFactory.buildProtocol(address)
        if protocol is None:  # not wanted any more
            return fail(ConnectionRefusedError())
        peer = MemoryPeer(self)
        self.peers.append(peer)
        server_side = _ServerProtocol(peer, self._silent, self._drops, self._rejection)
        server_side.factory = self._factory
        peer._protocol = server_side
        connect(self._clock, self._latency, protocol, server_side)
        return succeed(protocol)


class _ServerFactory(WebSocketServerFactory):
    """
    Autobahn's options for the server's side; its timers would run on the real clock.
    """

    noisy = False

    def __init__(self, protocols: Sequence[str], compression: bool) -> None:
        state = random.getstate()  # which belongs to the test, and would be seeded anew
        super().__init__(  # type: ignore[no-untyped-call]
            reactor=object(), protocols=list(protocols)
        )
        random.setstate(state)
        self.openHandshakeTimeout = 0
        self.closeHandshakeTimeout = 0
        self.failByDrop = False
        self.requireMaskedClientFrames = False
        if compression:
            self.perMessageCompressionAccept = _accept_deflate


def _accept_deflate(offers: Any) -> Any:
    for offer in offers:
        if isinstance(offer, PerMessageDeflateOffer):
            return PerMessageDeflateOfferAccept(offer)
    return None


class _ServerProtocol(CloseFrames, WebSocketServerProtocol):  # type: ignore[misc]
    """
    The server's side of one connection.
    """

    transport: Any

    def __init__(
        self, peer: MemoryPeer, silent: bool, drops: bool, rejection: bytes | None
    ) -> None:
        super().__init__()
        self._peer = peer
        self._silent = silent
        self._drops = drops
        self._rejection = rejection

    def processHandshake(self) -> None:
        if self._silent or b"\r\n\r\n" not in self.data:
            return
        if self._rejection is None:
            super().processHandshake()
        else:
            self.data = b""
            self.transport.write(self._rejection)

    def onConnect(self, request: ConnectionRequest) -> str | None:
        self._peer.headers = request.headers
        self._peer.resource = self.http_request_uri
        for protocol in self.factory.protocols:
            if protocol in request.protocols:
                return str(protocol)
        return None

    def onOpen(self) -> None:
        self._peer.is_open = True
        if self._drops:
            server = self._peer._server
            server._clock.callLater(server._latency, self._peer.drop)  # behind the response

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self._peer.received.append((payload, isBinary))

    def onPing(self, payload: bytes) -> None:
        self._peer.pings.append(payload)
        super().onPing(payload)

    def onPong(self, payload: bytes) -> None:
        self._peer.pongs.append(payload)

    def onCloseFrame(self, code: Any, reasonRaw: Any) -> bool | None:
        self._peer.close_received = (code, (reasonRaw or b"").decode("utf-8", "replace"))
        self._peer.is_open = False
        if self._peer.answers_close:
            return super().onCloseFrame(code, reasonRaw)
        return None

    def dropConnection(self, abort: bool = False) -> None:
        if self._peer.drops_tcp:
            super().dropConnection(abort=False)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._peer.is_open = False
        self._peer.connected = False
        super().connectionLost(reason)
