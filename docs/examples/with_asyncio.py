"""
A program on Twisted's asyncio reactor: hooks and handlers await what asyncio offers, and Deferreds.
"""

# mypy: allow-untyped-calls
# ruff: noqa: E402

from __future__ import annotations

import asyncio

from twisted.internet import asyncioreactor

asyncioreactor.install()  # before anything imports the reactor

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import react

from wsmultipool import PooledConnection, ReconnectingPoolFactory, WebSocketOptions


class Echo(WebSocketServerProtocol):
    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.sendMessage(payload, isBinary)


async def headers() -> dict[str, str]:
    async with asyncio.timeout(5):
        await asyncio.sleep(0.01)  # asks for a token, with aiohttp or httpx
    return {"Authorization": "Bearer token"}


async def log_in(connection: PooledConnection) -> None:
    await asyncio.sleep(0.01)
    await connection.send("log in", confirm=True)  # a Deferred


async def main(reactor: IReactorTime) -> None:
    factory = WebSocketServerFactory()
    factory.protocol = Echo
    port = await serverFromString(reactor, "tcp:0:interface=127.0.0.1").listen(factory)
    pool = ReconnectingPoolFactory(
        f"ws://127.0.0.1:{port.getHost().port}/",
        reactor=reactor,
        pool_size=1,
        on_connect=log_in,
        ws_options=WebSocketOptions(headers=headers),
    )
    seen: Deferred[None] = Deferred()

    @pool.on("message")
    async def on_message(data: bytes, is_binary: bool, connection_id: int) -> None:
        await asyncio.sleep(0.01)  # stores it, with asyncpg
        print("stored:", data.decode())
        if data == b"hello":
            seen.callback(None)

    await pool.send("hello")
    await seen
    await pool.close()
    await port.stopListening()


if __name__ == "__main__":
    react(main)
