"""
Equal keys, one order: the steps of each order arrive in order, over four connections.
"""

from __future__ import annotations

from collections import defaultdict

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import react

from wsmultipool import ReconnectingPoolFactory

arrived: defaultdict[str, list[int]] = defaultdict(list)


class Orders(WebSocketServerProtocol):
    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        order, step = payload.decode().split()
        arrived[order].append(int(step))


async def main(reactor: IReactorTime) -> None:
    factory = WebSocketServerFactory()
    factory.protocol = Orders
    port = await serverFromString(reactor, "tcp:0:interface=127.0.0.1").listen(factory)

    url = f"ws://127.0.0.1:{port.getHost().port}/"
    async with ReconnectingPoolFactory(url, reactor=reactor, pool_size=4) as pool:
        await pool.when_ready()
        used = set()
        for step in range(100):
            for order in ("apples", "pears", "plums", "quinces", "figs"):
                used.add(await pool.send(f"{order} {step}", key=order))
        await pool.broadcast_ping()  # answered after everything before it was processed
        print(f"{len(used)} connections used")
    for order, steps in sorted(arrived.items()):
        print(order, "in order" if steps == list(range(100)) else steps)
    await port.stopListening()


if __name__ == "__main__":
    react(main)
