"""
aiohttp's WebSocket client.
"""

from __future__ import annotations

import asyncio
import ssl
from itertools import cycle, islice

from aiohttp import ClientSession, ClientTimeout, ClientWebSocketResponse, TCPConnector, WSMsgType

from .client import Client


class AiohttpClient(Client):
    """
    Sends in turn over several connections; a task reads from each.
    """

    async def open(self, url: str, authority: str | None, connections: int) -> None:
        context = ssl.create_default_context(cafile=authority) if authority else True
        self._session = ClientSession(
            connector=TCPConnector(limit=0, ssl=context), timeout=ClientTimeout(total=60)
        )
        self.connections: list[ClientWebSocketResponse] = await asyncio.gather(
            *(self._session.ws_connect(url, compress=0, max_msg_size=0) for _ in range(connections))
        )
        self._readers = [asyncio.create_task(self._read(each)) for each in self.connections]

    async def _read(self, connection: ClientWebSocketResponse) -> None:
        async for message in connection:
            if message.type is WSMsgType.BINARY:
                self.received += 1
                if self.received == self.wanted:
                    self.arrived()
            elif message.type is WSMsgType.TEXT:
                self.answered(message.data)

    async def send(self, count: int) -> None:
        payload = self.payload
        for connection in islice(cycle(self.connections), count):
            await connection.send_bytes(payload)

    async def broadcast(self, count: int) -> None:
        for _ in range(count):
            for connection in self.connections:
                await connection.send_bytes(self.payload)

    async def tell(self, text: str) -> None:
        await self.connections[0].send_str(text)

    async def tell_all(self, text: str) -> None:
        for connection in self.connections:
            await connection.send_str(text)
