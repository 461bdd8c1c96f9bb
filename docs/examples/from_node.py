"""
The counterpart of a small Node.js program.  Needs C{echo_server.py}.
"""

from __future__ import annotations

import sys

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import react

from wsmultipool import (
    QueueOverflow,
    ReconnectingPoolFactory,
    WebSocketOptions,
    create_console_logger,
)


async def main(reactor: IReactorTime, url: str = "ws://127.0.0.1:9000/") -> None:
    pool = ReconnectingPoolFactory(
        url,
        reactor=reactor,
        pool_size=3,
        reconnect_interval=1.0,
        max_reconnect_interval=30.0,
        heartbeat_interval=15.0,
        heartbeat_timeout=5.0,
        message_queue_size=1000,
        logger=create_console_logger(),
        ws_options=WebSocketOptions(
            headers={"Authorization": "Bearer token"},
            compression=True,
        ),
    )

    @pool.on("message")
    def received(data: bytes, is_binary: bool, connection_id: int) -> None:
        print(data if is_binary else data.decode())

    try:
        await pool.send("hello")
    except QueueOverflow as error:
        print(f"not sent: {error}")

    for success, result in await pool.broadcast(b"\x01\x02"):
        if not success:
            print(f"not sent: {result}")

    await pool.ping()
    await pool.close()


if __name__ == "__main__":
    react(main, sys.argv[1:])
