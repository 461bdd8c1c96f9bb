"""
Three connections, six messages, six answers.  Needs C{echo_server.py}.
"""

from __future__ import annotations

import sys

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import react

from wsmultipool import ReconnectingPoolFactory


async def main(reactor: IReactorTime, url: str = "ws://127.0.0.1:9000/") -> None:
    pool = ReconnectingPoolFactory(url, reactor=reactor, pool_size=3)
    await pool.when_ready()
    print(f"{pool.open_connections} connections are open")

    messages = pool.messages()
    for number in range(6):
        connection_id = await pool.send(f"hello {number}")
        print(f"connection {connection_id} has taken hello {number}")

    answers = 0
    async for data, _, connection_id in messages:
        print(f"connection {connection_id} brought {data.decode()}")
        answers += 1
        if answers == 6:
            break
    await pool.close()
    print("closed")


if __name__ == "__main__":
    react(main, sys.argv[1:])
