"""
After: the same with a pool.  Needs C{echo_server.py}.
"""

from __future__ import annotations

import sys

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import react

from wsmultipool import PoolService, ReconnectingPoolFactory

answered: Deferred[str] = Deferred()


async def main(reactor: IReactorTime, url: str = "ws://127.0.0.1:9000/") -> None:
    pool = ReconnectingPoolFactory(url, reactor=reactor, pool_size=2, start=False)

    @pool.on("message")
    def received(data: bytes, is_binary: bool, connection_id: int) -> None:
        answered.callback(data.decode())

    service = PoolService(pool)
    service.startService()
    await pool.send("hello")  # waits until a connection has taken it
    print(await answered)
    await service.stopService()


if __name__ == "__main__":
    react(main, sys.argv[1:])
