"""
A WebSocket server on C{websockets} that writes down each message before it does anything else.

It takes the same JSON options, obeys the same commands and reports the same events as the Node
server in C{server.js}.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import Event

DATA = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)


def report(event: str, **details: object) -> None:
    print(json.dumps({"event": event, **details}), flush=True)


class RecordingConnection(ServerConnection):
    """
    Writes down what arrives as soon as it is parsed: the answers to pings in the same read, which
    are what tells the client that it arrived, are sent after that.
    """

    record: int
    _message = b""

    def __init__(self, protocol: Any, *args: Any, **options: Any) -> None:
        super().__init__(protocol, *args, **options)
        events_received = protocol.events_received

        def recorded() -> list[Event]:
            events: list[Event] = events_received()
            for event in events:
                if isinstance(event, Frame) and event.opcode in DATA:
                    self._frame(event)
            return events

        protocol.events_received = recorded

    def _frame(self, frame: Frame) -> None:
        self._message += frame.data
        if frame.fin:
            message, self._message = self._message, b""
            os.write(self.record, len(message).to_bytes(4, "big") + message)


class Server:
    """Obeys commands."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.chatter = options.get("chatter", 0) / 1000
        self.connections: dict[ServerConnection, None] = {}
        self.waits_for_idle = False

    async def serve_connection(self, connection: ServerConnection) -> None:
        self.connections[connection] = None
        chatting = asyncio.create_task(self.chat(connection)) if self.chatter else None
        try:
            async for _ in connection:
                pass
        except ConnectionClosed:
            pass
        finally:
            if chatting is not None:
                chatting.cancel()
            del self.connections[connection]
            self.report_idle()

    async def chat(self, connection: ServerConnection) -> None:
        while True:
            await asyncio.sleep(self.chatter)
            try:
                await connection.send("chatter")
            except ConnectionClosed:
                return

    def report_idle(self) -> None:
        if self.waits_for_idle and not self.connections:
            self.waits_for_idle = False
            report("idle")

    async def close(self, connection: ServerConnection, code: int) -> None:
        await connection.close(CloseCode(code))

    async def stall(self, connection: ServerConnection, seconds: float) -> None:
        connection.transport.pause_reading()
        await asyncio.sleep(seconds)
        if not connection.transport.is_closing():
            connection.transport.resume_reading()

    def obey(self, command: dict[str, Any]) -> asyncio.Task[None] | None:
        """Return what is to be kept until it is done."""
        if command["do"] == "idle":
            self.waits_for_idle = True
            self.report_idle()
            return None
        connections = list(self.connections)
        if not connections:
            return None
        connection = connections[command["which"] % len(connections)]
        match command["do"]:
            case "close":
                return asyncio.create_task(self.close(connection, command["code"]))
            case "terminate":
                connection.transport.abort()
            case "stall":
                return asyncio.create_task(self.stall(connection, command["seconds"]))
            case unknown:
                raise ValueError(f"no such command: {unknown}")
        return None


async def main(options: dict[str, Any]) -> None:
    server = Server(options)
    RecordingConnection.record = os.open(options["record"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    tls = None
    if options.get("tls"):
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(options["tls"]["cert"], options["tls"]["key"])
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(commands), sys.stdin
    )
    under_way: set[asyncio.Task[None]] = set()
    async with serve(
        server.serve_connection,
        "127.0.0.1",
        options.get("port", 0),
        create_connection=RecordingConnection,
        compression=None,
        max_size=options.get("maxPayload") or None,
        ping_interval=None,
        ssl=tls,
    ) as listening:
        report("listening", port=next(iter(listening.sockets)).getsockname()[1])
        async for line in commands:
            task = server.obey(json.loads(line))
            if task is not None:
                under_way.add(task)
                task.add_done_callback(under_way.discard)
        # The library would wait for closing handshakes that nobody is there to answer.
        os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
