"""
A WebSocket server on the C{websockets} library, run as a process by the integration tests.

It takes the same JSON options, obeys the same commands and reports the same events as the Node
server in C{node/server.js}, as far as the tests need them.
"""

from __future__ import annotations

import asyncio
import json
import sys
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol


def report(event: str, **details: object) -> None:
    print(json.dumps({"event": event, **details}), flush=True)


class PeerServer:
    """Echoes, counts or reports messages, and closes its connections on command."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.mode = options.get("mode", "echo")
        self.rejection: str | None = options.get("reject")
        self.connections: set[ServerConnection] = set()
        self.messages = 0
        self.bytes = 0

    def process_request(self, connection: ServerConnection, request: Request) -> Response | None:
        """Reject every request, with these words, if that is an option."""
        if self.rejection is None:
            return None
        return connection.respond(HTTPStatus.FORBIDDEN, self.rejection)

    async def serve_connection(self, connection: ServerConnection) -> None:
        self.connections.add(connection)
        assert connection.request is not None
        report(
            "open",
            url=connection.request.path,
            headers={name.lower(): value for name, value in connection.request.headers.raw_items()},
            protocol=connection.subprotocol or "",
        )
        try:
            async for message in connection:
                self.messages += 1
                self.bytes += len(message)
                if self.mode == "echo":
                    await connection.send(message)
                elif self.mode == "report":
                    report("message", text=message)
        except ConnectionClosed:
            pass  # reported below, however it ended
        finally:
            self.connections.discard(connection)
            report("closed", code=connection.close_code, reason=connection.close_reason)

    async def obey(self, command: dict[str, Any]) -> None:
        match command["do"]:
            case "close":
                for connection in list(self.connections):
                    await connection.close(command["code"], command["reason"])
            case "terminate":
                for connection in list(self.connections):
                    connection.transport.abort()
            case "count":
                report("counted", messages=self.messages, bytes=self.bytes)
            case unknown:
                raise ValueError(f"no such command: {unknown}")


async def main(options: dict[str, Any]) -> None:
    peer = PeerServer(options)
    protocols = [Subprotocol(name) for name in options.get("protocols", [])]
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(commands), sys.stdin
    )
    async with serve(
        peer.serve_connection,
        "127.0.0.1",
        options.get("port", 0),
        process_request=peer.process_request,
        compression="deflate" if options.get("deflate") else None,
        subprotocols=protocols or None,
        max_size=None,
        ping_interval=None,
    ) as server:
        report("listening", port=next(iter(server.sockets)).getsockname()[1])
        async for line in commands:
            await peer.obey(json.loads(line))


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
