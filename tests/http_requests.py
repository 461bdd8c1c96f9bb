"""
HTTP without sockets: an endpoint to listen on, and requests to what listens there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from twisted.internet.testing import StringTransportWithDisconnection
from zope.interface import implementer


@dataclass
class Response:
    """
    What came back.

    @ivar headers: by lower-case name.
    """

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@implementer(IListeningPort)
class Port:
    """
    Where a factory listens.
    """

    def __init__(self, factory: IProtocolFactory, address: IAddress) -> None:
        self._factory = factory
        self._address = address
        self.listening = False

    def startListening(self) -> None:
        self.listening = True
        self._factory.doStart()

    def stopListening(self) -> Deferred[None]:
        self.listening = False
        self._factory.doStop()
        return succeed(None)

    def getHost(self) -> IAddress:
        return self._address


@implementer(IStreamServerEndpoint)
class ServerEndpoint:
    """
    Listens in memory.

    @param address: what the port says where it listens.
    @ivar listening: what C{listen} returns, instead of a port at once.
    """

    def __init__(self, address: IAddress | None = None) -> None:
        self._address = address or IPv4Address("TCP", "127.0.0.1", 8080)
        self.factory: IProtocolFactory | None = None
        self.port: Port | None = None
        self.listening: Deferred[IListeningPort] | None = None

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        if self.listening is not None:
            return self.listening
        self.factory = protocolFactory
        self.port = Port(protocolFactory, self._address)
        self.port.startListening()
        return succeed(self.port)

    def connect(self, *, reads: bool = True) -> Connection:
        """Connect to what listens, to read what comes from there, or not."""
        return Connection(self, StringTransportWithDisconnection if reads else FullTransport)

    def get(self, path: str, method: str = "GET", **headers: str) -> Response:
        """Make one request on a connection of its own."""
        connection = self.connect()
        connection.request(path, method, **headers)
        response = connection.response(method)
        connection.close()
        return response


class FullTransport(StringTransportWithDisconnection):
    """
    A transport whose other end does not read, so that it fills, as those of TCP do.
    """

    LIMIT = 65536

    def write(self, data: bytes) -> None:
        super().write(data)  # type: ignore[no-untyped-call]
        if self.producer is not None and self.io.tell() > self.LIMIT:
            self.producer.pauseProducing()

    def loseConnection(self) -> None:
        if not self.value():  # type: ignore[no-untyped-call]
            super().loseConnection()  # type: ignore[no-untyped-call]

    def abortConnection(self) -> None:
        super().loseConnection()  # type: ignore[no-untyped-call]

    def empty(self) -> bytes:
        """Have the other end read all there is."""
        data: bytes = self.value()  # type: ignore[no-untyped-call]
        self.clear()  # type: ignore[no-untyped-call]
        if self.producer is not None:
            self.producer.resumeProducing()
        return data


class Connection:
    """
    A client's end of one connection.

    @ivar transport: the server's.
    """

    def __init__(
        self,
        endpoint: ServerEndpoint,
        transport: type[StringTransportWithDisconnection] = StringTransportWithDisconnection,
    ) -> None:
        assert endpoint.factory is not None
        peer = IPv4Address("TCP", "127.0.0.1", 50000)
        self.transport: Any = transport(peerAddress=peer)
        protocol: Any = endpoint.factory.buildProtocol(peer)
        self.transport.protocol = protocol
        protocol.makeConnection(self.transport)
        self._protocol = protocol

    @property
    def connected(self) -> bool:
        connected: bool = self.transport.connected
        return connected

    def request(self, path: str, method: str = "GET", **headers: str) -> None:
        """Send a request; C{Host} is one of loopback's unless given, and none if empty."""
        headers.setdefault("host", "localhost:8080")
        lines = [
            f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items() if value
        ]
        version = "1.1" if headers["host"] else "1.0"
        head = f"{method} {path} HTTP/{version}\r\n{''.join(lines)}\r\n"
        self._protocol.dataReceived(head.encode())

    def send(self, data: bytes) -> None:
        """Send what follows the head of a request."""
        self._protocol.dataReceived(data)

    def received(self) -> bytes:
        """Return what has arrived since the last time."""
        data: bytes = self.transport.value()
        self.transport.clear()
        return data

    def response(self, method: str = "GET") -> Response:
        """Take one whole response apart."""
        head, _, body = self.received().partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in lines)
        }
        if headers.get("transfer-encoding") == "chunked":
            body = unchunked(body)
        elif method != "HEAD":
            assert len(body) == int(headers["content-length"])
        return Response(int(first.split()[1]), headers, body)

    def events(self) -> list[bytes]:
        """Return the data of the server-sent events that have arrived since the last time."""
        data = self.received()
        if data.startswith(b"HTTP/"):
            data = data.partition(b"\r\n\r\n")[2]
        lines = unchunked(data).split(b"\n")
        return [line.removeprefix(b"data: ") for line in lines if line.startswith(b"data: ")]

    def close(self) -> None:
        """Go."""
        self.transport.loseConnection()


def unchunked(data: bytes) -> bytes:
    """
    Undo the chunked transfer coding (RFC 9112, section 7.1).
    """
    body = b""
    while data:
        size, _, rest = data.partition(b"\r\n")
        length = int(size, 16)
        body += rest[:length]
        data = rest[length + 2 :]
    return body
