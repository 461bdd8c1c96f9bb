"""
No client at all: frames that were prepared before, written to one socket in large blocks, and
octets that are read but not looked at.  It shows what the server can take and give, which is the
limit for all others.
"""

from __future__ import annotations

import os
import socket
import ssl
from urllib.parse import urlsplit

from .client import Client, Counts

BLOCK_SIZE = 262144
REQUEST = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_TEXT = 0x81
_BINARY = 0x82


def _length(size: int) -> bytes:
    """
    Return the length of a payload as a header has it (RFC 6455, section 5.2), without mask bit.
    """
    if size < 126:
        return bytes((size,))
    return b"\x7e" + size.to_bytes(2, "big") if size < 65536 else b"\x7f" + size.to_bytes(8, "big")


def frame(first_octet: int, payload: bytes) -> bytes:
    """
    Make a masked frame.
    """
    length = _length(len(payload))
    key = os.urandom(4)
    pad = (key * (len(payload) // 4 + 1))[: len(payload)]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")
    return b"".join(
        (
            bytes((first_octet, 0x80 | length[0])),
            length[1:],
            key,
            masked.to_bytes(len(payload), "big"),
        )
    )


class RawClient(Client):
    """
    One blocking socket, however many connections are asked for.
    """

    async def open(self, url: str, authority: str | None, connections: int) -> None:
        address = urlsplit(url)
        assert address.hostname
        self._socket = socket.create_connection((address.hostname, address.port or 80), 20)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if authority:
            context = ssl.create_default_context(cafile=authority)
            self._socket = context.wrap_socket(self._socket, server_hostname=address.hostname)
        self._socket.sendall(REQUEST)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self._read(1)
        one = frame(_BINARY, self.payload)
        self._frame_size = len(one)
        self._frames_per_block = max(1, BLOCK_SIZE // len(one))
        self._block = one * self._frames_per_block
        self._buffer = bytearray(BLOCK_SIZE)

    def _read(self, size: int) -> bytes:
        data = self._socket.recv(size)
        if not data:
            raise ConnectionError("the server closed the connection")
        return data

    async def send(self, count: int) -> None:
        blocks, rest = divmod(count, self._frames_per_block)
        for _ in range(blocks):
            self._socket.sendall(self._block)
        self._socket.sendall(self._block[: rest * self._frame_size])

    async def tell(self, text: str) -> None:
        self._socket.sendall(frame(_TEXT, text.encode()))

    tell_all = tell

    async def counted(self, messages: int) -> Counts:
        await self.tell(f"until {messages}")
        text = b""
        header = self._read(1) + self._read(1)
        while len(text) < header[1]:
            text += self._read(header[1] - len(text))
        count, size, processor = text.split()
        return Counts(int(count), int(size), float(processor))

    async def receive(self, count: int, connections: int) -> None:
        size = len(self.payload)
        await self.tell(f"blast {count} {size}")
        missing = count * (1 + len(_length(size)) + size)
        while missing > 0:
            # Not beyond the last frame: after it stand the answers to commands.
            read = self._socket.recv_into(self._buffer, min(missing, BLOCK_SIZE))
            if not read:
                raise ConnectionError("the server closed the connection")
            missing -= read
        self.received += count
