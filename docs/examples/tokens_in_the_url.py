"""
A token in the URL of every attempt to connect: each is good for one handshake only.
"""

from __future__ import annotations

from itertools import count
from urllib.parse import urlencode

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.types import ConnectionDeny, ConnectionRequest
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater, react

from wsmultipool import ReconnectingPoolFactory, WebSocketOptions

valid_tokens: set[str] = set()
numbers = count(1)


class Guarded(WebSocketServerProtocol):
    """
    Admits each token once, and ends every connection at its first message.
    """

    def onConnect(self, request: ConnectionRequest) -> None:
        (token,) = request.params.get("token", [""])
        if token not in valid_tokens:
            raise ConnectionDeny(401, "Unauthorized")
        valid_tokens.remove(token)
        print("admitted", token)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.sendClose(1000)


async def main(reactor: IReactorTime) -> None:
    factory = WebSocketServerFactory()
    factory.protocol = Guarded
    port = await serverFromString(reactor, "tcp:0:interface=127.0.0.1").listen(factory)
    base = f"ws://127.0.0.1:{port.getHost().port}/feed"

    async def url() -> str:
        await deferLater(reactor, 0.01)  # asks the service that makes tokens
        token = f"token-{next(numbers)}"
        valid_tokens.add(token)
        return f"{base}?{urlencode({'token': token})}"

    pool = ReconnectingPoolFactory(
        base,
        reactor=reactor,
        pool_size=1,
        reconnect_interval=0.1,
        ws_options=WebSocketOptions(url=url),
    )
    for _ in range(3):
        await pool.when_open()
        await pool.send("good bye")
        while pool.open_connections:
            await deferLater(reactor, 0.01)
    await pool.close()
    await port.stopListening()


if __name__ == "__main__":
    react(main)
