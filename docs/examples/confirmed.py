"""
Nothing lost: a thousand orders arrive although the server drops one connection after another.
"""

from __future__ import annotations

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet.defer import DeferredSemaphore
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import react

from wsmultipool import DeliveryUnknown, ReconnectingPoolFactory

booked: set[bytes] = set()
failed: list[DeliveryUnknown] = []


class Orders(WebSocketServerProtocol):
    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if payload not in booked:  # it may arrive twice
            booked.add(payload)
            if len(booked) % 100 == 0:
                self.dropConnection(abort=True)


async def main(reactor: IReactorTime) -> None:
    factory = WebSocketServerFactory()
    factory.protocol = Orders
    port = await serverFromString(reactor, "tcp:0:interface=127.0.0.1").listen(factory)

    url = f"ws://127.0.0.1:{port.getHost().port}/"
    pool = ReconnectingPoolFactory(
        url,
        reactor=reactor,
        pool_size=4,
        reconnect_interval=0.05,
        overflow="wait",
        max_deliveries=10,
        heartbeat_interval=15,  # finds a server that has vanished without a word
    )
    pool.on("error", lambda error, connection_id: None)
    async with pool:
        unconfirmed = DeferredSemaphore(100)
        for number in range(1000):
            await unconfirmed.acquire()
            sent = pool.send(f"order {number}", confirm=True)
            sent.addCallbacks(lambda _: None, lambda failure: failed.append(failure.value))
            sent.addBoth(lambda _: unconfirmed.release())
        for _ in range(100):
            await unconfirmed.acquire()
    print(f"{len(booked)} orders booked, {len(failed)} failed")
    await port.stopListening()


if __name__ == "__main__":
    react(main)
