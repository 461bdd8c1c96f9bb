"""
A thread that works, and sends what comes of it through a pool.
"""

# mypy: allow-untyped-calls, disable-error-code="arg-type"

from __future__ import annotations

from typing import Any

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import react
from twisted.internet.threads import blockingCallFromThread, deferToThread

from wsmultipool import ReconnectingPoolFactory, WrongThread


class Shown(WebSocketServerProtocol):
    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        print("received:", payload.decode())


async def main(reactor: Any) -> None:
    factory = WebSocketServerFactory()
    factory.protocol = Shown
    port = await serverFromString(reactor, "tcp:0:interface=127.0.0.1").listen(factory)
    url = f"ws://127.0.0.1:{port.getHost().port}/"
    pool = ReconnectingPoolFactory(url, reactor=reactor, pool_size=1)

    def work() -> None:
        reactor.callFromThread(pool.send, "half of it is done")
        confirmed: int = blockingCallFromThread(
            reactor, pool.send, "the result is 42", confirm=True
        )
        print("the server has it, from connection", confirmed)
        try:
            pool.send("straight on")
        except WrongThread:
            print("not like this")

    await pool.when_ready()
    await deferToThread(work)
    await pool.close()
    await port.stopListening()


if __name__ == "__main__":
    react(main)
