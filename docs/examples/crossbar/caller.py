"""
Uses whatever pools a realm offers, and survives the loss of any of them.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import os
from typing import Any

from autobahn.twisted.component import Component
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import react

from wsmultipool.wamp import PoolClient


async def main(reactor: IReactorTime) -> None:
    component = Component(
        transports={
            "url": os.environ.get("ROUTER_URL", "ws://127.0.0.1:8080/"),
            "max_retry_delay": 5,
        },
        realm="realm1",
        authentication={"ticket": {"authid": "app", "ticket": os.environ["APP_TICKET"]}},
    )
    client = PoolClient(component, "com.example.feed", retry=True)
    echoed: Deferred[None] = Deferred()

    async def subscribe(session: Any, details: object) -> None:
        def received(data: str | bytes, is_binary: bool, connection_id: int) -> None:
            print(f"connection {connection_id} brought {data!r}")
            if not echoed.called:
                echoed.callback(None)

        await session.subscribe(received, "com.example.feed.on_message")

    component.on("join", subscribe)
    component.start(reactor)

    connection = await client.send("hello", confirm=True)
    print(f"connection {connection} has delivered hello")
    results = await client.send_many([f"order {number}" for number in range(100)], confirm=True)
    print(f"{sum(succeeded for succeeded, _ in results)} of 100 orders delivered")
    await echoed
    component.stop()


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(main(reactor)))
