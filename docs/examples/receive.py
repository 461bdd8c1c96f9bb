"""
Receives with a loop.  While the loop is busy, the server is not read from.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

from contextlib import aclosing

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall, deferLater, react

from wsmultipool import ReconnectingPoolFactory


class Prices(WebSocketServerProtocol):
    """
    Sends a price every millisecond.
    """

    def onOpen(self) -> None:
        self.price = 100
        self.sending = LoopingCall(self.send_price)
        self.sending.start(0.001)

    def send_price(self) -> None:
        if self.state == self.STATE_OPEN:
            self.price += 1
            self.sendMessage(b"%d" % self.price)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        self.sending.stop()


async def main(reactor: IReactorTime) -> None:
    factory = WebSocketServerFactory()
    factory.protocol = Prices
    port = await serverFromString(reactor, "tcp:0:interface=127.0.0.1").listen(factory)

    url = f"ws://127.0.0.1:{port.getHost().port}/"
    async with ReconnectingPoolFactory(url, reactor=reactor, pool_size=2) as pool:
        received = 0
        async with aclosing(pool.messages()) as messages:
            async for data, _, connection_id in messages:
                await deferLater(reactor, 0.05)  # what takes time
                print(f"{data.decode()} from connection {connection_id}")
                received += 1
                if received == 5:
                    break

    await port.stopListening()


if __name__ == "__main__":
    react(main)
