"""
A link on which each connection has its own limit, as on the Internet: a proxy that lets no
connection have more than a window of octets under way, and delays each octet by half of a round
trip.  So a connection gets a window per round trip, however fast the machine is.

C{python -m benchmarks.link PORT} writes the port it listens on; PORT is the server's.
"""

from __future__ import annotations

import asyncio
import socket
import sys

WINDOW = 65536
ROUND_TRIP = 0.020


class Direction:
    """
    One direction of one connection, that of the octets the client sends.
    """

    def __init__(self, source: socket.socket, target: asyncio.Transport) -> None:
        self._source = source
        self._target = target
        self._under_way = 0
        self._room = asyncio.Event()

    async def forward(self) -> None:
        """
        Forward until the source ends.
        """
        loop = asyncio.get_running_loop()
        while data := await loop.sock_recv(self._source, WINDOW - self._under_way):
            self._under_way += len(data)
            loop.call_later(ROUND_TRIP / 2, self._target.write, data)
            loop.call_later(ROUND_TRIP, self._acknowledged, len(data))
            if self._under_way == WINDOW:
                self._room.clear()
                await self._room.wait()
        loop.call_later(ROUND_TRIP / 2, self._target.close)

    def _acknowledged(self, size: int) -> None:
        self._under_way -= size
        self._room.set()


class Answers(asyncio.Protocol):
    """
    The other direction: delayed, and otherwise as it comes.
    """

    def __init__(self, client: socket.socket) -> None:
        self._client = client

    def data_received(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        # They are short: the handshake, and answers to commands.
        loop.call_later(ROUND_TRIP / 2, self._client.send, data)


async def _connection(client: socket.socket, port: int) -> None:
    loop = asyncio.get_running_loop()
    with client:
        transport, _ = await loop.create_connection(lambda: Answers(client), "127.0.0.1", port)
        try:
            await Direction(client, transport).forward()
        except ConnectionError:
            transport.abort()


async def _serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    with socket.socket() as listener:
        # What the kernel takes from the client beyond the window would hide the limit from it.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WINDOW)
        listener.bind(("127.0.0.1", 0))
        listener.listen(100)
        listener.setblocking(False)
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        connections = set()
        while True:
            client, _ = await loop.sock_accept(listener)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = loop.create_task(_connection(client, port))
            connections.add(task)
            task.add_done_callback(connections.discard)


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
