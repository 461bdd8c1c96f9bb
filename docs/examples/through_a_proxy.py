"""
Through an HTTP proxy that wants credentials::

    PROXY=http://user:password@127.0.0.1:3128 python through_a_proxy.py ws://127.0.0.1:9000/
"""

from __future__ import annotations

import os
import sys

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import react

from wsmultipool import ProxyRefused, ReconnectingPoolFactory, WebSocketOptions


async def main(reactor: IReactorTime, url: str) -> None:
    pool = ReconnectingPoolFactory(
        url,
        reactor=reactor,
        pool_size=2,
        max_reconnect_attempts=1,
        ws_options=WebSocketOptions(proxy=os.environ["PROXY"]),
    )

    @pool.on("error")
    def failed(error: Exception, connection_id: int) -> None:
        if isinstance(error, ProxyRefused) and error.status == 407:
            print("the proxy wants other credentials")

    async with pool:
        await pool.when_ready()
        await pool.send("hello")
        async for data, _, _ in pool.messages():
            print(data.decode())
            break


if __name__ == "__main__":
    react(main, sys.argv[1:])
