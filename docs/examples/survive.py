"""
Sends ten messages a second.  Stop C{echo_server.py} meanwhile, and start it again.
"""

from __future__ import annotations

import sys

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater, react
from twisted.python.failure import Failure

from wsmultipool import ReconnectingPoolFactory


def not_sent(failure: Failure) -> None:
    print(f"not sent: {failure.value}")


async def main(
    reactor: IReactorTime, url: str = "ws://127.0.0.1:9000/", messages: str = "200"
) -> None:
    pool = ReconnectingPoolFactory(url, reactor=reactor, pool_size=3)
    answers = set()

    @pool.on("message")
    def received(data: bytes, is_binary: bool, connection_id: int) -> None:
        answers.add(data)
        print(f"answer to {data.decode()} on connection {connection_id}", flush=True)

    @pool.on("error")
    def failed(error: Exception, connection_id: int) -> None:
        print(f"connection {connection_id}: {error}", flush=True)

    @pool.on("drain")
    def drained(count: int) -> None:
        print(f"{count} messages had waited, and are sent", flush=True)

    pool.on("pool:ready", lambda: print("every connection is open", flush=True))
    pool.on("pool:empty", lambda: print("no connection is open", flush=True))

    for number in range(int(messages)):
        pool.send(f"message {number}").addErrback(not_sent)
        await deferLater(reactor, 0.1)

    await pool.when_ready()
    await pool.broadcast_ping(timeout=5)  # the server answers in order: first those, then this
    stats = pool.get_stats()
    await pool.close()
    print(f"{len(answers)} of {messages} answered, {stats.reconnects} reconnects")


if __name__ == "__main__":
    react(main, sys.argv[1:])
