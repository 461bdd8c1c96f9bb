"""
Local clients of a relay, which is a process of its own between them and the server.

What they send are frames prepared before, so that the relay is what is measured, and not they.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from typing import Any

from .client import Client
from .raw_client import BLOCK_SIZE, REQUEST, frame

# Clients of the relay, unless more are asked for, and connections of its pool.
_CLIENTS = 8
_POOL_SIZE = 4

_TEXT = 0x81
_BINARY = 0x82


class RelayClient(Client):
    """
    Local clients; the first of them counts what arrives, as every one gets everything.
    """

    async def open(self, url: str, authority: str | None, connections: int) -> None:
        # Standard error is the benchmark's, so that what goes wrong can be read there.
        self._relay = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.clients.relay_process", url, str(_POOL_SIZE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._relay.stdout is not None
        port = int(self._relay.stdout.readline())
        one = frame(_BINARY, self.payload)
        self._frame_size = len(one)
        self._frames_per_block = max(1, BLOCK_SIZE // len(one))
        self._block = one * self._frames_per_block
        self._unread = b""
        self._sockets = [await _connected(port) for _ in range(_CLIENTS)]
        asyncio.get_running_loop().add_reader(self._sockets[0], self._read)
        self._resident = self._relay_resident()
        self._more = max(0, connections - _CLIENTS)
        self._sockets += [await _connected(port) for _ in range(self._more)]

    def _relay_resident(self) -> int:
        with open(f"/proc/{self._relay.pid}/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def _read(self) -> None:
        data = self._unread + self._sockets[0].recv(BLOCK_SIZE)
        at = 0
        while len(data) >= at + 2:
            size, start = data[at + 1], at + 2
            if size == 126:
                size, start = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
            end = start + size
            if len(data) < end:
                break
            if data[at] == _TEXT:
                self.answered(data[start:end].decode())
            else:
                self.received += 1
                if self.received == self.wanted:
                    self.arrived()
            at = end
        self._unread = data[at:]

    async def send(self, count: int) -> None:
        if count < _CLIENTS:
            await self._send(self._sockets[0], count)
            return
        each, rest = divmod(count, _CLIENTS)
        shares = [each + (number < rest) for number in range(_CLIENTS)]
        await asyncio.gather(*map(self._send, self._sockets[:_CLIENTS], shares))

    async def _send(self, client: socket.socket, count: int) -> None:
        send = asyncio.get_running_loop().sock_sendall
        blocks, rest = divmod(count, self._frames_per_block)
        for _ in range(blocks):
            await send(client, self._block)
        await send(client, self._block[: rest * self._frame_size])

    async def tell(self, text: str) -> None:
        await asyncio.get_running_loop().sock_sendall(self._sockets[0], frame(_TEXT, text.encode()))

    tell_all = tell  # to the one upstream connection that the first client is on

    def processor(self) -> float:
        with open(f"/proc/{self._relay.pid}/schedstat", encoding="ascii") as schedstat:
            return int(schedstat.read().split()[0]) / 1e9

    def notes(self) -> dict[str, Any]:
        if not self._more:
            return {}
        return {"bytes_per_connection": (self._relay_resident() - self._resident) / self._more}


async def _connected(port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    client = socket.socket()
    client.setblocking(False)
    await loop.sock_connect(client, ("127.0.0.1", port))
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    await loop.sock_sendall(client, REQUEST)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += await loop.sock_recv(client, 1)
    return client
