"""
A pool over a unix socket: the URL says what to ask for, the endpoint where to connect to.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from autobahn.twisted.websocket import WebSocketServerFactory
from echo_server import Echo
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import react

from wsmultipool import ReconnectingPoolFactory, WebSocketOptions


async def main(reactor: IReactorTime) -> None:
    with tempfile.TemporaryDirectory() as directory:
        socket = Path(directory) / "echo.sock"
        factory = WebSocketServerFactory()
        factory.protocol = Echo
        port = await serverFromString(reactor, f"unix:{socket}").listen(factory)

        async with ReconnectingPoolFactory(
            "ws://localhost/feed",
            reactor=reactor,
            pool_size=2,
            ws_options=WebSocketOptions(endpoint=f"unix:{socket}"),
        ) as pool:
            await pool.send("hello")
            async for data, _, _ in pool.messages():
                print(data.decode())
                break

        await port.stopListening()


if __name__ == "__main__":
    react(main)
