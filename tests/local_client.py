"""
A relay in memory, with its pool, and clients whose every octet a test decides about.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from wsmultipool._memory_transport import connect
from wsmultipool.service._client_frames import read_header
from wsmultipool.service.relay import RelayService
from wsmultipool.service.relay_options import RelayOptions
from wsmultipool.testing import MemoryPool

KEY = b"\x37\xfa\x21\x3d"
REQUEST: Mapping[str, str] = {
    "Host": "127.0.0.1:8080",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


def masked(first_octet: int, payload: bytes, key: bytes = KEY) -> bytes:
    """
    Return a frame as clients send it.
    """
    size = len(payload)
    if size < 126:
        header = bytes((first_octet, 0x80 | size))
    elif size < 65536:
        header = bytes((first_octet, 0xFE)) + size.to_bytes(2, "big")
    else:
        header = bytes((first_octet, 0xFF)) + size.to_bytes(8, "big")
    pad = key * (size // 4 + 1)
    return header + key + bytes(a ^ b for a, b in zip(payload, pad, strict=False))


@implementer(IListeningPort)
class Port:
    """
    What an endpoint in memory returns.
    """

    def __init__(self, host: str) -> None:
        self.listening = True
        self._host = host

    def startListening(self) -> None: ...

    def stopListening(self) -> Deferred[None]:
        self.listening = False
        return succeed(None)

    def getHost(self) -> IAddress:
        return IPv4Address("TCP", self._host, 8080)


@implementer(IStreamServerEndpoint)
class Endpoint:
    """
    Keeps the factory that it is given.
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.port = Port(host)
        self.factory: IProtocolFactory
        self.failure: Exception | None = None

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        if self.failure is not None:
            raise self.failure
        self.factory = protocolFactory
        result: Deferred[Any] = succeed(self.port)
        return result


class LocalClient(Protocol):
    """
    A program on this machine, by its octets.

    @ivar received: all that arrived.
    @ivar is_lost: whether the transport is gone.
    """

    transport: Any

    def __init__(self, request: bytes) -> None:
        self._request = request
        self.received = b""
        self.is_lost = False

    def connectionMade(self) -> None:
        self.transport.write(self._request)

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.is_lost = True

    def send(self, *payloads: str | bytes) -> None:
        """Send messages, in one write."""
        frames = [
            masked(0x81, p.encode()) if isinstance(p, str) else masked(0x82, p) for p in payloads
        ]
        self.transport.write(b"".join(frames))

    def close(self, code: int = 1000) -> None:
        self.transport.write(masked(0x88, code.to_bytes(2, "big")))

    @property
    def head(self) -> str:
        """The head of the response."""
        return self.received.partition(b"\r\n\r\n")[0].decode()

    @property
    def status(self) -> int:
        return int(self.head.split()[1])

    @property
    def body(self) -> str:
        return self.received.partition(b"\r\n\r\n")[2].decode()

    @property
    def frames(self) -> list[tuple[int, bytes]]:
        """Opcode and payload of each whole frame that arrived."""
        data = self.received.partition(b"\r\n\r\n")[2]
        found, at = [], 0
        while (header := read_header(data, at)) is not None and at + header.size <= len(data):
            size = data[at + 1]
            start = at + (2 if size < 126 else 4 if size == 126 else 10)
            found.append((data[at] & 0x0F, data[start : at + header.size]))
            at += header.size
        return found

    @property
    def messages(self) -> list[str | bytes]:
        return [p.decode() if code == 1 else p for code, p in self.frames if code in (1, 2)]

    @property
    def is_told_to_go(self) -> bool:
        """Whether a Close frame has arrived."""
        return self.close_frame is not None

    @property
    def close_frame(self) -> tuple[int, str] | None:
        """Code and reason of the Close frame; C{None} before it."""
        for opcode, payload in self.frames:
            if opcode == 8:
                return int.from_bytes(payload[:2], "big"), payload[2:].decode()
        return None


class RelayScene:
    """
    A relay that listens in memory; its pool is open unless a test says otherwise.

    @ivar memory: the pool, its server and the clock.
    """

    def __init__(
        self,
        *,
        pool: Mapping[str, Any] | None = None,
        is_open: bool = True,
        host: str = "127.0.0.1",
        **options: Any,
    ) -> None:
        self.memory = MemoryPool(
            **{"pool_size": 1, "overflow": "drop_newest", "logger": False, **(pool or {})}
        )
        if is_open:
            self.memory.open()
        self.endpoint = Endpoint(host)
        self.relay = RelayService(
            self.memory.pool, self.endpoint, RelayOptions(**options), reactor=self.memory.clock
        )
        self.memory.result(self.relay.listen())
        self.relay.startService()

    @property
    def upstream(self) -> list[tuple[bytes, bool]]:
        """What the server has got, on all connections."""
        return [message for peer in self.memory.server.peers for message in peer.received]

    def connect(self, headers: Mapping[str, str | None] | None = None) -> LocalClient:
        """
        Connect a client.

        @param headers: replace those of the request; C{None} leaves one out.
        """
        wanted = {**REQUEST, **(headers or {})}
        lines = [f"{name}: {value}" for name, value in wanted.items() if value is not None]
        return self.raw("\r\n".join(["GET / HTTP/1.1", *lines, "", ""]).encode("latin-1"))

    def raw(self, request: bytes) -> LocalClient:
        """Connect something that begins with these octets."""
        client = LocalClient(request)
        protocol = self.endpoint.factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 40000))
        if protocol is None:
            client.is_lost = True
            return client
        connect(self.memory.clock, 0.0, client, protocol)
        self.settle()
        return client

    def settle(self) -> None:
        """Let everything happen that takes no time."""
        self.memory.advance(0.01)

    def close(self) -> None:
        """Stop everything, and check that nothing is left behind."""
        stopped = self.relay.stopService()
        for _ in range(3):
            self.memory.advance(self.relay.options.close_timeout + 1)
        self.memory.advance(self.relay.options.settle_timeout)
        self.memory.result(stopped)
        self.memory.close()
