"""
Stop, instead of trying for ever, when the server does not accept the credentials.
"""

from __future__ import annotations

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.types import ConnectionDeny, ConnectionRequest
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import react

from wsmultipool import (
    ConnectionClosed,
    ReconnectingPoolFactory,
    UpgradeRejected,
    WebSocketOptions,
)

# What another attempt with the same credentials would not change.
REFUSING_STATUS = {401, 403}
REFUSING_CODES = {1008, 3000, 3003, 4001}


class Guarded(WebSocketServerProtocol):
    """
    Wants a token in the upgrade request, and accepts one only.
    """

    def onConnect(self, request: ConnectionRequest) -> None:
        if "authorization" not in request.headers:
            raise ConnectionDeny(401, "Unauthorized")

    def onOpen(self) -> None:
        if self.http_headers["authorization"] != "Bearer good":
            self.sendClose(4001, "invalid API key")


async def run(reactor: IReactorTime, url: str, headers: dict[str, str]) -> str:
    """
    Use a pool until it is refused; return why it was.
    """
    refused: Deferred[str] = Deferred()
    pool = ReconnectingPoolFactory(
        url, reactor=reactor, pool_size=2, ws_options=WebSocketOptions(headers=headers)
    )

    def stop(why: object) -> None:
        if not refused.called:
            refused.callback(str(why))

    @pool.on("error")
    def failed(error: Exception, connection_id: int) -> None:
        if isinstance(error, UpgradeRejected) and error.status in REFUSING_STATUS:
            stop(error)
        if isinstance(error, ConnectionClosed) and error.code in REFUSING_CODES:
            stop(error)  # before it was open: during on_connect

    @pool.on("close")
    def closed(connection_id: int, code: int, reason: str) -> None:
        if code in REFUSING_CODES:
            stop(f"closed with {code}: {reason}")

    try:
        return await refused
    finally:
        await pool.close()


async def main(reactor: IReactorTime) -> None:
    factory = WebSocketServerFactory()
    factory.protocol = Guarded
    port = await serverFromString(reactor, "tcp:0:interface=127.0.0.1").listen(factory)
    url = f"ws://127.0.0.1:{port.getHost().port}/"

    print("no token:", await run(reactor, url, {}))
    print("bad token:", await run(reactor, url, {"Authorization": "Bearer bad"}))
    await port.stopListening()


if __name__ == "__main__":
    react(main)
