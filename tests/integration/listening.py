"""
Servers in this process: listening on loopback, with every connection counted and under control.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocolFactory,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import CertificateOptions
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.protocols.tls import TLSMemoryBIOFactory

from .deadline import limited
from .journal import Journal
from .running_reactor import reactor


class Connection(ProtocolWrapper):
    """
    Tells the server about the beginning and the end of one connection.
    """

    def connectionLost(self, reason: object = None) -> None:
        super().connectionLost(reason)  # type: ignore[no-untyped-call]
        assert isinstance(self.factory, Server)
        self.factory.journal.record("lost")

    def reset(self) -> None:
        """End the TCP connection with RST, by which the peer learns of no close."""
        cast(ITCPTransport, self.transport).abortConnection()


class Server(WrappingFactory):
    """
    One listening server: where it is, who is connected, and who was.

    @ivar journal: C{accepted} and C{lost}, once per connection.
    """

    protocol = Connection
    noisy = False

    def __init__(self, wrapped: IProtocolFactory) -> None:
        super().__init__(wrapped)  # type: ignore[no-untyped-call]
        self.journal = Journal()
        self.port = 0

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/"

    @property
    def accepted(self) -> int:
        """How many connections were ever accepted."""
        return self.journal.count("accepted")

    @property
    def connections(self) -> list[Connection]:
        return cast(list[Connection], list(self.protocols))

    def registerProtocol(self, p: ProtocolWrapper) -> None:
        super().registerProtocol(p)  # type: ignore[no-untyped-call]
        self.journal.record("accepted")

    def reset_all(self) -> None:
        for connection in self.connections:
            connection.reset()

    async def all_gone(self) -> None:
        """Wait until no connection is left."""
        await self.journal.when(lambda: not self.protocols)


class PerConnection(Factory):
    """
    Builds each connection's protocol with a callable, without a line in the log.
    """

    noisy = False

    def __init__(self, build: Callable[[], Protocol]) -> None:
        self._build = build

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        return self._build()


@asynccontextmanager
async def listening(
    build: Callable[[], Protocol] | IProtocolFactory,
    *,
    port: int = 0,
    tls: CertificateOptions | None = None,
) -> AsyncIterator[Server]:
    """
    Listen on 127.0.0.1 for the length of the context; drop what is still connected at its end.

    @param build: a protocol class, a callable that returns a protocol, or a whole factory.
    @param tls: what to speak TLS with; without it, the server speaks plain TCP.
    """
    factory = build if IProtocolFactory.providedBy(build) else PerConnection(build)
    # TLS goes between the counting and the protocol: one that looks at its transport sees TLS, and
    # a reset is one of TCP.
    server = Server(factory if tls is None else TLSMemoryBIOFactory(tls, False, factory))
    endpoint = TCP4ServerEndpoint(reactor, port, interface="127.0.0.1")
    listener = await endpoint.listen(server)
    address = listener.getHost()
    assert isinstance(address, IPv4Address)
    server.port = address.port
    try:
        yield server
    finally:
        await maybeDeferred(listener.stopListening)
        server.reset_all()
        await limited(Deferred.fromCoroutine(server.all_gone()), 10)


def port_of(listener: IListeningPort) -> int:
    """
    Return the TCP port that something listens on.
    """
    address = listener.getHost()
    assert isinstance(address, IPv4Address)
    return address.port


def unused_port() -> int:
    """
    Return a port of 127.0.0.1 that nothing listens on.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
