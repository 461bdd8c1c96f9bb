"""
C{websockets}, its asyncio client.
"""

from __future__ import annotations

import asyncio
import ssl
from itertools import cycle, islice

from websockets.asyncio.client import ClientConnection, connect

from .client import Client


class WebsocketsClient(Client):
    """
    Sends in turn over several connections; a task reads from each.
    """

    async def open(self, url: str, authority: str | None, connections: int) -> None:
        context = ssl.create_default_context(cafile=authority) if authority else None
        self.connections: list[ClientConnection] = await asyncio.gather(
            *(
                connect(
                    url,
                    ssl=context,
                    compression=None,
                    max_size=None,
                    open_timeout=60,
                    proxy=None,
                )
                for _ in range(connections)
            )
        )
        self._readers = [asyncio.create_task(self._read(each)) for each in self.connections]

    async def _read(self, connection: ClientConnection) -> None:
        async for message in connection:
            if isinstance(message, bytes):
                self.received += 1
                if self.received == self.wanted:
                    self.arrived()
            else:
                self.answered(message)

    async def send(self, count: int) -> None:
        payload = self.payload
        for connection in islice(cycle(self.connections), count):
            await connection.send(payload)

    async def broadcast(self, count: int) -> None:
        for _ in range(count):
            for connection in self.connections:
                await connection.send(self.payload)

    async def tell(self, text: str) -> None:
        await self.connections[0].send(text)

    async def tell_all(self, text: str) -> None:
        for connection in self.connections:
            await connection.send(text)
