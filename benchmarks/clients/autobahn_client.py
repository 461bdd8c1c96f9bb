"""
Autobahn's client on Twisted, without anything in between.
"""

from __future__ import annotations

from itertools import cycle, islice
from typing import Any, ClassVar

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol, connectWS
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.ssl import Certificate, optionsForClientTLS
from zope.interface import implementer

from .client import Client
from .loops import TWISTED, Loop, Signal


@implementer(IPushProducer)
class _Connection(WebSocketClientProtocol):
    """
    Waits while the transport's buffer is full, which is Twisted's way of backpressure.
    """

    transport: Any
    writable: Signal | None = None

    def onOpen(self) -> None:
        self.transport.registerProducer(self, True)
        self.factory.client.opened(self)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        client = self.factory.client
        if isBinary:
            client.received += 1
            if client.received == client.wanted:
                client.arrived()
        else:
            client.answered(payload.decode())

    def pauseProducing(self) -> None:
        if self.writable is None:
            self.writable = TWISTED.signal()

    def resumeProducing(self) -> None:
        signal, self.writable = self.writable, None
        if signal is not None:
            signal.fire(None)

    def stopProducing(self) -> None:
        pass


class _Factory(WebSocketClientFactory):
    """
    Makes connections that know whose they are.
    """

    protocol = _Connection
    client: AutobahnClient


class AutobahnClient(Client):
    """
    Sends in turn over several connections.
    """

    loop: ClassVar[Loop] = TWISTED

    async def open(self, url: str, authority: str | None, connections: int) -> None:
        self.connections: list[Any] = []
        self._wanted_connections = connections
        self._all_open: Deferred[None] = Deferred()
        tls = None
        if authority:
            with open(authority, "rb") as file:
                trusted = Certificate.loadPEM(file.read())
            tls = optionsForClientTLS("127.0.0.1", trustRoot=trusted)
        reactor: Any = global_reactor
        self._factory = _Factory(url, reactor=reactor)  # type: ignore[no-untyped-call]
        self._factory.setProtocolOptions(  # type: ignore[no-untyped-call]
            openHandshakeTimeout=60
        )
        self._factory.client = self
        for _ in range(connections):
            connectWS(self._factory, tls, timeout=60)
        await self._all_open

    def opened(self, connection: _Connection) -> None:
        self.connections.append(connection)
        if len(self.connections) == self._wanted_connections:
            self._all_open.callback(None)

    async def send(self, count: int) -> None:
        payload = self.payload
        for connection in islice(cycle(self.connections), count):
            if connection.writable is not None:
                await connection.writable.value
            connection.sendMessage(payload, True)

    async def broadcast(self, count: int) -> None:
        for _ in range(count):
            prepared = self._factory.prepareMessage(self.payload, isBinary=True)
            for connection in self.connections:
                if connection.writable is not None:
                    await connection.writable.value
                connection.sendPreparedMessage(prepared)

    async def tell(self, text: str) -> None:
        self.connections[0].sendMessage(text.encode())

    async def tell_all(self, text: str) -> None:
        for connection in self.connections:
            connection.sendMessage(text.encode())
