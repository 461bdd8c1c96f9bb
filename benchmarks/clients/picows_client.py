"""
picows, which is written in Cython.
"""

from __future__ import annotations

import asyncio
import ssl
from itertools import cycle, islice

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from .client import Client
from .loops import ASYNCIO, Signal

_MAX_FRAME_SIZE = 1 << 27


class _Connection(WSListener):  # type: ignore[misc]
    """
    Waits while the transport's buffer is full, which is asyncio's way of backpressure.
    """

    def __init__(self, client: PicowsClient) -> None:
        self._client = client
        self.transport: WSTransport
        self.writable: Signal | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        client = self._client
        if frame.msg_type is WSMsgType.BINARY:
            # The other clients hand over bytes, too: a view would be gone with this call.
            frame.get_payload_as_bytes()
            client.received += 1
            if client.received == client.wanted:
                client.arrived()
        elif frame.msg_type is WSMsgType.TEXT:
            client.answered(frame.get_payload_as_ascii_text())

    def pause_writing(self) -> None:
        self.writable = ASYNCIO.signal()

    def resume_writing(self) -> None:
        signal, self.writable = self.writable, None
        if signal is not None:
            signal.fire(None)


class PicowsClient(Client):
    """
    Sends in turn over several connections.
    """

    async def open(self, url: str, authority: str | None, connections: int) -> None:
        context = ssl.create_default_context(cafile=authority) if authority else None
        opened = await asyncio.gather(
            *(
                ws_connect(
                    lambda: _Connection(self),
                    url,
                    ssl_context=context,
                    max_frame_size=_MAX_FRAME_SIZE,
                    websocket_handshake_timeout=60,
                )
                for _ in range(connections)
            )
        )
        self.connections: list[_Connection] = [listener for _, listener in opened]

    async def send(self, count: int) -> None:
        payload, binary = self.payload, WSMsgType.BINARY
        for connection in islice(cycle(self.connections), count):
            if connection.writable is not None:
                await connection.writable.value
            connection.transport.send(binary, payload)

    async def broadcast(self, count: int) -> None:
        for _ in range(count):
            await self.send(len(self.connections))

    async def tell(self, text: str) -> None:
        self.connections[0].transport.send(WSMsgType.TEXT, text.encode())

    async def tell_all(self, text: str) -> None:
        for connection in self.connections:
            connection.transport.send(WSMsgType.TEXT, text.encode())
