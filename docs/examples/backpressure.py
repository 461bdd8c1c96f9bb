"""
64 MiB to a server that reads slowly: awaiting each send keeps the memory flat.
"""

from __future__ import annotations

from typing import Any

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater, react

from wsmultipool import ReconnectingPoolFactory

CHUNK = bytes(64 * 1024)
CHUNKS = 1024


class Slow(WebSocketServerProtocol):
    """
    Stops reading for a moment after every mebibyte.
    """

    transport: Any
    received = 0

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.received += len(payload)
        if self.received % (16 * len(CHUNK)) == 0:
            self.transport.pauseProducing()
            self.factory.reactor.callLater(0.01, self.transport.resumeProducing)


async def main(reactor: IReactorTime) -> None:
    factory = WebSocketServerFactory()
    factory.protocol = Slow
    port = await serverFromString(reactor, "tcp:0:interface=127.0.0.1").listen(factory)

    url = f"ws://127.0.0.1:{port.getHost().port}/"
    most = 0
    async with ReconnectingPoolFactory(url, reactor=reactor, pool_size=2) as pool:
        await pool.when_ready()
        for _ in range(CHUNKS):
            await pool.send(CHUNK)
            stats = pool.get_stats()
            held = stats.queued_bytes + sum(c.buffered_bytes for c in stats.connections)
            most = max(most, held)
            await deferLater(reactor, 0)
        await pool.broadcast_ping()
    print(f"sent {CHUNKS * len(CHUNK) // 2**20} MiB, held at most {most // 1024} KiB")
    await port.stopListening()


if __name__ == "__main__":
    react(main)
