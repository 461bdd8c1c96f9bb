"""
Before: one Autobahn connection, kept by Twisted's C{ClientService}.  Needs C{echo_server.py}.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import sys
from urllib.parse import urlsplit

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from twisted.application.internet import ClientService
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import react

answered: Deferred[str] = Deferred()


class Client(WebSocketClientProtocol):
    def onOpen(self) -> None:
        self.sendMessage(b"hello")

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        answered.callback(payload.decode())


async def main(reactor: IReactorTime, url: str = "ws://127.0.0.1:9000/") -> None:
    factory = WebSocketClientFactory(url)
    factory.protocol = Client
    address = urlsplit(url)
    endpoint = clientFromString(reactor, f"tcp:{address.hostname}:{address.port}")
    service = ClientService(endpoint, factory)
    service.startService()
    print(await answered)
    await service.stopService()


if __name__ == "__main__":
    react(main, sys.argv[1:])
