"""
One long message, sent while it is produced.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import react

from wsmultipool import FragmentLost, ReconnectingPoolFactory

received: Deferred[bytes] = Deferred()


class Collector(WebSocketServerProtocol):
    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if len(payload) > 100:
            received.callback(payload)


def lines() -> Iterator[str]:
    for number in range(1000):
        yield f"line {number}\n"


async def send_report(pool: ReconnectingPoolFactory) -> None:
    with suppress(FragmentLost):  # the last one tells
        for line in lines():
            await pool.send(line, key="report", fin=False)
    try:
        await pool.send("", key="report")  # fin=True, in any case: the message ends
    except FragmentLost:
        print("its connection was lost: send it again from the beginning")


async def main(reactor: IReactorTime) -> None:
    factory = WebSocketServerFactory()
    factory.protocol = Collector
    port = await serverFromString(reactor, "tcp:0:interface=127.0.0.1").listen(factory)

    url = f"ws://127.0.0.1:{port.getHost().port}/"
    async with ReconnectingPoolFactory(url, reactor=reactor, pool_size=2) as pool:
        await pool.when_ready()
        await send_report(pool)
        await pool.send("a message of its own")
        print(f"one message of {len(await received)} bytes")
    await port.stopListening()


if __name__ == "__main__":
    react(main)
