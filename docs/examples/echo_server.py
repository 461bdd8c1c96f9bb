"""
A WebSocket server that sends every message back, for the other examples to talk to.

It goes on until it is interrupted::

    python echo_server.py
    python echo_server.py tcp:9000:interface=127.0.0.1
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import sys

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import react


class Echo(WebSocketServerProtocol):
    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.sendMessage(payload, isBinary)


async def main(reactor: IReactorTime, where: str = "tcp:9000:interface=127.0.0.1") -> None:
    factory = WebSocketServerFactory()
    factory.protocol = Echo
    port = await serverFromString(reactor, where).listen(factory)
    print("listening on", port.getHost(), flush=True)
    await Deferred()  # which never fires


if __name__ == "__main__":
    react(main, sys.argv[1:])
