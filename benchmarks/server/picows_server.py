"""
The server of C{server.c} once more, on picows, with the same commands: for where there is no
compiler, and as the yardstick that a server in Python is.

C{python -m benchmarks.server.picows_server [CERTIFICATE KEY]}
"""

from __future__ import annotations

import asyncio
import ssl
import sys
import time

from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

_BLOCK_SIZE = 262144
_MAX_FRAME_SIZE = 1 << 27


class Counts:
    """
    What has arrived on all connections, and who waits for it.
    """

    def __init__(self) -> None:
        self.messages = 0
        self.bytes = 0
        self._wanted = 0
        self._waiting: WSTransport | None = None

    def answer_until(self, wanted: int, transport: WSTransport) -> None:
        self._wanted = wanted
        self._waiting = transport
        self.answer_if_reached()

    def answer_if_reached(self) -> None:
        if self._waiting is not None and self.messages >= self._wanted:
            transport, self._waiting = self._waiting, None
            text = f"{self.messages} {self.bytes} {time.process_time():.6f}"
            transport.send(WSMsgType.TEXT, text.encode())


class Server(WSListener):  # type: ignore[misc]
    """
    One connection.
    """

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._echoes = False
        self._paused = False
        self._block = b""
        self._blast_left = 0

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind == WSMsgType.BINARY or kind == WSMsgType.CONTINUATION:
            counts = self._counts
            counts.bytes += frame.payload_size
            if frame.fin:
                counts.messages += 1
            counts.answer_if_reached()
            if self._echoes:
                transport.send(kind, frame.get_payload_as_bytes(), frame.fin)
        elif kind == WSMsgType.TEXT:
            self._obey(transport, frame.get_payload_as_ascii_text().split())
        elif kind == WSMsgType.CLOSE:
            transport.send_close()
            transport.disconnect()

    def _obey(self, transport: WSTransport, command: list[str]) -> None:
        match command:
            case ["until", number]:
                self._counts.answer_until(int(number), transport)
            case ["blast", number, size]:
                self._prepare(int(number), int(size))
                self._blast(transport)
            case ["echo"]:
                self._echoes = True
            case _:
                raise ValueError(f"unknown command: {command}")

    def _prepare(self, number: int, size: int) -> None:
        if size < 126:
            header = bytes((0x82, size))
        elif size < 65536:
            header = b"\x82\x7e" + size.to_bytes(2, "big")
        else:
            header = b"\x82\x7f" + size.to_bytes(8, "big")
        frame = header + b"x" * size
        self._block = frame * max(1, _BLOCK_SIZE // len(frame))
        self._blast_left = number * len(frame)

    def _blast(self, transport: WSTransport) -> None:
        """Write one block per turn of the loop: the other connections have their turn, too."""
        if self._paused or not self._blast_left or transport.is_disconnected:
            return
        # A block holds whole frames, so that only the last of them can be cut short.
        block = self._block[: self._blast_left]
        self._blast_left -= len(block)
        transport.underlying_transport.write(block)
        asyncio.get_running_loop().call_soon(self._blast, transport)

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._blast(self._transport)


def _tls(arguments: list[str]) -> ssl.SSLContext | None:
    if not arguments:
        return None
    certificate, key = arguments
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


async def _serve() -> None:
    counts = Counts()

    def listener(request: WSUpgradeRequest) -> Server:
        return Server(counts)

    server = await ws_create_server(
        listener,
        "127.0.0.1",
        0,
        ssl=_tls(sys.argv[1:]),
        max_frame_size=_MAX_FRAME_SIZE,
        websocket_handshake_timeout=60,
        backlog=4096,
    )
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve())
