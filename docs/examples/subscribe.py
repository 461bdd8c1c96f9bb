"""
Log in and subscribe on every connection, before it takes traffic: also after a reconnect.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import json

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import react

from wsmultipool import PooledConnection, ReconnectingPoolFactory


class Ticker(WebSocketServerProtocol):
    """
    Expects a login, then a subscription.  Ends the connection after three ticks.
    """

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        request = json.loads(payload)
        if request["do"] == "login":
            self.answer("welcome" if request["password"] == "secret" else "no")
        elif request["do"] == "subscribe":
            self.answer("subscribed")
            for tick in range(3):
                self.sendMessage(json.dumps({"tick": tick}).encode())
            self.sendClose(1000)

    def answer(self, answer: str) -> None:
        self.sendMessage(json.dumps({"answer": answer}).encode())


class Client:
    def __init__(self, reactor: IReactorTime, url: str) -> None:
        self.ticks = 0
        self.twelve_ticks: Deferred[None] = Deferred()
        self._answers: dict[int, Deferred[str]] = {}
        self.pool = ReconnectingPoolFactory(
            url,
            reactor=reactor,
            pool_size=2,
            on_connect=self._set_up,
            reconnect_interval=0.1,
        )
        self.pool.on("message", self._received)

    async def _set_up(self, connection: PooledConnection) -> None:
        answer = await self._ask(connection, {"do": "login", "password": "secret"})
        if answer != "welcome":
            raise PermissionError("wrong password")  # this attempt has failed
        await self._ask(connection, {"do": "subscribe"})
        print(f"connection {connection.id} is subscribed")

    async def _ask(self, connection: PooledConnection, question: dict[str, str]) -> str:
        answer = self._answers[connection.id] = Deferred()
        await connection.send(json.dumps(question))
        return await answer

    def _received(self, data: bytes, is_binary: bool, connection_id: int) -> None:
        message = json.loads(data)
        if "answer" in message:
            self._answers.pop(connection_id).callback(message["answer"])
            return
        self.ticks += 1
        if self.ticks == 12:
            self.twelve_ticks.callback(None)


async def main(reactor: IReactorTime) -> None:
    factory = WebSocketServerFactory()
    factory.protocol = Ticker
    port = await serverFromString(reactor, "tcp:0:interface=127.0.0.1").listen(factory)

    client = Client(reactor, f"ws://127.0.0.1:{port.getHost().port}/")
    await client.twelve_ticks
    await client.pool.close()
    print("twelve ticks")
    await port.stopListening()


if __name__ == "__main__":
    react(main)
