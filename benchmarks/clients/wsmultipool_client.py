"""
wsmultipool: the pool of this project.
"""

from __future__ import annotations

from collections import deque
from typing import Any, ClassVar

from twisted.internet.defer import Deferred

from wsmultipool import ReconnectingPoolFactory, TLSOptions, WebSocketOptions, speedups

from .client import Client
from .loops import TWISTED, Loop

# Broadcasts of 1 MiB to 64 connections are 64 MiB each, more than a pool holds unless told to.
_MAX_BUFFERED_BYTES = 256 * 1024 * 1024

# What of confirmed messages is outstanding at most.
_WINDOW = 1000
_WINDOW_BYTES = 32 * 1024 * 1024


class WsmultipoolClient(Client):
    """
    One pool; each send is awaited.
    """

    loop: ClassVar[Loop] = TWISTED

    async def open(self, url: str, authority: str | None, connections: int) -> None:
        tls = TLSOptions(trust_root=authority) if authority else None
        self._pool = ReconnectingPoolFactory(
            url,
            pool_size=connections,
            open_timeout=60.0,
            max_buffered_bytes=_MAX_BUFFERED_BYTES,
            logger=False,
            ws_options=WebSocketOptions(tls=tls),
        )
        self._pool.on("message", self._on_message)
        await self._pool.when_ready()

    def _on_message(self, data: bytes, is_binary: bool, connection_id: int) -> None:
        if is_binary:
            self.received += 1
            if self.received == self.wanted:
                self.arrived()
        else:
            self.answered(data.decode())

    async def send(self, count: int) -> None:
        send, payload = self._pool.send, self.payload
        for _ in range(count):
            await send(payload)

    async def broadcast(self, count: int) -> None:
        for _ in range(count):
            await self._pool.broadcast(self.payload)

    async def confirm(self, count: int) -> None:
        outstanding: deque[Deferred[int]] = deque()
        window = max(1, min(_WINDOW, _WINDOW_BYTES // len(self.payload)))
        for _ in range(count):
            if len(outstanding) == window:
                await outstanding.popleft()
            outstanding.append(self._pool.send(self.payload, confirm=True))
        for confirmed in outstanding:
            await confirmed

    async def tell(self, text: str) -> None:
        await self._pool.send(text)

    async def tell_all(self, text: str) -> None:
        await self._pool.broadcast(text)

    def notes(self) -> dict[str, Any]:
        return {"speedups": str(speedups())}
